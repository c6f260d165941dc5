"""Faults of the simulator, as values parsed from text."""

import difflib
import re
import signal
from collections.abc import Callable, Mapping

from msgspec import Struct

POWER = "power"
"""The key under which the supplies' own faults stand; every other key is a step or a calibration."""

FAULTS = {
    "exit": "exit:N ends in mid-measurement with exit code N, supplies switched off",
    "signal": "signal:SEGV dies of that signal in mid-measurement, supplies left as they are",
    "hang": "never goes on, until its time-out in real seconds; answers SIGINT",
    "stubborn": "never goes on and ignores SIGINT",
    "unkillable": "never goes on and ignores SIGINT and SIGTERM",
    "stop": "stops itself with SIGSTOP",
    "sleep": "sleep:S waits S real seconds, then goes on; answers SIGINT",
    "prompt": "asks a question and reads stdin; at its end fails as icicle does",
    "flood": "flood:BYTES prints that many bytes as fast as it can, such as flood:1GB",
    "longline": "longline:BYTES prints one line of that length",
    "garbage": "prints random bytes, NULs, lone carriage returns and attacks on terminals",
    "close-output": "closes stdout and stderr at the start and goes on",
    "no-output": "ends well without leaving a file",
    "empty-output": "ends well and leaves empty files",
    "breakdown": "breakdown:V gives the sensors this breakdown voltage from this IV curve on",
    "breakdowns-malformed": "leaves a breakdowns.json that is cut off",
    "breakdowns-stale": "leaves a breakdowns.json that is an hour old by the clock of its file system",
    "breakdowns-missing": "leaves all files but breakdowns.json",
    "breakdowns-nan": "writes NaN as breakdown voltage",
    "breakdowns-other": "writes breakdowns.json for a channel that does not exist",
    "breakdowns-magnitude": "writes breakdown voltages without their sign",
    "ends": "ends:V ends the IV curve at that voltage, and finds no breakdown",
    "compliance": "compliance:V is at its compliance from that voltage on, which it holds",
    "rise": "rise:V lets the current rise by 60 % in 5 V from that voltage on",
    "drift": "measures half of the voltage that was set, and writes both",
    "two-files": "leaves a second breakdowns.json in a folder below, which says -30 V",
    "millivolt": "writes millivolts below a heading of volts",
    "sentinel": "writes 9.91e37 for the currents from 40 V to 60 V",
    "grandchild": "leaves a process in a session of its own that keeps the log open for 60 s",
    "grandchild-stubborn": "the same, and it ignores SIGINT and SIGTERM",
    "daemon": "leaves such a process with another environment and no open file",
}
"""What a step may do wrong, by name. `+` joins several; `@N` behind one limits it to attempt N."""

POWER_FAULTS = {
    "hv-on-fails": "HV on raises an error, always or hv-on-fails:N times",
    "hv-off-fails": "HV off raises an error and HV stays on, always or hv-off-fails:N times",
    "hv-off-hangs": "HV off does not answer for 60 s or hv-off-hangs:S, then raises an error",
    "lv-on-fails": "LV on raises an error, always or lv-on-fails:N times",
    "lv-off-fails": "LV off raises an error and LV stays on, always or lv-off-fails:N times",
    "fails-once": "the first move of any supply raises an error",
    "hv-residual": "hv-residual:V is left on an HV output after it was switched off",
    "hv-reads-nan": "the voltage of HV reads as not a number",
    "unreadable": "no supply can be read",
}
"""What the supplies may do wrong, by name; for the key `power`."""


def _exit_code(text: str) -> float:
    code = int(text)
    if not 0 <= code <= 255:
        raise ValueError("an exit code is 0 to 255")
    return code


def _signal(text: str) -> float:
    if text.isdigit():
        return signal.Signals(int(text))
    name = text.upper()
    try:
        return signal.Signals[name if name.startswith("SIG") else f"SIG{name}"]
    except KeyError:
        raise ValueError("no such signal") from None


def _bytes(text: str) -> float:
    match = re.fullmatch(r"(\d+)\s*([kMG]?)B?", text)
    if match is None:
        raise ValueError("a size looks like 500, 64kB, 10MB or 1GB")
    return int(match[1]) * {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[match[2]]


def _volts(text: str) -> float:
    volts = float(text)
    if not abs(volts) < 1e4:
        raise ValueError("not a voltage")
    return volts


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 900:
        raise ValueError("0 to 900 seconds")
    return seconds


def _times(text: str) -> float:
    times = int(text)
    if times < 1:
        raise ValueError("at least once")
    return times


_NEEDED: dict[str, Callable[[str], float]] = {
    "exit": _exit_code,
    "signal": _signal,
    "sleep": _seconds,
    "flood": _bytes,
    "longline": _bytes,
    "breakdown": _volts,
    "ends": _volts,
    "compliance": _volts,
    "rise": _volts,
    "hv-residual": _volts,
}
_OPTIONAL: dict[str, Callable[[str], float]] = {
    "hv-on-fails": _times,
    "hv-off-fails": _times,
    "lv-on-fails": _times,
    "lv-off-fails": _times,
    "hv-off-hangs": _seconds,
}


class Fault(Struct, frozen=True):
    """One misbehaviour. `value` is its number, if it has one; `attempt` the only attempt that shows it."""

    kind: str
    value: float | None = None
    attempt: int | None = None


class Misbehaviour(Struct, frozen=True):
    """All that goes wrong in one attempt at a step, or in the supplies."""

    faults: tuple[Fault, ...] = ()

    def __contains__(self, kind: object) -> bool:
        return any(fault.kind == kind for fault in self.faults)

    def value(self, kind: str) -> float | None:
        """Give the number of a fault: None when it is not there, or has none."""
        return next((fault.value for fault in self.faults if fault.kind == kind), None)


def parse(text: str, known: Mapping[str, str] = FAULTS) -> tuple[Fault, ...]:
    """Read faults joined by `+`, such as `exit:3@1+no-output`.

    Raises:
        ValueError: one of them is not known, or its number is wrong.
    """
    return tuple(_fault(word.strip(), known) for word in text.split("+"))


def check(faults: Mapping[str, str]) -> None:
    """Parse all faults of a bench, to find what is wrong with them before anything starts.

    Raises:
        ValueError: names the key and what is wrong.
    """
    for key, text in faults.items():
        try:
            parse(text, POWER_FAULTS if key == POWER else FAULTS)
        except ValueError as error:
            raise ValueError(f"fault for {key!r}: {error}") from None


def of_step(faults: Mapping[str, str], step: str, calibration: str, attempt: int) -> Misbehaviour:
    """Give what goes wrong in an attempt at a step; the step's own name goes before its calibration's."""
    text = faults.get(step) or faults.get(calibration)
    parsed = parse(text) if text else ()
    return Misbehaviour(tuple(fault for fault in parsed if fault.attempt in (None, attempt)))


def of_power(faults: Mapping[str, str]) -> Misbehaviour:
    """Give what goes wrong in the supplies."""
    text = faults.get(POWER)
    return Misbehaviour(parse(text, POWER_FAULTS) if text else ())


def _fault(word: str, known: Mapping[str, str]) -> Fault:
    match = re.fullmatch(r"([a-z-]+)(?::([^@]+))?(?:@([1-9]\d*))?", word)
    if match is None or match[1] not in known:
        raise ValueError(_unknown(word, known))
    kind, text, attempt = match.groups()
    return Fault(kind, _value(kind, text), int(attempt) if attempt else None)


def _value(kind: str, text: str | None) -> float | None:
    read = _NEEDED.get(kind) or _OPTIONAL.get(kind)
    if text is None:
        if kind in _NEEDED:
            raise ValueError(f"{kind!r} needs a value: {(FAULTS | POWER_FAULTS)[kind]}")
        return None
    if read is None:
        raise ValueError(f"{kind!r} takes no value, and got {text!r}")
    try:
        return read(text)
    except ValueError as error:
        raise ValueError(f"{kind}:{text}: {error}") from None


def _unknown(word: str, known: Mapping[str, str]) -> str:
    name = re.split("[:@]", word, maxsplit=1)[0]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f", did you mean {near[0]!r}?" if near else ""
    return f"unknown fault {word[:40]!r}{hint} (known: {', '.join(known)})"
