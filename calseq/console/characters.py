"""The characters that a stream can show, and text brought into them and to a width."""

import unicodedata
from collections.abc import Iterable

from msgspec import Struct

from calseq.console.line import Line, Span, line_width
from calseq.problems.plaintext import printable, width
from calseq.record.past import State


class Alphabet(Struct, frozen=True):
    """One set of characters. `ascii` says that nothing else may appear, not even in foreign text."""

    ascii: bool
    glyphs: dict[State, str]
    ellipsis: str
    dot: str
    dash: str
    quote: str
    micro: str
    bar: tuple[str, str]

    def text(self, foreign: str, limit: int = 2000) -> str:
        """Give text from outside as one harmless line of these characters."""
        shown = printable(foreign[:limit])
        return shown.encode("ascii", "backslashreplace").decode("ascii") if self.ascii else shown

    def cut(self, text: str, columns: int) -> str:
        """Give `text` in at most so many columns; what was cut ends in an ellipsis."""
        if width(text) <= columns:
            return text
        if columns <= len(self.ellipsis):
            return self.ellipsis[: max(columns, 0)]
        return _head(text, columns - len(self.ellipsis)) + self.ellipsis

    def cut_line(self, pieces: Line, columns: int) -> Line:
        """Give a line in at most so many columns."""
        if line_width(pieces) <= columns:
            return pieces
        kept: list[Span] = []
        for span in pieces:
            if width(span.text) >= columns:
                # the piece that follows is lost, so even one that just fits must say so
                kept.append(Span(self.cut(span.text + " " * columns, columns), span.style))
                break
            kept.append(span)
            columns -= width(span.text)
        return tuple(kept)

    def wrap(self, text: str, columns: int) -> list[str]:
        """Break `text` at its spaces into lines of at most so many columns; longer words are broken too."""
        columns = max(columns, 1)
        lines = [""]
        for word in text.split():
            if lines[-1] and width(lines[-1]) + 1 + width(word) <= columns:
                lines[-1] += " " + word
                continue
            pieces = _broken(word, columns)
            lines[-1:] = [lines[-1], *pieces] if lines[-1] else pieces
        return lines


def gathered(items: Iterable[str], between: str, columns: int) -> list[str]:
    """Put items side by side, as many per line as its columns hold."""
    lines: list[str] = []
    for item in items:
        if lines and width(lines[-1] + between + item) <= columns:
            lines[-1] += between + item
        else:
            lines.append(item)
    return lines


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Give `text` filled up with spaces to so many columns."""
    space = " " * max(columns - width(text), 0)
    return space + text if right else text + space


UNICODE = Alphabet(
    ascii=False,
    glyphs={
        State.WAITING: "·",
        State.RUNNING: "▸",
        State.RETRYING: "↻",
        State.PASSED: "✓",
        State.FAILED: "✗",
        State.TIMED_OUT: "✗",
        State.MISSING_OUTPUT: "✗",
        State.NOT_STARTED: "✗",
        State.INTERRUPTED: "■",
        State.SKIPPED: "–",
        State.KEPT: "✓",
        State.LEFT_OUT: "○",
    },
    ellipsis="…",
    dot=" · ",
    dash="─",
    quote="│ ",
    micro="µ",
    bar=("━", "─"),
)

ASCII = Alphabet(
    ascii=True,
    glyphs={
        State.WAITING: ".",
        State.RUNNING: ">",
        State.RETRYING: "~",
        State.PASSED: "+",
        State.FAILED: "x",
        State.TIMED_OUT: "x",
        State.MISSING_OUTPUT: "x",
        State.NOT_STARTED: "x",
        State.INTERRUPTED: "!",
        State.SKIPPED: "-",
        State.KEPT: "+",
        State.LEFT_OUT: "o",
    },
    ellipsis="...",
    dot=" - ",
    dash="-",
    quote="| ",
    micro="u",
    bar=("#", "-"),
)


def alphabet(*, ascii: bool) -> Alphabet:  # noqa: A002 - the word for it
    """Give the alphabet of a stream."""
    return ASCII if ascii else UNICODE


def _head(text: str, columns: int) -> str:
    if text.isascii():
        return text[:columns]
    taken = 0
    for place, char in enumerate(text):
        taken += width(char)
        if taken > columns:
            return text[:place]
    return text


def _broken(word: str, columns: int) -> list[str]:
    pieces: list[str] = []
    while word:
        # at least one character, with what combines with it: a wide one does not fit into one column
        piece = _head(word, columns) or word[:1]
        while len(piece) < len(word) and unicodedata.combining(word[len(piece)]):
            piece = word[: len(piece) + 1]
        pieces.append(piece)
        word = word[len(piece) :]
    return pieces
