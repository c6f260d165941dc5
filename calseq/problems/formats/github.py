"""GitHub's workflow commands: each problem becomes an annotation of a line in a pull request."""

from calseq.problems.formats.report import Report, message_and_cure
from calseq.problems.problem import Problem, capped


def text(report: Report) -> str:
    """Write the commands of a report."""
    kept, more = capped(report.problems)
    return "\n".join([*map(_command, kept), *(f"::notice title=calseq::{_data(line)}" for line in more)])


def _command(problem: Problem) -> str:
    given = {"title": str(problem.code)}
    if problem.place:
        span = problem.place.span
        given["file"] = problem.place.source.name
        given |= {"line": str(span.line), "endLine": str(span.line)}
        given |= {"col": str(span.column), "endColumn": str(span.column + span.length)}
    properties = ",".join(f"{key}={_property(value)}" for key, value in given.items())
    return f"::{problem.code.severity} {properties}::{_data(message_and_cure(problem))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
