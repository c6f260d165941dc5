"""JSON with the care of YAML: each defect is told once, where it stands."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from input_texts import json_of, told

from calseq.documents.document import BAD_CHARACTERS

TEXTS = st.text(st.characters(codec="utf-8")).filter(lambda text: not BAD_CHARACTERS.search(text))
NUMBERS = st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def read(text):
    document = json_of(text)
    return document.data, told(document.problems)


@given(VALUES)
def test_what_json_writes_is_read_back(value):
    assert read(json.dumps(value)) == (value, [])
    assert read(json.dumps(value, indent=2, ensure_ascii=False)) == (value, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["CS110 1:1"]),
        (" \n ", ["CS110 1:1"]),
        ("{", ["CS104 1:2"]),
        ('{"a": 1,}', ["CS104 1:8"]),
        ('{"a" 1}', ["CS104 1:5"]),
        ("[1,]", ["CS104 1:3"]),
        ('{"a": 1\n "b": 2}', ["CS104 1:8"]),
        ("{'a': 1}", ["CS104 1:2"]),
        ("{a: 1}", ["CS104 1:2"]),
        ('{"a": b}', ["CS104 1:7"]),
        ('{"a": 012}', ["CS104 1:7"]),
        ('{"a": +1}', ["CS104 1:7"]),
        ('{"a": .5}', ["CS104 1:7"]),
        ('{"a": 1} x', ["CS104 1:10"]),
        ('// c\n{"a": 1}', ["CS104 1:1"]),
        ('{"a": "x', ["CS104 1:7"]),
        ('{"a": "x\ty"}', ["CS104 1:9"]),
        ('{"a": "\\q"}', ["CS104 1:8"]),
        ('{"a": 1, "a": 2}', ["CS105 1:10"]),
        ('{"a": 1, "a": {"b": NaN, "b": 2}}', ["CS105 1:10", "CS107 1:21", "CS105 1:26"]),
        ('{"a": NaN, "b": [-Infinity, 1e999]}', ["CS107 1:7", "CS107 1:18", "CS107 1:29"]),
        ('{"a": ' + "9" * 21 + "}", ["CS107 1:7"]),
        ('{"a": ' + "9" * 5000 + "}", ["CS107 1:7"]),
        ('{"a": "\\u001b[1m", "b": "\\u202e"}', ["CS103 1:7", "CS103 1:25"]),
        ('{"\\u0000a": 1}', ["CS103 1:2"]),
        ('{"a": "\x1b"}', ["CS103 1:8"]),
        ("[" * 10_000, ["CS109 1:34"]),
        ('{"a":' * 10_000, ["CS109 1:166"]),
        ("[" + "1," * 70_000 + "1]", ["CS109 1:120000"]),
        ('["' + "x" * 20_000 + '"]', ["CS109 1:2"]),
        ('{"' + "k" * 300 + '": 1}', ["CS109 1:2"]),
    ],
)  # fmt: skip
def test_a_defect_of_the_json_is_told_at_its_place(text, expected):
    problems = json_of(text).problems
    assert told(problems) == expected
    assert all(problem.cure for problem in problems)


@given(st.text('{}[]",:\\ \n0123456789eE+-.abntrufls', max_size=40))
def test_no_text_is_more_than_problems(text):
    document = json_of(text)
    if not document.problems:
        assert document.data == json.loads(text)
    else:
        assert all(problem.place for problem in document.problems)


def test_ten_thousand_numbers_are_all_finite():
    document = json_of("[" + ", ".join(f"{n}e{n % 400}" for n in range(1, 2000)) + "]")
    assert all(item is None or math.isfinite(item) for item in document.data)
