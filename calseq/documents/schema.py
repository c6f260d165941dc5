"""JSON Schema's verdicts on a document, in an operator's words."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from calseq.documents.corrections import Spelling, json_unquoted, retyped, slip
from calseq.documents.document import Document, Path
from calseq.documents.durations import two_readings, understood
from calseq.documents.fast_check import fits, schemas_at
from calseq.documents.scalars import plain_scalar
from calseq.documents.yaml_reader import read_past_slips
from calseq.problems import codes
from calseq.problems.codes import CODES
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Edit, Place, Problem
from calseq.problems.suggestions import closest, did_you_mean, meant
from calseq.system.assets import schemas

if TYPE_CHECKING:
    import jsonschema

_MOST_SETTLED = 50
"""So many doubts of one file are settled by its schema: each looks at all of it once."""

_BRACES = re.compile(r"\{[^{}\n]*\}")
_RAILS = {"hv", "lv", "bias", "voltage", "high_voltage", "low_voltage", "power"}
_WORDS = {
    "object": "a mapping (key: value)",
    "array": "a list (- entry)",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "nothing",
}


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
    for error in sorted(validator.iter_errors(document.data), key=_rank):
        for finding in _findings(error):
            is_missing = error.validator == "required"
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


class _Finding(Struct, frozen=True):
    """One thing to say: `path` is what it is about, `at` where to point if that is elsewhere.

    `means` are the keys that were probably meant: that they are missing is not worth another word. `spelling`
    mends it for certain, `listed` does if it is written for a mapping in braces.
    """

    path: Path
    code: Code
    message: str
    cure: str = ""
    key: bool = False
    at: Path | None = None
    means: tuple[Path, ...] = ()
    spelling: Spelling | None = None
    listed: str = ""


def _note(document: Document, finding: _Finding, withdrawn: set[int]) -> None:
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


def _fix(finding: _Finding, place: Place) -> Edit | None:
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


def _rank(error: "jsonschema.ValidationError") -> tuple[int, int]:
    """The outermost error first: what is below a wrong value is not worth a word. What is missing, last."""
    order = {"required": 2, "additionalProperties": 1}
    return (len(error.absolute_path), order.get(str(error.validator), 0))


def _findings(error: "jsonschema.ValidationError") -> Iterator[_Finding]:
    path: Path = tuple(error.absolute_path)
    if _parts(error)[0].get("x-reader"):
        return
    if "propertyNames" in error.absolute_schema_path:
        yield _bad_name(path, error)
        return
    judge = {
        "required": _missing,
        "additionalProperties": _unknown,
        "type": _type,
        "enum": _enum,
        "const": _const,
        "not": _forbidden,
    }.get(str(error.validator), _value)
    yield from judge(path, error)


def _missing(path: Path, error: "jsonschema.ValidationError") -> Iterator[_Finding]:
    schema, instance = _parts(error)
    for key in schema["required"]:
        if key in instance:
            continue
        cure = f"add '{key}:'"
        if schema.get("x-code"):
            named = (*path, "calibration")
            yield _Finding((*path, key), CODES[schema["x-code"]], schema["x-hint"], cure, at=named)
        else:
            strange = tuple(name for name in instance if name not in schema.get("properties", ()))
            close = closest(key, strange)
            cure = f"'{_shown(close)}' should perhaps be '{key}'" if close else cure
            at = (*path, close) if close else None
            cure = "add 'calseq: 1', the version of the format" if key == "calseq" and not close else cure
            spelling = Spelling(close, key) if meant(close, (key,)) else None
            yield _Finding(
                (*path, key),
                codes.MISSING_KEY,
                f"'{key}' is missing",
                cure,
                key=True,
                at=at,
                spelling=spelling,
            )


def _bad_name(path: Path, error: "jsonschema.ValidationError") -> _Finding:
    """A key that no key may be like."""
    schema, instance = _parts(error)
    message = f"key '{_shown(instance)}' is not of the right form"
    cure = schema.get("patternErrorMessage", "shorten it")
    return _Finding((*path, instance), codes.BAD_VALUE, message, cure, key=True)


def _unknown(path: Path, error: "jsonschema.ValidationError") -> Iterator[_Finding]:
    schema, instance = _parts(error)
    listed_keys = schema.get("properties", {})
    known = [name for name, rule in listed_keys.items() if "not" not in rule]
    code = CODES[schema["x-code"]] if "x-code" in schema else codes.UNKNOWN_KEY
    free = tuple(name for name in known if name not in instance)
    listed = _choices(known if code is codes.UNKNOWN_OPTION else list(free), code)
    pasted = _pasted(schema, instance)
    if pasted:
        yield _of_dirigent(path, schema, pasted)
    for key in instance:
        if key in listed_keys or key in pasted or ("patternProperties" in schema and key.startswith("x-")):
            continue
        below = (*path, key)
        message = f"'{_shown(key)}' is not a key that belongs here"
        if code is codes.UNKNOWN_OPTION:
            message = f"{schema['x-of']} has no option '{_shown(key)}'"
        elif elsewhere := _elsewhere(path, schema, instance, key, free):
            yield elsewhere
            continue
        close = closest(key, known) or _version_key(key, free)
        cure = f"did you mean '{close}'?" if close else listed
        if close not in free:
            # an option may be there in the base of a variant, or in the file that --set changes
            cure += " it is there already" if close and code is not codes.UNKNOWN_OPTION else ""
            close = ""
        means = tuple((*path, name) for name in _meant_keys(schema, close))
        spelling = slip(key, free) if close else None
        yield _Finding(below, code, message, cure, key=True, means=means, spelling=spelling)


def _pasted(schema: dict[str, Any], instance: dict[str, Any]) -> list[str]:
    """Give the keys that dirigent's class has and no sequence; one alone may only be the wrong word for 'steps'."""
    if "x-lists" not in schema:
        return []
    found = [key for key in instance if key in schema["x-lists"] or key.startswith(("class ", "def "))]
    return found if len(found) > 1 or "calseq" not in instance else []


def _of_dirigent(path: Path, schema: dict[str, Any], pasted: list[str]) -> _Finding:
    means = tuple((*path, name) for name in schema["required"])
    message = "these are the lists of dirigent's CalibrationSequence"
    cure = "'calseq convert FILE' makes a sequence file of them"
    return _Finding((*path, pasted[0]), codes.UNKNOWN_KEY, message, cure, key=True, means=means)


def _elsewhere(
    path: Path, schema: dict[str, Any], instance: dict[str, Any], key: str, free: tuple[str, ...]
) -> _Finding | None:
    """Say where a key belongs that has a meaning elsewhere, or by another name."""
    below = (*path, key)
    message = f"'{_shown(key)}' is not a key that belongs here"
    means: tuple[Path, ...] = ()
    spelling = None
    if key in schema.get("x-calibrations", ()) and "calibration" in free:
        cure, means = f"write '- calibration: {key}', and its settings below", ((*path, "calibration"),)
        alone = len(instance) == 1 and instance[key] is None
        spelling = Spelling(key, f"calibration: {key}", "") if alone else None
    elif (right := schema.get("x-called", {}).get(key)) in free:
        cure, means, spelling = f"did you mean '{right}'?", ((*path, right),), Spelling(key, right)
    elif key in schema.get("x-nowhere", {}):
        cure = schema["x-nowhere"][key]
    elif key in schema.get("x-inside", {}):
        inside = schema["x-inside"][key]
        cure, means = f"it belongs into '{inside}:'", ((*path, inside),)
    elif "x-options" in schema and key.lower() in _RAILS:
        cure = "delete it: the type of the calibration switches HV and LV"
    elif key in schema.get("x-options", ()):
        cure = "it is an option: write it in 'options:'"
    else:
        return None
    return _Finding(below, codes.UNKNOWN_KEY, message, cure, key=True, means=means, spelling=spelling)


def _meant_keys(schema: dict[str, Any], close: str) -> Iterator[str]:
    """Give the key that was meant, and those that are not needed where it is."""
    if close:
        yield close
        yield from schema.get("x-instead", {}).get(close, ())


def _version_key(key: str, free: Iterable[str]) -> str:
    """Give the key of the format's version, if it is missing and `key` sounds like it."""
    own = next((name for name in free if name.startswith("calseq")), "")
    return own if any(word in key.lower() for word in ("calseq", "version", "format")) else ""


def _choices(known: list[str], code: Code) -> str:
    if known:
        return "one of " + ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    if code is codes.UNKNOWN_OPTION:
        return "none of its options are known: use 'args:', or describe it in the site's calibrations file"
    return "delete it"


def _type(path: Path, error: "jsonschema.ValidationError") -> Iterator[_Finding]:
    schema, instance = _parts(error)
    allowed: Any = error.validator_value
    names = [allowed] if isinstance(allowed, str) else list(allowed)
    wanted = " or ".join(_WORDS[name] for name in names)
    if schema.get("x-code") == "CS209":
        yield _duration(path, instance)
        return
    items = schema.get("items", False)
    if names == ["array"] and isinstance(instance, dict) and fits(list(instance), {"items": items}):
        listed = f"[{', '.join(instance)}]"
        message = f"{_name(path)} must be {wanted}, not {_described(instance)}"
        is_set = all(value is None for value in instance.values())
        yield _Finding(path, codes.WRONG_TYPE, message, f"write {listed}", listed=listed if is_set else "")
        return
    cure, spelling = retyped(instance, names, items)
    cure = cure or schema.get("x-hint") or f"write {wanted}"
    message = f"{_name(path)} must be {wanted}, not {_described(instance)}"
    yield _Finding(path, codes.WRONG_TYPE, message, cure, spelling=spelling)


def _duration(path: Path, instance: object) -> _Finding:
    if isinstance(instance, (int, float)) and not isinstance(instance, bool):
        cure = f"{instance} of what? write {instance}s, {instance}m or {instance}h"
        return _Finding(path, codes.BAD_DURATION, f"{_name(path)} needs a unit", cure)
    message = f"{_name(path)} must be a duration, not {_described(instance)}"
    return _Finding(path, codes.BAD_DURATION, message, "write 45s, 90m or 1h30m, or none")


def _bad_duration(path: Path, text: str, cure: str) -> _Finding:
    read = understood(text)
    cure = f"write {read or two_readings(text)}" if read or two_readings(text) else cure
    spelling = Spelling(text, read, "") if read else None
    return _Finding(path, codes.BAD_DURATION, f"'{_shown(text)}' is not a duration", cure, spelling=spelling)


def _enum(path: Path, error: "jsonschema.ValidationError") -> Iterator[_Finding]:
    schema, instance = _parts(error)
    allowed: Any = error.validator_value
    values = [str(value) for value in allowed]
    listed = "one of " + ", ".join(values[:12]) + (", …" if len(values) > 12 else "")
    shown = _shown(instance)
    if schema.get("x-code") == "CS203":
        if not isinstance(instance, str):
            yield _Finding(
                path,
                codes.WRONG_TYPE,
                f"a calibration is a name, not {_described(instance)}",
                "write a name such as iv_curve; 'calseq calibrations' lists them",
            )
            return
        message = f"'{shown}' is not a known calibration"
        if instance in schema.get("x-classes", {}):
            yield _of_class(path, instance, schema["x-classes"][instance])
            return
        cure = (
            did_you_mean(instance, values)
            or "'calseq calibrations' lists them; a site's own states its 'type:'"
        )
        yield _Finding(path, codes.UNKNOWN_CALIBRATION, message, cure, spelling=slip(instance, values))
        return
    message = f"{_name(path)} cannot be {_quoted(instance)}"
    if isinstance(instance, str) and all(isinstance(value, (int, float)) for value in allowed):
        listed = f"write it without quotes: {listed}"
    spelling = slip(instance, values) if all(isinstance(value, str) for value in allowed) else None
    yield _Finding(
        path, codes.BAD_VALUE, message, did_you_mean(instance, values) or listed, spelling=spelling
    )


def _of_class(path: Path, name: str, calibrations: list[str]) -> _Finding:
    """dirigent has a class for each type; a step names a calibration of that type."""
    message = f"'{_shown(name)}' is a class in dirigent, not a calibration"
    listed = ", ".join(f"'{each}'" for each in calibrations[:6])
    cure = f"did you mean {'one of ' * (len(calibrations) > 1)}{listed}?"
    spelling = Spelling(name, calibrations[0]) if len(calibrations) == 1 else None
    return _Finding(path, codes.UNKNOWN_CALIBRATION, message, cure, spelling=spelling)


def _const(path: Path, error: "jsonschema.ValidationError") -> Iterator[_Finding]:
    schema, instance = _parts(error)
    if schema.get("x-code") == "CS303":
        yield _Finding(
            path, codes.CONTRADICTING_TYPE, f"type '{_shown(instance)}' is wrong here", schema["errorMessage"]
        )
        return
    wanted: Any = error.validator_value
    code = CODES[schema.get("x-code", "CS206")]
    newer = isinstance(instance, int) and not isinstance(instance, bool) and instance > wanted
    cure = f"this calseq reads version {wanted}" + (
        ": it needs a newer calseq" if newer else f": write {wanted}"
    )
    spelling = Spelling(str(wanted), str(wanted), "") if instance == str(wanted) else None
    yield _Finding(
        path, code, f"{_name(path)} is {_described(instance)}, not {wanted}", cure, spelling=spelling
    )


def _forbidden(path: Path, error: "jsonschema.ValidationError") -> Iterator[_Finding]:
    schema, instance = _parts(error)
    code = CODES[schema["x-code"]]
    key = code in (codes.UNEXPECTED_TUNING, codes.UNKNOWN_KEY)
    if "x-json" in schema:
        cure, spelling = json_unquoted(instance, schema["x-json"])
        yield _Finding(path, code, schema["errorMessage"], cure or schema["x-hint"], spelling=spelling)
        return
    hint = schema.get("x-hint") or f"write it as '- calibration: {_shown(instance)}' with that key below"
    yield _Finding(path, code, schema["errorMessage"], hint, key=key)


def _value(path: Path, error: "jsonschema.ValidationError") -> Iterator[_Finding]:
    schema, instance = _parts(error)
    bound = error.validator_value
    if error.validator == "pattern" and schema.get("x-code") == "CS209":
        yield _bad_duration(path, instance, schema["patternErrorMessage"])
        return
    sayings = {
        "pattern": ("is not of the right form", schema.get("patternErrorMessage", "")),
        "minimum": (f"is below {bound}", f"write {bound} or more"),
        "maximum": (f"is above {bound}", f"write {bound} or less"),
        "exclusiveMinimum": (f"must be above {bound}", "write a larger one"),
        "minLength": ("is empty", "write something"),
        "minItems": ("is empty", "add an entry"),
        "maxLength": (f"has more than {bound} characters", "shorten it"),
        "maxItems": (f"has more than {bound} entries", "split it"),
        "minProperties": ("is empty", "add an entry"),
    }
    saying, cure = sayings.get(str(error.validator), ("is not allowed", ""))
    cure = schema.get("x-hint") or cure
    subject = (
        _name(path)
        if isinstance(instance, (list, dict)) or instance == ""
        else f"{_name(path)} {_quoted(instance)}"
    )
    yield _Finding(path, codes.BAD_VALUE, f"{subject} {saying}", cure)


def _parts(error: "jsonschema.ValidationError") -> tuple[dict[str, Any], Any]:
    schema: Any = error.schema
    return (schema if isinstance(schema, dict) else {}), error.instance


def _name(path: Path) -> str:
    """Name a value by the last word of its route."""
    words = [part for part in path if isinstance(part, str)]
    if not path:
        return "the file"
    if isinstance(path[-1], int):
        return f"entry {path[-1] + 1} of '{printable(words[-1], 40)}'" if words else f"entry {path[-1] + 1}"
    return f"'{printable(path[-1], 40)}'"


def _described(instance: object) -> str:
    if isinstance(instance, bool):
        return "true" if instance else "false"
    if instance is None:
        return "nothing"
    if isinstance(instance, (dict, list)):
        return _WORDS["object" if isinstance(instance, dict) else "array"]
    return f"the text '{_shown(instance)}'" if isinstance(instance, str) else _shown(instance)


def _quoted(instance: object) -> str:
    return f"'{_shown(instance)}'" if isinstance(instance, str) else _described(instance)


def _shown(instance: object) -> str:
    return printable(str(instance), 40)
