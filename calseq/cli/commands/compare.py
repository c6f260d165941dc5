"""`calseq compare`: runs side by side, as a table, as JSON or as a page."""

import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import msgspec

from calseq.cli.compared import gather
from calseq.cli.terminal import columns, has_color, is_ascii, message, results
from calseq.cli.where_runs import Where
from calseq.cli.which_run import chosen
from calseq.cli.writing import write_new
from calseq.console.comparisonview import comparison_text, step_word
from calseq.measurement.comparison import NOTABLE_RATIO, Comparison, CurveRow, ModuleRows, Value, breakdown_of
from calseq.measurement.comparison import compare as compared
from calseq.measurement.iv import microamperes
from calseq.measurement.plots import HOW_TO_INSTALL, can_plot, iv_svg
from calseq.model.verdicts import ExitCode
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.record.past import BAD
from calseq.record.status import Standing, standings
from calseq.system.times import spoken

FORMAT = 1
UNCUT = 10_000


def compare(
    where: Where, names: tuple[str, ...], module: str, most: int, format_: str, output: Path | None
) -> int:
    """Compare the runs that are named, else the latest of a module; give the exit code."""
    _check(names)
    standing = [chosen(where, name) for name in names] or latest_of(where.folder, module, most)
    comparison = compared([gather(each) for each in standing])
    if format_ == "html" and comparison.modules and not can_plot():
        message(f"the curves are not drawn: matplotlib is not installed; {HOW_TO_INSTALL}")
    text = _written(comparison, format_, to_terminal=output is None)
    if output is None:
        results(text.rstrip("\n"))
    else:
        write_new(output, text)
        message(f"written to {printable(str(output))}")
    return int(ExitCode.GOOD)


def _check(names: tuple[str, ...]) -> None:
    """Refuse an empty name of a run: it is a shell variable that is not set, and does not mean the latest run."""
    for number, name in enumerate(names, 1):
        if not name.strip():
            cure = "type its name, a part that only it has, or 'latest'; 'calseq runs' lists the runs"
            raise Refused([Problem(codes.NO_RUN, f"run {number} has an empty name", cure)])


def latest_of(runs: Path, module: str, most: int) -> list[Standing]:
    """Give the latest runs of a module, oldest first: those of exactly that name, else those whose name has it.

    Raises:
        Refused: there are not two.
    """
    wanted = module.casefold()
    having = [
        each
        for each in standings(runs)
        if isinstance(each, Standing) and wanted in each.record.module.casefold()
    ]
    # a run of several modules has their names with a + between
    exact = [each for each in having if wanted in each.record.module.casefold().split("+")]
    found = list(islice(exact or having, most))
    if len(found) < 2:
        told = (
            f"there is only one run of '{printable(module, 60)}'"
            if found
            else f"no run of '{printable(module, 60)}'"
        )
        cure = "'calseq runs' lists the runs of all modules; --runs DIR names another folder"
        raise Refused([Problem(codes.NO_RUN, f"{told} in {printable(str(runs))}", cure)])
    return found[::-1]


def comparison_json(comparison: Comparison) -> str:
    """Give a comparison as JSON, for programs: volts, amperes, seconds."""
    value = {
        "format": FORMAT,
        "simulated": comparison.simulated,
        "runs": [
            {
                "run": run.name,
                "started": run.started,
                "title": run.title,
                "module": run.module,
                "state": run.state,
                "over": run.over,
                "simulated": run.simulated,
                "duration_s": run.duration_s,
                "not_understood": run.unread,
            }
            for run in comparison.runs
        ],
        "steps": comparison.steps,
        "modules": [
            {"module": module.module, "curves": [_curve(row) for row in module.rows]}
            for module in comparison.modules
        ],
        "notes": comparison.notes,
    }
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def comparison_page(comparison: Comparison) -> str:
    """Give a comparison as a page that needs nothing else, with the curves of every module on one plot."""
    from calseq.report.pages import page  # noqa: PLC0415 - jinja2 takes 40 ms that only a page needs

    return page(
        "compare.html.j2",
        comparison=comparison,
        modules=[(module, *_plot(module)) for module in comparison.modules],
        microamperes=microamperes,
        breakdown_of=breakdown_of,
        when=_when,
        spoken=spoken,
        step_word=step_word,
        bad=[state.value for state in BAD],
        notable=NOTABLE_RATIO,
    )


def _when(text: str) -> str:
    """Give a record's time in the form that the report has: `2026-11-23 02:00:00 +00:00`."""
    return f"{text[:10]} {text[11:19]} {text[19:]}" if text[10:11] == "T" else text


def _written(comparison: Comparison, format_: str, *, to_terminal: bool) -> str:
    if format_ == "json":
        return comparison_json(comparison)
    if format_ == "html":
        return comparison_page(comparison)
    out = sys.stdout
    shown = to_terminal and out.isatty()
    return comparison_text(
        comparison,
        columns(out) if shown else UNCUT,
        color=to_terminal and has_color(out),
        ascii=to_terminal and is_ascii(out),
    )


def _plot(module: ModuleRows) -> tuple[str, str]:
    """Give a module's plot, or why there is none: whatever happens in drawing, the figures are worth a page."""
    if not can_plot():
        return "", f"matplotlib is not installed; {HOW_TO_INSTALL}"
    figures = [row.fact.figures for row in module.rows]
    several = len({row.fact.step for row in module.rows}) > 1
    try:
        svg = iv_svg(
            [(f"run {row.run}" + f" {row.fact.step}" * several, row.fact.curve) for row in module.rows],
            area_cm2=_only(each.area_cm2 for each in figures),
            working_v=_only(each.working_v for each in figures),
            compliance_a=_only(each.compliance_a for each in figures),
            breakdown_v=_only(breakdown_of(row.fact)[0] for row in module.rows),
            title=f"{module.module or 'module unknown'}: sensor IV",
        )
    except Exception as error:  # noqa: BLE001 - a picture is a courtesy
        return "", printable(f"matplotlib failed: {type(error).__name__}: {error}", 200)
    return svg, ""


def _only(values: Iterable[float | None]) -> float | None:
    """Give the value that all have; a mark that holds for some of the curves would lie about the others."""
    different = set(values)
    return different.pop() if len(different) == 1 else None


def _curve(row: CurveRow) -> dict[str, object]:
    figures = row.fact.figures
    return {
        "run": row.run,
        "step": row.fact.step,
        "file": row.fact.curve.file,
        "area_cm2": figures.area_cm2,
        "at": [_point(value) for value in row.at],
        "working": _point(row.working) if row.working else None,
        "reached_v": figures.reached_v,
        "breakdown_v": row.breakdown.bias_v,
        "breakdown_said": row.breakdown.said,
        "breakdown_differs": row.breakdown_differs,
        "breakdowns_json": row.fact.told,
        "compliance_a": figures.compliance_a,
        "limited_at_v": figures.limited_at_v,
        "notes": figures.notes,
    }


def _point(value: Value) -> dict[str, object]:
    return {
        "bias_v": value.bias_v,
        "current_a": value.current_a,
        "ratio": value.ratio,
        "differs": value.differs,
    }
