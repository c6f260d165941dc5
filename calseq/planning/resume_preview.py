"""What a resumption of a run would find to do, by the plan that was recorded: read without a lock, touching nothing."""

from pathlib import Path

import msgspec

from calseq.measurement.witnesses import read_witnesses
from calseq.model.plan import Step
from calseq.model.rails import StepType
from calseq.planning.resumption import Resumption, resume
from calseq.record.follow import skim
from calseq.record.past import past
from calseq.record.run_folder import JOURNAL, read_plan


def preview(folder: Path) -> Resumption | None:
    """Steps that `--resume` would keep and run if no file had changed since; None if the folder cannot be read."""
    try:
        found = past(skim(folder / JOURNAL).stamped)
        plan, _ = read_plan(folder, found.plan)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return None
    left = {
        step.name: read_witnesses(folder, found.passed[step.name].directory, step, plan.modules)
        for step in plan.steps
        if step.type is StepType.IVCURVE and step.name in found.passed
    }
    return resume(found, plan, plan, left)


def forbidding(resumption: Resumption) -> Step | None:
    """Give the kept curve because of which nothing would run; None if something would."""
    if resumption.again or not resumption.barred:
        return None
    refused = {each.step for each in resumption.decided if not each.allowed}
    return next((row.step for row in reversed(resumption.rows) if row.step.number in refused), None)
