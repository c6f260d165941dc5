"""A finished run put into its queue: its results, read from its folder alone."""

import os
from collections.abc import Container, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import msgspec

from calseq.measurement.acceptance import acceptance, needs_module_type, refusal
from calseq.model.destinations import FelisReceiver, Upload
from calseq.model.plan import STAND_IN_SAYS, Plan
from calseq.model.verdicts import RunVerdict
from calseq.problems import codes
from calseq.problems.plaintext import printable, word
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.record.past import Past
from calseq.record.run_folder import RunRecord, read_plan, read_record
from calseq.record.seal import sealed, sha256_of
from calseq.record.status import GOING_ON, Damaged, stand
from calseq.upload.entries import Queued
from calseq.upload.ledger import Ledger, after, is_finished, merged, stranded
from calseq.upload.queue import Queue, read_queue
from calseq.upload.results import Attempts, Gap, Harvest, Result, ResultFile, harvest, module_of
from calseq.upload.trusted import plan_of, read_run, tells_results, unreadable
from calseq.upload.work_folder import SCRATCH, WORK

_OF_NOTHING = sha256().hexdigest()
"""What is empty is no result, and was none at the end of the run."""


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
    record, plan, told = read_run(folder)
    upload = (today if insist else None) or plan.upload or today
    if upload is None:
        message = f"{printable(folder.name)}: its bench does not say where results go"
        cure = "add 'upload:' to the bench file, or name one that has it with --bench FILE"
        raise Refused([Problem(codes.NOT_UPLOADABLE, message, cure)])
    digests = _digests(folder, ledger)
    files = _files(folder, told, digests)
    found = harvest(plan, record.module, Attempts(files, told.fates))
    results, gaps = _vouched(folder, found, digests)
    if isinstance(upload.receiver, FelisReceiver):
        known = {item.result.paths for item in ledger.items if item.is_bound}
        results, refused = _for_felis(plan, upload.receiver, results, known)
        gaps = (*gaps, *refused)
    if any(files.values()) and not tells_results(folder / plan_of(record, told)):
        gaps = (Gap("the run", "its plan was made before uploads were known", measured=True), *gaps)
    return Queued(
        run=record.run or folder.name,  # a folder that was copied or renamed is no other run
        title=f"{plan.title}, in part" if is_in_part(plan) else plan.title,
        software=f"{told.dirigent or 'dirigent'}; calseq {record.calseq}",
        upload=upload,
        simulated=record.simulated or plan.simulated or STAND_IN_SAYS in told.dirigent,
        results=merged(ledger, results),
        gaps=gaps,
        in_part=is_in_part(plan),
    )


def is_due(folder: Path) -> bool:
    """Tell whether something of a run is to be sent that nobody has to be asked about, or nobody can tell.

    It is queued and not all of it is sent, or it was killed before it could be queued, or before all of it was.
    """
    try:
        ledger = read_queue(folder)
        if ledger is None:
            return _is_left_out(folder)
        left = os.path.lexists(folder / WORK / SCRATCH)
        return left or not ledger.is_done or _has_grown(folder, ledger)
    except (Refused, OSError):
        return True  # who sends it is told why that cannot be


def _is_left_out(folder: Path) -> bool:
    """Tell whether a run is to be queued by itself, and was not."""
    found = _wanted(folder)
    return found is not None and not found[1].simulated and not is_in_part(found[0])


def _has_grown(folder: Path, ledger: Ledger) -> bool:
    """Whether a resumed run has more results than are queued; no other run gets any more."""
    found = _wanted(folder)
    return bool(found and found[1].resumed) and not after(reckon(folder, ledger), ledger).is_done


def _wanted(folder: Path) -> tuple[Plan, RunRecord] | None:
    """Give plan and record of a run that its bench has queued; none of any other, or if they cannot be read."""
    try:
        record = read_record(folder)
        plan, _ = read_plan(folder, record.plan)
        known = msgspec.structs.replace(record, simulated=record.simulated or plan.simulated)
        return (plan, known) if is_wanted(plan, known) else None
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return None


def is_wanted(plan: Plan, record: RunRecord) -> bool:
    """Tell whether a run is queued by itself: its bench says where it goes, and that such a run does."""
    if plan.upload is None or record.state != "ended":
        return False
    return plan.upload.runs == "all" or record.verdict == RunVerdict.PASSED


def is_in_part(plan: Plan) -> bool:
    """Steps of the sequence were left out: what such a run has is not queued as the results of a whole one."""
    return any(step.left_out for step in plan.steps)


def _check_over(folder: Path) -> None:
    standing = stand(folder)
    name = printable(folder.name)
    if isinstance(standing, Damaged):
        raise unreadable(folder, standing.reason)
    if standing.phase in GOING_ON:
        cure = f"'calseq attach {word(folder.name)}' shows it; upload it after its end"
        raise Refused([Problem(codes.NOT_UPLOADABLE, f"{name} goes on still", cure)])


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


def _digests(folder: Path, ledger: Ledger) -> dict[str, str]:
    """Give the sha256 of every file that is no empty one, as the seal has it, or as it was when it was queued first."""
    measured = {path: digest for path, digest in sealed(folder).items() if digest != _OF_NOTHING}
    return measured | {file.path: file.sha256 for item in ledger.items for file in item.result.files}


def _files(folder: Path, told: Past, known: Iterable[str]) -> dict[str, list[str]]:
    """Give the files that the attempts that passed left, by step: `known` ones whatever became of them.

    A result that was emptied or taken away is refused when its turn comes, and said: it does not go without a word,
    and those after it keep their names.
    """
    return {
        name: sorted({*_below(folder, passed.directory), *_inside(known, passed.directory)})
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


def _vouched(
    folder: Path, found: Harvest, digests: Mapping[str, str]
) -> tuple[list[Result], tuple[Gap, ...]]:
    """Give every file its digest, which is as it is now where none is known."""
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


def _for_felis(
    plan: Plan, receiver: FelisReceiver, found: Iterable[Result], known: Container[tuple[str, ...]]
) -> tuple[list[Result], list[Gap]]:
    """Split results into those that Felis takes and what it does not, before anything is asked of the database.

    Of those that are `known` to have arrived, or may have, nothing is judged any more.
    """
    results, gaps = [], []
    for result in found:
        described = module_of(plan, result.module).type
        type_ = receiver.module_type_of(result.module, described, acceptance().module_types)
        why = refusal(result.type, result.module, result.name, result.paths, type_)
        if why and result.paths not in known:
            cure = _MODULE_TYPE if why == needs_module_type(result.type, type_) else ""
            gaps.append(Gap(f"{result.name} of {result.module}", why + cure, measured=True))
        else:
            results.append(result)
    return results, gaps


_MODULE_TYPE = ": write it as 'module_type:' in 'upload:' of a bench file, and name that with --bench"


def changed(folder: Path, result: Result) -> str:
    """Say how the files of a result differ from what was measured; empty if they do not."""
    for file in result.files:
        try:
            if sha256_of(folder / file.path) != file.sha256:
                return f"{file.path} was changed after the run"
        except OSError as error:
            return f"{file.path} cannot be read: {(error.strerror or str(error)).lower()}"
    return ""
