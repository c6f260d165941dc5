"""Times of HV ramps, and of the end that icicle gives the supplies of a child."""

from collections.abc import Mapping
from typing import Any

from calseq.model.rails import ramp_delay_s, ramp_step_v

SPARE_S = 30.0
"""Time for what a child does beside its supplies: the end of its data acquisition."""


def ramp_s(entry: Mapping[str, Any], distance_v: float) -> float:
    """Seconds that an HV supply of instruments.json needs for so many volts."""
    return abs(distance_v) / ramp_step_v(entry) * ramp_delay_s(entry)


def icicle_end_s(modules: int) -> float:
    """Seconds in which icicle switches off so many modules, beside the ramps: it goes over all of them for each."""
    return modules * (4.0 * modules + 6.0)
