"""What is shown before a run goes on: what it keeps, what it runs again, and what changed since."""

from datetime import datetime, tzinfo
from pathlib import Path

from calseq.console.characters import Alphabet, alphabet
from calseq.console.line import Line, Span, line, sheet, stacked
from calseq.console.table import Column, table
from calseq.console.wording import STYLES
from calseq.model.rails import StepType
from calseq.planning.resumption import Resumption, Row
from calseq.record.past import State
from calseq.system.times import spoken

_LABEL = 9
_COLUMNS = (
    Column("", worth=9),
    Column("#", worth=7, right=True),
    Column("step", worth=8, least=8),
    Column("", worth=9),
    Column("why", worth=6, least=12),
)


def resumption_text(
    resumption: Resumption,
    module: str,
    folder: Path,
    width: int,
    *,
    color: bool,
    ascii: bool,  # noqa: A002
    zone: tzinfo | None = None,
) -> str:
    """Give what a resumed run will do, as an operator reads it before agreeing to it."""
    letters = alphabet(ascii=ascii)
    width = max(width, 1)
    rows = [_row(row, letters, zone) for row in resumption.rows]
    blocks = (
        _opening(resumption, module, folder, letters, width),
        table(_COLUMNS, rows, width, letters),
        _facts(resumption, letters, width),
    )
    return sheet(stacked(blocks), color=color)


def _opening(resumption: Resumption, module: str, folder: Path, letters: Alphabet, width: int) -> list[Line]:
    plan = resumption.plan
    simulated = (Span(" SIMULATED ", "bold reverse yellow"), Span(" ")) if plan.simulated else ()
    title = letters.dot.join(letters.text(text) for text in (plan.title, module, plan.bench) if text)
    kept, again = len(resumption.kept), len(resumption.again)
    does = f"{kept} of {len(plan.steps)} steps are kept, {again} {'runs' if again == 1 else 'run'}"
    barred = len(resumption.barred)
    does += f", {barred} {'is' if barred == 1 else 'are'} skipped for lack of bias" if barred else ""
    return [
        letters.cut_line((*simulated, Span(f"resuming {title}", "bold")), width),
        # never cut: it is there to be copied
        line(letters.text(str(folder), 4096)),
        *(
            line(text)
            for text in letters.wrap(
                does if again or barred else f"{does}: only the safe end is missing", width
            )
        ),
    ]


def _row(row: Row, letters: Alphabet, zone: tzinfo | None) -> tuple[Span, ...]:
    word, state, why = _fate(row, zone)
    return (
        Span(letters.glyphs[state], STYLES[state]),
        Span(str(row.step.number), "dim"),
        Span(letters.text(row.step.name)),
        Span(word, STYLES[state]),
        Span(letters.text(why)),
    )


def _fate(row: Row, zone: tzinfo | None) -> tuple[str, State, str]:
    if row.step.left_out:
        return State.LEFT_OUT.value, State.LEFT_OUT, row.step.left_out
    if row.kept is None:
        return ("to skip", State.SKIPPED, row.barred) if row.barred else ("to run", State.WAITING, row.why)
    ended = datetime.fromtimestamp(row.kept.ended_at, zone).strftime("%Y-%m-%d %H:%M:%S")
    duration = spoken(row.kept.end.duration_s)
    return State.KEPT.value, State.KEPT, f"{row.kept.end.verdict} at {ended} in {duration}"


def _facts(resumption: Resumption, letters: Alphabet, width: int) -> list[Line]:
    facts = [("changed", text) for text in resumption.changed] or [("changed", "nothing since it ended")]
    facts += [("gone", f"{name} passed, and is no longer a step: its data stays") for name in resumption.gone]
    curves = [row.step.name for row in resumption.rows if row.why and row.step.type is StepType.IVCURVE]
    facts += [("bias", f"decided anew when {name} has run") for name in curves]
    for decided in resumption.decided:
        facts.append(("bias", f"{'allowed' if decided.allowed else 'not allowed'}: {decided.reason}"))
    return [
        letters.cut_line(line(Span((label if place == 0 else "").ljust(_LABEL), "dim"), part), width)
        for label, text in facts
        for place, part in enumerate(letters.wrap(letters.text(text), max(width - _LABEL, 12)))
    ]
