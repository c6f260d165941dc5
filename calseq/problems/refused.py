"""Input refused with every reason at once, and problems in the order of their places."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Self

from calseq.problems.codes import MISSING_INSTRUMENT, MISSING_TUNING, UNKNOWN_CALIBRATION
from calseq.problems.problem import Code, Problem, Span


class Refused(Exception):
    """Input was refused; `problems` has every reason, in order of place.

    The class tells the first reason that has a class of its own; the others may be of other kinds.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("; ".join(_sentence(problem) for problem in self.problems if problem.is_error))

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        """Copy and pickle with the problems, not with their words."""
        return type(self), (self.problems,)


class _OfSequence(Refused):
    """An exception of dirigent's `CalibrationSequence`, with what it has there: an owner and a message.

    `owner` is the sequence that is wrong; where calseq raises it, the name of its file.
    """

    documented: ClassVar[str]

    def __init__(self, owner: object, message: str = "", problems: Iterable[Problem] = ()) -> None:
        super().__init__(problems)
        self.owner = owner
        self.message = message or self.documented
        if not self.problems:
            self.args = (self.message,)

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        """Copy and pickle with all that it has."""
        return type(self), (self.owner, self.message, self.problems)


class InvalidCalibration(_OfSequence):
    """A step names a calibration that neither dirigent nor the site has."""

    documented = "Invalid dirigent calibration in calibration list."


class MissingInstrument(_OfSequence):
    """A required instrument is not in instruments.json."""

    documented = "Missing instrument in JSON file."


class MissingTuning(_OfSequence):
    """A tuning calibration has no tuning."""

    documented = "Missing tuning list for calibration in calibration list."


_EXCEPTIONS: dict[Code, type[_OfSequence]] = {
    UNKNOWN_CALIBRATION: InvalidCalibration,
    MISSING_INSTRUMENT: MissingInstrument,
    MISSING_TUNING: MissingTuning,
}


def refuse_errors(problems: Sequence[Problem]) -> None:
    """Raise what fits if any of the problems is an error.

    Raises:
        InvalidCalibration, MissingInstrument, MissingTuning, Refused: with all `problems`.
    """
    errors = [problem for problem in problems if problem.is_error]
    own = next((problem for problem in errors if problem.code in _EXCEPTIONS), None)
    if own:
        raise _EXCEPTIONS[own.code](own.place.source.name if own.place else "", problems=problems)
    if errors:
        raise Refused(problems)


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Sort problems by file and place, each once; those without a place come last."""

    def key(problem: Problem) -> tuple[bool, str, Span, str]:
        place = problem.place
        if place is None:
            return (True, "", Span(0, 0), problem.code.id)
        return (False, place.source.name, place.span, problem.code.id)

    # One line of a file may bring the same problem to several steps, by an alias.
    once: dict[object, Problem] = {}
    for problem in problems:
        once.setdefault((problem.code, problem.message, problem.place or problem.cure), problem)
    return sorted(once.values(), key=key)


def _sentence(problem: Problem) -> str:
    where = problem.place
    prefix = f"{where.source.name}:{where.span.line}:{where.span.column}: " if where else ""
    return f"{prefix}{problem.code.id} {problem.message}"
