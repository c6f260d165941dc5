"""A file's text as plain data, with the place of every key and value."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import TypeAlias

from msgspec import Struct, field

from calseq import problems as codes
from calseq.plaintext import printable
from calseq.problems import Place, Problem, Source, Span

Data: TypeAlias = "bool | int | float | str | list[Data] | dict[str, Data] | None"
Path: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_NODES = 60_000
MAX_TEXT = 16 * 1024
MAX_KEY = 256
MAX_ALIASES = 1_000

# C0 and C1 but tab, LF, CR; bidirectional controls; separators; surrogates; BOM inside; noncharacters.
BAD_CHARACTERS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)


class Document(Struct):
    """Plain data read from `source`. `keys` and `values` give the place of each by its route.

    A route in `spoilt` has a problem already: nothing further is said about what stands there.
    """

    source: Source
    data: Data = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    spoilt: set[Path] = field(default_factory=set)
    readable: bool = True
    raw: bytes = b""
    path: str = ""

    def sha256(self) -> str:
        """Give the digest of the file as it was read, once."""
        return hashlib.sha256(self.raw).hexdigest()

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Give the place of a value (or of its key); of the nearest ancestor's if it is not there."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path) or Place(self.source, Span(1, 1, 0))

    def is_spoilt(self, path: Path) -> bool:
        """A problem was found at this route or at one above it."""
        return any(path[:length] in self.spoilt for length in range(len(path) + 1))

    def spoil(self, path: Path, problem: Problem) -> None:
        """Note a problem; nothing further is said about this route or what is below it."""
        self.problems.append(problem)
        self.spoilt.add(path)

    def problem_at(
        self, path: Path, code: codes.Code, message: str, cure: str = "", *, key: bool = False
    ) -> None:
        """Note a problem at a route, unless there is one already."""
        if not self.is_spoilt(path):
            self.spoil(path, Problem(code, message, cure, self.place(path, key=key)))

    def walk(self) -> Iterator[Path]:
        """Give every route of the document, in order of the text."""
        yield from self.values


def open_text(path: FilePath, name: str | None = None) -> Document:
    """Read a file's text, or say why that cannot be done. No data is made of it yet."""
    shown = name if name is not None else str(path)
    empty = Source(printable(shown), "")
    try:
        raw = _read_regular(path)
    except OSError as error:
        reason = error.strerror or str(error)
        return _unreadable(
            empty, codes.UNREADABLE, f"cannot read '{printable(shown)}': {reason.lower()}", _cure_for(error)
        )
    except ValueError as error:
        return _unreadable(
            empty, codes.UNREADABLE, f"cannot read '{printable(shown)}': {error}", "give the path of a file"
        )
    if len(raw) > MAX_BYTES:
        return _unreadable(
            empty,
            codes.TOO_LARGE,
            f"'{printable(shown)}' has more than {MAX_BYTES // 1024} KiB",
            "is it the right file?",
        )
    document = from_bytes(raw, printable(shown))
    document.path = str(path.resolve())
    return document


def from_bytes(raw: bytes, name: str) -> Document:
    """Decode a text and refuse what no calibration file needs."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _not_utf8(raw, name, error)
    document = Document(Source(name, text.replace("\r\n", "\n")), raw=raw)
    for match in BAD_CHARACTERS.finditer(document.source.text):
        place = place_of(document.source, match.start())
        shown = printable(match.group())
        document.problems.append(
            Problem(
                codes.BAD_CHARACTER,
                f"invisible character {shown}",
                "delete it, or write it as an escape",
                place,
            )
        )
        document.readable = False
        break
    if document.readable and not text.strip():
        document.problems.append(
            Problem(
                codes.EMPTY,
                "the file is empty",
                "see 'calseq schema' and the sequences shipped with calseq",
                _top(document),
            )
        )
        document.readable = False
    return document


def place_of(source: Source, offset: int, length: int = 1) -> Place:
    """Turn an offset in a text into a place; a stretch ends with its line."""
    line = source.text.count("\n", 0, offset) + 1
    start = source.text.rfind("\n", 0, offset) + 1
    end = source.text.find("\n", offset)
    room = (len(source.text) if end < 0 else end) - offset
    return Place(source, Span(line, offset - start + 1, max(1, min(length, room))))


def _read_regular(path: FilePath) -> bytes:
    """Read a regular file; never wait for a FIFO, never read a device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, "is a directory")
        if not stat.S_ISREG(mode):
            raise ValueError("not a regular file")
        return file.read(MAX_BYTES + 1)


def _cure_for(error: OSError) -> str:
    cures: Mapping[type[OSError], str] = {
        FileNotFoundError: "check the path",
        IsADirectoryError: "give a file in it",
        PermissionError: "check its permissions with 'ls -l'",
    }
    return cures.get(type(error), "check the path")


def _not_utf8(raw: bytes, name: str, error: UnicodeDecodeError) -> Document:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _unreadable(Source(name, ""), codes.NOT_UTF8, "UTF-16 text", "save it as UTF-8")
    source = Source(name, raw.decode("utf-8", "replace"))
    offset = len(raw[: error.start].decode("utf-8", "replace"))
    document = _unreadable(
        source, codes.NOT_UTF8, f"byte 0x{raw[error.start]:02x} is not UTF-8", "save the file as UTF-8"
    )
    document.problems[0] = Problem(
        codes.NOT_UTF8, document.problems[0].message, "save the file as UTF-8", place_of(source, offset)
    )
    return document


def _unreadable(source: Source, code: codes.Code, message: str, cure: str) -> Document:
    document = Document(source, readable=False)
    document.problems.append(Problem(code, message, cure, _top(document)))
    return document


def _top(document: Document) -> Place:
    return Place(document.source, Span(1, 1, 1))
