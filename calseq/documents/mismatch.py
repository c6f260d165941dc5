"""What JSON Schema has against a value, in an operator's words."""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from calseq.documents.corrections import Spelling, json_unquoted, retyped, slip
from calseq.documents.document import Path
from calseq.documents.durations import two_readings, understood
from calseq.documents.fast_check import fits
from calseq.problems import codes
from calseq.problems.codes import CODES
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code
from calseq.problems.suggestions import closest, did_you_mean, meant

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


class Mismatch(Struct, frozen=True):
    """A value that a rule of its schema refuses: the rule's `keyword` and `bound`, and the `schema` it is part of.

    `is_key`: it is the name of a key of the mapping at `path`.
    """

    path: Path
    keyword: str
    bound: Any
    schema: dict[str, Any]
    instance: Any
    is_key: bool = False


class Finding(Struct, frozen=True):
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


def findings(error: Mismatch) -> Iterator[Finding]:
    """Give what to say of a mismatch; nothing where calseq's readers say it better."""
    if error.schema.get("x-reader"):
        return
    if error.is_key:
        yield _bad_name(error)
        return
    say = {
        "required": _missing,
        "additionalProperties": _unknown,
        "type": _type,
        "enum": _enum,
        "const": _const,
        "not": _forbidden,
    }.get(error.keyword, _value)
    yield from say(error)


def _missing(error: Mismatch) -> Iterator[Finding]:
    path, schema, instance = error.path, error.schema, error.instance
    for key in schema["required"]:
        if key in instance:
            continue
        cure = f"add '{key}:'"
        if schema.get("x-code"):
            named = (*path, "calibration")
            yield Finding((*path, key), CODES[schema["x-code"]], schema["x-hint"], cure, at=named)
        else:
            strange = tuple(name for name in instance if name not in schema.get("properties", ()))
            close = closest(key, strange)
            cure = f"'{_shown(close)}' should perhaps be '{key}'" if close else cure
            at = (*path, close) if close else None
            cure = "add 'calseq: 1', the version of the format" if key == "calseq" and not close else cure
            spelling = Spelling(close, key) if meant(close, (key,)) else None
            yield Finding(
                (*path, key),
                codes.MISSING_KEY,
                f"'{key}' is missing",
                cure,
                key=True,
                at=at,
                spelling=spelling,
            )


def _bad_name(error: Mismatch) -> Finding:
    """A key that no key may be like."""
    path, schema, instance = error.path, error.schema, error.instance
    message = f"key '{_shown(instance)}' is not of the right form"
    cure = schema.get("patternErrorMessage", "shorten it")
    return Finding((*path, instance), codes.BAD_VALUE, message, cure, key=True)


def _unknown(error: Mismatch) -> Iterator[Finding]:
    path, schema, instance = error.path, error.schema, error.instance
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
        yield Finding(below, code, message, cure, key=True, means=means, spelling=spelling)


def _pasted(schema: dict[str, Any], instance: dict[str, Any]) -> list[str]:
    """Give the keys that dirigent's class has and no sequence; one alone may only be the wrong word for 'steps'."""
    if "x-lists" not in schema:
        return []
    found = [key for key in instance if key in schema["x-lists"] or key.startswith(("class ", "def "))]
    return found if len(found) > 1 or "calseq" not in instance else []


def _of_dirigent(path: Path, schema: dict[str, Any], pasted: list[str]) -> Finding:
    means = tuple((*path, name) for name in schema["required"])
    message = "these are the lists of dirigent's CalibrationSequence"
    cure = "'calseq convert FILE' makes a sequence file of them"
    return Finding((*path, pasted[0]), codes.UNKNOWN_KEY, message, cure, key=True, means=means)


def _elsewhere(
    path: Path, schema: dict[str, Any], instance: dict[str, Any], key: str, free: tuple[str, ...]
) -> Finding | None:
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
    return Finding(below, codes.UNKNOWN_KEY, message, cure, key=True, means=means, spelling=spelling)


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


def _type(error: Mismatch) -> Iterator[Finding]:
    path, schema, instance = error.path, error.schema, error.instance
    names = [error.bound] if isinstance(error.bound, str) else list(error.bound)
    wanted = " or ".join(_WORDS[name] for name in names)
    if schema.get("x-code") == "CS209":
        yield _duration(path, instance)
        return
    items = schema.get("items", False)
    if names == ["array"] and isinstance(instance, dict) and fits(list(instance), {"items": items}):
        listed = f"[{', '.join(instance)}]"
        message = f"{_name(path)} must be {wanted}, not {_described(instance)}"
        is_set = all(value is None for value in instance.values())
        yield Finding(path, codes.WRONG_TYPE, message, f"write {listed}", listed=listed if is_set else "")
        return
    cure, spelling = retyped(instance, names, items)
    cure = cure or schema.get("x-hint") or f"write {wanted}"
    message = f"{_name(path)} must be {wanted}, not {_described(instance)}"
    yield Finding(path, codes.WRONG_TYPE, message, cure, spelling=spelling)


def _duration(path: Path, instance: object) -> Finding:
    if isinstance(instance, (int, float)) and not isinstance(instance, bool):
        cure = f"{instance} of what? write {instance}s, {instance}m or {instance}h"
        return Finding(path, codes.BAD_DURATION, f"{_name(path)} needs a unit", cure)
    message = f"{_name(path)} must be a duration, not {_described(instance)}"
    return Finding(path, codes.BAD_DURATION, message, "write 45s, 90m or 1h30m, or none")


def _bad_duration(path: Path, text: str, cure: str) -> Finding:
    read = understood(text)
    cure = f"write {read or two_readings(text)}" if read or two_readings(text) else cure
    spelling = Spelling(text, read, "") if read else None
    return Finding(path, codes.BAD_DURATION, f"'{_shown(text)}' is not a duration", cure, spelling=spelling)


def _enum(error: Mismatch) -> Iterator[Finding]:
    path, schema, instance = error.path, error.schema, error.instance
    allowed = error.bound
    values = [str(value) for value in allowed]
    listed = "one of " + ", ".join(values[:12]) + (", …" if len(values) > 12 else "")
    shown = _shown(instance)
    if schema.get("x-code") == "CS203":
        if not isinstance(instance, str):
            yield Finding(
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
        yield Finding(path, codes.UNKNOWN_CALIBRATION, message, cure, spelling=slip(instance, values))
        return
    message = f"{_name(path)} cannot be {_quoted(instance)}"
    if isinstance(instance, str) and all(isinstance(value, (int, float)) for value in allowed):
        listed = f"write it without quotes: {listed}"
    spelling = slip(instance, values) if all(isinstance(value, str) for value in allowed) else None
    yield Finding(path, codes.BAD_VALUE, message, did_you_mean(instance, values) or listed, spelling=spelling)


def _of_class(path: Path, name: str, calibrations: list[str]) -> Finding:
    """dirigent has a class for each type; a step names a calibration of that type."""
    message = f"'{_shown(name)}' is a class in dirigent, not a calibration"
    listed = ", ".join(f"'{each}'" for each in calibrations[:6])
    cure = f"did you mean {'one of ' * (len(calibrations) > 1)}{listed}?"
    spelling = Spelling(name, calibrations[0]) if len(calibrations) == 1 else None
    return Finding(path, codes.UNKNOWN_CALIBRATION, message, cure, spelling=spelling)


def _const(error: Mismatch) -> Iterator[Finding]:
    path, schema, instance = error.path, error.schema, error.instance
    if schema.get("x-code") == "CS303":
        yield Finding(
            path, codes.CONTRADICTING_TYPE, f"type '{_shown(instance)}' is wrong here", schema["errorMessage"]
        )
        return
    wanted = error.bound
    code = CODES[schema.get("x-code", "CS206")]
    newer = isinstance(instance, int) and not isinstance(instance, bool) and instance > wanted
    cure = f"this calseq reads version {wanted}" + (
        ": it needs a newer calseq" if newer else f": write {wanted}"
    )
    spelling = Spelling(str(wanted), str(wanted), "") if instance == str(wanted) else None
    yield Finding(
        path, code, f"{_name(path)} is {_described(instance)}, not {wanted}", cure, spelling=spelling
    )


def _forbidden(error: Mismatch) -> Iterator[Finding]:
    path, schema, instance = error.path, error.schema, error.instance
    code = CODES[schema["x-code"]]
    key = code in (codes.UNEXPECTED_TUNING, codes.UNKNOWN_KEY)
    if "x-json" in schema:
        cure, spelling = json_unquoted(instance, schema["x-json"])
        yield Finding(path, code, schema["errorMessage"], cure or schema["x-hint"], spelling=spelling)
        return
    hint = schema.get("x-hint") or f"write it as '- calibration: {_shown(instance)}' with that key below"
    yield Finding(path, code, schema["errorMessage"], hint, key=key)


def _value(error: Mismatch) -> Iterator[Finding]:
    path, schema, instance = error.path, error.schema, error.instance
    bound = error.bound
    if error.keyword == "pattern" and schema.get("x-code") == "CS209":
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
    saying, cure = sayings.get(error.keyword, ("is not allowed", ""))
    cure = schema.get("x-hint") or cure
    subject = (
        _name(path)
        if isinstance(instance, (list, dict)) or instance == ""
        else f"{_name(path)} {_quoted(instance)}"
    )
    yield Finding(path, codes.BAD_VALUE, f"{subject} {saying}", cure)


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
