"""GitLab's Code Quality report: problems that a merge request compares with those of its target."""

import hashlib
import json
from collections import Counter
from pathlib import PurePosixPath
from typing import Any

from calseq.problems.formats.report import Report, message_and_cure
from calseq.problems.problem import Problem


def text(report: Report) -> str:
    """Write the JSON of a report."""
    seen: Counter[str] = Counter()
    return json.dumps([_entry(problem, seen) for problem in report.problems], indent=2, ensure_ascii=False)


def _entry(problem: Problem, seen: Counter[str]) -> dict[str, Any]:
    name = str(PurePosixPath(problem.place.source.name)) if problem.place else "calseq"
    return {
        "description": f"{problem.code.id}: {message_and_cure(problem)}",
        "check_name": str(problem.code.name),
        "fingerprint": _fingerprint(problem, name, seen),
        "severity": "major" if problem.is_error else "minor",
        "location": {"path": name, "lines": {"begin": problem.place.span.line if problem.place else 1}},
    }


def _fingerprint(problem: Problem, name: str, seen: Counter[str]) -> str:
    """Give what stays the same when lines above change: the file, the kind, the line's own text, and which of several."""
    line = problem.place.source.line(problem.place.span.line).strip() if problem.place else ""
    kind = f"{name}|{problem.code.id}|{problem.message}|{line}"
    seen[kind] += 1
    return hashlib.sha256(f"{kind}|{seen[kind]}".encode(errors="backslashreplace")).hexdigest()
