"""JSON Schema's verdicts on a document, in an operator's words."""

import difflib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import jsonschema
from referencing import Registry

from calseq import problems as codes
from calseq.assets import schemas
from calseq.document import Document, Path
from calseq.plaintext import printable
from calseq.problems import CODES, Code, Problem

_WORDS = {
    "object": "a mapping (key: value)",
    "array": "a list",
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
    validator = jsonschema.Draft7Validator(schema, registry=Registry())
    for error in sorted(validator.iter_errors(document.data), key=_rank):
        for finding in _findings(error):
            _note(document, finding)


@cache
def stored_schema(name: str) -> dict[str, Any]:
    """Give one of the schemas on disk: 'bench', 'calibrations', 'instruments'."""
    schema: dict[str, Any] = json.loads((schemas() / f"{name}.schema.json").read_bytes())
    return schema


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Suggest a known word that is like `word`; empty if none is."""
    names = list(known)
    folded = {name.lower().replace("-", "_"): name for name in names}
    close = difflib.get_close_matches(str(word).lower().replace("-", "_"), folded, n=1, cutoff=0.6)
    return f"did you mean '{folded[close[0]]}'?" if close else ""


class _Finding:
    """One thing to say: `path` is what it is about, `at` where to point if that is elsewhere."""

    __slots__ = ("at", "code", "cure", "key", "message", "path")

    def __init__(
        self,
        path: Path,
        code: Code,
        message: str,
        cure: str = "",
        *,
        key: bool = False,
        at: Path | None = None,
    ) -> None:
        self.path, self.code, self.message, self.cure, self.key = path, code, message, cure, key
        self.at = path if at is None else at


def _note(document: Document, finding: _Finding) -> None:
    if document.is_spoilt(finding.path):
        return
    place = document.place(finding.at, key=finding.key)
    problem = Problem(finding.code, finding.message, finding.cure, place, within(document, finding.path))
    document.spoil(finding.path, problem)


def within(document: Document, path: Path) -> str:
    """Say which step a route is in: 'step 3', with its name when that says more."""
    if len(path) < 2 or path[0] != "steps" or not isinstance(path[1], int):
        return ""
    steps = document.data.get("steps") if isinstance(document.data, dict) else None
    step = steps[path[1]] if isinstance(steps, list) else None
    name = step.get("name") or step.get("calibration") if isinstance(step, dict) else step
    return f"step {path[1] + 1}" + (f", {printable(name, 40)}" if isinstance(name, str) and name else "")


def _rank(error: "jsonschema.ValidationError") -> tuple[int, bool]:
    """The outermost error first: what is below a wrong value is not worth a word."""
    return (len(error.absolute_path), error.validator in ("required", "additionalProperties"))


def _findings(error: "jsonschema.ValidationError") -> Iterator[_Finding]:
    path: Path = tuple(error.absolute_path)
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
        hint = schema.get("x-hint", "")
        close = [name for name in instance if did_you_mean(name, [key])]
        cure = f"add '{key}:'" if not close else f"'{printable(close[0], 40)}' should perhaps be '{key}'"
        if schema.get("x-code"):
            at = (*path, "calibration")
            yield _Finding((*path, key), CODES[schema["x-code"]], hint, f"add '{key}:'", at=at)
        else:
            yield _Finding((*path, key), codes.MISSING_KEY, f"'{key}' is missing", cure)


def _unknown(path: Path, error: "jsonschema.ValidationError") -> Iterator[_Finding]:
    schema, instance = _parts(error)
    known = list(schema.get("properties", {}))
    code = CODES[schema["x-code"]] if "x-code" in schema else codes.UNKNOWN_KEY
    for key in instance:
        if key in known or any(key.startswith("x-") for _ in schema.get("patternProperties", ())):
            continue
        shown = printable(str(key), 40)
        message = f"'{shown}' is not a key that belongs here"
        if code is codes.UNKNOWN_OPTION:
            message = f"{schema['x-of']} has no option '{shown}'"
        free = [name for name in known if name not in instance]
        yield _Finding((*path, key), code, message, did_you_mean(key, free) or _choices(free, code), key=True)


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
    cure = f"write {wanted}"
    if "string" in names and isinstance(instance, (int, float)):
        cure = f'put it in quotes: "{_shown(instance)}"'
    elif isinstance(instance, str) and {"number", "integer"} & set(names) and _is_number(instance):
        cure = f"write it without quotes: {instance}"
    yield _Finding(
        path, codes.WRONG_TYPE, f"{_name(path)} must be {wanted}, not {_described(instance)}", cure
    )


def _duration(path: Path, instance: object) -> _Finding:
    if isinstance(instance, (int, float)) and not isinstance(instance, bool):
        cure = f"{instance} of what? write {instance}s, {instance}m or {instance}h"
        return _Finding(path, codes.BAD_DURATION, f"{_name(path)} needs a unit", cure)
    message = f"{_name(path)} must be a duration, not {_described(instance)}"
    return _Finding(path, codes.BAD_DURATION, message, "write 45s, 90m or 1h30m, or none")


def _enum(path: Path, error: "jsonschema.ValidationError") -> Iterator[_Finding]:
    schema, instance = _parts(error)
    allowed: Any = error.validator_value
    values = [str(value) for value in allowed]
    listed = "one of " + ", ".join(values[:12]) + (", …" if len(values) > 12 else "")
    shown = _shown(instance)
    if schema.get("x-code") == "CS203":
        if not isinstance(instance, str):
            yield _Finding(
                path, codes.WRONG_TYPE, f"a calibration is a name, not {_described(instance)}", listed
            )
            return
        cure = (
            did_you_mean(instance, values)
            or "'calseq calibrations' lists them; a site's own states its 'type:'"
        )
        yield _Finding(path, codes.UNKNOWN_CALIBRATION, f"'{shown}' is not a known calibration", cure)
        return
    message = f"{_name(path)} cannot be {_described(instance)}"
    yield _Finding(path, codes.BAD_VALUE, message, did_you_mean(instance, values) or listed)


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
    yield _Finding(path, code, f"{_name(path)} is {_described(instance)}, not {wanted}", cure)


def _forbidden(path: Path, error: "jsonschema.ValidationError") -> Iterator[_Finding]:
    schema, instance = _parts(error)
    code = CODES[schema["x-code"]]
    key = code is codes.UNEXPECTED_TUNING
    hint = schema.get("x-hint") or f"write it as '- calibration: {_shown(instance)}' with that key below"
    yield _Finding(path, code, schema["errorMessage"], hint, key=key)


def _value(path: Path, error: "jsonschema.ValidationError") -> Iterator[_Finding]:
    schema, instance = _parts(error)
    bound = error.validator_value
    if error.validator == "pattern" and schema.get("x-code") == "CS209":
        yield _Finding(
            path, codes.BAD_DURATION, f"'{_shown(instance)}' is not a duration", schema["patternErrorMessage"]
        )
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
        return f"entry {path[-1] + 1} of {words[-1]}" if words else f"entry {path[-1] + 1}"
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
    return f"'{_shown(instance)}'" if isinstance(instance, str) else _shown(instance)


def _shown(instance: object) -> str:
    return printable(str(instance), 40)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
