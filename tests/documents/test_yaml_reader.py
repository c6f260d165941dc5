"""YAML within limits: each defect is told once, where it stands."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from input_texts import SHIPPED, SOUND, problems_of, sequence_of, told, yaml_of

from calseq.documents.scalars import Doubt, plain_scalar


def read(text):
    document = yaml_of(text)
    return document.data, told(document.problems)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: [1, -2.5, +3, .5, 1e3, x, 'y', \"z\", ~, null, true, False]",
         {"a": [1, -2.5, 3, 0.5, 1000.0, "x", "y", "z", None, None, True, False]}),
        ("{a: 'yes', b: \"0755\", c: '1:30'}", {"a": "yes", "b": "0755", "c": "1:30"}),
        ("x-a: &a [1]\nb: *a\n", {"x-a": [1], "b": [1]}),
        ("a: |\n  b\n  c\nd: >-\n  e\n  f\n", {"a": "b\nc\n", "d": "e f"}),
        ("1: a\ntrue: b\n", {"1": "a", "true": "b"}),
        ("---\na: 1\n...\n", {"a": 1}),
    ],
)  # fmt: skip
def test_plain_yaml_is_read_as_it_stands(text, data):
    assert read(text) == (data, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: *b\n", ["CS108 1:4"]),
        ("a: &a [*a]\n", ["CS108 1:8"]),
        ("&a *a\n", ["CS104 1:4"]),
        ("*a : 1\n", ["CS108 1:1"]),
        ("a: !foo 1\n", ["CS108 1:4"]),
        ("a: !!python/object:os.system 1\n", ["CS108 1:4"]),
        ("a: &x !foo {b: .nan}\n", ["CS108 1:7", "CS107 1:16"]),
        ("%YAML 1.1\n---\na: 1\n", ["CS108 1:1"]),
        ("# c\n\n%YAML 1.1\n%TAG ! x\n---\na: 1\n", ["CS108 3:1", "CS108 4:1"]),
        ("%FOO\n---\na: .nan\n", ["CS108 1:1", "CS107 3:4"]),
        ("a: 1\n---\nb: 2\n", ["CS108 2:1"]),
        ("a: 1\na: 2\n", ["CS105 2:1"]),
        ("a: 1\na: {b: 1, b: 2}\n", ["CS105 2:1", "CS105 2:11"]),
        ("a: 1\na: [.nan, *no]\n", ["CS105 2:1", "CS107 2:5", "CS108 2:11"]),
        ("<<: {a: 1}\n", ["CS108 1:1"]),
        ("? [a, b]\n: 1\n", ["CS108 1:3"]),
        ("? {a: .nan}\n: {b: .nan}\n", ["CS108 1:3", "CS107 2:7"]),
        ("a:\n\tb: 1\n", ["CS104 2:1"]),
        ("a: 'b\n", ["CS104 1:4"]),
        ("a: [b\n", ["CS104 1:4"]),
        ("a: \"\\q\"\n", ["CS104 1:5"]),
        ("a: b: c\n", ["CS104 1:5"]),
        ("a: @b\n", ["CS104 1:4"]),
        ("a: 'b'c\n", ["CS104 1:7"]),
        ("- a\nb: c\n", ["CS104 2:1"]),
        ("a\nb\n: c\n", ["CS104 3:1"]),
    ],
)  # fmt: skip
def test_a_defect_of_the_yaml_is_told_at_its_place(text, expected):
    assert sorted(read(text)[1]) == sorted(expected)


@pytest.mark.parametrize(
    "text",
    [".nan", ".NaN", ".inf", "-.INF", "+.inf", "1e999", "-1e999", "9" * 21, "9" * 5000, "-" + "9" * 400],
)
def test_what_is_no_finite_number_is_refused(text):
    data, problems = read(f"a: {text}\n")
    assert (data, problems) == ({"a": None}, ["CS107 1:4"])


@pytest.mark.parametrize(
    "text",
    ["no", "Off", "y", "N", "YES", "on", "0755", "-010", "00", "0x1F", "0o17", "0b11", "1_000", "-1_0.5", "12:30",
     "1:30:00", "2025-01-01", "2025-1-1 10:00"],
)  # fmt: skip
def test_what_two_yamls_read_differently_is_refused_unless_quoted(text):
    assert read(f"a: {text}\n") == ({"a": None}, ["CS106 1:4"])
    assert read(f"a: '{text}'\n") == ({"a": text}, [])


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_a_plain_scalar_is_a_finite_value_or_a_doubt_with_a_cure(text):
    value = plain_scalar(text)
    if isinstance(value, Doubt):
        assert value.message
        assert value.cure
    elif isinstance(value, float):
        assert math.isfinite(value)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10_000,
        "{a: " * 10_000,
        "{" * 10_000,
        "- " * 10_000,
        "? " * 10_000,
        "[[]," * 10_000,
        "\n".join(" " * depth + "a:" for depth in range(400)),
        "a: 1\na: " + "[" * 10_000,
    ],
)
def test_deep_nesting_is_stopped_early(text):
    problems = read(text)[1]
    assert [code.split()[0] for code in problems][-1] == "CS109"
    assert len(problems) <= 2


def test_deep_nesting_in_a_comment_is_no_defect():
    assert problems_of(SOUND + "# " + "- " * 2000 + "\n# " + "[" * 2000 + "\n") == []


def test_an_alias_bomb_is_stopped_before_it_expands():
    lines = ["x-0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"x-{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert [code.split()[0] for code in read("\n".join(lines))[1]] == ["CS109"]


def test_too_many_aliases_are_stopped():
    assert read("x: &a 1\ny: [" + "*a, " * 1001 + "]\n")[1][0].startswith("CS109 2:")


def test_a_text_beyond_the_limit_is_told_and_hides_nothing_else():
    text = SOUND.replace("T", "'" + "x" * 20_000 + "'") + "    retry: 1\n"
    assert told(problems_of(text)) == ["CS109 2:8", "CS204 6:5"]


def test_a_key_beyond_the_limit_is_told():
    assert read("k" * 257 + ": 1\n")[1] == ["CS109 1:1"]


def test_a_value_that_is_not_there_is_pointed_at_by_its_key_or_dash():
    document = yaml_of("a:   # later\n\nb:\n  -   # later\n  - - \n  - x\nc: 1\n")
    places = {path: (place.span.line, place.span.column) for path, place in document.values.items()}
    assert places["a",] == (1, 1)
    assert places["b", 0] == (4, 3)
    assert places["b", 1, 0] == (5, 5)


def test_a_value_is_placed_behind_its_anchor():
    document = yaml_of("a: &x 5\nb: &y {c: 1}\n")
    assert document.values["a",].span.column == 7
    assert document.values["b",].span.column == 7


def test_what_an_alias_spoils_is_not_told_again():
    assert told(problems_of(SOUND + "    timeout: &t .nan\n    stop_grace: *t\n")) == ["CS107 6:17"]


def test_a_merge_key_does_not_make_its_keys_missing():
    text = "calseq: 1\ntitle: T\nx-b: &b {calibration: iv_curve}\nsteps:\n  - <<: *b\n    retry: 1\n"
    assert told(problems_of(text)) == ["CS108 5:5", "CS204 6:5"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_json_of_a_shipped_sequence_is_the_same_sequence(path):
    data = yaml_of(path.read_text()).data
    own, problems = sequence_of(json.dumps(data))
    assert problems == []
    first, _ = sequence_of(path.read_text())
    assert [step.words for step in own.steps] == [step.words for step in first.steps]
