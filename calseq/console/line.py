"""A line of text in pieces, each with its style, so that it can be measured before it is coloured."""

from collections.abc import Iterable

from msgspec import Struct

from calseq.problems.plaintext import width

_SGR = {"bold": 1, "dim": 2, "reverse": 7, "red": 31, "green": 32, "yellow": 33, "cyan": 36}


class Span(Struct, frozen=True):
    """A printable piece of a line; `style` is words that rich knows too, such as `bold red`."""

    text: str
    style: str = ""


Line = tuple[Span, ...]


def line(*pieces: str | Span) -> Line:
    """Make a line of pieces; what has no style comes as it is."""
    return tuple(Span(piece) if isinstance(piece, str) else piece for piece in pieces)


def text_of(pieces: Line) -> str:
    """Give the text of a line without its styles."""
    return "".join(span.text for span in pieces)


def line_width(pieces: Line) -> int:
    """Give the columns that a line takes."""
    return sum(width(span.text) for span in pieces)


def paint(pieces: Line, *, color: bool) -> str:
    """Give a line as it goes to a terminal; without colour, without any escape sequence."""
    if not color:
        return text_of(pieces).rstrip()
    return "".join(_painted(span) for span in pieces).rstrip()


def stacked(blocks: Iterable[list[Line]]) -> list[Line]:
    """Give the lines of all blocks that have any, with an empty line between two blocks."""
    lines: list[Line] = []
    for block in blocks:
        if block:
            lines += [(), *block] if lines else block
    return lines


def sheet(lines: Iterable[Line], *, color: bool) -> str:
    """Give lines as one text that ends in a newline."""
    return "".join(paint(pieces, color=color) + "\n" for pieces in lines)


def _painted(span: Span) -> str:
    codes = ";".join(str(_SGR[word]) for word in span.style.split())
    return f"\x1b[{codes}m{span.text}\x1b[0m" if codes and span.text.strip() else span.text
