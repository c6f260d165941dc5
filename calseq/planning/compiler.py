"""Compiler of a plan from a sequence and a bench, or all problems of it at once."""

import json
import sys
from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from calseq.bench.bench import Bench
from calseq.documents.document import Document
from calseq.model.plan import (
    DIRECTORY,
    STAND_IN,
    Dictionaries,
    Environment,
    InputFile,
    Plan,
    Simulation,
    Step,
    rehearsed,
)
from calseq.model.rails import BIASED, BOTH_OFF, RAIL_RULES, Rails, Role, StepType
from calseq.planning.checks import plan_problems
from calseq.planning.child_supplies import bias_supplies, given_roles, stop_grace_s, usual_s_of
from calseq.planning.limits import sweep_end_v
from calseq.problems.problem import Problem
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
    problems = list(plan_problems(replace(sequence, steps=kept), bench))
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
        supplies=bias_supplies(bench),
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
    given = given_roles(step, bench.mode)
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
        usual_s=usual_s_of(step, given, bench),
        stop_grace_s=stop_grace_s(step, given, bench),
        sweep_end_v=sweep_end_v(step, bench),
        line=step.place.span.line,
        origin=step.origin,
        left_out=step.left_out,
        curves=calibration.curves,
        failures=calibration.failures,
    )


def _sequence_files(document: Document) -> Iterator[InputFile]:
    """Give the file of a sequence and, if it is a variant, that of its base."""
    yield InputFile("sequence", document.path, document.sha256())
    if document.base:
        yield InputFile("base", document.base.path, document.base.sha256())


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


def _after(type_: StepType, before: Rails, following: SequenceStep | None) -> Rails:
    """Say how a step leaves the rails: a child that was given a supply has switched it off.

    After a curve the sensor is biased at once if the next step wants that; no needless ramps otherwise.
    """
    if not RAIL_RULES[type_].driven:
        return before
    wanted = RAIL_RULES[following.calibration.type].before if following else BOTH_OFF
    return BIASED if type_ is StepType.IVCURVE and wanted == BIASED else BOTH_OFF
