"""Record, plan and past of a run, trusted only if all digests of its plan agree."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import UNSET, Struct, UnsetType

from calseq.model.plan import Plan
from calseq.problems import codes
from calseq.problems.plaintext import printable, word
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.record.journal import read_journal
from calseq.record.past import Past, past
from calseq.record.run_folder import JOURNAL, RECORD, RunRecord, read_plan, read_record
from calseq.record.seal import SEAL, sealed
from calseq.system.files import PLAN_BYTES, read_whole


def read_trusted_plan(folder: Path) -> Plan:
    """Read the plan of a run, if it is the one that was run.

    Raises:
        Refused: it cannot be read, or it was changed.
    """
    return read_run(folder)[1]


def read_run(folder: Path) -> tuple[RunRecord, Plan, Past]:
    """Read what a run says of itself, with the plan that was run.

    Raises:
        Refused: it cannot be read, or its plan was changed.
    """
    try:
        record = read_record(folder)
        stamped, damage = read_journal(folder / JOURNAL)
        told = past(stamped)
        name = plan_of(record, told)
        plan, digest = read_plan(folder, name)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise unreadable(folder, getattr(error, "strerror", None) or str(error)) from error
    if damage and record.state == "ended":
        raise unreadable(folder, f"{JOURNAL}: {damage}")
    recorded = record.digest if name == Path(record.plan).name else ""
    _check_plan(folder, name, digest, {RECORD: recorded, JOURNAL: told.digest})
    return record, plan, told


def plan_of(record: RunRecord, told: Past) -> str:
    """Give the file of the plan that was run: run.json names a new one a moment before the run goes on with it."""
    begun = record.state == "ended" or not told.digest
    return Path(record.plan if begun else told.plan).name


class _Step(Struct):
    results: msgspec.Raw | UnsetType = UNSET


class _Steps(Struct):
    steps: tuple[_Step, ...] = ()


def tells_results(plan: Path) -> bool:
    """Whether a plan says what of its steps are results: one of an earlier calseq does not."""
    steps = msgspec.json.decode(read_whole(plan, PLAN_BYTES), type=_Steps).steps
    return all(step.results is not UNSET for step in steps)


def _check_plan(folder: Path, name: str, digest: str, said_by: Mapping[str, str]) -> None:
    """A plan says where a password goes and which command is run: all that vouches for it must agree."""
    vouched = {**said_by, SEAL: sealed(folder).get(name, "")}
    witnesses = [witness for witness, said in vouched.items() if said and said != digest]
    shown = printable(folder.name)
    if witnesses or not any(vouched.values()):
        by = f", by {' and '.join(witnesses)}" if witnesses else " as far as is known: nothing has its digest"
        message = f"{shown}: {printable(name)} is not the plan that was run{by}"
        cure = f"put the original back: it says where results go; 'calseq runs verify {word(folder.name)}' tells more"
        raise Refused([Problem(codes.NOT_UPLOADABLE, message, cure)])


def unreadable(folder: Path, why: str) -> Refused:
    """Give what is said of a run whose record cannot be read."""
    message = f"{printable(folder.name)}: {printable(why, 300).lower()}"
    cure = f"'calseq runs verify {word(folder.name)}' says what of it is good"
    return Refused([Problem(codes.DAMAGED_RUN, message, cure)])
