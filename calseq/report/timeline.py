"""The timeline of a run as plain numbers: bars, lanes and ticks in percent of its width."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from calseq.record.past import Try
from calseq.report.history import Session, Stretch

LEAST = 0.4
"""The width in percent that even the shortest bar has, so that it can be seen."""

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_MOST_TICKS = 5
_MOST_BARS = 60
_SLOTS = 150
_ENDLESS_S = 1e12


class Bar(Struct, frozen=True):
    """A piece of a row: where it begins and how wide it is, in percent, and what it shows."""

    x: float
    width: float
    kind: str


class Tick(Struct, frozen=True):
    """A line across all rows: its place in percent, and its POSIX time."""

    x: float
    at: float


class Span(Struct, frozen=True):
    """The time that a timeline shows, on the run's clock."""

    start_t: float
    end_t: float

    def x(self, t: float) -> float:
        """Give where a moment is, in percent of the width."""
        long_s = self.end_t - self.start_t
        share = (t - self.start_t) / long_s if 0 < long_s < math.inf else 0.0
        return round(100 * min(max(0.0, share), 1.0), 2)  # of what is not a number, 0


def bars(tries: Sequence[Try], span: Span, now_t: float) -> tuple[Bar, ...]:
    """Give a bar for every attempt."""
    return tuple(
        _bar(each.started_t, each.end_t(now_t), str(each.state), span) for each in tries[-_MOST_BARS:]
    )


def merged(tries: Iterable[Try], span: Span, now_t: float) -> tuple[Bar, ...]:
    """Give the bars of many attempts in one row: every slot in which one did not pass is of that kind."""
    slots: dict[int, str] = {}
    for each in tries:
        bar = _bar(each.started_t, each.end_t(now_t), str(each.state), span, 0.0)
        for slot in range(_slot(bar.x), _slot(bar.x + bar.width) + 1):
            if slots.get(slot, "passed") == "passed":
                slots[slot] = bar.kind
    return tuple(_runs(slots))


def _slot(x: float) -> int:
    return min(int(x / 100 * _SLOTS), _SLOTS - 1)


def _runs(slots: Mapping[int, str]) -> Iterator[Bar]:
    """Give a bar for every run of slots of one kind."""
    wide = 100 / _SLOTS
    start, last = -1, -1
    for slot in sorted(slots):
        if start >= 0 and (slot != last + 1 or slots[slot] != slots[start]):
            yield Bar(round(start * wide, 2), round((last + 1 - start) * wide, 2), slots[start])
            start = slot
        start, last = (slot if start < 0 else start), slot
    if start >= 0:
        yield Bar(round(start * wide, 2), round((last + 1 - start) * wide, 2), slots[start])


def usual_bar(tries: Sequence[Try], usual_s: float | None, span: Span) -> Bar | None:
    """Give how long the last attempt would usually have taken, from its begin on."""
    if not tries or not usual_s:
        return None
    return _bar(tries[-1].started_t, tries[-1].started_t + usual_s, "usual", span)


def lane(stretches: Sequence[Stretch], span: Span) -> tuple[Bar, ...]:
    """Give a rail's bars. What must be seen is drawn wider than it is, over its neighbour, if it is short."""
    close = _joined(stretches, span)
    return tuple(
        _bar(each.start_t, each.end_t, each.state, span, LEAST if each.state in _SEEN else LEAST / 4)
        for each in close
    )


def _joined(stretches: Sequence[Stretch], span: Span) -> Iterator[Stretch]:
    """Join what is too short to be told apart, where there is much of it: the state that is less safe shows."""
    if len(stretches) <= 2 * _MOST_BARS:
        yield from stretches
        return
    least_s = (span.end_t - span.start_t) / _MOST_BARS
    held: Stretch | None = None
    for each in stretches:
        if held and each.start_t - held.start_t < least_s:
            state = max(held.state, each.state, key=_SAFEST.index)
            held = Stretch(state, held.start_t, each.end_t)
        else:
            if held:
                yield held
            held = each
    if held:
        yield held


_SEEN = ("on", "unknown", "residual", "lost")
_SAFEST = ("off", "uncontrolled", "moving", "unread", "driven", "residual", "on", "lost", "unknown")


def ticks(sessions: Sequence[Session], span: Span, offset_s: float) -> tuple[Tick, ...]:
    """Give ticks at round times of day, `offset_s` east of UTC, in every session of the run."""
    long_s = span.end_t - span.start_t
    if not 0 < long_s < _ENDLESS_S:
        return ()
    day_s = _STEPS_S[-1]
    days_s = math.ceil(long_s / _MOST_TICKS / day_s) * day_s
    step_s = next((each for each in _STEPS_S if long_s / each <= _MOST_TICKS), days_s)
    found: list[Tick] = []
    for session in sessions:
        first = session.at + (-(session.at + offset_s)) % step_s
        for at in (first + number * step_s for number in range(_MOST_TICKS + 1)):
            t = session.start_t + at - session.at
            if not t <= session.end_t or len(found) >= 4 * _MOST_TICKS:
                break
            x = span.x(t)
            if not found or x - found[-1].x >= 100 / (2 * _MOST_TICKS):
                found.append(Tick(x, at))
    return tuple(found)


def breaks(sessions: Sequence[Session], span: Span) -> tuple[Tick, ...]:
    """Give where the run was resumed: time went by there that the timeline does not have."""
    return tuple(Tick(span.x(each.start_t), each.at) for each in sessions[1:][-_MOST_BARS:])


def _bar(start_t: float, end_t: float, kind: str, span: Span, least: float = LEAST) -> Bar:
    x = min(span.x(start_t), 100 - least)
    return Bar(round(x, 2), round(max(span.x(end_t) - x, least), 2), kind)
