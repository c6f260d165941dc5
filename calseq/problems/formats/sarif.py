"""SARIF 2.1.0: what code scanning services read, with the code list as rules and the fixes as changes."""

import json
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from calseq.model.version import __version__
from calseq.problems.codes import CODES
from calseq.problems.explanations import explanation
from calseq.problems.formats.report import Report, message_and_cure
from calseq.problems.problem import Code, Edit, Place, Problem

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
Json = dict[str, Any]


def text(report: Report) -> str:
    """Write the JSON of a report."""
    codes = [code for code in CODES.values() if any(problem.code is code for problem in report.problems)]
    driver = {"name": "calseq", "version": __version__, "rules": [_rule(code) for code in codes]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "artifacts": [{"location": {"uri": _uri(name)}} for name in report.files],
        "results": [_result(problem, codes.index(problem.code)) for problem in report.problems],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _rule(code: Code) -> Json:
    return {
        "id": code.id,
        "name": "".join(word.capitalize() for word in code.name.split("-")),
        "shortDescription": {"text": code.meaning},
        "fullDescription": {"text": explanation(code).why},
        "defaultConfiguration": {"level": str(code.severity)},
    }


def _result(problem: Problem, index: int) -> Json:
    result: Json = {
        "ruleId": problem.code.id,
        "ruleIndex": index,
        "level": str(problem.code.severity),
        "message": {"text": message_and_cure(problem)},
    }
    if problem.place:
        result["locations"] = [{"physicalLocation": _location(problem.place)}]
    if problem.fix:
        result["fixes"] = [_fix(problem.fix, problem.cure)]
    return result


def _location(place: Place) -> Json:
    span = place.span
    region = {"startLine": span.line, "startColumn": span.column, "endColumn": span.column + span.length}
    return {"artifactLocation": {"uri": _uri(place.source.name)}, "region": region}


def _fix(edit: Edit, cure: str) -> Json:
    (line, column), (end_line, end_column) = edit.source.at(edit.start), edit.source.at(edit.end)
    region = {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}
    replacement = {"deletedRegion": region, "insertedContent": {"text": edit.text}}
    change = {"artifactLocation": {"uri": _uri(edit.source.name)}, "replacements": [replacement]}
    return {"description": {"text": cure}, "artifactChanges": [change]}


def _uri(name: str) -> str:
    """Give a file's name as the reference of a URI; a ':' in it must not look like a scheme."""
    path = str(PurePosixPath(name))
    return f"file://{quote(path)}" if path.startswith("/") else quote(path)
