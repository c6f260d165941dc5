"""Times of HV ramps, and of the end that icicle gives the supplies of a child."""

import math
from collections.abc import Mapping

STEP_V = 5.0
DELAY_S = 1.0
"""Steps and waits of a ramp where instruments.json names none."""

SPARE_S = 30.0
"""Time for what a child does beside its supplies: the end of its data acquisition."""


def ramp_s(entry: Mapping[str, object], distance_v: float) -> float:
    """Seconds that an HV supply of instruments.json needs for so many volts."""
    step_v = _above_zero(entry.get("default_step_size"), STEP_V)
    return abs(distance_v) / step_v * _above_zero(entry.get("default_delay"), DELAY_S)


def icicle_end_s(modules: int) -> float:
    """Seconds in which icicle switches off so many modules, beside the ramps: it goes over all of them for each."""
    return modules * (4.0 * modules + 6.0)


def _above_zero(value: object, default: float) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
        return float(value)
    return default
