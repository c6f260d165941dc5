"""The backend of mode `icicle`: real supplies, through icicle's InstrumentCluster, inside the guard.

Only the instruments of LV and HV are in its cluster: boards and cold boxes are never opened here, so handing
one over changes nothing, and LV stays as it is. The cluster's own `__exit__` is never used. It switches off
whatever it holds, and it leaves handles open: instruments count their openings, one for the cluster and one
for each channel. A cluster cannot be made twice in a process either. So the cluster stays, and single
instruments are closed and opened again through it.

**The ramp of HV is made here**, step by step. icicle's own begins at a level that it asks for, and an answer that came late
belongs to the question before: then it cuts an output that is at full voltage, or jumps. Steps and waits are
limited here, whatever the file says.

States are believed only as they are read back: what icicle's methods return is not a reading. A channel's `voltage` is
what is set, its `measure_voltage` what is there, but for a Keithley that is off: that is a constant. After any fault,
and after an answer that is none, an instrument is closed wholly and opened anew, which drops what lies in its
buffer, and is asked the same thing until two answers agree.
"""

from __future__ import annotations

import importlib
import inspect
import math
import os
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

CONSTRUCTOR = ("instrument_dict", "channels_dict")
METHODS = ("__enter__", "get_modules", "get_instruments")
MOVES = ("lv_on_module", "lv_off_module")
RAILS = ("lv", "hv")
MAX_OPENINGS = 64
RAMP_STEP_V, RAMP_DELAY_S = 5.0, 1.0
RAMP_STEP_MOST_V, RAMP_DELAY_LEAST_S = 10.0, 0.1
"""Of calseq/model/rails.py, which a test compares: this file may run where calseq cannot be imported."""
CUT_V = 10.0
"""Up to this voltage an output may go off, or change its level, at once."""
IMPLAUSIBLE = 1e6
"""No supply has so many volts or amperes: 9.91e37 is what a Keithley says when it has not measured."""
SILENT_WHEN_OFF = ("Keithley2410",)
"""Classes of icicle whose measurement of an output that is off is a constant."""
LOCK_WAIT_S = 35.0
"""Somebody else's exchange with a supply takes 30 s at most; whoever holds its lock longer has stopped."""
AGREE_TIMES = 5
OFF_TIMES = 5
_ON = {"1": True, "ON": True, "TRUE": True, "0": False, "OFF": False, "FALSE": False}


class IcicleFault(Exception):
    """icicle or a supply did not do or say what it should."""


class Output:
    """An output of a supply: its instrument, a module that hangs on it, and the module's channel of it.

    `level_v` is what was last set here, None where that is not known.
    """

    def __init__(
        self, role: str, instrument: str, number: Any, module: Any, settings: dict[str, Any]
    ) -> None:
        self.name = f"{instrument}:{number}"
        self.instrument = instrument
        self.module = module
        self.channel = module[role]
        self.level_v: float | None = None
        self.step_v, self.delay_s = ramp_step_v(settings), ramp_delay_s(settings)
        self.measures_off = settings.get("class") not in SILENT_WHEN_OFF


class IciclePower:
    """The LV and HV outputs of a bench, held through one cluster."""

    def __init__(
        self,
        instruments: dict[str, Any],
        channels: dict[str, Any],
        printed: Callable[[], str],
        lock_wait_s: float = LOCK_WAIT_S,
    ) -> None:
        """Look at what is to be opened; `printed` gives what was printed since it was asked last.

        icicle's own locks are waited for at most `lock_wait_s` before anything is opened.

        Raises:
            IcicleFault: icicle cannot be imported, or is not one that this adapter knows.
        """
        self._printed = printed
        self._lock_wait_s = lock_wait_s
        self._stop = False
        self._cuts: list[str] = []
        self._doubted: set[str] = set()
        self._opened: set[str] = set()
        self._lent: set[str] = set()
        self._outputs: dict[str, list[Output]] = {role: [] for role in RAILS}
        self._instruments, self._channels = supplies_only(instruments, channels)
        check_settings(self._instruments)
        self._library = load()
        self.versions = {"icicle": version()}
        check_library(self._library, self.versions["icicle"])
        self._roles = {
            name: {
                role
                for entry in self._channels.values()
                for role in entry
                if entry[role]["instrument"] == name
            }
            for name in self._instruments
        }
        self.labels = [
            f"{name}: {settings.get('class', '?')} at {settings.get('resource', '?')}"
            f" ({', '.join(sorted(self._roles[name]))})"
            for name, settings in self._instruments.items()
        ]
        self.limits_a: dict[str, float] = {}
        """The compliance of each HV output, in ampere."""

    def open(self) -> None:
        """Open the LV and HV instruments.

        Raises:
            IcicleFault: one does not open; then none stays open.
        """
        self._wait_for_locks()
        self._cluster: Any = self._ask("open", self._make, self._library)
        try:
            self._ask("open", self._cluster.__enter__)
            self._opened = set(self._instruments)
            for name in self._instruments:
                # Counted once, icicle renews a connection by itself when a question is not answered.
                self._close_one(name)
                self._open_one(name)
            self._outputs = {role: self._outputs_of(role) for role in RAILS}
            self.limits_a = {
                output.name: abs(float(self._instruments[output.instrument]["default_current"]))
                for output in self._outputs["hv"]
            }
        except BaseException:
            with suppress(Exception):
                self._opened = set(self._instruments)
                self.close()
            raise

    def _wait_for_locks(self) -> None:
        """icicle waits for its own locks without end: a holder that stays is said before anything is opened."""
        due_s = time.monotonic() + self._lock_wait_s
        while held := self.blocked():
            if time.monotonic() >= due_s:
                raise IcicleFault(f"open: {'; '.join(held)}")
            time.sleep(0.2)

    def read(self, rails: Iterable[str] = RAILS) -> dict[str, Any]:
        """Read rails back, each over all of its outputs."""
        return {role: self._read_rail(role) for role in rails}

    def move(self, move: str) -> None:
        """Carry out one move on every output of its rail; one that fails does not keep the others from it.

        Raises:
            IcicleFault: with all that went wrong.
        """
        role, _, goal = move.partition("-")
        if not self._outputs[role] and goal != "off":
            raise IcicleFault(f"there is no {role.upper()} supply on this bench")
        failed: list[str] = []
        for output in self._outputs[role]:
            try:
                self._move_output(output, role, goal)
            except IcicleFault as fault:
                failed.append(str(fault))
                if goal != "off":
                    break
        if failed:
            raise IcicleFault("; ".join(failed))

    def affected(self, roles: Iterable[str]) -> set[str]:
        """Give the roles that are let go of with these: an instrument may serve several."""
        wanted = set(roles)
        return wanted.union(*(own for own in self._roles.values() if own & wanted))

    def hand_over(self, roles: Iterable[str]) -> None:
        """Close the instruments of these roles."""
        for name in self._named(set(roles)):
            if name in self._opened:
                self._close_one(name)
            self._lent.add(name)

    def take_back(self, roles: Iterable[str]) -> None:
        """Open them again, and set the compliance again, which a child may have changed."""
        failed: list[str] = []
        for name in self._named(set(roles)):
            try:
                self._take_one_back(name)
            except IcicleFault as fault:  # one that does not open does not keep the others closed
                failed.append(str(fault))
        if failed:
            raise IcicleFault("; ".join(failed))

    def _take_one_back(self, name: str) -> None:
        mine = [output for output in self._outputs["hv"] if output.instrument == name]
        if name not in self._opened:
            self._open_one(name)
            for output in mine:
                output.level_v = None
        self._lent.discard(name)
        limit = getattr(self._cluster, "hv_set_ocp_module", None)
        if limit is not None:
            for output in mine:
                self._talk(output, "compliance", limit, output.module, output.channel.default_current)

    def violations(self) -> list[str]:
        """A real bench records none."""
        return []

    def cuts(self) -> list[str]:
        """Give where HV went off without its ramp, as far as it was not given before."""
        found, self._cuts = self._cuts, []
        return found

    def blocked(self) -> list[str]:
        """Name the processes that hold icicle's own locks of these instruments."""
        return [
            f"icicle's lock of {name} ({path}) is held by {holder}"
            for name, settings in self._instruments.items()
            for path in lock_paths(str(settings.get("resource", "")))
            for holder in flock_holders(path)
        ]

    def abort(self, asked: bool) -> None:
        """Ask that a ramp upwards stops where it is; or take that back."""
        self._stop = asked

    def close(self) -> None:
        """Let go of the instruments, as they are."""
        failed = []
        for name in sorted(self._opened):
            try:
                self._close_one(name)
            except IcicleFault as fault:
                failed.append(str(fault))
        if failed:
            raise IcicleFault("; ".join(failed))

    def _make(self, library: Any) -> Any:
        return make_cluster(library, self._instruments, self._channels)

    def _named(self, roles: set[str]) -> list[str]:
        return [name for name, own in self._roles.items() if own & roles]

    def _outputs_of(self, role: str) -> list[Output]:
        """Give the outputs of a role; one that serves several modules once."""
        modules, found = self._cluster.get_modules(), {}
        for number, entry in self._channels.items():
            if role in entry:
                instrument, place = entry[role]["instrument"], entry[role]["channel"]
                if (instrument, place) not in found:
                    settings = self._instruments[instrument]
                    found[instrument, place] = Output(role, instrument, place, modules[number], settings)
        return list(found.values())

    # Reading

    def _read_rail(self, role: str) -> dict[str, Any]:
        outputs = self._outputs[role]
        if not outputs:
            return reading(False, None, None, "there is none on this bench")
        if any(output.instrument in self._lent for output in outputs):
            return reading(None, None, None, "handed over")
        try:
            each = {output.name: self._read_output(output) for output in outputs}
        except IcicleFault as fault:
            return reading(None, None, None, str(fault))
        strange = [name for name, one in each.items() if one["on"] is None]
        if strange:
            return reading(None, None, None, each[strange[0]]["why"])
        states = {one["on"] for one in each.values()}
        mixed = ", ".join(f"{name} is {'on' if one['on'] else 'off'}" for name, one in each.items())
        rail = reading(
            None if len(states) > 1 else states.pop(),
            furthest(one["voltage_v"] for one in each.values()),
            furthest(one["current_a"] for one in each.values()),
            mixed if len(states) > 1 else "",
        )
        return {**rail, "outputs": each}

    def _read_output(self, output: Output) -> dict[str, Any]:
        """Read an output; where there is a doubt, on a connection opened anew, until two answers agree."""
        if output.instrument in self._opened and output.instrument not in self._doubted:
            found = self._read_once(output)
            if found["on"] is not None:
                return found
        self._renew(output.instrument)
        return self._agreed(output)

    def _agreed(self, output: Output) -> dict[str, Any]:
        last = self._read_once(output)
        for _ in range(AGREE_TIMES):
            found = self._read_once(output)
            if found["on"] is not None and found["on"] is last["on"] and alike(found, last):
                return found
            last = found
        return reading(None, None, None, last.get("why") or f"{output.name}: its answers do not agree")

    def _read_once(self, output: Output) -> dict[str, Any]:
        channel, name = output.channel, output.name
        raw = self._talk(output, "state", lambda: channel.state)
        on = truth(raw)
        if on is None:
            return reading(None, None, None, f"{name}: its state is no state: {str(raw)[:80]}")
        if on is False and not output.measures_off:
            return reading(on, None, None)
        volts, what = self._measured(output, "measure_voltage")
        if not what:
            volts = number(self._talk(output, "voltage", lambda: channel.voltage))
        amps, _ = self._measured(output, "measure_current")
        if any(value is not None and abs(value) > IMPLAUSIBLE for value in (volts, amps)):
            return reading(None, None, None, f"{name}: it reads {volts} V, {amps} A: that is no measurement")
        if what and volts is None:
            return reading(None, None, None, f"{name}: its voltage is no number: {what}")
        return reading(on, volts, amps)

    def _measured(self, output: Output, what: str) -> tuple[float | None, str]:
        """Measure, and give the raw answer; empty where this channel cannot. Its `current` is what is set, often the compliance."""
        meter = getattr(output.channel, what, None)
        if meter is None:
            return None, ""
        raw = self._talk(output, what, lambda: meter.value)
        return number(raw), str(raw)[:80] or "nothing"

    def _level(self, output: Output) -> float | None:
        """Read what is set on an output, until two answers agree; None if none do."""
        last = None
        for _ in range(AGREE_TIMES):
            found = number(self._talk(output, "voltage", lambda: output.channel.voltage))
            if found is not None and math.isfinite(found) and last is not None and abs(found - last) <= 0.5:
                return found
            last = found
        return None

    # Moving

    def _move_output(self, output: Output, role: str, goal: str) -> None:
        if role == "lv":
            self._switch_lv(output, goal)
        elif goal == "off":
            self._hv_off(output)
        else:
            self._bias(output)

    def _switch_lv(self, output: Output, goal: str) -> None:
        if goal == "off" and self._reads_off(output):
            return
        method = self._cluster.lv_off_module if goal == "off" else self._cluster.lv_on_module
        self._talk(output, f"lv-{goal}", method, output.module)

    def _reads_off(self, output: Output) -> bool:
        try:
            return self._read_output(output)["on"] is False
        except IcicleFault:
            return False  # what cannot be read is switched off all the same

    def _hv_off(self, output: Output) -> None:
        """Ramp down from the larger of what is set and what is measured, and switch off."""
        try:
            self._ramp_down(output)
        except IcicleFault:
            # once more, on a connection opened anew: where it stopped is read again
            self._ramp_down(output)

    def _ramp_down(self, output: Output) -> None:
        found = self._read_output(output)
        if found["on"] is False:
            self._found_off(output)
            return
        start_v = self._start(output, found)
        self._ramp(output, start_v, 0.0)
        self._check_ramped(output, start_v)
        self._talk(output, "state", setattr, output.channel, "state", False)
        output.level_v = 0.0
        for _ in range(OFF_TIMES):  # a CAEN takes 5 s until it says so
            self._sleep(2)
            if self._read_output(output)["on"] is False:
                return

    def _found_off(self, output: Output) -> None:
        if output.level_v is not None and abs(output.level_v) > CUT_V:
            self._cuts.append(
                f"HV was cut: {output.name} was found off, and had been left at {output.level_v:g} V: it had no ramp"
            )
        output.level_v = 0.0

    def _start(self, output: Output, found: dict[str, Any]) -> float:
        """Give where a ramp down begins, in volts.

        Raises:
            IcicleFault: nothing tells at which voltage it is: to switch it off would be a cut.
        """
        level, measured = self._level(output), found["voltage_v"]
        if level is not None and measured is not None and abs(measured) > abs(level) + CUT_V:
            measured = self._agreed(output)["voltage_v"]  # beyond what is set nothing is believed at once
        known = [each for each in (level, measured) if each is not None and math.isfinite(each)]
        known = known or [each for each in (output.level_v,) if each is not None]
        if not known:
            raise IcicleFault(f"{output.name}: nothing says at which voltage it is, so it is not cut off")
        largest = max(known, key=abs)
        return math.copysign(largest, level) if level else largest

    def _check_ramped(self, output: Output, start_v: float) -> None:
        """See that the voltage has followed its ramp; if it has not, what comes is a cut, and is noted as one."""
        measured = self._read_output(output)["voltage_v"]
        if measured is not None and abs(measured) > CUT_V:
            self._cuts.append(
                f"HV was cut: {output.name} still read {measured:g} V after its ramp from {start_v:g} V to 0 V"
            )

    def _bias(self, output: Output) -> None:
        target = float(output.channel.default_voltage)
        before = self._read_output(output)
        if before["on"] is not False:
            if before["on"] and near(before["voltage_v"], target):
                return
            raise IcicleFault(
                f"{output.name} is not off, but at {before['voltage_v']} V: switch HV off first"
            )
        self._set(output, 0.0)
        level = self._level(output)
        if level is None or abs(level) > 1.0:
            raise IcicleFault(f"{output.name}: its level reads {level} V and should be 0 V before it goes on")
        self._set_range(output, target)
        if self._stop:
            raise IcicleFault(f"{output.name}: it is not switched on any more")
        self._talk(output, "state", setattr, output.channel, "state", True)
        self._ramp(output, 0.0, target)
        after = self._read_output(output)
        if after["on"] and not near(after["voltage_v"], target):
            raise IcicleFault(f"{output.name} reads {after['voltage_v']} V after its ramp to {target:g} V")

    def _set_range(self, output: Output, target: float) -> None:
        """A Keithley clips what lies beyond its range; icicle sets that only on its own way to a bias."""
        instrument = self._cluster.get_instruments()[output.instrument]
        if type(instrument).__name__ == "Keithley2410" and callable(getattr(instrument, "set", None)):
            self._talk(output, "range", instrument.set, "VOLTAGE_RANGE", target)

    def _ramp(self, output: Output, start: float, target: float) -> None:
        """Set one level after the other, with a wait after each; a ramp upwards stops when that is asked for."""
        count = math.ceil(abs(target - start) / output.step_v)
        for step in range(1, count + 1):
            if self._stop and abs(target) > abs(start):
                raise IcicleFault(f"{output.name}: the ramp was stopped at {output.level_v} V")
            self._set(output, start + (target - start) * step / count)
            self._sleep(output.delay_s)

    def _set(self, output: Output, volts: float) -> None:
        output.level_v = volts  # also if the answer does not come: what was sent counts
        self._talk(output, "voltage", setattr, output.channel, "voltage", volts)

    def _sleep(self, seconds: float) -> None:
        getattr(self._cluster, "sleep", time.sleep)(seconds)

    # Connections

    def _talk(
        self, output: Output, what: str, function: Callable[..., Any], *arguments: Any, **options: Any
    ) -> Any:
        """Ask an output's instrument for something; after a fault it is in doubt."""
        try:
            return self._ask(f"{output.name} {what}", function, *arguments, **options)
        except IcicleFault:
            self._doubted.add(output.instrument)
            raise

    def _renew(self, name: str) -> None:
        """Close an instrument wholly and open it anew; what lies in its buffer is gone then.

        Without a descriptor to spare it stays as it is: better a doubt than no connection.
        """
        if name in self._opened and has_descriptor():
            with suppress(IcicleFault):
                self._close_one(name)
            self._opened.discard(name)
        if name not in self._opened:
            self._open_one(name)
        self._doubted.discard(name)

    def _open_one(self, name: str) -> None:
        self._ask(f"open {name}", self._cluster.get_instruments()[name].__enter__)
        self._opened.add(name)

    def _close_one(self, name: str) -> None:
        """Close an instrument as often as it was opened."""
        instrument, fault = self._cluster.get_instruments()[name], ""
        for _ in range(MAX_OPENINGS):
            if not self._ask(f"close {name}", lambda: connected(instrument)):
                self._opened.discard(name)
                return
            try:
                self._ask(f"close {name}", instrument.__exit__, None, None, None)
            except IcicleFault as error:
                fault = str(error)
        raise IcicleFault(fault or f"close {name}: it stays open, however often it is closed")

    def _ask(self, what: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Ask icicle for something; whatever comes back as an error becomes one that names what was asked."""
        self._printed()
        try:
            return function(*arguments, **options)
        except EOFError:
            raise IcicleFault(f"{what}: {question(self._printed())}") from None
        except IcicleFault:
            raise
        except Exception as error:  # whatever a library or a supply comes up with, its own reason is kept
            raise IcicleFault(f"{what}: {type(error).__name__}: {error}") from error


def supplies_only(instruments: Any, channels: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the two dictionaries without all that is neither LV nor HV."""
    kept = {
        str(number): {role: {"channel": 1, **entry[role]} for role in RAILS if role in entry}
        for number, entry in channels.items()
    }
    kept = {number: entry for number, entry in kept.items() if entry}
    named = {entry[role]["instrument"] for entry in kept.values() for role in entry}
    missing = sorted(named - set(instruments))
    if missing:
        raise IcicleFault(f"channels name {', '.join(missing)}, which is not among the instruments")
    return {name: dict(settings) for name, settings in instruments.items() if name in named}, kept


def check_settings(instruments: dict[str, Any]) -> None:
    """See that nothing in an instrument's settings is code: icicle executes them as such."""
    for name, settings in instruments.items():
        for key, value in settings.items():
            plain = value is None or isinstance(value, (bool, int, float, str))
            if (
                not key.isidentifier()
                or not plain
                or (isinstance(value, str) and re.search(r"['\"\\\n\r]", value))
            ):
                raise IcicleFault(f"{name}: {key!r} is nothing that can be passed on to icicle")


def make_cluster(library: Any, instruments: dict[str, Any], channels: dict[str, Any]) -> Any:
    """Build icicle's cluster, which opens nothing until it is entered."""
    options: dict[str, Any] = {"instrument_dict": instruments, "channels_dict": channels}
    if accepts(library.InstrumentCluster.__init__, "resource"):
        # icicle locks clusters by this name, on the whole machine: benches are not to wait for each other.
        addresses = sorted(str(settings.get("resource")) for settings in instruments.values())
        options["resource"] = f"calseq-{zlib.crc32('|'.join(addresses).encode()):08x}"
    return library.InstrumentCluster(**options)


def load() -> Any:
    """Import icicle's cluster.

    Raises:
        IcicleFault: it cannot be imported by this interpreter.
    """
    try:
        return importlib.import_module("icicle.instrument_cluster")
    except Exception as error:
        raise IcicleFault(
            f"icicle cannot be imported by {sys.executable}: {type(error).__name__}: {error}"
        ) from error


def version() -> str:
    """Give icicle's version, if it says so."""
    with suppress(Exception):
        return importlib.import_module("importlib.metadata").version("icicle")  # type: ignore[no-any-return]
    return str(getattr(sys.modules.get("icicle"), "__version__", "unknown"))


def check_library(library: Any, its_version: str) -> None:
    """See that this icicle has all that is asked of it here.

    Raises:
        IcicleFault: with everything that it lacks.
    """
    if getattr(library, "InstrumentCluster", None) is None:
        raise IcicleFault(f"icicle {its_version} has no InstrumentCluster")
    lost = lacking(library)
    if lost:
        raise IcicleFault(f"icicle {its_version} cannot be used, it lacks: {', '.join(lost)}")


def lacking(library: Any) -> list[str]:
    """Give what icicle's cluster lacks of all that is asked of it here: methods, and arguments by their names."""
    cluster = library.InstrumentCluster
    lost = [f"InstrumentCluster({key}=...)" for key in CONSTRUCTOR if not accepts(cluster.__init__, key)]
    lost += [f"{name}()" for name in METHODS if not callable(getattr(cluster, name, None))]
    for name in MOVES:
        method = getattr(cluster, name, None)
        if not callable(method):
            lost.append(f"{name}()")
        elif not accepts(method, "module"):
            lost.append(f"{name}(module)")
    return lost


def accepts(function: Any, name: str) -> bool:
    """Tell whether a function takes an argument of this name."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return name in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())


def question(printed: str) -> str:
    """Say what icicle asked on a terminal that is not there."""
    facts = dict(re.findall(r"^\s*(Operation|Problem|Proposed Solution): *(.*?)\s*$", printed, re.MULTILINE))
    if "Problem" not in facts:
        return f"icicle asks a question, and nobody can answer: {' '.join(printed.split())[-300:]}"
    proposed = facts.get("Proposed Solution", "nothing")
    return f"icicle refuses ({facts.get('Operation', '?')}): {facts['Problem']}; icicle proposes: {proposed}"


def connected(instrument: Any) -> bool:
    """Tell whether an instrument is open."""
    state = instrument.connected
    return bool(state() if callable(state) else state)


def truth(value: Any) -> bool | None:
    """Read a state: a real truth value, or the 0 and 1 that some supplies give; None for anything else."""
    if isinstance(value, (bool, int, str)):
        return _ON.get(str(value).strip().upper())
    return None


def number(value: Any) -> float | None:
    """Read a number, or a text that is one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two readings of a voltage say the same."""
    first, second = one["voltage_v"], other["voltage_v"]
    if first is None or second is None:
        return first is second
    return bool(abs(first - second) <= max(2.0, 0.05 * abs(second)))


def ramp_step_v(settings: dict[str, Any]) -> float:
    """Give the step of a ramp, in volts: the settings' own as far as it is safe."""
    size = usable(settings.get("default_step_size"))
    return min(size, RAMP_STEP_MOST_V) if size is not None and size > 0 else RAMP_STEP_V


def ramp_delay_s(settings: dict[str, Any]) -> float:
    """Give the wait after each step of a ramp, in seconds: the settings' own as far as it is safe."""
    delay = usable(settings.get("default_delay"))
    return max(delay, RAMP_DELAY_LEAST_S) if delay is not None and delay >= 0 else RAMP_DELAY_S


def usable(value: Any) -> float | None:
    """Give a setting that is a finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def has_descriptor() -> bool:
    """Tell whether a descriptor can be had: what is closed now could not be opened again without."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def lock_paths(resource: str) -> list[str]:
    """Give the files that icicle may lock for an address: a tty itself, or one in its lock folder."""
    name = resource.replace("::INSTR", "")
    device = os.path.realpath(name[len("ASRL") :]) if name.startswith("ASRL") else ""
    if device and os.path.exists(device):  # noqa: PTH110
        return [device]
    folder = os.environ.get("ICICLE_LOCK_PATH") or "/tmp/icicle"  # noqa: S108 - icicle's own
    return [os.path.join(folder, name.replace("/", "__").replace(":", "--"))]  # noqa: PTH118


def flock_holders(path: str) -> list[str]:
    """Name the other processes that hold a flock on a file, by /proc/locks."""
    try:
        inode = str(os.stat(path).st_ino)  # noqa: PTH116
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    locks = [words[1:6] for words in map(str.split, lines) if words[1] == "FLOCK"]
    pids = [pid for _, _, _, pid, file in locks if file.rpartition(":")[2] == inode]
    return [f"pid {pid}{command_of(pid)}" for pid in pids if pid != str(os.getpid())]


def command_of(pid: str) -> str:
    """Give the command line of a process, shortened and in brackets; nothing if it cannot be seen."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    text = re.sub(r"[^\x20-\x7e]", "?", " ".join(raw.decode("utf-8", "replace").split("\0")).strip())
    return f" ({text[:80]})" if text else ""


def near(volts: float | None, target: float) -> bool:
    """Tell whether a voltage is where it should be; some supplies leave out the sign."""
    return volts is None or abs(abs(volts) - abs(target)) <= max(2.0, 0.05 * abs(target))


def furthest(values: Iterable[float | None]) -> float | None:
    """Give the value furthest from 0; what is no number is as far as can be."""
    known = [value for value in values if value is not None]
    return max(known, key=lambda value: math.inf if math.isnan(value) else abs(value)) if known else None


def reading(on: bool | None, volts: float | None, amps: float | None, why: str = "") -> dict[str, Any]:
    """Give a reading as the guard knows it."""
    return {"on": on, "voltage_v": volts, "current_a": amps, **({"why": why} if why else {})}
