"""Where an upload keeps its things in a run folder: opened only if they are what they are to be, and held by one process.

A link, a fifo or a device in the place of one of them would have calseq write, cut or delete what is somebody else's.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from calseq.system.files import NotRegular, descriptor_of, read_whole
from calseq.system.locks import FolderLock
from calseq.system.proc import pids, words

WORK = "upload"
"""The folder beside the queue: what Felis and commands print, and what they need for a while."""

SCRATCH = "scratch"
"""What Felis needs for a while, in the folder of work; an attempt that was killed leaves it to the next."""

_MOST_BYTES = 256 << 20
_TAIL_BYTES = 8192
_LONGEST_LINE = 200


class Odd(OSError):
    """Something is not what it is to be: a link, for instance, where a file is to be."""

    def __init__(self, name: str, wanted: str) -> None:
        super().__init__(errno.EINVAL, f"{name} is no {wanted} but something else: take it away")


class Holder(Struct, frozen=True):
    """A process that has the folder of work open: an upload, or what one started and left behind."""

    pid: int
    command: str


def open_own(name: str | Path, flags: int, *, below: int | None = None) -> int:
    """Open a regular file, which `flags` may make; no link is followed, and nobody is waited for.

    Raises:
        Odd: it is something else.
        OSError: it cannot be opened.
    """
    try:
        return descriptor_of(name, flags, mode=0o600 if below is not None else 0o644, below=below)
    except NotRegular as error:
        raise Odd(Path(name).name, "file") from error


def last_line(descriptor: int, begin: int) -> str:
    """Give the last line that is not empty of what stands in an open log from a byte on; empty if there is none."""
    start = max(begin, os.fstat(descriptor).st_size - _TAIL_BYTES)
    text = os.pread(descriptor, _TAIL_BYTES, start).decode("utf-8", "replace")
    lines = (line.strip() for line in reversed(text.replace("\r", "\n").split("\n")))
    return next((line[:_LONGEST_LINE] for line in lines if line), "")


def read_file(path: Path) -> bytes:
    """Read a regular file; empty if there is none.

    Raises:
        Odd: it is something else.
        OSError: it cannot be read, or is larger than anything that calseq writes.
    """
    try:
        return read_whole(path, _MOST_BYTES)
    except FileNotFoundError:
        return b""
    except NotRegular as error:
        raise Odd(path.name, "file") from error


def occupied(folder: Path) -> FolderLock:
    """Make the folder of work in a run folder, see that all in it is what it is to be, and take its lock.

    Raises:
        BlockingIOError: somebody else has it.
        Odd: it, or something in it, is something else.
        OSError: it cannot be made.
    """
    work = folder / WORK
    if not os.path.lexists(work):
        work.mkdir(mode=0o700, exist_ok=True)
    _check_folder(work)
    lock = FolderLock(work)
    try:
        # what was opened is what was looked at, whatever somebody put there meanwhile
        if not os.path.samestat(os.fstat(lock.descriptors[0]), work.lstat()):
            raise Odd(WORK, "folder")
        with os.scandir(lock.descriptors[0]) as entries:
            for each in entries:
                _check_entry(each)
    except BaseException:
        lock.release()
        raise
    return lock


def _check_folder(work: Path) -> None:
    if not stat.S_ISDIR(work.lstat().st_mode):
        raise Odd(WORK, "folder")


def _check_entry(entry: "os.DirEntry[str]") -> None:
    is_folder = entry.is_dir(follow_symlinks=False)
    if entry.name == SCRATCH and not is_folder:
        raise Odd(f"{WORK}/{SCRATCH}", "folder")
    if not is_folder and not entry.is_file(follow_symlinks=False):
        raise Odd(f"{WORK}/{entry.name}", "file")


def holders(folder: Path) -> list[Holder]:
    """Give who has the folder of work of a run open, as far as that may be looked at; this process is left out."""
    work = os.path.realpath(folder / WORK)
    return [Holder(pid, _command(pid)) for pid in pids() if pid != os.getpid() and _has_open(pid, work)]


def _has_open(pid: int, path: str) -> bool:
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
            with suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{name}") == path:  # noqa: PTH115
                    return True
    return False


def _command(pid: int) -> str:
    try:
        found = words(pid, "cmdline")
    except OSError:
        return "?"
    return " ".join(os.fsdecode(word) for word in found if word) or "?"
