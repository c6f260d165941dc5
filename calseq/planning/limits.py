"""The HV limit that a sequence or a bench sets: no voltage beyond it may be asked for, wherever that is written."""

from collections.abc import Iterator

from calseq.bench.bench import Bench
from calseq.bench.dirigent_config import Sweep
from calseq.model.rails import Role, StepType
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Place, Problem
from calseq.sequence.sequence import Sequence, SequenceStep
from calseq.sequence.voltages import beyond, hv_limit, options_beyond, step_named


def limit_problems(sequence: Sequence, bench: Bench) -> Iterator[Problem]:
    """Voltages beyond the strictest limit: of options, `--set`, dirigent.toml, `default_voltage`."""
    limits = [
        limit for document in (sequence.document, bench.document) if (limit := hv_limit(document)) is not None
    ]
    if not limits:
        return
    limit_v = min(limits, key=abs)
    yield from _out_of_reach(sequence, bench)
    yield from _targets(bench, limit_v)
    for step in sequence.steps:
        if step.calibration.type is StepType.IVCURVE:
            options = list(options_beyond(sequence.document, step, limit_v))
            yield from options or _curve(step, sweep_end_v(step, bench), limit_v)


def _targets(bench: Bench, limit_v: float) -> Iterator[Problem]:
    names = {wires[Role.HV].instrument for wires in bench.wiring.channels.values() if Role.HV in wires}
    for name in sorted(names):
        target_v = bench.wiring.instruments[name]["default_voltage"]
        if abs(target_v) > abs(limit_v):
            place = instrument_place(bench, name, "default_voltage")
            message = f"the bias {target_v:g} V of '{printable(name, 40)}'"
            yield beyond(message, limit_v, place, "")


def _out_of_reach(sequence: Sequence, bench: Bench) -> Iterator[Problem]:
    """A limit beyond the range of every supply limits nothing; a supply that states no range may reach anything."""
    names = {wires[Role.HV].instrument for wires in bench.wiring.channels.values() if Role.HV in wires}
    ranges = [bench.wiring.instruments[name].get("default_range") for name in sorted(names)]
    known = [abs(each) for each in ranges if isinstance(each, (int, float)) and not isinstance(each, bool)]
    if not known or len(known) < len(names):
        return
    for document in (sequence.document, bench.document):
        limit_v = hv_limit(document)
        if limit_v is not None and abs(limit_v) > max(known):
            message = f"nothing can reach the limit of {limit_v:g} V: no supply of the bench goes beyond {max(known):g} V"
            place = document.place(("limits", "hv"))
            yield Problem(codes.UNREACHABLE_LIMIT, message, "lower the limit to what the sensor takes", place)


def _curve(step: SequenceStep, end_v: float | None, limit_v: float) -> Iterator[Problem]:
    if end_v is None:
        cure = f"state '{step.calibration.sweep_end or 'max_voltage'}' in its options: a limit must be checked before the run"
        message = f"it is not known how far '{step.name}' goes, and the limit is {limit_v:g} V"
        yield Problem(codes.BEYOND_LIMIT, message, cure, step.place, step_named(step))
    elif abs(end_v) > abs(limit_v):
        yield beyond(f"the end of the curve, {end_v:g} V,", limit_v, step.sweep_place, step_named(step))


def sweep_end_v(step: SequenceStep, bench: Bench) -> float | None:
    """Voltage at which an IV curve ends: as the step has it, else dirigent.toml; None if it is not known."""
    if step.calibration.type is not StepType.IVCURVE or step.sweep_is_open:
        return None
    configured = bench.sweeps.get(step.calibration.name, Sweep())
    end_v = step.sweep_end_v if step.sweep_end_v is not None else configured.end_v
    return abs(end_v) if end_v is not None and configured.positive else end_v


def instrument_place(bench: Bench, name: str, key: str = "") -> Place:
    """Place of an instrument in instruments.json, or of one of its keys."""
    root = "instruments" if ("instruments",) in bench.instruments.values else "instrument_dict"
    return bench.instruments.place((root, name, key) if key else (root, name), key=not key)
