"""JUnit's XML: a test suite per file, in it a failure per error; a warning is output and no failure."""

from xml.sax.saxutils import escape, quoteattr

from calseq.problems.formats.report import Report, message_and_cure
from calseq.problems.problem import Problem


def text(report: Report) -> str:
    """Write the XML of a report."""
    suites = [_suite(name, report.of_file(name)) for name in report.files]
    elsewhere = [problem for problem in report.problems if problem.place is None]
    suites += [_suite("calseq", elsewhere)] if elsewhere else []
    failures = sum(problem.is_error for problem in report.problems)
    tests = sum(max(1, len(report.of_file(name))) for name in report.files) + len(elsewhere)
    head = f'<testsuites name="calseq validate" tests="{tests}" failures="{failures}" errors="0">'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *suites, "</testsuites>"])


def _suite(name: str, problems: list[Problem]) -> str:
    failures = sum(problem.is_error for problem in problems)
    head = f'  <testsuite name={quoteattr(name)} tests="{max(1, len(problems))}" failures="{failures}" errors="0">'
    cases = [_case(name, problem) for problem in problems]
    good = f'    <testcase name="no problems" classname={quoteattr(name)}/>'
    return "\n".join([head, *(cases or [good]), "  </testsuite>"])


def _case(name: str, problem: Problem) -> str:
    place = problem.place
    where = f"{place.source.name}:{place.span.line}:{place.span.column}" if place else ""
    line = f" line={quoteattr(str(place.span.line))}" if place else ""
    title = quoteattr(f"{problem.code} {where}".rstrip())
    said = f"{where}: {message_and_cure(problem)}" if where else message_and_cure(problem)
    element = f"<failure type={quoteattr(problem.code.id)} message={quoteattr(message_and_cure(problem))}>{escape(said)}</failure>"
    if not problem.is_error:
        element = f"<system-out>{escape(f'warning: {said}')}</system-out>"
    return f"    <testcase name={title} classname={quoteattr(name)}{line}>{element}</testcase>"
