"""Which module a file is of: the one whose name it has, and of names within names the longest."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calseq.measurement.module_names import modules_named

NAMES = st.lists(st.text("AM12-_.", min_size=1, max_size=5), min_size=1, max_size=6, unique=True)


@pytest.mark.parametrize(
    ("path", "names", "found"),
    [
        ("data/03-iv/IV_M1-2.csv", ("M1", "M1-2"), ("M1-2",)),
        ("data/03-iv/IV_M1_2.csv", ("M1", "M1_2", "2"), ("M1_2",)),
        ("data/03-iv/IV_M1-2_M1.csv", ("M1", "M1-2"), ("M1", "M1-2")),
        ("data/03-iv/A-B-C.csv", ("A-B", "B-C"), ("A-B", "B-C")),
        ("data/03-iv/M1-2026-11-23.csv", ("M1", "M1-2"), ("M1",)),
        ("data/03-iv/M1/IV_M2.csv", ("M1", "M2"), ("M2",)),
        ("data/03-iv/M1/deep/IV.csv", ("M1", "M2"), ("M1",)),
        ("data/03-M1/IV.csv", ("M1",), ()),
        ("data/03-iv/IV.csv", ("", "M1"), ()),
        ("", ("M1",), ()),
    ],
)
def test_the_longest_name_that_stands_there_is_meant(path, names, found):
    assert modules_named(path, names) == found


@given(NAMES, st.data())
def test_a_file_that_has_one_name_in_it_is_of_that_module_whatever_the_others_are_called(names, data):
    name = data.draw(st.sampled_from(names))
    before, after = data.draw(st.sampled_from([("IV ", ".csv"), ("", " x"), ("(", ")"), ("", "")]))
    longer = [each for each in names if each != name and name in each]
    found = modules_named(f"data/03-iv/{before}{name}{after}", names)
    if not any(each in f"{before}{name}{after}" for each in longer):
        assert found == (name,)


@given(NAMES, st.text("AM12-_. ", max_size=20))
def test_the_order_of_the_names_decides_nothing_and_what_is_found_stands_there(names, text):
    found = modules_named(text, names)
    assert set(found) == set(modules_named(text, names[::-1]))
    assert all(name in text for name in found)
    stands = [re.search(rf"(?<![A-Z0-9]){re.escape(name)}(?![A-Z0-9])", text) for name in names]
    assert bool(found) is any(stands)
