"""The JSON schema of a sequence file, made from the catalogue.

Draft-07, discriminated by `if`/`then` per calibration and never by `oneOf`: measured, that gives one error
per defect in jsonschema, check-jsonschema and yaml-language-server. `x-code` names calseq's own code for a
rule; other readers pass over it.
"""

from typing import Any

from calseq.catalog import Calibration, Catalog, Option
from calseq.durations import DURATION_PATTERN
from calseq.rails import ROLE_NAMES, Role, StepType

Schema = dict[str, Any]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$(?!\n)"
NAME_FORM = "use letters, digits, '_', '.' and '-', 64 at most, a letter or digit first"
MAX_STEPS = 1000

_TYPE_MEANINGS = {
    StepType.GENERAL: "LV on, HV off",
    StepType.IVCURVE: "the calibration drives LV and HV itself; then breakdowns.json decides over the bias",
    StepType.SLDO: "the calibration sweeps LV; HV off",
    StepType.TUNING: "LV on, sensor biased",
    StepType.OPENBUMPS: "LV on, sensor biased",
}
_JSON_TYPES = {"number": "number", "integer": "integer", "text": "string", "switch": "boolean"}
_ROLES: Schema = {
    "type": "array",
    "maxItems": 5,
    "items": {
        "enum": [str(role) for role in Role],
        "enumDescriptions": [ROLE_NAMES[role] for role in Role],
    },
}
_DURATION: Schema = {
    "type": "string",
    "pattern": DURATION_PATTERN,
    "maxLength": 20,
    "x-code": "CS209",
    "patternErrorMessage": "write a duration such as 45s, 90m or 1h30m, or none",
}
_SCALAR: Schema = {"type": ["number", "string", "boolean"], "maxLength": 4096}
_ON_FAILURE: Schema = {
    "enum": ["stop", "continue"],
    "enumDescriptions": [
        "end the run safely (default)",
        "go on with the next step; the run has failed all the same",
    ],
}


def sequence_schema(catalog: Catalog) -> Schema:
    """Give the schema of sequence files for a catalogue."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "calseq sequence",
        "description": "A calibration sequence: dirigent calibrations that calseq runs one after another.",
        "type": "object",
        "x-hint": "begin with 'calseq: 1', 'title: …' and 'steps:'",
        "required": ["calseq", "title", "steps"],
        "additionalProperties": False,
        "patternProperties": {"^x-": {"description": "for the author's own use, such as anchors"}},
        "properties": _top_properties(),
        "definitions": {"step": _step(catalog), "names": _names(catalog)},
    }


def _top_properties() -> Schema:
    return {
        "calseq": {
            "const": 1,
            "description": "version of this file's format: 1",
            "x-code": "CS210",
        },
        "title": {
            "type": "string",
            "minLength": 1,
            "maxLength": 120,
            "pattern": r"^[^\n\t]*$(?!\n)",
            "patternErrorMessage": "write it on one line",
            "description": "name of the sequence, as the database shows it",
        },
        "description": {"type": "string", "maxLength": 4000, "description": "what the sequence is for"},
        "required_instruments": {
            **_ROLES,
            "description": "roles that the bench must have; checked before anything is switched on",
        },
        "limits": {
            "type": "object",
            "additionalProperties": False,
            "description": "what no voltage of this sequence may exceed, on whatever bench",
            "properties": {
                "hv": {"type": "number", "description": "limit of the high voltage in volts: -80"}
            },
        },
        "defaults": {
            "type": "object",
            "additionalProperties": False,
            "description": "settings of every step that does not say otherwise",
            "properties": _policies(),
        },
        "steps": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_STEPS,
            "description": "the calibrations, in the order in which they run",
            "items": {
                "type": ["string", "object"],
                "x-hint": "write '- calibration: …', or only the name of a calibration",
                "allOf": [
                    {"if": {"type": "string"}, "then": {"$ref": "#/definitions/names"}},
                    {"if": {"type": "object"}, "then": {"$ref": "#/definitions/step"}},
                ],
            },
        },
    }


def _policies() -> Schema:
    return {
        "timeout": {**_DURATION, "description": "longest time a step may take: 45s, 90m, 1h30m or none"},
        "retries": {
            "type": "integer",
            "minimum": 0,
            "maximum": 5,
            "description": "how often a step that did not pass is tried again",
        },
        "on_failure": {**_ON_FAILURE, "description": "what happens when a step does not pass"},
        "stop_grace": {
            **_DURATION,
            "description": "time a child has to ramp down once it was asked to stop (default 3m, at least 30s)",
        },
    }


def _names(catalog: Catalog) -> Schema:
    """A step that is only a name: every calibration, though a tuning one needs more than that."""
    return {
        **_known_name(catalog),
        "allOf": [
            {
                "if": {"const": name},
                "then": {
                    "not": {},
                    "x-code": "CS207",
                    "errorMessage": f"{name} needs {_tuning_key(calibration)}",
                },
            }
            for name, calibration in sorted(catalog.calibrations.items())
            if calibration.type is StepType.TUNING
        ],
    }


def _known_name(catalog: Catalog) -> Schema:
    """A name of the catalogue; any name, while a part of the catalogue cannot be read."""
    if catalog.lost:
        return _own_name()
    names = catalog.names()
    return {
        "enum": names,
        "enumDescriptions": [catalog.calibrations[name].summary for name in names],
        "x-code": "CS203",
        "description": "a calibration of the catalogue",
    }


def _own_name() -> Schema:
    return {
        "type": "string",
        "pattern": NAME_PATTERN,
        "patternErrorMessage": NAME_FORM,
        "description": "a calibration that only this step tells of",
    }


def _step(catalog: Catalog) -> Schema:
    names = catalog.names()
    calibrations = [catalog.calibrations[name] for name in names]
    return {
        "type": "object",
        "required": ["calibration"],
        "additionalProperties": False,
        "x-calibrations": names,
        "x-options": sorted({name for calibration in calibrations for name in calibration.options}),
        "properties": {
            "calibration": {"description": "the dirigent calibration to run"},
            "name": {
                "type": "string",
                "pattern": NAME_PATTERN,
                "description": "name of the step, unique in the file; else the calibration's",
                "patternErrorMessage": NAME_FORM,
            },
            "type": {
                "enum": [str(type_) for type_ in StepType],
                "enumDescriptions": [_TYPE_MEANINGS[type_] for type_ in StepType],
                "description": "only for a calibration that the catalogue does not have: what it does to the rails",
            },
            "options": {"description": "dirigent's long options, in snake_case"},
            "args": {
                "type": "array",
                "maxItems": 64,
                "items": {"type": ["string", "number"], "maxLength": 4096},
                "description": "further arguments, passed as they are and never through a shell",
            },
            "tuning": {"description": "what a tuning calibration is to do"},
            "required_instruments": {**_ROLES, "description": "roles this step needs beyond the catalogue's"},
            **_policies(),
        },
        "allOf": [
            {
                "if": {"required": ["type"]},
                "then": {"properties": {"calibration": _own_name()}},
                "else": {"properties": {"calibration": _known_name(catalog)}},
            },
            *(_rule(calibration) for calibration in calibrations),
            _adhoc_rule(names),
        ],
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
    if calibration.tuning and calibration.tuning.form == "args":
        properties["args"] = {"minItems": 1, "description": f"what {calibration.name} is to do"}
    return {"if": condition, "then": then}


def _adhoc_rule(names: list[str]) -> Schema:
    """A calibration the catalogue lacks: its options are taken as they are written."""
    value = {
        "type": ["number", "string", "boolean", "array"],
        "maxLength": 4096,
        "items": _SCALAR,
        "maxItems": 64,
    }
    options = {
        "type": "object",
        "propertyNames": {
            "pattern": r"^[A-Za-z][A-Za-z0-9_]{0,63}$(?!\n)",
            "patternErrorMessage": "write dirigent's long name in snake_case, such as max_voltage",
        },
        "additionalProperties": value,
        "description": "its long options, taken as they are written",
    }
    unknown = {"properties": {"calibration": {"not": {"enum": names}}}}
    tuning = {
        "not": {},
        "x-code": "CS208",
        "errorMessage": "how this calibration takes a tuning is not known",
        "description": "only for tuning calibrations of the catalogue",
        "x-hint": "give its arguments in 'args:', or describe it in the site's calibrations file",
    }
    return {
        "if": {"required": ["calibration", "type"], **unknown},
        "then": {"properties": {"options": options, "tuning": tuning}},
    }


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
    unit = f" ({option.unit})" if option.unit else ""
    value: Schema = {"type": _JSON_TYPES[option.type]}
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
    return {**value, "description": f"{option.description}{unit}: {option.flag}"}


def _tuning(calibration: Calibration) -> Schema:
    form = calibration.tuning.form if calibration.tuning else ""
    if form == "text":
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": 4096,
            "x-hint": "write the name of a tuning, for instance Tuning_1000",
            "description": f"the tuning to do, for instance Tuning_1000: {calibration.name} -t",
        }
    if form == "tests":
        return _tests()
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


def _tests() -> Schema:
    test = {
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 256, "description": "name of the test"}
        },
        "additionalProperties": _SCALAR,
    }
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": 200,
        "x-hint": "write a list of tests, for instance [PixelAlive, NoiseScan]",
        "description": "inner-tracker tests: a name, or {name: …, SETTING: …}",
        "items": {
            "type": ["string", "object"],
            "x-hint": "write the name of a test, or {name: …, SETTING: …}",
            "minLength": 1,
            "maxLength": 256,
            "if": {"type": "object"},
            "then": test,
        },
    }
