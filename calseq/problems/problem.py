"""Problems: what is wrong, its place in a text, and its cure."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct


class Severity(StrEnum):
    """An error refuses the file; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class Code(Struct, frozen=True):
    """One kind of problem. A code is never reused for another kind."""

    id: str
    name: str
    meaning: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.id} {self.name}"


class Source(Struct, frozen=True):
    """A text with the name it is quoted by; `typed`: it is no file, but what was typed for an option."""

    name: str
    text: str
    typed: bool = False

    def line(self, number: int) -> str:
        """Give line `number`, counted from 1, without its end; empty beyond the last."""
        starts = _line_starts(self.text)
        if not 0 < number <= len(starts):
            return ""
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end]

    def place(self, offset: int, length: int = 1) -> "Place":
        """Turn an offset in the text into a place; a stretch ends with its line."""
        line, column = self.at(offset)
        room = len(self.line(line)) - column + 1
        return Place(self, Span(line, column, max(1, min(length, room))))

    def at(self, offset: int) -> tuple[int, int]:
        """Turn an offset in the text into a line and a column, both from 1."""
        line = bisect_right(_line_starts(self.text), offset)
        return line, offset - _line_starts(self.text)[line - 1] + 1

    def offset(self, line: int, column: int) -> int:
        """Turn a line and a column, both from 1, into an offset in the text."""
        return min(_line_starts(self.text)[line - 1] + column - 1, len(self.text))


@lru_cache(maxsize=32)
def _line_starts(text: str) -> list[int]:
    """Give the offset of every line, so that a place costs the same at the end of a text as at its start."""
    starts = [0]
    while end := text.find("\n", starts[-1]) + 1:
        starts.append(end)
    return starts


class Span(Struct, frozen=True, order=True):
    """A stretch of one line: line and first column from 1, `length` characters long."""

    line: int
    column: int
    length: int = 1


class Edit(Struct, frozen=True):
    """What mends a problem for certain: `text` in the place of `source.text[start:end]`."""

    source: Source
    start: int
    end: int
    text: str


class Place(Struct, frozen=True):
    """Where in which text."""

    source: Source
    span: Span

    @property
    def start(self) -> int:
        """The offset of its first character."""
        return self.source.offset(self.span.line, self.span.column)

    @property
    def text(self) -> str:
        """The text there."""
        return self.source.text[self.start : self.start + self.span.length]

    def edit(self, text: str) -> Edit:
        """Give the edit that puts `text` there."""
        return Edit(self.source, self.start, self.start + self.span.length, text)

    def respelt(self, word: str, new: str, quotes: str | None = None) -> Edit | None:
        """Give the edit that writes `new` for `word`, in `quotes` or in those it has; None if the text there is another."""
        shown = self.text
        present = shown[:1] if shown[:1] in ("'", '"') else ""
        if shown != f"{present}{word}{present}":
            return None
        kept = present if quotes is None else quotes
        return self.edit(f"{kept}{new}{kept}")

    def line_removed(self, content: str) -> Edit | None:
        """Give the edit that takes the line out; None if it has more than `content`, such as a comment."""
        line = self.source.line(self.span.line)
        if " ".join(line.split()) != " ".join(content.split()):
            return None
        start = self.source.offset(self.span.line, 1)
        return Edit(self.source, start, min(start + len(line) + 1, len(self.source.text)), "")


class Problem(Struct, frozen=True):
    """One thing that is wrong. `cure` says what to do; `within` names the step or instrument it is in.

    `fix` is there when only one cure is possible.
    """

    code: Code
    message: str
    cure: str = ""
    place: Place | None = None
    within: str = ""
    fix: Edit | None = None

    @property
    def is_error(self) -> bool:
        """Errors refuse; warnings do not."""
        return self.code.severity is Severity.ERROR


MOST_OF_A_KIND = 20
"""Most problems of one kind in one file that are shown to a person; the others are counted."""


def capped(problems: Iterable[Problem]) -> tuple[list[Problem], list[str]]:
    """Give the first problems of each kind in each file, and a line on how many more there are of a kind."""
    kept: list[Problem] = []
    counts: Counter[tuple[str, Code]] = Counter()
    for problem in problems:
        kind = (problem.place.source.name if problem.place else "", problem.code)
        counts[kind] += 1
        if counts[kind] <= MOST_OF_A_KIND:
            kept.append(problem)
    more = [
        f"{name}: and {count - MOST_OF_A_KIND:,} more {code}"
        if name
        else f"and {count - MOST_OF_A_KIND:,} more {code}"
        for (name, code), count in counts.items()
        if count > MOST_OF_A_KIND
    ]
    return kept, more
