"""The backend of mode `icicle`: real supplies, through icicle's InstrumentCluster, inside the guard.

Only the instruments of LV and HV are in its cluster: boards and cold boxes are never opened here, so handing
one over changes nothing, and LV stays as it is. The cluster's own `__exit__` is never used. It switches off
whatever it holds, and it leaves handles open: instruments count their openings, one for the cluster and one
for each channel. A cluster cannot be made twice in a process either. So the cluster stays, and single
instruments are closed and opened again through it.

States are believed only as they are read back: what icicle's methods return is not a reading. A channel's
`voltage` is what is set, its `measure_voltage` what is there. Some supplies report their state as text or 0
and 1, which icicle itself takes for "not on": its `hv_on` would then set HV hard to 0 V and ramp it again.
So HV is only switched on where it reads off, and every output on its own.
"""

from __future__ import annotations

import importlib
import inspect
import math
import re
import sys
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

CONSTRUCTOR = ("instrument_dict", "channels_dict")
METHODS = ("__enter__", "get_modules", "get_instruments")
MOVES = ("lv_on_module", "lv_off_module", "hv_on_module", "hv_off_module")
RAILS = ("lv", "hv")
MAX_OPENINGS = 64
_ON = {"1": True, "ON": True, "TRUE": True, "0": False, "OFF": False, "FALSE": False}


class IcicleFault(Exception):
    """icicle or a supply did not do or say what it should."""


class Output:
    """An output of a supply: its instrument, a module that hangs on it, and the module's channel of it."""

    def __init__(self, role: str, instrument: str, number: Any, module: Any) -> None:
        self.name = f"{instrument}:{number}"
        self.instrument = instrument
        self.module = module
        self.channel = module[role]


class IciclePower:
    """The LV and HV outputs of a bench, held through one cluster."""

    def __init__(
        self, instruments: dict[str, Any], channels: dict[str, Any], printed: Callable[[], str]
    ) -> None:
        """Open the LV and HV instruments; `printed` gives what was printed since it was asked last.

        Raises:
            IcicleFault: icicle cannot be imported, is not one that this adapter knows, or does not open them.
        """
        self._printed = printed
        self._stop = False
        self._instruments, self._channels = supplies_only(instruments, channels)
        check_settings(self._instruments)
        library = load()
        self.versions = {"icicle": version()}
        check_library(library, self.versions["icicle"])
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
        limits = [abs(float(self._instruments[name]["default_current"])) for name in self._named({"hv"})]
        self.compliance_a = min(limits) if limits else None
        self._cluster: Any = self._ask("open", self._make, library)
        self._opened: set[str] = set()
        try:
            self._ask("open", self._cluster.__enter__)
            self._opened = set(self._instruments)
            self._outputs = {role: self._outputs_of(role) for role in RAILS}
        except BaseException:
            with suppress(Exception):
                self._opened = set(self._instruments)
                self.close()
            raise

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

    def take_back(self, roles: Iterable[str]) -> None:
        """Open them again, and set the compliance again, which somebody else may have changed."""
        for name in self._named(set(roles)):
            if name not in self._opened:
                self._ask(f"open {name}", self._cluster.get_instruments()[name].__enter__)
                self._opened.add(name)
        limit = getattr(self._cluster, "hv_set_ocp_module", None)
        if "hv" in roles and limit is not None:
            for output in self._outputs["hv"]:
                self._ask(f"{output.name} compliance", limit, output.module, output.channel.default_current)

    def violations(self) -> list[str]:
        """A real bench records none."""
        return []

    def abort(self, asked: bool) -> None:
        """Ask that a ramp upwards stops where it is, if this icicle can be asked; or take that back."""
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
        options = {"instrument_dict": self._instruments, "channels_dict": self._channels}
        if accepts(library.InstrumentCluster.__init__, "resource"):
            # icicle locks clusters by this name, on the whole machine: benches are not to wait for each other.
            addresses = sorted(str(settings.get("resource")) for settings in self._instruments.values())
            options["resource"] = f"calseq-{zlib.crc32('|'.join(addresses).encode()):08x}"  # type: ignore[assignment]
        return library.InstrumentCluster(**options)

    def _named(self, roles: set[str]) -> list[str]:
        return [name for name, own in self._roles.items() if own & roles]

    def _outputs_of(self, role: str) -> list[Output]:
        """Give the outputs of a role; one that serves several modules once."""
        modules, found = self._cluster.get_modules(), {}
        for number, entry in self._channels.items():
            if role in entry:
                place = (entry[role]["instrument"], entry[role]["channel"])
                if place not in found:
                    found[place] = Output(role, *place, modules[number])
        return list(found.values())

    def _read_rail(self, role: str) -> dict[str, Any]:
        outputs = self._outputs[role]
        if not outputs:
            return reading(False, None, None, "there is none on this bench")
        if any(output.instrument not in self._opened for output in outputs):
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
        return reading(
            None if len(states) > 1 else states.pop(),
            furthest(one["voltage_v"] for one in each.values()),
            furthest(one["current_a"] for one in each.values()),
            mixed if len(states) > 1 else "",
        )

    def _read_output(self, output: Output) -> dict[str, Any]:
        channel, name = output.channel, output.name
        raw = self._ask(f"{name} state", lambda: channel.state)
        on = truth(raw)
        if on is None:
            return reading(None, None, None, f"{name}: its state is no state: {str(raw)[:80]}")
        volts = self._measured(output, "measure_voltage")
        if volts is None:
            volts = number(self._ask(f"{name} voltage", lambda: channel.voltage))
        return reading(on, volts, self._measured(output, "measure_current"))

    def _measured(self, output: Output, what: str) -> float | None:
        """Measure; None where this channel cannot. Its `current` is what is set, often the compliance."""
        meter = getattr(output.channel, what, None)
        if meter is None:
            return None
        return number(self._ask(f"{output.name} {what}", lambda: meter.value))

    def _move_output(self, output: Output, role: str, goal: str) -> None:
        if goal == "off":
            self._off(output, role)
        elif role == "lv":
            self._ask(f"{output.name} lv-on", self._cluster.lv_on_module, output.module)
        else:
            self._bias(output)

    def _off(self, output: Output, role: str) -> None:
        try:
            if self._read_output(output)["on"] is False:
                return
        except IcicleFault:
            pass  # what cannot be read is switched off all the same
        method = getattr(self._cluster, f"{role}_off_module")
        self._ask(f"{output.name} {role}-off", method, output.module, **quiet(method))

    def _bias(self, output: Output) -> None:
        target = float(output.channel.default_voltage)
        before = self._read_output(output)
        if before["on"] is not False:
            if before["on"] and near(before["voltage_v"], target):
                return
            raise IcicleFault(
                f"{output.name} is not off, but at {before['voltage_v']} V: switch HV off first"
            )
        method = self._cluster.hv_on_module
        options = quiet(method)
        if accepts(method, "break_loop") and accepts(output.channel.sweep, "break_loop"):
            options["break_loop"] = lambda: self._stop
        self._ask(f"{output.name} hv-bias", method, output.module, **options)
        after = self._read_output(output)
        if self._stop:
            raise IcicleFault(f"{output.name}: the ramp was stopped at {after['voltage_v']} V")
        if after["on"] and not near(after["voltage_v"], target):
            raise IcicleFault(f"{output.name} reads {after['voltage_v']} V after its ramp to {target:g} V")

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
    cluster = getattr(library, "InstrumentCluster", None)
    if cluster is None:
        raise IcicleFault(f"icicle {its_version} has no InstrumentCluster")
    lacking = [f"InstrumentCluster({key}=...)" for key in CONSTRUCTOR if not accepts(cluster.__init__, key)]
    lacking += [f"{name}()" for name in METHODS if not callable(getattr(cluster, name, None))]
    for name in MOVES:
        method = getattr(cluster, name, None)
        if not callable(method):
            lacking.append(f"{name}()")
        elif not accepts(method, "module"):
            lacking.append(f"{name}(module)")
    if lacking:
        raise IcicleFault(f"icicle {its_version} cannot be used, it lacks: {', '.join(lacking)}")


def accepts(function: Any, name: str) -> bool:
    """Tell whether a function takes an argument of this name."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return name in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())


def quiet(method: Any) -> dict[str, Any]:
    """Ask for a ramp without a measurement at each step, where that can be asked for by name."""
    with suppress(TypeError, ValueError):
        if "measure" in inspect.signature(method).parameters:
            return {"measure": False}
    return {}


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
