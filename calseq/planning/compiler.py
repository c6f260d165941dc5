"""Sequence, catalogue and bench to a plan, or all that stands against it at once."""

import json
import math
import sys
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from calseq.bench.bench import Bench
from calseq.bench.dirigent_config import Sweep
from calseq.bench.ramps import SPARE_S, icicle_end_s, ramp_s
from calseq.documents.document import Document
from calseq.documents.durations import spelled
from calseq.measurement.acceptance import acceptance, foreseen, needs_module_type
from calseq.model.destinations import FelisReceiver
from calseq.model.physics import PHYSICS, beyond
from calseq.model.plan import (
    DIRECTORY,
    STAND_IN,
    BiasSupply,
    Dictionaries,
    Environment,
    InputFile,
    Plan,
    PowerMode,
    Simulation,
    Step,
    rehearsed,
)
from calseq.model.rails import BIASED, BOTH_OFF, RAIL_RULES, ROLE_NAMES, SUPPLIES, Rails, Role, StepType
from calseq.planning.limits import limit_problems
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Place, Problem
from calseq.sequence.digest import standing
from calseq.sequence.sequence import Sequence, SequenceStep

SIMULATED_DIRIGENT = (sys.executable, "-m", STAND_IN)
"""The stand-in for dirigent, started with calseq's own interpreter."""


class Compilation(Struct, frozen=True):
    """The plan, unless one of the `problems` is an error. Problems of the files themselves are not repeated."""

    plan: Plan | None
    problems: tuple[Problem, ...]


def compile_plan(sequence: Sequence, bench: Bench) -> Compilation:
    """Decide everything that a run of `sequence` on `bench` will do. Nothing is touched."""
    kept = tuple(step for step in sequence.steps if not step.left_out)
    to_run = replace(sequence, steps=kept)
    problems = [*_missing_instruments(to_run, bench), *_bias_problems(to_run, bench)]
    ends_v = {step.number: _sweep_end(step, bench) for step in sequence.steps}
    problems += [*_cold_boxes(to_run, bench), *limit_problems(to_run, bench, ends_v)]
    problems += [*_short_graces(to_run, bench), *_hv_box_problems(to_run, bench)]
    if bench.upload and isinstance(bench.upload.receiver, FelisReceiver):
        problems += [*_not_for_felis(to_run, bench, bench.upload.receiver), *_other_sensors(to_run, bench)]
    files = (sequence.document, bench.document)
    problems = [problem for problem in problems if not any(file.ignores(problem) for file in files)]
    warnings = [*sequence.warnings, *(problem for problem in problems if not problem.is_error)]
    if any(problem.is_error for problem in problems):
        return Compilation(None, tuple(problems))
    following = _following(sequence.steps)
    plan = Plan(
        title=sequence.title,
        description=sequence.description,
        bench=bench.name,
        mode=bench.mode,
        steps=tuple(_step(step, following[step.number], bench) for step in sequence.steps),
        instruments=bench.wiring.described(),
        modules=bench.modules,
        supplies=_bias_supplies(bench),
        environment=Environment(str(bench.cwd), bench.variables),
        wiring=Dictionaries(*bench.wiring.reduced(Role)),
        power_python=bench.power_python,
        monitors=bench.monitors,
        on_finish=bench.on_finish,
        bias=bench.bias,
        simulation=bench.simulation,
        inputs=(*_sequence_files(sequence.document), *bench.inputs),
        standing=standing(sequence, bench.official),
        upload=bench.upload,
        hv_box=None if bench.all_simulated else bench.hv_box,
        warnings=tuple(f"{problem.code}: {problem.message}; {problem.cure}" for problem in warnings),
        log_limit_bytes=bench.log_limit_bytes,
        locks=str(bench.locks or ""),
        runs=str(bench.runs),
        group=bench.group,
        sensor=sequence.sensor,
        stand_in=bench.stand_in or bench.all_simulated,
        rehearses=bench.rehearses,
    )
    return Compilation(plan, tuple(problems))


def rehearsal(plan: Plan) -> Plan:
    """Give a plan with the simulator in the place of everything real, as `--simulate` makes it of files."""
    if plan.all_simulated:
        return plan
    steps = tuple(replace(step, argv=(*_stand_in(plan.inputs), *_told(step.argv))) for step in plan.steps)
    return replace(
        plan,
        mode=rehearsed(plan.mode),
        simulation=Simulation(),
        rehearses=str(plan.mode),
        steps=steps,
        hv_box=None,
        stand_in=True,
    )


def _stand_in(inputs: Iterable[InputFile]) -> Iterator[str]:
    """Write the beginning of the stand-in's command: with the settings and the modules that a plan was made of."""
    options = {"dirigent": "-C", "modules": "--module-json"}
    yield from SIMULATED_DIRIGENT
    for file in inputs:
        if file.kind in options:
            yield from (options[file.kind], file.path)


def _told(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Give of a command what calseq tells a calibration, whichever dirigent it is."""
    return argv[argv.index("--instruments-dict") :]


def _following(steps: tuple[SequenceStep, ...]) -> dict[int, SequenceStep | None]:
    """Give, by number, the step that is run after each."""
    found: dict[int, SequenceStep | None] = {}
    following = None
    for step in reversed(steps):
        found[step.number] = following
        following = following if step.left_out else step
    return found


def _step(step: SequenceStep, following: SequenceStep | None, bench: Bench) -> Step:
    calibration = step.calibration
    before = RAIL_RULES[calibration.type].before
    given = _given(step, bench.mode)
    return Step(
        number=step.number,
        name=step.name,
        calibration=calibration.name,
        type=calibration.type,
        summary=calibration.summary,
        argv=tuple(_argv(step, given, bench)),
        before=before,
        after=_after(calibration.type, before, following),
        given=given,
        needs=tuple(role for role in Role if role in step.needs),
        outputs=calibration.outputs,
        results=calibration.results,
        timeout_s=step.policies.timeout_s,
        retries=step.policies.retries,
        on_failure=step.policies.on_failure,
        usual_s=_usual_s(step, given, bench),
        stop_grace_s=_stop_grace_s(step, given, bench),
        sweep_end_v=_sweep_end(step, bench),
        line=step.place.span.line,
        origin=step.origin,
        left_out=step.left_out,
        curves=calibration.curves,
        failures=calibration.failures,
    )


def _stop_grace_s(step: SequenceStep, given: tuple[Role, ...], bench: Bench) -> float:
    """Seconds to end in, once asked: as written, else at least what the supplies of the child need."""
    written_s = step.policies.stop_grace_s
    return written_s if step.grace_place else max(written_s, _end_s(step, given, bench))


def _usual_s(step: SequenceStep, given: tuple[Role, ...], bench: Bench) -> float | None:
    """Seconds that a step takes by the catalogue, which knows one module: icicle's end of more takes longer."""
    usual_s = step.calibration.usual_s
    if usual_s is None or not SUPPLIES.intersection(given):
        return usual_s
    return usual_s + icicle_end_s(max(1, _powered_modules(bench))) - icicle_end_s(1)


def _end_s(step: SequenceStep, given: tuple[Role, ...], bench: Bench) -> float:
    """Seconds that a child needs to ramp down and to switch off the supplies that it was given; 0 without any."""
    if not SUPPLIES.intersection(given):
        return 0.0
    ramps_s = sum(_ramp_down_s(step, each, bench) for each in _bias_supplies(bench) if Role.HV in given)
    return ramps_s + icicle_end_s(_powered_modules(bench)) + SPARE_S


def _ramp_down_s(step: SequenceStep, supply: BiasSupply, bench: Bench) -> float:
    """Seconds of a supply's ramp to 0 V from as far as a step may have gone."""
    entry = bench.wiring.instruments[supply.instrument]
    reach_v = abs(supply.target_v)
    if step.calibration.type is StepType.IVCURVE:
        end_v = _sweep_end(step, bench)
        reach_v = max(reach_v, abs(float(entry.get("default_range", 0.0)) if end_v is None else end_v))
    return ramp_s(entry, reach_v)


def _powered_modules(bench: Bench) -> int:
    return sum(bool(SUPPLIES.intersection(wires)) for wires in bench.wiring.channels.values())


def _bias_supplies(bench: Bench) -> tuple[BiasSupply, ...]:
    return bench.wiring.bias_supplies({module.channel: module.name for module in bench.modules})


def _short_graces(sequence: Sequence, bench: Bench) -> Iterator[Problem]:
    """Warnings of graces that are shorter than the end of the supplies: the child would be killed in mid-ramp."""
    for step in sequence.steps:
        needed_s = math.ceil(_end_s(step, _given(step, bench.mode), bench))
        if step.grace_place and step.policies.stop_grace_s < needed_s:
            modules = _powered_modules(bench)
            message = (
                f"'stop_grace' of {spelled(step.policies.stop_grace_s)}: switching off {modules} "
                f"module{'s' if modules > 1 else ''} takes up to {spelled(needed_s)} on this bench"
            )
            cure = f"write {spelled(needed_s)} or more, or delete it: the child would be killed in mid-ramp"
            yield Problem(
                codes.SHORT_GRACE, message, cure, step.grace_place, f"step {step.number}, {step.name}"
            )


def _sequence_files(document: Document) -> Iterator[InputFile]:
    """Give the file of a sequence and, if it is a variant, that of its base."""
    yield InputFile("sequence", document.path, document.sha256())
    if document.base:
        yield InputFile("base", document.base.path, document.base.sha256())


def _sweep_end(step: SequenceStep, bench: Bench) -> float | None:
    """Give how far an IV curve is known to go: as the step has it, else dirigent.toml."""
    if step.calibration.type is not StepType.IVCURVE or step.sweep_is_open:
        return None
    configured = bench.sweeps.get(step.calibration.name, Sweep())
    end_v = step.sweep_end_v if step.sweep_end_v is not None else configured.end_v
    return abs(end_v) if end_v is not None and configured.positive else end_v


def _argv(step: SequenceStep, given: tuple[Role, ...], bench: Bench) -> Iterator[str]:
    """Write the whole command: global options stand before the calibration, its own after it."""
    instruments, channels = bench.wiring.reduced(given)
    yield from SIMULATED_DIRIGENT if bench.all_simulated else bench.command
    if bench.config:
        yield from ("-C", str(bench.config))
    if bench.module_json:
        yield from ("--module-json", str(bench.module_json))
    yield from bench.flags
    yield from ("--instruments-dict", json.dumps(instruments))
    yield from ("--channels-dict", json.dumps(channels))
    yield from ("--directory", DIRECTORY)
    yield step.calibration.name
    yield from step.words


def _given(step: SequenceStep, mode: PowerMode) -> tuple[Role, ...]:
    """Give the roles that the child may touch: of the supplies, those it drives itself, and no other."""
    driven = RAIL_RULES[step.calibration.type].driven
    kept = frozenset() if mode is PowerMode.DIRIGENT else SUPPLIES - driven
    return tuple(role for role in Role if role in step.needs - kept)


def _after(type_: StepType, before: Rails, following: SequenceStep | None) -> Rails:
    """Say how a step leaves the rails: a child that was given a supply has switched it off.

    After a curve the sensor is biased at once if the next step wants that; no needless ramps otherwise.
    """
    if not RAIL_RULES[type_].driven:
        return before
    wanted = RAIL_RULES[following.calibration.type].before if following else BOTH_OFF
    return BIASED if type_ is StepType.IVCURVE and wanted == BIASED else BOTH_OFF


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
    """A child that is given the cold box switches it off at its end, with the module in it cold."""
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
        within = f"step {step.number}, {step.name}"
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


_LEAVES_MORE = "if your dirigent leaves them, say so in 'outputs:' of the site's calibrations; or send it with 'to: folder'"


def _other_sensors(sequence: Sequence, bench: Bench) -> Iterator[Problem]:
    """Errors of modules whose sensors are said to be others than those that the sequence is for: its voltages are not theirs."""
    receiver = bench.upload.receiver if bench.upload else None
    if not sequence.sensor or not isinstance(receiver, FelisReceiver):
        return
    for module in bench.modules:
        said = receiver.sensor_type_of(module.name)
        if said and said != sequence.sensor:
            name = printable(module.name, 40) if module.name else f"channel {module.channel}"
            message = f"the sequence is for {sequence.sensor} sensors, and by 'upload:' that of {name} is {printable(said, 40)}"
            cure = f"take the sequence for {printable(said, 40)} sensors, or correct 'sensor_type:' of the bench file"
            yield Problem(codes.OTHER_SENSOR, message, cure, sequence.document.place(("sensor",)))


def _channels_without(role: Role, bench: Bench) -> str | None:
    """Say where a role is missing; None if it is there. A supply must be there for every module."""
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
    return (step.place, f"step {step.number}, {step.name}") if step else (None, "")


def _bias_problems(sequence: Sequence, bench: Bench) -> Iterator[Problem]:
    """Say what would keep the sensor from being biased, or harm it, as far as it is known now."""
    supplies = _bias_supplies(bench)
    if any(_is_biased(step) for step in sequence.steps):
        for supply in supplies:
            yield from _target_problem(supply.instrument, supply.target_v, bench)
        yield from _without_sensor(bench)
    for step in sequence.steps:
        if step.calibration.type is StepType.IVCURVE:
            yield from _sweep_doubts(step)
            yield from _curve_problem(step, _biased_by(step, sequence.steps), supplies, bench)


def _without_sensor(bench: Bench) -> Iterator[Problem]:
    """A bias is planned for a module that has no sensor."""
    for module in bench.modules:
        if module.sensor is False and Role.HV in bench.wiring.channels[module.channel]:
            name = printable(module.name, 40) if module.name else f"channel {module.channel}"
            message = f"modules.json says that {name} has no sensor, and steps of this sequence bias it"
            cure = "correct 'sensor', or leave out the steps that need a bias (--skip)"
            yield Problem(codes.UNFIT_BENCH, message, cure, bench.document.place(("modules",)))


def _is_biased(step: SequenceStep) -> bool:
    return RAIL_RULES[step.calibration.type].before == BIASED


def _biased_by(curve: SequenceStep, steps: tuple[SequenceStep, ...]) -> SequenceStep | None:
    """Give the first step whose bias depends on this curve, and not on a later one."""
    after = (step for step in steps if step.number > curve.number)
    later = takewhile(lambda step: step.calibration.type is not StepType.IVCURVE, after)
    return next(filter(_is_biased, later), None)


def _curve_problem(
    curve: SequenceStep, biased: SequenceStep | None, supplies: Iterable[BiasSupply], bench: Bench
) -> Iterator[Problem]:
    """Give the first thing that stands against how far a curve goes."""
    end_v = _sweep_end(curve, bench)
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
    """Tell of numbers of a sweep that none has."""
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
    """Give the number of an option as a step has it."""
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
    """Give the positive voltage at which a curve is told to begin, if it is."""
    start_v = _number_of(curve, "start_voltage")
    return start_v if start_v and start_v > 0 else None


def _is_good_target(target_v: float, bench: Bench) -> bool:
    return target_v < 0 or (target_v > 0 and bench.bias.allow_forward)


def _hv_box_problems(sequence: Sequence, bench: Bench) -> Iterator[Problem]:
    """Refuse bias through an HV box of which the bench file does not say how it is used."""
    box = bench.hv_box
    biased = next(filter(_is_biased, sequence.steps), None)
    if box is None or box.stated or biased is None or bench.all_simulated:
        return
    root = "instruments" if ("instruments",) in bench.instruments.values else "instrument_dict"
    place = bench.instruments.place((root, bench.wiring.hv_boxes()[0]), key=True)
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
    root = "instruments" if ("instruments",) in bench.instruments.values else "instrument_dict"
    place = bench.instruments.place((root, instrument, "default_voltage"))
    message = f"'default_voltage' of '{instrument}' is {target_v:g} V: no reverse bias"
    cure = (
        "write it with its sign, as -50"
        if target_v
        else "a step of this sequence needs a bias: write it, as -50"
    )
    yield Problem(codes.BAD_DEFAULT, message, cure, place)


def _at_sweep(code: Code, message: str, cure: str, step: SequenceStep) -> Problem:
    return Problem(code, message, cure, step.sweep_place, f"step {step.number}, {step.name}")
