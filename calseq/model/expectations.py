"""How long steps are expected to take: what they took in earlier runs, else what the catalogue says, else nothing."""

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from calseq.model.plan import Plan, Step

KEPT = 10
"""So many earlier runs of a step count, the latest ones."""

NEEDED = 3
"""Fewer earlier runs than this say nothing."""

SLOW = 1.5
"""A step that takes so many times as long as expected is slow."""

_LONGEST_S = 31 * 86400.0
"""What is said to have taken longer was not measured."""


class Timing(Struct, frozen=True):
    """What a step that passed took, and for how long its log did not grow at most. `key` says which step it was."""

    key: str
    duration_s: float
    longest_silence_s: float = 0.0

    @property
    def is_sane(self) -> bool:
        """It can have been measured."""
        numbers = math.isfinite(self.duration_s) and math.isfinite(self.longest_silence_s)
        return (
            numbers and 0 < self.duration_s <= _LONGEST_S and 0 <= self.longest_silence_s <= self.duration_s
        )


class Expectation(Struct, frozen=True):
    """How long a step is expected to take.

    It is the median of `samples` earlier runs, or the catalogue's usual time if there are none; the longest
    silence is that of the same runs.
    """

    step: int
    usual_s: float
    samples: int = 0
    longest_silence_s: float | None = None

    @property
    def is_measured(self) -> bool:
        """It comes from earlier runs."""
        return self.samples > 0


def key(step: Step, plan: Plan) -> str:
    """Give what two runs of one and the same step have in common: only their times may be compared.

    It is the step's name, calibration and command, the bench, who moves the rails, and how a simulator behaves.
    """
    import hashlib  # noqa: PLC0415 - OpenSSL takes 3 ms that not every command needs

    simulation = plan.simulation
    pretence = (
        [
            simulation.speed,
            *(simulation.faults.get(name, "") for name in (step.name, step.calibration, "power")),
        ]
        if simulation
        else []
    )
    parts = [step.name, step.calibration, step.argv, plan.bench, plan.mode, pretence]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]


def keys(plan: Plan) -> dict[int, str]:
    """Give the key of every step by its number."""
    return {step.number: key(step, plan) for step in plan.steps}


def expectations(plan: Plan, timings: Mapping[str, Sequence[Timing]]) -> tuple[Expectation, ...]:
    """Give what is expected of a plan's steps, from the timings by key, the latest first. Not every step has one."""
    known = keys(plan) if timings else {}
    return tuple(_of_all(plan, {number: timings.get(found, ()) for number, found in known.items()}))


def catalogued(plan: Plan) -> tuple[Expectation, ...]:
    """Give what the catalogue alone lets expect, at the pace of the simulator if it is one that runs."""
    return expectations(plan, {})


def _of_all(plan: Plan, timings: Mapping[int, Sequence[Timing]]) -> Iterator[Expectation]:
    speed = plan.simulation.speed if plan.simulation else 1.0
    for step in plan.steps:
        latest = [each for each in timings.get(step.number, ()) if each.is_sane][:KEPT]
        if len(latest) >= NEEDED:
            usual_s = median([each.duration_s for each in latest])
            silence_s = max(each.longest_silence_s for each in latest)
            yield Expectation(step.number, usual_s, len(latest), silence_s)
        elif step.usual_s:
            yield Expectation(step.number, step.usual_s / speed)


def median(values: Sequence[float]) -> float:
    """Give the middle of some values: of an even number, half-way between the two in the middle."""
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
