"""A finished run put into its queue: its results, read from its folder alone."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from calseq import problems as codes
from calseq.journal import read_journal
from calseq.plaintext import printable
from calseq.plan import Plan
from calseq.problems import Problem, Refused
from calseq.receiver import FelisReceiver, Upload
from calseq.resumption import Past, past
from calseq.runs import JOURNAL, RunRecord, read_plan, read_record
from calseq.seal import SEAL, sealed, sha256_of
from calseq.standing import GOING_ON, Damaged, stand
from calseq.upload.entries import Queued
from calseq.upload.ledger import Ledger, is_finished, merged, stranded
from calseq.upload.queue import Queue, read_queue
from calseq.upload.results import Attempts, Gap, Harvest, Result, ResultFile, harvest
from calseq.upload.workplace import SCRATCH, WORK
from calseq.verdicts import RunVerdict


def enqueue(queue: Queue, wanted: Queued) -> None:
    """Queue what `reckon` found, if that is not what is queued already. Where all has arrived nothing is to be queued.

    Raises:
        Refused: a part of it went, or may have gone, elsewhere.
        OSError: it cannot be written.
    """
    if is_finished(queue.ledger, wanted):
        return
    _check_place(queue, wanted.upload)
    if wanted != queue.ledger.queued:
        queue.write(wanted)


def reckon(folder: Path, ledger: Ledger, today: Upload | None = None, *, insist: bool = False) -> Queued:
    """Give what a run has for its database, in the names that are to count; nothing is written.

    It goes where the run's own bench said; `today` is what the bench says now, for a run whose own said nothing,
    or if somebody insists. What the queue says is not asked: it grows after the end, and no seal vouches for it.

    Raises:
        Refused: the run goes on, its record cannot be read, its plan was changed, or nobody said where its results go.
    """
    _check_over(folder)
    record, plan, told = _read(folder)
    upload = (today if insist else None) or plan.upload or today
    if upload is None:
        message = f"{printable(folder.name)}: its bench does not say where results go"
        cure = "add 'upload:' to the bench file, or name one that has it with --bench FILE"
        raise Refused([Problem(codes.NOT_UPLOADABLE, message, cure)])
    known = {*sealed(folder), *(path for item in ledger.items for path in item.result.paths)}
    found = harvest(plan, record.module, Attempts(_files(folder, told, known), told.fates))
    results, gaps = _vouched(folder, found, ledger)
    return Queued(
        run=record.run or folder.name,  # a folder that was copied or renamed is no other run
        title=plan.title,
        software=f"{told.dirigent or 'dirigent'}; calseq {record.calseq}",
        upload=upload,
        simulated=record.simulated,
        results=merged(ledger, results),
        gaps=gaps,
    )


def read_vouched_plan(folder: Path) -> Plan:
    """Read the plan of a run, if it is the one that was run.

    Raises:
        Refused: it cannot be read, or it was changed.
    """
    return _read(folder)[1]


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
        plan, digest = read_plan(folder, record.plan)
        stamped, damage = read_journal(folder / JOURNAL)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _unreadable(folder, getattr(error, "strerror", None) or str(error)) from error
    if damage and record.state == "ended":
        raise _unreadable(folder, f"{JOURNAL}: {damage}")
    told = past(stamped)
    _check_plan(folder, record, told, digest)
    return record, plan, told


def _check_plan(folder: Path, record: RunRecord, told: Past, digest: str) -> None:
    """A plan says where a password goes and which command is run: all that vouches for it must agree."""
    name = Path(record.plan).name
    vouched = {"run.json": record.digest, SEAL: sealed(folder).get(name, ""), JOURNAL: told.digest}
    witnesses = [witness for witness, said in vouched.items() if said and said != digest]
    shown = printable(folder.name)
    if witnesses or not any(vouched.values()):
        by = f", by {' and '.join(witnesses)}" if witnesses else " as far as is known: nothing has its digest"
        message = f"{shown}: {printable(name)} is not the plan that was run{by}"
        cure = f"put the original back: it says where results go; 'calseq runs verify {shown}' tells more"
        raise Refused([Problem(codes.NOT_UPLOADABLE, message, cure)])


def bound(ledger: Ledger, upload: Upload) -> str:
    """Say why what is left of a queue cannot go where `upload` says; empty if it can.

    It cannot go elsewhere than what was sent to a database: a sequence's number means another one there.
    """
    if ledger.queued is None or _place(ledger.queued.upload) == _place(upload):
        return ""
    begun = sum(item.is_sent or item.is_in_doubt for item in ledger.items)
    if not begun and all(each.number is None for each in ledger.sequences.values()):
        return ""
    what = f"{begun} of its results" if begun else "a sequence for it"
    return f"{what} went to {' at '.join(filter(None, _place(ledger.queued.upload)))}: the others have to go there, too"


def _check_place(queue: Queue, upload: Upload) -> None:
    """What may have arrived elsewhere would be there twice, and the receiver here could not know."""
    doubtful = [(item.went, item) for item in stranded(queue.ledger, upload) if item.went]
    why = bound(queue.ledger, upload)
    if not why and not doubtful:
        return
    then = doubtful[0][0] if doubtful else queue.ledger.queued and queue.ledger.queued.upload
    cure = "leave --bench away, or give one that says so" + (
        f", as {then.bench} did" if then and then.bench else ""
    )
    if doubtful:
        places = dict.fromkeys(went.destination for went, _ in doubtful)
        why = f"{len(doubtful)} of its results may have arrived elsewhere, at {' and '.join(places)}: look there"
        cure = f"type it again with --arrived if they have, with --again if not; else {cure}"
    message = f"{printable(queue.folder.name)}: {printable(why)}"
    raise Refused([Problem(codes.NOT_UPLOADABLE, message, printable(cure))])


def _place(upload: Upload) -> tuple[str, str]:
    receiver = upload.receiver
    return receiver.to, receiver.url if isinstance(receiver, FelisReceiver) else ""


def _unreadable(folder: Path, why: str) -> Refused:
    message = f"{printable(folder.name)}: {printable(why, 300).lower()}"
    cure = f"'calseq runs verify {printable(folder.name)}' says what of it is good"
    return Refused([Problem(codes.DAMAGED_RUN, message, cure)])


def _files(folder: Path, told: Past, known: Iterable[str]) -> dict[str, list[str]]:
    """Give the files that the attempts that passed left, by step; `known` ones also if they are gone by now.

    A result that was taken away is refused when its turn comes, and said: it does not go without a word.
    """
    gone = [path for path in known if not os.path.lexists(folder / path)]
    return {
        name: sorted({*_below(folder, passed.directory), *_inside(gone, passed.directory)})
        for name, passed in told.passed.items()
    }


def _inside(paths: Iterable[str], directory: str) -> Iterator[str]:
    start = directory.rstrip("/") + "/"
    return (path for path in paths if path.startswith(start))


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
