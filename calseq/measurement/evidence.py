"""What an IV curve says for and against a bias: how far it was measured, in which steps, and what came up on the way."""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median, median_low

from msgspec import Struct

from calseq.measurement.curves import IvCurve, Measured

LIMITING = 0.98
"""A supply that limits reads a little less than its compliance."""

JUDGED_FROM_V = 20.0
WITHIN_V = 5.0
DOUBLED = 2.0
NOTABLE_RISE = 1.2
"""Rise in 5 V, as a factor, that is noted: beyond 20 V a diode's own is below 1.12, and what more than doubles breaks down."""

NOISE_A = 1e-9
NOISE = 6.0
_NOISE_OF = 5
"""A rise of a current that stays below this is noise if the curve itself shows it: if it is at most so many times as
large as the readings up to 20 V, so many of them, fluctuate. A healthy sensor of which nothing but noise is read passes
three times in four and more; of one spike, or of a current that only rises, nothing follows."""

LOST = 0.1
"""A diode's current does not fall with its bias: of what falls to less than this nothing is measured any more."""

NO_CURRENT_A = 1e-12
_TURN_V = 1.0
"""A voltage that falls by less than this is the same ramp: supplies waver."""

_EXACT = 1e-9


class Rise(Struct, frozen=True):
    """The current rises by a factor to so many amperes within 5 V, or within one larger step, up to a voltage."""

    at_v: float
    factor: float
    amperes: float


class Evidence(Struct, frozen=True):
    """What a curve says up to a voltage, in magnitudes along the bias; `notes` are to be told whatever is decided.

    `reached_v` is the largest voltage with a reading, `step_v` the largest step up to it, the first one from 0 V
    included; `between_v` the same without that one. `short_v` is where a ramp ended that did not come so far. The
    least voltages: `limited_v` at the compliance, `hole_v` without a reading, `lost_v` without the current that was
    read before it, `doubled` where the current more than doubles.
    """

    reached_v: float
    step_v: float
    between_v: float
    short_v: float | None = None
    limited_v: float | None = None
    hole_v: float | None = None
    lost_v: float | None = None
    doubled: Rise | None = None
    risen: Rise | None = None
    has_current: bool = True


class Span(Struct, frozen=True):
    """A part of a sweep from place `begin` to before `end`, that rises or falls."""

    begin: int
    end: int
    rising: bool


class Biased(Struct, frozen=True):
    """One measurement: volts, positive along the bias, and the magnitude of the current in amperes."""

    bias_v: float
    current_a: float


def evidence(
    curve: IvCurve, target_v: float, compliance_a: float, *, any_sign: bool = False
) -> Evidence | None:
    """Judge a curve up to one step beyond the bias `target_v`; None if no reading lies in its direction.

    `any_sign`: voltages were written without their sign.
    """
    along = -1.0 if target_v < 0 else 1.0
    points = [
        Biased(abs(each.voltage_v) if any_sign else max(along * each.voltage_v, 0.0), abs(each.current_a))
        for each in curve.points
    ]
    if not any(point.bias_v > 0 for point in points):
        return None
    parts = [(part.rising, points[part.begin : part.end]) for part in spans([each.bias_v for each in points])]
    # what is read before the voltage is brought to 0 V is no ramp
    ramps = [part for rising, part in parts if rising and len(part) > 1] or [parts[0][1]]
    reached_v = max(point.bias_v for point in points)
    step_v, between_v = _steps(ramps)
    upto_v = abs(target_v) + step_v + _EXACT
    near = [point for point in points if point.bias_v <= upto_v]
    # a voltage that is brought down in one go shows no rise: the way up was measured
    pieces = [
        piece
        for rising, part in parts
        for piece in ([part] if rising else _pieces(part, max(between_v, WITHIN_V) + _TURN_V))
    ]
    rises = [rise for piece in pieces for rise in _rises(piece, upto_v)]
    holes = [
        0.0 if each.voltage_v is None else abs(each.voltage_v)
        for each in curve.holes
        if each.voltage_v is None or abs(each.voltage_v) <= upto_v
    ]
    limited = [point.bias_v for point in near if point.current_a >= LIMITING * compliance_a]
    ends = [max(point.bias_v for point in ramp) for ramp in ramps]
    return Evidence(
        reached_v=reached_v,
        step_v=step_v,
        between_v=between_v,
        short_v=min(ends) if min(ends) < upto_v - 2 * _EXACT else None,
        limited_v=min(limited, default=None),
        hole_v=min(holes, default=None),
        lost_v=min((lost for ramp in ramps for lost in _lost(ramp, upto_v)), default=None),
        doubled=_first(rise for rise in rises if rise.factor > DOUBLED * (1 + _EXACT)),
        risen=_first(_per_step(rises, between_v)),
        has_current=any(point.current_a > NO_CURRENT_A for point in points),
    )


def reached_v(curves: Sequence[Measured]) -> float | None:
    """Voltage furthest from 0 that every IV curve reached, in volts with its sign; None if there is no curve."""
    ends = [
        max((point.voltage_v for point in curve.points), key=abs)
        for curve in curves
        if isinstance(curve, IvCurve) and curve.points
    ]
    return min(ends, key=abs, default=None)


def interpolated(one: Biased, other: Biased, bias_v: float) -> float:
    """Current at a voltage, in amperes, on the straight line through two measurements."""
    share = (bias_v - one.bias_v) / (other.bias_v - one.bias_v)
    return one.current_a + share * (other.current_a - one.current_a)


def spans(volts: Sequence[float]) -> list[Span]:
    """Part a sweep into ramps that go up and falls between them; each begins at the last point of the one before."""
    found: list[Span] = []
    begin, extreme, rising = 0, volts[0] if volts else 0.0, True
    for place, each in enumerate(volts):
        if each < extreme - _TURN_V if rising else each > extreme + _TURN_V:
            found.append(Span(begin, place, rising))
            begin, extreme, rising = place - 1, each, not rising
        else:
            extreme = max(extreme, each) if rising else min(extreme, each)
    return [*found, Span(begin, len(volts), rising)] if volts else []


def _steps(ramps: Sequence[Sequence[Biased]]) -> tuple[float, float]:
    """Give the largest step of all ramps, with and without the one from 0 V to where the lowest of them begins."""
    between = max(
        (now.bias_v - before.bias_v for ramp in ramps for before, now in pairwise(_sorted(ramp))), default=0.0
    )
    first = min(point.bias_v for ramp in ramps for point in ramp)
    return max(between, first), between


def _sorted(part: Sequence[Biased]) -> list[Biased]:
    """Give a ramp from 0 V up."""
    return sorted(part, key=lambda each: each.bias_v)


def _rises(part: Sequence[Biased], upto_v: float) -> Iterator[Rise]:
    """Give for every reading beyond 20 V how much more it is than the least of 5 V before, or than the one before."""
    points = _judged(_sorted(part))
    noise_a = _noise(part)
    window: deque[Biased] = deque()  # its currents rise, so that the first is the least
    for before, point in zip([None, *points], points, strict=False):
        if point.bias_v > upto_v:
            return
        while window and window[0].bias_v < point.bias_v - WITHIN_V - _EXACT:
            window.popleft()
        least = window[0].current_a if window else before.current_a if before else None
        if least is not None and before is not None:
            least = min(least, _between(points, point.bias_v - WITHIN_V, least))
        if (
            least is not None
            and point.current_a > max(least, NO_CURRENT_A)
            and not (point.current_a < NOISE_A and point.current_a - least <= noise_a)
        ):
            yield Rise(point.bias_v, point.current_a / least if least else float("inf"), point.current_a)
        while window and window[-1].current_a >= point.current_a:
            window.pop()
        window.append(point)


def _pieces(part: Sequence[Biased], widest_v: float) -> Iterator[Sequence[Biased]]:
    """Part readings where two of them are farther apart."""
    begin = 0
    for place, (before, now) in enumerate(pairwise(part), 1):
        if abs(now.bias_v - before.bias_v) > widest_v:
            yield part[begin:place]
            begin = place
    yield part[begin:]


def _noise(part: Sequence[Biased]) -> float:
    """Give how large a rise of a ramp may be by its noise, as its readings up to 20 V have it; 0 if they are too few."""
    # of several readings at a voltage the last: at 0 V that leaves out what is at the other sign
    last = {
        point.bias_v: point.current_a for point in _sorted(part) if point.bias_v <= JUDGED_FROM_V + _TURN_V
    }
    amperes = list(last.values())
    if len(amperes) < _NOISE_OF:
        return 0.0
    steps = [abs(now - before) for before, now in pairwise(amperes)]
    bends = [
        abs(now - (before + after) / 2)
        for before, now, after in zip(amperes, amperes[1:], amperes[2:], strict=False)
    ]
    return NOISE * min(median_low(steps), median(bends))


def _lost(ramp: Sequence[Biased], upto_v: float) -> Iterator[float]:
    """Give the voltages at which there is no current any more, or from 20 V on only a small part of it."""
    most_a = judged_a = 0.0
    for point in _sorted(ramp):
        if point.bias_v > upto_v:
            return
        is_lost = point.current_a <= NO_CURRENT_A and most_a >= NOISE_A
        if is_lost or (judged_a >= NOISE_A and point.current_a < LOST * judged_a):
            yield point.bias_v
        most_a = max(most_a, point.current_a) if point.bias_v > _TURN_V else most_a
        judged_a = max(judged_a, point.current_a) if point.bias_v >= JUDGED_FROM_V else judged_a


def _judged(points: list[Biased]) -> list[Biased]:
    """Leave the readings from 20 V on, with the one at 20 V drawn between its neighbours where there is none."""
    beyond = [point for point in points if point.bias_v >= JUDGED_FROM_V]
    below = [point for point in points if point.bias_v < JUDGED_FROM_V]
    if beyond and below and beyond[0].bias_v > JUDGED_FROM_V:
        return [Biased(JUDGED_FROM_V, interpolated(below[-1], beyond[0], JUDGED_FROM_V)), *beyond]
    return beyond


def _between(points: Sequence[Biased], volts: float, least: float) -> float:
    """Give the current drawn at a voltage between two readings; `least` where there is none below it."""
    place = bisect_left(points, volts, key=lambda each: each.bias_v)
    if not 0 < place < len(points) or points[place].bias_v == points[place - 1].bias_v:
        return least
    return interpolated(points[place - 1], points[place], volts)


def _per_step(rises: Sequence[Rise], step_v: float) -> Iterator[Rise]:
    """Notable rises: of 20 % and more in 5 V, a larger step counting as so many of them."""
    share = min(1.0, WITHIN_V / step_v) if step_v else 1.0
    for rise in rises:
        factor = rise.factor**share
        if factor >= NOTABLE_RISE * (1 - _EXACT):
            yield Rise(rise.at_v, factor, rise.amperes)


def _first(rises: Iterator[Rise]) -> Rise | None:
    return min(rises, key=lambda rise: rise.at_v, default=None)
