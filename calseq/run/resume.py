"""Resuming a run that ended early: its folder locked and read, compared with today, and made ready to go on."""

import hashlib
import os
import platform
import socket
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from calseq.measurement.witnesses import read_witnesses
from calseq.model.confidential import told
from calseq.model.events import RunResumed
from calseq.model.plan import STAND_IN_SAYS, InputFile, Plan, from_json, to_json
from calseq.model.rails import StepType
from calseq.model.version import __version__
from calseq.planning.resumption import Resumption, changed_files, resume
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.record.history import expected
from calseq.record.journal import JournalReading, cut_tail, scan
from calseq.record.past import Past, past
from calseq.record.processes import children, guard_lives, run_lives
from calseq.record.run_folder import (
    JOURNAL,
    RunRecord,
    attempts_made,
    check_room,
    no_folder,
    read_plan,
    read_record,
    utc,
    write_plan,
    write_record,
)
from calseq.record.seal import SEAL, seal
from calseq.run.clearance import check_before, check_hv_box, lock_bench, own_unknown, refuse_unknown
from calseq.run.executor import Beginning
from calseq.run.run import ResumePoint, Run, take_over
from calseq.system.clock import now_s
from calseq.system.files import INPUT_BYTES, JOURNAL_BYTES, read_whole
from calseq.system.locks import FolderLock
from calseq.system.proc import is_hidden
from calseq.system.process import user
from calseq.system.signals import Stops

GUARD_WAIT_S = 900.0
"""How long the guard of a killed run gets to make the bench safe: the grace of a step, the ramps, and more."""
STRANGER_WAIT_S = 5.0
"""A guard that was only just started has not written yet that it is one."""

_NEEDED = ("dirigent", "modules")
"""The files that a child reads itself; all others are in the plan."""


class EndedRun(Struct, frozen=True):
    """A run that may be resumed: its folder locked, and read."""

    folder: Path
    record: RunRecord
    plan: Plan
    past: Past
    reading: JournalReading
    mine: FolderLock


def open_ended(folder: Path, stops: Stops, tell: Callable[[str], None]) -> EndedRun:
    """Lock a run folder and read it. The guard of a killed run, making the bench safe, is waited for; `tell` is told so.

    Raises:
        Refused: the run goes on, or what it left cannot be gone on with; or somebody wanted to stop meanwhile.
    """
    folder = folder.absolute()
    mine = _locked(folder, stops, tell)
    try:
        return _read(folder, mine)
    except BaseException:
        mine.release()
        raise


def _locked(folder: Path, stops: Stops, tell: Callable[[str], None]) -> FolderLock:
    began_s, told = now_s(), False
    while (mine := _tried(folder)) is None:
        by, patience_s = _holder(folder, _record(folder))
        if stops.level or now_s() >= began_s + patience_s:
            if mine := _tried(folder):  # whoever it was has gone meanwhile
                break
            raise _refused(f"run {printable(folder.name)} cannot be resumed yet: {by}", "wait for its end")
        if patience_s == GUARD_WAIT_S and not told:
            tell("the guard of this run is making the bench safe: waiting for it (Ctrl-C: do not wait)")
            told = True
        stops.pause(0.2)
    return mine


def _tried(folder: Path) -> FolderLock | None:
    try:
        return FolderLock(folder)
    except BlockingIOError:
        return None
    except OSError as error:
        message = f"{printable(str(folder))} cannot be locked: {(error.strerror or str(error)).lower()}"
        raise _refused(message, "a run folder must be on a file system that can lock it") from error


def _holder(folder: Path, record: RunRecord) -> tuple[str, float]:
    """Say who has a run folder, and for how many seconds to wait for them: a guard comes to its end by itself."""
    if run_lives(record.pid, record.since):
        return f"it goes on, pid {record.pid} since {printable(record.since)}", 0.0
    if guard_lives(folder):
        return "its guard is still making the bench safe", GUARD_WAIT_S
    left = children(folder)
    if left:
        nobody = "and nobody watches it: 'calseq power off' asks it to stop"
        return f"a child of it still runs, pid {left[0]}, {nobody}", 0.0
    if is_hidden(record.pid):
        return f"it goes on, pid {record.pid} of another user since {printable(record.since)}", 0.0
    return "somebody else is resuming it", STRANGER_WAIT_S


def _read(folder: Path, mine: FolderLock) -> EndedRun:
    record = _record(folder)
    try:
        content = read_whole(folder / JOURNAL, JOURNAL_BYTES)
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise _refused(
            f"events.jsonl cannot be read: {(error.strerror or str(error)).lower()}", ""
        ) from error
    reading = scan(content)
    found = past(reading.stamped)
    if reading.wrong and not reading.torn:
        raise _damaged(folder, reading, found)
    if not found.digest:  # it was torn off before its first event
        found = replace(found, plan=record.plan, digest=record.digest)
    try:
        plan, sha256 = read_plan(folder, found.plan)
    except (OSError, msgspec.MsgspecError) as error:
        raise _refused(f"{found.plan} cannot be read: {printable(str(error), 200)}", _NEW_RUN) from error
    if sha256 != found.digest:
        raise _refused(f"{found.plan} is not the plan that was run: its sha256 differs", _NEW_RUN)
    return EndedRun(folder, record, plan, found, reading, mine)


_NEW_RUN = "what was measured is in data/; measure the rest in a new run, with --from or --only"


def _record(folder: Path) -> RunRecord:
    try:
        return read_record(folder)
    except (OSError, msgspec.MsgspecError) as error:
        raise _refused(f"its run.json cannot be read: {printable(str(error), 200)}", _NEW_RUN) from error


def _damaged(folder: Path, reading: JournalReading, found: Past) -> Refused:
    usable = ", ".join(f"{printable(name)} in {each.directory}" for name, each in found.passed.items())
    message = (
        f"events.jsonl of {printable(folder.name)} is damaged: {printable(reading.wrong, 200)}; "
        f"the {len(reading.stamped)} events before it can be used: passed by then: {usable or 'nothing'}"
    )
    return _refused(message, _NEW_RUN)


def _refused(message: str, cure: str) -> Refused:
    return Refused([Problem(codes.NOT_RESUMABLE, message, cure)])


# What is there today


def stored_plan(ended: EndedRun, problem: str) -> Plan:
    """Give the plan of the run as it was stored, where no other can be made: no file of it may have changed.

    `problem` says why none can be made. Files that are gone are no harm, if only the plan was made of them.

    Raises:
        Refused: a file changed, or one is gone that dirigent reads.
    """
    states = {file: _state(file) for file in ended.plan.inputs}
    bad = [
        f"{printable(file.path)} {state}"
        for file, state in states.items()
        if state == "changed" or (state == "is gone" and file.kind in _NEEDED)
    ]
    if bad:
        cure = f"put the files back: copies are in {printable(str(ended.folder / 'inputs'))}"
        raise _refused(f"{problem}, and {', '.join(bad)}", cure)
    return ended.plan


def gone_files(plan: Plan) -> tuple[InputFile, ...]:
    """Give the files of a plan that are no longer there."""
    return tuple(file for file in plan.inputs if _state(file) == "is gone")


def _state(file: InputFile) -> str:
    try:
        content = read_whole(Path(file.path), INPUT_BYTES, follow=True)
    except OSError:
        return "is gone"
    return "" if hashlib.sha256(content).hexdigest() == file.sha256 else "changed"


def reckon(ended: EndedRun, plan: Plan, dirigent: str = "") -> Resumption:
    """Compare a run with the plan as it would be made today, and decide what is kept. Touches nothing.

    `dirigent` says which one is there; one that is not known to have changed has not.

    Raises:
        Refused: another module is there.
    """
    around = plan.environment
    plan = from_json(to_json(plan))
    old, found = ended.plan, ended.past
    if _who(old) != _who(plan):
        was, now = (", ".join(f"{each.name or '?'} on channel {each.channel}" for each in each_plan.modules) for each_plan in (old, plan))  # fmt: skip
        raise _refused(
            f"modules.json names {printable(now)}, and the run measured {printable(was)}", "start a new run"
        )
    if other_chips := swapped(old, plan):
        raise _refused(f"{other_chips}: another module by the same name", "start a new run")
    other = dirigent and found.dirigent and dirigent != found.dirigent
    about = [f"dirigent was '{found.dirigent}', and is '{dirigent}'"] if other else []
    about += [f"calseq was {found.calseq}, and is {__version__}"] * (found.calseq not in ("", __version__))
    left = {
        step.name: read_witnesses(ended.folder, found.passed[step.name].directory, step, plan.modules)
        for step in plan.steps
        if step.type is StepType.IVCURVE and step.name in found.passed
    }
    resumption = resume(found, old, old if plan == old else plan, left, ("dirigent",) if other else ())
    ready = replace(resumption.plan, environment=replace(around, variables=told(around.variables)))
    return replace(resumption, plan=ready, changed=(*changed_files(old, plan), *about))


def swapped(old: Plan, new: Plan) -> str:
    """Say which module has other chips than it had; empty if none is known to."""
    was = {each.channel: each.efuses for each in old.modules}
    for each in new.modules:
        before, now = _codes(was.get(each.channel, ())), _codes(each.efuses)
        if not (before <= now or now <= before):  # where some are missing, the others tell
            said = (", ".join(map(printable, codes)) for codes in (was[each.channel], each.efuses))
            return f"module {printable(each.name or each.channel)} had the eFuse codes {next(said)}, and has {next(said)}"
    return ""


def _codes(efuses: Iterable[str]) -> set[int | str]:
    """Give eFuse codes as numbers, however they are written; what is 0 was never read, and what is no number is a text."""
    found: set[int | str] = set()
    for text in efuses:
        plain = text.strip().casefold()
        hexadecimal = plain.startswith("0x")
        try:
            found.add(int(plain, 16 if hexadecimal else 10))
        except ValueError:
            found.add(plain)
    return found - {0}


def _who(plan: Plan) -> list[tuple[str, str]]:
    """Give which modules there are: an older calseq did not note more of them than this."""
    return [(module.channel, module.name) for module in plan.modules]


# Going on


def go_on(
    ended: EndedRun,
    resumption: Resumption,
    *,
    operator: str = "",
    acknowledge: bool = False,
    hv_box_closed: bool = False,
    dirigent: str = "",
) -> Run:
    """Lock the bench and make the run ready to go on in its folder. The run holds the lock of the folder from here on.

    Raises:
        Refused: somebody else has the bench, nobody knows the state of its rails, or the folder cannot be written.
    """
    plan = resumption.plan
    _check_reality(ended.plan, plan)
    check_hv_box(plan, closed=hv_box_closed)
    lock = lock_bench(plan)
    try:
        places = (ended.folder.parent, *([Path(plan.runs)] if plan.runs else []))
        unknown = [*check_before(lock, plan, places, ended.folder), *own_unknown(ended.folder)]
        if not acknowledge:
            refuse_unknown(unknown, plan)
        check_room(ended.folder)
        if ended.reading.torn:
            cut_tail(ended.folder / JOURNAL, ended.reading.good_bytes)
        name, digest = ended.past.plan, ended.past.digest
        if to_json(plan) != to_json(ended.plan):
            name, digest = write_plan(ended.folder, plan), plan.digest()
        record = _resumed(ended, resumption, name, digest, dirigent)
        write_record(ended.folder, record)
    except OSError as error:
        lock.release()
        raise no_folder(ended.folder, error.strerror or str(error)) from error
    except BaseException:
        lock.release()
        raise
    run = Run(plan, ended.folder, record, {}, lock, mine=ended.mine, dirigent=dirigent)
    run.resume_point = _resume_point(ended, resumption, record, operator or user(), dirigent)
    take_over(run, unknown)
    return run


def _check_reality(before: Plan, now: Plan) -> None:
    """What is simulated goes on simulated, and what is real real: else its end would say something of the wrong supplies."""
    if (before.simulated, before.all_simulated) != (now.simulated, now.all_simulated):
        was, would = (
            ("simulated", "real") if before.all_simulated or not now.simulated else ("real", "simulated")
        )
        message = (
            f"the run was {was}, and would go on {would}: neither its results nor its end would mean anything"
        )
        raise Refused([Problem(codes.NOT_RESUMABLE, message, "start a new run")])


def settle(ended: EndedRun) -> None:
    """Close and seal the record of a run that is over, if calseq was killed between the journal's last line and that.

    Raises:
        Refused: the folder cannot be written.
    """
    last, record = ended.past.ended, ended.record
    if last is None or (record.state == "ended" and (ended.folder / SEAL).exists()):
        return
    closed = (
        record
        if record.state == "ended"
        else replace(
            record,
            state="ended",
            ended=utc(datetime.fromtimestamp(ended.reading.stamped[-1].at).astimezone()),
            duration_s=round(last.duration_s, 3),
            verdict=str(last.verdict),
            exit_code=int(last.exit_code),
            reason=last.reason,
            steps={step.name: "left-out" if step.left_out else "passed" for step in ended.plan.steps},
        )
    )
    try:
        write_record(ended.folder, closed)
        seal(ended.folder)
    except OSError as error:
        raise no_folder(ended.folder, error.strerror or str(error)) from error


def _resumed(ended: EndedRun, resumption: Resumption, plan: str, digest: str, dirigent: str) -> RunRecord:
    now = utc(datetime.now().astimezone())
    record = ended.record
    return replace(
        record,
        title=resumption.plan.title,
        bench=resumption.plan.bench,
        mode=str(resumption.plan.mode),
        simulated=record.simulated or resumption.plan.simulated or STAND_IN_SAYS in dirigent,
        digest=digest,
        calseq=__version__,
        python=platform.python_version(),
        host=socket.gethostname(),
        pid=os.getpid(),
        state="running",
        ended="",
        verdict="",
        exit_code=None,
        reason="",
        steps=dict.fromkeys(resumption.kept, "passed"),
        sums_sha256="",
        resumed=(*record.resumed, now),
        plan=plan,
    )


def _resume_point(
    ended: EndedRun, resumption: Resumption, record: RunRecord, operator: str, dirigent: str
) -> ResumePoint:
    found = ended.past
    resumed = RunResumed(
        pid=record.pid,
        operator=operator,
        calseq=__version__,
        plan=record.plan,
        digest=record.digest,
        kept=resumption.kept,
        again=resumption.again,
        changed=resumption.changed,
        dirigent=dirigent,
        expected=expected(resumption.plan, ended.folder.parent)[0],
    )
    made = {
        row.step.number: max(found.attempts.get(row.step.name, 0), attempts_made(ended.folder, row.step))
        for row in resumption.rows
    }
    beginning = Beginning(
        kept={each.step: each for each in resumption.kept_events()},
        decided={each.step: each for each in resumption.decided},
        first_attempts={number: last + 1 for number, last in made.items()},
        elapsed_s=found.t,
    )
    return ResumePoint(resumed, beginning, found.seq, found.t, record.steps)
