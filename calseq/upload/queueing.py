"""A finished run put into its queue: its results, read from its folder alone."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from calseq import problems as codes
from calseq.journal import read_journal
from calseq.plaintext import printable
from calseq.plan import Plan
from calseq.problems import Problem, Refused
from calseq.receiver import Upload
from calseq.resumption import Past, past
from calseq.runs import JOURNAL, RunRecord, read_plan, read_record
from calseq.seal import sealed, sha256_of
from calseq.standing import GOING_ON, Damaged, stand
from calseq.upload.entries import Queued
from calseq.upload.ledger import Ledger, merged
from calseq.upload.queue import SCRATCH, WORK, Queue, read_queue
from calseq.upload.results import Attempts, Gap, Harvest, Result, ResultFile, harvest
from calseq.verdicts import RunVerdict


def enqueue(queue: Queue, wanted: Queued) -> None:
    """Queue what `reckon` found, if that is not what is queued already.

    Raises:
        OSError: it cannot be written.
    """
    if wanted != queue.ledger.queued:
        queue.write(wanted)


def reckon(folder: Path, ledger: Ledger, today: Upload | None = None, *, insist: bool = False) -> Queued:
    """Give what a run has for its database, in the names that are to count; nothing is written.

    It goes where the run's own bench said; `today` is what the bench says now, for a run whose own said nothing,
    or if somebody insists.

    Raises:
        Refused: the run goes on, its record cannot be read, or nobody said where its results go.
    """
    _check_over(folder)
    record, plan, told = _read(folder)
    queued = ledger.queued.upload if ledger.queued else None
    upload = (today if insist else None) or queued or plan.upload or today
    if upload is None:
        message = f"{printable(folder.name)}: its bench does not say where results go"
        raise Refused([Problem(codes.NOT_UPLOADABLE, message, "add 'upload:' to the bench file")])
    found = harvest(plan, record.module, Attempts(_files(folder, told), told.fates))
    results, gaps = _vouched(folder, found, ledger)
    return Queued(
        run=folder.name,
        title=plan.title,
        software=f"{told.dirigent or 'dirigent'}; calseq {record.calseq}",
        upload=upload,
        simulated=record.simulated,
        results=merged(ledger, results),
        gaps=gaps,
    )


def is_due(folder: Path) -> bool:
    """Tell whether something of a run is to be sent that nobody has to be asked about.

    It is queued and not all of it is sent, or it was killed before it could be queued.
    """
    with suppress(Refused):
        ledger = read_queue(folder)
        if ledger is not None:
            return not ledger.is_done or (folder / WORK / SCRATCH).exists()
        with suppress(OSError, msgspec.MsgspecError, ValueError):  # what cannot be read was never queued
            record = read_record(folder)
            return not record.simulated and is_wanted(read_plan(folder, record.plan)[0], record)
    return False


def is_wanted(plan: Plan, record: RunRecord) -> bool:
    """Tell whether a run is queued by itself: its bench says where it goes, and that such a run does."""
    if plan.upload is None or record.state != "ended":
        return False
    return plan.upload.runs == "all" or record.verdict == RunVerdict.PASSED


def _check_over(folder: Path) -> None:
    standing = stand(folder)
    name = printable(folder.name)
    if isinstance(standing, Damaged):
        raise _unreadable(folder, standing.reason)
    if standing.phase in GOING_ON:
        cure = f"'calseq attach {name}' shows it; upload it after its end"
        raise Refused([Problem(codes.NOT_UPLOADABLE, f"{name} goes on still", cure)])


def _read(folder: Path) -> tuple[RunRecord, Plan, Past]:
    try:
        record = read_record(folder)
        plan, _ = read_plan(folder, record.plan)
        stamped, damage = read_journal(folder / JOURNAL)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _unreadable(folder, getattr(error, "strerror", None) or str(error)) from error
    if damage and record.state == "ended":
        raise _unreadable(folder, f"{JOURNAL}: {damage}")
    return record, plan, past(stamped)


def _unreadable(folder: Path, why: str) -> Refused:
    message = f"{printable(folder.name)}: {printable(why, 300).lower()}"
    cure = f"'calseq runs verify {printable(folder.name)}' says what of it is good"
    return Refused([Problem(codes.DAMAGED_RUN, message, cure)])


def _files(folder: Path, told: Past) -> dict[str, list[str]]:
    """Give the files that the attempts that passed left, by step."""
    return {name: sorted(_below(folder, passed.directory)) for name, passed in told.passed.items()}


def _below(folder: Path, directory: str) -> Iterator[str]:
    """Give the regular files below a result directory that are not empty, as paths below the run folder."""
    for root, _, names in os.walk(folder / directory):
        for path in (Path(root, name) for name in names):
            if path.is_file() and not path.is_symlink() and path.stat().st_size:
                yield str(path.relative_to(folder))


def _vouched(folder: Path, found: Harvest, ledger: Ledger) -> tuple[list[Result], tuple[Gap, ...]]:
    """Give every file its digest: as the seal has it, or as it was when it was queued first, else as it is now."""
    digests = sealed(folder)
    digests |= {file.path: file.sha256 for item in ledger.items for file in item.result.files}
    results, gaps = [], list(found.gaps)
    for result in found.results:
        try:
            files = [ResultFile(path, digests.get(path) or sha256_of(folder / path)) for path in result.paths]
        except OSError as error:
            gaps.append(
                Gap(
                    result.name, f"it cannot be read: {(error.strerror or str(error)).lower()}", measured=True
                )
            )
            continue
        results.append(msgspec.structs.replace(result, files=tuple(files)))
    return results, tuple(gaps)


def changed(folder: Path, result: Result) -> str:
    """Say how the files of a result differ from what was measured; empty if they do not."""
    for file in result.files:
        try:
            if sha256_of(folder / file.path) != file.sha256:
                return f"{file.path} was changed after the run"
        except OSError as error:
            return f"{file.path} cannot be read: {(error.strerror or str(error)).lower()}"
    return ""
