"""Every code has a source that uses it, and a test that produces it."""

import re
from pathlib import Path

import calseq
from calseq.problems import codes, problem
from calseq.problems.codes import CODES

PACKAGE = Path(calseq.__file__).parent
TESTS = Path(__file__).parents[1]
INPUT = ("bench", "cli", "documents", "editor", "planning", "problems", "sequence", "system")
"""Folders of tests that produce what is wrong with an input, or with a stand."""

# Codes whose defect is in the machine or in calseq: their tests start processes, and are not searched.
KEPT: set[str] = set()
OF_THE_RUN = {
    "CS405",
    "CS406",
    "CS408",
    "CS409",
    "CS411",
    "CS413",
    "CS416",
    "CS417",
    "CS418",
    "CS421",
    "CS422",
    "CS423",
    "CS460",
    "CS461",
    "CS462",
    "CS901",
}


def sources(folder, but=()):
    return "\n".join(path.read_text() for path in sorted(folder.rglob("*.py")) if path.name not in but)


def test_every_code_is_used_by_its_name():
    text = sources(PACKAGE, but=("codes.py",)) + "\n".join(
        path.read_text() for path in (PACKAGE.parent / "schemas").glob("*.json")
    )
    unused = [
        name
        for name, code in vars(codes).items()
        if isinstance(code, problem.Code)
        and name not in KEPT
        and not re.search(rf"\b{name}\b|{code.id}", text)
    ]
    assert unused == []


def test_every_code_of_an_input_has_a_test_that_produces_it():
    folders = (TESTS / name for name in INPUT)
    text = "".join(map(sources, folders))
    text += "\n".join(path.read_text() for path in TESTS.glob("*/*corpus/**/*.txt"))
    assert [code for code in CODES if code not in OF_THE_RUN and text.count(code) == 0] == []


def test_codes_are_numbered_in_their_class_and_named_once():
    assert all(re.fullmatch(r"CS[1-49]\d\d", code) for code in CODES)
    names = [code.name for code in CODES.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)
    assert all(code.meaning and not code.meaning.endswith(".") for code in CODES.values())
