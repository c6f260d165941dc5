"""Programs that are asked what they are, with bounded time and output, and of which nothing is left."""

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

from calseq.system.clock import now_s
from calseq.system.process import Child, Exit, NotStarted, end_all
from calseq.system.signals import Stops

PATIENCE_S = 20.0
"""How long a program may take over its help: dirigent's imports come from a network disk on some machines."""

_AT_ONCE = 4
_GRACE_S = 1.0
_LOOK_S = 0.05
_MAX_ANSWER_BYTES = 1 << 20


class Answer(Struct, frozen=True):
    """What a program printed and how it ended: `exit` is None if it had to be, after `patience_s`."""

    text: str = ""
    exit: Exit | None = None
    not_started: str = ""
    patience_s: float = 0.0

    @property
    def is_good(self) -> bool:
        """It ended by itself, and well."""
        return self.exit == Exit(code=0)

    @property
    def lines(self) -> list[str]:
        """Its lines that are not empty."""
        return [line.strip() for line in self.text.splitlines() if line.strip()]

    @property
    def last_line(self) -> str:
        """The last line that is not empty."""
        return (self.lines or [""])[-1]

    @property
    def ending(self) -> str:
        """How it ended, after a subject; why it was not started is a sentence of its own."""
        if self.not_started:
            return self.not_started
        if self.exit is None:
            return f"did not end in {self.patience_s:g} s"
        how = f"exit code {self.exit.code}" if self.exit.code is not None else str(self.exit.signal)
        return f"ended with {how}" + (f": {self.last_line[:200]}" if self.last_line else "")

    def lacks(self, word: str) -> bool:
        """The word, such as an option, does not stand in it by itself."""
        return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", self.text) is None


class Asking(Struct):
    """Asks programs questions, each in its own session, for so long and no longer."""

    environ: Mapping[str, str]
    cwd: str
    stops: Stops
    patience_s: float

    def find(self, program: str, mode: int = os.F_OK | os.X_OK) -> str | None:
        """Find a program as its child would be found."""
        path = str(Path(self.cwd, program)) if "/" in program else program
        return shutil.which(path, mode, self.environ.get("PATH", os.defpath))

    def one(self, *argv: str) -> Answer:
        """Give a program's answer."""
        return next(iter(self.all([argv])), Answer(not_started="stopped"))

    def all(self, questions: Sequence[Sequence[str]]) -> list[Answer]:
        """Give the answers of all, or of the first few if a stop is asked for meanwhile."""
        answers: list[Answer] = []
        for first in range(0, len(questions), _AT_ONCE):
            if self.stops.level:
                break
            answers += self._together(questions[first : first + _AT_ONCE])
        return answers

    def wait(self, timeout_s: float, done: Callable[[], bool]) -> None:
        """Wait until something is done, and no longer than `timeout_s`."""
        due_s = now_s() + timeout_s
        while not done() and (left_s := due_s - now_s()) > 0:
            self.stops.pause(min(left_s, _LOOK_S))

    def _together(self, questions: Sequence[Sequence[str]]) -> list[Answer]:
        with ExitStack() as held:
            asked = [_Asked(argv, self, held) for argv in questions]
            self.wait(
                self.patience_s, lambda: bool(self.stops.level) or not any(each.is_busy() for each in asked)
            )
            return [each.answer() for each in asked]


class _Asked:
    """One program that was asked; whatever happens, nothing of it is left."""

    def __init__(self, argv: Sequence[str], asking: Asking, held: ExitStack) -> None:
        self._asking = asking
        self._log = held.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is entered
        self._child: Child | None = None
        self._why_not = ""
        mark = f"CALSEQ_DOCTOR={os.getpid()}-{id(self)}"
        # A wide page: nothing that is looked for may be broken over two lines.
        env = {**asking.environ, "COLUMNS": "200"}
        try:
            self._child = Child(argv, cwd=asking.cwd, env=env, log=self._log.fileno(), mark=mark)
        except NotStarted as error:
            self._why_not = str(error)
        else:
            held.callback(self._end, self._child)

    def is_busy(self) -> bool:
        """It runs, and has not printed more than any help."""
        if self._child is None or self._child.poll() is not None:
            return False
        return os.fstat(self._log.fileno()).st_size <= _MAX_ANSWER_BYTES

    def answer(self) -> Answer:
        """Give what it said so far."""
        text = os.pread(self._log.fileno(), _MAX_ANSWER_BYTES, 0).decode(errors="replace")
        exit_ = self._child.poll() if self._child else None
        return Answer(text, exit_, self._why_not, self._asking.patience_s)

    def _end(self, child: Child) -> None:
        """End what still runs, gently and then firmly, and what it left behind."""
        if child.poll() is None:
            child.send(signal.SIGTERM)
            self._asking.wait(_GRACE_S, lambda: child.poll() is not None)
        if child.poll() is None:
            child.send(signal.SIGKILL)
        self._asking.wait(_GRACE_S, lambda: _none_left(child) and child.poll() is not None)
        if child.poll() is not None:  # else it hangs in the kernel, on a dead disk, and nothing can end it
            child.reap()


def _none_left(child: Child) -> bool:
    left = child.tree()
    end_all(left, signal.SIGKILL)
    return not left
