"""Words in aligned columns, made to fit a width: first cut, then left out, the least important first."""

from collections.abc import Sequence

from msgspec import Struct

from calseq.console.characters import Alphabet, pad
from calseq.console.line import Line, Span
from calseq.problems.plaintext import width

GAP = "  "


class Column(Struct, frozen=True):
    """A column: `worth` decides which go first when there is no room, `least` to what it may be cut before.

    One that `wraps` goes on in a second line before it is cut.
    """

    title: str
    worth: int
    right: bool = False
    least: int | None = None
    wraps: bool = False


Row = Sequence[Span]


def table(
    columns: Sequence[Column], rows: Sequence[Row], columns_wide: int, letters: Alphabet, *, head: bool = True
) -> list[Line]:
    """Give a heading and a line per row, none wider than asked; columns without any text are left out."""
    titles = tuple(Span(column.title, "dim") for column in columns)
    shown = [titles, *rows] if head else list(rows)
    widths = _widths(columns, rows, shown)
    _shrink(columns, widths, columns_wide)
    last = max(widths, default=0)
    return [
        _line(part, columns, widths, last, letters)
        for row in shown
        for part in _parts(row, columns, widths, letters)
    ]


def _parts(row: Row, columns: Sequence[Column], widths: dict[int, int], letters: Alphabet) -> list[Row]:
    """Give a row in one line, or in two if a column that wraps has not the room."""
    place = next((each for each in widths if columns[each].wraps), None)
    if place is None or width(row[place].text) <= widths[place]:
        return [row]
    first, *rest = letters.wrap(row[place].text, widths[place])
    second = [Span("")] * len(row)
    second[place] = Span(" ".join(rest), row[place].style)
    return [[*row[:place], Span(first, row[place].style), *row[place + 1 :]], second]


def _widths(columns: Sequence[Column], rows: Sequence[Row], shown: Sequence[Row]) -> dict[int, int]:
    used = [place for place in range(len(columns)) if any(row[place].text for row in rows)]
    return {place: max(width(row[place].text) for row in shown) for place in used}


def _shrink(columns: Sequence[Column], widths: dict[int, int], room: int) -> None:
    """Leave columns out until the rest would fit at their narrowest, then cut no more than is needed."""
    by_worth = sorted(widths, key=lambda place: columns[place].worth)
    while len(widths) > 1 and _total(_narrowest(columns, widths)) > room:
        del widths[by_worth.pop(0)]
    narrowest = _narrowest(columns, widths)
    for place in by_worth:
        over = max(_total(widths) - room, 0)
        widths[place] -= min(over, widths[place] - narrowest[place])
    if len(by_worth) == 1:
        widths[by_worth[0]] = min(widths[by_worth[0]], max(room, 0))


def _narrowest(columns: Sequence[Column], widths: dict[int, int]) -> dict[int, int]:
    least = {place: columns[place].least for place in widths}
    return {place: min(wide, least[place] or wide) for place, wide in widths.items()}


def _total(widths: dict[int, int]) -> int:
    return sum(widths.values()) + len(GAP) * (len(widths) - 1)


def _line(row: Row, columns: Sequence[Column], widths: dict[int, int], last: int, letters: Alphabet) -> Line:
    spans: list[Span] = []
    for place in sorted(widths):
        text = pad(letters.cut(row[place].text, widths[place]), widths[place], right=columns[place].right)
        spans.append(Span(text, row[place].style))
        if place != last:
            spans.append(Span(GAP))
    return tuple(spans)
