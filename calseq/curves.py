"""Curves that a step measured, read from its files as its plan says; what is not understood is said, never guessed."""

from collections.abc import Sequence
from decimal import Decimal
from fnmatch import fnmatch
from io import BufferedReader
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from msgspec import Struct

from calseq.grid import MAX_BYTES, Grid, Row, Unclear, is_number, read_grid, why_no_number
from calseq.headings import UNITS, Heading, read_heading, unit_in
from calseq.modulename import modules_named
from calseq.plaintext import printable
from calseq.plan import CurveTable, Module, Step
from calseq.regular import open_regular


class IvPoint(Struct, frozen=True):
    """One measurement, with its signs as measured."""

    voltage_v: float
    current_a: float


class IvCurve(Struct, frozen=True):
    """The current of a sensor over its bias, in the order measured; `module` is empty if the file's name tells none."""

    file: str
    module: str
    points: tuple[IvPoint, ...]


class Trace(Struct, frozen=True):
    """One quantity over the input current, as (A, `unit`); `chip` is empty if it is not of one chip."""

    name: str
    chip: str
    unit: str
    points: tuple[tuple[float, float], ...]


class ViCurve(Struct, frozen=True):
    """What the chips' regulators give over their input current; `module` is empty if the file's name tells none."""

    file: str
    module: str
    traces: tuple[Trace, ...]


class NotUnderstood(Struct, frozen=True):
    """A file that should be a curve and cannot be read as one, and why."""

    file: str
    reason: str


Measured = IvCurve | ViCurve | NotUnderstood


class _Placed(NamedTuple):
    """A column of the file: where it stands, what it is, and the factor 10**exponent to its base unit."""

    place: int
    heading: Heading
    unit: str
    exponent: int


def read_curves(
    step: Step, folder: Path, files: Sequence[str], modules: Sequence[Module]
) -> tuple[Measured, ...]:
    """Read those of a step's files that its plan calls curves; `files` are relative to the run folder."""
    read: list[Measured] = []
    for file in files:
        name = PurePosixPath(file).name
        table = next((each for each in step.curves if fnmatch(name, each.pattern)), None)
        if table:
            try:
                content = _content(folder, file)
            except Unclear as unclear:
                read.append(NotUnderstood(file, str(unclear)))
            else:
                read.append(read_curve(file, content, table, modules))
    return tuple(read)


def read_curve(file: str, content: bytes, table: CurveTable, modules: Sequence[Module]) -> Measured:
    """Read the text of a curve. One row that is not understood is enough to draw nothing: a gap would lie."""
    try:
        grid = read_grid(content)
        units, rows = _parted(grid, table)
        columns = [
            _placed(place, found, units, grid.headings[place], table) for place, found in _known(grid, table)
        ]
        base, others = _sorted(columns, table)
        x = _numbers(rows, base, grid)
        if table.kind == "iv":
            points = zip(x, _numbers(rows, others[0], grid), strict=True)
            return IvCurve(file, _module(file, modules), tuple(IvPoint(*point) for point in points))
        traces = (
            Trace(
                each.heading.quantity,
                each.heading.chip,
                each.unit,
                tuple(zip(x, _numbers(rows, each, grid), strict=True)),
            )
            for each in others
        )
        return ViCurve(file, _module(file, modules), tuple(traces))
    except Unclear as unclear:
        return NotUnderstood(file, str(unclear))


def _content(folder: Path, file: str) -> bytes:
    """Read a file of the run folder: a regular one, by no link, and not for ever."""
    try:
        path = folder / file
        if not path.parent.resolve().is_relative_to(folder.resolve()):
            raise Unclear("no file of the run folder")
        with BufferedReader(open_regular(path)) as opened:
            return opened.read(MAX_BYTES + 1)
    except ValueError:  # a NUL in its name
        raise Unclear("cannot be read: no such file or directory") from None
    except OSError as error:
        raise Unclear(f"cannot be read: {(error.strerror or str(error)).lower()}") from None


def _known(grid: Grid, table: CurveTable) -> list[tuple[int, Heading]]:
    """Give the columns that the catalogue knows; two of one kind could not be told apart."""
    found = [(place, read_heading(text, table.columns)) for place, text in enumerate(grid.headings)]
    known = [(place, heading) for place, heading in found if heading]
    places: dict[tuple[str, str], int] = {}
    for place, heading in known:
        other = places.setdefault((heading.quantity, heading.chip), place)
        if other != place:
            one, two = _quoted(grid.headings[other]), _quoted(grid.headings[place])
            raise Unclear(f"{one} and {two} are both headings of '{heading.quantity}'")
    return known


def _sorted(columns: list[_Placed], table: CurveTable) -> tuple[_Placed, list[_Placed]]:
    """Give the column that the others go over, and these."""
    over = "voltage" if table.kind == "iv" else "current"
    base = next((each for each in columns if each.heading.quantity == over), None)
    others = [
        each
        for each in columns
        if each is not base and (table.kind == "vi" or each.heading.quantity == "current")
    ]
    if base is None or not others:
        lacking = over if base is None else "current" if table.kind == "iv" else "voltage"
        raise Unclear(f"no heading is known as '{lacking}'; the site's calibrations can name it")
    return base, others


def _parted(grid: Grid, table: CurveTable) -> tuple[Row | None, tuple[Row, ...]]:
    """Part a row of units, if there is one below the headings, from the rows of numbers."""
    first = grid.rows[0] if grid.rows else None
    known = [place for place, _ in _known(grid, table)]
    if first is None or not known:
        return None, grid.rows
    told = [unit_in(first.cells[place]) for place in known]
    enclosed = all(first.cells[place][:1] in ("(", "[") for place in known)
    if enclosed or (any(told) and all(unit in UNITS or not unit for unit in told)):
        return first, grid.rows[1:]
    return None, grid.rows


def _placed(place: int, heading: Heading, units: Row | None, text: str, table: CurveTable) -> _Placed:
    """Find the unit of a column: as its heading says, else the row of units, else the catalogue."""
    below = unit_in(units.cells[place]) if units else ""
    if heading.unit and below and UNITS.get(heading.unit) != UNITS.get(below):
        raise Unclear(f"heading {_quoted(text)} has another unit than the row below it, {_quoted(below)}")
    usual = next(column.unit for column in table.columns if column.quantity == heading.quantity)
    written = heading.unit or below or usual
    if not written:
        raise Unclear(f"heading {_quoted(text)} has no unit; the site's calibrations can say it")
    wanted = {"current": "A", "voltage": "V" if table.kind == "iv" else ""}.get(heading.quantity, "")
    if written not in UNITS and (wanted or UNITS.get(usual)):
        raise Unclear(f"{_quoted(written)}, the unit of heading {_quoted(text)}, is not known")
    unit, exponent = UNITS.get(written, (printable(written, 16), 0))
    expected = wanted or UNITS.get(usual, (unit, 0))[0]
    if unit != expected:
        raise Unclear(f"heading {_quoted(text)} is in {unit}, and should be in {expected}")
    return _Placed(place, heading, unit, exponent)


def _numbers(rows: Sequence[Row], column: _Placed, grid: Grid) -> list[float]:
    return [_number(row, column, grid) for row in rows]


def _number(row: Row, column: _Placed, grid: Grid) -> float:
    """Read a cell; the factor is a power of ten of its decimal text, so that no digit changes."""
    cell = row.cells[column.place]
    if is_number(cell):
        # the factor moves the decimal point of the text: 12.3 µA is what 12.3e-6 A would have been
        number = float(Decimal(cell).scaleb(column.exponent)) if column.exponent else float(cell)
        if isfinite(number):
            return number
    raise Unclear(f"line {row.line}, {_quoted(grid.headings[column.place])}: {why_no_number(cell)}")


def _module(file: str, modules: Sequence[Module]) -> str:
    """Find the one module that a file's name, else that of a folder below its step's, has in it."""
    found = modules_named(file, [each.name for each in modules])
    return found[0] if len(found) == 1 else ""


def _quoted(text: str) -> str:
    return f"'{printable(text, 40)}'"
