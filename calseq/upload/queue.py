"""The queue of a run: `upload.jsonl` in its folder, to which lines are only appended, held by one process at a time.

Its lines are as those of `events.jsonl`, each with its number, time and CRC-32, and on the disk before what follows.
"""

import errno
import os
import signal
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from calseq.model.formats import refuse_newer
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.record.journal import cut_tail, sync_folder, with_checksum, without_checksum
from calseq.record.run_folder import QUEUE
from calseq.system.locks import FolderLock
from calseq.upload.entries import KINDS, QUEUE_FORMAT, Entry, Queued
from calseq.upload.ledger import Ledger, after, fold
from calseq.upload.work_folder import WORK, Odd, holders, occupied, open_own, read_file

_NAMES = {type_: name for name, type_ in KINDS.items()}
_INTERRUPTING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Queue:
    """The queue of a run, locked: no other process sends anything of it meanwhile."""

    def __init__(self, folder: Path) -> None:
        """Take the lock, and read what was written before; a torn last line is cut off.

        Raises:
            Refused: somebody else has it, it is damaged, or the folder cannot be written.
        """
        self.folder = folder
        self._path = folder / QUEUE
        self._lock = _locked(folder)
        try:
            content = read_file(self._path)
            entries, good = _believed(self._path, content)
            if len(content) > good:
                cut_tail(self._path, good)
        except Odd as error:
            self._lock.release()
            raise _refused(folder, str(error.strerror)) from error
        except OSError as error:
            self._lock.release()
            raise _refused(folder, f"cannot be written: {(error.strerror or str(error)).lower()}") from error
        except BaseException:
            self._lock.release()
            raise
        self._lines = len(entries)
        self.ledger = fold(entries)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a child inherits so that the queue is held for as long as it lives."""
        return self._lock.descriptors

    @property
    def work(self) -> Path:
        """The folder for what is printed, and for what is needed for a while."""
        return self.folder / WORK

    def open_log(self, name: str) -> int:
        """Open a file in the folder of work, to which is appended what others print; only its owner may read it.

        Raises:
            OSError: it cannot be opened, or is no regular file.
        """
        return open_own(name, os.O_RDWR | os.O_CREAT | os.O_APPEND, below=self.descriptors[0])

    def write(self, entry: Entry) -> None:
        """Append a line; it is on the disk when this returns. A signal waits until then.

        Raises:
            OSError: it is not: whatever is sent from here on would not be known of.
        """
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTING)
        try:
            _append(self._path, encode(self._lines + 1, entry))
            self._lines += 1
            self.ledger = after(entry, self.ledger)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def release(self) -> None:
        """Let go; a child that inherited the lock still holds it."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def read_queue(folder: Path) -> Ledger | None:
    """Give how the results of a run stand, without holding its queue; None if nothing was queued.

    Raises:
        Refused: it is damaged, is no regular file, cannot be read, or is of a newer calseq.
    """
    try:
        content = read_file(folder / QUEUE)
    except Odd as error:
        raise _refused(folder, str(error.strerror)) from error
    except OSError as error:
        raise _refused(folder, f"{QUEUE} cannot be read: {(error.strerror or str(error)).lower()}") from error
    entries, _ = _believed(folder / QUEUE, content)
    return fold(entries) if entries else None


def encode(number: int, entry: Entry) -> bytes:
    """Write an entry as a line."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    head = f'{{"seq":{number},"at":"{at}","entry":"{_NAMES[type(entry)]}"'.encode()
    return with_checksum(head + b"," + msgspec.json.encode(entry)[1:-1])


def _believed(path: Path, content: bytes) -> tuple[list[Entry], int]:
    """Give the entries of a queue and up to which byte they go: a last line that is torn was never told of."""
    entries: list[Entry] = []
    good = 0
    for number in count(1):
        end = content.find(b"\n", good) + 1
        if not end:
            return entries, good
        try:
            fields = without_checksum(content[good:end])
        except ValueError as error:
            if end == len(content):
                return entries, good
            raise _damaged(path, number, error) from error
        entries.append(_decoded(fields, path, number))
        good = end
    raise AssertionError("numbers do not end")


def _decoded(fields: dict[str, Any], path: Path, number: int) -> Entry:
    """Give the entry of a line whose checksum is good: what is not understood there was written by who knows more."""
    if fields.get("seq") != number:
        raise _damaged(path, number, ValueError("it is out of order"))
    try:
        kind = KINDS[fields["entry"]]
        refuse_newer(fields.get("format") if kind is Queued else None, QUEUE_FORMAT)
        entry: Entry = msgspec.convert(fields, kind)
    except (ValueError, KeyError, TypeError) as error:
        why = f"line {number} of {QUEUE} was made by a newer calseq: {printable(str(error), 200)}"
        raise _refused(path.parent, why, "upload it with that one: it knows what was sent") from error
    return entry


def _damaged(path: Path, number: int, error: Exception) -> Refused:
    return _refused(path.parent, f"{QUEUE} is damaged in line {number}: {printable(str(error), 200)}")


def _append(path: Path, line: bytes) -> None:
    fresh = not path.exists()
    descriptor = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, "no space left on device")
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    if fresh:
        sync_folder(path.parent)


def _locked(folder: Path) -> FolderLock:
    try:
        return occupied(folder)
    except BlockingIOError as error:
        raise _busy(folder) from error
    except Odd as error:
        raise _refused(folder, str(error.strerror)) from error
    except OSError as error:
        raise _refused(folder, f"cannot be written: {(error.strerror or str(error)).lower()}") from error


def _busy(folder: Path) -> Refused:
    """Say who holds a queue: a command that an upload started may have left something behind that does."""
    found = holders(folder)
    told = ", ".join(f"pid {each.pid}, {printable(each.command, 120)}" for each in found[:3])
    cure = "wait for its end, or end it with Ctrl-C there"
    if found:
        cure = f"wait for its end, or end it: kill {' '.join(str(each.pid) for each in found)}"
    why = "another 'calseq upload' works on it" + (f", or what one started: {told}" if told else "")
    return _refused(folder, why, cure)


def _refused(folder: Path, why: str, cure: str = "") -> Refused:
    cure = cure or f"'ls -l {printable(str(folder))}' tells more; what was sent is in {QUEUE}"
    return Refused([Problem(codes.NOT_UPLOADABLE, f"{printable(folder.name)}: {why}", cure)])
