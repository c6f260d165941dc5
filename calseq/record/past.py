"""What a run did so far, by its events: its steps that passed, the attempts, the ends."""

from collections.abc import Iterable, Mapping
from functools import singledispatch

from msgspec import Struct, field
from msgspec.structs import replace

from calseq.model import events
from calseq.model.verdicts import Verdict


class Passed(Struct, frozen=True):
    """An attempt that passed: what its end says, and when that was (POSIX seconds)."""

    end: events.StepEnded
    directory: str
    ended_at: float


class Past(Struct, frozen=True):
    """What the events of a run say of it; steps by name.

    `passed` are the steps whose last word is that they passed, `fates` what became of all that were told of,
    `attempts` the number of the last attempt, `directories` where that wrote to.
    """

    passed: Mapping[str, Passed] = field(default_factory=dict)
    fates: Mapping[str, str] = field(default_factory=dict)
    attempts: Mapping[str, int] = field(default_factory=dict)
    directories: Mapping[str, str] = field(default_factory=dict)
    plan: str = "plan.json"
    digest: str = ""
    calseq: str = ""
    dirigent: str = ""
    ended: events.RunEnded | None = None
    seq: int = 0
    t: float = 0.0


def past(stamped: Iterable[events.Stamped]) -> Past:
    """Give what a run's events say. What they do not say, a step without its end for instance, did not happen."""
    found = Past()
    for each in stamped:
        found = replace(_after(each.event, found, each.at), seq=each.seq, t=each.t)
    return found


@singledispatch
def _after(event: object, found: Past, at: float) -> Past:  # noqa: ARG001 - every event is asked alike
    return found


@_after.register
def _(event: events.RunStarted, found: Past, at: float) -> Past:  # noqa: ARG001
    return replace(found, digest=event.digest, calseq=event.calseq, dirigent=event.dirigent)


@_after.register
def _(event: events.RunResumed, found: Past, at: float) -> Past:  # noqa: ARG001
    passed = {name: each for name, each in found.passed.items() if name in event.kept}
    again = {name: "changed, and has not passed since" for name in found.passed if name not in event.kept}
    return replace(
        found,
        passed=passed,
        fates={**found.fates, **again},
        plan=event.plan,
        digest=event.digest,
        calseq=event.calseq,
        dirigent=event.dirigent or found.dirigent,
        ended=None,
    )


@_after.register
def _(event: events.StepStarted, found: Past, at: float) -> Past:  # noqa: ARG001
    return replace(
        found,
        passed=_without(found.passed, event.name),
        fates={**found.fates, event.name: f"interrupted in attempt {event.attempt}: it has no end"},
        attempts=_counted(found, event.name, event.attempt),
        directories={**found.directories, event.name: event.directory},
    )


@_after.register
def _(event: events.StepEnded, found: Past, at: float) -> Past:
    why = f": {event.reason}" if event.reason else ""
    passed = _without(found.passed, event.name)
    if event.verdict is Verdict.PASSED and event.name in found.directories:
        passed[event.name] = Passed(event, found.directories[event.name], at)
    return replace(
        found,
        passed=passed,
        fates={**found.fates, event.name: f"{event.verdict}{why}"},
        attempts=_counted(found, event.name, event.attempt),
    )


@_after.register
def _(event: events.StepSkipped, found: Past, at: float) -> Past:  # noqa: ARG001
    fates = {**found.fates, event.name: f"skipped: {event.reason}"}
    return replace(found, passed=_without(found.passed, event.name), fates=fates)


@_after.register
def _(event: events.RunEnded, found: Past, at: float) -> Past:  # noqa: ARG001
    return replace(found, ended=event)


def _without(passed: Mapping[str, Passed], name: str) -> dict[str, Passed]:
    return {other: each for other, each in passed.items() if other != name}


def _counted(found: Past, name: str, attempt: int) -> dict[str, int]:
    return {**found.attempts, name: max(attempt, found.attempts.get(name, 0))}
