"""Text in columns as instruments and scripts write it: a row of headings, then rows of cells, each with its line."""

import re
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from calseq.problems.plaintext import printable

MAX_BYTES = 16 << 20
MAX_ROWS = 100_000
MAX_COLUMNS = 1_000
_TITLE_LINES = 1_000
"""So many lines are looked through for a row of headings."""

_LONGEST_SPACED = 100_000
"""A longer line has no headings that are parted by spaces."""

_SPACES = " "
_DELIMITERS = ("\t", ";", ",")
_COMMENTS = ("#", "%")
_WHOLE, _BEHIND = re.compile(r"[+-]?[0-9]+"), re.compile(r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,4})?")
_NUMERIC, _PARTED = re.compile(r"[-+0-9.,eE; \t]*"), re.compile(r"[0-9.][ \t]*[;\t]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_FORTRAN = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))[dD]([+-]?[0-9]{1,4})")
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+(?:[eE][+-]?[0-9]{1,4})?")
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
_QUOTED = re.compile(r' *"([^"]*(?:""[^"]*)*)" *')
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_MAGIC = {
    b"PK\x03\x04": "a spreadsheet or zip file; export it as CSV",
    b"\xd0\xcf\x11\xe0": "a spreadsheet of Excel; export it as CSV",
    b"\x89PNG": "a picture",
    b"root": "a ROOT file",
    b"\x1f\x8b": "compressed; unpack it",
    b"\x89HDF": "an HDF5 file; export it as CSV",
}
_LATIN = frozenset(b"\xb5\xb0\xb1\xb2\xb7\xc4\xd6\xdc\xe4\xf6\xfc\xdf\xe0\xe8\xe9\xec\xf2\xf9")
"""The bytes of Latin-1 that programs of this field write: µ ° ± ² · and the letters of their comments."""


class Unclear(Exception):
    """A file cannot be understood; the message says why, for people.

    `foreign`: nothing in it is known, so that it may be no curve at all.
    """

    def __init__(self, reason: str, *, foreign: bool = False) -> None:
        super().__init__(reason)
        self.foreign = foreign


class Row(Struct, frozen=True):
    """Cells of one row, and its line in the file, from 1."""

    line: int
    cells: tuple[str, ...]


class Grid(Struct, frozen=True):
    """A row of headings and the rows below it, all of one length. `remarks` say in which way the text was read."""

    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()


class _Line(Struct, frozen=True):
    """A line that says something; behind a comment's mark its text is the rest of it."""

    number: int
    text: str
    is_comment: bool


class _Title(Struct, frozen=True):
    """The row of headings: its line, its cells, and how many of them a reader knows."""

    line: _Line
    cells: tuple[str, ...]
    delimiter: str
    known: int


def read_grid(content: bytes, knows: Callable[[str], bool] = lambda _: False) -> Grid:
    """Read text whose columns are parted by tabs, semicolons, commas or spaces; `knows` tells a heading that is wanted.

    The headings are the last row above the numbers of which two are known, also behind a comment's mark; if there is
    none, the first row. Empty lines and comments are passed over, and so is what stands above the headings.

    Raises:
        Unclear: it is no such text, it is too large, or a row has not as many cells as there are headings.
    """
    text, remarks = _decoded(content)
    lines = list(_lines(text))
    plain = [line for line in lines if not line.is_comment]
    if not plain:
        raise Unclear("the file is empty")
    if len(plain) > MAX_ROWS + 1 + _TITLE_LINES:
        raise Unclear(f"more than {MAX_ROWS:,} rows")
    title = _title(lines, plain, knows)
    below = [line for line in plain if line.number > title.line.number]
    if len(below) > MAX_ROWS:
        raise Unclear(f"more than {MAX_ROWS:,} rows")
    return _grid(title, below, remarks)


def is_number(cell: str) -> bool:
    """Whether a cell is a number as programs write it, with a decimal point if with any."""
    return _NUMBER.fullmatch(cell) is not None


def why_no_number(cell: str) -> str:
    """Say what is wrong with a cell that should be a number."""
    shown = f"'{printable(cell, 40)}'"
    if not cell:
        return "nothing stands where a number should be"
    if is_number(cell) or cell.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return f"{shown} is no finite number"
    if _COMMA.fullmatch(cell):
        return f"{shown} has a decimal comma; write a point"
    if "\u2212" in cell[:2]:
        return f"{shown} begins with the minus sign U+2212; write '-'"
    return f"{shown} is no number"


def _grid(title: _Title, below: Sequence[_Line], remarks: list[str]) -> Grid:
    headings, delimiter = list(title.cells), title.delimiter
    width = len(headings)
    while headings and not headings[-1]:
        headings.pop()
    if len(headings) > MAX_COLUMNS:
        raise Unclear(f"more than {MAX_COLUMNS:,} columns")
    if title.line.is_comment and below:
        delimiter = _matching(below[0], delimiter, width)
    rows = [_row(line.number, line.text, delimiter, headings, width) for line in below]
    again = tuple(headings)
    kept = [row for row in rows if any(row.cells) and row.cells != again]
    if delimiter != "," and _has_decimal_commas(kept):
        kept = [Row(row.line, tuple(map(_pointed, row.cells))) for row in kept]
        remarks = [*remarks, "its decimal commas were read as points"]
    return Grid(again, tuple(Row(row.line, tuple(map(_as_e, row.cells))) for row in kept), tuple(remarks))


def _decoded(content: bytes) -> tuple[str, list[str]]:
    if len(content) > MAX_BYTES:
        raise Unclear(f"larger than {MAX_BYTES >> 20} MiB; no curve is")
    for magic, what in _MAGIC.items():
        if content.startswith(magic):
            raise Unclear(f"no text, but {what}", foreign=True)
    if content.startswith(_UTF16) and len(content) % 2 == 0:
        return content.decode("utf-16", "replace"), ["it was read as UTF-16"]
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise Unclear(f"binary, no text: line {line} has a NUL byte")
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        if all(byte < 0x80 or byte in _LATIN for byte in set(content)):
            return content.decode("latin-1"), ["it was read as Latin-1"]
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise Unclear(f"line {line}: byte 0x{byte:02x} is no UTF-8 text; save it as UTF-8") from None


def _lines(text: str) -> Iterator[_Line]:
    """Give the lines that say something, with their numbers."""
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if line.strip(" \t,;"):
            begin = line.lstrip()
            is_comment = begin.startswith(_COMMENTS)
            yield _Line(number, begin.lstrip("#% \t") if is_comment else line, is_comment)


def _title(lines: Sequence[_Line], plain: Sequence[_Line], knows: Callable[[str], bool]) -> _Title:
    """Find the row of headings: the last above the numbers of which two are known, else the first row."""
    best: _Title | None = None
    for line in lines[:_TITLE_LINES]:
        found = _as_title(line, knows)
        if found.known >= 2 and (best is None or _is_better(found, best)):
            best = found
        elif not line.is_comment and _numbers(line.text) >= (1 if best else 2):
            break  # no number above the headings is passed over, and below some not even one
    return best or _unknown_title(lines, plain, knows)


def _is_better(found: _Title, best: _Title) -> bool:
    """A row of units, or a second row of the same headings, is not taken for the headings."""
    return found.known >= best.known and found.line.is_comment == best.line.is_comment


def _unknown_title(lines: Sequence[_Line], plain: Sequence[_Line], knows: Callable[[str], bool]) -> _Title:
    first = _as_title(plain[0], knows)
    if not any(first.cells) or all(is_number(cell) for cell in first.cells if cell):
        number = plain[0].number
        if len(plain) == 2 and len(first.cells) > 2 and _numbers(plain[1].text) >= 2:
            raise Unclear("two rows of numbers, as volts above amperes; write two columns with headings")
        above = [line for line in lines if line.is_comment and line.number < number]
        seen = f"; above it stands '{printable(above[-1].text, 40)}'" if above else ""
        raise Unclear(
            f"no row of headings: line {number} has none{seen}; write one, as 'Voltage (V),Current (A)'"
        )
    return first


def _as_title(line: _Line, knows: Callable[[str], bool]) -> _Title:
    """Part a line as headings, by the delimiter by which most of them are known."""
    parted = [(each, _heading_cells(line, each)) for each in _DELIMITERS if each in line.text]
    parted = parted or [(_SPACES, _spaced_headings(line.text, knows))]
    best: _Title | None = None
    for delimiter, cells in parted:
        known = sum(bool(cell) and knows(cell) for cell in cells) if len(cells) <= MAX_COLUMNS else 0
        if best is None or known > best.known:
            best = _Title(line, tuple(cells), delimiter, known)
    assert best is not None  # noqa: S101 - there is one delimiter at least
    return best


def _heading_cells(line: _Line, delimiter: str) -> list[str]:
    try:
        return _cells(line.number, line.text, delimiter)
    except Unclear:
        return [cell.strip() for cell in line.text.split(delimiter)]


def _spaced_headings(text: str, knows: Callable[[str], bool]) -> list[str]:
    """Part headings between which only spaces stand: by two of them, else by one, a unit staying with its name."""
    if len(text) > _LONGEST_SPACED:
        return text.split()
    wide = [cell.strip() for cell in re.split(r" {2,}", text.strip())]
    words: list[str] = []
    for word in text.split():
        if words and word[:1] in ("(", "[", "/"):
            words[-1] = f"{words[-1]} {word}"
        else:
            words.append(word)
    return max((wide, words), key=lambda cells: sum(map(knows, cells)))


def _numbers(text: str) -> int:
    """Count the cells of a line that are numbers."""
    delimiter = next((each for each in _DELIMITERS if each in text), None)
    cells = [cell.strip(' "') for cell in text.split(delimiter)]
    return sum(is_number(_as_e(cell)) or _COMMA.fullmatch(cell) is not None for cell in cells)


def _matching(first: _Line, delimiter: str, width: int) -> str:
    """Give the delimiter of the numbers below a heading in a comment, which may have been written in another way."""
    if delimiter in first.text and delimiter != _SPACES:
        return delimiter
    for each in (*_DELIMITERS, _SPACES):
        if len(_cells(first.number, first.text, each)) == width:
            return each
    return delimiter


def _cells(number: int, line: str, delimiter: str) -> list[str]:
    if delimiter == _SPACES:
        return line.split()
    if '"' not in line:
        return [cell.strip() for cell in line.split(delimiter)]
    return list(_quoted_cells(number, line, delimiter))


def _quoted_cells(number: int, line: str, delimiter: str) -> Iterator[str]:
    at = 0
    while True:
        match = _QUOTED.match(line, at)
        if match and line[match.end() : match.end() + 1] in ("", delimiter):
            yield match.group(1).replace('""', '"').strip()
            at = match.end()
        else:
            end = line.find(delimiter, at)
            cell = line[at:] if end < 0 else line[at:end]
            if cell.lstrip().startswith('"'):
                raise Unclear(f"line {number}: a quote is not closed; close it, or take it out")
            yield cell.strip()
            at += len(cell)
        if at >= len(line):
            return
        at += 1


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
    if '"' not in line and any(_NUMERIC.fullmatch(cell) and _PARTED.search(cell) for cell in cells):
        raise Unclear(f"line {number} parts its numbers in another way than the headings")
    return Row(number, tuple(cells[:count]))


def _may_be_one(cells: list[str], place: int) -> bool:
    """Whether a cell and the one before it may be one number with a comma in it, for decimals or thousands."""
    return _WHOLE.fullmatch(cells[place - 1]) is not None and _BEHIND.fullmatch(cells[place]) is not None


def _has_decimal_commas(rows: Sequence[Row]) -> bool:
    """Whether the commas in numbers can only be decimal ones: no number has a point, and one comma parts no thousands."""
    with_comma = {cell for row in rows for cell in row.cells if _COMMA.fullmatch(cell)}
    if not with_comma or all(_GROUPED.fullmatch(cell) for cell in with_comma):
        return False
    return not any("." in cell and any(map(str.isdigit, cell)) for row in rows for cell in row.cells)


def _pointed(cell: str) -> str:
    return cell.replace(",", ".") if _COMMA.fullmatch(cell) else cell


def _as_e(cell: str) -> str:
    """Write a number of Fortran, 1.5D-07, with an e."""
    match = _FORTRAN.fullmatch(cell) if "d" in cell or "D" in cell else None
    return f"{match.group(1)}e{match.group(2)}" if match else cell
