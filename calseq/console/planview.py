"""A plan on paper: what will run, in which state of the rails, with what in its hands, and for how long."""

from collections.abc import Iterator
from pathlib import PurePath

from msgspec import Struct

from calseq.console.characters import Alphabet, alphabet, gathered
from calseq.console.forecast import remaining
from calseq.console.line import Line, Span, line, sheet, stacked, text_of
from calseq.console.planscript import quoted
from calseq.console.table import Column, table
from calseq.console.wording import MOVES, bias_target, volts
from calseq.model.expectations import Expectation
from calseq.model.plan import DIRECTORY, OnFailure, Plan, Step
from calseq.model.rails import BOTH_OFF, SUPPLIES, Hv, Lv, Move, Rails, Reading, Readings, Role, moves
from calseq.record.view import RunView, begin, expecting
from calseq.record.words import counted, hv_box_words, power_words, usual
from calseq.system.times import rounded

_COLUMNS = (
    Column("#", worth=8, right=True),
    Column("step", worth=9, least=8),
    Column("calibration", worth=4, least=8),
    Column("given", worth=5),
    Column("usual", worth=6, right=True),
    Column("timeout", worth=3, right=True),
    Column("on fail", worth=2, least=6),
)
_ORIGIN = Column("from", worth=5)
_ORIGIN_STYLES = {"base": "dim", "changed": "yellow", "inserted": "cyan"}

_INSTRUMENT_COLUMNS = (
    Column("role", worth=8),
    Column("name", worth=9, least=4),
    Column("class", worth=5, least=6),
    Column("resource", worth=6, least=8),
    Column("", worth=10),
)

_OUTPUT_COLUMNS = (Column("#", worth=8, right=True), Column("files", worth=9, least=8))


class Marks(Struct, frozen=True):
    """The characters of the lanes: a rail that is off, on, on if a decision allows it, or a child's."""

    off: str
    on: str
    perhaps: str
    driven: str
    rises: str
    falls: str


_UNICODE = Marks("│", "┃", "╏", "◇", "┏", "┗")
_ASCII = Marks(".", "#", "?", "*", "/", "\\")


class Lane(Struct, frozen=True):
    """Both rails beside one row: marks, and what is to be said of a move."""

    hv: str
    lv: str
    step: Step | None = None
    move: str = ""


def plan_text(
    plan: Plan,
    width: int,
    *,
    verbose: bool,
    color: bool,
    ascii: bool,  # noqa: A002
    expected: tuple[Expectation, ...] | None = None,
) -> str:
    """Give a plan as an operator reads it before starting it; `verbose` adds every command.

    `expected` is how long its steps should take; without, it is what the catalogue says.
    """
    view = begin(plan) if expected is None else expecting(begin(plan), expected)
    letters = alphabet(ascii=ascii)
    width = max(width, 1)
    blocks = (
        _header(view, letters, width),
        _standing(view.plan, letters, width),
        _timing(view, letters, width),
        _instruments(plan, letters, width),
        _outputs(plan, letters, width),
        _warnings(plan, letters, width),
    )
    cut = [[letters.cut_line(each, width) for each in block] for block in blocks]
    # commands are not cut: what is shown can be copied
    commands = _commands(plan, letters) if verbose else []
    return sheet(stacked([*cut, commands]), color=color)


def lanes(plan: Plan, *, ascii: bool = False) -> Iterator[Lane]:  # noqa: A002
    """Give the rails row by row: the moves before each step, the step, and the moves back to safety."""
    marks = _ASCII if ascii else _UNICODE
    present, sure = BOTH_OFF, True
    for step in plan.steps:
        if step.left_out:
            yield Lane(*_levels(present, marks, sure=sure), step)
            continue
        yield from _moving(plan, marks, present, step.before, sure=sure)
        yield _beside(step, marks, sure=sure)
        held = SUPPLIES.intersection(step.given)
        left = BOTH_OFF if held else step.before
        if held and step.after.hv is Hv.BIAS:
            # what a curve finds decides: from here on a bias is a maybe
            sure = False
        yield from _moving(plan, marks, left, step.after, sure=sure)
        present = step.after
    yield from _moving(plan, marks, present, BOTH_OFF, sure=sure)


def _moving(plan: Plan, marks: Marks, present: Rails, wanted: Rails, *, sure: bool) -> Iterator[Lane]:
    for move in moves(_as_read(present), wanted):
        hv, lv = _levels(present, marks, sure=sure)
        present = _moved(present, move)
        on = marks.rises if move in {Move.HV_BIAS, Move.LV_ON} else marks.falls
        yield Lane(
            on if move in {Move.HV_BIAS, Move.HV_OFF} else hv,
            on if move in {Move.LV_ON, Move.LV_OFF} else lv,
            move=_move_words(plan, move, sure=sure),
        )


def _move_words(plan: Plan, move: Move, *, sure: bool) -> str:
    if move is not Move.HV_BIAS:
        return MOVES[move]
    target = bias_target(plan)
    return f"HV to {target}" if sure else f"HV to {target}, bias? only if the IV curve allows it"


def _moved(rails: Rails, move: Move) -> Rails:
    match move:
        case Move.HV_OFF:
            return Rails(rails.lv, Hv.OFF)
        case Move.HV_BIAS:
            return Rails(Lv.ON, Hv.BIAS)
        case Move.LV_ON:
            return Rails(Lv.ON, rails.hv)
        case Move.LV_OFF:
            return Rails(Lv.OFF, Hv.OFF)


def _as_read(rails: Rails) -> Readings:
    return Readings(Reading(rails.lv is Lv.ON), Reading(rails.hv is Hv.BIAS))


def _levels(rails: Rails, marks: Marks, *, sure: bool) -> tuple[str, str]:
    biased = marks.on if sure else marks.perhaps
    return biased if rails.hv is Hv.BIAS else marks.off, marks.on if rails.lv is Lv.ON else marks.off


def _beside(step: Step, marks: Marks, *, sure: bool) -> Lane:
    hv, lv = _levels(step.before, marks, sure=sure)
    return Lane(
        marks.driven if Role.HV in step.given else hv, marks.driven if Role.LV in step.given else lv, step
    )


def _header(view: RunView, letters: Alphabet, width: int) -> list[Line]:
    plan = view.plan
    simulated = [Span(" SIMULATED ", "bold reverse yellow"), Span(" ")] if plan.simulated else []
    modules = ", ".join(letters.text(each.name or f"channel {each.channel}") for each in plan.modules)
    base = next((PurePath(file.path).name for file in plan.inputs if file.kind == "base"), "")
    facts = (
        f"variant of {letters.text(base)}" if base else "",
        f"bench {letters.text(plan.bench)}",
        power_words(plan) + _speed(plan),
        f"module {modules}" if modules else "",
        _official(plan, letters),
        f"{counted(len(plan.steps), 'step')}{_less(plan)}",
        _total(view),
    )
    return [
        letters.cut_line((*simulated, Span(letters.text(plan.title), "bold")), width),
        *(
            line(Span(text, "dim"))
            for text in letters.wrap(letters.text(" ".join(plan.description.split())), width)
            if text
        ),
        *(line(text) for text in gathered(filter(None, facts), letters.dot, width)),
    ]


def _official(plan: Plan, letters: Alphabet) -> str:
    name = letters.text(plan.standing.official)
    return f"official: {name}" if name else plan.standing.word


def _standing(plan: Plan, letters: Alphabet, width: int) -> list[Line]:
    """Say in what a sequence is not the official one that it goes by the name of."""
    if not plan.standing.like:
        return []
    texts = [f"not the official '{letters.text(plan.standing.like)}':"]
    texts += [f"- {letters.text(each)}" for each in plan.standing.differences]
    return [line(Span(part, "yellow")) for text in texts for part in letters.wrap(text, width)]


def _speed(plan: Plan) -> str:
    speed = plan.simulation.speed if plan.simulation else 1.0
    return f", {speed:g} times faster than life" if speed != 1.0 else ""


def _less(plan: Plan) -> str:
    left_out = sum(bool(step.left_out) for step in plan.steps)
    return f", {left_out} left out" if left_out else ""


def _total(view: RunView) -> str:
    total = remaining(view, 0.0).words
    unknown = sum(each.expected is None for each in view.steps if not each.step.left_out)
    partly = f", not counting {unknown} of unknown length" if unknown else ""
    return f"{total} in total{partly}" if total else ""


def _timing(view: RunView, letters: Alphabet, width: int) -> list[Line]:
    plan = view.plan
    if not plan.steps:
        return [line("no steps")]
    if not plan.controls_rails:
        note = "HV, LV: not controlled, dirigent switches the supplies itself"
        noted = [line(Span(text, "yellow")) for text in letters.wrap(note, width)]
        return [*noted, *_listed(view, letters, width), *_source(view, letters, width)]
    heading, *rows = _listed(view, letters, max(width - 7, 1))
    lines = [_beside_lanes("HV", "LV", heading, "dim")]
    steps = iter(rows)
    for lane in lanes(plan, ascii=letters.ascii):
        said: Line = next(steps) if lane.step else line(Span(lane.move, "cyan"))
        lines.append(_beside_lanes(lane.hv, lane.lv, said, "bold"))
    drawn = [letters.cut_line(each, width) for each in lines]
    return [*drawn, *_legend(letters, width), *_source(view, letters, width)]


def _source(view: RunView, letters: Alphabet, width: int) -> list[Line]:
    """Say where the expected times come from, as far as they do not say so themselves."""
    samples = [each.expected.samples for each in view.steps if each.expected and each.expected.is_measured]
    if not samples:
        return []
    few, many = min(samples), max(samples)
    runs = f"{few} to {many}" if few < many else str(many)
    said = f"~ median of the latest {runs} runs in which the same step passed here"
    return [letters.cut_line(line(Span(said, "dim")), width)]


def _listed(view: RunView, letters: Alphabet, width: int) -> list[Line]:
    """Give the table of the steps; of one that is left out the reason takes the place of all that it would do."""
    heading, *rows = table(_columns(view.plan), _rows(view, letters), width, letters)
    shown = [
        letters.cut_line(line(Span(f"{text_of(row).rstrip()}  {_reason(step, letters)}", "dim")), width)
        if step.left_out
        else row
        for step, row in zip(view.plan.steps, rows, strict=True)
    ]
    return [heading, *shown]


def _reason(step: Step, letters: Alphabet) -> str:
    return f"left out: {letters.text(step.left_out)}"


def _beside_lanes(hv: str, lv: str, rest: Line, style: str) -> Line:
    return (Span(f"{hv:<2} {lv:<2}", style), Span("  "), *rest)


def _legend(letters: Alphabet, width: int) -> list[Line]:
    marks = _ASCII if letters.ascii else _UNICODE
    meanings = (
        f"{marks.off} off",
        f"{marks.on} on",
        f"{marks.perhaps} bias if the IV curve allows it",
        f"{marks.driven} switched by the step itself",
    )
    return [letters.cut_line(line(Span(text, "dim")), width) for text in gathered(meanings, "   ", width)]


def _columns(plan: Plan) -> tuple[Column, ...]:
    return (*_COLUMNS, _ORIGIN) if _is_variant(plan) else _COLUMNS


def _is_variant(plan: Plan) -> bool:
    return any(step.origin for step in plan.steps)


def _rows(view: RunView, letters: Alphabet) -> list[tuple[Span, ...]]:
    return [
        (Span(str(step.number)), Span(letters.text(step.name)), *[Span("")] * (5 + bool(step.origin)))
        if step.left_out
        else (
            Span(str(step.number), "dim"),
            Span(letters.text(step.name), "bold"),
            Span(letters.text(step.calibration) if step.calibration != step.name else ""),
            Span(" ".join(step.given) or "nothing", "" if step.given else "dim"),
            Span(usual(each.expected, "") or "?"),
            Span(rounded(step.timeout_s) if step.timeout_s else "none"),
            Span(_policy(step)),
            *([Span(step.origin, _ORIGIN_STYLES[step.origin])] if step.origin else ()),
        )
        for each in view.steps
        for step in (each.step,)
    ]


def _policy(step: Step) -> str:
    again = f"{step.retries} retr{'y' if step.retries == 1 else 'ies'}" if step.retries else ""
    then = "go on" if step.on_failure is OnFailure.CONTINUE else ""
    return ", then ".join(part for part in (again, then) if part)


def _instruments(plan: Plan, letters: Alphabet, width: int) -> list[Line]:
    rows = [
        (
            Span(" ".join(each.roles)),
            Span(letters.text(each.name)),
            Span(letters.text(each.instrument_class)),
            Span(letters.text(each.resource)),
            Span("SIM" if each.sim else "", "bold reverse yellow"),
        )
        for each in plan.instruments
    ]
    if not rows:
        return []
    reaches = "at the supply, through the HV box to" if plan.hv_box else "reaches"
    biases = [
        f"bias {letters.text(each.instrument)}: {volts(each.target_v)}, {reaches} module "
        + ", ".join(letters.text(module.name or f"channel {module.channel}") for module in each.modules)
        for each in plan.supplies
    ]
    if biases and plan.bias.witnesses == "breakdowns":
        biases.append(
            "bias: breakdowns.json alone decides, no curve is read for it (bias: {witnesses: breakdowns})"
        )
    heading = line(Span("instruments", "bold"))
    wrapped = [line(text) for bias in biases for text in letters.wrap(bias, width)]
    box = letters.wrap(letters.text(hv_box_words(plan), 400), width) if plan.hv_box else []
    wrapped += [line(Span(text, "yellow")) for text in box]
    return [heading, *table(_INSTRUMENT_COLUMNS, rows, width, letters, head=False), *wrapped]


def _outputs(plan: Plan, letters: Alphabet, width: int) -> list[Line]:
    rows = [
        (Span(str(step.number), "dim"), Span(_files(step, letters)))
        for step in plan.steps
        if step.outputs and not step.left_out
    ]
    if not rows:
        return []
    heading = line(Span("each step must leave", "bold"))
    return [letters.cut_line(heading, width), *table(_OUTPUT_COLUMNS, rows, width, letters, head=False)]


def _files(step: Step, letters: Alphabet) -> str:
    return ", ".join(
        letters.text(each.pattern) + (f" (at least {each.at_least})" if each.at_least > 1 else "")
        for each in step.outputs
    )


def _warnings(plan: Plan, letters: Alphabet, width: int) -> list[Line]:
    return [
        line(Span(text, "yellow"))
        for warning in plan.warnings
        for text in letters.wrap(f"warning: {letters.text(warning)}", width)
    ]


def _commands(plan: Plan, letters: Alphabet) -> list[Line]:
    lines = [line(Span("commands", "bold"), Span(f" ({DIRECTORY} is named by the run)", "dim"))]
    for step in (step for step in plan.steps if not step.left_out):
        lines.append(line(Span(f"{step.number} {letters.text(step.name)}", "bold")))
        lines += [line(f"  {letters.text(text, 1 << 20)}") for text in quoted(step, step.argv)]
    return lines
