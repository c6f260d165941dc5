"""An IV sweep as the stand-in measures it: a supply that limits, a dirigent that judges beyond 60 V only, and their faults."""

import itertools
import math
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from calseq.simulator.faults import Misbehaviour
from calseq.simulator.sensor import FULL_DEPLETION_V, leakage_a

OVERFLOW = 9.91e37
"""What a source meter writes for no reading."""

_RISE = 1.2
_STEP_V = 5.0
_STEEP = 1.6
_LAG = 0.5
_UNREAD_V = (40.0, 60.0)


class Measured(Struct, frozen=True):
    """One measurement: the voltage that was set, that which was read back, and the current; volts and amperes."""

    set_v: float
    read_v: float
    amps: float


def measure(
    voltages: Sequence[float], breakdown_v: float, module: str, limit_a: float, faults: Misbehaviour
) -> list[Measured]:
    """Measure a sweep. It ends one step beyond the breakdown that dirigent finds, else at its last voltage."""
    readings = [_measured(volts, breakdown_v, module, limit_a, faults) for volts in _ending(voltages, faults)]
    found = first_breakdown(readings)
    if found is not None:
        place = next(place for place, each in enumerate(readings) if each.set_v == found)
        readings = readings[: place + 2]
    return readings


def first_breakdown(readings: Sequence[Measured]) -> float | None:
    """Give the first voltage beyond full depletion at which the current is more than 20 % above that of the one before."""
    for before, now in itertools.pairwise(readings):
        rises = abs(now.amps) > _RISE * abs(before.amps)
        if abs(now.set_v) > FULL_DEPLETION_V + 1e-9 and abs(now.set_v) > abs(before.set_v) and rises:
            return now.set_v
    return None


def written(readings: Sequence[Measured], faults: Misbehaviour) -> list[Measured]:
    """Give measurements as they are written: with numbers that are no readings, or in another unit than is said."""
    if "millivolt" in faults:
        readings = [replace(each, read_v=1000.0 * each.read_v) for each in readings]
    if "sentinel" in faults:
        low, high = _UNREAD_V
        readings = [
            replace(each, amps=OVERFLOW) if low <= abs(each.set_v) <= high else each for each in readings
        ]
    return list(readings)


def _ending(voltages: Sequence[float], faults: Misbehaviour) -> list[float]:
    end_v = faults.value("ends")
    return [volts for volts in voltages if end_v is None or abs(volts) <= abs(end_v) + 1e-9]


def _measured(
    set_v: float, breakdown_v: float, module: str, limit_a: float, faults: Misbehaviour
) -> Measured:
    read_v = set_v * _LAG if "drift" in faults else set_v
    stop_v = faults.value("compliance")
    if stop_v is not None and abs(read_v) >= abs(stop_v):
        return Measured(set_v, math.copysign(abs(stop_v), set_v), math.copysign(limit_a, set_v))
    amps = _risen(leakage_a(read_v, breakdown_v, module), read_v, faults.value("rise"))
    if abs(amps) <= limit_a:
        return Measured(set_v, read_v, amps)
    return Measured(
        set_v, _held_v(read_v, breakdown_v, module, limit_a, faults), math.copysign(limit_a, amps)
    )


def _risen(amps: float, volts: float, from_v: float | None) -> float:
    if from_v is None or abs(volts) < abs(from_v):
        return amps
    return float(amps * _STEEP ** min((abs(volts) - abs(from_v)) / _STEP_V + 1.0, 40.0))


def _held_v(volts: float, breakdown_v: float, module: str, limit_a: float, faults: Misbehaviour) -> float:
    """Give the voltage at which a supply that limits stays, by halving."""
    low, high = 0.0, volts
    for _ in range(40):
        middle = (low + high) / 2
        amps = _risen(leakage_a(middle, breakdown_v, module), middle, faults.value("rise"))
        low, high = (middle, high) if abs(amps) <= limit_a else (low, middle)
    return low
