"""The JSON schema of a sequence file: its fixed part is `sequence.base.json`, the rest is made from the catalogue.

Draft-07, discriminated by `if`/`then` per calibration and never by `oneOf`: measured, that gives one error
per defect in jsonschema, check-jsonschema and yaml-language-server. `x-code` names calseq's own code for a
rule; other readers pass over it. A rule with `x-reader` is there for editors alone: calseq's readers say it better.
"""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from calseq.documents.durations import DURATION_PATTERN
from calseq.model.rails import ROLE_NAMES, Role, StepType
from calseq.sequence.catalog import Calibration, Catalog, Option

Schema = dict[str, Any]

OWNED_ARGUMENTS = {
    "--directory": "the run folder decides it",
    "--instruments-dict": "the bench decides it",
    "--channels-dict": "the bench decides it",
    "--no-monitoring": "set 'dirigent: {flags: …}' in the bench file",
    "-p": "write the option by its long name",
    "-l": "write the option by its long name",
    "-m": "write the option by its long name",
}
"""Arguments that calseq itself gives to dirigent, and who decides over them."""

_TYPE_MEANINGS = {
    StepType.GENERAL: "LV on, HV off",
    StepType.IVCURVE: "the calibration drives LV and HV itself; then breakdowns.json decides over the bias",
    StepType.SLDO: "the calibration sweeps LV; HV off",
    StepType.TUNING: "LV on, sensor biased",
    StepType.OPENBUMPS: "LV on, sensor biased",
}
CLASSES = {
    "GeneralCalibration": StepType.GENERAL,
    "IVCurve": StepType.IVCURVE,
    "OpenBumps": StepType.OPENBUMPS,
    "SLDOCurves": StepType.SLDO,
    "TuneModule": StepType.TUNING,
}
_JSON_TYPES = {"number": "number", "integer": "integer", "text": "string", "switch": "boolean"}
_FINITE: Schema = {"allOf": [{"$ref": "#/definitions/finite"}]}
_CLEAN: Schema = {"allOf": [{"$ref": "#/definitions/clean"}]}


def sequence_schema(catalog: Catalog) -> Schema:
    """Give the schema of sequence files for a catalogue."""
    base, names = _base(), catalog.names()
    calibrations = [catalog.calibrations[name] for name in names]
    made = {
        "role names": [str(role) for role in Role],
        "role meanings": [ROLE_NAMES[role] for role in Role],
        "types": [str(type_) for type_ in StepType],
        "type meanings": [_TYPE_MEANINGS[type_] for type_ in StepType],
        "duration pattern": DURATION_PATTERN,
        "not calseq's own": _without(("--", *OWNED_ARGUMENTS), "calseq's own argument: delete it"),
        "calibrations": names,
        "options": sorted({name for calibration in calibrations for name in calibration.options}),
        "known name": _known_name(catalog),
        "not by name alone": [_not_by_name(each) for each in calibrations if each.type is StepType.TUNING],
        "snippets": [_snippet(each) for each in calibrations],
        "known settings": {
            f"{each.name}.{key}": {"x-part": "value", "description": _about(option)}
            for each in calibrations
            for key, option in each.options.items()
        },
        "known changes": {each.name: _change(each) for each in calibrations},
        "rules": [
            {"x-part": "name or type"},
            *(_rule(each) for each in calibrations),
            {"x-part": "of no catalogue"},
        ],
    }
    filled: Schema = _filled(base["schema"], base["parts"] | made)
    return filled


@cache
def _base() -> Schema:
    base: Schema = json.loads(Path(__file__).with_name("sequence.base.json").read_bytes())
    return base


def _filled(schema: Any, parts: Mapping[str, Any]) -> Any:
    """Put the part of its name in the place of each `x-part`, beside the keys that are there besides."""
    if isinstance(schema, list):
        return [_filled(each, parts) for each in schema]
    if not isinstance(schema, dict):
        return schema
    filled: Schema = {}
    for key, value in schema.items():
        if key != "x-part":
            filled[key] = _filled(value, parts)
        elif len(schema) == 1:
            return _filled(parts[value], parts)
        else:
            filled.update(_filled(parts[value], parts))
    return filled


def _without(flags: Iterable[str], message: str) -> Schema:
    """Arguments that are none of `flags`, with or without a value: an editor marks those that calseq refuses."""
    escaped = "|".join(re.sub(r"([\\^$.*+?()\[\]{}|])", r"\\\1", flag) for flag in flags)
    pattern = rf"^({escaped})(=|$(?!\n))"
    rule = {"not": {"type": "string", "pattern": pattern}, "errorMessage": message, "x-reader": True}
    return {"allOf": [rule]}


def _change(calibration: Calibration) -> Schema:
    """The options of a step that has its calibration's name are known to an editor."""
    options = {key: {"description": _about(option)} for key, option in calibration.options.items()}
    return {
        "description": calibration.summary,
        "allOf": [{"$ref": "#/definitions/change"}],
        "properties": {"options": {"properties": options, "description": f"options of {calibration.name}"}},
    }


def _snippet(calibration: Calibration) -> Schema:
    """A step as an editor begins it; with further keys it would be offered inside of other steps, too."""
    body = {"calibration": calibration.name}
    return {"label": calibration.name, "description": calibration.summary, "body": body}


def _not_by_name(calibration: Calibration) -> Schema:
    """A tuning calibration needs more than its name."""
    message = f"{calibration.name} needs {_tuning_key(calibration)}"
    rule = {"not": {}, "x-code": "CS207", "errorMessage": message}
    return {"if": {"const": calibration.name}, "then": rule}


def _known_name(catalog: Catalog) -> Schema:
    """A name of the catalogue; any name, while a part of the catalogue cannot be read."""
    if catalog.lost:
        return {"x-part": "own name"}
    names = catalog.names()
    return {
        "enum": names,
        "enumDescriptions": [catalog.calibrations[name].summary for name in names],
        "x-code": "CS203",
        "x-classes": _classes(catalog),
        "description": "a calibration of the catalogue",
    }


def _classes(catalog: Catalog) -> dict[str, list[str]]:
    """What dirigent calls the class of each type, with the calibrations that are of it."""
    return {
        name: [each for each in catalog.names() if catalog.calibrations[each].type is type_]
        for name, type_ in CLASSES.items()
    }


def _rule(calibration: Calibration) -> Schema:
    condition = {"required": ["calibration"], "properties": {"calibration": {"const": calibration.name}}}
    properties: Schema = {
        "type": {
            "const": str(calibration.type),
            "x-code": "CS303",
            "errorMessage": f"{calibration.name} is of type {calibration.type}: delete the line",
            "description": f"{calibration.type}: {_TYPE_MEANINGS[calibration.type]}",
        },
        "options": _options(calibration),
        "tuning": _tuning(calibration),
    }
    then: Schema = {"description": calibration.summary, "properties": properties}
    if calibration.tuning:
        then["required"] = ["args" if calibration.tuning.form == "args" else "tuning"]
        then["x-code"] = "CS207"
        then["x-hint"] = f"{calibration.name} needs {_tuning_key(calibration)}"
    properties |= _args_rule(calibration)
    return {"if": condition, "then": then}


def _args_rule(calibration: Calibration) -> Schema:
    """Rule for `args`: no flag of an option or of the tuning, which have keys of their own."""
    flags = [option.flag for option in calibration.options.values()]
    tuning = calibration.tuning
    rule: Schema = (
        {"items": _without(flags, f"an option of {calibration.name}: write it in 'options:'")}
        if flags
        else {}
    )
    if tuning and tuning.flag:
        rule = {"items": _without([*flags, tuning.flag], "write it in 'options:' or 'tuning:'")}
    if tuning and tuning.form == "args":
        rule["minItems"] = 1
    return {"args": {**rule, "description": f"further arguments of {calibration.name}"}} if rule else {}


def _tuning_key(calibration: Calibration) -> str:
    forms = {
        "text": "'tuning:', the name of a tuning",
        "tests": "'tuning:', a list of tests",
        "args": "'args:', since no tuning option of it is known",
    }
    return forms[calibration.tuning.form] if calibration.tuning else ""


def _options(calibration: Calibration) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "x-code": "CS205",
        "x-of": calibration.name,
        "description": f"options of {calibration.name}",
        "properties": {name: _option(option) for name, option in calibration.options.items()},
    }


def _option(option: Option) -> Schema:
    value: Schema = {"type": _JSON_TYPES[option.type], **(_CLEAN if option.type == "text" else _FINITE)}
    if option.type == "text":
        value |= {"minLength": 1, "maxLength": 4096}
    if option.minimum is not None:
        value["minimum"] = option.minimum
    if option.maximum is not None:
        value["maximum"] = option.maximum
    if option.choices:
        value = {"enum": list(option.choices)}
    if option.multiple:
        value = {"type": "array", "minItems": 1, "maxItems": 64, "items": value}
    return {**value, "description": _about(option)}


def _about(option: Option) -> str:
    unit = f" ({option.unit})" if option.unit else ""
    return f"{option.description}{unit}: {option.flag}"


def _tuning(calibration: Calibration) -> Schema:
    form = calibration.tuning.form if calibration.tuning else ""
    if form == "text":
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": 4096,
            **_CLEAN,
            "x-hint": "write the name of a tuning, for instance Tuning_1000",
            "description": f"the tuning to do, for instance Tuning_1000: {calibration.name} -t",
        }
    if form == "tests":
        return {"x-part": "tests"}
    hint = (
        "give its arguments in 'args:'" if form == "args" else "delete it; only tuning calibrations have one"
    )
    return {
        "not": {},
        "x-code": "CS208",
        "errorMessage": f"{calibration.name} takes no 'tuning:'",
        "description": "only for tuning calibrations",
        "x-hint": hint,
    }
