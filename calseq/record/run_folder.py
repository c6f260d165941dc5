"""Run folders: made once, with all that a run was made from, and never written over."""

import grp
import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import msgspec
from msgspec import Struct, field

from calseq.model.confidential import blotted
from calseq.model.expectations import Timing
from calseq.model.formats import check_format
from calseq.model.plan import InputFile, Plan, Step, from_json, to_json
from calseq.model.rails import Role
from calseq.model.request import Request
from calseq.model.verdicts import UNKNOWN_HARDWARE, WHAT_TO_DO, RunVerdict
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.record.journal import sync_folder
from calseq.system.files import INPUT_BYTES, PLAN_BYTES, RECORD_BYTES, read_whole

RUN_FORMAT = 1
RECORD = "run.json"
PLAN = "plan.json"
JOURNAL = "events.jsonl"
GUARD_JOURNAL = "guard.jsonl"
GUARD_LOG = "guard.log"
MARKER = "HARDWARE-STATE-UNKNOWN.txt"
SETTLED = "settled.json"
"""Who read HV and LV as off since, or started all the same, in the folder of a run that ended unsafe."""

REPORT = "report.html"
QUEUE = "upload.jsonl"
ON_FINISH_LOG = "on_finish.log"
MIN_FREE_BYTES = 200 << 20
"""Free disk below which a run does not begin."""


class RunRecord(Struct, frozen=True):
    """What `run.json` says of a run. Times are UTC; `state` is 'running' or 'ended'.

    `timings` are what the steps that passed took: what later runs expect comes from them.
    `resumed` are the times at which it was gone on with, `plan` is the file of its latest plan, and `request`
    what was typed, if it was. `duration_s` counts the time in which calseq ran the run.
    `official` is the name by which the bench pins the sequence, empty if it does not; `sequence_digest` is of
    what the sequence means. `job` is the name that another program gave the run; `sums_sha256` is
    of the seal without the line of this record.
    """

    run: str
    title: str
    bench: str
    mode: str
    module: str
    operator: str
    simulated: bool
    digest: str
    calseq: str
    python: str
    host: str
    pid: int
    started: str
    state: str = "running"
    ended: str = ""
    duration_s: float = 0.0
    verdict: str = ""
    exit_code: int | None = None
    reason: str = ""
    steps: Mapping[str, str] = field(default_factory=dict)
    timings: tuple[Timing, ...] = ()
    official: str = ""
    sequence_digest: str = ""
    format: int = RUN_FORMAT
    resumed: tuple[str, ...] = ()
    plan: str = PLAN
    request: Request | None = None
    job: str = ""
    sums_sha256: str = ""

    @property
    def in_part(self) -> bool:
        """It passed, and steps of its sequence were left out."""
        return self.verdict == RunVerdict.PASSED and "left-out" in self.steps.values()

    @property
    def since(self) -> str:
        """When the process `pid` began with it."""
        return self.resumed[-1] if self.resumed else self.started


def make_folder(runs: Path, title: str, module: str, began: datetime) -> Path:
    """Make a new, empty run folder `<time>-<title>[-<module>]` below `runs`.

    Raises:
        Refused: it cannot be made, or there is too little disk.
    """
    stem = "-".join(part for part in (began.strftime("%Y%m%d-%H%M%S"), _slug(title), _slug(module)) if part)
    try:
        runs.mkdir(parents=True, exist_ok=True)
        check_room(runs)
        for name in (stem, *(f"{stem}.{number}" for number in range(2, 1000))):
            try:
                (runs / name).mkdir(mode=0o700)
            except FileExistsError:
                continue
            for part in ("inputs", "steps", "data"):
                (runs / name / part).mkdir(mode=0o700)
            return runs / name
    except OSError as error:
        raise no_folder(runs, error.strerror or str(error)) from error
    raise no_folder(runs, "too many runs in one second")


def write_plan(folder: Path, plan: Plan) -> str:
    """Write `plan.json` and copy every input, of which the digest must still be the plan's; give the file's name.

    A later plan of the same run is `plan.2.json`, its inputs in `inputs.2/`: nothing is written over.

    Raises:
        Refused: a file has changed since the plan was made of it, or the folder cannot be written.
    """
    try:
        name, inputs = _free_plan(folder)
        inputs.mkdir(exist_ok=True)
        for file in plan.inputs:
            content = _unchanged(file)
            if file.stored_sha256:
                content = blotted(content, plan.environment.variables)
            _write_new(stored_input(folder, name, file), content)
        replace_file(folder / name, to_json(plan))
    except OSError as error:
        raise no_folder(folder, error.strerror or str(error)) from error
    return name


def stored_input(folder: Path, plan: str, file: InputFile) -> Path:
    """Give where a run folder has its copy of a file that a plan was made of: `inputs`, those of plan.2.json `inputs.2`."""
    inputs = "inputs" + plan.removeprefix("plan").removesuffix(".json")
    return folder / inputs / f"{file.kind}-{Path(file.path).name}"


def _write_new(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)


def share(folder: Path, group: str) -> None:
    """Let a group read a run folder, with all that calseq wrote into it; with no group, only its user may.

    Raises:
        Refused: there is no such group, or this user is not in it.
    """
    try:
        gid = grp.getgrnam(group).gr_gid if group else -1
        for place, folders, files in os.walk(folder):
            names = [(place, 0o2750)] if group else [(place, 0o700)] * (place == str(folder))
            known = (
                () if Path(place).is_relative_to(folder / "data") else files
            )  # results are the child's own
            for path, mode in (*names, *((f"{place}/{name}", 0o640 if group else 0o600) for name in known)):
                if not os.path.islink(path):  # noqa: PTH114 - as strings: there may be thousands
                    os.chown(path, -1, gid)
                    os.chmod(path, mode)  # noqa: PTH101
            folders[:] = [name for name in folders if name != "simulated"]
    except (KeyError, PermissionError) as error:
        message = f"the run folder cannot be shared with group '{printable(group)}'"
        cure = "name a group that is there and that you are in, as 'id' lists them, in 'group:' of the bench file"
        raise Refused([Problem(codes.NO_RUN_FOLDER, message, cure)]) from error


def _free_plan(folder: Path) -> tuple[str, Path]:
    if not (folder / PLAN).exists():
        return PLAN, folder / "inputs"
    numbers = (number for number in count(2) if not (folder / f"inputs.{number}").exists())
    number = next(number for number in numbers if not (folder / f"plan.{number}.json").exists())
    return f"plan.{number}.json", folder / f"inputs.{number}"


def read_plan(folder: Path, name: str = PLAN) -> tuple[Plan, str]:
    """Read a plan of a run; give it and the sha256 of its file. The latest is the one that `run.json` names.

    Raises:
        OSError: it is not there.
        msgspec.DecodeError: it is not a plan.
    """
    content = read_whole(folder / Path(name).name, PLAN_BYTES)
    return from_json(content), hashlib.sha256(content).hexdigest()


def attempts_made(folder: Path, step: Step) -> int:
    """Give the number of the last attempt at a step that has a folder, 0 if there is none."""
    names = {path.name for part in ("steps", "data") for path in (folder / part).glob(f"{step.id[:3]}*")}
    tails = (name.removeprefix(step.id) for name in names if name.startswith(step.id))
    numbers = [1 if not tail else int(tail[1:]) for tail in tails if re.fullmatch(r"|\.[0-9]{1,9}", tail)]
    return max(numbers, default=0)


def simulated_folder(folder: Path) -> Path:
    """Give the folder of a run's simulated bench, the latest if it had several."""
    found = sorted(folder.glob("simulated.*/setup.json"), key=lambda path: (len(path.parts[-2]), path))
    return found[-1].parent if found else folder / "simulated"


def write_record(folder: Path, record: RunRecord) -> None:
    """Write `run.json`, in one piece or not at all.

    Raises:
        OSError: it cannot be written.
    """
    replace_file(folder / RECORD, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")


def read_record(folder: Path) -> RunRecord:
    """Read `run.json`.

    Raises:
        OSError: it is not there.
        msgspec.DecodeError: it is not a run record, or one of a newer format.
    """
    content = read_whole(folder / RECORD, RECORD_BYTES)
    check_format(content, RUN_FORMAT)
    return msgspec.json.decode(content, type=RunRecord)


def write_marker(folder: Path, plan: Plan, readings: str, reason: str) -> None:
    """Write the marker file of an unsafe end: HV and LV are not known to be off, and what to do.

    Raises:
        OSError: it cannot be written.
    """
    todo = [f"  {number}. {each}" for number, each in enumerate(WHAT_TO_DO, 1)]
    supplies = [
        f"  {role.value.upper()}: {each.name}, {each.instrument_class} at {each.resource}"
        for role in (Role.HV, Role.LV)
        for each in plan.instruments
        if role in each.roles
    ]
    lines = [
        UNKNOWN_HARDWARE,
        *(["(SIMULATED: no hardware was touched)"] if plan.simulation else []),
        "",
        f"{utc(datetime.now().astimezone())}, {folder.name}, bench {plan.bench}",
        f"why: {reason}",
        f"last read: {readings}",
        "",
        *todo,
        "",
        *supplies,
    ]
    replace_file(folder / MARKER, "".join(printable(text) + "\n" for text in lines).encode())


def replace_file(path: Path, content: bytes, draft: str = ".new") -> None:
    """Put a file's content in place at once, and on the disk. Of what only one process writes, as whoever holds the
    folder does, the `draft` is of one name; two that may write at once need one each.

    Raises:
        OSError: the old content, if any, is still there.
    """
    fresh = path.with_name(path.name + draft)
    fresh.unlink(missing_ok=True)  # of somebody who was killed; or a link, which would lead elsewhere
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
    sync_folder(path.parent)


def utc(moment: datetime) -> str:
    """Write a moment as run records have it."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()[:40].rstrip("-")


def check_room(runs: Path) -> None:
    """See that there is disk enough for a run.

    Raises:
        Refused: there is not.
    """
    free = shutil.disk_usage(runs).free
    if free < MIN_FREE_BYTES:
        message = f"only {free >> 20} MiB are free for {printable(str(runs))}"
        cure = (
            f"free at least {MIN_FREE_BYTES >> 20} MiB, or name another folder in 'runs:' of the bench file"
        )
        raise Refused([Problem(codes.DISK_LOW, message, cure)])


def no_folder(path: Path, reason: str) -> Refused:
    """Give what is said when a run folder cannot be made or written."""
    message = f"the run folder {printable(str(path))} cannot be written: {reason.lower()}"
    cure = "name another in 'runs:' of the bench file, or give --runs"
    return Refused([Problem(codes.NO_RUN_FOLDER, message, cure)])


def _unchanged(file: InputFile) -> bytes:
    try:
        content = read_whole(Path(file.path), INPUT_BYTES, follow=True)
    except OSError:
        content = None
    if content is not None and hashlib.sha256(content).hexdigest() == file.sha256:
        return content
    done = "taken away" if content is None else "changed"
    message = f"{printable(file.path)} was {done} after the plan was made"
    raise Refused([Problem(codes.CHANGED_FILE, message, "start again: the plan is made anew")])
