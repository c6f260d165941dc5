"""The aftermath of a run: in which state it left HV and LV. Every command, screen and record asks here.

It is read from the run's own record, from its guard's, and from what was confirmed or acknowledged after its end.
"""

from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from calseq.model.events import MonitorRead, RunEnded, RunResumed, RunStarted, StepStarted
from calseq.model.plan import PowerMode
from calseq.model.verdicts import NOT_CONTROLLED, NOT_READ, UNKNOWN_HARDWARE, ExitCode
from calseq.record.journal import decode, read_journal
from calseq.record.run_folder import GUARD_JOURNAL, JOURNAL, SETTLED, RunRecord, read_record, replace_file
from calseq.system.files import read_end, read_regular

GUARD = "its guard"
_TAIL_BYTES = 64 * 1024
_GUARD_BYTES = 8 << 20
_BEFORE_GUARD = (RunStarted, RunResumed, MonitorRead)


class PowerState(StrEnum):
    """What is known of HV and LV after a run."""

    OFF = "off"
    UNKNOWN = "unknown"
    UNCONTROLLED = "not controlled"
    UNTOUCHED = "untouched"
    IN_USE = "in use"


class Settled(Struct, frozen=True):
    """What was done about a run that ended unsafe: `at` is UTC; `confirmed` that HV and LV were read back as off."""

    at: str
    by: str
    confirmed: bool
    run: str = ""


class Aftermath(Struct, frozen=True):
    """In which state a run left HV and LV, who says so, and when (UTC).

    `controlled` tells that calseq held the supplies. `taken_over` names who started another run though nothing was
    confirmed.
    """

    state: PowerState
    by: str = ""
    at: str = ""
    controlled: bool = True
    taken_over: str = ""

    @property
    def safe(self) -> bool | None:
        """HV and LV are known to have been left off; None where that is not said."""
        if self.state is PowerState.UNKNOWN:
            return None if self.taken_over else False
        return True if self.state in (PowerState.OFF, PowerState.UNTOUCHED) else None

    @property
    def words(self) -> str:
        """Sentence for the state, the same on every screen and in every record."""
        match self.state:
            case PowerState.OFF:
                return "HV off, LV off: confirmed" + (f" by {self.by}" if self.by else "")
            case PowerState.UNTOUCHED:
                return "nothing was switched"
            case PowerState.UNCONTROLLED:
                return f"{NOT_CONTROLLED}; {NOT_READ}"
            case PowerState.IN_USE:
                return "HV and LV are in use" if self.controlled else f"in use; {NOT_CONTROLLED}"
            case _:
                since = f"; {self.taken_over} started another run at {self.at}" if self.taken_over else ""
                return f"{UNKNOWN_HARDWARE}{'' if self.controlled else f': {NOT_READ}'}{since}"


def aftermath(folder: Path, record: RunRecord, *, goes_on: bool = False) -> Aftermath:
    """State of HV and LV after the run in `folder`; `goes_on`: a process of it lives, or may live."""
    controlled = record.mode != PowerMode.DIRIGENT
    if goes_on:
        return Aftermath(PowerState.IN_USE, controlled=controlled)
    found = _ended(folder, record, controlled) if record.state == "ended" else _died(folder, controlled)
    return _settled(folder, record, found) if found.state is PowerState.UNKNOWN else found


def ended_safely(folder: Path) -> bool:
    """Tell whether a run that is over is known to have left HV and LV off, or was taken over by its operator."""
    try:
        record = with_end(folder, read_record(folder))
    except (OSError, msgspec.MsgspecError):
        return False
    return aftermath(folder, record).safe is not False


def guard_confirmed(folder: Path) -> bool:
    """Tell whether a guard's last words are that it read both rails back as off; a 'power off' has nothing else."""
    return bool(_confirmed_at(folder))


def with_end(folder: Path, record: RunRecord) -> RunRecord:
    """Give the record of a run that is over, with the end that only its journal has, if run.json could not take it any more."""
    ended = _journal_end(folder) if record.state != "ended" else None
    if ended is None:
        return record
    return replace(
        record,
        state="ended",
        verdict=str(ended.verdict),
        exit_code=ended.exit_code,
        duration_s=ended.duration_s,
        reason=ended.reason,
    )


def settle(folder: Path, settled: Settled) -> bool:
    """Note in the folder of a run what was done about its unsafe end; False if it cannot be written."""
    try:
        replace_file(folder / SETTLED, msgspec.json.encode(settled) + b"\n")
    except OSError:
        return False
    return True


def _ended(folder: Path, record: RunRecord, controlled: bool) -> Aftermath:
    if record.exit_code == ExitCode.UNSAFE:
        confirmed_at = _confirmed_at(folder)
        if confirmed_at and _time(confirmed_at) >= _time(record.ended):
            return Aftermath(PowerState.OFF, GUARD, confirmed_at)
        return Aftermath(PowerState.UNKNOWN, controlled=controlled)
    if record.exit_code == ExitCode.REFUSED:
        # supplies that were not opened in time may be open later, and then the guard has to leave them safe
        state = PowerState.UNKNOWN if _is_unconfirmed(folder) else PowerState.UNTOUCHED
        return Aftermath(state, controlled=controlled)
    return Aftermath(PowerState.OFF if controlled else PowerState.UNCONTROLLED, controlled=controlled)


def _died(folder: Path, controlled: bool) -> Aftermath:
    if confirmed_at := _confirmed_at(folder):
        return Aftermath(PowerState.OFF, GUARD, confirmed_at)
    untouched = _is_untouched(folder) if controlled else _without_step(folder)
    return Aftermath(PowerState.UNTOUCHED if untouched else PowerState.UNKNOWN, controlled=controlled)


def _settled(folder: Path, record: RunRecord, found: Aftermath) -> Aftermath:
    """State after a later confirmation or acknowledgement; one from before the run was resumed does not count."""
    content = read_regular(folder / SETTLED, _TAIL_BYTES)
    try:
        settled = msgspec.json.decode(content or b"", type=Settled)
    except msgspec.MsgspecError:
        return found
    if _time(settled.at) < _time(record.since):
        return found
    if settled.confirmed:
        return Aftermath(PowerState.OFF, settled.by, settled.at, found.controlled)
    return replace(found, taken_over=settled.by or "somebody", at=settled.at)


def _is_untouched(folder: Path) -> bool:
    """Tell whether a run was torn off before its guard, which writes first, opened a supply."""
    guard = (folder / GUARD_JOURNAL).is_symlink() or (folder / GUARD_JOURNAL).exists()
    return not guard and _told_only(folder, _BEFORE_GUARD)


def _without_step(folder: Path) -> bool:
    """Whether a run died before any child was started: the journal records a step's start before its child."""
    try:
        told, wrong = read_journal(folder / JOURNAL)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return not wrong and not any(isinstance(each.event, StepStarted) for each in told)


def _told_only(folder: Path, kinds: tuple[type, ...]) -> bool:
    try:
        told, _ = read_journal(folder / JOURNAL)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return all(isinstance(each.event, kinds) for each in told)


def _is_unconfirmed(folder: Path) -> bool:
    """Tell whether the last guard of a run said that off is not confirmed, and did not confirm it later."""
    with suppress(OSError, ValueError):
        said = [
            msgspec.json.decode(line) for line in read_end(folder / GUARD_JOURNAL, _TAIL_BYTES).splitlines()
        ]
        names = [each.get("event") for each in said if isinstance(each, dict)]
        return "unknown" in names and not guard_confirmed(folder)
    return False


def confirmed_ats(folder: Path) -> tuple[float, ...]:
    """Every time at which a guard of a run ended with both rails read back as off (POSIX seconds)."""
    lines = (read_regular(folder / GUARD_JOURNAL, _GUARD_BYTES) or b"").splitlines()
    times = (_time(_confirmed_in(line)) for line in lines if b'"ended"' in line)
    return tuple(filter(None, times))


def confirmed_at(folder: Path) -> float | None:
    """Time at which the guard read both rails back as off (POSIX seconds), if those are its last words."""
    return _time(_confirmed_at(folder)) or None


def _confirmed_at(folder: Path) -> str:
    """Give when the guard read both rails back as off, if those are its last words; else an empty text."""
    with suppress(OSError, IndexError):
        return _confirmed_in(read_end(folder / GUARD_JOURNAL, _TAIL_BYTES).splitlines()[-1])
    return ""


def _confirmed_in(line: bytes) -> str:
    """Time in a line of the guard's record, if by that it ended with both rails read back as off; else an empty text."""
    with suppress(ValueError):
        said = msgspec.json.decode(line)
        if isinstance(said, dict) and said.get("event") == "ended" and said.get("confirmed") is True:
            return str(said.get("time") or "unknown")
    return ""


def _time(text: str) -> float:
    """Give a moment in POSIX seconds; what tells none was long ago."""
    with suppress(ValueError):
        return datetime.fromisoformat(text).timestamp()
    return 0.0


def _journal_end(folder: Path) -> RunEnded | None:
    """Give the last event of a journal, if it is the end of the run."""
    with suppress(OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
        event = decode(read_end(folder / JOURNAL, _TAIL_BYTES).splitlines(keepends=True)[-1]).event
        return event if isinstance(event, RunEnded) else None
    return None
