"""Runs side by side as tables on a terminal: what differs from the first run has a mark that needs no colour."""

from collections.abc import Sequence

from calseq.console.characters import Alphabet, alphabet
from calseq.console.line import Line, Span, line, sheet, stacked
from calseq.console.runlist import typable
from calseq.console.statusview import VERDICTS
from calseq.console.table import GAP, Column, table
from calseq.console.wording import STYLES
from calseq.measurement.comparison import (
    NOTABLE_RATIO,
    Comparison,
    CurveRow,
    ModuleRows,
    RunFacts,
    StepFact,
    StepRow,
    Value,
    breakdown_of,
)
from calseq.measurement.iv import microamperes
from calseq.problems.plaintext import width as wide
from calseq.record.past import State
from calseq.record.words import state_word
from calseq.system.times import spoken

MARK = " *"
NOT_REACHED = "not reached"


def comparison_text(
    comparison: Comparison,
    columns_wide: int,
    *,
    color: bool,
    ascii: bool,  # noqa: A002
) -> str:
    """Comparison as text; names in the column of the runs can be typed."""
    letters = alphabet(ascii=ascii)
    blocks = [
        [line(Span(" SIMULATED ", "bold reverse yellow"))] if comparison.simulated else [],
        _runs(comparison.runs, columns_wide, letters),
        *_steps(comparison, columns_wide, letters),
        *(_module(each, columns_wide, letters) for each in comparison.modules),
        _legend(comparison),
        [
            line(Span("note  ", "yellow"), text) if first else line("      ", text)
            for note in comparison.notes
            for first, text in _wrapped(note, columns_wide - 6, letters)
        ],
    ]
    return sheet(stacked(blocks), color=color)


_RUN_COLUMNS = (
    Column("", worth=9),
    Column("run", worth=9),
    Column("module", worth=5, least=6),
    Column("title", worth=6, least=8),
    Column("", worth=8),
    Column("verdict", worth=8),
    Column("time", worth=4, right=True),
)


def _runs(runs: Sequence[RunFacts], columns_wide: int, letters: Alphabet) -> list[Line]:
    rows = [
        (
            Span(str(number), "bold"),
            Span(letters.text(typable(run.name))),
            Span(letters.text(run.module)),
            Span(letters.text(run.title)),
            Span("simulated" if run.simulated else "", "yellow"),
            Span(letters.text(run.state), _verdict_style(run)),
            Span("" if run.duration_s is None else spoken(run.duration_s)),
        )
        for number, run in enumerate(runs, 1)
    ]
    return table(_RUN_COLUMNS, rows, columns_wide, letters)


def _verdict_style(run: RunFacts) -> str:
    if not run.over:
        return "bold cyan"
    return next((style for verdict, style in VERDICTS.items() if verdict.value == run.state), "bold red")


def _steps(comparison: Comparison, columns_wide: int, letters: Alphabet) -> list[list[Line]]:
    """Give the steps by run, in as many tables as the width asks for: no run is left out."""
    runs = range(len(comparison.runs))
    cells = {
        (row.name, run): _cell(row, run, over=comparison.runs[run].over)
        for row in comparison.steps
        for run in runs
    }
    widths = [max([1, *(wide(cells[row.name, run].text) for row in comparison.steps)]) for run in runs]
    first = max([4, *(wide(row.name) for row in comparison.steps)])
    blocks, taken = [[0]], first + len(GAP) + widths[0]
    for run in runs[1:]:
        taken += len(GAP) + widths[run]
        if taken > columns_wide and blocks[-1]:
            blocks.append([])
            taken = first + len(GAP) + widths[run]
        blocks[-1].append(run)
    return [
        table(
            (Column("step", worth=9, least=8), *(Column(str(run + 1), worth=8) for run in block)),
            [
                (Span(letters.text(row.name)), *(cells[row.name, run] for run in block))
                for row in comparison.steps
            ],
            columns_wide,
            letters,
        )
        for block in blocks
    ]


def _cell(row: StepRow, run: int, *, over: bool) -> Span:
    fact = row.facts[run]
    if fact is None:
        return Span("no such step" + MARK * row.differs[run], "dim")
    took = f" {spoken(fact.duration_s)}" if fact.duration_s is not None else ""
    return Span(step_word(fact, over=over) + took + MARK * row.differs[run], _step_style(fact))


def step_word(fact: StepFact, *, over: bool) -> str:
    """Give the word for a step's state in a run that may be over."""
    return state_word(State(fact.state), over=over) if fact.state in set(State) else fact.state


def _step_style(fact: StepFact) -> str:
    return STYLES[State(fact.state)] if fact.state in set(State) else ""


def _module(module: ModuleRows, columns_wide: int, letters: Alphabet) -> list[Line]:
    area = module.rows[0].fact.figures.area_cm2
    name = letters.text(module.module) or "module unknown"
    about = f"  IV, currents in {letters.micro}A" + (
        f"; sensor {area:g} cm{'2' if letters.ascii else '²'}" if area else ""
    )
    working = {f"{row.working.bias_v:g}" for row in module.rows if row.working}
    steps = {row.fact.step for row in module.rows}
    columns = (
        Column("run", worth=9, right=True),
        Column("step", worth=3, least=8),
        *(
            Column(f"at {value.bias_v:g} V", worth=8 - place // 2)
            for place, value in enumerate(module.rows[0].at)
        ),
        Column(f"at bias {'/'.join(sorted(working))} V", worth=5),
        Column("breakdown", worth=8, least=9),
        Column("compliance", worth=4),
    )
    rows = [
        (
            Span(str(row.run), "bold"),
            Span(letters.text(row.fact.step) if len(steps) > 1 else ""),
            *(_value(value, row, letters) for value in row.at),
            _value(row.working, row, letters) if row.working else Span(""),
            _breakdown(row, letters),
            _limited(row),
        )
        for row in module.rows
    ]
    return [line(Span(name, "bold"), about), *table(columns, rows, columns_wide, letters)]


def _value(value: Value, row: CurveRow, letters: Alphabet) -> Span:
    style = "bold yellow" if value.differs else ""
    if value.current_a is None:
        return Span(NOT_REACHED + MARK * value.differs, style or "dim")
    times = "x" if letters.ascii else "×"
    ratio = f" {times}{value.ratio:.2f}" if value.ratio is not None and not row.is_first else ""
    return Span(microamperes(value.current_a) + ratio + MARK * value.differs, style)


def _breakdown(row: CurveRow, letters: Alphabet) -> Span:
    found_v, said = breakdown_of(row.fact)
    text = letters.text(said) + MARK * row.breakdown_differs
    if found_v is not None:
        return Span(text, "bold red")
    return Span(text, "bold yellow" if row.breakdown_differs else "")


def _limited(row: CurveRow) -> Span:
    limited_v = row.fact.figures.limited_at_v
    return Span("" if limited_v is None else f"reached at {limited_v:g} V", "bold red")


def _legend(comparison: Comparison) -> list[Line]:
    marked = any(any(row.differs) for row in comparison.steps) or any(
        row.breakdown_differs
        or any(value.differs for value in (*row.at, *([row.working] if row.working else [])))
        for module in comparison.modules
        for row in module.rows
    )
    said = f"* not as in the first run; of currents: by more than {NOTABLE_RATIO:.0%}"
    return [line(Span(said.replace("%", " %"), "dim"))] if marked else []


def _wrapped(note: str, columns_wide: int, letters: Alphabet) -> list[tuple[bool, str]]:
    return [
        (place == 0, text)
        for place, text in enumerate(letters.wrap(letters.text(note), max(columns_wide, 20)))
    ]
