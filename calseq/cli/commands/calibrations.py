"""`calseq calibrations`: what a sequence may name."""

import sys
from collections.abc import Iterator
from pathlib import Path

from calseq.bench.bench import read_bench
from calseq.bench.find import bench_file
from calseq.cli.terminal import columns, has_color, is_ascii, message, results
from calseq.console.characters import alphabet
from calseq.console.line import Line, Span, line, sheet
from calseq.console.table import Column, table
from calseq.documents.durations import spelled
from calseq.model.rails import BIASED, RAIL_RULES, ROLE_NAMES, SUPPLIES, StepType
from calseq.model.verdicts import ExitCode
from calseq.problems.plaintext import printable
from calseq.problems.suggestions import did_you_mean
from calseq.sequence.catalog import Calibration, Catalog, Option, Tuning, builtin
from calseq.sequence.schema import CLASSES

_COLUMNS = (
    Column("calibration", worth=9),
    Column("type", worth=6),
    Column("needs", worth=5),
    Column("usual", worth=4, right=True),
    Column("what it does", worth=1, least=16),
)
_OPTION_COLUMNS = (
    Column("option", worth=9),
    Column("value", worth=6),
    Column("dirigent", worth=4),
    Column("meaning", worth=1, least=16),
)


def calibrations(name: str | None, bench: Path | None) -> int:
    """List all calibrations, or tell all about one."""
    path = bench_file(bench)
    catalog = read_bench(path).catalog if path else builtin()
    if name is None:
        _show(_listed(catalog))
        return int(ExitCode.GOOD)
    calibration = catalog.calibrations.get(name)
    if calibration is None:
        of_class = [each.name for each in catalog.calibrations.values() if each.type is CLASSES.get(name)]
        hint = f"it is a class in dirigent, of {', '.join(of_class)}" if of_class else ""
        hint = hint or did_you_mean(name, catalog.calibrations) or "'calseq calibrations' lists them"
        message(f"calseq: no calibration is named '{printable(name, 60)}': {hint}")
        return int(ExitCode.FAILED)
    _show(_told(calibration))
    return int(ExitCode.GOOD)


def _show(lines: Iterator[Line]) -> None:
    results(sheet(lines, color=has_color(sys.stdout)).rstrip("\n"))


def _listed(catalog: Catalog) -> Iterator[Line]:
    rows = [
        (
            Span(calibration.name + (" *" if name in catalog.site else ""), "bold"),
            Span(str(calibration.type)),
            Span(" ".join(calibration.roles)),
            Span("~" + spelled(calibration.usual_s) if calibration.usual_s else ""),
            Span(calibration.summary),
        )
        for name, calibration in catalog.calibrations.items()
    ]
    yield from table(_COLUMNS, rows, columns(sys.stdout), alphabet(ascii=is_ascii(sys.stdout)))
    if catalog.site:
        yield line()
        yield line("* added or changed by this site")


def _told(calibration: Calibration) -> Iterator[Line]:
    rule = RAIL_RULES[calibration.type]
    given = [role for role in calibration.roles if role not in SUPPLIES - rule.driven]
    hv = "at bias" if rule.before == BIASED else "off"
    yield line(Span(calibration.name, "bold"), f": {calibration.summary}")
    yield line()
    yield line(f"type          {calibration.type}")
    yield line(f"rails before  LV {rule.before.lv}, HV {hv}")
    yield line(f"rails after   {_after(calibration)}")
    yield line("needs         " + ", ".join(f"{role} ({ROLE_NAMES[role]})" for role in calibration.roles))
    yield line(
        "child gets    " + (", ".join(given) or "no instrument") + " (in power mode dirigent: all it needs)"
    )
    yield line("usual time    " + (spelled(calibration.usual_s) if calibration.usual_s else "unknown"))
    yield line("must leave    " + (", ".join(_outputs(calibration)) or "nothing"))
    for curves in calibration.curves:
        quantities = ", ".join(column.quantity for column in curves.columns)
        yield line(f"curves        {curves.pattern} ({curves.kind}: {quantities})")
    if calibration.tuning:
        yield line(f"tuning        {_tuning(calibration.tuning)}")
    if calibration.flags:
        yield line("always given  " + " ".join(calibration.flags))
    if calibration.options:
        yield line()
        rows = [_option_row(option) for option in calibration.options.values()]
        yield from table(_OPTION_COLUMNS, rows, columns(sys.stdout), alphabet(ascii=is_ascii(sys.stdout)))
    yield line()
    yield from (line(Span(text, "dim")) for text in example(calibration))


def example(calibration: Calibration) -> Iterator[str]:
    """Give a step with this calibration, as a sequence file has it."""
    if not calibration.options and not calibration.tuning:
        yield f"  - {calibration.name}"
        return
    yield f"  - calibration: {calibration.name}"
    if calibration.options:
        first = [calibration.sweep_end, "step_size"]
        shown = sorted(calibration.options.values(), key=lambda option: option.name not in first)[:2]
        yield (
            "    options: {" + ", ".join(f"{option.name}: {_example_value(option)}" for option in shown) + "}"
        )
    forms = {
        "text": "    tuning: Tuning_1000",
        "tests": "    tuning: [PixelAlive, {name: ThresholdAdjustment_1000, TargetThr: 1100}]",
        "args": '    args: ["--its-own-option", "value"]',
    }
    if calibration.tuning:
        yield forms[calibration.tuning.form]


def _example_value(option: Option) -> str:
    if option.choices:
        return option.choices[0]
    values = {
        "number": "-80" if option.name == "max_voltage" else "5",
        "integer": "1",
        "text": "text",
        "switch": "true",
    }
    return f"[{values[option.type]}]" if option.multiple else values[option.type]


def _after(calibration: Calibration) -> str:
    """A child that was given a supply has switched it off; a curve may then allow the bias."""
    if not RAIL_RULES[calibration.type].driven:
        return "as before"
    curve = calibration.type is StepType.IVCURVE
    return "LV off, HV off" + ("; then bias, if breakdowns.json allows it" if curve else "")


def _tuning(tuning: Tuning) -> str:
    return {
        "text": f"a text, given as {tuning.flag} TEXT",
        "tests": f"a list of tests, given as {tuning.flag} JSON",
        "args": "no option for it is known: give its arguments in 'args:'",
    }[tuning.form]


def _outputs(calibration: Calibration) -> list[str]:
    return [
        output.pattern + (f" (at least {output.at_least})" if output.at_least > 1 else "")
        for output in calibration.outputs
    ]


def _range(option: Option) -> str:
    low, high = option.minimum, option.maximum
    if low is not None and high is not None:
        return f" {low:g} to {high:g}"
    return f" from {low:g}" if low is not None else f" up to {high:g}" if high is not None else ""


def _option_row(option: Option) -> tuple[Span, ...]:
    value = " | ".join(option.choices) or {"switch": "true or false"}.get(option.type, option.type)
    value += _range(option)
    unit = f" ({option.unit})" if option.unit else ""
    many = "list of " if option.multiple else ""
    return (Span(option.name, "bold"), Span(many + value + unit), Span(option.flag), Span(option.description))
