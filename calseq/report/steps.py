"""What became of each step of a run: its attempts, its files, its curves, and the end of its log."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from calseq.measurement.curves import IvCurve, NotUnderstood, ViCurve, read_curves
from calseq.measurement.iv import Told, module_of
from calseq.measurement.witnesses import BREAKDOWNS_BYTES
from calseq.model.expectations import SLOW, Expectation
from calseq.model.plan import Plan, Step
from calseq.model.rails import StepType
from calseq.planning.bias import told_of
from calseq.record.log_tail import LogTail
from calseq.record.past import BAD, State, Try
from calseq.record.status import Phase, Standing
from calseq.record.view import StepView
from calseq.report.files import MOST_FILES, Listing, is_below, listed
from calseq.report.history import Chronicle
from calseq.system.files import read_regular

LAST_LINES = 20
"""So many lines are shown of the log of a step that did not pass."""

MOST_FILES_OF_A_RUN = 20_000
_LEAST_FILES = 20
"""So many files of a run are looked at, and at least so many of every step."""

MOST_CURVES = 100
"""The curves of so many steps are read."""

_SLOW_BY_S = 5.0
"""What is less than this is how long it takes to start a process, not to measure."""


_OPEN = (State.WAITING, State.RUNNING, State.RETRYING)


class StepStory(Struct, frozen=True):
    """A step of the plan and all that became of it. `listing` are the files of the attempt that counts.

    `breakdowns` is the breakdowns.json among them, as it was read.
    """

    step: Step
    state: State
    reason: str = ""
    tries: tuple[Try, ...] = ()
    kept_at: float | None = None
    expected: Expectation | None = None
    directory: str = ""
    command: tuple[str, ...] = ()
    listing: Listing = Listing()
    last_lines: tuple[str, ...] = ()
    curves: tuple[IvCurve | ViCurve | NotUnderstood, ...] = ()
    breakdowns: bytes | None = None

    @property
    def is_bad(self) -> bool:
        """It was tried and did not pass."""
        return self.state in BAD

    @property
    def duration_s(self) -> float | None:
        """How long its last attempt took."""
        return self.tries[-1].duration_s if self.tries else None

    @property
    def lateness(self) -> float | None:
        """How many times longer than usual its last attempt took, if that is slow."""
        if self.expected is None or self.duration_s is None or self.expected.usual_s <= 0:
            return None
        share = self.duration_s / self.expected.usual_s
        is_slow = share >= SLOW and self.duration_s - self.expected.usual_s >= _SLOW_BY_S
        return share if is_slow else None


def told_in(story: StepStory, curve: IvCurve, plan: Plan) -> Told | None:
    """Give what the breakdowns.json of a step says of the module of one of its curves."""
    module = module_of(curve, plan)
    if module is None or story.breakdowns is None:
        return None
    return told_of(story.breakdowns, module, len(plan.modules))


def stories(standing: Standing, plan: Plan, told: Chronicle) -> tuple[StepStory, ...]:
    """Give what became of every step of the plan, in its order."""
    return tuple(_with_curves(_stories(standing, told), standing.folder, plan))


def _stories(standing: Standing, told: Chronicle) -> Iterator[StepStory]:
    recorded = standing.record.steps
    room = MOST_FILES_OF_A_RUN
    for each in told.view.steps:
        tries = told.past.tries.get(each.step.name, ())
        state, reason = each.state, each.reason
        if standing.phase is Phase.ENDED and state in _OPEN:  # the journal lacks its end
            state, reason = _recorded(recorded.get(each.step.name, ""), state)
        directory = tries[-1].directory if tries else ""
        listing = listed(standing.folder, directory, max(min(MOST_FILES, room), _LEAST_FILES))
        room -= len(listing.files)
        yield StepStory(
            step=each.step,
            state=state,
            reason=reason or (tries[-1].reason if tries and state in BAD else ""),
            tries=tries,
            kept_at=told.past.kept_at.get(each.step.name),
            expected=told.expected.get(each.step.number),
            directory=directory,
            command=_command(standing.folder, each, directory),
            listing=listing,
            last_lines=_last_lines(standing.folder, tries) if state in BAD else (),
        )


def _recorded(word: str, state: State) -> tuple[State, str]:
    """Give the state of a step whose end no event tells, as far as run.json has it."""
    with suppress(ValueError):
        return State(word), "as run.json says"
    return (state, "") if state is State.WAITING else (State.INTERRUPTED, "its end is not recorded")


def _command(folder: Path, each: StepView, directory: str) -> tuple[str, ...]:
    return each.step.command(str(folder.absolute() / (directory or f"data/{each.step.id}")))


def _last_lines(folder: Path, tries: tuple[Try, ...]) -> tuple[str, ...]:
    """Last lines of a log: of its file, else as the events kept them."""
    if not tries:
        return ()
    log = tries[-1].log
    found = LogTail(folder / log).look(0.0, LAST_LINES).lines if is_below(log) else ()
    return found or tries[-1].last_lines


def _with_curves(stories: Iterator[StepStory], folder: Path, plan: Plan) -> Iterator[StepStory]:
    read = 0
    for story in stories:
        wanted = story.step.type in (StepType.IVCURVE, StepType.SLDO) and story.directory
        if not wanted or read >= MOST_CURVES:
            yield story
            continue
        read += 1
        yield replace(story, curves=_curves(story, folder, plan), breakdowns=_breakdowns(story, folder))


def _curves(story: StepStory, folder: Path, plan: Plan) -> tuple[IvCurve | ViCurve | NotUnderstood, ...]:
    outputs = story.tries[-1].outputs or tuple(
        each.name for each in story.listing.files if each.name.endswith(".csv")
    )
    return read_curves(story.step, folder, tuple(filter(is_below, outputs)), plan.modules)


def _breakdowns(story: StepStory, folder: Path) -> bytes | None:
    """Content of the one breakdowns.json; None if there is none or several."""
    names = [each.name for each in story.listing.files if each.name.endswith("/breakdowns.json")]
    return read_regular(folder / names[0], BREAKDOWNS_BYTES) if len(names) == 1 else None
