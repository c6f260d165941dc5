"""Runs side by side: their steps and what their IV curves come to, each held against the first."""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from calseq.measurement.curves import IvCurve, NotUnderstood
from calseq.measurement.iv import STEP_V, TOLERANCE_V, Breakdown, IvFigures, Told, agree, breakdown_words

NOTABLE_RATIO = 0.2
"""A current that differs by more than 20 % from that of the first run is marked."""

_SAME = {"kept": "passed"}


class StepFact(Struct, frozen=True):
    """What became of a step: its state in a word, and how long its latest attempt took, if it began."""

    name: str
    state: str
    duration_s: float | None = None


class CurveFact(Struct, frozen=True):
    """An IV curve of a run: the step and the module that it is of, and what it comes to.

    `told` is what breakdowns.json says of the module; None if it says nothing that can be read.
    """

    step: str
    module: str
    curve: IvCurve
    figures: IvFigures
    told: Told | None = None


class RunFacts(Struct, frozen=True):
    """All of a run that is compared. `state` is its verdict, or how it stands; `over` tells that it has ended.

    `unread` are files that should be curves; `why_no_curve` says why there is none.
    """

    name: str
    started: str
    title: str
    module: str
    state: str
    over: bool
    simulated: bool
    duration_s: float | None
    steps: tuple[StepFact, ...]
    curves: tuple[CurveFact, ...] = ()
    unread: tuple[NotUnderstood, ...] = ()
    why_no_curve: str = ""
    damage: tuple[str, ...] = ()


class StepRow(Struct, frozen=True):
    """A step in every run, None where a run has no such step; `differs` tells where its state is not the first's."""

    name: str
    facts: tuple[StepFact | None, ...]
    differs: tuple[bool, ...]


class Value(Struct, frozen=True):
    """A current in amperes, None if not reached, beside the first run's: the ratio to it, and whether it is notable."""

    bias_v: float
    current_a: float | None
    ratio: float | None = None
    differs: bool = False


class CurveRow(Struct, frozen=True):
    """An IV curve of run number `run`, from 1, and its figures beside those of the first run that has such a curve."""

    run: int
    fact: CurveFact
    at: tuple[Value, ...]
    working: Value | None
    breakdown: Breakdown
    breakdown_differs: bool
    is_first: bool


class ModuleRows(Struct, frozen=True):
    """All IV curves of one module; its name is empty if the files do not tell it."""

    module: str
    rows: tuple[CurveRow, ...]


class Comparison(Struct, frozen=True):
    """Runs side by side. `notes` say what to keep in mind."""

    runs: tuple[RunFacts, ...]
    steps: tuple[StepRow, ...]
    modules: tuple[ModuleRows, ...]
    notes: tuple[str, ...]

    @property
    def simulated(self) -> bool:
        """Something of it was not measured."""
        return any(run.simulated for run in self.runs)


def compare(runs: Sequence[RunFacts]) -> Comparison:
    """Hold runs against the first of them."""
    names = dict.fromkeys(fact.module for run in runs for fact in run.curves)
    return Comparison(
        runs=tuple(runs),
        steps=tuple(_step_row(name, runs) for name in _step_names(runs)),
        modules=tuple(ModuleRows(name, tuple(_curve_rows(name, runs))) for name in names),
        notes=tuple(_notes(runs)),
    )


def _step_names(runs: Sequence[RunFacts]) -> Iterable[str]:
    return dict.fromkeys(step.name for run in runs for step in run.steps)


def _step_row(name: str, runs: Sequence[RunFacts]) -> StepRow:
    facts = tuple(next((step for step in run.steps if step.name == name), None) for run in runs)
    states = [_SAME.get(fact.state, fact.state) if fact else "" for fact in facts]
    return StepRow(name, facts, tuple(state != states[0] for state in states))


def _curve_rows(module: str, runs: Sequence[RunFacts]) -> Iterator[CurveRow]:
    """Give the curves of a module; each is held against the first one that the same step measured."""
    firsts: dict[str, CurveFact] = {}
    for number, run in enumerate(runs, 1):
        for fact in run.curves:
            if fact.module == module:
                first = firsts.setdefault(fact.step, fact)
                yield _curve_row(number, fact, first)


def _curve_row(number: int, fact: CurveFact, first: CurveFact) -> CurveRow:
    now, then = fact.figures, first.figures
    at = (_value(new.bias_v, new.current_a, old.current_a) for new, old in zip(now.at, then.at, strict=True))
    working = None
    if now.working:
        same = then.working is not None and then.working.bias_v == now.working.bias_v
        before_a = then.working.current_a if same and then.working else None
        working = _value(now.working.bias_v, now.working.current_a, before_a)
    return CurveRow(
        run=number,
        fact=fact,
        at=tuple(at),
        working=working,
        breakdown=now.breakdown,
        breakdown_differs=_moved(_judged(first), _judged(fact)),
        is_first=fact is first,
    )


def _value(bias_v: float, current_a: float | None, first_a: float | None) -> Value:
    ratio = current_a / first_a if current_a is not None and first_a else None
    notable = ratio is not None and not 1 / (1 + NOTABLE_RATIO) <= ratio <= 1 + NOTABLE_RATIO
    return Value(bias_v, current_a, ratio, notable or (current_a is None) != (first_a is None))


def breakdown_of(fact: CurveFact) -> tuple[float | None, str]:
    """Give where a sensor breaks down, in positive volts, and both words for it: that of breakdowns.json comes first."""
    own, told = fact.figures.breakdown, fact.told
    word = own.said if own.bias_v is None else f"{own.bias_v:g} V"
    if told is None:
        return own.bias_v, word
    said = f"{told} (breakdowns.json); curve: {word.partition(': ')[0]}"
    return _judged(fact).bias_v, said


def _judged(fact: CurveFact) -> Breakdown:
    """Give the breakdown that the bias is decided by: that of breakdowns.json where it tells one or none."""
    told = fact.told
    if told is None:
        return fact.figures.breakdown
    return Breakdown(said="none") if told.volts is None else Breakdown(abs(told.volts))


def _moved(then: Breakdown, now: Breakdown) -> bool:
    if then.bias_v is None or now.bias_v is None:
        return then.bias_v is not now.bias_v or then.defined != now.defined
    return abs(now.bias_v - then.bias_v) >= STEP_V - TOLERANCE_V


def _notes(runs: Sequence[RunFacts]) -> Iterator[str]:
    modules = list(dict.fromkeys(run.module or "unknown" for run in runs))
    if len(modules) > 1:
        yield f"these are runs of different modules: {', '.join(modules)}"
    titles = list(dict.fromkeys(run.title for run in runs))
    if len(titles) > 1:
        yield f"these are runs of different sequences: {', '.join(titles)}"
    if 0 < sum(run.simulated for run in runs) < len(runs):
        yield "simulated runs beside real ones: nothing that a simulated run says was measured"
    for number, run in enumerate(runs, 1):
        if not run.over:
            yield f"run {number} is not over: it is {run.state}"
        if run.why_no_curve:
            yield f"run {number} has no IV curve: {run.why_no_curve}"
        yield from (f"run {number}, {each.file}: not understood: {each.reason}" for each in run.unread)
        yield from (f"run {number}: of its record, {damage}" for damage in run.damage)
        for fact in run.curves:
            found = fact.figures.breakdown
            if fact.told is not None and not agree(found, fact.told):
                named = ", ".join(filter(None, (f"run {number}", fact.step, fact.module)))
                yield f"{named}: breakdown {breakdown_words(found, fact.told)}"
            yield from (
                f"run {number}, {fact.step}, {fact.curve.file}: {note}" for note in fact.figures.notes
            )
