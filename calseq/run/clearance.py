"""The clearance of a bench: its instruments locked, and every run before on them known to have left HV and LV off."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from calseq.model.plan import Plan, PowerMode
from calseq.model.rails import Role
from calseq.problems.codes import BENCH_BUSY, HV_BOX, UNKNOWN_STATE
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.record.aftermath import ended_safely, guard_confirmed
from calseq.record.memory import Last, newest
from calseq.record.run_folder import RECORD
from calseq.record.status import UNSEEN, Damaged, Phase, Standing
from calseq.system.locks import BenchLock, Ended, Holder

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


def check_hv_box(plan: Plan, *, closed: bool) -> None:
    """HV box of a plan with bias: refused unless it is confirmed `closed`, where the bench asks for that.

    Raises:
        Refused: it is not confirmed.
    """
    box = plan.hv_box
    if box and box.stated == "ask" and plan.needs_bias and not closed:
        message = f"a step needs bias, and calseq does not control {printable(box.shown, 80)}"
        cure = "look whether its channels are closed; then start with --hv-box-closed"
        raise Refused([Problem(HV_BOX, message, cure)])


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
        if isinstance(each.standing, Standing) and each.standing.phase in (Phase.RUNNING, Phase.DYING):
            raise _goes_on(each.standing)
    looked_into = [each.folder for each in known if not each.is_hidden] + ([but] if but else [])
    folders = set(map(os.path.realpath, looked_into))
    held = {holder.folder: holder for holder in lock.before.values() if not _is_off(holder)}
    found = [_held_unsafe(each) for each in held.values() if os.path.realpath(each.folder) not in folders]
    found += [_last_unsafe(each) for each in known if not _is_outdated(each, lock.before)]
    found += [Unknown(f"{each}: how the last run on it ended cannot be read") for each in lock.strange]
    return [each for each in found if each]


def _is_off(holder: Holder) -> bool:
    """A lock says that HV and LV were left off; what has no folder is a 'power off' that read them back."""
    return holder.ended == Ended.SAFE or not (holder.folder or holder.ended)


def _is_outdated(last: Last, words: Mapping[str, Holder]) -> bool:
    """Tell whether every lock that matters knows more than a run folder: of a run that is hidden, any word is more."""
    if last.is_hidden:
        return last.names <= set(words)
    said = [words[name] for name in last.names if name in words]
    return len(said) == len(last.names) and all(
        _is_off(holder) and holder.since > _last_word(last.standing) for holder in said
    )


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
    """Give the run that a lock tells of, unless its folder proves that HV and LV were left off."""
    folder = Path(holder.folder)
    who = f"run {printable(holder.run)} of {printable(holder.user)} on this bench, since {printable(holder.since)}"
    where = f"its folder {printable(holder.folder, 200)}"
    if not folder.is_absolute():
        return Unknown(f"{who}, {_NOT_CONFIRMED}")
    try:
        (folder / RECORD).stat()
    except (FileNotFoundError, NotADirectoryError):
        is_there = False
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        ended = _NOT_CONFIRMED if holder.ended == Ended.UNKNOWN else "does not say in its lock how it ended"
        return Unknown(f"{who}, {ended}; {where} may not be read from here: {why}")
    else:
        is_there = True
    if ended_safely(folder) if is_there else guard_confirmed(folder):
        return None
    missing = f"; {where} is missing" * (not os.path.lexists(folder))
    return Unknown(f"{who}, {_NOT_CONFIRMED}{missing}", folder if is_there else None)


def _last_unsafe(last: Last) -> Unknown | None:
    """Give the newest run on an instrument, unless its folder proves that HV and LV were left off."""
    standing, folder = last.standing, last.folder
    if last.is_hidden and isinstance(standing, Damaged):
        said = f"run {printable(folder.name)}, which may have been on this bench: {printable(standing.reason, 300)}"
        return Unknown(f"{said}; ask whom it belongs to, or share the runs: 'group:' in the bench file")
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
