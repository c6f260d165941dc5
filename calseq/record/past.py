"""What a run did, by its events: every attempt at every step, in all its sessions, and the last word on each step.

Screens, reports, the run's own record, resumption and uploads take from here what passed.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import reduce

from msgspec import Struct, field
from msgspec.structs import replace

from calseq.model import events
from calseq.model.verdicts import Verdict
from calseq.record.run_folder import PLAN

TORN_OFF = "calseq ended while it ran"
"""The reason of an attempt that has no end in the record of a run that is over."""


class State(StrEnum):
    """State of a step: before its end, or the verdict's own word."""

    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"
    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    MISSING_OUTPUT = "missing-output"
    NOT_STARTED = "not-started"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"
    KEPT = "kept"
    LEFT_OUT = "left-out"


BAD = frozenset({State.FAILED, State.TIMED_OUT, State.MISSING_OUTPUT, State.NOT_STARTED, State.INTERRUPTED})
"""The states of a step that was tried and did not pass."""


class Try(Struct, frozen=True):
    """One attempt at a step: `started_t` on the run's clock, `at` by the clock on the wall (POSIX seconds).

    `seen_t` is when anything was last heard of one that has no end: how long it really took is not known.
    """

    number: int
    started_t: float
    at: float
    state: State = State.RUNNING
    duration_s: float | None = None
    seen_t: float | None = None
    reason: str = ""
    log: str = ""
    directory: str = ""
    outputs: tuple[str, ...] = ()
    last_lines: tuple[str, ...] = ()

    def end_t(self, now_t: float) -> float:
        """Give when it ended on the run's clock, or until when it is known to have run."""
        if self.duration_s is not None:
            return self.started_t + self.duration_s
        return now_t if self.seen_t is None else self.seen_t


class Passed(Struct, frozen=True):
    """An attempt that passed: its last event, its result directory, and when it ended (POSIX seconds)."""

    end: events.StepEnded
    directory: str
    ended_at: float


class Past(Struct, frozen=True):
    """What the events of a run say of it; steps by name.

    `tries` are all attempts, oldest first; `passed` the steps whose last word is that they passed; `verdicts` the last word
    on each step as run.json has it, `fates` as a person reads it. `kept_at` is when a step ended that was kept at the last
    resumption, `safe_end_at` when the safe end was over (POSIX seconds). `seq`, `t` and `at` are the latest event's.
    """

    tries: Mapping[str, tuple[Try, ...]] = field(default_factory=dict)
    passed: Mapping[str, Passed] = field(default_factory=dict)
    verdicts: Mapping[str, str] = field(default_factory=dict)
    fates: Mapping[str, str] = field(default_factory=dict)
    kept_at: Mapping[str, float] = field(default_factory=dict)
    run: str = ""
    operators: tuple[str, ...] = ()
    plan: str = PLAN
    digest: str = ""
    calseq: str = ""
    dirigent: str = ""
    safe_end: events.SafeEndFinished | None = None
    safe_end_at: float | None = None
    ended: events.RunEnded | None = None
    seq: int = 0
    t: float = 0.0
    at: float = 0.0

    @property
    def attempts(self) -> dict[str, int]:
        """The number of the last attempt at each step."""
        return {name: max(each.number for each in tries) for name, tries in self.tries.items()}


def past(stamped: Iterable[events.Stamped]) -> Past:
    """Give what a run's events say. What they do not say, a step without its end for instance, did not happen."""
    return reduce(after, stamped, Past())


def after(found: Past, stamped: events.Stamped) -> Past:
    """Give what is known after one more event."""
    match event := stamped.event:
        case events.RunStarted() | events.RunResumed():
            found = _begun(found, event)
        case events.StepStarted():
            found = _tried(found, event, stamped)
        case events.StepEnded():
            found = _ended(found, event, stamped)
        case events.StepSkipped(name=name):
            found = replace(
                found,
                passed=_without(found.passed, name),
                verdicts={**found.verdicts, name: str(State.SKIPPED)},
                fates={**found.fates, name: f"skipped: {event.reason}"},
            )
        case events.StepLeftOut(name=name):
            found = replace(found, verdicts={**found.verdicts, name: str(State.LEFT_OUT)})
        case events.StepKept(name=name):
            verdicts = {**found.verdicts, name: str(Verdict.PASSED)}
            found = replace(found, verdicts=verdicts, kept_at={**found.kept_at, name: event.ended_at})
        case events.SafeEndFinished():
            found = replace(found, safe_end=event, safe_end_at=stamped.at)
        case events.RunEnded():
            found = replace(found, ended=event)
    return replace(found, seq=stamped.seq, t=stamped.t, at=stamped.at)


def torn_off(found: Past) -> Past:
    """Give what is known once calseq runs the run no more: an attempt without an end was interrupted."""
    return replace(
        found,
        tries={
            name: tuple(
                replace(each, state=State.INTERRUPTED, seen_t=found.t, reason=TORN_OFF)
                if each.state is State.RUNNING
                else each
                for each in tries
            )
            for name, tries in found.tries.items()
        },
    )


def _begun(found: Past, event: events.RunStarted | events.RunResumed) -> Past:
    kept = event.kept if isinstance(event, events.RunResumed) else ()
    again = {name: "changed, and has not passed since" for name in found.passed if name not in kept}
    return replace(
        torn_off(found),
        passed={name: each for name, each in found.passed.items() if name in kept},
        fates={**found.fates, **again},
        kept_at={},
        run=event.run if isinstance(event, events.RunStarted) else found.run,
        operators=tuple(dict.fromkeys((*found.operators, event.operator))),
        plan=event.plan if isinstance(event, events.RunResumed) else found.plan,
        digest=event.digest,
        calseq=event.calseq,
        dirigent=event.dirigent or found.dirigent,
        safe_end=None,
        safe_end_at=None,
        ended=None,
    )


def _tried(found: Past, event: events.StepStarted, stamped: events.Stamped) -> Past:
    begun = Try(event.attempt, stamped.t, stamped.at, log=event.log, directory=event.directory)
    fate = f"interrupted in attempt {event.attempt}: it has no end"
    return replace(
        found,
        tries={**found.tries, event.name: (*found.tries.get(event.name, ()), begun)},
        passed=_without(found.passed, event.name),
        fates={**found.fates, event.name: fate},
    )


def _ended(found: Past, event: events.StepEnded, stamped: events.Stamped) -> Past:
    tries = found.tries.get(event.name, ())
    began_t, began_at = max(stamped.t - event.duration_s, 0.0), stamped.at - event.duration_s
    if not tries or tries[-1].number != event.attempt:  # its begin is missing from a damaged journal
        tries = (*tries, Try(event.attempt, began_t, began_at))
    # it began with the rails, before the events of its child: a bar is as long as what is said of it
    early_s = max(tries[-1].started_t - began_t, 0.0)
    last = replace(
        tries[-1],
        started_t=tries[-1].started_t - early_s,
        at=tries[-1].at - early_s,
        state=State(event.verdict.value),
        duration_s=event.duration_s,
        reason=event.reason or _how(event),
        outputs=event.outputs,
        last_lines=event.last_lines,
    )
    passed = _without(found.passed, event.name)
    if last.state is State.PASSED and last.directory:
        passed[event.name] = Passed(event, last.directory, stamped.at)
    fate = f"{event.verdict}: {event.reason}" if event.reason else str(event.verdict)
    return replace(
        found,
        tries={**found.tries, event.name: (*tries[:-1], last)},
        passed=passed,
        verdicts={**found.verdicts, event.name: str(event.verdict)},
        fates={**found.fates, event.name: fate},
    )


def _how(event: events.StepEnded) -> str:
    if event.signal:
        return f"ended by {event.signal}"
    return f"exit code {event.exit_code}" if event.exit_code else ""


def _without(passed: Mapping[str, Passed], name: str) -> dict[str, Passed]:
    return {other: each for other, each in passed.items() if other != name}
