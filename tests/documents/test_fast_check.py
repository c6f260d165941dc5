"""The quick yes and jsonschema agree on every shipped file, every edit of one, the corpus, and made-up data."""

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_damage import edited, routes

from calseq.documents.document import open_text
from calseq.documents.fast_check import fits
from calseq.documents.json_reader import read_json
from calseq.documents.yaml_reader import read_yaml
from calseq.sequence.catalog import builtin
from calseq.sequence.schema import sequence_schema
from calseq.system.assets import schemas

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = {name: json.loads((schemas() / f"{name}.schema.json").read_text()) for name in ("bench", "calibrations", "instruments", "modules")}  # fmt: skip
SCHEMAS["sequence"] = sequence_schema(builtin())
FILES = {
    "sequence": [
        *sorted((ROOT / "sequences").glob("*.yaml")),
        *sorted((ROOT / "tests/sequence/corpus").glob("*.yaml")),
    ],
    "bench": sorted((ROOT / "sequences/benches").glob("*/bench.yaml")),
    "instruments": sorted((ROOT / "sequences/benches").glob("*/instruments.json")),
    "modules": sorted((ROOT / "sequences/benches").glob("*/modules.json")),
    "calibrations": [ROOT / "calseq/sequence/calibrations.json"],
}
EDITS = [
    "remove",
    "misspell",
    None,
    True,
    0,
    -1,
    6,
    1.5,
    "",
    "word",
    "12m",
    "a\n",
    [],
    {},
    [[]],
    ["lv"],
    {"name": "x"},
]
VALIDATORS = {name: jsonschema.Draft7Validator(schema) for name, schema in SCHEMAS.items()}


def agree(name, data):
    """jsonschema is the judge; the quick yes may be unsure of nothing that calseq's schemas say."""
    assert fits(data, SCHEMAS[name]) == VALIDATORS[name].is_valid(data), data


@pytest.mark.parametrize(
    ("name", "path"),
    [(name, path) for name, paths in FILES.items() for path in paths],
    ids=lambda value: value if isinstance(value, str) else f"{value.parent.name}/{value.name}",
)
def test_they_agree_on_a_file_and_on_every_edit_of_it(name, path):
    document = (read_yaml if path.suffix == ".yaml" else read_json)(open_text(path))
    agree(name, document.data)
    if "corpus" in path.parts or not document.readable:
        return
    for route in routes(document.data):
        for edit in EDITS:
            if edit != "misspell" or isinstance(route[-1], str):
                agree(name, edited(document.data, route, edit))


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats(-9, 9) | st.sampled_from(["", "lv", "iv_curve", "5m", "x-a"]),
    lambda below: st.lists(below, max_size=3)
    | st.dictionaries(st.sampled_from(["calseq", "title", "steps", "calibration", "options", "tuning", "x-a", "name"]), below, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(SCHEMAS)), plain)
def test_they_agree_on_anything(name, data):
    agree(name, data)


def test_a_keyword_that_it_does_not_know_is_never_a_yes():
    assert not fits([1, 1], {"type": "array", "uniqueItems": True})
    assert not fits(1, {"oneOf": [{"type": "integer"}]})


def test_every_keyword_of_the_schemas_is_known_to_it():
    """It is meant to spare good files the import of jsonschema: one unknown keyword and it never would."""
    for name, paths in FILES.items():
        for path in paths:
            if "corpus" not in path.parts:
                document = (read_yaml if path.suffix == ".yaml" else read_json)(open_text(path))
                assert fits(document.data, SCHEMAS[name]), path
