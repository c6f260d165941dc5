"""A double of icicle's InstrumentCluster: the same interface, and the same nasty habits.

The supplies themselves live in the folder ICICLE_DOUBLE: `bench.json` is what they do, `actions.jsonl` what
was done to them, and by which process, `faults.json` what goes wrong, which a test may change at any time.
ICICLE_DOUBLE_VERSION chooses among the interfaces of several versions.
"""

import fcntl
import json
import math
import os
import time
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(os.environ.get("ICICLE_DOUBLE", "."))
VERSION = os.environ.get("ICICLE_DOUBLE_VERSION", "2.1")
SPEED = float(os.environ.get("ICICLE_DOUBLE_SPEED", "200"))


class VisaIOError(Exception):
    """What pyvisa raises."""

    def __init__(self):
        super().__init__("VI_ERROR_TMO (-1073807339): Timeout expired before operation completed.")


class SerialException(OSError):
    """What pyserial raises."""


class BadStatusForOperationError(RuntimeError):
    pass


class InstrumentNotInstantiated:
    pass


class DummyInstrument:
    """Stands for a role that a module lacks: every attribute is a dummy, and none is a bool."""

    class DummyFunction(InstrumentNotInstantiated):
        def __call__(self, *args, **kwargs):
            return InstrumentNotInstantiated()

    def __getattr__(self, name):
        return self.DummyFunction()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass


def faults():
    try:
        return json.loads((FOLDER / "faults.json").read_text())
    except (OSError, ValueError):
        return {}


def pause(seconds):
    time.sleep(seconds / SPEED)


class Bench:
    """The supplies as they are: one locked exchange at a time, by whichever process."""

    def __enter__(self):
        self._lock = os.open(FOLDER / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            self.outputs = json.loads((FOLDER / "bench.json").read_text())
        except OSError:
            self.outputs = {}
        return self

    def output(self, name):
        return self.outputs.setdefault(name, {"on": False, "set": 0.0, "limit": None, "modules": []})

    def record(self, action, **facts):
        line = {"time": time.time(), "pid": os.getpid(), "action": action, **facts}
        with (FOLDER / "actions.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def broken(self, name, role, goal):
        """Say which interlock is broken by a change of an output."""
        mine = set(self.output(name)["modules"])
        for other, state in self.outputs.items():
            if other == name or not mine & set(state["modules"]) or state.get("role") == role:
                continue
            if role == "lv" and state["on"]:
                return [f"LV changed while HV is on at {state['set']:g} V"]
            if role == "hv" and goal and not state["on"]:
                return ["HV raised while LV is off"]
        return []

    def __exit__(self, *args):
        new = FOLDER / "bench.json.new"
        new.write_text(json.dumps(self.outputs))
        new.rename(FOLDER / "bench.json")
        os.close(self._lock)


class Instrument:
    """A supply. There is one object for each address in a process, and it counts how often it was opened.

    What is asked goes over a line: an answer that comes late stays in it, in front of the answers to what is asked
    later, until the connection is closed. A question is tried three times, and the connection renewed in between only if
    it was opened once.
    """

    _instances = {}  # noqa: RUF012
    TRIES = 3
    TIMEOUT_S = 10

    def __init__(self, name, resource):
        self.name = name
        self._resource = resource
        self._connected = 0
        self._handle = None
        self._channels = {}
        self._line = []

    @classmethod
    def at(cls, name, resource, kind=""):
        if resource not in Instrument._instances:
            Instrument._instances[resource] = KINDS.get(kind, Instrument)(name, resource)
        return Instrument._instances[resource]

    def __enter__(self, recover_attempt=False):
        if not self.connected():
            if self.name in faults().get("enter-fails", []):
                raise VisaIOError
            handle = os.open(FOLDER / f"handle-{self.name}", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(handle)
                with Bench() as bench:
                    bench.record("open-refused", instrument=self.name)
                raise SerialException("[Errno 16] could not open port: Device or resource busy") from None
            self._handle = handle
            self._line = []
            with Bench() as bench:
                bench.record("open", instrument=self.name)
            print("opened " + self.name)  # real libraries print as well
        self._connected += 1
        return self

    def __exit__(self, exception_type=None, exception_value=None, traceback=None, recover_attempt=False):
        self._connected -= 1
        assert self._connected >= 0
        if not self.connected():
            with Bench() as bench:
                bench.record("close", instrument=self.name)
            os.close(self._handle)

    def connected(self):
        return self._connected > 0

    def ask(self, question, answer=lambda: None):
        """Every exchange with the supply comes by here: `answer` is what the supply does, and gives as text."""
        with self._lock():
            for left in reversed(range(self.TRIES)):
                try:
                    return self._ask(question, answer)
                except VisaIOError:
                    if not left:
                        raise
                    self.__exit__(recover_attempt=True)
                    self.__enter__(recover_attempt=True)
        raise AssertionError

    def _ask(self, question, answer):
        if not self.connected():
            raise RuntimeError("requires active connection")
        if self.name in faults().get("hangs", []):
            time.sleep(60)
        if self.name in faults().get("visa-timeout", []):
            raise VisaIOError
        if (FOLDER / f"lost-{self.name}").exists():
            raise SerialException("device disconnected")
        text = answer()
        if text is None:
            return None
        self._line.append(faults().get("says", {}).get(f"{self.name} {question}", text))
        if self._is_late():
            pause(self.TIMEOUT_S)
            raise VisaIOError
        return self._line.pop(0)

    def _is_late(self):
        """Once its voltage has come to `at`, it keeps its answers back for so many seconds."""
        wanted = faults().get("late", {}).get(self.name)
        if not wanted:
            return False
        begun = FOLDER / f"late-{self.name}"
        if not begun.exists():
            with Bench() as bench:
                outputs = bench.outputs.items()
                if any(
                    name.startswith(self.name) and abs(one["set"]) >= wanted["at"] for name, one in outputs
                ):
                    begun.write_text(repr(time.time()))
        return begun.exists() and time.time() < float(begun.read_text() or 0) + wanted["for"] / SPEED

    @contextmanager
    def _lock(self):
        """A flock for each exchange, waited for without end; where it is, is icicle's own rule."""
        folder = os.environ.get("ICICLE_LOCK_PATH")
        if not folder:
            yield
            return
        name = self._resource.replace("::INSTR", "").replace("/", "__").replace(":", "--")
        file = os.open(f"{folder}/{name}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def channel(self, number, role):
        if (number, role) not in self._channels:
            self._channels[number, role] = PowerChannel(self, number, role)
        return self._channels[number, role]


class Keithley2410(Instrument):
    """Says its state as text, and a constant instead of a measurement while it is off."""

    def set(self, setting, value):
        assert setting == "VOLTAGE_RANGE"
        self.ask("range", lambda: f"{value:E}")
        with Bench() as bench:
            bench.record("range", instrument=self.name, volts=value)


class Meter:
    def __init__(self, measure):
        self._measure = measure

    @property
    def value(self):
        return self._measure()


class PowerChannel:
    """An output: `voltage` is what is set, `measure_voltage` what is there."""

    def __init__(self, instrument, number, role):
        self.instrument = instrument
        self.output = f"{instrument.name}:{number}"
        self.role = role
        self._is_keithley = isinstance(instrument, Keithley2410)
        if VERSION != "2.0":
            self.measure_voltage = Meter(lambda: self._measure(0))
            self.measure_current = Meter(lambda: self._measure(1))

    def __enter__(self):
        self.instrument.__enter__()
        return self

    def __exit__(self, exception_type, exception_value, traceback):
        self.instrument.__exit__()

    def _measure(self, which):
        if self._is_keithley and self._state() == "0":
            return 0.0
        text = self.instrument.ask("measure", self._measured)
        return float(text.split(",")[which])

    def _measured(self):
        with Bench() as bench:
            state = bench.output(self.output)
        return f"{self._volts(state)!r},{self._amps(state)!r},9.91E37,12.5,0"

    def _volts(self, state):
        if self.role == "hv" and "nan" in faults():
            return float("nan")
        if state["on"]:
            return abs(state["set"]) if "unsigned" in faults() else state["set"]
        return faults().get("residual", 0.0) if self.role == "hv" else 0.0

    def _amps(self, state):
        if not state["on"]:
            return 0.0
        if self.role == "hv":
            return -state["limit"] if "compliance" in faults() else state["set"] * 1e-9
        return 1.2

    def _state(self):
        def answer():
            with Bench() as bench:
                return str(int(bench.output(self.output)["on"]))

        return self.instrument.ask("state", answer)

    @property
    def state(self):
        raw = self._state()
        if VERSION == "text" or self._is_keithley:
            return raw
        return {"0": False, "1": True}[raw]

    @state.setter
    def state(self, value):
        value = bool(int(value))

        def switch():
            with Bench() as bench:
                state = bench.output(self.output)
                broken = bench.broken(self.output, self.role, value) if state["on"] != value else []
                if not value and self.role == "hv" and state["on"] and abs(state["set"]) > 10:
                    broken.append(f"HV switched off hard at {state['set']:g} V")
                bench.record("state", output=self.output, on=value, volts=state["set"], violations=broken)
                if value or self.instrument.name not in faults().get("sticks-on", []):
                    state["on"] = value
                return str(int(state["on"]))

        self.instrument.ask("set state", switch)

    @property
    def voltage(self):
        def answer():
            with Bench() as bench:
                return repr(bench.output(self.output)["set"])

        return float(self.instrument.ask("voltage", answer))

    @voltage.setter
    def voltage(self, value):
        def put():
            with Bench() as bench:
                state = bench.output(self.output)
                hard = self.role == "hv" and state["on"] and abs(value - state["set"]) > 10
                broken = [f"HV set hard from {state['set']:g} to {value:g} V"] if hard else []
                state["set"] = value
                state["role"] = self.role
                bench.record("set", output=self.output, volts=value, on=state["on"], violations=broken)
            limit = faults().get("lost-at")
            if limit is not None and self.role == "hv" and abs(value) >= limit:
                (FOLDER / f"lost-{self.instrument.name}").touch()
            return repr(float(value))

        self.instrument.ask("set voltage", put)

    @property
    def current(self):
        with Bench() as bench:
            return bench.output(self.output)["limit"]

    @current.setter
    def current(self, value):
        def put():
            with Bench() as bench:
                bench.output(self.output)["limit"] = value
            return repr(float(value))

        self.instrument.ask("set current", put)

    current_limit = current

    def sweep(self, target_value, delay=1, step_size=None, measure=False, break_loop=None, **kwargs):
        """As icicle does it: from what it says is set, which may be another question's answer, and by whatever step."""
        start = self.voltage
        distance = target_value - start
        step_size = step_size if distance >= 0 else -step_size
        count = math.ceil(distance / step_size)
        rows = []
        for step in range(count + 1):
            self.voltage = start + step_size * step if step < count else target_value
            rows.append([time.time(), step, self.voltage])
            if callable(break_loop) and break_loop():
                break
            pause(delay)
        return self.voltage, rows


KINDS = {"Keithley2410": Keithley2410}


class InstrumentCluster:
    def __init__(self, instrument_dict=None, channels_dict=None, resource="cluster1"):
        self._instrument_dict = {}
        for name, device in instrument_dict.items():
            instrument = Instrument.at(name, device["resource"], device.get("class", ""))
            for key, value in device.items():
                if key not in ("class", "resource", "sim"):
                    if hasattr(instrument, key):
                        raise ValueError(f"The provided variable {key} does already exist.")
                    setattr(instrument, key, value)
            self._instrument_dict[name] = instrument
        self._module_dict = {}
        for number, entry in channels_dict.items():
            module = {role: DummyInstrument() for role in ("lv", "hv", "ab", "cb")}
            for role, wire in entry.items():
                instrument = self._instrument_dict[wire["instrument"]]
                channel = module[role] = instrument.channel(wire["channel"], role)
                channel.default_voltage = float(instrument.default_voltage)
                channel.default_current = float(instrument.default_current)
                channel.default_delay = getattr(instrument, "default_delay", 1)
                channel.default_step_size = getattr(instrument, "default_step_size", 5)
                with Bench() as bench:
                    state = bench.output(channel.output)
                    state["role"] = role
                    state["modules"] = sorted(set(state["modules"]) | {number})
            self._module_dict[number] = module

    def __enter__(self):
        for instrument in self._instrument_dict.values():
            instrument.__enter__()
        for module in self._module_dict.values():
            for channel in module.values():
                channel.__enter__()
            self.hv_set_ocp_module(module, module["hv"].default_current)
        return self

    def __exit__(self, *args):
        """Switch everything off, however long that takes, and leave handles open."""
        with Bench() as bench:
            bench.record("cluster-exit")
        for _ in self._module_dict:  # all of it, once for each module
            self.hv_off()
            pause(5)
            self.lv_off()
            pause(1)
        for instrument in self._instrument_dict.values():
            instrument.__exit__()

    def get_modules(self):
        return self._module_dict

    def get_instruments(self):
        return self._instrument_dict

    def status(self):
        return {key: {"relay_board": module["rb"].state} for key, module in self._module_dict.items()}

    def assert_status(self, check, required, operation, problem, solution):
        current = check()
        if isinstance(current, InstrumentNotInstantiated) or isinstance(required, InstrumentNotInstantiated):
            return
        if "bad-status" in faults():
            raise BadStatusForOperationError(
                f"Operation: {operation}, Problem: {problem}, Proposed Solution: {solution}"
            )
        if int(current) != int(required) or operation in faults().get("asks", []):
            input(
                "\033[1m\033[91m[Attention] \033[0m Bad Status encountered during runtime\n"
                f"Operation: {operation}\nProblem: {problem}\nProposed Solution: {solution}\n"
                "\033[1m\033[92m[Y]\033[0m to continue, \033[91m[N]\033[0m to quit. \n >>>> "
            )
            raise BadStatusForOperationError(operation)

    def hv_set_ocp_module(self, module, compliance_current):
        module["hv"].current_limit = compliance_current
        return module["hv"].current_limit == compliance_current

    def sleep(self, delay):
        pause(delay)
        return True

    def lv_on(self, voltage=None, current=None):
        return all([self.lv_on_module(module, voltage, current) for module in self._module_dict.values()])  # noqa: C419 - all are switched

    def lv_on_module(self, module, voltage=None, current=None):
        module["lv"].voltage = module["lv"].default_voltage if voltage is None else voltage
        module["lv"].current = module["lv"].default_current if current is None else current
        if module["lv"].state is True:
            return True
        self.assert_status(
            lambda: module["lv"].state,
            module["hv"].state,
            "Turning on LV",
            "HV is active",
            "Turn on LV anyway",
        )
        module["lv"].state = True
        return module["lv"].state

    def lv_off(self, no_lock=False):
        return all([self.lv_off_module(module) for module in self._module_dict.values()])  # noqa: C419 - all are switched

    def lv_off_module(self, module):
        if module["lv"].state is False:
            return True
        self.assert_status(lambda: module["hv"].state, 0, "Turning off LV", "HV is active", "Turn off HV")
        module["lv"].state = False
        return module["lv"].state is False

    def hv_on(self, voltage=None, delay=None, step_size=None, measure=True, **kwargs):
        return [
            self.hv_on_module(module, voltage, delay, step_size, measure, **kwargs)
            for module in self._module_dict.values()
            if module["hv"].state is not True
        ]

    def hv_on_module(self, module, voltage=None, delay=None, step_size=None, measure=True, **kwargs):
        """What is on already is set to 0 in one step: a Keithley's state is text, and so never True."""
        hv = module["hv"]
        if hv.state is True or isinstance(hv, DummyInstrument):
            return True
        if abs(hv.voltage) > 10:
            hv.voltage = 0
        self.assert_status(lambda: module["lv"].state, 1, "Turning on HV", "LV is not active", "Turn on LV")
        hv.state = True
        return hv.sweep(
            hv.default_voltage if voltage is None else voltage,
            hv.default_delay if delay is None else delay,
            hv.default_step_size if step_size is None else step_size,
            measure,
            **kwargs,
        )

    def hv_off(self, delay=None, step_size=None, measure=True, **kwargs):
        return all(
            [  # noqa: C419 - all are switched
                self.hv_off_module(module, delay, step_size, measure) for module in self._module_dict.values()
            ]
        )

    def hv_off_module(self, module, delay=None, step_size=None, measure=True, **kwargs):
        """The ramp is left out where what is set reads below 10 V; a Keithley's state is never False."""
        hv = module["hv"]
        if hv.state is False or isinstance(hv, DummyInstrument):
            return True
        result = True
        if abs(hv.voltage) > 10:
            delay = hv.default_delay if delay is None else delay
            result = hv.sweep(0.0, delay, hv.default_step_size if step_size is None else step_size, measure)
        pause(2)
        hv.state = False
        pause(2)
        return hv.state is False and result


if VERSION == "2.0":  # no locks' name, no say in what is measured, no way to stop a ramp
    _Channel, _Cluster = PowerChannel, InstrumentCluster

    class PowerChannel(_Channel):
        def sweep(self, target_value, delay=1, step_size=None, measure=False):
            return super().sweep(target_value, delay, step_size, measure)

    class InstrumentCluster(_Cluster):
        def __init__(self, instrument_dict=None, channels_dict=None):
            super().__init__(instrument_dict, channels_dict)

        def hv_on_module(self, module, voltage=None, delay=None, step_size=None):
            return super().hv_on_module(module, voltage, delay, step_size)

        def hv_off_module(self, module, delay=None, step_size=None):
            return super().hv_off_module(module, delay, step_size)

elif VERSION == "1.0":

    class InstrumentCluster:
        def __init__(self, hv=None, lv=None, relay_board=None, resource="cluster"):
            raise AssertionError("made without a look at what it takes")

        def __enter__(self):
            return self

        def hv_on(self, voltage=None):
            return True
