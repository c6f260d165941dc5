"""The clearance of a bench: its instruments locked, and every run before on them known to have left HV and LV off."""

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from calseq.aftermath import ended_safely, guard_confirmed
from calseq.locks import BenchLock, Ended, Holder
from calseq.memory import newest
from calseq.plaintext import printable
from calseq.plan import Plan, PowerMode
from calseq.problems import BENCH_BUSY, UNKNOWN_STATE, Problem, Refused
from calseq.rails import Role
from calseq.standing import UNSEEN, Damaged, Phase, Standing

_NOT_CONFIRMED = "ended, and it was not confirmed that HV and LV are off"


def lock_bench(plan: Plan) -> BenchLock:
    """Lock all that a run of a plan may touch.

    Raises:
        Refused: another run holds an instrument.
    """
    return BenchLock(lockable(plan), Path(plan.locks) if plan.locks else None)


def lockable(plan: Plan) -> tuple[str, ...]:
    """Give the addresses of the real instruments of a plan: what only one run at a time may touch."""
    if plan.all_simulated:
        return ()
    return tuple(instrument.resource for instrument in plan.instruments if not instrument.sim)


class Unknown(Struct, frozen=True):
    """A run of which it is not known that it left HV and LV off: what is said of it, and its folder, if that is there."""

    said: str
    folder: Path | None = None


def check_before(
    lock: BenchLock, plan: Plan, places: Iterable[Path], but: Path | None = None
) -> list[Unknown]:
    """Give the last runs on the instruments of a plan that are not known to have left HV and LV off.

    The locks are asked, and the folders of runs at `places`; `but` is the folder of the run itself, if it has one.

    Raises:
        Refused: a run on one of them goes on, which the locks did not tell.
    """
    known = newest(places, lockable(plan), but)
    for each in known:
        if isinstance(each, Standing) and each.phase in (Phase.RUNNING, Phase.DYING):
            raise _goes_on(each)
    read_back = max((holder.since for holder in lock.before if not holder.folder), default="")
    folders = {str(each.folder.resolve()) for each in known} | ({str(but.resolve())} if but else set())
    held = {holder.folder: holder for holder in lock.before if holder.folder and holder.ended != Ended.SAFE}
    found = [_held_unsafe(each) for each in held.values() if str(Path(each.folder).resolve()) not in folders]
    found += [_ended_unsafe(each) for each in known if _last_word(each) >= read_back]
    return [each for each in found if each]


def own_unknown(folder: Path) -> list[Unknown]:
    """Give the run in a folder, which is to go on, if it is not known to have left HV and LV off itself."""
    said = f"run {printable(folder.name)} {_NOT_CONFIRMED}"
    return [] if ended_safely(folder) else [Unknown(said, folder)]


def refuse_unknown(found: Iterable[Unknown], plan: Plan) -> None:
    """Refuse a run on a bench whose state is not known.

    Raises:
        Refused: there is such a run before it; it names the supplies to look at.
    """
    off = "" if plan.mode is PowerMode.DIRIGENT else "'calseq power off', or "
    supplies = "; ".join(
        f"{role.value.upper()}: {printable(each.name)} at {printable(each.resource)}"
        for role in (Role.HV, Role.LV)
        for each in plan.instruments
        if role in each.roles
    )
    cure = f"read HV and LV at the supplies ({supplies}); then {off}start with --acknowledge"
    problems = [Problem(UNKNOWN_STATE, each.said, cure) for each in found]
    if problems:
        raise Refused(problems)


def _goes_on(standing: Standing) -> Refused:
    record = standing.record
    message = (
        f"run {printable(record.run)} of {printable(record.operator)} goes on on this bench, pid {record.pid} since "
        f"{printable(record.since)}, and its locks are not seen from here"
    )
    cure = "wait for its end; name one folder of locks for both: 'locks:' in the bench file"
    return Refused([Problem(BENCH_BUSY, message, cure)])


def _held_unsafe(holder: Holder) -> Unknown | None:
    folder = Path(holder.folder)
    is_there = (folder / "run.json").exists()
    if ended_safely(folder) if is_there else guard_confirmed(folder):
        return None
    who = f"run {printable(holder.run)} of {printable(holder.user)} on this bench, since {printable(holder.since)}"
    missing = f"; its folder {printable(holder.folder, 200)} is missing" * (not folder.exists())
    return Unknown(f"{who}, {_NOT_CONFIRMED}{missing}", folder if is_there else None)


def _ended_unsafe(standing: Standing | Damaged) -> Unknown | None:
    folder = standing.folder
    if isinstance(standing, Damaged):
        return Unknown(
            f"run {printable(folder.name)} on this bench: {printable(standing.reason, 300)}", folder
        )
    record = standing.record
    who = f"run {printable(record.run)} of {printable(record.operator)} on this bench, since {printable(record.since)}"
    if standing.phase is Phase.ELSEWHERE:
        return Unknown(f"{who}, goes on on {printable(record.host)}, as far as its record says", folder)
    if standing.phase is Phase.UNSEEN:
        return Unknown(f"{who}: {UNSEEN}", folder)
    return Unknown(f"{who}, {_NOT_CONFIRMED}", folder) if standing.safe is False else None


def _last_word(standing: Standing | Damaged) -> str:
    """Give when a run said something last (UTC); of one that cannot be read, later than anything."""
    return "9" if isinstance(standing, Damaged) else standing.record.ended or standing.record.since
