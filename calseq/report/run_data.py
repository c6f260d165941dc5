"""All that a run folder says of its run, read once, as facts: what every form of the report is written from."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from calseq.model.events import BiasDecided
from calseq.model.plan import Environment, Plan, PowerMode, Step, named
from calseq.model.rails import BOTH_OFF, StepType
from calseq.model.version import __version__
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.record.aftermath import confirmed_at, confirmed_ats
from calseq.record.follow import Skim, skim
from calseq.record.past import Try
from calseq.record.run_folder import JOURNAL, read_plan
from calseq.record.seal import SEAL
from calseq.record.status import Damaged, Phase, Standing, stand
from calseq.record.view import look_closer, truthful
from calseq.report.files import listed
from calseq.report.history import Chronicle, chronicle, torn_lanes
from calseq.report.power import PowerWord, power_word
from calseq.report.steps import StepStory, stories
from calseq.system.files import read_regular

_JUDGED = 100
_BREAKDOWNS_SHOWN = 1000
_BREAKDOWNS_BYTES = 4 << 20


class Judged(Struct, frozen=True):
    """A decision over the bias, and the breakdowns.json that it was taken from; `same`: its digest is still that one."""

    step: str
    decision: BiasDecided
    file: str = ""
    content: str = ""
    same: bool | None = None


class Dossier(Struct, frozen=True):
    """A run as its folder tells it. `damage` is what of the folder cannot be used; `planned`: its plan can be read.

    `gone` are the attempts at steps that the plan of the end does not have; `made_at` is when this was read.
    """

    standing: Standing
    plan: Plan
    told: Chronicle
    steps: tuple[StepStory, ...]
    power: PowerWord
    judged: tuple[Judged, ...] = ()
    gone: tuple[tuple[str, Try], ...] = ()
    damage: tuple[str, ...] = ()
    planned: bool = True
    seal_sha256: str = ""
    made_at: float = 0.0
    made_by: str = __version__

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.standing.folder

    @property
    def simulated(self) -> bool:
        """Nothing real was measured."""
        return self.standing.record.simulated or self.told.view.simulated

    @property
    def duration_s(self) -> float:
        """How long it ran, from its start to its end as run.json has it; as far as its events tell if that has none."""
        if self.standing.phase is Phase.ENDED and self.standing.record.duration_s:
            return self.standing.record.duration_s
        return self.told.ran_s

    @property
    def module(self) -> str:
        """What was measured, as it was named."""
        return self.standing.record.module or self.told.view.module


def read_dossier(folder: Path) -> Dossier:
    """Read a run folder, whatever state it is in.

    Raises:
        Refused: it has no run.json that can be read.
    """
    standing = stand(folder)
    if isinstance(standing, Damaged):
        message = f"{printable(folder.name)}: {printable(standing.reason, 300)}"
        raise Refused([Problem(codes.DAMAGED_RUN, message, "without run.json nothing says which run it was")])
    skimmed, damage = _events(standing)
    plan, planned, wrong = _plan(standing, skimmed)
    guard_at = confirmed_at(folder)
    told = chronicle(plan, skimmed.stamped, confirmed_ats(folder))
    told = replace(told, view=truthful(told.view, standing.phase))
    if standing.phase is Phase.DIED:
        told = torn_lanes(told, guard_at)
    damage += [wrong] if wrong else []
    plan = named(plan, standing.record.module)
    standing = look_closer(standing, told.view, damaged=bool(damage))
    return Dossier(
        standing=standing,
        plan=plan,
        told=told,
        steps=stories(standing, plan, told),
        power=power_word(standing, told, guard_at),
        judged=tuple(_judged(folder, told)),
        gone=tuple(_gone(plan, told)),
        damage=tuple(damage),
        planned=planned,
        seal_sha256=_sha256(folder / SEAL),
        made_at=datetime.now().astimezone().timestamp(),
    )


def _events(standing: Standing) -> tuple[Skim, list[str]]:
    try:
        skimmed = skim(standing.folder / JOURNAL)
    except OSError as error:
        return Skim(), [f"{JOURNAL} cannot be read: {(error.strerror or str(error)).lower()}"]
    damage = [f"{JOURNAL}: {each}" for each in skimmed.damage]
    if skimmed.torn and standing.phase is not Phase.RUNNING:
        damage.append(f"{JOURNAL}: its last line is torn")
    return skimmed, damage


def _plan(standing: Standing, skimmed: Skim) -> tuple[Plan, bool, str]:
    """Give the plan, whether it is the run's own, and what is wrong if it is not."""
    name = standing.record.plan
    try:
        return read_plan(standing.folder, name)[0], True, ""
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        wrong = f"{name} cannot be read: {why}; commands, modules, instruments and inputs are not told"
        return _guessed(standing, skimmed), False, wrong


def _guessed(standing: Standing, skimmed: Skim) -> Plan:
    """Give a plan with no more than the names that record and events have: no command, no rail."""
    record = standing.record
    modes = [mode for mode in PowerMode if mode == record.mode]
    names = {
        each.event.name: each.event.step
        for each in skimmed.stamped
        if hasattr(each.event, "name") and hasattr(each.event, "step")
    }
    names |= {name: number for number, name in enumerate(record.steps, 1) if name not in names}
    numbers: dict[int, str] = {}
    for name, number in names.items():  # a number that two plans gave to two steps is one of them
        numbers.setdefault(number if number not in numbers else max(numbers) + 1, name)
    steps = tuple(
        Step(number, name, "", StepType.GENERAL, "", (), BOTH_OFF, BOTH_OFF, (), ())
        for number, name in sorted(numbers.items())
    )
    return Plan(
        title=record.title,
        description="",
        bench=record.bench,
        mode=modes[0] if modes else PowerMode.ICICLE,
        steps=steps,
        instruments=(),
        modules=(),
        supplies=(),
        environment=Environment(""),
    )


def _judged(folder: Path, told: Chronicle) -> Iterator[Judged]:
    for decision in told.view.decisions[-_JUDGED:]:
        step = told.view.step(decision.step)
        name = step.step.name if step else f"step {decision.step}"
        tries = told.past.tries.get(name, ())
        files = listed(folder, tries[-1].directory).files if tries and tries[-1].directory else ()
        file = next((each.name for each in files if each.name.endswith("/breakdowns.json")), "")
        content = read_regular(folder / file, _BREAKDOWNS_BYTES) if file else None
        if content is None:
            yield Judged(name, decision, file)
            continue
        text = content[:_BREAKDOWNS_SHOWN].decode("utf-8", "replace")
        text += " …" * (len(content) > _BREAKDOWNS_SHOWN)
        same = hashlib.sha256(content).hexdigest() == decision.sha256 if decision.sha256 else None
        yield Judged(name, decision, file, text.strip(), same)


def _gone(plan: Plan, told: Chronicle) -> Iterator[tuple[str, Try]]:
    known = {step.name for step in plan.steps}
    for name, tries in told.past.tries.items():
        if name not in known:
            yield from ((name, each) for each in tries)


def _sha256(path: Path) -> str:
    content = read_regular(path, 64 << 20)
    return "" if content is None else hashlib.sha256(content).hexdigest()
