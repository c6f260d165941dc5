"""Many runs in a table, newest first: when, of what, how they ended, and what failed."""

from collections.abc import Sequence
from datetime import datetime

from calseq.console.characters import Alphabet, alphabet
from calseq.console.line import Span, sheet
from calseq.console.statusview import word_of
from calseq.console.table import Column, table
from calseq.model.verdicts import RunVerdict
from calseq.record.aftermath import PowerState
from calseq.record.status import Damaged, Phase, Standing
from calseq.record.words import run_reason
from calseq.system.times import spoken

_COLUMNS = (
    Column("run", worth=9),
    Column("module", worth=5, least=6),
    Column("title", worth=6, least=8),
    Column("", worth=8),
    Column("verdict", worth=8),
    Column("time", worth=4, right=True),
    Column("what failed", worth=7, least=12),
)
_NOT_FAILED = {"passed", "kept", "left-out", "skipped"}


def runs_text(
    standings: Sequence[Standing | Damaged],
    now_s: float,
    width: int,
    *,
    color: bool,
    ascii: bool,  # noqa: A002
) -> str:
    """Lines of a list of runs, whose first column can be typed; `now_s` is the time of day, in POSIX seconds."""
    letters = alphabet(ascii=ascii)
    rows = [
        _damaged(each, letters) if isinstance(each, Damaged) else _row(each, now_s, letters)
        for each in standings
    ]
    return sheet(table(_COLUMNS, rows, width, letters), color=color)


def typable(name: str) -> str:
    """Give the beginning of a run's name that finds it again: its time."""
    return name[:15] if name[15:16] in ("-", "") and name[:8].isdigit() else name


def failed_steps(standing: Standing) -> list[str]:
    """Give the steps of a run that were tried and did not pass, each with how it ended."""
    steps = standing.record.steps
    return [f"{name} {verdict}" for name, verdict in steps.items() if verdict not in _NOT_FAILED]


def duration_s(standing: Standing, now_s: float) -> float | None:
    """Duration of a run, so far if it goes on, in seconds; None if it is not known."""
    if standing.phase is Phase.ENDED:
        return standing.record.duration_s
    if standing.phase is Phase.DIED:
        return None
    return max(now_s - datetime.fromisoformat(standing.record.started).timestamp(), 0.0)


def _row(standing: Standing, now_s: float, letters: Alphabet) -> tuple[Span, ...]:
    record = standing.record
    word, style = word_of(standing)
    took_s = duration_s(standing, now_s)
    return (
        Span(letters.text(typable(standing.name))),
        Span(letters.text(record.module)),
        Span(letters.text(record.title)),
        Span("SIMULATED" if record.simulated else "", "bold yellow"),
        Span(letters.text(word), style),
        Span("" if took_s is None else spoken(took_s)),
        *_failure(standing, letters),
    )


def _failure(standing: Standing, letters: Alphabet) -> tuple[Span]:
    if standing.power.state is PowerState.UNKNOWN:
        return (Span(letters.text(standing.power.words, 300), "bold red" if standing.safe is False else ""),)
    if standing.phase is Phase.DIED:
        return (Span(letters.text(standing.power.words, 300)),)
    if standing.phase is Phase.ELSEWHERE:
        return (Span(letters.text(f"on {standing.record.host}: not to be seen from here")),)
    if standing.phase is Phase.UNSEEN:
        return (Span("its processes are hidden from here"),)
    if standing.phase is not Phase.ENDED or standing.record.verdict == RunVerdict.PASSED:
        return (Span(""),)
    return (
        Span(
            letters.text(
                ", ".join(failed_steps(standing))
                or run_reason(standing.record.reason, standing.record.steps.values())
            )
        ),
    )


def _damaged(damaged: Damaged, letters: Alphabet) -> tuple[Span, ...]:
    name = Span(letters.text(damaged.folder.name))
    return (
        name,
        Span(""),
        Span(""),
        Span(""),
        Span("damaged", "bold yellow"),
        Span(""),
        Span(letters.text(damaged.reason)),
    )
