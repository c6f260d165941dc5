"""The schemas: as the catalogue makes them, of the shape that gives one error per defect, fully described."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from input_texts import CORPUS, HEAD, SHIPPED, problems_of, yaml_of

from calseq.documents.schema import stored_schema
from calseq.model.plan import BiasRule, Simulation
from calseq.sequence import catalog
from calseq.sequence.catalog import builtin
from calseq.sequence.schema import sequence_schema
from calseq.sequence.sequence import Policies
from calseq.system.assets import schemas

KINDS = ("sequence", "bench", "calibrations", "instruments", "modules")
FORBIDDEN = {"oneOf", "anyOf", "unevaluatedProperties", "$id", "$recursiveRef", "format"}


def nodes(schema):
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from nodes(value)


def test_the_sequence_schema_on_disk_is_the_one_of_the_catalogue(golden):
    path = schemas() / "sequence.schema.json"
    text = json.dumps(sequence_schema(builtin()), indent=2, ensure_ascii=False) + "\n"
    golden(path, text)


def test_the_builtin_calibrations_fit_their_schema():
    data = json.loads(Path(catalog.__file__).with_name("calibrations.json").read_bytes())
    assert list(jsonschema.Draft7Validator(stored_schema("calibrations")).iter_errors(data)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_draft_07_and_keeps_to_what_gives_one_error_per_defect(kind):
    schema = stored_schema(kind)
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert not [key for node in nodes(schema) for key in node if key in FORBIDDEN]
    assert all(node["$ref"].startswith("#/definitions/") for node in nodes(schema) if "$ref" in node)


@pytest.mark.parametrize("kind", KINDS)
def test_every_property_is_described(kind):
    schema = stored_schema(kind)
    bare = []
    for node in nodes(schema):
        conditions = [node[word] for word in ("if",) if isinstance(node.get(word), dict)]
        for condition in conditions:
            node = {key: value for key, value in node.items() if value is not condition}  # noqa: PLW2901
        properties = node.get("properties")
        for name, value in properties.items() if isinstance(properties, dict) else ():
            if isinstance(value, dict) and "description" not in value and not is_condition(schema, node):
                bare.append(name)
    assert bare == []


def is_condition(schema, node):
    """Conditions and what follows from a missing type describe nothing."""
    return any(other.get("if") is node for other in nodes(schema))


@pytest.mark.parametrize("kind", KINDS)
def test_a_pattern_means_the_same_in_python_and_in_javascript(kind):
    patterns = [
        node["pattern"] for node in nodes(stored_schema(kind)) if isinstance(node.get("pattern"), str)
    ]
    for pattern in patterns:
        re.compile(pattern)
        assert not re.search(r"\\[AZdwsS]|\(\?[^!:]|\(\?P", pattern), pattern
        if pattern.endswith("$"):
            pytest.fail(f"{pattern} accepts a final newline in Python")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_jsonschema_alone_accepts_a_shipped_sequence(path):
    data = yaml_of(path.read_text()).data
    assert list(jsonschema.Draft7Validator(stored_schema("sequence")).iter_errors(data)) == []


# Whoever misspells a required key has one key too many and one too few: calseq tells it once, jsonschema twice.
TWICE = {
    "key_misspelt_required",
    "tuning_misspelt",
    "calibration_as_key",
    "title_case",
    "title_called_name",
    "version_of_its_own",
}
# What is no sequence at all lacks every required key.
NO_SEQUENCE = {"python_lists": 3, "python_class": 4}


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.yaml")), ids=lambda path: path.stem)
def test_jsonschema_alone_gives_one_error_per_defect(path):
    document = yaml_of(path.read_bytes())
    if not document.readable or document.problems:
        return
    errors = [
        error.message
        for error in jsonschema.Draft7Validator(stored_schema("sequence")).iter_errors(document.data)
    ]
    shared = 2 if path.stem == "alias_used_twice" else NO_SEQUENCE.get(path.stem, 1)
    assert len(errors) <= (2 if path.stem in TWICE else shared), errors


@pytest.mark.parametrize(
    "step",
    [
        "{calibration: iv_curve, args: [--max-voltage=-80]}",
        "{calibration: iv_curve, args: [--directory, x]}",
        "{calibration: calibrate_module, tuning: T, args: [-t]}",
        "{calibration: iv_curve, timeout: 0h0m}",
        "{calibration: iv_curve, stop_grace: none}",
        "{calibration: iv_curve, stop_grace: 0m29s}",
        "{calibration: iv_curve, options: {max_voltage: -.inf}}",
    ],
)
def test_what_the_schema_marks_for_editors_alone_is_refused_by_calseq_in_words(step):
    text = f"{HEAD}steps:\n  - {step}\n"
    if ".inf" not in text:
        [error] = jsonschema.Draft7Validator(stored_schema("sequence")).iter_errors(yaml_of(text).data)
        assert error.schema["x-reader"]
    assert len([problem for problem in problems_of(text) if problem.is_error]) == 1


@pytest.mark.parametrize("name", builtin().names())
def test_a_wrong_option_of_a_calibration_is_one_error_of_jsonschema(name):
    needs = {
        "calibrate_module": {"tuning": "T"},
        "custom_sequence": {"tuning": ["T"]},
        "custom_calibration": {"args": ["x"]},
    }
    step = {"calibration": name, "options": {"no_such": 1}, **needs.get(name, {})}
    data = {**yaml_of(HEAD).data, "steps": [step]}
    assert len(list(jsonschema.Draft7Validator(stored_schema("sequence")).iter_errors(data))) == 1


def test_the_schemas_have_the_fields_of_the_types():
    bench = stored_schema("bench")["properties"]
    assert set(bench["bias"]["properties"]) == set(BiasRule.__struct_fields__)
    assert set(bench["simulator"]["properties"]) == set(Simulation.__struct_fields__)
    policies = {field.removesuffix("_s") for field in Policies.__struct_fields__}
    for kind in ("whole", "variant"):
        defaults = stored_schema("sequence")["definitions"][kind]["properties"]["defaults"]
        assert set(defaults["properties"]) == policies
