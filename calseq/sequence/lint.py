"""Advice on a sequence: what is allowed and seldom meant."""

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from calseq.documents.document import Document, Path
from calseq.documents.durations import spelled
from calseq.documents.schema import within
from calseq.model.rails import BIASED, RAIL_RULES, Role, StepType
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Edit, Place, Problem
from calseq.problems.suggestions import did_you_mean
from calseq.sequence.sequence import SequenceStep
from calseq.sequence.voltages import hv_limit

PLACEHOLDER = "FILL_ME_IN"
"""What a new sequence has where only its author knows what belongs there."""

_MOST_NAMED = 5


def advise(
    document: Document, steps: Iterable[SequenceStep], of_base: Sequence[Problem] = ()
) -> Iterator[Problem]:
    """Warn of the order of the steps that are to run, each kind once, of each that defeats itself, and of what has no effect.

    `of_base` is the advice on a variant's base alone.
    """
    return (at_home(problem, document, of_base) for problem in _advise(document, list(steps)))


def at_home(problem: Problem, document: Document, of_base: Sequence[Problem]) -> Problem:
    """Give a problem the place of what is to blame.

    What is said of a variant's whole and not of its base alone is the variant's doing, whichever line it is about.
    """
    place, base = problem.place, document.base
    if place is None or base is None or place.source is not base.source:
        return problem
    if any((each.code, each.place) == (problem.code, place) for each in of_base):
        return problem
    line = f"{place.source.name.rpartition('/')[2]}:{place.span.line}"
    words = f"{problem.within} of {line}" if problem.within else line
    return replace(problem, place=document.place(("extends",)), within=words, fix=None)


def _advise(document: Document, listed: list[SequenceStep]) -> Iterator[Problem]:
    kept = [step for step in listed if not step.left_out]
    yield from _bias_without_curve(document, listed)
    yield from _curve_after_tuning(document, kept)
    yield from _never_biased(document, kept)
    yield from _short_timeouts(document, kept)
    for step in kept:
        yield from _unknown_arguments(document, step)
        yield from _placeholder(document, step)
    yield from _limit_of_nothing(document, listed)
    yield from map(_unused_anchor, document.unused.items())


def _bias_without_curve(document: Document, steps: list[SequenceStep]) -> Iterator[Problem]:
    left_out: SequenceStep | None = None
    for step in steps:
        is_curve = step.calibration.type is StepType.IVCURVE
        if step.left_out:
            left_out = step if is_curve else left_out
        elif is_curve:
            return
        elif _is_biased(step):
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


def _never_biased(document: Document, steps: list[SequenceStep]) -> Iterator[Problem]:
    """The first step whose bias is forbidden by the limit, or by the end of the curve before it."""
    no_bias = "the limit of 0 V allows no bias" if hv_limit(document) == 0 else ""
    for step in steps:
        if step.calibration.type is StepType.IVCURVE and hv_limit(document) != 0:
            no_bias = f"'{step.name}' ends at 0 V and allows no bias" if step.sweep_end_v == 0 else ""
        elif no_bias and _is_biased(step):
            cure = (
                "raise 'limits: {hv: …}'" if hv_limit(document) == 0 else "let the curve go beyond the bias"
            )
            message = f"it needs a bias and can never run: {printable(no_bias)}"
            yield _warning(document, step, codes.NEVER_RUNS, message, f"{cure}, or take the step out")
            return


def _short_timeouts(document: Document, steps: list[SequenceStep]) -> Iterator[Problem]:
    """Warn of every time-out that is too short, once where it is written, however many steps it is for."""
    shared: list[tuple[SequenceStep, str]] = []
    for step in steps:
        path: Path = ("steps", step.number - 1, "timeout")
        short = _too_short_for(step)
        if short and path in document.values:
            yield _short_timeout(document, step, short, document.place(path))
        elif short:
            shared.append((step, short))
    place = document.place(("defaults", "timeout"))
    if len(shared) == 1:
        yield _short_timeout(document, *shared[0], place)
    elif shared:
        each = [f"'{printable(step.name, 40)}' {short}" for step, short in shared[:_MOST_NAMED]]
        each += ["…"] * (len(shared) > _MOST_NAMED)
        timeout_s = shared[0][0].policies.timeout_s or 0.0
        message = f"timeout {spelled(timeout_s)} is below what {len(shared)} steps take: {', '.join(each)}"
        yield Problem(codes.SHORT_TIMEOUT, message, "give it more", place)


def _short_timeout(document: Document, step: SequenceStep, short: str, place: Place) -> Problem:
    message = f"timeout {spelled(step.policies.timeout_s or 0.0)} is below the {short}"
    return _warning(document, step, codes.SHORT_TIMEOUT, message, "give it more", place)


def _too_short_for(step: SequenceStep) -> str:
    """Say what of a step its time-out is too short for; empty if it is not known to be."""
    timeout_s, usual_s, waits_s = step.policies.timeout_s, step.calibration.usual_s, step.waits_s
    if timeout_s is None:
        return ""
    if waits_s is not None and timeout_s < waits_s:
        return f"{spelled(waits_s)} that its sweep only waits"
    return f"usual {spelled(usual_s)}" if usual_s is not None and timeout_s < usual_s else ""


def _unknown_arguments(document: Document, step: SequenceStep) -> Iterator[Problem]:
    """An argument may be an option of another version of dirigent; where options are known, it is rather a slip."""
    flags = {option.flag: option.name for option in step.calibration.options.values()}
    if not flags or not step.calibration.known:
        return
    for index, word in enumerate(step.args):
        flag = word.partition("=")[0]
        if flag.startswith("--") and flag not in flags:
            path: Path = ("steps", step.number - 1, "args", index)
            message = f"{step.calibration.name} has no option '{printable(flag, 40)}' that calseq knows"
            close = did_you_mean(flag, flags.values())
            cure = f"{close} it belongs in 'options:'" if close else _DESCRIBE
            yield _warning(document, step, codes.UNKNOWN_ARGUMENT, message, cure, document.place(path))


_DESCRIBE = "look into 'dirigent --help', and describe it in the site's calibrations"


def _limit_of_nothing(document: Document, steps: list[SequenceStep]) -> Iterator[Problem]:
    if hv_limit(document) is None or any(Role.HV in step.needs for step in steps):
        return
    place = document.place(("limits", "hv"), key=True)
    message, cure = (
        "no step of this sequence uses the high voltage",
        "delete the limit, or the step it was for is missing",
    )
    yield Problem(codes.UNREACHABLE_LIMIT, message, cure, place)


def _unused_anchor(item: tuple[str, Place]) -> Problem:
    name, place = item
    text, start, end = place.source.text, place.start, place.start + place.span.length
    after = len(text[end:]) - len(text[end:].lstrip(" "))
    message = f"anchor '&{printable(name, 40)}' is used nowhere"
    cure = f"write '*{printable(name, 40)}' where it belongs, or delete it"
    return Problem(codes.UNUSED_ANCHOR, message, cure, place, fix=Edit(place.source, start, end + after, ""))


def _is_biased(step: SequenceStep) -> bool:
    return RAIL_RULES[step.calibration.type].before == BIASED


def _placeholder(document: Document, step: SequenceStep) -> Iterator[Problem]:
    """`calseq new` writes texts that are valid, and that no dirigent knows."""
    if any(PLACEHOLDER in word for word in step.words):
        path: Path = ("steps", step.number - 1)
        key = next((key for key in ("tuning", "args") if (*path, key) in document.values), "calibration")
        message = f"'{PLACEHOLDER}' is still to be filled in"
        cure = "write what dirigent is to be given there"
        yield _warning(document, step, codes.PLACEHOLDER, message, cure, document.place((*path, key)))


def _warning(
    document: Document, step: SequenceStep, code: Code, message: str, cure: str, place: Place | None = None
) -> Problem:
    return Problem(code, message, cure, place or step.place, within(document, ("steps", step.number - 1)))
