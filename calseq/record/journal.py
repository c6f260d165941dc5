"""The journal of a run: every event on disk, one checked line each, before the run goes on.

A line is JSON with its sequence number, times, event and fields, and last a CRC-32 of all before it. Lines
are only ever appended; the ones at which a run may be taken up again are flushed to the disk itself.
"""

import errno
import os
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import msgspec
from msgspec import Struct

from calseq.model import events
from calseq.model.events import EVENT_FORMAT, KINDS, Event, Stamped
from calseq.model.formats import refuse_newer
from calseq.system.files import JOURNAL_BYTES, descriptor_of, read_whole

_NAMES = {event: name for name, event in KINDS.items()}
_DURABLE = (
    events.RunStarted,
    events.RunResumed,
    events.StepStarted,
    events.StepEnded,
    events.StepSkipped,
    events.BiasDecided,
    events.SafeEndFinished,
    events.RunEnded,
)
_AWAITED = (*_DURABLE, events.RailMoving)
"""What is in the file before the run goes on: the end of calseq itself then loses none of it."""
DISK_LIMIT_S = 20.0
"""How long the disk may take for a line that has to be on it; what takes longer counts as lost."""
_LONGEST_S = 1e9
_LATEST_S = 253_370_764_800  # the year 9999: what comes later is no date in any zone
_CRC = b',"crc":"%08x"}'


class JournalReading(Struct, frozen=True):
    """What a journal says, as far as it can be believed.

    `good_bytes` are the lines up to the first bad one, `wrong` says what is wrong there. If that is the last
    line of the file, the journal is only `torn`: what stands before it is all that was ever told.
    """

    stamped: tuple[Stamped, ...] = ()
    good_bytes: int = 0
    wrong: str = ""
    torn: bool = False


class Journal:
    """Appends events to `events.jsonl`; a vital listener.

    The disk is written to by a thread of its own: one that hangs costs a run its record, and nobody his HV.
    """

    def __init__(
        self,
        path: Path,
        *,
        resumed: bool = False,
        limit_s: float = DISK_LIMIT_S,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        """Make the file; that of a resumed run may be there. `sync` brings what was written to the disk, within `limit_s`.

        Raises:
            OSError: it is there already, or cannot be made.
        """
        flags = os.O_RDWR | os.O_CREAT | (0 if resumed else os.O_EXCL) | os.O_APPEND
        self._file = _JournalFile(path, descriptor_of(path, flags), sync)
        self._limit_s = limit_s
        self._waiting: SimpleQueue[tuple[bytes, Event] | None] = SimpleQueue()
        self._written = threading.Event()
        self._failed: OSError | None = None
        sync_folder(path.parent)
        self._is_hanging = False
        self._thread = threading.Thread(target=self._write, daemon=True, name="journal")
        self._thread.start()

    def __call__(self, stamped: Stamped) -> None:
        """Write an event; a step's beginning and end are on the disk when this returns, a move of the rails is in the file.

        Raises:
            OSError: it, or one before it, is not there in time, and the record is to be taken as lost.
        """
        awaited = isinstance(stamped.event, _AWAITED)
        if awaited:
            self._written.clear()
        self._waiting.put((encode(stamped), stamped.event))
        if awaited and not self._written.wait(self._limit_s):
            self._is_hanging = True
            raise OSError(errno.ETIMEDOUT, f"the disk has not taken it within {self._limit_s:g} s")
        if self._failed:
            raise self._failed

    def _write(self) -> None:
        """Write what comes, until the journal is closed or something fails."""
        while (item := self._waiting.get()) is not None:
            line, event = item
            if not self._failed:
                try:
                    self._file.append(
                        line, durable=isinstance(event, _DURABLE), whole=isinstance(event, events.RunEnded)
                    )
                except OSError as error:
                    self._failed = error
            if isinstance(event, _AWAITED):
                self._written.set()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file, once all that was given is written; a disk that hangs is not waited for."""
        self._waiting.put(None)
        if not self._is_hanging:
            self._thread.join(self._limit_s)


class _JournalFile:
    """The file of a journal, which nobody else may write to, cut, move or put something else in the place of."""

    def __init__(self, path: Path, descriptor: int, sync: Callable[[int], None]) -> None:
        self._path, self._descriptor, self._sync = path, descriptor, sync
        self._crc = self._sum()
        self._size = os.fstat(descriptor).st_size

    def append(self, line: bytes, *, durable: bool, whole: bool) -> None:
        """Write a line; with `durable` bring it to the disk, with `whole` look before at all that was written.

        Raises:
            OSError: it could not be written, or the file is not what was written any more.
        """
        if whole and self._sum() != self._crc:
            raise OSError(errno.ESTALE, "the journal was overwritten")
        if os.write(self._descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, "no space left on device")
        self._size += len(line)
        self._crc = zlib.crc32(line, self._crc)
        if durable:
            self._sync(self._descriptor)
            self._check()

    def _check(self) -> None:
        """See that the path still leads to this file, and that nobody else has cut it or written to it."""
        mine = os.fstat(self._descriptor)
        try:
            there = self._path.lstat()
        except FileNotFoundError as error:
            raise OSError(errno.ENOENT, "the journal was removed") from error
        if not os.path.samestat(mine, there):
            raise OSError(errno.ESTALE, "the journal was moved, and something else is in its place")
        if mine.st_size != self._size:
            raise OSError(errno.ESTALE, "the journal was cut, or written to by somebody else")

    def _sum(self) -> int:
        """CRC-32 of all that the file holds."""
        crc, place = 0, 0
        while part := os.pread(self._descriptor, 1 << 20, place):
            crc, place = zlib.crc32(part, crc), place + len(part)
        return crc

    def close(self) -> None:
        with suppress(OSError):
            os.close(self._descriptor)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk: a new file without its name is lost.

    Raises:
        OSError: they are not.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def encode(stamped: Stamped) -> bytes:
    """Write an event as a line of a journal."""
    at = datetime.fromtimestamp(stamped.at, UTC).isoformat(timespec="milliseconds")
    name = _NAMES[type(stamped.event)]
    head = f'{{"seq":{stamped.seq},"at":"{at}","t":{stamped.t:.6f},"event":"{name}"'.encode()
    fields = msgspec.json.encode(stamped.event)[1:-1]
    return with_checksum(head + (b"," + fields if fields else b""))


def decode(line: bytes) -> Stamped:
    """Read a line of a journal back.

    Raises:
        ValueError: it is torn, damaged, no event, or the beginning of a journal of a newer format.
    """
    fields = without_checksum(line)
    seq, at, t, name = (fields.pop(key) for key in ("seq", "at", "t", "event"))
    if name == "run-started":
        refuse_newer(fields.get("format"), EVENT_FORMAT)
    event: Event = msgspec.convert(fields, KINDS[name])
    stamped = Stamped(seq, datetime.fromisoformat(at).timestamp(), t, event)
    if type(t) not in (int, float) or not (0 <= t < _LONGEST_S and 0 <= stamped.at < _LATEST_S):
        raise ValueError("its time is none")
    return stamped


def with_checksum(body: bytes) -> bytes:
    """Give a JSON object that lacks its closing brace as a whole line, with the CRC-32 of all before it."""
    return body + _CRC % zlib.crc32(body) + b"\n"


def without_checksum(line: bytes) -> dict[str, Any]:
    """Give the fields of a line, if it is as it was written.

    Raises:
        ValueError: it is torn or damaged.
    """
    body, mark, tail = line.rstrip(b"\n").rpartition(b',"crc":"')
    if not mark or _CRC % zlib.crc32(body) != mark + tail:
        raise ValueError("its checksum does not fit")
    fields: dict[str, Any] = msgspec.json.decode(body + b"}")
    return fields


def read_journal(path: Path) -> tuple[list[Stamped], str]:
    """Give the events of a journal up to the first that is damaged, and what is wrong there; empty if nothing."""
    reading = scan(read_whole(path, JOURNAL_BYTES))
    return list(reading.stamped), reading.wrong


def scan(content: bytes) -> JournalReading:
    """Read the content of a journal up to the first line that is damaged."""
    stamped: list[Stamped] = []
    good = 0
    while good < len(content):
        end = content.find(b"\n", good) + 1 or len(content)
        wrong = _read_into(stamped, content[good:end])
        if wrong:
            wrong = f"line {len(stamped) + 1} {wrong}"
            return JournalReading(tuple(stamped), good, wrong, torn=end == len(content))
        good = end
    return JournalReading(tuple(stamped), good)


def _read_into(stamped: list[Stamped], line: bytes) -> str:
    """Read a line and put it to those before; say what is wrong with it, if anything."""
    try:
        event = decode(line)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        return f"cannot be used: {error}"
    if event.seq != len(stamped) + 1 or not line.endswith(b"\n"):
        return "is out of order or torn"
    stamped.append(event)
    return ""


def cut_tail(path: Path, good_bytes: int) -> Path:
    """Cut off all behind the good lines of a journal, after a copy of it is on the disk; give the copy.

    Raises:
        OSError: that cannot be done; nothing is cut then.
    """
    with os.fdopen(descriptor_of(path, os.O_RDWR), "r+b") as file:
        file.seek(good_bytes)
        copy = _saved(path, file.read())
        file.truncate(good_bytes)
        os.fsync(file.fileno())
    return copy


def _saved(path: Path, tail: bytes) -> Path:
    for number in count(1):
        copy = path.with_name(f"{path.stem}.torn-{number}{path.suffix}")
        with suppress(FileExistsError), copy.open("xb") as file:
            file.write(tail)
            file.flush()
            os.fsync(file.fileno())
            sync_folder(path.parent)
            return copy
    raise AssertionError("numbers do not end")
