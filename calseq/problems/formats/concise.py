"""One line per problem, `file:line:col: CS203 message; cure`: what vim reads as `%f:%l:%c: %m`."""

from calseq.problems.formats.report import Report, message_and_cure
from calseq.problems.problem import Problem, capped


def text(report: Report) -> str:
    """Write the lines of a report."""
    kept, more = capped(report.problems)
    return "\n".join([*map(_line, kept), *more])


def _line(problem: Problem) -> str:
    place = problem.place
    where = f"{place.source.name}:{place.span.line}:{place.span.column}: " if place else ""
    severity = "" if problem.is_error else "warning: "
    return f"{where}{problem.code.id} {severity}{message_and_cure(problem)}"
