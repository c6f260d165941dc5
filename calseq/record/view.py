"""State of a run at one moment, by its plan and events: a recorded run looks as it did while it ran."""

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
from calseq.model.verdicts import NOT_CONTROLLED, RunVerdict
from calseq.record.aftermath import PowerState
from calseq.record.past import BAD, TORN_OFF, Past, State, after, torn_off
from calseq.record.status import Phase, Standing

_NOTES_KEPT = 100


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
    """Everything a person may want to see of a run, at one moment."""

    plan: Plan
    steps: tuple[StepView, ...]
    module: str = ""
    simulated: bool = False
    preparing: int = 0
    rails: RailsView = RailsView()
    decisions: tuple[BiasDecided, ...] = ()
    stop: StopAsked | None = None
    making_safe: bool = False
    notes: tuple[Note, ...] = ()
    past: Past = Past()

    @property
    def t(self) -> float:
        """When the latest event was, on the run's clock."""
        return self.past.t

    @property
    def at(self) -> float:
        """When the latest event was, in POSIX seconds."""
        return self.past.at

    @property
    def safe_end(self) -> SafeEndFinished | None:
        """How the safe end came out, once it is over."""
        return self.past.safe_end

    @property
    def ended(self) -> RunEnded | None:
        """How the run ended, once it has."""
        return self.past.ended

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
        """Index in `steps` of the step of that number."""
        if 0 < number <= len(self.steps) and self.steps[number - 1].step.number == number:
            return number - 1
        return next((i for i, each in enumerate(self.steps) if each.step.number == number), None)


def begin(plan: Plan) -> RunView:
    """Give the view of a run of which nothing has happened yet."""
    named = ", ".join(module.name or f"channel {module.channel}" for module in plan.modules)
    view = RunView(plan, _waiting(plan), module=named, simulated=plan.simulated)
    return expecting(view, catalogued(plan))


def _waiting(plan: Plan) -> tuple[StepView, ...]:
    """Steps before the first event; what is left out is so from the beginning."""
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
    view = replace(view, past=after(view.past, stamped))
    for part in (_run, _steps, _notes, _rails):
        view = part(view, stamped.event, stamped.t)
    return view


def truthful(view: RunView, phase: Phase) -> RunView:
    """View of a run whose processes have ended: what its record has no end of was interrupted."""
    if phase not in (Phase.DIED, Phase.ENDED):
        return view
    view = replace(view, past=torn_off(view.past))
    if phase is Phase.ENDED:
        return view
    interrupted = {"state": State.INTERRUPTED, "reason": TORN_OFF, "pid": None, "signalled": None}
    steps = tuple(
        replace(each, **interrupted) if each.state is State.RUNNING else each for each in view.steps
    )
    rails = replace(view.rails, moving=None, driven=frozenset())
    return replace(view, steps=steps, rails=rails, preparing=0, making_safe=False)


def look_closer(standing: Standing, view: RunView, *, damaged: bool) -> Standing:
    """State of HV and LV after a look at the run's events, too: where they and its record differ, the worse counts."""
    power, end = standing.power, view.safe_end
    if power.by or power.state not in (PowerState.OFF, PowerState.UNCONTROLLED):
        return standing
    unsafe = view.ended is not None and view.ended.verdict is RunVerdict.UNSAFE
    if unsafe or (end and not end.confirmed and power.controlled):
        return replace(standing, power=replace(power, state=PowerState.UNKNOWN))
    if view.rails.touched or damaged or (end and end.confirmed) or not power.controlled:
        return standing
    return replace(standing, power=replace(power, state=PowerState.UNTOUCHED))


def _run(view: RunView, event: object, _t: float) -> RunView:
    match event:
        case RunStarted():
            view = replace(
                expecting(view, event.expected) if event.expected else view,
                module=event.module or view.module,
                simulated=view.simulated or event.simulated,
            )
        case RunResumed():  # what came before may be of another plan: what counts of it is told again
            anew = begin(view.plan)
            view = replace(
                expecting(anew, event.expected) if event.expected else anew,
                module=view.module,
                simulated=view.simulated,
                past=view.past,
            )
        case StopAsked():
            view = replace(view, stop=event)
        case SafeEndStarted():
            view = replace(view, making_safe=True, preparing=0)
        case SafeEndFinished():
            view = replace(view, making_safe=False)
        case RunEnded():
            view = replace(view, making_safe=False, preparing=0)
        case StepStarted():
            view = replace(view, preparing=0)
        case RailMoving():
            view = replace(view, preparing=_ahead(view, event.step))
        case BiasDecided():
            view = replace(view, decisions=(*view.decisions, event))
    return view


def _steps(view: RunView, event: object, t: float) -> RunView:
    number = getattr(event, "step", 0)
    place = view.place(number) if number else None
    if place is None:
        return view
    old = view.steps[place]
    new = _step(old, event, t, view.past)
    return view if new is old else replace(view, steps=(*view.steps[:place], new, *view.steps[place + 1 :]))


def _step(old: StepView, event: object, t: float, past: Past) -> StepView:
    match event:
        case StepKept():
            return StepView(old.step, State.KEPT, event.attempt, duration_s=event.duration_s)
        case StepLeftOut():
            return StepView(old.step, State.LEFT_OUT, reason=event.reason)
        case StepSkipped():
            old = replace(old, state=State.SKIPPED, reason=event.reason, attempt=0)
        case StepStarted():
            expected = old.expected
            old = StepView(old.step, State.RUNNING, event.attempt, t, log=event.log, expected=expected)
        case ChildStarted():
            old = replace(old, pid=event.pid, started_t=t)
        case StepProgressed():
            old = replace(old, part=event.part, parts=event.parts, title=event.title)
        case ChildSignalled():
            old = replace(old, signalled=Signalled(event.signal, event.why, t))
        case StepEnded():
            last = past.tries[event.name][-1]
            old = replace(
                old,
                state=State.RETRYING if event.retried else last.state,
                attempt=last.number,
                duration_s=last.duration_s,
                reason=last.reason,
                last_lines=last.last_lines,
                pid=None,
                signalled=None,
            )
    return old


def _rails(view: RunView, event: object, t: float) -> RunView:
    rails = view.rails
    match event:
        case ChildStarted() if view.plan.controls_rails and (step := view.step(event.step)):
            driven = frozenset(step.step.given) & {Role.LV, Role.HV}
            readings = _voided(rails.readings, driven) if rails.readings else None
            rails = replace(rails, driven=driven, readings=readings)
        case StepEnded():  # what the child held stays void until it is read back
            rails = replace(rails, driven=frozenset())
        case RailMoving():
            rails = replace(rails, moving=event.move, touched=True)
        case RailMoved():
            rails = replace(rails, moving=None, readings=event.readings, read_t=t, touched=True)
        case RailsRead():
            rails = replace(rails, readings=event.readings, read_t=t)
        case PowerFailed():
            readings = _voided(rails.readings or Readings(), _moved(event.move))
            rails = replace(rails, readings=readings, moving=None, touched=True)
        case SafeEndFinished():
            rails = replace(rails, readings=event.readings, read_t=t, moving=None)
        case _:
            return view
    return replace(view, rails=rails)


def _notes(view: RunView, event: object, t: float) -> RunView:
    texts, grave = _said(event, view), isinstance(event, PowerFailed | SafeEndFinished | InterlockViolated)
    for text in texts:
        if not view.notes or view.notes[-1].text != text:  # else tried again, with the same to show for it
            view = replace(view, notes=(*view.notes, Note(t, text, grave))[-_NOTES_KEPT:])
    return view


def _said(event: object, view: RunView) -> tuple[str, ...]:
    """Give what is out of the ordinary in an event, in words."""
    text = ""
    match event:
        case RunResumed():
            text = f"resumed: {len(event.kept)} of {len(view.steps)} steps are kept"
        case LeftoversEnded():
            who = ", ".join(event.processes) or "processes"
            text = f"step {event.step} left processes behind, they were ended: {who}"
        case BiasDecided():
            return f"{'bias allowed' if event.allowed else 'no bias'}: {event.reason}", *event.notes
        case PowerFailed():
            doing = f" at '{event.move.value}'" if event.move else ""
            text = f"power failed{doing}: {event.reason}"
        case SafeEndFinished(confirmed=False) if view.plan.controls_rails or event.reason != NOT_CONTROLLED:
            text = f"safe end not confirmed: {event.reason or 'no reason given'}"
        case MonitorRead(ok=False):
            said = f": {event.reading}" if event.reading else ""
            text = f"monitor {event.name}: {event.reason}{said}"
        case InterlockViolated():
            text = f"interlock violated: {event.violation}"
        case ListenerDropped():
            text = f"{event.listener} stopped, the run goes on without it: {event.reason}"
    return (text,) if text else ()


def _ahead(view: RunView, number: int) -> int:
    """Give the step that a move prepares; moves after a step's end belong to no step that is still to come."""
    step = view.step(number)
    return number if step and step.state in {State.WAITING, State.RETRYING} else 0


def _voided(readings: Readings, rails: frozenset[Role]) -> Readings:
    return Readings(
        lv=Reading() if Role.LV in rails else readings.lv,
        hv=Reading() if Role.HV in rails else readings.hv,
    )


def _moved(move: Move | None) -> frozenset[Role]:
    if move is None:
        return frozenset({Role.LV, Role.HV})
    return frozenset({Role.HV if move in {Move.HV_OFF, Move.HV_BIAS} else Role.LV})
