"""The report as JSON, in a form with a version and a schema."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from calseq.model.version import __version__
from calseq.problems.formats.report import Report
from calseq.problems.problem import Edit, Problem, Severity

VERSION: Literal[1] = 1
_Count = Annotated[int, Meta(ge=0)]
_Number = Annotated[int, Meta(ge=1, description="counted from 1; columns in characters")]


class Fix(Struct, frozen=True):
    """The one edit that mends the problem: `text` in the place of all from the start to before the end."""

    line: _Number
    column: _Number
    end_line: _Number
    end_column: _Number
    text: str


class Entry(Struct, frozen=True):
    """One problem; without a place it is of no file. The end column is that of the first character behind."""

    code: Annotated[str, Meta(pattern="^CS[0-9]{3}$", description="never reused for another kind of problem")]
    name: Annotated[str, Meta(description="the code in words")]
    severity: Annotated[Severity, Meta(description="an error refuses the file, a warning does not")]
    message: Annotated[str, Meta(description="what is wrong")]
    cure: Annotated[str, Meta(description="what to do about it")]
    within: Annotated[str, Meta(description="the step it is in")]
    file: str | None
    line: _Number | None
    column: _Number | None
    end_column: _Number | None
    fix: Annotated[Fix | None, Meta(description="there if only one cure is possible")]


class Listing(Struct, frozen=True, rename={"version": "calseq-problems"}):
    """What `calseq validate --format json` writes."""

    version: Annotated[Literal[1], Meta(description="version of this form: 1")]
    calseq: Annotated[str, Meta(description="version of calseq")]
    files: Annotated[list[str], Meta(description="every file that was looked at")]
    errors: _Count
    warnings: _Count
    fixed: Annotated[int, Meta(ge=0, description="how many were mended by --fix and are not listed any more")]
    problems: Annotated[list[Entry], Meta(description="by file and place")]


def text(report: Report) -> str:
    """Write the JSON of a report."""
    errors = sum(problem.is_error for problem in report.problems)
    listing = Listing(
        version=VERSION,
        calseq=__version__,
        files=list(report.files),
        errors=errors,
        warnings=len(report.problems) - errors,
        fixed=report.fixed,
        problems=[_entry(problem) for problem in report.problems],
    )
    return msgspec.json.format(msgspec.json.encode(listing), indent=2).decode()


def schema() -> dict[str, Any]:
    """Give the JSON schema of what `text` writes."""
    made = msgspec.json.schema(Listing)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "calseq problems", **made}


def _entry(problem: Problem) -> Entry:
    place = problem.place
    return Entry(
        code=problem.code.id,
        name=problem.code.name,
        severity=problem.code.severity,
        message=problem.message,
        cure=problem.cure,
        within=problem.within,
        file=place.source.name if place else None,
        line=place.span.line if place else None,
        column=place.span.column if place else None,
        end_column=place.span.column + place.span.length if place else None,
        fix=_fix(problem.fix) if problem.fix else None,
    )


def _fix(edit: Edit) -> Fix:
    (line, column), (end_line, end_column) = edit.source.at(edit.start), edit.source.at(edit.end)
    return Fix(line, column, end_line, end_column, edit.text)
