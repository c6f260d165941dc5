"""`calseq upload`: works through the queues of runs, tells what becomes of each result, and what to type next."""

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from msgspec import Struct

from calseq.cli.messages import tell_problems
from calseq.cli.terminal import columns, has_color, is_ascii, message, results
from calseq.cli.upload_target import by_word_of, of_bench, otherwise
from calseq.cli.where_runs import Where, near
from calseq.console.runlist import typable
from calseq.console.uploads import ending, gaps, headline, queue_text, reasons, told, whereabouts
from calseq.model.destinations import FelisReceiver, Upload
from calseq.model.verdicts import EXIT_CODES, ExitCode
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.record.find import LATEST, find_run, run_folders
from calseq.record.run_folder import QUEUE
from calseq.system.process import user
from calseq.upload import command, felis_process
from calseq.upload.batch import Doing, Waiting
from calseq.upload.enqueue import enqueue, is_due, reckon
from calseq.upload.entries import Entry, Queued
from calseq.upload.ledger import Ledger, after, is_finished
from calseq.upload.password import NoPassword, find_password
from calseq.upload.queue import Queue, read_queue
from calseq.upload.sending import decide, send
from calseq.upload.trusted import read_trusted_plan
from calseq.upload.work_folder import WORK, holders


class UploadOptions(Struct, frozen=True):
    """How results are to be sent, as it was typed."""

    look: bool = False
    allow_simulated: bool = False
    allow_part: bool = False
    password_fd: int | None = None
    again: bool = False
    arrived: bool = False


class Interrupted(BaseException):
    """A signal asks to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.name = signal.Signals(number).name


def upload(where: Where, text: str | None, options: UploadOptions, *, everything: bool) -> int:
    """Send what is queued of a run, or of all; give the exit code."""
    try:
        with _interruptible():
            return _uploaded(where, text, options, everything=everything)
    except Interrupted as interrupted:
        message("stopped: what has arrived is recorded; the same command goes on")
        return int(EXIT_CODES.get(interrupted.name, ExitCode.INTERRUPTED))


def _uploaded(where: Where, text: str | None, options: UploadOptions, *, everything: bool) -> int:
    folder = where.folder
    folders = _runs(folder, look=options.look) if everything else [find_run(folder, text or LATEST)]
    if not folders:
        what = "was queued" if options.look else "is to be sent"
        message(f"nothing {what} in {printable(str(folder))}")
        return int(ExitCode.GOOD)
    upload_ = of_bench(where)
    ask = _Password(options.password_fd)
    codes_ = [_one(each, where, upload_, options, ask, alone=not everything) for each in folders]
    return max(codes_)


def _runs(runs: Path, *, look: bool) -> list[Path]:
    """Give the runs of which something is to be sent, oldest first; to look at, also those of which all is."""
    folders = reversed(run_folders(runs))
    return [folder for folder in folders if (look and os.path.lexists(folder / QUEUE)) or is_due(folder)]


def _one(
    folder: Path,
    where: Where,
    upload_: Upload | None,
    options: UploadOptions,
    ask: "_Password",
    *,
    alone: bool,
) -> int:
    """Send what is queued of one run; give the exit code. What refuses one run of many keeps the others from nothing."""
    try:
        if options.look:
            return _shown(folder, where, upload_, alone=alone)
        with Queue(folder) as queue:
            return _sent(queue, where, upload_, options, ask)
    except Refused as refused:
        if alone:
            raise
        tell_problems(refused.problems, 1)
    except BrokenPipeError:
        raise  # whoever read what is shown has gone: that is no fault of the record
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        message(
            f"{printable(folder.name)}: the record of the upload cannot be kept, and nothing more is sent: {why}"
        )
    return int(ExitCode.NOT_SENT)


def _sent(
    queue: Queue, where: Where, upload_: Upload | None, options: UploadOptions, ask: "_Password"
) -> int:
    folder = queue.folder
    wanted = reckon(folder, queue.ledger, upload_, insist=where.bench is not None)
    if not is_finished(queue.ledger, wanted):
        _check_allowed(folder, options, wanted)
    if options.again or options.arrived:
        _decided(queue, wanted.upload, options)
    enqueue(queue, wanted)
    message(headline(wanted, queue.ledger, by_word_of(wanted, upload_)))
    otherwise_ = otherwise(wanted, queue.ledger, upload_, _elsewhere(folder, wanted))
    for line in filter(None, (otherwise_, *gaps(wanted))):
        message(line)
    try:
        send(queue, read_trusted_plan(folder), _tell, ask)
    except NoPassword as missing:
        message(f"  {printable(str(missing))}")
    typed = _command(folder, where, wanted)
    for line in ending(wanted, queue.ledger, typed, _log(folder, wanted)):
        message(line)
    return _code(wanted, queue.ledger)


def _check_allowed(folder: Path, options: UploadOptions, wanted: Queued) -> None:
    """See that it was typed that what is no measurement, or no whole sequence, is to be sent all the same."""
    if wanted.in_part and not options.allow_part:
        message_ = f"{printable(folder.name)} is a run in part: steps of its sequence were left out"
        cure = "--allow-part sends what there is, marked as a part; for all of it run the whole sequence"
        raise Refused([Problem(codes.NOT_UPLOADABLE, message_, cure)])
    if wanted.simulated and not options.allow_simulated:
        message_ = f"{printable(folder.name)} is SIMULATED: nothing of it was measured"
        cure = "--allow-simulated sends it all the same, for instance to a database for tests"
        raise Refused([Problem(codes.NOT_UPLOADABLE, message_, cure)])


def _decided(queue: Queue, upload_: Upload, options: UploadOptions) -> None:
    if not decide(queue, upload_, _tell, arrived=options.arrived, who=user() or "somebody"):
        message("  nothing of it is unclear: --again and --arrived have no effect")


def _shown(folder: Path, where: Where, upload_: Upload | None, *, alone: bool) -> int:
    """Show how the results of a run stand, in a line if all have arrived and it is one of many; nothing is written."""
    known = read_queue(folder) or Ledger()
    wanted = reckon(folder, known, upload_, insist=where.bench is not None)
    ledger = after(wanted, known)
    results(headline(wanted, ledger, by_word_of(wanted, upload_)))
    if alone or not is_finished(known, wanted):
        typed = _command(folder, where, wanted)
        otherwise_ = otherwise(wanted, known, upload_, _elsewhere(folder, wanted))
        for line in filter(None, (otherwise_, *_how(folder, wanted, known, ledger, typed))):
            results(line)
    return _code(wanted, ledger)


def _how(folder: Path, wanted: Queued, known: Ledger, ledger: Ledger, typed: str) -> Iterator[str]:
    """Say how each result stands, where it is, why, and what to type; `known` is what the queue has by now."""
    out = sys.stdout
    at_work = bool(holders(folder))
    listed = {item.result for item in known.items}
    if ledger.items:
        yield queue_text(
            ledger,
            columns(out),
            color=has_color(out),
            ascii=is_ascii(out),
            at_work=at_work,
            fresh={item.result for item in ledger.items} - listed,
        ).rstrip("\n")
    yield from whereabouts(ledger)
    yield from reasons(ledger, at_work=at_work)
    yield from gaps(wanted)
    yield from ending(wanted, ledger, typed, _log(folder, wanted))


def _code(queued: Queued, ledger: Ledger) -> int:
    missing = any(gap.measured for gap in queued.gaps)
    return int(ExitCode.GOOD if ledger.is_done and not missing else ExitCode.NOT_SENT)


def _log(folder: Path, queued: Queued) -> str:
    """Give the file of what the command or Felis printed; empty if there is none."""
    names = {"command": command.LOG, "felis": felis_process.LOG}
    path = folder / WORK / names.get(queued.upload.receiver.to, "")
    return str(near(path)) if os.path.isfile(path) else ""  # noqa: PTH113 - nobody else may look into it


def _tell(entry: Entry | Waiting | Doing) -> None:
    for line in told(entry):
        message(line)


def _command(folder: Path, where: Where, queued: Queued) -> str:
    """Give what is typed to go on with a run."""
    name = typable(folder.name) if where.folder == folder.parent else str(folder)
    told_ = [f"--runs {where.runs}"] if where.runs and name != str(folder) else []
    told_ += [f"--bench {where.bench}"] if where.bench else []
    return " ".join(["calseq upload", name, *told_, *_allowing(queued)])


def _elsewhere(folder: Path, queued: Queued) -> str:
    """Give what is typed to have a run sent by another bench file, whose runs may be elsewhere."""
    shown = str(near(folder))
    return " ".join(
        ["calseq upload", shlex.quote(shown if "/" in shown else str(folder)), *_allowing(queued)]
    )


def _allowing(queued: Queued) -> list[str]:
    """Give the options without which such a run is refused."""
    return ["--allow-simulated"] * queued.simulated + ["--allow-part"] * queued.in_part


class _Password:
    """Asks for the password when it is needed first, and keeps it for as long as this lives."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._known: dict[str, str] = {}

    def __call__(self, receiver: FelisReceiver) -> str:
        if receiver.user not in self._known:
            self._known[receiver.user] = find_password(receiver.user, self._descriptor)
        return self._known[receiver.user]


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let a signal end whatever goes on, in order; a second one changes nothing of that.

    One that is ignored stays so: `nohup` means it.
    """

    def interrupt(number: int, _frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    numbers = [number for number in ending if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
