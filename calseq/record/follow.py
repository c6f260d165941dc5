"""Journals as other processes read them: skimmed for the status of a run, and followed while they grow."""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from calseq.model.events import Stamped
from calseq.record.journal import decode
from calseq.system.files import open_regular

_CHUNK_BYTES = 1 << 20
_LINE_BYTES = 16 << 20
_MAX_DAMAGE = 5
_MARK = b'"event":"'
_PROGRESS = b'"event":"step-progressed"'
_CHATTER = (b"step-progressed", b"monitor-read")
_GOOD = b'"ok":true'
_UNUSABLE = (ValueError, KeyError, TypeError, OverflowError, RecursionError)


class Skim(Struct, frozen=True):
    """Events of a journal that matter to the status of its run.

    `stamped` are its events in order, but of progress inside steps only the last, and of every monitor only its last
    good look. `damage` says what of the file cannot be used, `torn` that its last line is not whole: perhaps it is
    being written. `lines` whole lines were read, up to byte `end`.
    """

    stamped: tuple[Stamped, ...] = ()
    damage: tuple[str, ...] = ()
    torn: bool = False
    lines: int = 0
    end: int = 0


def skim(path: Path) -> Skim:
    """Read what matters of a journal, of any size. What is left out is not even checked.

    Raises:
        OSError: it cannot be read.
    """
    kept = _Kept()
    lines = end = 0
    rest = b""
    with open_regular(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            whole, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline:
                end += len(whole) + 1
                lines = kept.take(whole, lines)
            if len(rest) > _LINE_BYTES:
                break  # no event: what follows is not read
    stamped, damage = _checked(kept.in_order())
    return Skim(tuple(stamped), _shortened(damage), bool(rest), lines, end)


class Follower:
    """Reads what is appended to a journal after what was skimmed; `damage` is what of it could not be used."""

    def __init__(self, path: Path, skimmed: Skim) -> None:
        self._path = path
        self._end, self._lines, self._rest = skimmed.end, skimmed.lines, b""
        self.damage: list[str] = []

    def more(self) -> Iterator[Stamped]:
        """Give the events that were appended since; none while there is no journal."""
        while chunk := self._read():
            self._end += len(chunk)
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            numbered = [(self._lines + place, line) for place, line in enumerate(whole, 1)]
            self._lines += len(whole)
            stamped, damage = _checked(numbered)
            self.damage += damage
            yield from stamped

    def _read(self) -> bytes:
        # opened anew each time: a file system over the network then asks for its size anew, too
        try:
            with open_regular(self._path) as file:
                file.seek(self._end)
                return file.read(_CHUNK_BYTES)
        except OSError:
            return b""


class _Kept:
    """The lines that matter, each with its number."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, bytes]] = []
        self._progress: tuple[int, bytes] | None = None
        self._monitors: dict[bytes, tuple[int, bytes]] = {}

    def take(self, whole: bytes, lines: int) -> int:
        """Take in whole lines, of which the first follows line `lines`; give the number of the last."""
        last = lines + whole.count(b"\n") + 1
        if whole.count(_PROGRESS) == last - lines:
            # nothing but progress, as in a storm of it: ten times cheaper than a look at every line
            self._progress = (last, whole[whole.rfind(b"\n") + 1 :])
            return last
        for number, line in enumerate(whole.split(b"\n"), lines + 1):
            name = line.find(_MARK, 0, 200) + len(_MARK)
            if not line.startswith(_CHATTER, name):
                self._lines.append((number, line))
            elif line.startswith(_CHATTER[0], name):
                self._progress = (number, line)
            elif (good := line.find(_GOOD, name)) > 0:
                self._monitors[line[name:good]] = (number, line)
            else:
                self._lines.append((number, line))
        return last

    def in_order(self) -> list[tuple[int, bytes]]:
        last = [self._progress] if self._progress else []
        return sorted([*self._lines, *self._monitors.values(), *last])


def _checked(numbered: list[tuple[int, bytes]]) -> tuple[list[Stamped], list[str]]:
    """Give the events of lines that are whole and where they belong, and what is wrong with the others."""
    stamped: list[Stamped] = []
    damage: list[str] = []
    for number, line in numbered:
        try:
            event = decode(line)
        except _UNUSABLE as error:
            damage.append(f"line {number} cannot be used: {error}")
            continue
        if event.seq == number:
            stamped.append(event)
        else:
            damage.append(f"line {number} is out of order: it says that it is {event.seq}")
    return stamped, damage


def _shortened(damage: list[str]) -> tuple[str, ...]:
    more = len(damage) - _MAX_DAMAGE
    return (*damage[:_MAX_DAMAGE], f"and {more} lines more") if more > 0 else tuple(damage)
