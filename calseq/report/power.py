"""State of HV and LV after a run: its source, and when it was read."""

from collections.abc import Callable

from msgspec import Struct

from calseq.model.rails import Reading
from calseq.record.aftermath import GUARD, Aftermath, PowerState
from calseq.record.run_folder import RECORD
from calseq.record.status import Phase, Standing
from calseq.report.history import Chronicle
from calseq.system.times import spoken

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


def power_word(standing: Standing, told: Chronicle, guard_at: float | None) -> PowerWord:
    """Say in which state HV and LV were left, as `standing` has it; what was read, and when, comes from the events."""
    power = standing.power
    match power.state:
        case PowerState.IN_USE:
            return _in_use(standing, told)
        case PowerState.UNKNOWN:
            return _unknown(told, power)
        case PowerState.UNCONTROLLED:
            return PowerWord(power.state, f"HV and LV were {power.words}")
        case PowerState.UNTOUCHED:
            return PowerWord(power.state, "HV and LV were not touched by this run")
        case _:
            return _off(power, guard_at, told)


def _off(power: Aftermath, guard_at: float | None, told: Chronicle) -> PowerWord:
    """Both rails off, by the reading of calseq, of its guard, or of a later command."""
    said, end = "HV and LV are off", told.view.safe_end
    if power.by == GUARD:
        return PowerWord(
            power.state, said, f"the guard, after calseq itself was gone{_before(told)}", guard_at
        )
    if power.by:
        return PowerWord(power.state, said, f"{power.by} at {power.at}")
    if end and end.confirmed:
        return PowerWord(power.state, said, "calseq", told.past.safe_end_at, readings_words(told))
    return PowerWord(power.state, _NO_READING, RECORD)


def _before(told: Chronicle) -> str:
    """Say what calseq itself had read last, and how long after the run's begin."""
    readings, read_t = readings_words(told), told.view.rails.read_t
    return (
        f" (calseq had last read {readings}, {spoken(read_t - told.gap_s)} after the begin)"
        if readings and read_t
        else ""
    )


def _unknown(told: Chronicle, power: Aftermath) -> PowerWord:
    by = "calseq" if power.controlled else "calseq: dirigent had the supplies, and was ended"
    return PowerWord(PowerState.UNKNOWN, power.words, by, _read_at(told), readings_words(told))


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
    """Source, readings and time of the state of HV and LV, in a sentence; empty without any."""
    at = moment(word.read_at) if word.read_at else ""
    if word.state is PowerState.OFF:
        if word.by == RECORD:
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
    return reading.word if reading.voltage_v is None else f"{reading.word} {reading.voltage_v:.1f} V"
