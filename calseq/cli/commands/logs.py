"""`calseq logs`: what a step printed, made harmless on a terminal and byte by byte elsewhere, also while it grows."""

import sys
from pathlib import Path

from calseq.cli.terminal import message as tell
from calseq.cli.terminal import results
from calseq.cli.where_runs import Where
from calseq.cli.which_run import chosen, look
from calseq.console.statusview import Glance
from calseq.model.verdicts import ExitCode
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.record.follow import Skim
from calseq.record.log_tail import shown_line
from calseq.record.past import State
from calseq.record.status import GOING_ON, Standing
from calseq.record.steplogs import StepLog, find_step, step_logs
from calseq.record.view import fold
from calseq.record.watch import happenings
from calseq.system.files import open_regular
from calseq.system.signals import Stops

ON_A_TERMINAL = 100
"""So many last lines are shown on a terminal if nothing else is said; elsewhere all."""

_CHUNK_BYTES = 1 << 18
_LINE_BYTES = 8192
"""A longer line is shown in pieces."""

_AHEAD = (State.WAITING, State.RUNNING, State.RETRYING)


def logs(where: Where, run: str | None, step: str | None, last: int | None, *, follow: bool) -> int:
    """Write a step's log, from its last lines on; give the exit code."""
    standing = chosen(where, run)
    try:
        glance, skimmed = look(standing)
    except Refused:
        if step is None:
            raise
        glance, skimmed = None, Skim()  # what was printed can be read though the record is damaged
    number, name = _meant(standing.folder, glance, step)
    paper = _Paper(raw=not sys.stdout.isatty())
    if last is None and not paper.raw:
        last = ON_A_TERMINAL
    page = _Page(standing.folder, number, name, paper, simulated=_is_simulated(standing, glance))
    page.begin(last)
    if follow and glance and standing.phase in GOING_ON:
        _follow(glance, skimmed, page)
    page.end()
    return int(ExitCode.GOOD)


def _is_simulated(standing: Standing, glance: Glance | None) -> bool:
    return standing.record.simulated or bool(glance and glance.view.simulated)


def _meant(folder: Path, glance: Glance | None, text: str | None) -> tuple[int, str]:
    """Give the step that is meant; if none is said the running one, else the failed one, else the latest."""
    if glance is None or text is not None:
        planned = tuple((each.step.number, each.step.name) for each in glance.view.steps) if glance else ()
        return find_step(folder, text or "", planned)
    view = glance.view
    step = view.running or view.first_failure or view.focus
    return (step.step.number, step.step.name) if step else (0, "")


def _follow(glance: Glance, skimmed: Skim, page: "_Page") -> None:
    """Go on with a step's log until the step has ended, through all its attempts."""
    view = glance.view
    for news in happenings(glance.standing.folder, skimmed, Stops()):
        for stamped in news:
            view = fold(view, stamped)
        page.go_on()
        step = view.step(page.number)
        if step is None or step.state not in _AHEAD:
            return


class _Page:
    """The log of one step as it is written out: where it is, and how much of it was read."""

    def __init__(self, folder: Path, number: int, name: str, paper: "_Paper", *, simulated: bool) -> None:
        self._mark = "SIMULATED " if simulated else ""
        self.number, self._name, self._folder, self._paper = number, name, folder, paper
        self._log: StepLog | None = None
        self._read = 0

    def begin(self, last: int | None) -> None:
        """Write the latest attempt's log, or the last lines of it."""
        attempts = self._attempts()
        if not attempts:
            tell(f"step {self.number} {printable(self._name)} has not run yet: it has no log")
            return
        self._open(attempts[-1])
        try:
            self._read = 0 if last is None else start_of_last(attempts[-1].path, last)
            self._write()
        except PermissionError as error:
            cure = "ask whoever ran it, or look at it as root"
            message = f"{printable(str(attempts[-1].path))} may not be read by you"
            raise Refused([Problem(codes.UNREADABLE, message, cure)]) from error

    def go_on(self) -> None:
        """Write what is new, of this attempt and of those that followed."""
        self._write()
        later = [log for log in self._attempts() if self._log is None or log > self._log]
        for log in later:
            self._open(log)
            self._write()

    def end(self) -> None:
        """Write what is left of a line that was never ended."""
        self._paper.end()

    def _attempts(self) -> list[StepLog]:
        return [log for log in step_logs(self._folder) if log.number == self.number]

    def _open(self, log: StepLog) -> None:
        self._paper.end()
        self._log, self._read = log, 0
        tell(
            f"{self._mark}step {log.number} {printable(self._name)}, attempt {log.attempt}: {printable(str(log.path))}"
        )

    def _write(self) -> None:
        if self._log is None:
            return
        with open_regular(self._log.path) as file:
            file.seek(self._read)
            while chunk := file.read(_CHUNK_BYTES):
                self._read += len(chunk)
                self._paper.write(chunk)


class _Paper:
    """Where a log is written to. `raw`: byte by byte; else line by line, and no control character among them."""

    def __init__(self, *, raw: bool) -> None:
        self.raw = raw
        self._line = b""

    def write(self, chunk: bytes) -> None:
        if self.raw:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            return
        *lines, self._line = (self._line + chunk).split(b"\n")
        if len(self._line) > _LINE_BYTES:
            lines.append(self._line)
            self._line = b""
        if lines:
            results("\n".join(map(shown_line, lines)))

    def end(self) -> None:
        if self._line:
            results(shown_line(self._line))
        self._line = b""


def start_of_last(path: Path, count: int) -> int:
    """Give the byte at which the last `count` lines of a file begin; it is read from its end."""
    with open_regular(path) as file:
        end = file.seek(0, 2)
        if count < 1:
            return end
        beyond = end - 1  # the newline that ends the file begins no further line
        while beyond > 0:
            start = max(0, beyond - _CHUNK_BYTES)
            file.seek(start)
            block = file.read(beyond - start)
            place = len(block)
            while (place := block.rfind(b"\n", 0, place)) >= 0:
                count -= 1
                if count == 0:
                    return start + place + 1
            beyond = start
    return 0
