"""What a move of a supply breaks: the rules that real supplies do not enforce."""

from collections.abc import Mapping

from msgspec import Struct

from calseq.model.rails import V_SAFE, Role, StepType
from calseq.simulator.wiring import Output, Wiring

HARD_OFF_V = 10.0
"""|HV| in volts up to which an output may be switched off without a ramp."""

_AT_BIAS_V = 0.5


class Level(Struct, frozen=True):
    """What an output gives now."""

    on: bool = False
    volts: float = 0.0
    amps: float = 0.0


Levels = Mapping[str, Level]


def lv_moved(wiring: Wiring, levels: Levels, output: Output, what: str) -> list[str]:
    """Rules broken by moving an LV output: HV of its modules has to be off."""
    return [
        f"{output.name} {what} while {hv.name} is {_state(levels[hv.name])}"
        for hv in wiring.sharing(output, Role.HV)
        if levels[hv.name].on or abs(levels[hv.name].volts) > V_SAFE
    ]


def hv_raised(wiring: Wiring, levels: Levels, output: Output) -> list[str]:
    """Give what is broken by switching an HV output on or driving it up: LV of its modules has to be on."""
    return [
        f"{output.name} driven while {lv.name} is off"
        for lv in wiring.sharing(output, Role.LV)
        if not levels[lv.name].on
    ]


def hv_biased(levels: Levels, output: Output, volts: float, breakdown_v: float) -> list[str]:
    """Give what is broken by a bias: it may not go beyond the breakdown voltage, an IV sweep may."""
    limit = abs(breakdown_v)
    if abs(levels[output.name].volts) <= limit < abs(volts):
        return [f"{output.name} biased to {volts:g} V, beyond the breakdown at {breakdown_v:g} V"]
    return []


def hv_cut(levels: Levels, output: Output) -> list[str]:
    """Rules broken by switching an HV output off at its voltage: it has to be ramped down before."""
    volts = levels[output.name].volts
    return [f"{output.name} switched off hard at {volts:g} V"] if abs(volts) > HARD_OFF_V else []


def step_run(wiring: Wiring, levels: Levels, step_type: StepType) -> list[str]:
    """Give what is wrong with the rails for a calibration that was not given the supplies."""
    if step_type in (StepType.SLDO, StepType.IVCURVE):
        return []
    broken = [f"{lv.name} is off" for lv in wiring.of(Role.LV) if not levels[lv.name].on]
    wanted = _unbiased if step_type is StepType.GENERAL else _biased
    broken += [
        f"{hv.name} is {_state(levels[hv.name])}" for hv in wiring.of(Role.HV) if not wanted(hv, levels)
    ]
    return [f"runs a calibration of type {step_type} while {what}" for what in broken]


def _unbiased(output: Output, levels: Levels) -> bool:
    level = levels[output.name]
    return not level.on and abs(level.volts) <= V_SAFE


def _biased(output: Output, levels: Levels) -> bool:
    level = levels[output.name]
    return level.on and abs(level.volts - output.volts) <= _AT_BIAS_V


def _state(level: Level) -> str:
    return f"{'on' if level.on else 'off'} at {level.volts:g} V"
