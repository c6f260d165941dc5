"""A file's text as plain data, with the place of every key and value."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import TypeAlias

from msgspec import Struct, field

from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Edit, Place, Problem, Source, Span

Data: TypeAlias = "bool | int | float | str | list[Data] | dict[str, Data] | None"
Path: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_NODES = 60_000
MAX_TEXT = 16 * 1024
MAX_KEY = 256
MAX_ALIASES = 1_000
MAX_DIGITS = 20

_MAX_BAD_CHARACTERS = 16
# C0 and C1 but tab and LF; a soft hyphen; bidirectional controls; what takes no room; separators; surrogates; a
# BOM inside; noncharacters; tags. Joiners (U+200C, U+200D) belong to some scripts.
BAD_CHARACTERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]+"
)


class Document(Struct):
    """Plain data read from `source`. `keys` and `values` give the place of each by its route.

    A route in `spoilt` has a problem already: nothing further is said about its value. A mapping in
    `incomplete` has a key that could not be read: nothing is said about what it lacks. `aliases` gives the
    place of every alias, whose values are those of an anchor. `doubts` gives what may be meant by a text that YAMLs
    read differently, with the problem it is; `unused` the anchors that no alias uses; `ignored` the lines and codes
    of warnings that an author has silenced. `may_slip`: its slips of typing were not looked for yet. `base` is what a variant was put together with.
    """

    source: Source
    data: Data = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    aliases: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    spoilt: set[Path] = field(default_factory=set)
    incomplete: set[Path] = field(default_factory=set)
    doubts: dict[Path, tuple[Problem, tuple[str, ...]]] = field(default_factory=dict)
    unused: dict[str, Place] = field(default_factory=dict)
    ignored: set[tuple[int, Code]] = field(default_factory=set)
    readable: bool = True
    may_slip: bool = False
    raw: bytes = b""
    path: str = ""
    base: "Document | None" = None

    @property
    def is_refused(self) -> bool:
        """Something in it is an error."""
        return any(problem.is_error for problem in self.problems)

    @property
    def bad_characters(self) -> list[int]:
        """Offsets of the characters that no file needs; a reader may go on as if they were deleted."""
        found = BAD_CHARACTERS.finditer(self.source.text)
        return [offset for match in found for offset in range(*match.span())]

    def sha256(self) -> str:
        """Give the digest of the file as it was read, once."""
        import hashlib  # noqa: PLC0415 - OpenSSL takes 3 ms that only a run needs

        return hashlib.sha256(self.raw).hexdigest()

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Give the place of a value (or of its key); of the nearest ancestor's if it is not there."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path) or self.top()

    def top(self) -> Place:
        """Give the place of the text as a whole."""
        return Place(self.source, Span(1, 1))

    def is_spoilt(self, path: Path) -> bool:
        """A problem was found at this route or at one above it."""
        return bool(self.spoilt) and any(path[:length] in self.spoilt for length in range(len(path) + 1))

    def spoil(self, path: Path, problem: Problem) -> None:
        """Note a problem; nothing further is said about this route or what is below it."""
        self.problems.append(problem)
        self.spoilt.add(path)

    def ignores(self, problem: Problem) -> bool:
        """Its author, or that of its base, has silenced this warning."""
        place = problem.place
        if place is not None and place.source is self.source:
            return (place.span.line, problem.code) in self.ignored
        return self.base is not None and self.base.ignores(problem)

    def problem_at(
        self,
        path: Path,
        code: Code,
        message: str,
        cure: str = "",
        *,
        key: bool = False,
        slip: tuple[str, str] = ("", ""),
    ) -> None:
        """Note a problem at a route, unless there is one already. `slip` is a word there, and what it is a slip of."""
        if not self.is_spoilt(path):
            place = self.place(path, key=key)
            fix = place.respelt(*slip) if slip[1] else None
            self.spoil(path, Problem(code, message, cure, place, fix=fix))

    def take(self, other: "Document") -> None:
        """Take all that was read and found in another document of the same source."""
        for name in _READ:
            setattr(self, name, getattr(other, name))

    def refuse(self, code: Code, message: str, cure: str, place: Place | None = None) -> None:
        """Note a problem after which nothing of the text can be taken."""
        self.problems.append(Problem(code, message, cure, place or self.top()))
        self.readable = False


_READ = (
    "data", "keys", "values", "aliases", "problems", "spoilt", "incomplete", "doubts", "unused", "readable",
)  # fmt: skip
"""What a reader fills in a document."""


def from_source(document: Document) -> Document:
    """Give a document of the same text that has not been read yet."""
    fresh = Document(document.source, raw=document.raw, path=document.path)
    _note_bad_characters(fresh)
    return fresh


def routes(data: Data) -> Iterator[Path]:
    """Give the route of everything below a value."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (key,)
        yield from ((key, *below) for below in routes(value))


def open_text(path: FilePath, name: str | None = None) -> Document:
    """Read a file's text, or say why that cannot be done. No data is made of it yet."""
    shown = printable(name if name is not None else str(path))
    document = Document(Source(shown, ""))
    try:
        str(path).encode()
        raw = _read_regular(path)
        resolved = str(path.resolve())
    except UnicodeEncodeError:
        message, cure = f"cannot read '{shown}': its name is not UTF-8", "rename it"
        folder = next((each for each in path.parts[:-1] if not _is_utf8(each)), "")
        if folder:
            raw_name = folder.encode(errors="surrogateescape").decode(errors="backslashreplace")
            message = (
                f"cannot read '{shown}': the name of the folder '{printable(raw_name, 60)}' is not UTF-8"
            )
            cure = "rename the folder"
        document.refuse(codes.UNREADABLE, message, cure)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        document.refuse(codes.UNREADABLE, f"cannot read '{shown}': {reason}", _cure_for(error))
    except ValueError as error:
        document.refuse(codes.UNREADABLE, f"cannot read '{shown}': {error}", "give the path of a file")
    else:
        document = from_bytes(raw, shown)
        document.path = resolved
    return document


def _is_utf8(name: str) -> bool:
    """Bytes of a name that are no UTF-8 are surrogates in Python's text of it."""
    return not any("\ud800" <= char <= "\udfff" for char in name)


def from_bytes(raw: bytes, name: str) -> Document:
    """Decode a text; what is too long or no text, and characters that no calibration file needs, are problems."""
    document = Document(Source(name, ""), raw=raw)
    if len(raw) > MAX_BYTES:
        message = f"'{name}' has more than {MAX_BYTES // 1024} KiB"
        document.refuse(codes.TOO_LARGE, message, "is it the right file?")
        return document
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in raw[:2]:
        document.refuse(codes.NOT_UTF8, "UTF-16 text, or no text at all", "save the file as UTF-8")
        return document
    body = raw.removeprefix(b"\xef\xbb\xbf")
    document.source = Source(name, body.decode(errors="replace").replace("\r\n", "\n"))
    try:
        body.decode()
    except UnicodeDecodeError as error:
        before = body[: error.start].decode().replace("\r\n", "\n")
        message = f"byte 0x{body[error.start]:02x} is not UTF-8"
        document.refuse(codes.NOT_UTF8, message, "save the file as UTF-8", document.source.place(len(before)))
    else:
        _note_bad_characters(document)
    return document


def _note_bad_characters(document: Document) -> None:
    """Note each, or that there are so many that it is no text."""
    found = list(BAD_CHARACTERS.finditer(document.source.text))
    if sum(len(match.group()) for match in found) > _MAX_BAD_CHARACTERS:
        message = f"invisible characters in {len(found)} places, the first {printable(found[0].group(), 20)}"
        document.refuse(
            codes.BAD_CHARACTER, message, "is it a text file?", document.source.place(found[0].start())
        )
    else:
        for match in found:
            document.problems.append(_bad_character(document.source, match))


def _bad_character(source: Source, match: "re.Match[str]") -> Problem:
    characters = match.group()
    message = f"invisible character{'s' * (len(characters) > 1)} {printable(characters, 20)}"
    is_line_end = "\r" in characters
    cure = "save the file with LF line ends" if is_line_end else "delete it"
    fix = None if is_line_end else Edit(source, match.start(), match.end(), "")
    place = source.place(match.start(), len(characters))
    return Problem(codes.BAD_CHARACTER, message, cure, place, fix=fix)


def _read_regular(path: FilePath) -> bytes:
    """Read a regular file; never wait for a FIFO, never read a device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "it is a directory")
        if not stat.S_ISREG(mode):
            raise ValueError("it is not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)


def _cure_for(error: OSError) -> str:
    if isinstance(error, IsADirectoryError):
        return "give a file in it"
    if isinstance(error, PermissionError):
        return "check its permissions with 'ls -l'"
    return "check the path"
