"""Checks of a sequence on a bench: instruments, cold boxes, graces, database, sensors, bias."""

import math
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any

from calseq.bench.bench import Bench
from calseq.documents.durations import spelled
from calseq.measurement.acceptance import acceptance, foreseen, needs_module_type
from calseq.model.destinations import FelisReceiver
from calseq.model.physics import PHYSICS, beyond
from calseq.model.plan import BiasSupply, Module
from calseq.model.rails import BIASED, RAIL_RULES, ROLE_NAMES, SUPPLIES, Role, StepType
from calseq.planning.child_supplies import bias_supplies, end_s, given_roles, powered_modules
from calseq.planning.limits import instrument_place, limit_problems, sweep_end_v
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Place, Problem
from calseq.sequence.sequence import Sequence, SequenceStep

_LEAVES_MORE = "if your dirigent leaves them, say so in 'outputs:' of the site's calibrations; or send it with 'to: folder'"


def _short_graces(sequence: Sequence, bench: Bench) -> Iterator[Problem]:
    """Warnings of graces that are shorter than the end of the supplies: the child would be killed in mid-ramp."""
    for step in sequence.steps:
        needed_s = math.ceil(end_s(step, given_roles(step, bench.mode), bench))
        if step.grace_place and step.policies.stop_grace_s < needed_s:
            modules = powered_modules(bench)
            message = (
                f"'stop_grace' of {spelled(step.policies.stop_grace_s)}: switching off {modules} "
                f"module{'s' if modules > 1 else ''} takes up to {spelled(needed_s)} on this bench"
            )
            cure = f"write {spelled(needed_s)} or more, or delete it: the child would be killed in mid-ramp"
            yield Problem(codes.SHORT_GRACE, message, cure, step.grace_place, _within(step))


def plan_problems(sequence: Sequence, bench: Bench) -> Iterator[Problem]:
    """Problems of the steps that are to run on this bench, beyond those of the files themselves."""
    yield from _missing_instruments(sequence, bench)
    yield from _bias_problems(sequence, bench)
    yield from _cold_boxes(sequence, bench)
    yield from limit_problems(sequence, bench)
    yield from _short_graces(sequence, bench)
    yield from _hv_box_problems(sequence, bench)
    receiver = bench.upload.receiver if bench.upload else None
    if isinstance(receiver, FelisReceiver):
        yield from _not_for_felis(sequence, bench, receiver)
        yield from _other_sensors(sequence, bench, receiver)


def _missing_instruments(sequence: Sequence, bench: Bench) -> Iterator[Problem]:
    """One problem per missing role: where the sequence requires it, else at the first step that needs it."""
    missing = {role: channels for role in Role if (channels := _channels_without(role, bench)) is not None}
    for role, where in missing.items():
        place, within = _demand(sequence, role)
        if place is None:
            continue
        message = f"{role} ({ROLE_NAMES[role]}) is required, but {where}"
        cure = f"add it to {bench.instruments.source.name}, or take the step out"
        yield Problem(codes.MISSING_INSTRUMENT, message, cure, place, within)


def _cold_boxes(sequence: Sequence, bench: Bench) -> Iterator[Problem]:
    """Steps that need the cold box: a child that is given it switches it off at its end, with the module in it cold."""
    if Role.CB not in bench.wiring.roles():
        return
    for step in sequence.steps:
        if Role.CB in step.needs:
            place = sequence.document.place(("steps", step.number - 1))
            message = f"step {step.number}, {printable(step.name, 40)}, would be given the cold box, and switch it off at its end"
            cure = "take 'cb' out of what it needs: the box is not for a calibration to hold"
            yield Problem(codes.COLD_BOX_GIVEN, message, cure, place)


def _not_for_felis(sequence: Sequence, bench: Bench, receiver: FelisReceiver) -> Iterator[Problem]:
    """Warnings of steps of which Felis will take no result, and of modules of which it will not take that of a step."""
    without_type: dict[str, str] = {}
    known = acceptance().module_types
    for step in sequence.steps:
        within = _within(step)
        for rule in step.calibration.results:
            if why := foreseen(rule, step.calibration.outputs):
                message = f"Panthera will get nothing of '{printable(step.name, 40)}': {printable(why, 300)}"
                yield Problem(codes.NOT_FOR_FELIS, message, _LEAVES_MORE, step.place, within)
            for module in bench.modules:
                type_ = receiver.module_type_of(module.name, module.type, known)
                if why := needs_module_type(rule.type, type_):
                    without_type.setdefault(module.name or f"channel {module.channel}", why)
    for name, why in without_type.items():
        message = f"Panthera will get nothing of that of {printable(name, 40)}: {printable(why, 200)}"
        cure = "write it as \"type\" in modules.json, or as 'module_type:' in 'upload:'"
        yield Problem(codes.NOT_FOR_FELIS, message, cure, bench.document.place(("upload",), key=True))


def _other_sensors(sequence: Sequence, bench: Bench, receiver: FelisReceiver) -> Iterator[Problem]:
    """Errors of modules whose sensors are said to be others than those that the sequence is for: its voltages are not theirs."""
    for module in bench.modules:
        said = receiver.sensor_type_of(module.name)
        if sequence.sensor and said and said != sequence.sensor:
            message = f"the sequence is for {sequence.sensor} sensors, and by 'upload:' that of {_named(module)} is {printable(said, 40)}"
            cure = f"take the sequence for {printable(said, 40)} sensors, or correct 'sensor_type:' of the bench file"
            yield Problem(codes.OTHER_SENSOR, message, cure, sequence.document.place(("sensor",)))


def _channels_without(role: Role, bench: Bench) -> str | None:
    """Channels without a role, in words; None if it is there. A supply must be there for every module."""
    lacking = [key for key, wires in bench.wiring.channels.items() if role not in wires]
    if len(lacking) == len(bench.wiring.channels):
        return f"bench '{bench.name}' has no such instrument"
    if lacking and role in SUPPLIES:
        return f"channel '{lacking[0]}' of bench '{bench.name}' has none"
    return None


def _demand(sequence: Sequence, role: Role) -> tuple[Place | None, str]:
    if role in sequence.required:
        data: Any = sequence.document.data
        listed = data["required_instruments"]
        return sequence.document.place(("required_instruments", listed.index(role))), ""
    step = next((step for step in sequence.steps if role in step.needs), None)
    return (step.place, _within(step)) if step else (None, "")


def _bias_problems(sequence: Sequence, bench: Bench) -> Iterator[Problem]:
    """Problems of bias and sweeps: what would keep the sensor from being biased, or harm it."""
    supplies = bias_supplies(bench)
    if any(_is_biased(step) for step in sequence.steps):
        for supply in supplies:
            yield from _target_problem(supply.instrument, supply.target_v, bench)
        yield from _without_sensor(bench)
    for step in sequence.steps:
        if step.calibration.type is StepType.IVCURVE:
            yield from _sweep_doubts(step)
            yield from _curve_problem(step, _biased_by(step, sequence.steps), supplies, bench)


def _without_sensor(bench: Bench) -> Iterator[Problem]:
    """Modules without a sensor for which a bias is planned."""
    for module in bench.modules:
        if module.sensor is False and Role.HV in bench.wiring.channels[module.channel]:
            message = (
                f"modules.json says that {_named(module)} has no sensor, and steps of this sequence bias it"
            )
            cure = "correct 'sensor', or leave out the steps that need a bias (--skip)"
            yield Problem(codes.UNFIT_BENCH, message, cure, bench.document.place(("modules",)))


def _is_biased(step: SequenceStep) -> bool:
    return RAIL_RULES[step.calibration.type].before == BIASED


def _biased_by(curve: SequenceStep, steps: tuple[SequenceStep, ...]) -> SequenceStep | None:
    """First step whose bias depends on this curve, and not on a later one."""
    after = (step for step in steps if step.number > curve.number)
    later = takewhile(lambda step: step.calibration.type is not StepType.IVCURVE, after)
    return next(filter(_is_biased, later), None)


def _curve_problem(
    curve: SequenceStep, biased: SequenceStep | None, supplies: Iterable[BiasSupply], bench: Bench
) -> Iterator[Problem]:
    """First problem of how far a curve goes."""
    end_v = sweep_end_v(curve, bench)
    forward = end_v if end_v is not None and end_v > 0 else _forward_start(curve)
    if forward and not bench.bias.allow_forward:
        message = f"the curve goes to {forward:g} V: that would bias the sensor forward"
        cure = f"write {-forward:g}; 'bias: {{allow_forward: true}}' in the bench file allows it"
        yield _at_sweep(codes.FORWARD_SWEEP, message, cure, curve)
        return
    if end_v is None:
        if biased:
            yield _end_unknown(curve)
        return
    for supply in supplies:
        if not _is_good_target(supply.target_v, bench):
            continue
        other_way = bench.bias.sign == "same" and end_v * supply.target_v < 0
        if biased and (_is_short(curve, end_v, supply.target_v, bench) or other_way):
            where = "the other way than" if other_way else "less than one step beyond"
            message = f"the curve ends at {end_v:g} V, {where} the bias of {supply.target_v:g} V that '{biased.name}' needs"
            cure = f"sweep at least one step beyond {supply.target_v:g} V"
            yield _at_sweep(codes.SWEEP_TOO_SHORT, message, cure, curve)
            return
        limit = bench.wiring.instruments[supply.instrument].get("default_range")
        if isinstance(limit, (int, float)) and abs(end_v) > abs(limit):
            message = f"the curve goes to {end_v:g} V, beyond the range {limit:g} V of '{supply.instrument}'"
            yield _at_sweep(codes.SWEEP_BEYOND_RANGE, message, "is the supply's default_range right?", curve)
            return


def _is_short(curve: SequenceStep, end_v: float, target_v: float, bench: Bench) -> bool:
    """Whether a curve cannot reach one step beyond a bias, as far as its step is known."""
    if bench.bias.witnesses == "breakdowns":
        return abs(end_v) < abs(target_v)
    step_v = _number_of(curve, "step_size")
    return abs(end_v) < abs(target_v) + step_v if step_v else abs(end_v) <= abs(target_v)


def _sweep_doubts(curve: SequenceStep) -> Iterator[Problem]:
    """Implausible voltages, steps and delays of a sweep."""
    for option, quantity in (
        ("max_voltage", "sweep voltage"),
        ("start_voltage", "sweep voltage"),
        ("step_size", "sweep step"),
        ("delay", "sweep delay"),
    ):
        value = _number_of(curve, option)
        if value is not None and (why := beyond(quantity, value)):
            yield _at_sweep(codes.IMPLAUSIBLE_VALUE, f"'{option}': {why}", PHYSICS[quantity].meant, curve)


def _number_of(curve: SequenceStep, option: str) -> float | None:
    """Number that a step gives to an option; None if it gives none."""
    described = curve.calibration.options.get(option)
    words = curve.words
    told = [words[place + 1] for place, word in enumerate(words[:-1]) if described and word == described.flag]
    try:
        return float(told[-1]) if told else None
    except ValueError:
        return None


def _end_unknown(curve: SequenceStep) -> Problem:
    option = curve.calibration.sweep_end
    if curve.sweep_is_open:
        message, cure = "its 'args' may change how far the curve goes", "write them as options"
    else:
        message = "it is not said how far the curve goes"
        cure = (
            f"add 'options: {{{option}: …}}'"
            if option
            else "describe its 'sweep_end' in the site's calibrations"
        )
    cure += ": a curve with no breakdown allows bias only up to its end"
    return _at_sweep(codes.SWEEP_END_UNKNOWN, message, cure, curve)


def _forward_start(curve: SequenceStep) -> float | None:
    """Positive voltage at which a curve begins, if it does."""
    start_v = _number_of(curve, "start_voltage")
    return start_v if start_v and start_v > 0 else None


def _is_good_target(target_v: float, bench: Bench) -> bool:
    return target_v < 0 or (target_v > 0 and bench.bias.allow_forward)


def _hv_box_problems(sequence: Sequence, bench: Bench) -> Iterator[Problem]:
    """Bias through an HV box of which the bench file does not say how it is used."""
    box = bench.hv_box
    biased = next(filter(_is_biased, sequence.steps), None)
    if box is None or box.stated or biased is None or bench.all_simulated:
        return
    place = instrument_place(bench, bench.wiring.hv_boxes()[0])
    message = (
        f"'{printable(biased.name, 40)}' needs bias, and calseq does not control {printable(box.shown, 80)}: "
        "it cannot know that any sensor has it"
    )
    cure = (
        "say in the bench file 'hv_box: closed' if its channels are closed in every run, else 'hv_box: ask'"
    )
    yield Problem(codes.HV_BOX, message, cure, place)


def _target_problem(instrument: str, target_v: float, bench: Bench) -> Iterator[Problem]:
    if _is_good_target(target_v, bench):
        return
    place = instrument_place(bench, instrument, "default_voltage")
    message = f"'default_voltage' of '{instrument}' is {target_v:g} V: no reverse bias"
    cure = (
        "write it with its sign, as -50"
        if target_v
        else "a step of this sequence needs a bias: write it, as -50"
    )
    yield Problem(codes.BAD_DEFAULT, message, cure, place)


def _at_sweep(code: Code, message: str, cure: str, step: SequenceStep) -> Problem:
    return Problem(code, message, cure, step.sweep_place, _within(step))


def _within(step: SequenceStep) -> str:
    return f"step {step.number}, {step.name}"


def _named(module: Module) -> str:
    return printable(module.name, 40) if module.name else f"channel {module.channel}"
