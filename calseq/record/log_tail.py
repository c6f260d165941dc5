"""The end of a log file that a child is still writing to, looked at cheaply and made harmless."""

import re
import time
from pathlib import Path

from msgspec import Struct, field

from calseq.problems.plaintext import printable
from calseq.system.files import read_end

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
        is_new = self._size < 0
        if is_new:
            self._grown_at, self._size = now_s, 0
        status = self.path.stat()
        size = status.st_size
        if is_new:
            # whoever comes later counts the silence before, too
            self._grown_at -= max(time.time() - status.st_mtime, 0.0)
        elif size == self._size and self._wanted >= count:
            return
        elif size != self._size:
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
    content = read_end(path, READ_BYTES + 1)
    return content[-READ_BYTES:], len(content) > READ_BYTES


def shown_line(raw: bytes) -> str:
    """Give a line as a terminal would leave it, harmless: of a progress bar drawn over itself, the last state."""
    return printable(_plain(_last_part(raw)))


def _shown(raw: bytes, *, torn: bool) -> str:
    text = _plain(_last_part(raw))
    if torn and not _is_redrawn(raw) and len(text) >= LINE_CHARS:
        return "…" + printable(text[-LINE_CHARS + 1 :])
    return printable(text, LINE_CHARS)


def _last_part(raw: bytes) -> bytes:
    return next((part for part in reversed(raw.split(b"\r")) if part.strip()), b"")


def _is_redrawn(raw: bytes) -> bool:
    return sum(bool(part.strip()) for part in raw.split(b"\r")) > 1


def _plain(raw: bytes) -> str:
    return _ANSI.sub("", raw.decode("utf-8", "replace")).expandtabs(4).rstrip()
