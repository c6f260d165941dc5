"""Lines of styled text, measured before they are coloured; the only place that makes SGR escape sequences of styles."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from calseq.problems.plaintext import width

NO_HUES = {"bold": 1, "dim": 2, "reverse": 7}
"""SGR codes of the styles that are no colours: what the live view has under NO_COLOR."""

SGR = {**NO_HUES, "red": 31, "green": 32, "yellow": 33, "cyan": 36}


class Span(Struct, frozen=True):
    """A printable piece of a line; `style` is words of `SGR`, such as `bold red`."""

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


def paint(pieces: Line, codes: Mapping[str, int]) -> str:
    """Text of a line with the escape sequences of those styles that have a code."""
    return "".join(_painted(span, codes) for span in pieces).rstrip()


def stacked(blocks: Iterable[list[Line]]) -> list[Line]:
    """Give the lines of all blocks that have any, with an empty line between two blocks."""
    lines: list[Line] = []
    for block in blocks:
        if block:
            lines += [(), *block] if lines else block
    return lines


def sheet(lines: Iterable[Line], *, color: bool) -> str:
    """Give lines as one text that ends in a newline."""
    return "".join(paint(pieces, SGR if color else {}) + "\n" for pieces in lines)


def _painted(span: Span, codes: Mapping[str, int]) -> str:
    painted = ";".join(str(codes[word]) for word in span.style.split() if word in codes)
    return f"\x1b[{painted}m{span.text}\x1b[0m" if painted and span.text.strip() else span.text
