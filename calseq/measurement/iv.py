"""The figures of an IV curve, as Panthera shows them: reverse bias in positive volts, currents as magnitudes."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from calseq.measurement.curves import IvCurve, IvPoint
from calseq.measurement.evidence import LIMITING, NO_CURRENT_A, Biased, interpolated, spans
from calseq.model.plan import Module, Plan

AREAS_CM2 = {"1x2": 7.85, "2x2": 15.41}
"""The sensor's area by module type, as Panthera has it."""

SHOWN_AT_V = (25.0, 80.0, 100.0, 120.0)
"""Where Panthera shows the current."""

MARKED_V = (25.0, 80.0)
"""Where a plot has a mark."""

DEPLETED_V = 60.0
STEP_V = 5.0
RISE = 0.2
"""dirigent's definition of a breakdown: the first voltage above full depletion (60 V) at which the current rises by
more than 20 % against the previous measurement, in steps of 5 V."""

TOLERANCE_V = 0.25
"""What a supply reads back is a little beside what it was set to: 79.992 V are 80 V, 60.004 V are not beyond 60 V, and
4.75 V to 5.25 V are a step of 5 V. A twentieth of a step is far more than supplies are off, and far less than a step."""
_NEAR_ZERO_V = 0.5
_ABOVE = 1.5
_BACK = 0.25
_NOISE_A = 1e-9
_MANY_UA = 1e6
_NO_UA = 1e-9


class CurrentAt(Struct, frozen=True):
    """The current at a voltage, interpolated between its two neighbours; None if the sweep did not come that far."""

    bias_v: float
    current_a: float | None


class Breakdown(Struct, frozen=True):
    """Where the sensor breaks down. `said` tells why there is no voltage: none was found, or it is not `defined`."""

    bias_v: float | None = None
    said: str = ""
    defined: bool = True


class Told(Struct, frozen=True):
    """What dirigent's breakdowns.json says of a module: the voltage with its sign, None for no breakdown."""

    volts: float | None = None

    def __str__(self) -> str:
        return "none" if self.volts is None else f"{self.volts:g} V"


class IvFigures(Struct, frozen=True):
    """What an IV curve comes to. `notes` say what to keep in mind, and why something is missing.

    `way_up` are the measurements that the figures are of: of a sweep both ways only the way up. `limited_at_v` is
    where the current first reached the supply's compliance, `working_v` the supply's own setting, with its sign.
    """

    way_up: tuple[Biased, ...]
    at: tuple[CurrentAt, ...]
    breakdown: Breakdown
    reached_v: float | None = None
    area_cm2: float | None = None
    working_v: float | None = None
    working: CurrentAt | None = None
    compliance_a: float | None = None
    limited_at_v: float | None = None
    notes: tuple[str, ...] = ()

    def density(self, current_a: float | None) -> float | None:
        """Give a current in µA per cm² of the sensor; None if either is not known."""
        return None if current_a is None or not self.area_cm2 else current_a * 1e6 / self.area_cm2


def area_cm2(module_type: str) -> float | None:
    """Give the area of a module's sensor; None for a type that is not known."""
    return AREAS_CM2.get(module_type)


def figures(
    curve: IvCurve,
    *,
    module_type: str = "",
    working_v: float | None = None,
    compliance_a: float | None = None,
) -> IvFigures:
    """Work out what a curve comes to. `working_v` is the supply's `default_voltage`: its sign is that of reverse bias."""
    way_up, notes = _way_up(biased(curve.points, working_v))
    notes += [*_oddities(curve, compliance_a), *_signs(curve.points)]
    area = area_cm2(module_type)
    if area is None:
        unknown = f"the area of a module of type '{module_type}' is not known"
        why = unknown if module_type else "modules.json does not tell the type of the module"
        notes.append(f"no current per cm²: {why}")
    breakdown = find_breakdown(way_up)
    found_a = None if breakdown.bias_v is None else current_at(way_up, breakdown.bias_v)
    if found_a is not None and found_a < _NOISE_A:
        notes.append("the breakdown is of currents below 1 nA: it may be noise")
    return IvFigures(
        way_up=way_up,
        at=tuple(CurrentAt(bias_v, current_at(way_up, bias_v)) for bias_v in SHOWN_AT_V),
        breakdown=breakdown,
        reached_v=way_up[-1].bias_v if way_up else None,
        area_cm2=area,
        working_v=working_v,
        working=CurrentAt(abs(working_v), current_at(way_up, abs(working_v))) if working_v else None,
        compliance_a=compliance_a,
        limited_at_v=_limited_at(way_up, compliance_a),
        notes=tuple(notes),
    )


def figures_in(curve: IvCurve, plan: Plan) -> IvFigures:
    """Work out what a curve comes to, with what its plan knows of the module and its supply."""
    module = module_of(curve, plan)
    supplies = [
        supply
        for supply in plan.supplies
        if module is None or module.channel in {each.channel for each in supply.modules}
    ]
    targets = {supply.target_v for supply in supplies}
    limits = {supply.compliance_a for supply in supplies}
    return figures(
        curve,
        module_type=module.type if module else "",
        working_v=targets.pop() if len(targets) == 1 else None,
        compliance_a=limits.pop() if len(limits) == 1 else None,
    )


def module_of(curve: IvCurve, plan: Plan) -> Module | None:
    """Give the module that a curve is of: the one its file names, or the only one there is."""
    if not curve.module:
        return plan.modules[0] if len(plan.modules) == 1 else None
    return next((each for each in plan.modules if each.name == curve.module), None)


def biased(points: Sequence[IvPoint], working_v: float | None = None) -> tuple[Biased, ...]:
    """Give measurements as they are shown; forward bias is negative then."""
    reverse = 1.0 if working_v is not None and working_v > 0 else -1.0
    # adding 0 makes a zero of the negative one
    return tuple(Biased(reverse * each.voltage_v + 0.0, abs(each.current_a)) for each in points)


def find_breakdown(way_up: Sequence[Biased]) -> Breakdown:
    """Find the first voltage beyond 60 V at which the current is more than 20 % above that of 5 V before.

    That is the previous measurement in steps of 5 V. In smaller steps it is interpolated. Where nothing can be compared
    the breakdown is undefined: steps are larger, nothing was measured 5 V before, or the current there is zero.
    """
    beyond = [place for place, each in enumerate(way_up) if each.bias_v > DEPLETED_V + TOLERANCE_V]
    if not way_up:
        return _undefined("no sweep to judge")
    if not beyond:
        return _undefined(f"ends at {way_up[-1].bias_v:g} V, and is judged beyond {DEPLETED_V:g} V")
    doubt = ""
    for place in beyond:
        now, step_v = way_up[place], _step_v(way_up, place)
        if place and step_v > STEP_V + TOLERANCE_V:
            return _undefined(f"steps of {step_v:.3g} V, not {STEP_V:g} V")
        compared_a = _before(way_up, place)
        if compared_a is None:
            doubt = doubt or f"nothing was measured {STEP_V:g} V before {now.bias_v:g} V"
        elif not compared_a:
            doubt = doubt or f"the current {STEP_V:g} V before {now.bias_v:g} V is zero"
        # 20 % exactly is not more, whatever the last binary digit says
        elif now.current_a > (1.0 + RISE) * compared_a * (1.0 + 1e-9):
            return Breakdown(now.bias_v)
    return _undefined(doubt) if doubt else Breakdown(said=f"none up to {way_up[-1].bias_v:g} V")


def agree(found: Breakdown, told: Told) -> bool:
    """Whether the curve and breakdowns.json agree: no breakdown, or one not a step apart."""
    if found.bias_v is None or told.volts is None:
        return found.defined and found.bias_v is told.volts
    return abs(found.bias_v - abs(told.volts)) < STEP_V - TOLERANCE_V


def breakdown_words(found: Breakdown, told: Told | None) -> str:
    """Say where a sensor breaks down, and who says so: `-40 V by breakdowns.json; undefined by the curve: …`."""
    own = found.said if found.bias_v is None else f"{found.bias_v:g} V"
    if told is None:
        return own
    word, colon, why = own.partition(": ")
    return f"{told} by breakdowns.json; {word} by the curve{colon}{why}"


def _undefined(why: str) -> Breakdown:
    return Breakdown(said=f"undefined: {why}", defined=False)


def _step_v(way_up: Sequence[Biased], place: int) -> float:
    return way_up[place].bias_v - way_up[place - 1].bias_v if place else 0.0


def _before(way_up: Sequence[Biased], place: int) -> float | None:
    """Give the current of 5 V before; None if there is none, or its neighbours are farther apart than a step."""
    if _step_v(way_up, place) >= STEP_V - TOLERANCE_V:
        return way_up[place - 1].current_a
    before_v = way_up[place].bias_v - STEP_V
    above = bisect_left(way_up, before_v, key=lambda each: each.bias_v)
    if way_up[above].bias_v != before_v and _step_v(way_up, above) > STEP_V + TOLERANCE_V:
        return None
    return current_at(way_up, before_v)


def _way_up(shown: tuple[Biased, ...]) -> tuple[tuple[Biased, ...], list[str]]:
    """Give the measurements from the first one to the largest reverse bias, and what there is to say about it."""
    if not shown:
        return (), ["no points"]
    reverse = [each for each in shown if each.bias_v >= -_NEAR_ZERO_V]
    forward = len(shown) - len(reverse)
    if not reverse or (forward and max(each.bias_v for each in reverse) <= _NEAR_ZERO_V):
        why = "it goes the other way than the bias: forward, or written without its sign"
        return (), [f"no figures: {why}"]
    notes = (
        [f"{forward} of {len(shown)} points are at forward bias, and not in the figures"] if forward else []
    )
    ramps = _ramps(reverse)
    if len(ramps) > 1:
        notes = [*notes, f"several ramps: the figures are of the first of {len(ramps)}"]
        reverse = reverse[: ramps[1]]
    top = max(range(len(reverse)), key=lambda place: reverse[place].bias_v)
    back = (
        place
        for place in range(top, len(reverse))
        if reverse[place].bias_v < reverse[top].bias_v - TOLERANCE_V
    )
    end = next(back, len(reverse))
    way_up = _risen(reverse[:end])
    if any(now.bias_v <= before.bias_v for before, now in pairwise(way_up)):
        return (), [*notes, "no figures: the voltage does not rise from point to point"]
    if len(way_up) == 1 and len(reverse) > 1:
        return (), [*notes, "no figures: the sweep begins at its largest voltage, and has no way up"]
    if len(way_up) < end:
        again = f"{end - len(way_up)} of {len(reverse)} points"
        notes.append(f"measured again at the voltage before, and not in the figures: {again}")
    if end < len(reverse):
        notes.append("a sweep both ways: the figures are of the way up")
    return tuple(way_up), notes


def _ramps(points: Sequence[Biased]) -> list[int]:
    """Give the places at which ramps begin: where the voltage was brought back to near its start, and rises again."""
    volts = [each.bias_v for each in points]
    again = (
        part.begin
        for part in spans(volts)
        if part.rising
        and part.begin
        and volts[part.begin] <= _BACK * max(volts[: part.begin])
        and max(volts[part.begin : part.end]) - volts[part.begin] > STEP_V
    )
    return [0, *again]


def _oddities(curve: IvCurve, compliance_a: float | None) -> list[str]:
    """Say what of a curve is not as it should be: how it was read, readings that are none, currents that cannot be."""
    notes = [*curve.remarks]
    if curve.is_set:
        notes.append("the voltage is the one that was set, and was not measured")
    if curve.holes:
        first = curve.holes[0]
        rows = len(curve.points) + len(curve.holes)
        notes.append(
            f"{len(curve.holes)} of {rows} rows have no reading, and are left out: line {first.line} has '{first.text}'"
        )
    largest_a = max((abs(each.current_a) for each in curve.points), default=None)
    if largest_a is not None and largest_a <= NO_CURRENT_A:
        notes.append("no current at all: was HV connected?")
    elif largest_a is not None and compliance_a and largest_a > _ABOVE * abs(compliance_a):
        notes.append("currents are above the supply's compliance: is the unit right?")
    return notes


def _risen(points: Sequence[Biased]) -> list[Biased]:
    """Leave out what was measured again at the voltage of a point before.

    Many sweeps measure at 0 V twice, and a supply that limits the current holds its voltage, whatever it is set to.
    """
    risen: list[Biased] = []
    for each in points:
        if not risen or not 0 <= risen[-1].bias_v - each.bias_v <= TOLERANCE_V:
            risen.append(each)
    return risen


def _signs(points: Sequence[IvPoint]) -> list[str]:
    odd = sum(each.voltage_v * each.current_a < 0 and abs(each.voltage_v) > _NEAR_ZERO_V for each in points)
    return [f"{odd} of {len(points)} currents have the other sign than their voltage"] if odd else []


def current_at(way_up: Sequence[Biased], bias_v: float) -> float | None:
    """Give the current at a voltage, interpolated between its two neighbours; None outside the sweep.

    The first and the last measurement stand for a voltage that they miss by no more than the tolerance.
    """
    place = bisect_left(way_up, bias_v, key=lambda each: each.bias_v)
    if not way_up:
        return None
    if place in (0, len(way_up)):
        end = way_up[0 if place == 0 else -1]
        return end.current_a if abs(end.bias_v - bias_v) <= TOLERANCE_V else None
    above = way_up[place]
    return above.current_a if above.bias_v == bias_v else interpolated(way_up[place - 1], above, bias_v)


def _limited_at(way_up: Sequence[Biased], compliance_a: float | None) -> float | None:
    if not compliance_a:
        return None
    return next((each.bias_v for each in way_up if each.current_a >= LIMITING * compliance_a), None)


def microamperes(current_a: float) -> str:
    """Give a current in µA, three digits of it, without its unit."""
    value = abs(current_a) * 1e6
    if value >= _MANY_UA:
        return f"{value:.3g}"
    if value < _NO_UA or value >= 99.95:
        return f"{value:.0f}"
    return f"{value:#.3g}" if value >= 1e-3 else f"{value:.2e}"
