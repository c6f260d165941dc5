"""Low voltage and bias: the states they may be in, and the only order in which they may change."""

from collections.abc import Mapping
from enum import StrEnum
from math import isfinite
from typing import Any

from msgspec import Struct

V_SAFE = 2.0
"""|HV| in volts up to which the bias counts as gone, read back and not assumed (invariant I1)."""


RAMP_STEP_V, RAMP_DELAY_S = 5.0, 1.0
"""The steps of a ramp of HV where an instrument's settings say nothing that can be used, and the wait after each."""

RAMP_STEP_MOST_V, RAMP_DELAY_LEAST_S = 10.0, 0.1
"""Whatever the settings say: a step is never larger, a wait never shorter."""


def ramp_step_v(settings: Mapping[str, Any]) -> float:
    """Step of a ramp of HV, in volts: the instrument's `default_step_size` as far as it is safe."""
    size = _number(settings.get("default_step_size"))
    return min(size, RAMP_STEP_MOST_V) if size is not None and size > 0 else RAMP_STEP_V


def ramp_delay_s(settings: Mapping[str, Any]) -> float:
    """Wait after each step of a ramp of HV, in seconds: the instrument's `default_delay` as far as it is safe."""
    delay = _number(settings.get("default_delay"))
    return max(delay, RAMP_DELAY_LEAST_S) if delay is not None and delay >= 0 else RAMP_DELAY_S


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        return None
    return float(value)


class Role(StrEnum):
    """What an instrument is for, in icicle's words."""

    LV = "lv"
    HV = "hv"
    AB = "ab"
    CB = "cb"
    HB = "hb"


SUPPLIES = frozenset({Role.LV, Role.HV})
"""The roles that are rails: who may switch them is decided for every step."""

ROLE_NAMES = {
    Role.LV: "low voltage",
    Role.HV: "high voltage",
    Role.AB: "adapter or probe-card board",
    Role.CB: "cold box",
    Role.HB: "HV box",
}


class Lv(StrEnum):
    """A state of the low voltage."""

    OFF = "off"
    ON = "on"


class Hv(StrEnum):
    """A state of the high voltage: `bias` is the bench's `default_voltage`."""

    OFF = "off"
    BIAS = "bias"


class Move(StrEnum):
    """One change of one rail; a power backend carries it out and reads it back."""

    HV_OFF = "hv-off"
    LV_OFF = "lv-off"
    LV_ON = "lv-on"
    HV_BIAS = "hv-bias"


class Rails(Struct, frozen=True):
    """The state of both rails. A bias without low voltage cannot be written down."""

    lv: Lv
    hv: Hv

    def __post_init__(self) -> None:
        if self.hv is Hv.BIAS and self.lv is Lv.OFF:
            raise ValueError("bias needs the low voltage on")


BOTH_OFF = Rails(Lv.OFF, Hv.OFF)
POWERED = Rails(Lv.ON, Hv.OFF)
BIASED = Rails(Lv.ON, Hv.BIAS)


class StepType(StrEnum):
    """What kind of measurement a calibration is; it alone decides the rails."""

    GENERAL = "general"
    IVCURVE = "ivcurve"
    SLDO = "sldo"
    TUNING = "tuning"
    OPENBUMPS = "openbumps"


class RailRule(Struct, frozen=True):
    """What a type of calibration asks of the rails: `before` it starts, and which rails the child drives."""

    before: Rails
    driven: frozenset[Role]

    @property
    def powered(self) -> frozenset[Role]:
        """The supplies that `before` wants on."""
        wanted = {Role.LV: self.before.lv is Lv.ON, Role.HV: self.before.hv is Hv.BIAS}
        return frozenset(role for role, on in wanted.items() if on)


RAIL_RULES = {
    StepType.GENERAL: RailRule(POWERED, frozenset()),
    StepType.SLDO: RailRule(BOTH_OFF, frozenset({Role.LV})),
    StepType.IVCURVE: RailRule(BOTH_OFF, frozenset({Role.LV, Role.HV})),
    StepType.TUNING: RailRule(BIASED, frozenset()),
    StepType.OPENBUMPS: RailRule(BIASED, frozenset()),
}


class Reading(Struct, frozen=True):
    """One rail as it was read back: `on` is None when that could not be learnt."""

    on: bool | None = None
    voltage_v: float | None = None
    current_a: float | None = None

    @property
    def word(self) -> str:
        """State of the rail: `on`, `off` or `unknown`."""
        return "unknown" if self.on is None else "on" if self.on else "off"


class Readings(Struct, frozen=True):
    """Both rails as they were read back; over several supplies, the one furthest from safe."""

    lv: Reading = Reading()
    hv: Reading = Reading()

    @property
    def hv_gone(self) -> bool:
        """HV is known to be off and its voltage, where it can be read, to have decayed."""
        return self.hv.on is False and (self.hv.voltage_v is None or abs(self.hv.voltage_v) <= V_SAFE)

    @property
    def all_off(self) -> bool:
        """Both rails are confirmed off."""
        return self.hv_gone and self.lv.on is False

    @property
    def words(self) -> str:
        """Both rails for an operator: `HV reads off at 0 V, LV reads on at 4 V`."""
        return ", ".join(
            f"{name} reads {rail.word}" + (f" at {rail.voltage_v:g} V" if rail.voltage_v is not None else "")
            for name, rail in (("HV", self.hv), ("LV", self.lv))
        )


def moves(present: Readings, wanted: Rails) -> tuple[Move, ...]:
    """Give the moves from the `present` rails to the `wanted` ones.

    HV goes off before any change of LV, LV goes on before HV, and HV is never on without LV.
    What is unknown counts as on for HV and as wrong for LV.
    """
    lv_right = present.lv.on is (wanted.lv is Lv.ON)
    hv_right = present.hv.on is True if wanted.hv is Hv.BIAS else present.hv_gone
    path: list[Move] = []
    if not present.hv_gone and not (hv_right and lv_right):
        path.append(Move.HV_OFF)
        hv_right = wanted.hv is Hv.OFF
    if not lv_right:
        path.append(Move.LV_ON if wanted.lv is Lv.ON else Move.LV_OFF)
    if not hv_right:
        path.append(Move.HV_BIAS)
    return tuple(path)
