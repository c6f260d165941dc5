"""In which state a run left HV and LV, who says so, and when that was read."""

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct

from calseq.console.times import spoken
from calseq.rails import Reading
from calseq.report.chronicle import Chronicle
from calseq.standing import GOING_ON, Phase, Standing
from calseq.verdicts import UNKNOWN_HARDWARE, RunVerdict


class PowerState(StrEnum):
    """What is known of HV and LV after a run."""

    OFF = "off"
    UNKNOWN = "unknown"
    UNCONTROLLED = "not controlled"
    UNTOUCHED = "untouched"
    IN_USE = "in use"


_UNCONTROLLED = "HV and LV were not controlled by calseq: dirigent switched the supplies itself, and nobody read them back"
_NO_READING = (
    "run.json says that HV and LV are off, but the reading itself is missing from events.jsonl: "
    "look at the supplies"
)


class PowerWord(Struct, frozen=True):
    """What is known of HV and LV, in a sentence, and by whom and when (POSIX seconds) it was read."""

    state: PowerState
    said: str
    by: str = ""
    read_at: float | None = None
    readings: str = ""


def power_word(standing: Standing, told: Chronicle, guard_at: float | None, *, damaged: bool) -> PowerWord:
    """Say in which state HV and LV were left. Only a reading makes them off; a damaged record is no reading."""
    view = told.view
    end = view.safe_end
    if standing.phase in GOING_ON:
        return _in_use(standing, told)
    if standing.safe is False or (view.ended and view.ended.verdict is RunVerdict.UNSAFE):
        return _unknown(told)
    if not view.plan.controls_rails:
        return PowerWord(PowerState.UNCONTROLLED, _UNCONTROLLED)
    if end:
        return _read_back(told) if end.confirmed else _unknown(told)
    return _without_end(standing.phase, guard_at, told, touched=view.rails.touched or damaged)


def _without_end(phase: Phase, guard_at: float | None, told: Chronicle, *, touched: bool) -> PowerWord:
    """Say what is known of a run whose events have no safe end."""
    if phase is Phase.DIED and guard_at is not None:
        by = f"the guard, after calseq itself was gone{_before(told)}"
        return PowerWord(PowerState.OFF, "HV and LV are off", by, guard_at)
    if phase is Phase.ENDED and touched:
        return PowerWord(PowerState.OFF, _NO_READING, "run.json")
    return PowerWord(PowerState.UNTOUCHED, "HV and LV were not touched by this run")


def _before(told: Chronicle) -> str:
    """Say what calseq itself had read last, and how long after the run's begin."""
    readings, read_t = readings_words(told), told.view.rails.read_t
    return (
        f" (calseq had last read {readings}, {spoken(read_t)} after the begin)" if readings and read_t else ""
    )


def _unknown(told: Chronicle) -> PowerWord:
    by = "calseq" if told.view.plan.controls_rails else "calseq: dirigent had the supplies, and was ended"
    return PowerWord(PowerState.UNKNOWN, UNKNOWN_HARDWARE, by, _read_at(told), readings_words(told))


def _read_back(told: Chronicle) -> PowerWord:
    return PowerWord(PowerState.OFF, "HV and LV are off", "calseq", told.safe_end_at, readings_words(told))


def _in_use(standing: Standing, told: Chronicle) -> PowerWord:
    said = "the run goes on: HV and LV are in use"
    if standing.phase is Phase.DYING:
        said = "calseq is gone, and its guard is making the bench safe"
    if not told.view.plan.controls_rails:
        said = f"{said}; calseq does not control them, dirigent does"
    return PowerWord(PowerState.IN_USE, said, read_at=_read_at(told), readings=readings_words(told))


def _read_at(told: Chronicle) -> float | None:
    view = told.view
    return None if view.rails.read_t is None else view.at - view.t + view.rails.read_t


def evidence(word: PowerWord, moment: Callable[[float], str]) -> str:
    """Say who says in which state HV and LV are, what was read, and when; empty if nobody read anything."""
    at = moment(word.read_at) if word.read_at else ""
    if word.state is PowerState.OFF:
        if word.by == "run.json":
            return ""
        read = f", read at {at}" if at else ""
        return f"Confirmed by {word.by}{read}{f': {word.readings}' if word.readings else ''}."
    last = f"Last read: {word.readings}{f', at {at}' if at else ''}." if word.readings else ""
    by = f"Said by {word.by}." if word.by else ""
    return " ".join(filter(None, (by, last)))


def readings_words(told: Chronicle) -> str:
    """Give both rails as they were last read: `HV off 0.0 V, LV on 4.0 V`; empty if they never were."""
    readings = told.view.rails.readings
    return "" if readings is None else f"HV {_reading(readings.hv)}, LV {_reading(readings.lv)}"


def _reading(reading: Reading) -> str:
    word = "unknown" if reading.on is None else "on" if reading.on else "off"
    return word if reading.voltage_v is None else f"{word} {reading.voltage_v:.1f} V"
