"""One line per problem, `file:line:col: CS203 message; cure`: what vim reads as `%f:%l:%c: %m`."""

from calseq.problem_formats.report import Report, told
from calseq.problems import Problem


def text(report: Report) -> str:
    """Write the lines of a report."""
    return "\n".join(map(_line, report.problems))


def _line(problem: Problem) -> str:
    place = problem.place
    where = f"{place.source.name}:{place.span.line}:{place.span.column}: " if place else ""
    severity = "" if problem.is_error else "warning: "
    return f"{where}{problem.code.id} {severity}{told(problem)}"
