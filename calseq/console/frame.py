"""One picture of a run, made to fit a terminal of any size: lines, and nothing that moves."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from calseq.console.characters import Alphabet, pad
from calseq.console.forecast import bar, is_long, lateness, longest_silence_s, pace, remaining, silence
from calseq.console.line import Line, Span, line, line_width
from calseq.console.table import Column, table
from calseq.console.wording import (
    MOVES,
    STANDINGS,
    STYLES,
    VERDICT_STYLES,
    attempts,
    banner,
    rails_line,
    stop_hints,
)
from calseq.problems.plaintext import width
from calseq.record.log_tail import Tail
from calseq.record.past import State
from calseq.record.view import RunView, StepView
from calseq.record.words import power_words, usual
from calseq.system.times import clocked, rounded, spoken

_ROUNDS = (
    ("steps", 1), ("hint", 1), ("rails", 1), ("header", 1), ("child", 1), ("log", 1), ("steps", 3), ("notes", 1),
    ("log", 3), ("gap above steps", 1), ("gap above rails", 1), ("gap above child", 1), ("gap above hint", 1),
    ("steps", 12), ("log", 5), ("notes", 3), ("steps", 100_000), ("log", 100_000),
)  # fmt: skip
"""Who gets lines first when there are few: in each round, so many lines for that block."""

_NARROW = 70

_COLUMNS = (
    Column("", worth=9),
    Column("", worth=8, right=True),
    Column("", worth=6, least=6),
    Column("", worth=4),
    Column("", worth=7, least=5),
    Column("", worth=1, least=4),
)


class Moment(Struct, frozen=True):
    """What a picture is taken of: the view, the run's clock and the end of the running step's log.

    `watched`: it is drawn for somebody who only watches, whose Ctrl-C ends nothing.
    """

    view: RunView
    now_t: float
    tail: Tail
    letters: Alphabet
    watched: bool = False


def frame(moment: Moment, columns: int, rows: int) -> list[Line]:
    """Give at most `rows` lines of at most `columns`; the step to look at is among them at any size."""
    wanted = {
        "header": 1,
        "gap above steps": 1,
        "steps": max(len(moment.view.steps), 1),
        "gap above rails": 1,
        "rails": 1,
        "notes": len(moment.view.notes),
        "gap above child": 1,
        "child": bool(moment.view.running or _meanwhile(moment.view, moment.letters)),
        "log": len(moment.tail.lines),
        "gap above hint": 1,
        "hint": 1,
    }
    shares = allot(rows, wanted)
    lines = [drawn for name in wanted for drawn in _block(name, moment, columns, shares[name])]
    # what Ctrl-C does always stands in the last line
    lines[-1:-1] = [()] * (rows - len(lines))
    return [moment.letters.cut_line(each, columns) for each in lines]


def allot(rows: int, wanted: Mapping[str, int]) -> dict[str, int]:
    """Rows of each block, shared out round by round; never more than it wants."""
    shares = dict.fromkeys(wanted, 0)
    for name, upto in _ROUNDS:
        grant = min(upto, wanted[name]) - shares[name]
        granted = max(min(grant, rows), 0)
        shares[name] += granted
        rows -= granted
    return shares


def _block(name: str, moment: Moment, columns: int, rows: int) -> list[Line]:
    if rows < 1:
        return []
    return _BLOCKS.get(name, _gap)(moment, columns, rows)


def _gap(moment: Moment, columns: int, rows: int) -> list[Line]:  # noqa: ARG001 - every block is asked alike
    return [()] * rows


def _header(moment: Moment, columns: int, rows: int) -> list[Line]:  # noqa: ARG001
    view, letters = moment.view, moment.letters
    foreign = (view.plan.title, view.module, view.plan.bench)
    names = [letters.text(text) for text in foreign if text]
    rest = letters.dot + letters.dot.join([*names[1:], power_words(view.plan)])
    word = view.plan.standing.word
    standing = [Span(f" {word}", STANDINGS[word])] if word else []
    spans = [Span(names[0] if names else "calseq", "bold"), *standing, Span(rest)]
    if view.simulated:
        spans[:0] = [Span(" SIMULATED ", "bold reverse yellow"), Span(" ")]
    total = _total(moment)
    room = columns - width(total) - 2
    if columns < _NARROW:
        return [tuple(spans)]
    left = letters.cut_line(tuple(spans), room)
    return [(*left, Span(" " * (columns - line_width(left) - width(total))), Span(total, "dim"))]


def _total(moment: Moment) -> str:
    view = moment.view
    elapsed = clocked(view.ended.duration_s if view.ended else moment.now_t)
    left = remaining(view, moment.now_t).words
    return f"{elapsed}, {left} left" if left else elapsed


def _steps(moment: Moment, columns: int, rows: int) -> list[Line]:
    steps = moment.view.steps
    if not steps:
        return [line("no steps")]
    focus = moment.view.focus
    place = next((i for i, each in enumerate(steps) if each is focus), 0)
    first, last = window(len(steps), place, rows)
    lines = table(
        _COLUMNS,
        [_row(each, moment, columns) for each in steps[first:last]],
        columns,
        moment.letters,
        head=False,
    )
    return _with_more(lines, first, len(steps) - last, moment) if rows >= 4 else lines


def all_steps(moment: Moment, columns: int) -> list[Line]:
    """Give every step in a line of its own, as the picture has it."""
    rows = [_row(each, moment, columns) for each in moment.view.steps]
    return table(_COLUMNS, rows, columns, moment.letters, head=False)


def window(count: int, place: int, rows: int) -> tuple[int, int]:
    """Give which of `count` rows to show so that `place` is among them, past a third of what is seen."""
    first = max(min(place - rows // 3, count - rows), 0)
    return first, min(first + rows, count)


def _with_more(lines: list[Line], above: int, below: int, moment: Moment) -> list[Line]:
    mark = moment.letters.ellipsis
    if above:
        lines[0] = line(Span(f"{mark} {above + 1} more above", "dim"))
    if below:
        lines[-1] = line(Span(f"{mark} {below + 1} more below", "dim"))
    return lines


def _row(each: StepView, moment: Moment, columns: int) -> tuple[Span, ...]:
    style, letters = STYLES[each.state], moment.letters
    return (
        Span(letters.glyphs[each.state], style),
        Span(str(each.step.number), "dim"),
        Span(letters.text(each.step.name), "bold" if each.state is State.RUNNING else ""),
        Span(each.state.value, style),
        Span(_pace(each, moment, columns), "yellow" if _is_slow(each, moment) else ""),
        Span(
            _remark(each, moment) if columns >= _NARROW else "", "" if each.state is State.RUNNING else "dim"
        ),
    )


def _pace(each: StepView, moment: Moment, columns: int) -> str:
    if each.state is State.RUNNING:
        if columns < _NARROW:
            return pace(each, moment.now_t, brief=True)
        return f"{bar(each, moment.now_t, moment.letters)} {pace(each, moment.now_t)}".strip()
    if each.duration_s is not None:
        return spoken(each.duration_s)
    return usual(each.expected) if each.state is State.WAITING else ""


def _is_slow(each: StepView, moment: Moment) -> bool:
    return each.state is State.RUNNING and lateness(each, moment.now_t) == "SLOW"


def _remark(each: StepView, moment: Moment) -> str:
    if each.state is State.RUNNING:
        return banner(each, moment.letters)
    return moment.letters.text(each.reason)


def _rails(moment: Moment, columns: int, rows: int) -> list[Line]:  # noqa: ARG001
    shown = rails_line(moment.view, moment.letters)
    if line_width(shown) <= columns:
        return [shown]
    return [rails_line(moment.view, moment.letters, brief=True)]


def _notes(moment: Moment, columns: int, rows: int) -> list[Line]:  # noqa: ARG001
    # a grave note never makes way for a later one that is not
    latest = sorted(enumerate(moment.view.notes), key=lambda note: (note[1].grave, note[0]))[-rows:]
    return [
        line(
            Span("! " if note.grave else f"{moment.letters.dash} ", "bold red" if note.grave else "dim"),
            Span(moment.letters.text(note.text), "red" if note.grave else ""),
        )
        for _, note in sorted(latest, key=lambda note: note[0])
    ]


def _child(moment: Moment, columns: int, rows: int) -> list[Line]:  # noqa: ARG001
    running = moment.view.running
    if running is None:
        return [line(Span(_meanwhile(moment.view, moment.letters), "dim"))]
    tail = moment.tail
    quiet = silence(tail.silent_s, longest_silence_s(running), empty=not tail.size_bytes)
    spans = [Span(text, style) for text, style in _about_child(running, moment, columns, quiet) if text]
    joined = [piece for span in spans for piece in (Span(moment.letters.dot, "dim"), span)]
    return [tuple(joined[1:])]


def _about_child(running: StepView, moment: Moment, columns: int, quiet: str) -> list[tuple[str, str]]:
    long_silence = is_long(moment.tail.silent_s, longest_silence_s(running))
    said = (quiet, "bold yellow" if long_silence else "dim")
    part = banner(running, moment.letters)
    if columns < _NARROW:
        return [said, (part, ""), (_tries(running), "dim")]
    heading = f"log of step {running.step.number} {moment.letters.text(running.step.name)}"
    pid = f"pid {running.pid}" if running.pid else "starting"
    return [
        (heading, "dim"),
        (_tries(running), "dim"),
        (_deadline(running, moment.now_t), "yellow"),
        (pid, "dim"),
        said,
    ]


def _tries(running: StepView) -> str:
    return attempts(running) if running.step.retries or running.attempt > 1 else ""


def _deadline(running: StepView, now_t: float) -> str:
    """Say when the step times out, once it is late and that is near."""
    timeout_s = running.step.timeout_s
    if not timeout_s or running.signalled:
        return ""
    left_s = timeout_s - running.elapsed_s(now_t)
    return f"times out in {rounded(left_s)}" if 0 < left_s < timeout_s / 5 else ""


def _meanwhile(view: RunView, letters: Alphabet) -> str:
    if view.ended:
        return letters.text(view.ended.reason)
    step = view.step(view.preparing)
    if step and view.rails.moving:
        return f"before step {step.step.number} {letters.text(step.step.name)}: {MOVES[view.rails.moving]}"
    return "" if view.steps and view.t else "starting"


def _log(moment: Moment, columns: int, rows: int) -> list[Line]:  # noqa: ARG001
    letters = moment.letters
    return [line(Span(letters.quote, "dim"), letters.text(text)) for text in moment.tail.lines[-rows:]]


def _hint(moment: Moment, columns: int, rows: int) -> list[Line]:  # noqa: ARG001
    hints = stop_hints(moment.view, moment.now_t, watched=moment.watched)
    hints = tuple(moment.letters.text(hint) for hint in hints)
    shown = next((hint for hint in hints if width(hint) <= columns), hints[-1])
    return [line(Span(pad(shown, columns), _hint_style(moment.view)))]


def _hint_style(view: RunView) -> str:
    if view.ended:
        return VERDICT_STYLES[view.ended.verdict]
    return "bold yellow" if view.stop or view.making_safe else "dim"


_BLOCKS: dict[str, Callable[[Moment, int, int], list[Line]]] = {
    "header": _header,
    "steps": _steps,
    "rails": _rails,
    "notes": _notes,
    "child": _child,
    "log": _log,
    "hint": _hint,
}
