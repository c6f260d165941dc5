"""A run as its events tell it: a fold, so that a recorded run looks as it did while it ran."""

# ruff: noqa: ARG001 - every fold is given all that any of them needs

from collections.abc import Callable
from enum import StrEnum
from functools import singledispatch

from msgspec import Struct
from msgspec.structs import replace

from calseq.model.events import (
    BiasDecided,
    ChildSignalled,
    ChildStarted,
    InterlockViolated,
    LeftoversEnded,
    ListenerDropped,
    MonitorRead,
    PowerFailed,
    RailMoved,
    RailMoving,
    RailsRead,
    RunEnded,
    RunResumed,
    RunStarted,
    SafeEndFinished,
    SafeEndStarted,
    Stamped,
    StepEnded,
    StepKept,
    StepLeftOut,
    StepProgressed,
    StepSkipped,
    StepStarted,
    StopAsked,
)
from calseq.model.expectations import Expectation, catalogued
from calseq.model.plan import Plan, Step
from calseq.model.rails import Move, Reading, Readings, Role
from calseq.model.verdicts import NOT_CONTROLLED

_NOTES_KEPT = 100


class State(StrEnum):
    """Where a step stands: before its end, or the verdict's own word."""

    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"
    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    MISSING_OUTPUT = "missing-output"
    NOT_STARTED = "not-started"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"
    KEPT = "kept"
    LEFT_OUT = "left-out"


BAD = frozenset({State.FAILED, State.TIMED_OUT, State.MISSING_OUTPUT, State.NOT_STARTED, State.INTERRUPTED})
"""The states of a step that was tried and did not pass."""


class Signalled(Struct, frozen=True):
    """The last signal that went to a child, and when."""

    signal: str
    why: str
    t: float


class StepView(Struct, frozen=True):
    """A step of the plan and what became of it so far; times are those of its latest attempt."""

    step: Step
    state: State = State.WAITING
    attempt: int = 0
    started_t: float | None = None
    duration_s: float | None = None
    part: int = 0
    parts: int = 0
    title: str = ""
    pid: int | None = None
    signalled: Signalled | None = None
    log: str = ""
    reason: str = ""
    last_lines: tuple[str, ...] = ()
    expected: Expectation | None = None

    def elapsed_s(self, now_t: float) -> float:
        """Give how long the attempt has run, or ran."""
        if self.duration_s is not None:
            return self.duration_s
        return 0.0 if self.started_t is None else max(now_t - self.started_t, 0.0)


class RailsView(Struct, frozen=True):
    """The rails as last read back, and when. `driven` are those a child holds now: what was read of them is void."""

    readings: Readings | None = None
    read_t: float | None = None
    moving: Move | None = None
    driven: frozenset[Role] = frozenset()
    touched: bool = False


class Note(Struct, frozen=True):
    """Something out of the ordinary, in words; a grave one is about the hardware."""

    t: float
    text: str
    grave: bool = False


class RunView(Struct, frozen=True):
    """Everything a person may want to see of a run, at one moment. `t` and `at` are the latest event's."""

    plan: Plan
    steps: tuple[StepView, ...]
    run: str = ""
    module: str = ""
    operator: str = ""
    simulated: bool = False
    preparing: int = 0
    rails: RailsView = RailsView()
    decisions: tuple[BiasDecided, ...] = ()
    stop: StopAsked | None = None
    making_safe: bool = False
    safe_end: SafeEndFinished | None = None
    notes: tuple[Note, ...] = ()
    ended: RunEnded | None = None
    t: float = 0.0
    at: float = 0.0

    @property
    def running(self) -> StepView | None:
        """The step whose attempt is under way."""
        return next((each for each in self.steps if each.state is State.RUNNING), None)

    @property
    def focus(self) -> StepView | None:
        """The step to look at: the running one, else the one being prepared, else the latest that was tried."""
        if running := self.running:
            return running
        if self.preparing and not self.making_safe and (step := self.step(self.preparing)):
            return step
        tried = [each for each in self.steps if each.attempt]
        return tried[-1] if tried else next(iter(self.steps), None)

    @property
    def first_failure(self) -> StepView | None:
        """The first step that was tried and did not pass."""
        return next((each for each in self.steps if each.state in BAD), None)

    def step(self, number: int) -> StepView | None:
        """Give the step of that number, if the plan has it."""
        place = self.place(number)
        return None if place is None else self.steps[place]

    def place(self, number: int) -> int | None:
        """Give where the step of that number stands in `steps`."""
        if 0 < number <= len(self.steps) and self.steps[number - 1].step.number == number:
            return number - 1
        return next((i for i, each in enumerate(self.steps) if each.step.number == number), None)


def begin(plan: Plan) -> RunView:
    """Give the view of a run of which nothing has happened yet."""
    named = ", ".join(module.name or f"channel {module.channel}" for module in plan.modules)
    view = RunView(plan, _untold(plan), module=named, simulated=plan.simulated)
    return expecting(view, catalogued(plan))


def _untold(plan: Plan) -> tuple[StepView, ...]:
    """Give the steps before anything was told of them; what is left out is so from the beginning."""
    return tuple(
        StepView(step, State.LEFT_OUT, reason=step.left_out) if step.left_out else StepView(step)
        for step in plan.steps
    )


def expecting(view: RunView, expected: tuple[Expectation, ...]) -> RunView:
    """Give the view with other expectations of its steps."""
    by_step = {each.step: each for each in expected}
    steps = tuple(replace(each, expected=by_step.get(each.step.number)) for each in view.steps)
    return replace(view, steps=steps)


def fold(view: RunView, stamped: Stamped) -> RunView:
    """Give the view after one more event. What the plan does not know of changes nothing."""
    return replace(_after(stamped.event, view, stamped.t), t=stamped.t, at=stamped.at)


@singledispatch
def _after(event: object, view: RunView, t: float) -> RunView:
    return view


@_after.register
def _(event: RunStarted, view: RunView, t: float) -> RunView:
    return replace(
        expecting(view, event.expected) if event.expected else view,
        run=event.run,
        module=event.module or view.module,
        operator=event.operator,
        simulated=view.simulated or event.simulated,
    )


@_after.register
def _(event: RunResumed, view: RunView, t: float) -> RunView:
    """What came before may be of another plan: what counts of it is told again, step by step."""
    anew = replace(
        expecting(begin(view.plan), event.expected) if event.expected else begin(view.plan),
        run=view.run,
        module=view.module,
        operator=event.operator,
        simulated=view.simulated,
    )
    return _noted(anew, t, f"resumed: {len(event.kept)} of {len(view.steps)} steps are kept")


@_after.register
def _(event: StepKept, view: RunView, t: float) -> RunView:
    def kept(old: StepView) -> StepView:
        return StepView(old.step, State.KEPT, event.attempt, duration_s=event.duration_s)

    return _changed(view, event.step, kept)


@_after.register
def _(event: StepLeftOut, view: RunView, t: float) -> RunView:
    return _changed(view, event.step, lambda old: StepView(old.step, State.LEFT_OUT, reason=event.reason))


@_after.register
def _(event: StepStarted, view: RunView, t: float) -> RunView:
    def started(old: StepView) -> StepView:
        return StepView(
            old.step, State.RUNNING, event.attempt, started_t=t, log=event.log, expected=old.expected
        )

    return replace(_changed(view, event.step, started), preparing=0)


@_after.register
def _(event: ChildStarted, view: RunView, t: float) -> RunView:
    changed = _changed(view, event.step, lambda old: replace(old, pid=event.pid, started_t=t))
    step = view.step(event.step)
    if step is None or not view.plan.controls_rails:
        return changed
    driven = frozenset(step.step.given) & {Role.LV, Role.HV}
    return replace(changed, rails=_handed_over(view.rails, driven))


@_after.register
def _(event: StepProgressed, view: RunView, t: float) -> RunView:
    return _changed(
        view,
        event.step,
        lambda old: replace(old, part=event.part, parts=event.parts, title=event.title),
    )


@_after.register
def _(event: ChildSignalled, view: RunView, t: float) -> RunView:
    return _changed(
        view, event.step, lambda old: replace(old, signalled=Signalled(event.signal, event.why, t))
    )


@_after.register
def _(event: LeftoversEnded, view: RunView, t: float) -> RunView:
    who = ", ".join(event.processes) or "processes"
    return _noted(view, t, f"step {event.step} left processes behind, they were ended: {who}")


@_after.register
def _(event: StepEnded, view: RunView, t: float) -> RunView:
    def ended(old: StepView) -> StepView:
        return replace(
            old,
            state=State.RETRYING if event.retried else State(event.verdict.value),
            attempt=event.attempt,
            duration_s=event.duration_s,
            reason=event.reason or _how(event),
            last_lines=event.last_lines,
            pid=None,
            signalled=None,
        )

    # what the child held stays void until it is read back
    rails = replace(view.rails, driven=frozenset())
    return replace(_changed(view, event.step, ended), rails=rails)


@_after.register
def _(event: StepSkipped, view: RunView, t: float) -> RunView:
    return _changed(
        view, event.step, lambda old: replace(old, state=State.SKIPPED, reason=event.reason, attempt=0)
    )


@_after.register
def _(event: BiasDecided, view: RunView, t: float) -> RunView:
    word = "bias allowed" if event.allowed else "no bias"
    view = _noted(replace(view, decisions=(*view.decisions, event)), t, f"{word}: {event.reason}")
    for note in event.notes:
        view = _noted(view, t, note)
    return view


@_after.register
def _(event: RailMoving, view: RunView, t: float) -> RunView:
    rails = replace(view.rails, moving=event.move, touched=True)
    return replace(view, rails=rails, preparing=_ahead(view, event.step))


@_after.register
def _(event: RailMoved, view: RunView, t: float) -> RunView:
    rails = replace(view.rails, moving=None, readings=event.readings, read_t=t, touched=True)
    return replace(view, rails=rails)


@_after.register
def _(event: RailsRead, view: RunView, t: float) -> RunView:
    return replace(view, rails=replace(view.rails, readings=event.readings, read_t=t))


@_after.register
def _(event: PowerFailed, view: RunView, t: float) -> RunView:
    readings = _voided(view.rails.readings or Readings(), _moved(event.move))
    rails = replace(view.rails, readings=readings, moving=None, touched=True)
    doing = f" at '{event.move.value}'" if event.move else ""
    return _noted(replace(view, rails=rails), t, f"power failed{doing}: {event.reason}", grave=True)


@_after.register
def _(event: StopAsked, view: RunView, t: float) -> RunView:
    return replace(view, stop=event)


@_after.register
def _(event: SafeEndStarted, view: RunView, t: float) -> RunView:
    return replace(view, making_safe=True, preparing=0)


@_after.register
def _(event: SafeEndFinished, view: RunView, t: float) -> RunView:
    rails = replace(view.rails, readings=event.readings, read_t=t, moving=None)
    changed = replace(view, making_safe=False, safe_end=event, rails=rails)
    if event.confirmed or (not view.plan.controls_rails and event.reason == NOT_CONTROLLED):
        return changed
    return _noted(changed, t, f"safe end not confirmed: {event.reason or 'no reason given'}", grave=True)


@_after.register
def _(event: MonitorRead, view: RunView, t: float) -> RunView:
    if event.ok:
        return view
    said = f": {event.reading}" if event.reading else ""
    return _noted(view, t, f"monitor {event.name}: {event.reason}{said}")


@_after.register
def _(event: InterlockViolated, view: RunView, t: float) -> RunView:
    return _noted(view, t, f"interlock violated: {event.violation}", grave=True)


@_after.register
def _(event: ListenerDropped, view: RunView, t: float) -> RunView:
    return _noted(view, t, f"{event.listener} stopped, the run goes on without it: {event.reason}")


@_after.register
def _(event: RunEnded, view: RunView, t: float) -> RunView:
    return replace(view, ended=event, making_safe=False, preparing=0)


def _changed(view: RunView, number: int, change: Callable[[StepView], StepView]) -> RunView:
    place = view.place(number)
    if place is None:
        return view
    steps = (*view.steps[:place], change(view.steps[place]), *view.steps[place + 1 :])
    return replace(view, steps=steps)


def _noted(view: RunView, t: float, text: str, *, grave: bool = False) -> RunView:
    if view.notes and view.notes[-1].text == text:
        return view  # tried again, with the same to show for it
    return replace(view, notes=(*view.notes, Note(t, text, grave))[-_NOTES_KEPT:])


def _ahead(view: RunView, number: int) -> int:
    """Give the step that a move prepares; moves after a step's end belong to no step that is still to come."""
    step = view.step(number)
    return number if step and step.state in {State.WAITING, State.RETRYING} else 0


def _handed_over(rails: RailsView, driven: frozenset[Role]) -> RailsView:
    readings = _voided(rails.readings, driven) if rails.readings else None
    return replace(rails, driven=driven, readings=readings)


def _voided(readings: Readings, rails: frozenset[Role]) -> Readings:
    return Readings(
        lv=Reading() if Role.LV in rails else readings.lv,
        hv=Reading() if Role.HV in rails else readings.hv,
    )


def _moved(move: Move | None) -> frozenset[Role]:
    if move is None:
        return frozenset({Role.LV, Role.HV})
    return frozenset({Role.HV if move in {Move.HV_OFF, Move.HV_BIAS} else Role.LV})


def _how(event: StepEnded) -> str:
    if event.signal:
        return f"ended by {event.signal}"
    return f"exit code {event.exit_code}" if event.exit_code else ""
