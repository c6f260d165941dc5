"""The end of a log file that a child is still writing to, looked at cheaply and made harmless."""

import os
import re
import stat
from pathlib import Path

from msgspec import Struct, field

from calseq.plaintext import printable

READ_BYTES = 64 * 1024
"""How much of a file's end is read per look, however long its lines are."""

LINE_CHARS = 200

_ANSI = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC: titles, links, device commands
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"  # the short ones
)


class Tail(Struct, frozen=True):
    """The last lines of a file, its size, and for how long it has not grown."""

    lines: tuple[str, ...] = ()
    size_bytes: int = 0
    silent_s: float = 0.0


class LogTail(Struct):
    """Follows one file. A file that is missing or cannot be read has no lines; nothing raises."""

    path: Path
    _size: int = -1
    _grown_at: float = 0.0
    _lines: tuple[str, ...] = ()
    _wanted: int = field(default=0)

    def look(self, now_s: float, count: int = 10) -> Tail:
        """Give the last `count` lines as they are now; `now_s` is any clock that only goes forward."""
        try:
            self._refresh(now_s, count)
        except (OSError, ValueError):
            self._size, self._lines = max(self._size, 0), ()
        silent_s = max(now_s - self._grown_at, 0.0)
        return Tail(self._lines[-count:] if count > 0 else (), max(self._size, 0), silent_s)

    def _refresh(self, now_s: float, count: int) -> None:
        if self._size < 0:
            self._grown_at, self._size = now_s, 0
        size = self.path.stat().st_size
        if size == self._size and self._wanted >= count:
            return
        if size != self._size:
            self._grown_at = now_s
        self._lines = tail_lines(*_last_bytes(self.path), count)
        self._size, self._wanted = size, count


def tail_lines(text: bytes, torn: bool, count: int) -> tuple[str, ...]:
    """Give the last `count` lines of `text` as they may be shown; `torn`: its first line lacks its beginning."""
    lines = [line for line in text.split(b"\n") if line.strip()]
    if torn and len(lines) > 1:
        lines, torn = lines[1:], False
    shown = [_shown(line, torn=torn) for line in lines[-count:]] if count > 0 else []
    return tuple(line for line in shown if line)


def _last_bytes(path: Path) -> tuple[bytes, bool]:
    # a fifo or a device in the place of a log must not hold up whoever looks
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return b"", False
        start = max(status.st_size - READ_BYTES, 0)
        return os.pread(descriptor, READ_BYTES, start), start > 0
    finally:
        os.close(descriptor)


def _shown(raw: bytes, *, torn: bool) -> str:
    """Give a line as a terminal would leave it: of a progress bar drawn over itself, the last state."""
    parts = [part for part in raw.split(b"\r") if part.strip()]
    text = _ANSI.sub("", (parts[-1] if parts else b"").decode("utf-8", "replace"))
    text = text.expandtabs(4).rstrip()
    if torn and len(parts) < 2 and len(text) >= LINE_CHARS:
        return "…" + printable(text[-LINE_CHARS + 1 :])
    return printable(text, LINE_CHARS)
