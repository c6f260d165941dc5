"""Text in columns as instruments write it: a row of headings, then rows of cells, each with the line it stands in."""

import csv
import re
from collections.abc import Iterator

from msgspec import Struct

from calseq.plaintext import printable

MAX_BYTES = 16 << 20
MAX_ROWS = 100_000
MAX_COLUMNS = 1_000
_DELIMITERS = ("\t", ";", ",")
_WHOLE, _BEHIND = re.compile(r"[+-]?[0-9]+"), re.compile(r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,4})?")
_PARTED = re.compile(r"[-+0-9.,eE \t]*[0-9.][ \t]*[;\t][-+0-9.,eE; \t]*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


class Unclear(Exception):
    """A file cannot be understood; the message says why, for people."""


class Row(Struct, frozen=True):
    """The cells of one row, and the line of the file in which it stands, from 1."""

    line: int
    cells: tuple[str, ...]


class Grid(Struct, frozen=True):
    """A row of headings and the rows below it, all of one length."""

    headings: tuple[str, ...]
    rows: tuple[Row, ...]


def read_grid(content: bytes) -> Grid:
    """Read text whose columns are parted by tabs, semicolons or commas; empty lines and `#` comments are passed over.

    Raises:
        Unclear: it is no such text, it is too large, or a row has not as many cells as there are headings.
    """
    lines = list(_lines(_decoded(content)))
    if not lines:
        raise Unclear("the file is empty")
    if len(lines) > MAX_ROWS + 1:
        raise Unclear(f"more than {MAX_ROWS:,} rows")
    number, text = lines[0]
    delimiter = next((each for each in _DELIMITERS if each in text), ",")
    headings = _cells(number, text, delimiter)
    width = len(headings)
    while headings and not headings[-1]:
        headings.pop()
    if not headings or all(is_number(cell) for cell in headings if cell):
        raise Unclear(f"no row of headings: line {number} has none")
    if len(headings) > MAX_COLUMNS:
        raise Unclear(f"more than {MAX_COLUMNS:,} columns")
    rows = (_row(number, text, delimiter, headings, width) for number, text in lines[1:])
    return Grid(tuple(headings), tuple(row for row in rows if any(row.cells)))


def is_number(cell: str) -> bool:
    """Tell whether a cell is a number as programs write it, with a decimal point if with any."""
    return _NUMBER.fullmatch(cell) is not None


def why_no_number(cell: str) -> str:
    """Say what is wrong with a cell that should be a number."""
    shown = f"'{printable(cell, 40)}'"
    if not cell:
        return "nothing stands where a number should be"
    if is_number(cell) or cell.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return f"{shown} is no finite number"
    if re.fullmatch(r"[+-]?[0-9]+,[0-9]+([eE][+-]?[0-9]+)?", cell):
        return f"{shown} has a decimal comma; write a point"
    return f"{shown} is no number"


def _decoded(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise Unclear(f"larger than {MAX_BYTES >> 20} MiB")
    if b"\0" in content:
        raise Unclear("binary, no text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unclear(f"line {line} is not UTF-8 text") from None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Give the lines that say something, with their numbers."""
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if line.strip(" \t,;") and not line.lstrip().startswith("#"):
            yield number, line


def _cells(number: int, line: str, delimiter: str) -> list[str]:
    if '"' not in line:
        return [cell.strip() for cell in line.split(delimiter)]
    try:
        (cells,) = csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        raise Unclear(f"line {number}: a quote is not closed") from None
    return [cell.strip() for cell in cells]


def _row(number: int, line: str, delimiter: str, headings: list[str], width: int) -> Row:
    """Give a row. Empty cells behind the last heading mean nothing, unless it may be that a number was cut in two.

    `width` is how many cells the row of headings has, with the empty ones at its end.
    """
    cells = _cells(number, line, delimiter)
    count = len(headings)
    cut = [place for place in range(1, len(cells)) if delimiter == "," and _may_be_one(cells, place)]
    if len(cells) < count or any(cells[count:]) or (len(cells) > width and cut):
        cure = "; a decimal comma?" if cut and len(cells) > count else ""
        raise Unclear(f"line {number} has {len(cells)} cells, and there are {count} headings{cure}")
    nameless = next((place for place in cut if place < count and not headings[place]), None)
    if nameless is not None:
        shown = printable(cells[nameless], 40)
        raise Unclear(f"line {number}: '{shown}' stands below no heading; a decimal comma?")
    if '"' not in line and any(_PARTED.fullmatch(cell) for cell in cells):
        raise Unclear(f"line {number} parts its numbers in another way than the headings")
    return Row(number, tuple(cells[:count]))


def _may_be_one(cells: list[str], place: int) -> bool:
    """Tell whether a cell and the one before it may be one number with a comma in it, for decimals or thousands."""
    return _WHOLE.fullmatch(cells[place - 1]) is not None and _BEHIND.fullmatch(cells[place]) is not None
