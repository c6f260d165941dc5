"""The report after a run: a courtesy, made in a process of its own, so that nothing that it does becomes anything else."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from calseq.problems.plaintext import printable, word
from calseq.record.run_folder import REPORT
from calseq.report import clear_drafts
from calseq.system.clock import now_s
from calseq.system.process import Child, NotStarted, end_child
from calseq.system.signals import Stops

LIMIT_S = 60.0
"""A page takes a second or two, on a slow disk perhaps ten: what takes longer hangs."""

_GRACE_S = 1.0
"""Short: a page that is half done loses nothing, and the operator waits."""

_LONG_S = 3.0
"""After this the operator is told what is waited for."""

_POLL_S = 0.1
_THIS = (sys.executable, "-P", "-m", "calseq.report")
_WORDS_BYTES = 4096


class Left(Struct, frozen=True):
    """Where the report is, or what went wrong with it."""

    path: Path | None = None
    complaint: str = ""


def leave_report(
    folder: Path,
    stops: Stops,
    *,
    limit_s: float = LIMIT_S,
    command: Sequence[str] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Left:
    """Have the report of a run that is over written. Whatever goes wrong is said in one line; a stop ends it.

    `command` is what writes it, else this very Python; it is ended, with all that it started, after `limit_s` seconds.
    `tell` hears that it takes long, if it does.
    """
    stops.renew()
    forget_report(folder)
    page = folder / REPORT
    is_old = os.path.lexists(page)
    try:
        wrong = _written(folder, stops, limit_s, command or _THIS, tell)
    except Exception as error:  # noqa: BLE001 - a bug in a courtesy must not change how a run ended
        wrong = why(error)
    with suppress(OSError):
        clear_drafts(page)
        if page.is_file() and not (wrong and is_old):  # it is put there whole
            return Left(page)
    wrong = wrong or "what writes it ended without it"
    again = f"'calseq report {word(folder.name)}' makes it"
    return Left(complaint=f"no report: {printable(wrong, 200)}; {again}")


def forget_report(folder: Path) -> None:
    """Take an earlier report away: a run that goes on has not ended as it says."""
    with suppress(OSError):
        (folder / REPORT).unlink(missing_ok=True)


def why(error: BaseException) -> str:
    """Say what went wrong, in a line."""
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    if isinstance(error, NotStarted):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _written(
    folder: Path, stops: Stops, limit_s: float, command: Sequence[str], tell: Callable[[str], None]
) -> str:
    """Have it written; say what went wrong, if anything."""
    heard, told = os.pipe2(os.O_CLOEXEC)
    try:
        os.set_blocking(heard, False)
        mark = f"CALSEQ_REPORT_OF={folder.name}"
        child = Child([*command, str(folder)], cwd=".", env=os.environ, log=told, mark=mark)
        try:
            return _waited(child, heard, stops, limit_s, tell)
        finally:
            end_child(child, _GRACE_S, stops.pause)
    finally:
        os.close(heard)
        os.close(told)


def _waited(child: Child, heard: int, stops: Stops, limit_s: float, tell: Callable[[str], None]) -> str:
    """Wait for its end; say why no longer, or what it said of itself at last."""
    due_s, said = now_s() + limit_s, b""
    long_s = now_s() + _LONG_S
    while (ended := child.poll()) is None:
        said = _more(heard, said)
        if stops.level:
            return f"stopped by {stops.who}"
        if now_s() >= due_s:
            return f"it took longer than {limit_s:g} s"
        if now_s() >= long_s:
            long_s = due_s
            tell(f"report   is being written (at most {limit_s:g} s, Ctrl-C ends it)")
        stops.pause(min(_POLL_S, max(due_s - now_s(), 0.0)))
    if ended.code == 0:
        return ""
    how = ended.signal or f"exit code {ended.code}"
    lines = _more(heard, said).decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines and not ended.signal else f"what writes it ended with {how}"


def _more(heard: int, said: bytes) -> bytes:
    """Give the end of what was said, with what is new."""
    with suppress(BlockingIOError):
        said += os.read(heard, 1 << 16)
    return said[-_WORDS_BYTES:]
