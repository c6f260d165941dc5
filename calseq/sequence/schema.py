"""The JSON schema of a sequence file, made from the catalogue.

Draft-07, discriminated by `if`/`then` per calibration and never by `oneOf`: measured, that gives one error
per defect in jsonschema, check-jsonschema and yaml-language-server. `x-code` names calseq's own code for a
rule; other readers pass over it. A rule with `x-reader` is there for editors alone: calseq's readers say it better.
"""

import re
from collections.abc import Iterable
from typing import Any

from calseq.documents.durations import DURATION_PATTERN
from calseq.model.rails import ROLE_NAMES, Role, StepType
from calseq.sequence.catalog import Calibration, Catalog, Option

Schema = dict[str, Any]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$(?!\n)"
NAME_FORM = "use letters, digits, '_', '.' and '-', 64 at most, a letter or digit first"
MAX_STEPS = 1000

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
_ROLES: Schema = {
    "type": "array",
    "maxItems": 5,
    "x-hint": "write a list of roles: [lv, hv]",
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
_FINITE: Schema = {"allOf": [{"$ref": "#/definitions/finite"}]}
_CLEAN: Schema = {"allOf": [{"$ref": "#/definitions/clean"}]}
_SCALAR: Schema = {"type": ["number", "string", "boolean"], "maxLength": 4096, **_FINITE}
_VALUE: Schema = {
    **_FINITE,
    "type": ["number", "string", "boolean", "array"],
    "maxLength": 4096,
    "items": _SCALAR,
    "maxItems": 64,
}
_LARGEST = 1.79e308
_INVISIBLE = (
    r"[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064"
    r"\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff]"
)
_NO_TIME = r"^([0]+[hms])+$(?!\n)"
_UNDER_30_S = r"^(none|(0+h)?(0+m)?0*[12]?[0-9]s|0+h(0+m)?|0+m)$(?!\n)"
SENSORS = ("planar", "3D")
"""The types of sensors; felis.json has the same."""

_OWN_KEYS: Schema = {"^x-": {"description": "for the author's own use, such as anchors"}}
_EXTENDS: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1024,
    "description": "makes this a variant: the file it extends, from here, or the name of a shipped sequence",
}
_ON_FAILURE: Schema = {
    "enum": ["stop", "continue"],
    "enumDescriptions": [
        "end the run safely (default)",
        "go on with the next step; the run has failed all the same",
    ],
}


def _refused(pattern: str, message: str) -> Schema:
    """Texts that a reader of calseq refuses: an editor marks them, too."""
    rule = {"not": {"type": "string", "pattern": pattern}, "errorMessage": message, "x-reader": True}
    return {"allOf": [rule]}


def _without(flags: Iterable[str], message: str) -> Schema:
    """Arguments that are none of `flags`, with or without a value."""
    escaped = "|".join(re.sub(r"([\\^$.*+?()\[\]{}|])", r"\\\1", flag) for flag in flags)
    return _refused(rf"^({escaped})(=|$(?!\n))", message)


_ARGS: Schema = {
    "type": "array",
    "maxItems": 64,
    "items": {
        "type": ["string", "number"],
        "maxLength": 4096,
        **_without(("--", *OWNED_ARGUMENTS), "calseq's own argument: delete it"),
    },
}


def sequence_schema(catalog: Catalog) -> Schema:
    """Give the schema of sequence files for a catalogue."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "calseq sequence",
        "description": "A calibration sequence: dirigent calibrations that calseq runs one after another.",
        "type": "object",
        "x-hint": "begin with 'calseq: 1', 'title: …' and 'steps:'",
        **_kind(),
        "definitions": {
            "whole": _whole(),
            "variant": _variant(catalog),
            "steps": _steps(catalog),
            "step": _step(catalog),
            "names": _names(catalog),
            "change": _change(),
            "finite": {"minimum": -_LARGEST, "maximum": _LARGEST, "x-reader": True},
            "clean": _refused(_INVISIBLE, "an invisible character: delete it"),
        },
    }


def _kind() -> Schema:
    """A variant extends another; without 'extends:' what it most looks like, so that one mistake is one error."""
    variant, whole = {"$ref": "#/definitions/variant"}, {"$ref": "#/definitions/whole"}
    only_of_variants = {"not": {"properties": dict.fromkeys(("set", "change", "insert", "drop"), False)}}
    unclear = {"if": only_of_variants, "then": variant, "else": whole}
    otherwise = {"if": {"required": ["steps"]}, "then": whole, "else": unclear}
    return {"if": {"required": ["extends"]}, "then": variant, "else": otherwise}


def _whole() -> Schema:
    return {
        "title": "calseq sequence",
        "required": ["calseq", "title", "steps"],
        "additionalProperties": False,
        "patternProperties": _OWN_KEYS,
        "properties": {
            **_top_properties(),
            "steps": {
                "$ref": "#/definitions/steps",
                "description": "the calibrations, in the order in which they run",
            },
            "extends": _EXTENDS,
        },
        "x-instead": {"extends": ["title", "steps"]},
        "x-called": {"name": "title", "calibrations": "steps", "sequence": "steps"},
        "x-lists": ["calibrations", "tuning_step_args"],
    }


def _variant(catalog: Catalog) -> Schema:
    """What a variant says of its base; which steps that has, only a reader of both can tell."""
    return {
        "title": "calseq variant",
        "required": ["calseq", "extends"],
        "additionalProperties": False,
        "patternProperties": _OWN_KEYS,
        "properties": {
            **_top_properties(),
            "extends": _EXTENDS,
            "set": _settings(catalog),
            "change": _changes(catalog),
            "insert": _insertions(),
            "drop": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_STEPS,
                "items": _step_of_base("a step of the base"),
                "description": "steps of the base that are left out, by name",
            },
            "steps": {
                "not": {},
                "x-code": "CS204",
                "errorMessage": "a variant has no 'steps:' of its own",
                "x-hint": "change those of its base with 'change:', 'insert:' and 'drop:'",
                "doNotSuggest": True,
                "description": "only for a sequence without 'extends:'",
            },
        },
    }


def _settings(catalog: Catalog) -> Schema:
    """Options by step; those of a step that has its calibration's name are known to an editor."""
    known = {
        f"{name}.{key}": {**_VALUE, "description": _about(option)}
        for name in catalog.names()
        for key, option in catalog.calibrations[name].options.items()
    }
    return {
        "type": "object",
        "minProperties": 1,
        "description": "options of the base's steps, as with --set: {iv_curve.max_voltage: -350}",
        "propertyNames": {
            "pattern": r"^.+\.[^.=]+$(?!\n)",
            "maxLength": 130,
            "patternErrorMessage": "write step.option, for instance iv_curve.max_voltage",
        },
        "properties": known,
        "additionalProperties": _VALUE,
    }


def _changes(catalog: Catalog) -> Schema:
    """Changes by step; the options of a step that has its calibration's name are known to an editor."""
    known = {
        name: {
            "description": catalog.calibrations[name].summary,
            "allOf": [{"$ref": "#/definitions/change"}],
            "properties": {
                "options": {
                    "properties": {
                        key: {"description": _about(option)}
                        for key, option in catalog.calibrations[name].options.items()
                    },
                    "description": f"options of {name}",
                }
            },
        }
        for name in catalog.names()
    }
    return {
        "type": "object",
        "minProperties": 1,
        "description": "steps of the base that change, by name: {iv_curve: {retries: 2}}",
        "properties": known,
        "additionalProperties": {"$ref": "#/definitions/change"},
    }


def _change() -> Schema:
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "x-hint": "write what changes of it, for instance {retries: 2}",
        "properties": {
            "options": {
                "type": "object",
                "additionalProperties": _VALUE,
                "description": "options that are added, or replace those of the base's step, one by one",
            },
            "args": {**_ARGS, "description": "further arguments in the place of the base's"},
            "tuning": {
                "type": ["string", "array"],
                "description": "what a tuning calibration is to do instead",
            },
            "required_instruments": {**_ROLES, "description": "roles this step needs beyond the catalogue's"},
            **_policies(),
        },
    }


def _insertions() -> Schema:
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_STEPS,
        "description": "further steps, before or after a step of the base",
        "items": {
            "title": "insertion",
            "type": "object",
            "required": ["steps"],
            "additionalProperties": False,
            "x-hint": "write '- after: …', the name of a step, and 'steps:' below",
            "x-inside": dict.fromkeys(("calibration", "name", "options", "args", "tuning"), "steps"),
            "properties": {
                "before": _step_of_base("the step of the base before which they come"),
                "after": _step_of_base("the step of the base after which they come"),
                "steps": {
                    "$ref": "#/definitions/steps",
                    "description": "the steps to insert, as in a sequence",
                },
            },
            "if": {"required": ["before"]},
            "then": {
                "properties": {
                    "after": {
                        "not": {},
                        "x-code": "CS204",
                        "errorMessage": "'before:' says already where the steps come",
                        "x-hint": "delete one of the two",
                        "description": "the step of the base after which they come; not with 'before:'",
                    }
                }
            },
            "else": {"required": ["after"]},
        },
    }


def _step_of_base(description: str) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": 64, "description": description}


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
            **_CLEAN,
            "description": "name of the sequence, as the database shows it",
        },
        "description": {
            "type": "string",
            "maxLength": 4000,
            **_CLEAN,
            "description": "what the sequence is for",
        },
        "sensor": {
            "enum": list(SENSORS),
            "description": "type of the sensors that the sequence is for; told to Felis, and held against the bench's 'upload:'",
        },
        "required_instruments": {
            **_ROLES,
            "description": "roles that the bench must have; checked before anything is switched on",
        },
        "limits": {
            "type": "object",
            "additionalProperties": False,
            "description": "what no voltage of this sequence may exceed, on whatever bench",
            "properties": {
                "hv": {
                    "type": "number",
                    "x-hint": "write the limit in volts, such as -80; with 0 nothing is biased",
                    "description": "limit of the high voltage in volts: -80",
                }
            },
        },
        "defaults": {
            "type": "object",
            "additionalProperties": False,
            "description": "settings of every step that does not say otherwise",
            "properties": _policies(),
        },
    }


def _steps(catalog: Catalog) -> Schema:
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_STEPS,
        "items": {
            "title": "step",
            "type": ["string", "object"],
            "x-hint": "write '- calibration: …', or only the name of a calibration",
            "defaultSnippets": [_snippet(catalog.calibrations[name]) for name in catalog.names()],
            "allOf": [
                {"if": {"type": "string"}, "then": {"$ref": "#/definitions/names"}},
                {"if": {"type": "object"}, "then": {"$ref": "#/definitions/step"}},
            ],
        },
    }


def _snippet(calibration: Calibration) -> Schema:
    """A step as an editor begins it; with further keys it would be offered inside of other steps, too."""
    body = {"calibration": calibration.name}
    return {"label": calibration.name, "description": calibration.summary, "body": body}


def _policies() -> Schema:
    return {
        "timeout": {
            **_DURATION,
            **_refused(_NO_TIME, "no time at all: write a time, or none"),
            "description": "longest time a step may take: 45s, 90m, 1h30m or none",
        },
        "retries": {
            "type": "integer",
            "minimum": 0,
            "maximum": 5,
            "description": "how often a step that did not pass is tried again",
        },
        "on_failure": {**_ON_FAILURE, "description": "what happens when a step does not pass"},
        "stop_grace": {
            **_DURATION,
            **_refused(_UNDER_30_S, "at least 30s, and not for ever"),
            "description": "time a child has to ramp down once it was asked to stop (default 3m, longer if the supplies of a bench need it; at least 30s)",
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
        "x-classes": _classes(catalog),
        "description": "a calibration of the catalogue",
    }


def _classes(catalog: Catalog) -> dict[str, list[str]]:
    """What dirigent calls the class of each type, with the calibrations that are of it."""
    return {
        name: [each for each in catalog.names() if catalog.calibrations[each].type is type_]
        for name, type_ in CLASSES.items()
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
                **_ARGS,
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
    properties |= _args_rule(calibration)
    return {"if": condition, "then": then}


def _args_rule(calibration: Calibration) -> Schema:
    """Its arguments: none of its options, and not how it is told its tuning; those have keys of their own."""
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


def _adhoc_rule(names: list[str]) -> Schema:
    """A calibration the catalogue lacks: its options are taken as they are written."""
    options = {
        "type": "object",
        "propertyNames": {
            "pattern": r"^[A-Za-z][A-Za-z0-9_]{0,63}$(?!\n)",
            "patternErrorMessage": "write dirigent's long name in snake_case, such as max_voltage",
        },
        "additionalProperties": _VALUE,
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
            "allOf": [
                {
                    "not": {"type": "string", "pattern": r"^[ ]*[\[{]"},
                    "errorMessage": "a JSON text in the place of a test",
                    "x-code": "CS201",
                    "x-json": {
                        "type": "object",
                        "required": ["name"],
                        "additionalProperties": {"type": ["number", "string", "boolean"]},
                    },
                    "x-hint": "write the test without quotes: {name: PixelAlive, SETTING: 1}",
                }
            ],
        },
    }
