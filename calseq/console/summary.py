"""What stays on the screen after a run: how it ended, why, in which state the bench is, and where to look."""

from pathlib import Path
from shlex import quote

from calseq.console.characters import Alphabet, alphabet
from calseq.console.line import Line, Span, line, sheet, stacked
from calseq.console.table import Column, table
from calseq.console.wording import STANDINGS, STYLES, VERDICT_STYLES, rails_line, step_place
from calseq.model.plan import Plan, PowerMode
from calseq.model.rails import Role
from calseq.model.verdicts import NOT_CONTROLLED, NOT_READ, TRIES_ON, UNKNOWN_HARDWARE, WHAT_TO_DO, RunVerdict
from calseq.record.past import BAD, State
from calseq.record.view import RunView, StepView
from calseq.record.words import counted, ending_said, hv_box_words, run_reason, state_word
from calseq.system.times import spoken

_QUOTED_LINES = 6
_ROWS_PER_QUOTE = 2
_NOTES = 5
_LABEL = 9

_COLUMNS = (
    Column("", worth=9),
    Column("#", worth=7, right=True),
    Column("step", worth=8, least=8),
    Column("verdict", worth=9),
    Column("time", worth=5, right=True),
    Column("tries", worth=2, right=True),
    Column("why", worth=1, least=12, wraps=True),
)

_RESUMABLE = {RunVerdict.FAILED, RunVerdict.INTERRUPTED, RunVerdict.BROKEN}

_HEADLINES = {
    RunVerdict.PASSED: "PASSED",
    RunVerdict.FAILED: "FAILED",
    RunVerdict.INTERRUPTED: "INTERRUPTED",
    RunVerdict.UNSAFE: "UNSAFE",
    RunVerdict.BROKEN: "BROKEN OFF BY A BUG IN CALSEQ",
}


def summary(
    view: RunView,
    folder: Path,
    width: int,
    *,
    color: bool,
    ascii: bool,  # noqa: A002
    duration_s: float | None = None,
    instead: tuple[str, ...] = (),
) -> str:
    """Give the final summary: the reason first; last, where the eye is, the verdict, and above it what to do now.

    `duration_s` is how long the run took as its record has it, `instead` what to do where nothing could go on.
    """
    letters = alphabet(ascii=ascii)
    width = max(width, 1)
    blocks = (
        _opening(view, letters, width),
        table(_COLUMNS, [_row(each, view, letters) for each in view.steps], width, letters),
        [*_bias(view, letters, width), *_rails(view, letters, width), *_notes(view, letters, width)],
        _cause(view, letters, width),
        _places(view, folder, letters, width, instead),
        _alarm(view, letters, width),
        _verdict(view, letters, width, duration_s),
    )
    return sheet(stacked(blocks), color=color)


def _opening(view: RunView, letters: Alphabet, width: int) -> list[Line]:
    simulated = (Span(" SIMULATED ", "bold reverse yellow"), Span(" ")) if view.simulated else ()
    title = letters.dot.join(
        letters.text(text) for text in (view.plan.title, view.module, view.plan.bench) if text
    )
    word = view.plan.standing.word
    standing = (Span(f" {word}", STANDINGS[word]),) if word else ()
    why = [line(text) for text in letters.wrap(letters.text(_reason(view)), width)]
    return [letters.cut_line((*simulated, Span(title, "bold"), *standing), width), *why]


def _reason(view: RunView) -> str:
    if view.ended is None:
        return f"the run has no end: its record stops {spoken(view.t)} after its start"
    if view.ended.reason:
        return run_reason(view.ended.reason, (each.state.value for each in view.steps))
    states = [each.state for each in view.steps]
    kept, left_out = states.count(State.KEPT), states.count(State.LEFT_OUT)
    passed = f"{states.count(State.PASSED) + kept} of {counted(len(states), 'step')} passed"
    more = (
        f"{kept} of them before the run was resumed" * bool(kept),
        f"{left_out} left out" * bool(left_out),
    )
    return ", ".join((passed, *filter(None, more)))


def _alarm(view: RunView, letters: Alphabet, width: int) -> list[Line]:
    """Alarm and instructions where HV is not known to be off."""
    if not unsafe(view):
        return []
    todo = [
        line(f"{'  ' if place else f'{number}.'} {text}")
        for number, each in enumerate(WHAT_TO_DO, 1)
        for place, text in enumerate(letters.wrap(each, width - 3))
    ]
    alarm = [line(Span(text, "bold reverse red")) for text in letters.wrap(UNKNOWN_HARDWARE, width)]
    meanwhile = letters.wrap(TRIES_ON, width) if view.ended and view.plan.mode is PowerMode.ICICLE else []
    trying = [line(Span(text, "")) for text in meanwhile]
    return [*alarm, *todo, *supplies_lines(view.plan, letters, width), *trying]


def supplies_lines(plan: Plan, letters: Alphabet, width: int) -> list[Line]:
    """Names and resources of the supplies to look at, HV first."""
    return [
        each
        for role in (Role.HV, Role.LV)
        for instrument in plan.instruments
        if role in instrument.roles
        for each in labelled(
            role.value.upper(),
            letters.text(f"{instrument.name}, {instrument.instrument_class} at {instrument.resource}", 300),
            letters,
            width,
        )
    ]


def unsafe(view: RunView) -> bool:
    """Whether HV and LV off were not confirmed though calseq had switched something."""
    if view.ended and view.ended.verdict is RunVerdict.UNSAFE:
        return True
    if not view.plan.controls_rails:
        return False
    if view.safe_end:
        return not view.safe_end.confirmed
    return view.rails.touched


def _row(each: StepView, view: RunView, letters: Alphabet) -> tuple[Span, ...]:
    style = STYLES[each.state]
    return (
        Span(letters.glyphs[each.state], style),
        Span(str(each.step.number), "dim"),
        Span(letters.text(each.step.name)),
        Span(state_word(each.state, over=view.ended is not None), style),
        Span("" if each.duration_s is None else spoken(each.duration_s)),
        Span(str(each.attempt) if each.attempt > 1 else ""),
        Span(letters.text(each.reason), "dim"),
    )


def labelled(label: str, text: str, letters: Alphabet, width: int, style: str = "") -> list[Line]:
    """Give a text in as many lines as it takes, with its label in the margin."""
    wrapped = letters.wrap(text, max(width - _LABEL, 12))
    return [
        letters.cut_line(
            line(Span((label if place == 0 else "").ljust(_LABEL), "dim"), Span(part, style)), width
        )
        for place, part in enumerate(wrapped)
    ]


def _bias(view: RunView, letters: Alphabet, width: int) -> list[Line]:
    return [
        each
        for decision in view.decisions
        for each in labelled(
            "bias",
            f"{'allowed' if decision.allowed else 'not allowed'}: {letters.text(decision.reason)}",
            letters,
            width,
            "" if decision.allowed else "yellow",
        )
    ]


def _rails(view: RunView, letters: Alphabet, width: int) -> list[Line]:
    text, style = _rails_words(view, letters)
    box = letters.text(hv_box_words(view.plan), 400)
    return [
        *labelled("power", text, letters, width, style),
        *(labelled("hv box", box, letters, width) if box else []),
    ]


def _rails_words(view: RunView, letters: Alphabet) -> tuple[str, str]:
    if unsafe(view):
        if not view.plan.controls_rails:
            return f"{UNKNOWN_HARDWARE}: {NOT_READ}", "bold red"
        read = ", ".join(span.text for span in rails_line(view, letters) if span.text.strip())
        return f"{UNKNOWN_HARDWARE} (last read: {read})", "bold red"
    if not view.plan.controls_rails:
        return f"{NOT_CONTROLLED}; {NOT_READ}", "yellow"
    if view.safe_end:
        return "HV off, LV off: confirmed", "green"
    return "nothing was switched", ""


def _notes(view: RunView, letters: Alphabet, width: int) -> list[Line]:
    # the bias decisions have lines of their own, and so has a safe end that failed
    decided = {f"{'bias allowed' if each.allowed else 'no bias'}: {each.reason}" for each in view.decisions}
    notes = [note for note in view.notes if note.text not in decided]
    latest = sorted(notes, key=lambda note: (note.grave, note.t))[-_NOTES:]
    return [
        each
        for note in sorted(latest, key=lambda note: note.t)
        for each in labelled("note", letters.text(note.text), letters, width, "red" if note.grave else "")
    ]


def _cause(view: RunView, letters: Alphabet, width: int) -> list[Line]:
    failed = view.first_failure
    if failed is None:
        return []
    how = letters.text(ending_said(failed.state.value, failed.reason))
    heading = f"{step_place(failed, view, letters)} {how}"
    return [
        *labelled("cause", heading, letters, width, "bold"),
        *(each for text in failed.last_lines[-_QUOTED_LINES:] for each in _quoted(text, letters, width)),
    ]


def _quoted(text: str, letters: Alphabet, width: int) -> list[Line]:
    room = max(width - _LABEL - len(letters.quote), 12)
    shown = letters.wrap(letters.text(text), room)
    if len(shown) > _ROWS_PER_QUOTE:
        shown[_ROWS_PER_QUOTE - 1] = letters.cut(shown[_ROWS_PER_QUOTE - 1] + " " * room, room)
    quote = Span(" " * _LABEL + letters.quote, "dim")
    return [letters.cut_line(line(quote, part), width) for part in shown[:_ROWS_PER_QUOTE] if part]


def _places(
    view: RunView, folder: Path, letters: Alphabet, width: int, instead: tuple[str, ...]
) -> list[Line]:
    # never cut: they are there to be copied
    failed = view.first_failure or view.running
    log = [("log", folder / failed.log)] if failed and failed.log else []
    lines = [
        line(Span(label.ljust(_LABEL), "dim"), letters.text(str(path), 4096))
        for label, path in [*log, ("run", folder)]
    ]
    if not (view.ended and view.ended.verdict in _RESUMABLE):
        return lines
    if instead:
        why, *commands = instead
        lines += labelled("next", letters.text(why, 1000), letters, width)
        lines += [line(" " * _LABEL, letters.text(each, 4096)) for each in commands]
    else:
        where = str(folder) if len(folder.parts) > 1 else f"./{folder}"
        command = f"calseq execute --resume {quote(where)}"
        lines.append(line(Span("go on".ljust(_LABEL), "dim"), letters.text(command, 4096)))
    return lines


def _verdict(view: RunView, letters: Alphabet, width: int, duration_s: float | None) -> list[Line]:
    if view.ended is None:
        return [line(Span("NOT ENDED", "bold red"))]
    counts = _counts(view)
    in_part = view.ended.verdict is RunVerdict.PASSED and any(each.step.left_out for each in view.steps)
    word = _HEADLINES[view.ended.verdict] + ", IN PART" * in_part
    verdict = Span(word, VERDICT_STYLES[view.ended.verdict])
    simulated = " (SIMULATED)" if view.simulated else ""
    took_s = view.ended.duration_s if duration_s is None else duration_s
    rest = f"{simulated} after {spoken(took_s)}: {counts}, exit code {view.ended.exit_code}"
    if len(verdict.text) + len(rest) <= width:
        return [line(verdict, rest)]
    return [
        line(verdict, simulated),
        *(line(text) for text in letters.wrap(rest.removeprefix(simulated), width)),
    ]


def _counts(view: RunView) -> str:
    states = [each.state for each in view.steps]
    counts = {
        "passed": states.count(State.PASSED),
        "kept": states.count(State.KEPT),
        "not passed": sum(state in BAD for state in states),
        "skipped": states.count(State.SKIPPED),
        "left out": states.count(State.LEFT_OUT),
        "not run": states.count(State.WAITING),
    }
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "no steps"
