"""Curves that a step measured, read from its files as its plan says; what is not understood is said, never guessed."""

import re
from collections.abc import Sequence
from decimal import Decimal
from fnmatch import fnmatch
from io import BufferedReader
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from msgspec import Struct

from calseq.measurement.headings import UNITS, Heading, read_heading, unit_in
from calseq.measurement.module_names import modules_named
from calseq.measurement.table import MAX_BYTES, Grid, Row, Unclear, is_number, read_grid, why_no_number
from calseq.model.physics import PHYSICS, beyond
from calseq.model.plan import CurveTable, Module, Step
from calseq.problems.plaintext import printable
from calseq.system.files import open_regular


class IvPoint(Struct, frozen=True):
    """One measurement, with its signs as measured."""

    voltage_v: float
    current_a: float


class Hole(Struct, frozen=True):
    """A row without a reading: its line, its voltage if that was read, and the text in place of a number."""

    line: int
    voltage_v: float | None
    text: str


class IvCurve(Struct, frozen=True):
    """The current of a sensor over its bias, in the order measured; `module` is empty if the file's name tells none.

    `holes` are rows whose numbers are no readings, `remarks` say how the file was read, and `is_set` that its voltage
    is the one that was set, and not measured.
    """

    file: str
    module: str
    points: tuple[IvPoint, ...]
    holes: tuple[Hole, ...] = ()
    remarks: tuple[str, ...] = ()
    is_set: bool = False


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
    """A file that should be a curve and cannot be read as one, and why.

    `module` is empty if the file's name tells none; `foreign`: nothing in it is known, so that it may be no curve.
    """

    file: str
    reason: str
    module: str = ""
    foreign: bool = False


SET_VOLTAGE = "set_voltage"
_VOLTAGES = ("measured_voltage", "voltage", SET_VOLTAGE)
_CURRENTS = ("measured_current", "current")
"""The quantities of a voltage and a current in an IV curve, that which counts first before the others."""

_SEEN = 4
_OVERFLOW = 1e30
"""Instruments write 9.9e37 and 9.91e37 for an overflow and for no reading."""

_UNLIKELY_A = 1e-3
_FAR_V = 100.0
_NINES = re.compile(r"[+-]?(?:999|9999|99999)(?:\.0*)?")

Measured = IvCurve | ViCurve | NotUnderstood


class _Placed(NamedTuple):
    """A column of the file: its place, its heading, and the factor 10**exponent to its base unit."""

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
                read.append(NotUnderstood(file, str(unclear), _module(file, modules)))
            else:
                read.append(read_curve(file, content, table, modules))
    return tuple(read)


def read_curve(file: str, content: bytes, table: CurveTable, modules: Sequence[Module]) -> Measured:
    """Read the text of a curve. One row that is not understood is enough to draw nothing: a gap would lie."""
    module = _module(file, modules)
    try:
        grid = read_grid(content, lambda text: read_heading(text, table.columns) is not None)
        return _iv(file, module, grid, table) if table.kind == "iv" else _vi(file, module, grid, table)
    except Unclear as unclear:
        return NotUnderstood(file, str(unclear), module, unclear.foreign)


def _iv(file: str, module: str, grid: Grid, table: CurveTable) -> IvCurve:
    known = _chosen(_known(grid, table))
    base, current = _needed(known, grid)
    units, rows = _parted(grid, [place for place, _ in known])
    voltage = _placed(*base, units, grid, table)
    amperes, remarks = _placed_current(*current, units, grid, table)
    pairs = [(row, _number(row, voltage, grid), _number(row, amperes, grid)) for row in rows]
    if remarks:
        _check_amperes(pairs, grid.headings[amperes.place])
    points, holes = _readings(pairs, voltage, amperes)
    return IvCurve(
        file,
        module,
        points,
        holes,
        (*grid.remarks, *remarks),
        is_set=voltage.heading.quantity == SET_VOLTAGE,
    )


def _vi(file: str, module: str, grid: Grid, table: CurveTable) -> ViCurve:
    known = _known(grid, table)
    units, rows = _parted(grid, [place for place, _ in known])
    columns = [_placed(place, heading, units, grid, table) for place, heading in known]
    base = next((each for each in columns if each.heading.quantity == "current"), None)
    others = [each for each in columns if each is not base]
    if base is None or not others:
        raise _no_heading("current" if base is None else "voltage", grid)
    x = _numbers(rows, base, grid)
    traces = (
        Trace(
            each.heading.quantity,
            each.heading.chip,
            each.unit,
            tuple(zip(x, _numbers(rows, each, grid), strict=True)),
        )
        for each in others
    )
    return ViCurve(file, module, tuple(traces))


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
    """Columns that the catalogue knows; two of one quantity are refused."""
    found = [(place, read_heading(text, table.columns)) for place, text in enumerate(grid.headings)]
    known = [(place, heading) for place, heading in found if heading]
    places: dict[tuple[str, str], int] = {}
    again = next((text for text in grid.headings if _is_again(text, grid, table)), None)
    if again:
        raise Unclear(f"{_quoted(again)} is a heading that is there twice")
    for place, heading in known:
        other = places.setdefault((heading.quantity, heading.chip), place)
        if other != place:
            one, two = _quoted(grid.headings[other]), _quoted(grid.headings[place])
            raise Unclear(f"{one} and {two} are both headings of '{heading.quantity}'")
    return known


def _is_again(text: str, grid: Grid, table: CurveTable) -> bool:
    """Whether a heading is what pandas writes, `Current (A).1`, for one that is known and is there already."""
    name, _, number = text.rpartition(".")
    return number.isdigit() and name in grid.headings and read_heading(name, table.columns) is not None


def _chosen(known: list[tuple[int, Heading]]) -> list[tuple[int, Heading]]:
    """Leave one voltage and one current: what was measured counts before what is only named, and that before what was set."""
    quantities = {heading.quantity for _, heading in known}
    chosen: list[tuple[int, Heading]] = []
    for ranked in (_VOLTAGES, _CURRENTS):
        first = next((each for each in ranked if each in quantities), None)
        chosen += [(place, heading) for place, heading in known if heading.quantity == first]
    return chosen


def _needed(known: list[tuple[int, Heading]], grid: Grid) -> tuple[tuple[int, Heading], tuple[int, Heading]]:
    base = next((each for each in known if each[1].quantity in _VOLTAGES), None)
    current = next((each for each in known if each[1].quantity in _CURRENTS), None)
    if base is None or current is None:
        raise _no_heading("voltage" if base is None else "current", grid, foreign=base is current)
    return base, current


def _no_heading(quantity: str, grid: Grid, *, foreign: bool = False) -> Unclear:
    seen = ", ".join(_quoted(each) for each in grid.headings[:_SEEN]) + ", …" * (len(grid.headings) > _SEEN)
    cure = "the site's calibrations can name it"
    return Unclear(f"no heading is known as '{quantity}': {seen}; {cure}", foreign=foreign)


def _parted(grid: Grid, known: list[int]) -> tuple[Row | None, tuple[Row, ...]]:
    """Part a row of units, if there is one below the headings, from the rows of numbers."""
    first = grid.rows[0] if grid.rows else None
    if first is None or not known:
        return None, grid.rows
    told = [unit_in(first.cells[place]) for place in known]
    enclosed = all(first.cells[place][:1] in ("(", "[") for place in known)
    if enclosed or (any(told) and all(unit in UNITS or not unit for unit in told)):
        return first, grid.rows[1:]
    return None, grid.rows


def _placed(place: int, heading: Heading, units: Row | None, grid: Grid, table: CurveTable) -> _Placed:
    """Find the unit of a column: as its heading says, else the row of units, else the catalogue."""
    text, below = grid.headings[place], unit_in(units.cells[place]) if units else ""
    if heading.unit and below and UNITS.get(heading.unit) != UNITS.get(below):
        raise Unclear(f"heading {_quoted(text)} has another unit than the row below it, {_quoted(below)}")
    usual = next(column.unit for column in table.columns if column.quantity == heading.quantity)
    written = heading.unit or below or usual
    if not written:
        raise Unclear(f"heading {_quoted(text)} has no unit; the site's calibrations can say it")
    wanted = _base_unit(heading.quantity, table)
    if written not in UNITS and (wanted or UNITS.get(usual)):
        raise Unclear(f"{_quoted(written)}, the unit of heading {_quoted(text)}, is not known")
    unit, exponent = UNITS.get(written, (printable(written, 16), 0))
    expected = wanted or UNITS.get(usual, (unit, 0))[0]
    if unit != expected:
        raise Unclear(f"heading {_quoted(text)} is in {unit}, and should be in {expected}")
    return _Placed(place, heading, unit, exponent)


def _base_unit(quantity: str, table: CurveTable) -> str:
    if quantity in _CURRENTS:
        return "A"
    return "V" if table.kind == "iv" and quantity in _VOLTAGES else ""


def _placed_current(
    place: int, heading: Heading, units: Row | None, grid: Grid, table: CurveTable
) -> tuple[_Placed, tuple[str, ...]]:
    """Find the unit of a current. Without one it is taken for amperes: of all units the one that makes most of a number."""
    usual = next(column.unit for column in table.columns if column.quantity == heading.quantity)
    if heading.unit or usual or (units and unit_in(units.cells[place])):
        return _placed(place, heading, units, grid, table), ()
    return _Placed(place, heading, "A", 0), (
        f"{_quoted(grid.headings[place])} has no unit, and was taken for amperes",
    )


def _check_amperes(pairs: Sequence[tuple[Row, float, float]], heading: str) -> None:
    for row, _, current_a in pairs:
        if _UNLIKELY_A < abs(current_a) < _OVERFLOW:
            why = f"in amperes {current_a:g} would be no current of a sensor"
            cure = "the site's calibrations can say its unit"
            raise Unclear(f"line {row.line}: heading {_quoted(heading)} has no unit, and {why}; {cure}")


def _readings(
    pairs: Sequence[tuple[Row, float, float]], voltage: _Placed, current: _Placed
) -> tuple[tuple[IvPoint, ...], tuple[Hole, ...]]:
    """Part measurements from rows whose numbers are none: 9.91e37 of an instrument, 999 of a script, what cannot be.

    Raises:
        Unclear: so many of them cannot be that the unit must be another.
    """
    points: list[IvPoint] = []
    holes: list[Hole] = []
    for place, (row, voltage_v, current_a) in enumerate(pairs):
        is_volts = PHYSICS["sweep voltage"].has(voltage_v) and not _is_filler(
            row.cells[voltage.place], voltage_v, _beside(pairs, place, 1), _FAR_V
        )
        is_amperes = PHYSICS["sensor current"].has(current_a) and not _is_filler(
            row.cells[current.place], current_a, _beside(pairs, place, 2), abs(current_a) / 2
        )
        if is_volts and is_amperes:
            points.append(IvPoint(voltage_v, current_a))
        else:
            text = row.cells[current.place if is_volts else voltage.place]
            holes.append(Hole(row.line, voltage_v if is_volts else None, printable(text, 40)))
    _check_units(pairs, holes)
    return tuple(points), tuple(holes)


def _check_units(pairs: Sequence[tuple[Row, float, float]], holes: Sequence[Hole]) -> None:
    """Values beyond physics in most of the rows are in another unit than the headings say."""
    if len(holes) * 2 <= len(pairs):
        return
    for row, voltage_v, current_a in pairs:
        for quantity, value in (("sweep voltage", voltage_v), ("sensor current", current_a)):
            if abs(value) < _OVERFLOW and (why := beyond(quantity, value)):
                raise Unclear(f"line {row.line}: {why}; {PHYSICS[quantity].meant}")


def _beside(pairs: Sequence[tuple[Row, float, float]], place: int, column: int) -> list[float]:
    """Give the values of the rows before and after one."""
    return [float(pairs[each][column]) for each in (place - 1, place + 1) if 0 <= each < len(pairs)]  # type: ignore[arg-type]


def _is_filler(text: str, value: float, beside: Sequence[float], far: float) -> bool:
    """Whether a number is 999, 9999 or so where no neighbour is near it: a script's word for no reading."""
    return _NINES.fullmatch(text) is not None and all(abs(value - each) > far for each in beside)


def _numbers(rows: Sequence[Row], column: _Placed, grid: Grid) -> list[float]:
    return [_number(row, column, grid) for row in rows]


def _number(row: Row, column: _Placed, grid: Grid) -> float:
    """Read a cell; the factor is a power of ten of its decimal text, so that no digit changes."""
    cell = row.cells[column.place]
    if is_number(cell) and isfinite(float(cell)):
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
