"""A child in a session of its own: started, waited for, ended gently and then firmly, with all it left behind.

Its output goes straight into its log file: a slow viewer costs nothing, and a child that outlives calseq
gets no SIGPIPE in the middle of a ramp.
"""

import getpass
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from calseq.problems.plaintext import printable
from calseq.system import proc
from calseq.system.clock import now_s

RUN_MARK = "CALSEQ_RUN_FOLDER"
"""The variable by which everything that a run started is known, whoever is its parent by now."""

_POLL_S = 0.05
_LEAST_LIMIT_US = 1 << 50
"""35 years of real time: no process is ended by such a limit, and all that a child starts has it from it."""
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of <linux/prctl.h>


class NotStarted(Exception):
    """A child could not be started; the message says why, for an operator."""


class Exit(Struct, frozen=True):
    """How a process ended: with an exit code, or by a signal."""

    code: int | None = None
    signal: str | None = None


class Left(Struct, frozen=True):
    """A process that outlived the child it came from."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.pid})"


def adopt_orphans() -> bool:
    """Make calseq the parent of whatever its children leave behind, so that it can be found and ended."""
    import ctypes  # noqa: PLC0415 - 8 ms that only a run needs

    try:
        return bool(ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


class Child:
    """A running child, leader of its session and process group."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        log: int,
        mark: str,
        keep: Sequence[int] = (),
        told: int = subprocess.DEVNULL,
    ) -> None:
        """Start it.

        `told` is an open descriptor that it reads, if anything; `log` is an open descriptor. `mark` is a `NAME=value` that
        is put into its environment, its descendants' sign. The descriptors in `keep` stay open in it, as locks do that
        are to last as long as it.

        Raises:
            NotStarted: with the reason in words.
        """
        self._mark = mark.encode()
        name, _, value = mark.partition("=")
        try:
            with _limited() as self.limit:
                self._popen = subprocess.Popen(
                    list(argv),
                    cwd=cwd,
                    env={**env, name: value},
                    stdin=told,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=tuple(keep),
                )
        except (OSError, ValueError) as error:
            raise NotStarted(_why_not(error, argv, cwd)) from error
        self.pid = self._popen.pid
        self._exit: Exit | None = None
        self._seen: set[int] = set()

    def poll(self) -> Exit | None:
        """Say how the child ended; None while it runs. Until `reap` it can be signalled without harm to others."""
        if self._exit is None:
            try:
                info = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                self._exit = Exit()  # somebody else in this process has reaped it
            else:
                self._exit = _exit_of(info) if info is not None else None
        return self._exit

    def send(self, number: signal.Signals) -> None:
        """Signal the child's group, and from SIGTERM on also descendants that left it. Stopped ones are woken."""
        targets = {left.pid for left in self.tree()} if number is not signal.SIGINT else set()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGCONT)
        for pid in targets:
            with suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) != self.pid:
                    os.kill(pid, number)
                    os.kill(pid, signal.SIGCONT)

    def tree(self) -> list[Left]:
        """Give the child's descendants, orphans included, but not the child."""
        found = [left for left in self._descendants() if left.pid != self.pid]
        self._seen |= {left.pid for left in found}
        return found

    def reap(self) -> None:
        """Take the ended child and its tree off the process table; its pid is then anybody's. Never waits."""
        if self.poll() is None:
            return
        self._popen.wait()
        for pid in (-self.pid, *self._seen):  # the rest of its group, and what left that
            with suppress(ChildProcessError):
                while os.waitpid(pid, os.WNOHANG)[0]:
                    pass

    def _descendants(self) -> list[Left]:
        """Give those who live of the child's tree, and of the orphans adopted from it."""
        found: dict[int, Left] = {}
        adopted = (pid for pid in proc.children(os.getpid()) if pid != self.pid)
        queue = [pid for pid in adopted if pid in self._seen or self._is_ours(pid)]
        if self._exit is None:
            queue.append(self.pid)  # what an ended child leaves behind is adopted at once
        while queue:
            pid = queue.pop()
            if pid in found:
                continue
            queue += proc.children(pid)
            if proc.lives(pid):
                found[pid] = Left(pid, proc.name(pid))
        return list(found.values())

    def _is_ours(self, pid: int) -> bool:
        """It is of the child's session, or carries the mark of this attempt in its environment, or the child's limit.

        A daemon with another environment in a session of its own has the limit all the same.
        """
        try:
            if os.getsid(pid) == self.pid:
                return True
            if self._mark in proc.words(pid, "environ"):
                return True
        except OSError:
            pass
        return bool(self.limit) and proc.has_limit(pid, self.limit)


def user() -> str:
    """Name of the user of this process; empty if it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def end_child(child: Child, grace_s: float, pause: Callable[[float], None]) -> None:
    """End a child, if it runs, and all that it started, and reap it; SIGTERM gets `grace_s` seconds, and SIGKILL too."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        due_s = now_s() + grace_s
        if child.poll() is None or child.tree():
            child.send(number)
        while (child.poll() is None or child.tree()) and now_s() < due_s:
            pause(_POLL_S)
    child.reap()


def end_all(left: Sequence[Left], number: signal.Signals) -> None:
    """Signal processes that a child left behind."""
    for process in left:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)
            os.kill(process.pid, signal.SIGCONT)


@contextmanager
def _limited() -> Iterator[int]:
    """Give what is started inside a limit of real time that nothing else has; 0 where that cannot be set."""
    limit = _LEAST_LIMIT_US | int.from_bytes(os.urandom(6), "big")
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
        resource.setrlimit(resource.RLIMIT_RTTIME, (limit, hard))
    except (OSError, ValueError, AttributeError):
        yield 0
        return
    try:
        yield limit
    finally:
        resource.setrlimit(resource.RLIMIT_RTTIME, (soft, hard))


def _exit_of(info: "os.waitid_result") -> Exit:
    if info.si_code == os.CLD_EXITED:
        return Exit(code=info.si_status)
    try:
        return Exit(signal=signal.Signals(info.si_status).name)
    except ValueError:
        return Exit(signal=f"signal {info.si_status}")


def _why_not(error: Exception, argv: Sequence[str], cwd: str) -> str:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)) and not Path(cwd).is_dir():
        return f"the working folder {printable(cwd)} is not there"
    reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
    if isinstance(error, FileNotFoundError) and (Path(cwd) / argv[0]).is_file():
        reason = "the interpreter that its first line names is not there"
    return f"cannot start '{printable(argv[0], 80)}': {reason}"
