"""Supplies that a child is given, and the seconds that it needs to ramp down and to switch them off."""

from calseq.bench.bench import Bench
from calseq.bench.ramps import SPARE_S, icicle_end_s, ramp_s
from calseq.model.plan import BiasSupply, PowerMode
from calseq.model.rails import RAIL_RULES, SUPPLIES, Role, StepType
from calseq.planning.limits import sweep_end_v
from calseq.sequence.sequence import SequenceStep


def stop_grace_s(step: SequenceStep, given: tuple[Role, ...], bench: Bench) -> float:
    """Seconds to end in, once asked: as written, else at least what the supplies of the child need."""
    written_s = step.policies.stop_grace_s
    return written_s if step.grace_place else max(written_s, end_s(step, given, bench))


def usual_s_of(step: SequenceStep, given: tuple[Role, ...], bench: Bench) -> float | None:
    """Seconds that a step takes by the catalogue, which knows one module: icicle's end of more takes longer."""
    usual_s = step.calibration.usual_s
    if usual_s is None or not SUPPLIES.intersection(given):
        return usual_s
    return usual_s + icicle_end_s(max(1, powered_modules(bench))) - icicle_end_s(1)


def end_s(step: SequenceStep, given: tuple[Role, ...], bench: Bench) -> float:
    """Seconds that a child needs to ramp down and to switch off the supplies that it was given; 0 without any."""
    if not SUPPLIES.intersection(given):
        return 0.0
    ramps_s = sum(_ramp_down_s(step, each, bench) for each in bias_supplies(bench) if Role.HV in given)
    return ramps_s + icicle_end_s(powered_modules(bench)) + SPARE_S


def _ramp_down_s(step: SequenceStep, supply: BiasSupply, bench: Bench) -> float:
    """Seconds of a supply's ramp to 0 V from the largest voltage of a step."""
    entry = bench.wiring.instruments[supply.instrument]
    reach_v = abs(supply.target_v)
    if step.calibration.type is StepType.IVCURVE:
        end_v = sweep_end_v(step, bench)
        reach_v = max(reach_v, abs(float(entry.get("default_range", 0.0)) if end_v is None else end_v))
    return ramp_s(entry, reach_v)


def powered_modules(bench: Bench) -> int:
    """Number of channels with a supply."""
    return sum(bool(SUPPLIES.intersection(wires)) for wires in bench.wiring.channels.values())


def bias_supplies(bench: Bench) -> tuple[BiasSupply, ...]:
    """HV instruments of a bench, each with its target and its modules by name."""
    return bench.wiring.bias_supplies({module.channel: module.name for module in bench.modules})


def given_roles(step: SequenceStep, mode: PowerMode) -> tuple[Role, ...]:
    """Roles that the child may touch: of the supplies, those that it drives itself, and no other."""
    driven = RAIL_RULES[step.calibration.type].driven
    kept = frozenset() if mode is PowerMode.DIRIGENT else SUPPLIES - driven
    return tuple(role for role in Role if role in step.needs - kept)
