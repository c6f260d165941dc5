"""A run's whole course as its events tell it: every try of every step, and both rails over time."""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from calseq.model.events import (
    PowerFailed,
    RailMoved,
    RailsRead,
    RunResumed,
    RunStarted,
    SafeEndFinished,
    Stamped,
    StepEnded,
    StepKept,
    StepStarted,
)
from calseq.model.expectations import Expectation, catalogued
from calseq.model.plan import Plan
from calseq.model.rails import Move, Reading, Role
from calseq.record.view import RunView, State, begin, fold

LANES = (Role.HV, Role.LV)
LANE_STATES = {
    "on": "on",
    "off": "off, read back",
    "moving": "being switched",
    "driven": "in the hands of the step",
    "unread": "not read yet",
    "residual": "switched off, with a voltage still on it",
    "unknown": "unknown: it could not be read",
    "lost": "not known: calseq was gone, and did not read it any more",
    "uncontrolled": "not controlled by calseq: dirigent switches it itself",
}
"""How a rail may be known to be, and what a person is told of it. Nothing but a reading says that it is off."""

_BEYOND = 0.04
"""So much of a timeline is what nobody knows after a run was torn off, so that it can be seen."""

_GUARD_S = 3600.0
_SANE_S = 1e9
_MOVED = {Move.HV_OFF: Role.HV, Move.HV_BIAS: Role.HV, Move.LV_ON: Role.LV, Move.LV_OFF: Role.LV}


class Try(Struct, frozen=True):
    """One attempt at a step: `started_t` on the run's clock, `at` by the clock on the wall (POSIX seconds).

    `seen_t` is when anything was last heard of one that has no end: how long it really took is not known.
    """

    number: int
    started_t: float
    at: float
    state: State = State.RUNNING
    duration_s: float | None = None
    seen_t: float | None = None
    reason: str = ""
    log: str = ""
    directory: str = ""
    outputs: tuple[str, ...] = ()
    last_lines: tuple[str, ...] = ()

    def end_t(self, now_t: float) -> float:
        """Give when it ended on the run's clock, or until when it is known to have run."""
        if self.duration_s is not None:
            return self.started_t + self.duration_s
        return now_t if self.seen_t is None else self.seen_t


class Stretch(Struct, frozen=True):
    """How a rail was known to be for a while, and from when to when on the run's clock."""

    state: str
    start_t: float
    end_t: float


class Session(Struct, frozen=True):
    """A time in which calseq ran the run without a break; `at` is when it began, in POSIX seconds."""

    start_t: float
    end_t: float
    at: float


class Chronicle(Struct, frozen=True):
    """All that the events of a run tell. Tries are by the step's name, expectations by its number.

    Where a run was torn off and resumed, its clock stood still: `gap_s` is the time that was put in there, in all.
    """

    view: RunView
    tries: Mapping[str, tuple[Try, ...]]
    kept_at: Mapping[str, float]
    lanes: Mapping[Role, tuple[Stretch, ...]]
    sessions: tuple[Session, ...]
    expected: Mapping[int, Expectation]
    started: RunStarted | None = None
    dirigent: str = ""
    operators: tuple[str, ...] = ()
    safe_end_at: float | None = None
    until_t: float = 0.0
    gap_s: float = 0.0

    @property
    def last_t(self) -> float:
        """When the last event was, on the run's clock with what was put in."""
        return self.view.t + self.gap_s

    @property
    def end_t(self) -> float:
        """Until when there is something to tell, on that clock: the last event, or what is known from later."""
        return max(self.last_t, self.until_t)


def chronicle(plan: Plan, stamped: Iterable[Stamped], guard_ats: Iterable[float] = ()) -> Chronicle:
    """Fold a run's events, in their order; `guard_ats` is when guards read both rails back as off (POSIX seconds)."""
    found = _Found(plan, tuple(guard_ats))
    for each in stamped:
        found.take(each)
    return found.given()


def _sane(stamped: Stamped, since_t: float) -> Stamped:
    """Give an event whose times can be: the run's clock never goes back, and nothing takes for ever, or less than nothing."""
    took = getattr(stamped.event, "duration_s", 0.0)
    if 0 <= took < _SANE_S and stamped.t >= since_t:
        return stamped
    event = replace(stamped.event, duration_s=0.0) if not 0 <= took < _SANE_S else stamped.event
    return replace(stamped, t=max(stamped.t, since_t), event=event)


class _Found:
    """What was told so far."""

    def __init__(self, plan: Plan, guard_ats: tuple[float, ...]) -> None:
        self._view = begin(plan)
        self._guard_ats = guard_ats
        self._gap_s = self._seen_t = 0.0
        self._tries: dict[str, list[Try]] = {}
        self._kept_at: dict[str, float] = {}
        self._lanes: dict[Role, list[Stretch]] = {role: [] for role in LANES}
        self._sessions: list[Session] = []
        self._expected = catalogued(plan)
        self._started: RunStarted | None = None
        self._dirigent = ""
        self._operators: list[str] = []
        self._safe_end_at: float | None = None
        self._void: frozenset[Role] = frozenset()  # a step had them, and nobody has read them since

    def take(self, stamped: Stamped) -> None:
        sane = _sane(stamped, self._view.t)
        event = sane.event
        self._seen_t = self._view.t + self._gap_s
        if isinstance(event, RunResumed) and self._view.ended is None:
            self._tear(sane.at)
        t = sane.t + self._gap_s
        if isinstance(event, RunStarted | RunResumed) or not self._sessions:
            self._sessions.append(Session(t, t, sane.at))
        self._sessions[-1] = replace(self._sessions[-1], end_t=t)
        self._draw(t)
        self._view = fold(self._view, sane)
        self._note(replace(sane, t=t))
        self._draw(t)

    def _tear(self, resumed_at: float) -> None:
        """Put in the time in which nobody ran the run: what the rails were then is known from the guard alone."""
        read = [at for at in self._guard_ats if self._view.at <= at <= resumed_at]
        stretches = _torn(self._view, self._seen_t, read[0] if read else None)
        for lane in self._lanes.values():
            lane.extend(stretches)
        self._gap_s += sum(each.end_t - each.start_t for each in stretches)

    def _note(self, stamped: Stamped) -> None:
        match stamped.event:
            case RunStarted() as event:
                self._started = event
                self._began(event)
            case RunResumed() as event:
                self._began(event)
            case RailsRead() | RailMoved() | PowerFailed():
                self._void = frozenset()
            case StepStarted() as event:
                self._tries.setdefault(event.name, []).append(
                    Try(
                        event.attempt, stamped.t, stamped.at, log=event.log, directory=event.directory
                    )
                )  # fmt: skip
            case StepEnded() as event:
                self._ended(event, stamped)
            case StepKept() as event:
                self._kept_at[event.name] = event.ended_at
            case SafeEndFinished():
                self._safe_end_at, self._void = stamped.at, frozenset()
        self._void |= self._view.rails.driven

    def _began(self, event: RunStarted | RunResumed) -> None:
        self._tries = {
            name: [torn_off(each, self._seen_t) for each in tries] for name, tries in self._tries.items()
        }
        self._expected = event.expected or self._expected
        self._dirigent = event.dirigent or self._dirigent
        if event.operator not in self._operators:
            self._operators.append(event.operator)
        self._kept_at.clear()
        self._safe_end_at = None

    def _ended(self, event: StepEnded, stamped: Stamped) -> None:
        tries = self._tries.setdefault(event.name, [])
        if not tries or tries[-1].number != event.attempt:  # its begin is missing from a damaged journal
            tries.append(
                Try(event.attempt, max(stamped.t - event.duration_s, 0.0), stamped.at - event.duration_s)
            )
        how = f"ended by {event.signal}" if event.signal else ""
        how = how or (f"exit code {event.exit_code}" if event.exit_code else "")
        # it began with the rails, before the events of its child: a bar is as long as what is said of it
        early_s = max(tries[-1].started_t - max(stamped.t - event.duration_s, 0.0), 0.0)
        tries[-1] = replace(
            tries[-1],
            started_t=tries[-1].started_t - early_s,
            at=tries[-1].at - early_s,
            state=State(event.verdict.value),
            duration_s=event.duration_s,
            reason=event.reason or how,
            outputs=event.outputs,
            last_lines=event.last_lines,
        )

    def _draw(self, t: float) -> None:
        """Go on with the lanes up to `t`, in the state that is known now."""
        for role, lane in self._lanes.items():
            state = lane_state(self._view, role, void=role in self._void)
            if lane:
                lane[-1] = replace(lane[-1], end_t=t)
            if not lane or lane[-1].state != state:
                lane.append(Stretch(state, t, t))

    def given(self) -> Chronicle:
        return Chronicle(
            view=self._view,
            tries={name: tuple(tries) for name, tries in self._tries.items()},
            kept_at=self._kept_at,
            lanes={
                role: tuple(each for each in lane if each.end_t > each.start_t)
                for role, lane in self._lanes.items()
            },
            sessions=tuple(self._sessions),
            expected={each.step: each for each in self._expected},
            started=self._started,
            dirigent=self._dirigent,
            operators=tuple(self._operators),
            safe_end_at=self._safe_end_at,
            gap_s=self._gap_s,
        )


def torn_lanes(told: Chronicle, guard_at: float | None) -> Chronicle:
    """Give the rails of a run that nobody ended: not known from its last event on, until the guard read them as off."""
    later = _torn(told.view, told.last_t, guard_at)
    if not later:
        return told
    lanes = {role: (*lane, *later) for role, lane in told.lanes.items()}
    return replace(told, lanes=lanes, until_t=later[-1].end_t)


def _torn(view: RunView, end_t: float, guard_at: float | None) -> tuple[Stretch, ...]:
    """Give what became of either rail after the last event of a run that was torn off; none if it switched nothing."""
    if not view.plan.controls_rails or not view.rails.touched:
        return ()
    beyond_s = max(view.t * _BEYOND, 1.0)
    off_t = None if guard_at is None else end_t + min(max(guard_at - view.at, 0.0), _GUARD_S)
    lost = Stretch("lost", end_t, end_t + beyond_s if off_t is None else off_t)
    off = () if off_t is None else (Stretch("off", off_t, off_t + beyond_s),)
    return tuple(each for each in (lost, *off) if each.end_t > each.start_t)


def torn_off(each: Try, end_t: float) -> Try:
    """Give a try that has no end as the record leaves it once nobody runs it any more."""
    if each.state is not State.RUNNING:
        return each
    return replace(each, state=State.INTERRUPTED, seen_t=end_t, reason="calseq ended while it ran")


def lane_state(view: RunView, role: Role, *, void: bool = False) -> str:
    """Give how a rail is known to be, as one of the words of `LANE_STATES`. `void`: what was read of it is no more."""
    rails = view.rails
    if not view.plan.controls_rails:
        return "uncontrolled"
    if role in rails.driven:
        return "driven"
    if rails.moving and _MOVED[rails.moving] is role:
        return "moving"
    if rails.readings is None or void:
        return "unread"
    if role is Role.HV and rails.readings.hv.on is False and not rails.readings.hv_gone:
        return "residual"
    return _word(rails.readings.hv if role is Role.HV else rails.readings.lv)


def _word(reading: Reading) -> str:
    return "unknown" if reading.on is None else "on" if reading.on else "off"
