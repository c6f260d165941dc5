"""Advice on a sequence: what is allowed and seldom meant."""

from collections.abc import Iterable, Iterator

from calseq import problems as codes
from calseq.document import Document, Path
from calseq.durations import spelled
from calseq.plaintext import printable
from calseq.problems import Code, Place, Problem
from calseq.rails import BIASED, RAIL_RULES, StepType
from calseq.schema import within
from calseq.sequence import SequenceStep


def advise(document: Document, steps: Iterable[SequenceStep]) -> Iterator[Problem]:
    """Warn of the order of the steps that are to run, each kind once, and of every time-out that is too short."""
    listed = list(steps)
    kept = [step for step in listed if not step.left_out]
    yield from _bias_without_curve(document, listed)
    yield from _curve_after_tuning(document, kept)
    for step in kept:
        yield from _short_timeout(document, step)


def _bias_without_curve(document: Document, steps: list[SequenceStep]) -> Iterator[Problem]:
    left_out: SequenceStep | None = None
    for step in steps:
        is_curve = step.calibration.type is StepType.IVCURVE
        if step.left_out:
            left_out = step if is_curve else left_out
        elif is_curve:
            return
        elif RAIL_RULES[step.calibration.type].before == BIASED:
            yield _unmeasured(document, step, left_out)
            return


def _unmeasured(document: Document, step: SequenceStep, curve: SequenceStep | None) -> Problem:
    message = "biases the sensor with no IV curve before it"
    cure = "add an iv_curve before it"
    if curve:
        message = (
            f"biases the sensor, and the IV curve before it is left out ({printable(curve.left_out, 60)})"
        )
        cure = f"take '{printable(curve.name, 40)}' in"
    cure += ", or be sure that the sensor takes the bench's default_voltage"
    return _warning(document, step, codes.BIAS_WITHOUT_CURVE, message, cure)


def _curve_after_tuning(document: Document, steps: list[SequenceStep]) -> Iterator[Problem]:
    types = [step.calibration.type for step in steps]
    if StepType.TUNING not in types:
        return
    later = steps[types.index(StepType.TUNING) :]
    curve = next((step for step in later if step.calibration.type is StepType.IVCURVE), None)
    if curve:
        cure = "put it before the tunings: a damaged sensor should show before hours are spent"
        yield _warning(document, curve, codes.CURVE_AFTER_TUNING, "an IV curve after a tuning", cure)


def _short_timeout(document: Document, step: SequenceStep) -> Iterator[Problem]:
    timeout_s, usual_s = step.policies.timeout_s, step.calibration.usual_s
    if timeout_s is None or usual_s is None or timeout_s >= usual_s:
        return
    message = f"timeout {spelled(timeout_s)} is below the usual {spelled(usual_s)}"
    path: Path = ("steps", step.number - 1, "timeout")
    place = document.place(path if path in document.values else ("defaults", "timeout"))
    yield _warning(document, step, codes.SHORT_TIMEOUT, message, "give it more", place)


def _warning(
    document: Document, step: SequenceStep, code: Code, message: str, cure: str, place: Place | None = None
) -> Problem:
    return Problem(code, message, cure, place or step.place, within(document, ("steps", step.number - 1)))
