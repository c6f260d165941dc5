"""What of a run is compared, gathered from its folder: how it and its steps stand, and its curves."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from calseq.cli.which_run import look
from calseq.console.runlist import duration_s
from calseq.console.statusview import Glance, word_of
from calseq.measurement.comparison import CurveFact, RunFacts, StepFact
from calseq.measurement.curves import IvCurve, Measured, NotUnderstood, ViCurve, read_curves
from calseq.measurement.iv import figures_in, module_of
from calseq.measurement.witnesses import BREAKDOWNS_BYTES
from calseq.model.events import RunResumed, Stamped, StepEnded
from calseq.model.plan import Plan, Step, named
from calseq.model.rails import StepType
from calseq.planning.bias import told_of
from calseq.problems.plaintext import printable
from calseq.record.status import Phase, Standing
from calseq.record.view import StepView, truthful
from calseq.report.files import is_below
from calseq.system.files import read_regular


def gather(standing: Standing) -> RunFacts:
    """Read what of a run is compared. All text of it is made harmless.

    Raises:
        Refused: its plan or its journal cannot be read.
    """
    glance, skimmed = look(standing)
    view, record = truthful(glance.view, standing.phase), standing.record
    plan = named(view.plan, record.module)
    outputs = last_outputs(skimmed.stamped)
    read = [
        (step, found)
        for step in plan.steps
        for found in read_curves(step, standing.folder, outputs.get(step.name, ()), plan.modules)
    ]
    curves = tuple(
        _fact(step, found, plan, _breakdowns(standing.folder, outputs.get(step.name, ())))
        for step, found in read
        if isinstance(found, IvCurve)
    )
    return RunFacts(
        name=printable(standing.name),
        started=printable(record.started),
        title=printable(record.title),
        module=printable(record.module),
        state=printable(word_of(standing)[0]),
        over=standing.phase in (Phase.ENDED, Phase.DIED),
        simulated=record.simulated,
        duration_s=duration_s(standing, time.time()),
        steps=tuple(_step(each, glance) for each in view.steps),
        curves=curves,
        unread=tuple(
            NotUnderstood(printable(found.file), printable(found.reason))
            for _, found in read
            if isinstance(found, NotUnderstood)
        ),
        why_no_curve="" if curves else _why(plan, outputs, [found for _, found in read]),
        damage=tuple(printable(each) for each in glance.damage),
    )


def last_outputs(stamped: Iterable[Stamped]) -> dict[str, tuple[str, ...]]:
    """Give the files of every step's latest attempt; what a resumption does not keep counts no more."""
    outputs: dict[str, tuple[str, ...]] = {}
    for each in stamped:
        if isinstance(each.event, StepEnded):
            outputs[each.event.name] = each.event.outputs
        elif isinstance(each.event, RunResumed):
            outputs = {name: files for name, files in outputs.items() if name in each.event.kept}
    return outputs


def _breakdowns(folder: Path, files: Iterable[str]) -> bytes | None:
    """Content of breakdowns.json; None if there are several, as it is not known which one counts."""
    found = [each for each in files if each.endswith("/breakdowns.json") and is_below(each)]
    return read_regular(folder / found[0], BREAKDOWNS_BYTES) if len(found) == 1 else None


def _fact(step: Step, curve: IvCurve, plan: Plan, breakdowns: bytes | None) -> CurveFact:
    module = module_of(curve, plan)
    return CurveFact(
        printable(step.name),
        printable(module.name if module else curve.module),
        IvCurve(printable(curve.file), curve.module, curve.points),
        figures_in(curve, plan),
        told_of(breakdowns, module, len(plan.modules)) if breakdowns and module else None,
    )


def _step(each: StepView, glance: Glance) -> StepFact:
    began = each.started_t is not None or each.duration_s is not None
    took_s = each.elapsed_s(glance.now_t) if began else None
    return StepFact(printable(each.step.name), each.state.value, took_s)


def _why(plan: Plan, outputs: Mapping[str, tuple[str, ...]], read: list[Measured]) -> str:
    measuring = [step for step in plan.steps if step.type is StepType.IVCURVE and not step.left_out]
    if not measuring:
        return "no step of it measures one"
    if not any(outputs.get(step.name) for step in measuring):
        return f"{printable(measuring[0].name)} left no file"
    if not any(step.curves for step in measuring):
        return "its plan does not say which files are curves, as one of an older calseq"
    if any(not isinstance(found, ViCurve) for found in read):
        return "its files are not understood"
    return f"no file of {printable(measuring[0].name)} has the name of a curve"
