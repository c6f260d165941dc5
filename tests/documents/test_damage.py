"""One edit of a shipped file is told inside the file, or is provably harmless; no edit is an exception."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from input_texts import BENCHES, SHIPPED, json_of, problems_of, yaml_of

from calseq.bench.instruments import read_wiring

# What may go without a word: a description, a policy that has a default, an option, a name, a requirement.
OPTIONAL = {"description", "required_instruments", "defaults", "timeout", "retries", "on_failure", "name", "options",
            "max_voltage", "step_size", "TargetThr", "sensor"}  # fmt: skip
# A variant has the rest of its base.
OPTIONAL_IN_VARIANTS = {"title", "limits", "hv", "set", "change"}
TEXTS = {"title", "description", "name", "tuning"}
TYPES = ("5", "true", "word", "[]", "{}", "~")


def routes(data, path=()):
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from routes(value, (*path, key))


def edited(data, path, edit):
    """Give a copy of `data` with one edit: of a key of a mapping, or of an entry of a list."""
    copy = json.loads(json.dumps(data))
    at = copy
    for key in path[:-1]:
        at = at[key]
    if edit == "remove":
        del at[path[-1]]
    elif edit == "misspell":
        at[f"{path[-1]}q"] = at.pop(path[-1])
    else:
        at[path[-1]] = edit
    return copy


def is_harmless(path, edit, old):
    key = next(word for word in reversed(path) if isinstance(word, str))
    if edit == "remove":
        return path[-1] in OPTIONAL or isinstance(path[-1], int)
    if edit == "misspell":
        return path[-1] == "TargetThr"
    if isinstance(edit, str):
        return (key in TEXTS or key == "TargetThr") and edit != ""
    if key == "TargetThr":
        return edit is True or isinstance(edit, int)
    if isinstance(edit, list):
        return isinstance(old, list) and key == "required_instruments"
    if isinstance(edit, dict):
        return isinstance(old, dict) and key in ("defaults", "options")
    number = (
        isinstance(old, int)
        and not isinstance(old, bool)
        and isinstance(edit, int)
        and not isinstance(edit, bool)
    )
    return number and key != "calseq"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_one_edit_of_a_shipped_sequence_is_told_in_the_file_or_harmless(path):
    data = yaml_of(path.read_text()).data
    silent = []
    for route in routes(data):
        at = data
        for key in route:
            at = at[key]
        edits = ["remove", 5, True, "a word", [], {}, None]
        for edit in edits + (["misspell"] if isinstance(route[-1], str) else []):
            if edit == at and type(edit) is type(at):
                continue
            text = json.dumps(edited(data, route, edit), indent=1)
            problems = problems_of(text)
            if not problems:
                silent.append((route, edit, at))
            for problem in problems:
                assert problem.place.span.line <= text.count("\n") + 1
    left_out = OPTIONAL_IN_VARIANTS if "extends" in data else ()
    unexpected = [
        case
        for case in silent
        if not is_harmless(*case) and not (case[1] in ("remove", {}) and case[0][-1] in left_out)
    ]
    assert unexpected == []


ERASED = ("", "[]", "{}", "~", "*a", "&a", "'", "\t", ": ", "-")


def words(text):
    """Give the route and the place of every key and every scalar of one line, and whether it is a key."""
    document = yaml_of(text)
    yield from ((route, place, True) for route, place in document.keys.items())
    for route, place in document.values.items():
        at = document.data
        for key in route:
            at = at[key]
        if not isinstance(at, (dict, list)) and place.text[0] != ">":
            yield route, place, False


def is_free(route, is_key):
    """Nobody but its author knows what stands there."""
    names = [word for word in route if isinstance(word, str)]
    free = {"TargetThr"} if is_key else TEXTS | {"TargetThr"}
    return names[-1] in free or ("tuning" in names[:-1] and not is_key)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_slip_of_the_pen_is_told_on_its_line(path):
    text = path.read_text()
    found = 0
    for route, place, is_key in words(text):
        for wrong in (place.text + "q", "q" + place.text):
            problems = problems_of(text[: place.start] + wrong + text[place.start + len(place.text) :])
            if not is_free(route, is_key):
                found += 1
                assert place.span.line in {problem.place.span.line for problem in problems}, (route, wrong)
                assert [problem.place.span.line for problem in problems if problem.is_error] == [
                    place.span.line
                ], (route, wrong)
    assert found > 10


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_word_erased_or_written_over_is_told_inside_the_file(path):
    text = path.read_text()
    for route, place, is_key in words(text):
        for wrong in ERASED:
            after = text[: place.start] + wrong + text[place.start + len(place.text) :]
            problems = problems_of(after)
            is_quiet = is_free(route, is_key) or (not is_key and isinstance(route[-1], int))
            is_quiet = is_quiet or (wrong == "{}" and route[-1] == "options") or wrong in ("[]", "{}")
            assert problems or is_quiet or wrong == "", (route, wrong)
            for problem in problems:
                span = problem.place.span
                assert 1 <= span.line <= after.count("\n") + 1
                assert span.column <= len(problem.place.source.line(span.line)) + 1


@pytest.mark.parametrize("bench", BENCHES, ids=lambda path: path.parent.name)
def test_one_edit_of_a_shipped_instruments_file_is_never_an_exception(bench):
    data = json.loads((bench.parent / "instruments.json").read_text())
    for route in routes(data):
        for edit in ("remove", "misspell", 5, True, "a'word", [], {}, None):
            document = json_of(json.dumps(edited(data, route, edit), indent=1))
            wiring = read_wiring(document)
            assert (wiring is None) == document.is_refused


TOKENS = sorted(set(re.findall(r"\w+|[^\w\s]|\n *", "".join(path.read_text() for path in SHIPPED))))
FRAGMENTS = st.sampled_from(
    [*TOKENS, "\t", "&a ", "*a", "!x ", "<<: ", "---\n", "%Y\n", "\x00", "\u202e", ".nan", "1e999"]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SHIPPED), st.data())
def test_a_mutated_sequence_is_only_problems(path, data):
    text = path.read_text()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 30)))
        text = text[:start] + data.draw(FRAGMENTS) + text[end:]
    check(text)


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAGMENTS, max_size=40).map(" ".join) | st.text(max_size=200))
def test_any_text_is_only_problems(text):
    check(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_are_only_problems(raw):
    check(raw)
    json_of(raw)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(TOKENS) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(TOKENS), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SHIPPED), st.data())
def test_any_value_in_the_place_of_another_is_only_problems(path, data):
    sequence = yaml_of(path.read_text()).data
    route = data.draw(st.sampled_from(list(routes(sequence))))
    at = sequence
    for key in route[:-1]:
        at = at[key]
    at[route[-1]] = data.draw(VALUES)
    check(json.dumps(sequence))


def check(text):
    for problem in problems_of(text):
        assert problem.place is not None
        assert problem.message.isprintable()


def test_the_shipped_sequences_are_all_there():
    names = {path.stem for path in SHIPPED}
    assert names == {
        "full_performance",
        "panthera",
        "panthera-3d",
        "panthera-planar",
        "quick_check",
        "sensor_iv",
        "sldo",
        "standard_tuning",
    }
    assert all(isinstance(path, Path) for path in BENCHES)
