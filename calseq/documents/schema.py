"""Validation of a document against its JSON schema; the words for each mismatch are in `mismatch`."""

import json
import re
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from calseq.documents.document import Document, Path
from calseq.documents.fast_check import fits, schemas_at
from calseq.documents.mismatch import Finding, Mismatch, findings
from calseq.documents.scalars import plain_scalar
from calseq.documents.yaml_reader import read_past_slips
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Edit, Place, Problem
from calseq.system.assets import schemas

if TYPE_CHECKING:
    import jsonschema

_MOST_SETTLED = 50
"""So many doubts of one file are settled by its schema: each looks at all of it once."""

_BRACES = re.compile(r"\{[^{}\n]*\}")


def check(document: Document, schema: dict[str, Any]) -> None:
    """Note in the document, in an operator's words, all that its schema has against it.

    Nothing is said about what is spoilt already, and each place is complained about once. References to
    other schemas are never fetched.
    """
    if not document.readable:
        return
    _judge(document, schema)
    if document.is_refused:
        read_past_slips(document, lambda other: _judge(other, schema))


def _judge(document: Document, schema: dict[str, Any]) -> None:
    if not document.readable:
        return
    _settle(document, schema)
    if fits(document.data, schema):
        return
    import jsonschema  # noqa: PLC0415 - 60 ms that only a file with a mistake needs
    from referencing import Registry  # noqa: PLC0415

    validator = jsonschema.Draft7Validator(schema, registry=Registry())
    meant: set[Path] = set()
    withdrawn: set[int] = set()
    for error in sorted(map(_mismatch, validator.iter_errors(document.data)), key=_rank):
        for finding in findings(error):
            is_missing = error.keyword == "required"
            meant.update(finding.means)
            if not (is_missing and (finding.path in meant or finding.path[:-1] in document.incomplete)):
                _note(document, finding, withdrawn)
    document.problems = [problem for problem in document.problems if id(problem) not in withdrawn]


@cache
def stored_schema(name: str) -> dict[str, Any]:
    """Give one of the schemas on disk: 'bench', 'calibrations', 'instruments'."""
    schema: dict[str, Any] = json.loads((schemas() / f"{name}.schema.json").read_bytes())
    return schema


def _settle(document: Document, schema: dict[str, Any]) -> None:
    """A text that YAMLs read differently has one certain cure where only one of its readings is allowed."""
    where = {id(problem): index for index, problem in enumerate(document.problems)}
    left: list[Problem | None] = list(document.problems)
    for path, (problem, readings) in islice(document.doubts.items(), _MOST_SETTLED):
        judges = list(schemas_at(document.data, schema, path))
        allowed = [text for text in readings if all(fits(_value_of(text), judge) for judge in judges)]
        index = where.get(id(problem))
        if not judges or not path or index is None:
            continue
        is_text = problem.code is codes.BAD_CHARACTER and allowed == [readings[-1]]
        if (is_text or not allowed) and not document.aliases:
            left[index] = None
            _take_as_text(document, path, readings[-1])
        elif len(allowed) == 1 and problem.place:
            left[index] = replace(problem, cure=f"write {allowed[0]}", fix=problem.place.edit(allowed[0]))
    document.problems = [problem for problem in left if problem]


def _take_as_text(document: Document, path: Path, reading: str) -> None:
    """However it is read it is wrong: let the schema say what belongs there."""
    document.spoilt.discard(path)
    parent: Any = document.data
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = _value_of(reading)


def _value_of(text: str) -> object:
    return text[1:-1] if text[:1] == '"' else plain_scalar(text)


def _note(document: Document, finding: Finding, withdrawn: set[int]) -> None:
    is_unknown = finding.code in (codes.UNKNOWN_KEY, codes.UNKNOWN_OPTION)
    if is_unknown and finding.path in document.doubts and finding.path in document.spoilt:
        withdrawn.add(
            id(document.doubts[finding.path][0])
        )  # a value is in no doubt where its key has no meaning
        document.spoilt.discard(finding.path)
    if document.is_spoilt(finding.path):
        return
    place = document.place(finding.at or finding.path, key=finding.key)
    problem = Problem(
        finding.code,
        finding.message,
        finding.cure,
        place,
        within(document, finding.path),
        _fix(finding, place),
    )
    document.spoil(finding.path, problem)


def _fix(finding: Finding, place: Place) -> Edit | None:
    if finding.spelling:
        return finding.spelling.fix(place)
    if finding.code is codes.CONTRADICTING_TYPE:
        return place.line_removed(f"{finding.path[-1]}: {place.text}")
    if finding.listed:
        braces = _BRACES.match(place.source.text, place.start)
        return Edit(place.source, *braces.span(), finding.listed) if braces else None
    is_version = finding.code is codes.MISSING_KEY and finding.path == ("calseq",)
    is_block = is_version and finding.at is None and not place.text.startswith("{")
    margin = " " * (place.span.column - 1)
    return Edit(place.source, place.start, place.start, f"calseq: 1\n{margin}") if is_block else None


def within(document: Document, path: Path) -> str:
    """Say which step a route is in: 'step 3', with its name when that says more."""
    if path[:1] == ("change",) and len(path) > 1:
        return f"step {printable(str(path[1]), 40)} of the base"
    if len(path) < 2 or path[0] != "steps" or not isinstance(path[1], int):
        return ""
    steps = document.data.get("steps") if isinstance(document.data, dict) else None
    step = steps[path[1]] if isinstance(steps, list) else None
    name = step.get("name") or step.get("calibration") if isinstance(step, dict) else step
    return f"step {path[1] + 1}" + (f", {printable(name, 40)}" if isinstance(name, str) and name else "")


def _mismatch(error: "jsonschema.ValidationError") -> Mismatch:
    return Mismatch(
        path=tuple(error.absolute_path),
        keyword=str(error.validator),
        bound=error.validator_value,
        schema=error.schema if isinstance(error.schema, dict) else {},
        instance=error.instance,
        is_key="propertyNames" in error.absolute_schema_path,
    )


def _rank(error: Mismatch) -> tuple[int, int]:
    """The outermost error first: what is below a wrong value is not worth a word. What is missing, last."""
    order = {"required": 2, "additionalProperties": 1}
    return len(error.path), order.get(error.keyword, 0)
