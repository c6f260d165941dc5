"""How a run stands, in one block: for whoever asks from another shell, or by a signal."""

from datetime import datetime, tzinfo

from msgspec import Struct
from msgspec.structs import replace

from calseq.console.characters import Alphabet, alphabet
from calseq.console.forecast import longest_silence_s, pace, silence
from calseq.console.frame import Moment, all_steps
from calseq.console.line import Line, Span, line, sheet, stacked, text_of
from calseq.console.next_steps import next_words
from calseq.console.summary import labelled, supplies_lines
from calseq.console.wording import ENDINGS, MOVES, attempts, banner, rails_line, step_place
from calseq.model.verdicts import RunVerdict
from calseq.record.aftermath import PowerState
from calseq.record.log_tail import LogTail, Tail
from calseq.record.status import UNSEEN, Phase, Standing
from calseq.record.view import RunView, StepView, look_closer, truthful
from calseq.record.words import run_reason
from calseq.system.times import moment as at_moment
from calseq.system.times import spoken

_NOTES = 3
_LABEL = 9

_STYLES = {
    Phase.RUNNING: "bold cyan",
    Phase.DYING: "bold yellow",
    Phase.ELSEWHERE: "bold cyan",
    Phase.UNSEEN: "bold cyan",
    Phase.DIED: "bold red",
}
VERDICTS = {
    RunVerdict.PASSED: "bold green",
    RunVerdict.INTERRUPTED: "bold yellow",
}


class Glance(Struct, frozen=True):
    """All that a look at a run showed: `now_t` is the run's clock, `damage` what of its record cannot be used."""

    standing: Standing
    view: RunView
    now_t: float
    tail: Tail = Tail()
    damage: tuple[str, ...] = ()


def glance_at(standing: Standing, view: RunView, now_t: float, damage: tuple[str, ...] = ()) -> Glance:
    """Look at the end of the log that matters, too: of the step that runs, else that failed, else the latest."""
    told = next((each for each in (view.running, view.first_failure, view.focus) if each and each.log), None)
    tail = LogTail(standing.folder / told.log).look(now_t, 1) if told else Tail()
    return Glance(look_closer(standing, view, damaged=bool(damage)), view, now_t, tail, damage)


def status_text(
    glance: Glance,
    width: int,
    *,
    color: bool,
    ascii: bool,  # noqa: A002
    zone: tzinfo | None = None,
) -> str:
    """Give how a run stands, the most important first; the last line says what to type next."""
    letters = alphabet(ascii=ascii)
    glance = replace(glance, view=truthful(glance.view, glance.standing.phase))
    blocks = (
        _alarm(glance, letters, width),
        _opening(glance, letters, width),
        all_steps(Moment(glance.view, glance.now_t, glance.tail, letters), width),
        [
            *_now(glance, letters, width),
            *_power(glance, letters, width, zone),
            *_log(glance, letters, width),
            *_notes(glance, letters, width),
        ],
        [*_record(glance, letters, width, zone), *_next(glance, letters)],
    )
    return sheet(stacked(blocks), color=color)


def word_of(standing: Standing) -> tuple[str, str]:
    """Give the one word for how a run stands, and its style."""
    if standing.phase is Phase.ENDED:
        verdict = standing.record.verdict or "ended"
        style = next((style for each, style in VERDICTS.items() if each.value == verdict), "bold red")
        return f"{verdict}, in part" if standing.record.in_part else verdict, style
    return standing.phase.value, _STYLES[standing.phase]


def _opening(glance: Glance, letters: Alphabet, width: int) -> list[Line]:
    view, standing = glance.view, glance.standing
    names = (view.plan.title, view.module, view.plan.bench)
    title = letters.dot.join(letters.text(name) for name in names if name)
    simulated = (Span(" SIMULATED ", "bold reverse yellow"), Span(" ")) if view.simulated else ()
    word, style = word_of(standing)
    why = _why(glance, letters)
    return [
        letters.cut_line((*simulated, Span(title, "bold")), width),
        letters.cut_line(line(Span(letters.text(word).upper(), style), _for_how_long(glance)), width),
        *(line(text) for text in letters.wrap(why, width) if text),
    ]


def _for_how_long(glance: Glance) -> str:
    record = glance.standing.record
    match glance.standing.phase:
        case Phase.ENDED:
            return f" after {spoken(record.duration_s)}"
        case Phase.DIED:
            return f" about {spoken(glance.view.t)} after its start"
        case Phase.ELSEWHERE | Phase.UNSEEN:
            return ""
        case _:
            return f" for {spoken(glance.now_t)}"


def _why(glance: Glance, letters: Alphabet) -> str:
    record = glance.standing.record
    match glance.standing.phase:
        case Phase.ENDED:
            return letters.text(run_reason(record.reason, record.steps.values()))
        case Phase.DIED:
            return "its record has no end, and no process of it is left"
        case Phase.DYING:
            return "calseq itself is gone, and somebody it left behind is still there"
        case Phase.UNSEEN:
            return UNSEEN
        case Phase.ELSEWHERE:
            host = letters.text(record.host)
            return f"its record says that it goes on, on {host}: whether it does cannot be seen from here"
        case _:
            stop = glance.view.stop
            return f"stop asked by {letters.text(stop.cause)}: its safe end comes" if stop else ""


def _now(glance: Glance, letters: Alphabet, width: int) -> list[Line]:
    if glance.standing.phase in (Phase.ENDED, Phase.DIED):
        return []
    return labelled("now", _doing(glance, letters), letters, width)


def _doing(glance: Glance, letters: Alphabet) -> str:
    view = glance.view
    if glance.standing.phase is Phase.DYING:
        ends = (
            f"its guard ends {step_place(view.running, view, letters)}" if view.running else "its guard works"
        )
        return f"{ends}; then HV off, then LV off" if view.plan.controls_rails else ends
    if view.ended:
        return f"the run has {ENDINGS[view.ended.verdict]}; its record is being closed"
    if view.making_safe:
        return "making safe: HV off, then LV off" if view.plan.controls_rails else "coming to its end"
    running, ahead = view.running, view.step(view.preparing)
    if running:
        tries = attempts(running) if running.step.retries or running.attempt > 1 else ""
        parts = (pace(running, glance.now_t), tries, banner(running, letters), _signalled(running))
        return ", ".join([step_place(running, view, letters), *(part for part in parts if part)])
    moving = f": {MOVES[view.rails.moving]}" if view.rails.moving else ""
    if ahead:
        return f"before {step_place(ahead, view, letters)}{moving}"
    return "between two steps" if view.at else "it has just begun"


def _signalled(running: StepView) -> str:
    return f"{running.signalled.signal} sent" if running.signalled else ""


def _power(glance: Glance, letters: Alphabet, width: int, zone: tzinfo | None) -> list[Line]:
    text, style = _power_words(glance, letters, zone)
    return labelled("power", text, letters, width, style)


def _power_words(glance: Glance, letters: Alphabet, zone: tzinfo | None) -> tuple[str, str]:
    power = glance.standing.power
    words = letters.text(power.words, 500)
    if power.state is PowerState.IN_USE and power.controlled:
        return _rails(glance, letters, zone), ""
    if power.state is PowerState.UNKNOWN:
        last = f" (last read: {_rails(glance, letters, zone)})" if power.controlled else ""
        return words + last, "bold red"
    return words, {PowerState.OFF: "green", PowerState.UNTOUCHED: ""}.get(power.state, "yellow")


def _alarm(glance: Glance, letters: Alphabet, width: int) -> list[Line]:
    """Give, before all else, that the supplies have to be looked at, and where they are."""
    if glance.standing.safe is not False:
        return []
    alarm = letters.wrap(letters.text(glance.standing.power.words, 500), width)
    return [
        *(line(Span(text, "bold reverse red")) for text in alarm),
        *supplies_lines(glance.view.plan, letters, width),
    ]


def _rails(glance: Glance, letters: Alphabet, zone: tzinfo | None) -> str:
    view = glance.view
    read = ", ".join(part.strip() for part in text_of(rails_line(view, letters)).split("   "))
    if view.rails.read_t is None or len(view.rails.driven) > 1:
        return read
    if glance.standing.phase in (Phase.RUNNING, Phase.DYING):
        return f"{read}, read {spoken(max(glance.now_t - view.rails.read_t, 0.0))} ago"
    return f"{read}, read at {at_moment(view.at - view.t + view.rails.read_t, zone)}"


def _log(glance: Glance, letters: Alphabet, width: int) -> list[Line]:
    if not glance.tail.lines:
        return []
    running = glance.view.running
    quiet = silence(glance.tail.silent_s, longest_silence_s(running), empty=False) if running else ""
    heading = [Span(f"({quiet}) ", "dim")] if quiet else []
    last = line(Span("log".ljust(_LABEL), "dim"), *heading, letters.text(glance.tail.lines[-1]))
    return [letters.cut_line(last, width)]


def _notes(glance: Glance, letters: Alphabet, width: int) -> list[Line]:
    notes = [(note.text, "red" if note.grave else "") for note in glance.view.notes[-_NOTES:]]
    notes += [(f"events.jsonl: {text}", "bold yellow") for text in glance.damage]
    return [
        each for text, style in notes for each in labelled("note", letters.text(text), letters, width, style)
    ]


def _record(glance: Glance, letters: Alphabet, width: int, zone: tzinfo | None) -> list[Line]:
    record = glance.standing.record
    since = at_moment(datetime.fromisoformat(record.started).timestamp(), zone)
    where = f"{record.operator} on {record.host}, since {since}"
    pid = (
        f", pid {record.pid}"
        if glance.standing.phase in (Phase.RUNNING, Phase.ELSEWHERE, Phase.UNSEEN)
        else ""
    )
    # never cut: it is there to be copied
    return [
        *labelled("by", letters.text(where + pid), letters, width),
        line(Span("run".ljust(_LABEL), "dim"), letters.text(str(glance.standing.folder), 4096)),
    ]


def _next(glance: Glance, letters: Alphabet) -> list[Line]:
    # never cut or broken: it is there to be copied
    texts = [letters.text(text, 4096) for text in next_words(glance.standing)]
    return [
        line(Span(("" if place else "next").ljust(_LABEL), "dim"), text) for place, text in enumerate(texts)
    ]
