"""Files that a catalogue says a calibration leaves: curves under the headings that it reads, and the rest by their names."""

import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatch

from calseq.measurement.curves import SET_VOLTAGE
from calseq.measurement.headings import UNITS
from calseq.model.plan import Column, CurveTable, Output
from calseq.sequence.catalog import Calibration
from calseq.simulator import outputs, script
from calseq.simulator.outputs import BREAKDOWNS, CHIPS, safe
from calseq.simulator.sweep import Measured

_VOLTAGES = ("measured_voltage", "voltage", SET_VOLTAGE)
_CURRENTS = ("measured_current", "current")
_WILD = re.compile(r"\*+|\?|\[!?\]?[^\]]*\]")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-."


def iv_curve(
    table: CurveTable, calibration: str, module: str, readings: Sequence[Measured]
) -> dict[str, bytes]:
    """Give a module's IV curve as a site's dirigent writes it."""
    known = {column.quantity: column for column in table.columns}
    volts = next((known[each] for each in _VOLTAGES if each in known), None)
    amps = next((known[each] for each in _CURRENTS if each in known), None)
    if volts is None or amps is None:
        return {}
    is_set = volts.quantity == SET_VOLTAGE
    rows = [
        [_cell(each.set_v if is_set else each.read_v, volts), _cell(each.amps, amps)] for each in readings
    ]
    return {
        _name(table.pattern, calibration, module): _table([_heading(volts, "V"), _heading(amps, "A")], rows)
    }


def vi_curve(table: CurveTable, calibration: str, module: str, currents: Sequence[float]) -> dict[str, bytes]:
    """Give a module's VI curve as a site's dirigent writes it: one column for each chip where the catalogue has such."""
    known = {column.quantity: column for column in table.columns}
    base = known.pop("current", None)
    if base is None or not known:
        return {}
    headings, cells = [_heading(base, "A")], [[_cell(amps, base) for amps in currents]]
    for column in known.values():
        chips = range(CHIPS) if any("{chip}" in each for each in column.headings) else range(1)
        headings += [_heading(column, "V", chip) for chip in chips]
        cells += [
            [_cell(outputs.regulator_v(column.quantity, module, amps, chip), column) for amps in currents]
            for chip in chips
        ]
    return {_name(table.pattern, calibration, module): _table(headings, list(zip(*cells, strict=True)))}


def missing(calibration: Calibration, there: Collection[str], modules: Sequence[str]) -> dict[str, bytes]:
    """Give the files that a catalogue wants and that are not `there`; breakdowns are never made up."""
    files: dict[str, bytes] = {}
    for output in calibration.outputs:
        if output.pattern != BREAKDOWNS:
            files |= _wanted(output, calibration, [*there, *files], modules)
    return files


def _wanted(
    output: Output, calibration: Calibration, there: Sequence[str], modules: Sequence[str]
) -> dict[str, bytes]:
    """Give as many files of a kind as are wanting, one of each module first."""
    lacking = output.at_least - sum(fnmatch(name.rpartition("/")[2], output.pattern) for name in there)
    files: dict[str, bytes] = {}
    for index in range(max(lacking, 0)):
        module = modules[index % len(modules)] if modules else "0"
        turn = index // max(len(modules), 1)
        name = _name(output.pattern, calibration.name, module + f"_{turn + 1}" * bool(turn), index + 1)
        path = f"{index + 1}/{name}" if name in files or name in there else name
        files[path] = _content(name, calibration, module)
    return files


def _content(name: str, calibration: Calibration, module: str) -> bytes:
    table = next((each for each in calibration.curves if fnmatch(name, each.pattern)), None)
    if table and table.kind == "vi":
        found = vi_curve(table, calibration.name, module, script.currents(6.0, 1.0))
        return next(iter(found.values()), outputs.NOTHING)
    if table:
        readings = outputs.usual_readings(module)
        return next(iter(iv_curve(table, calibration.name, module, readings).values()), outputs.NOTHING)
    if name.endswith(".png"):
        return outputs.PICTURE.read_bytes()
    if name.endswith(".json"):
        return json.dumps({"simulated": True}).encode()
    return outputs.NOTHING


def _name(pattern: str, calibration: str, module: str, number: int = 1) -> str:
    """Give a name that a glob matches, with the calibration and the module where it leaves room for them."""
    stem = safe(f"{calibration}_{module}")
    if pattern == "*.root":
        return f"Run{number:06d}_{stem}.root"
    parts: list[str] = []
    end = 0
    for match in _WILD.finditer(pattern):
        before = pattern[end : match.start()]
        end = match.end()
        parts += [before, _filling(match.group(), before, pattern[end:], stem, number)]
    return "".join(parts) + pattern[end:]


def _filling(wild: str, before: str, after: str, stem: str, number: int) -> str:
    if wild.startswith("*"):
        run = f"{number:06d}" if before.endswith("Run") else ""
        return run if run and after.startswith("_") else f"{run}_{stem}" if run else stem
    if wild == "?":
        return str(number % 10)
    return next((each for each in _DIGITS if fnmatch(each, wild)), "x")


def _heading(column: Column, unit: str, chip: int = 0) -> str:
    """Give a heading by which a column is known, with its unit unless the catalogue says that the file tells none."""
    per_chip = [each for each in column.headings if "{chip}" in each]
    names = (per_chip or list(column.headings)) if unit == "V" and per_chip else list(column.headings)
    plain = [each for each in names if not re.search(r"[,;\t\"']", each)]
    name = (plain or names)[0].replace("{chip}", str(chip))
    return name if column.unit else f"{name} ({unit})"


def _cell(value: float, column: Column) -> str:
    exponent = UNITS.get(column.unit, ("", 0))[1]
    return f"{value / 10**exponent:.5g}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(_lines(headings, rows))
    return text.getvalue().encode()


def _lines(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Sequence[str]]:
    yield headings
    yield from rows
