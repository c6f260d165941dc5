"""Slips of typing in a YAML text: characters that look like others, glued dashes and colons, keys below a bare name.

Each is only likely: `yaml_reader` keeps those without which the text has more errors.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct

from calseq.problems.plaintext import printable

DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
"""Hyphens, dashes and minus signs that are not the one of ASCII."""

_BULLETS = "\u2022\u2023\u25aa\u25cf\u25e6\u00b7*"
_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000\u3164"
_UNSEEN = "\u034f\u115f\u1160\u180e\u200c\u200d\ufe00-\ufe0f"
_BLANK = re.compile(f"[{_SPACES}]+")
_NOTHING = re.compile(f"[{_UNSEEN}]+")
_ODD = re.compile(f"[{_SPACES}{_UNSEEN}{DASHES}]")
_INDENT = f"[ {_SPACES}]*"
_BULLET = re.compile(f"{_INDENT}([{DASHES}{re.escape(_BULLETS)}])(?=[ {_SPACES}])")
_GLUED_DASH = re.compile(rf"{_INDENT}(-)(?=[A-Za-z_\[{{\"'])\S*")
_GLUED_KEY = re.compile(
    rf"(?:^{_INDENT}(?:-[ {_SPACES}]*)?|[{{,] *)[A-Za-z_][A-Za-z0-9_.-]*(:)(?=[^\s:/\\,}}])"
)
_WIDE_COLON = re.compile(rf"^{_INDENT}(?:- +)?[A-Za-z_][A-Za-z0-9_-]*(\uff1a[ {_SPACES}]*)")
_SIGN = re.compile(rf"(?<=[\s,\[{{:])([{DASHES}])(?=\.?[0-9])")
_COMMA = re.compile(r":[ ]+([-+]?[0-9]+,[0-9]+)(?=[ ]*[,}])")
_BARE = re.compile(r"( *)- +([A-Za-z_][A-Za-z0-9_.-]*)[ ]*(?:#.*)?")
_KEY = re.compile(r" *([A-Za-z_][A-Za-z0-9_-]*): *(?:[^\s].*)?")
_BLOCK = re.compile(r"( *)(?:[^#]*[:-] +)(?:[&!]\S+ +)*[|>][-+0-9]*[ \t]*(?:#.*)?")
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'")
_REMARK = re.compile(r"(?:^|\s)#.*")

_STEP_KEYS = {
    "name", "type", "options", "args", "tuning", "required_instruments", "timeout", "retries", "on_failure", "stop_grace",
}  # fmt: skip


Change: TypeAlias = tuple[int, int, str]


class Slip(Struct, frozen=True):
    """What is written instead of what was meant: `edits` of a text, each a start, an end and what belongs between them.

    `shown` is the stretch to point at; `is_certain`: nothing else can have been meant.
    """

    edits: tuple[Change, ...]
    message: str
    cure: str
    shown: tuple[int, int]
    is_certain: bool = True

    @property
    def start(self) -> int:
        """Where the first edit begins."""
        return self.edits[0][0]

    @property
    def end(self) -> int:
        """Where the last edit ends."""
        return self.edits[-1][1]

    def mended(self, text: str) -> str:
        """Give what belongs between start and end."""
        parts, at = [], self.start
        for start, end, new in self.edits:
            parts += [text[at:start], new]
            at = end
        return "".join(parts)


def slips(text: str) -> list[Slip]:
    """Give all slips that a text may have, in order; none touches another."""
    found = sorted(_slips(text), key=lambda slip: (slip.start, slip.end))
    kept: list[Slip] = []
    for slip in found:
        if not kept or slip.start >= kept[-1].end:
            kept.append(slip)
    return kept


def named(char: str) -> str:
    """Name a character, with its article: what Unicode calls it, and its number."""
    name = unicodedata.name(char, "character without a name").lower()
    return f"a{'n' * (name[0] in 'aeiou')} {name} (U+{ord(char):04X})"


def plain(text: str) -> str:
    """Give a text with every look-alike as the character of ASCII that it looks like."""
    text = _NOTHING.sub("", _BLANK.sub(" ", text))
    return re.sub(f"[{DASHES}]", "-", text).strip()


def has_lookalike(text: str) -> bool:
    """It has a dash or a space that is not ASCII's, or a character that cannot be seen."""
    return not text.isascii() and _ODD.search(text) is not None


def lookalike_message(text: str) -> str:
    """Say which look-alike a text has first."""
    found = _ODD.search(text)
    return f"'{printable(text, 40)}' has {named(found.group())}" if found else ""


def _slips(text: str) -> Iterator[Slip]:
    lines = text.split("\n")
    at, block = 0, -1
    for index, line in enumerate(lines):
        indent = len(line) - len(line.lstrip(" "))
        if line.strip() and indent <= block:
            block = -1
        if block < 0:
            masked = _masked(line)
            yield from _slips_of_line(masked, at)
            yield from _glued_entry(lines, index, at)
            yield from _below_a_name(lines, index, at)
            header = _BLOCK.fullmatch(masked)
            block = len(header.group(1)) if header else -1
        at += len(line) + 1


def _masked(line: str) -> str:
    """Give a line of the same length without what quotes and comments say."""
    masked = _QUOTED.sub(lambda match: '"' + "q" * (len(match.group()) - 2) + '"', line)
    return _REMARK.sub(lambda match: " " * len(match.group()), masked)


def _slips_of_line(line: str, at: int) -> Iterator[Slip]:
    if not line.isascii():
        yield from _characters(line, at)
    if bullet := _BULLET.match(line):
        yield _dash(line, at, bullet.start(1))
    for key in _GLUED_KEY.finditer(line):
        place = at + key.end(1)
        message = "no space after the ':' of a key"
        yield Slip(((place, place, " "),), message, "put a space before it", (place, place + 1))
    for number in _COMMA.finditer(line):
        start, end = number.span(1)
        whole, _, part = number.group(1).partition(",")
        is_certain = len(part) != 3
        cure = f"a decimal comma? write {whole}.{part}" + ("" if is_certain else f", or {whole}{part}")
        message = "a ',' inside a number ends it"
        stretch = (at + start, at + end)
        yield Slip(((*stretch, f"{whole}.{part}"),), message, cure, stretch, is_certain)


def _characters(line: str, at: int) -> Iterator[Slip]:
    """What looks like a space, a dash or a colon; what cannot be seen."""
    last = len(line.rstrip()) if line.strip() else 0
    for found in _BLANK.finditer(line):
        start, end = at + found.start(), at + found.end()
        message = f"{named(found.group()[0])} where a space belongs"
        text = " " * (end - start) if found.start() < last else ""
        yield Slip(((start, end, text),), message, "write a space" if text else "delete it", (start, end))
    for found in _NOTHING.finditer(line):
        start, end = at + found.start(), at + found.end()
        message = f"{named(found.group()[0])}, which cannot be seen"
        yield Slip(((start, end, ""),), message, "delete it", (start, end))
    for sign in _SIGN.finditer(line):
        yield _dash(line, at, sign.start(1))
    if colon := _WIDE_COLON.match(line):
        start, end = at + colon.start(1), at + colon.end(1)
        message = f"{named(colon.group(1)[0])} where a ':' belongs"
        yield Slip(((start, end, ": "),), message, "write ': '", (start, start + 1))


def _dash(line: str, at: int, place: int) -> Slip:
    number = re.match(r"[0-9.eE+]*", line[place + 1 :])
    message = f"{named(line[place])} where a '-' belongs"
    start = at + place
    word = f"-{number.group()}" if number and number.group() else "-"
    return Slip(((start, start + 1, "-"),), message, f"write {word}", (start, start + len(word)))


def _glued_entry(lines: list[str], index: int, at: int) -> Iterator[Slip]:
    """A '-' without a space is part of a word; the lines that are indented like that word go with it."""
    dash = _GLUED_DASH.match(_masked(lines[index]))
    if dash is None:
        return
    inner = dash.end(1)
    word = re.split(r"[\s:,\[{]", lines[index][inner:])[0]
    message, cure = "no space after the '-' of an entry of a list", f"write '- {printable(word, 40)}'"
    end = index + 1
    while end < len(lines) and lines[end][:inner].strip() == "" and lines[end][inner : inner + 1].strip():
        end += 1
    starts = [at + inner, *_starts(lines, index, end, at)]
    edits = tuple((start, start, " ") for start in starts)
    yield Slip(edits, message, cure, (at + dash.start(1), at + dash.end()))


def _below_a_name(lines: list[str], index: int, at: int) -> Iterator[Slip]:
    """A bare name is a whole entry: keys below it belong to nothing. They are taken as the entry's, and indented like it."""
    bare = _BARE.fullmatch(lines[index])
    if bare is None:
        return
    inner = bare.start(2)
    following = index + 1
    while following < len(lines) and not _REMARK.sub("", lines[following]).strip():
        following += 1
    first = lines[following] if following < len(lines) else ""
    key, indent = _KEY.fullmatch(first), len(first) - len(first.lstrip(" "))
    if key is None or indent <= len(bare.group(1)):
        return
    own = "calibration" if key.group(1) in _STEP_KEYS else "name"
    word = bare.group(2)
    message = (
        f"'{printable(word, 40)}' is a whole entry, and '{printable(key.group(1), 40)}:' stands below it"
    )
    cure = f"write '- {own}: {printable(word, 40)}', and its keys below"
    shown = (at + inner, at + bare.end(2))
    end = index + 1
    while indent != inner and end < len(lines):
        if lines[end].strip() and not lines[end].startswith(" " * indent):
            break
        end += 1
    moved = ((start, start + indent, " " * inner) for start in _starts(lines, index, end, at))
    yield Slip(((at + inner, at + inner, f"{own}: "), *moved), message, cure, shown)


def _starts(lines: list[str], index: int, end: int, at: int) -> Iterator[int]:
    """Give where the lines behind line `index`, which begins at `at`, begin, up to line `end`, but for empty ones."""
    for number in range(index + 1, end):
        at += len(lines[number - 1]) + 1
        if lines[number].strip():
            yield at
