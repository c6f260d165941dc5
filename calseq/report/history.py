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
)
from calseq.model.expectations import Expectation, catalogued
from calseq.model.plan import Plan
from calseq.model.rails import Move, Reading, Role
from calseq.record.past import Past
from calseq.record.view import RunView, begin, fold

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
    """All that the events of a run tell. Expectations are by the number of a step.

    Where a run was torn off and resumed, its clock stood still: `gap_s` is the time that was put in there, in all. Every
    time on the run's clock is counted with it.
    """

    view: RunView
    lanes: Mapping[Role, tuple[Stretch, ...]]
    sessions: tuple[Session, ...]
    expected: Mapping[int, Expectation]
    until_t: float = 0.0
    gap_s: float = 0.0

    @property
    def past(self) -> Past:
        """What became of each step, with all its attempts."""
        return self.view.past

    @property
    def last_t(self) -> float:
        """When the last event was, on the run's clock with what was put in."""
        return self.view.t

    @property
    def ran_s(self) -> float:
        """How long calseq ran the run, up to the last event."""
        return self.view.t - self.gap_s

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


class _Found:
    """What was told so far."""

    def __init__(self, plan: Plan, guard_ats: tuple[float, ...]) -> None:
        self._view = begin(plan)
        self._guard_ats = guard_ats
        self._ran_s = self._gap_s = 0.0
        self._lanes: dict[Role, list[Stretch]] = {role: [] for role in LANES}
        self._sessions: list[Session] = []
        self._expected = catalogued(plan)
        self._void: frozenset[Role] = frozenset()  # a step had them, and nobody has read them since

    def take(self, stamped: Stamped) -> None:
        event = stamped.event
        if (
            not 0 <= getattr(event, "duration_s", 0.0) < _SANE_S
        ):  # nothing takes for ever, or less than nothing
            event = replace(event, duration_s=0.0)
        if isinstance(event, RunResumed) and self._view.ended is None:
            self._tear(stamped.at)
        self._ran_s = max(stamped.t, self._ran_s)  # the run's clock never goes back
        t = self._ran_s + self._gap_s
        if isinstance(event, RunStarted | RunResumed):
            self._expected = event.expected or self._expected
        if isinstance(event, RunStarted | RunResumed) or not self._sessions:
            self._sessions.append(Session(t, t, stamped.at))
        self._sessions[-1] = replace(self._sessions[-1], end_t=t)
        self._draw(t)
        self._view = fold(self._view, replace(stamped, t=t, event=event))
        if isinstance(event, RailsRead | RailMoved | PowerFailed | SafeEndFinished):
            self._void = frozenset()
        self._void |= self._view.rails.driven
        self._draw(t)

    def _tear(self, resumed_at: float) -> None:
        """Put in the time in which nobody ran the run: what the rails were then is known from the guard alone."""
        read = [at for at in self._guard_ats if self._view.at <= at <= resumed_at]
        stretches = _torn(self._view, self._ran_s, read[0] if read else None)
        for lane in self._lanes.values():
            lane.extend(stretches)
        self._gap_s += sum(each.end_t - each.start_t for each in stretches)

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
            lanes={
                role: tuple(each for each in lane if each.end_t > each.start_t)
                for role, lane in self._lanes.items()
            },
            sessions=tuple(self._sessions),
            expected={each.step: each for each in self._expected},
            gap_s=self._gap_s,
        )


def torn_lanes(told: Chronicle, guard_at: float | None) -> Chronicle:
    """Give the rails of a run that nobody ended: not known from its last event on, until the guard read them as off."""
    later = _torn(told.view, told.ran_s, guard_at)
    if not later:
        return told
    lanes = {role: (*lane, *later) for role, lane in told.lanes.items()}
    return replace(told, lanes=lanes, until_t=later[-1].end_t)


def _torn(view: RunView, ran_s: float, guard_at: float | None) -> tuple[Stretch, ...]:
    """Give what became of either rail after the last event of a run that was torn off; none if it switched nothing."""
    if not view.plan.controls_rails or not view.rails.touched:
        return ()
    beyond_s, end_t = max(ran_s * _BEYOND, 1.0), view.t
    off_t = None if guard_at is None else end_t + min(max(guard_at - view.at, 0.0), _GUARD_S)
    lost = Stretch("lost", end_t, end_t + beyond_s if off_t is None else off_t)
    off = () if off_t is None else (Stretch("off", off_t, off_t + beyond_s),)
    return tuple(each for each in (lost, *off) if each.end_t > each.start_t)


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
