"""The journal of a run: every event on disk, one checked line each, before the run goes on.

A line is JSON with its sequence number, times, event and fields, and last a CRC-32 of all before it. Lines
are only ever appended; the ones at which a run may be taken up again are flushed to the disk itself.
"""

import errno
import os
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from calseq import events
from calseq.events import EVENT_FORMAT, KINDS, Event, Stamped
from calseq.formats import refuse_newer

_NAMES = {event: name for name, event in KINDS.items()}
_DURABLE = (
    events.RunStarted,
    events.StepStarted,
    events.StepEnded,
    events.StepSkipped,
    events.BiasDecided,
    events.SafeEndFinished,
    events.RunEnded,
)
_CRC = b',"crc":"%08x"}'


class Journal:
    """Appends events to a new `events.jsonl`; a vital listener."""

    def __init__(self, path: Path) -> None:
        """Make the file.

        Raises:
            OSError: it is there already, or cannot be made.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o644)
        sync_folder(path.parent)

    def __call__(self, stamped: Stamped) -> None:
        """Write an event; a step's beginning and end are on the disk when this returns.

        Raises:
            OSError: it is not, and the record is to be taken as lost.
        """
        line = encode(stamped)
        if os.write(self._descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, "no space left on device")
        if not os.fstat(self._descriptor).st_nlink:
            raise OSError(errno.ENOENT, "the journal was removed")
        if isinstance(stamped.event, _DURABLE):
            os.fdatasync(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
    body = head + (b"," + fields if fields else b"")
    return body + _CRC % zlib.crc32(body) + b"\n"


def decode(line: bytes) -> Stamped:
    """Read a line of a journal back.

    Raises:
        ValueError: it is torn, damaged, no event, or the beginning of a journal of a newer format.
    """
    body, mark, tail = line.rstrip(b"\n").rpartition(b',"crc":"')
    if not mark or _CRC % zlib.crc32(body) != mark + tail:
        raise ValueError("its checksum does not fit")
    fields: dict[str, Any] = msgspec.json.decode(body + b"}")
    seq, at, t, name = (fields.pop(key) for key in ("seq", "at", "t", "event"))
    if name == "run-started":
        refuse_newer(fields.get("format"), EVENT_FORMAT)
    event: Event = msgspec.convert(fields, KINDS[name])
    return Stamped(seq, datetime.fromisoformat(at).timestamp(), t, event)


def read_journal(path: Path) -> tuple[list[Stamped], str]:
    """Give the events of a journal up to the first that is damaged, and what is wrong there; empty if nothing."""
    stamped: list[Stamped] = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        try:
            event = decode(line)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            return stamped, f"line {number} cannot be used: {error}"
        if event.seq != number or not line.endswith(b"\n"):
            return stamped, f"line {number} is out of order or torn"
        stamped.append(event)
    return stamped, ""
