"""A quick yes to a document that fits its schema for sure; what is not sure is left to jsonschema.

jsonschema takes 60 ms to import, a third of the time of a check, and most files that are checked are good. This
evaluates the same schema, and only the keywords that calseq's schemas use: one that it does not know means "not sure".
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

Schema = dict[str, Any]
_Judge = Callable[[Any, Any, Schema], bool]

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
_NUMBERS = (int, float)
# What judges nothing, and what is judged below, beside the other keywords.
_NOT_JUDGED = {
    "$schema", "title", "description", "definitions", "enumDescriptions", "errorMessage", "patternErrorMessage",
    "x-calibrations", "x-called", "x-classes", "x-code", "x-hint", "x-inside", "x-instead", "x-json", "x-lists", "x-of",
    "x-options", "x-reader", "defaultSnippets", "doNotSuggest",
    "properties", "patternProperties", "additionalProperties", "if", "then", "else",
}  # fmt: skip
_pattern = cache(re.compile)
# jsonschema-rs in its place costs 13 ms at each start (`calseq validate sequences/panthera.yaml`, CPU, median of 20: 206 ms beside 193).


def fits(data: Any, schema: Schema) -> bool:
    """Tell whether `data` fits `schema` for sure. False means that it does not, or that only jsonschema can tell."""
    try:
        return _fits(data, schema, schema)
    except (KeyError, TypeError, RecursionError):
        return False


def schemas_at(data: Any, schema: Schema, path: Sequence[str | int]) -> Iterator[Schema]:
    """Schemas that apply to the value at a route of `data`, each with the definitions it refers to."""
    return _schemas_at(data, schema, path, schema)


def _schemas_at(data: Any, schema: Any, path: Sequence[str | int], root: Schema) -> Iterator[Schema]:
    if not isinstance(schema, dict):
        return
    schema = _resolved(schema, root)
    if not path:
        yield {"definitions": root.get("definitions", {}), **schema}
        return
    branch = ("then" if _fits(data, schema["if"], root) else "else") if "if" in schema else ""
    for part in (*schema.get("allOf", ()), schema.get(branch)):
        yield from _schemas_at(data, part, path, root)
    key = path[0]
    if isinstance(data, dict):
        below = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
    else:
        below = schema.get("items")
    yield from _schemas_at(data[key], below, path[1:], root)


def _resolved(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref", "").removeprefix("#/definitions/")
    return root["definitions"][reference] if reference else schema


def _fits(data: Any, schema: Any, root: Schema) -> bool:
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema:
        return _fits(data, _resolved(schema, root), root)
    said = schema.keys() - _NOT_JUDGED
    return (
        all(_JUDGES[keyword](data, schema[keyword], root) for keyword in said)
        and _branch_fits(data, schema, root)
        and _entries_fit(data, schema, root)
    )


def _branch_fits(data: Any, schema: Schema, root: Schema) -> bool:
    if "if" not in schema:
        return True
    branch = "then" if _fits(data, schema["if"], root) else "else"
    return _fits(data, schema.get(branch, True), root)


def _entries_fit(data: Any, schema: Schema, root: Schema) -> bool:
    if not isinstance(data, dict):
        return True
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for key, value in data.items():
        judges = [known[key]] if key in known else []
        judges += [below for pattern, below in patterns.items() if _pattern(pattern).search(key)]
        if not all(
            _fits(value, below, root) for below in judges or [schema.get("additionalProperties", True)]
        ):
            return False
    return True


def _is(data: Any, name: str) -> bool:
    if isinstance(data, bool):
        return name == "boolean"
    return isinstance(data, _TYPES[name])


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _of(kind: type | tuple[type, ...], judge: Callable[[Any, Any], bool]) -> _Judge:
    """A keyword that is only about values of one kind."""
    return lambda data, bound, _: isinstance(data, bool) or not isinstance(data, kind) or judge(data, bound)


_JUDGES: dict[str, _Judge] = {
    "type": lambda data, names, _: any(
        _is(data, name) for name in ([names] if isinstance(names, str) else names)
    ),
    "enum": lambda data, values, _: any(_same(data, value) for value in values),
    "const": lambda data, value, _: _same(data, value),
    "not": lambda data, below, root: not _fits(data, below, root),
    "allOf": lambda data, all_, root: all(_fits(data, below, root) for below in all_),
    "items": lambda data, below, root: (
        not isinstance(data, list) or all(_fits(item, below, root) for item in data)
    ),
    "propertyNames": lambda data, below, root: (
        not isinstance(data, dict) or all(_fits(key, below, root) for key in data)
    ),
    "required": _of(dict, lambda data, keys: all(key in data for key in keys)),
    "minProperties": _of(dict, lambda data, least: len(data) >= least),
    "pattern": _of(str, lambda data, pattern: _pattern(pattern).search(data) is not None),
    "minLength": _of(str, lambda data, least: len(data) >= least),
    "maxLength": _of(str, lambda data, most: len(data) <= most),
    "minItems": _of(list, lambda data, least: len(data) >= least),
    "maxItems": _of(list, lambda data, most: len(data) <= most),
    "minimum": _of(_NUMBERS, lambda data, least: data >= least),
    "maximum": _of(_NUMBERS, lambda data, most: data <= most),
    "exclusiveMinimum": _of(_NUMBERS, lambda data, bound: data > bound),
}
