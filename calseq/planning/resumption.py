"""What a run that ended early keeps and what it runs again, decided from its events and two plans."""

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from calseq.measurement.witnesses import Witnesses
from calseq.model import events
from calseq.model.plan import Plan, Step
from calseq.model.rails import Hv, Lv, Role, StepType
from calseq.model.verdicts import RunVerdict
from calseq.planning.bias import Decision, decide
from calseq.record.past import Passed, Past

# What changed


def differences(old: Plan, new: Plan, step: Step) -> tuple[str, ...]:
    """Say in what a step of the new plan differs from the one of that name in the old; empty if in nothing.

    Everything counts that matters to what the step does; time-outs, retries and policies do not.
    """
    before = next((each for each in old.steps if each.name == step.name), None)
    if before is None:
        return ("it was not in the plan",)
    was, now = _facts(old, before), _facts(new, step)
    return tuple(_said(name, was[name], now[name]) for name in now if was[name] != now[name])


def _facts(plan: Plan, step: Step) -> dict[str, object]:
    """Give all that matters to what a step does, by the word for it."""
    words, dictionaries = _parted(step.argv)
    simulation = plan.simulation
    faults = simulation.faults if simulation else {}
    return {
        "calibration": (step.calibration, step.type),
        "command": words,
        "instruments": (dictionaries, _wires(plan, step)),
        "given": step.given,
        "rails": (step.before, plan.mode),
        "files it must leave": step.outputs,
        "end of the sweep": step.sweep_end_v,
        "environment": (plan.environment.cwd, dict(plan.environment.variables)),
        "dirigent.toml": next((file.sha256 for file in plan.inputs if file.kind == "dirigent"), ""),
        "simulated fault": faults.get(step.name, faults.get(step.calibration)),
    }


def _parted(argv: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split a command into its words and the instruments given to it."""
    told = [option in ("--instruments-dict", "--channels-dict") for option in ("", *argv)]
    return (
        tuple(word for word, is_told in zip(argv, told, strict=False) if not is_told),
        tuple(word for word, is_told in zip(argv, told, strict=False) if is_told),
    )


def _wires(plan: Plan, step: Step) -> object:
    """Give the wiring of all that a step uses: what it needs, what it is given, and the rails that it runs on."""
    roles = {*step.needs, *step.given}
    roles |= {Role.LV} if step.before.lv is Lv.ON else set()
    roles |= {Role.HV} if step.before.hv is not Hv.OFF else set()
    channels = {
        key: {role: dict(wire) for role, wire in wires.items() if role in roles}
        for key, wires in plan.wiring.channels.items()
    }
    names = {str(wire.get("instrument")) for wires in channels.values() for wire in wires.values()}
    return channels, {name: dict(plan.wiring.instruments.get(name, {})) for name in sorted(names)}


def _said(name: str, was: object, now: object) -> str:
    """Name a difference; of a command the words, where they are few."""
    if name != "command" or not isinstance(was, tuple) or not isinstance(now, tuple):
        return name
    gone = [str(word) for word in was if word not in now]
    new = [str(word) for word in now if word not in was]
    few = 0 < len(gone) + len(new) <= 4
    return f"command: {' '.join(gone) or 'nothing'} is now {' '.join(new) or 'gone'}" if few else name


def changed_files(old: Plan, new: Plan) -> tuple[str, ...]:
    """Name the files of a plan that are not what they were."""
    was = {file.kind: file for file in old.inputs}
    now = {file.kind: file for file in new.inputs}
    return tuple(
        f"{kind} {_name(file.path)} changed" if kind in was else f"{kind} {_name(file.path)} is new"
        for kind, file in now.items()
        if kind not in was or was[kind].sha256 != file.sha256
    ) + tuple(f"{kind} {_name(file.path)} is no longer used" for kind, file in was.items() if kind not in now)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


# What is to be done


class Row(Struct, frozen=True):
    """A step of the plan: `kept` with what it has, or why it is to run; `barred` is why it will be skipped all the same."""

    step: Step
    kept: Passed | None = None
    why: str = ""
    barred: str = ""


class Resumption(Struct, frozen=True):
    """How a run goes on: every step, what is no longer in the plan, what changed, and the bias after kept curves."""

    plan: Plan
    past: Past
    rows: tuple[Row, ...]
    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    decided: tuple[events.BiasDecided, ...] = ()

    @property
    def kept(self) -> tuple[str, ...]:
        """The names of the steps that are kept."""
        return tuple(row.step.name for row in self.rows if row.kept)

    @property
    def again(self) -> tuple[str, ...]:
        """The names of the steps that are to run."""
        return tuple(row.step.name for row in self.rows if row.why and not row.barred)

    @property
    def barred(self) -> tuple[str, ...]:
        """The names of the steps that have not passed, and will be skipped by what is decided already."""
        return tuple(row.step.name for row in self.rows if row.barred)

    @property
    def is_over(self) -> bool:
        """Every step passed, and the run came to a good end: there is nothing to do."""
        ended = self.past.ended
        return not (self.again or self.barred) and ended is not None and ended.verdict is RunVerdict.PASSED

    def kept_events(self) -> Iterator[events.StepKept]:
        """Give what is told of every step that is kept."""
        for row in self.rows:
            if row.kept:
                end = row.kept.end
                yield events.StepKept(
                    step=row.step.number,
                    name=row.step.name,
                    attempt=end.attempt,
                    directory=row.kept.directory,
                    duration_s=end.duration_s,
                    ended_at=row.kept.ended_at,
                )


def resume(
    found: Past, old: Plan, new: Plan, left: Mapping[str, Witnesses], changed: tuple[str, ...] = ()
) -> Resumption:
    """Decide what is kept: the steps that passed and do now what they did then.

    `left` has, by step, what is there now of what a curve that passed left. If `changed` names
    what concerns all steps, such as another dirigent, none is kept.
    """
    rows = tuple(_row(step, found, differences(old, new, step) or changed) for step in new.steps)
    decided = tuple(
        _decided(row.step, row.kept, left.get(row.step.name, Witnesses()), new)
        for row in rows
        if row.kept and row.step.type is StepType.IVCURVE
    )
    return Resumption(
        plan=new,
        past=found,
        rows=tuple(_barred(rows, {each.step: each for each in decided})),
        gone=tuple(name for name in found.passed if name not in {step.name for step in new.steps}),
        decided=decided,
    )


def _row(step: Step, found: Past, different: tuple[str, ...]) -> Row:
    if step.left_out:
        return Row(step)
    passed = found.passed.get(step.name)
    if passed is None:
        return Row(step, why=found.fates.get(step.name, "did not run yet"))
    return Row(step, why=f"changed: {', '.join(different)}") if different else Row(step, passed)


def _barred(rows: tuple[Row, ...], decided: Mapping[int, events.BiasDecided]) -> Iterator[Row]:
    """Say of which steps it is known that they will be skipped: bias is refused after a curve that is kept."""
    no_bias = ""
    for row in rows:
        if row.kept and row.step.number in decided:
            decision = decided[row.step.number]
            no_bias = "" if decision.allowed else decision.reason
        elif row.why and no_bias and row.step.before.hv is Hv.BIAS:
            yield replace(row, barred=f"no bias: {no_bias}")
            continue
        elif row.why and row.step.type is StepType.IVCURVE:
            no_bias = ""  # it is decided anew
        yield row


def _decided(step: Step, kept: Passed, now: Witnesses, plan: Plan) -> events.BiasDecided:
    """Take the decision over the bias again, from what a kept curve left. Every doubt means no."""
    reason = _not_its_own(step, kept.end, now)
    decision = Decision(False, reason) if reason else decide(plan.supplies, now, plan.bias, step.sweep_end_v)
    return decision.event(step.number, now)


def _not_its_own(step: Step, end: events.StepEnded, now: Witnesses) -> str:
    """Say why what is there now is not what a curve wrote; empty if it is."""
    found = now.breakdowns
    if not end.breakdowns_sha256:
        return f"nothing proves which breakdowns.json {step.name} wrote"
    if found.content is None:
        return f"the breakdowns.json of {step.name} is gone"
    if found.sha256 != end.breakdowns_sha256:
        return f"the breakdowns.json of {step.name} is not the one that it wrote: its sha256 differs"
    if not end.curves_sha256:
        return f"nothing proves which curves {step.name} wrote"
    if now.curves_sha256 != end.curves_sha256:
        return f"the curves of {step.name} are not those that it wrote: their sha256 differs"
    return ""
