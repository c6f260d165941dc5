"""A corpus of files with one defect each, beside the truth about it and the text that an operator reads."""

import re

import pytest
from input_texts import CORPUS, SHIPPED_FOLDER, at, corpus_files, corpus_problems, sequence_of

from calseq.model.rails import StepType
from calseq.problems.codes import CODES
from calseq.problems.diagnostics import problems_text
from calseq.sequence.catalog import builtin

FILES = corpus_files()
TRUTH = {
    row.split("\t")[0]: row.split("\t")[1:]
    for row in (CORPUS / "truth.tsv").read_text(encoding="utf-8").splitlines()
    if not row.startswith("#")
}


def name_of(path):
    return str(path.relative_to(CORPUS))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_one_defect_is_told_once_and_in_these_words(path, golden, tmp_path):
    problems = corpus_problems(path, tmp_path)
    text = problems_text(problems).replace(f"{tmp_path}/", "").replace(f"{SHIPPED_FOLDER}/", "")
    golden(path.with_suffix(".txt"), text + "\n")
    assert len(problems) == 1
    assert problems[0].cure


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_place_the_cause_and_the_cure_are_the_true_ones(path, tmp_path):
    places, cause, cure = TRUTH[name_of(path)]
    [problem] = corpus_problems(path, tmp_path)
    assert at(problem) in places.split("|")
    assert re.search(cause, f"{problem.message} {problem.place.text}")
    assert re.search(cure, f"{problem.message} {problem.cure}")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_problem_stands_inside_its_file_and_is_one_lowercase_fragment(path, tmp_path):
    [problem] = corpus_problems(path, tmp_path)
    span, text = problem.place.span, problem.place.source.text
    assert 1 <= span.line <= text.count("\n") + 1
    assert 1 <= span.column <= len(problem.place.source.line(span.line)) + 1
    assert len(problem.message) <= 300
    assert problem.message.isprintable()
    assert not problem.message.endswith(".")
    first = problem.message.split()[0]
    is_word = first == first.lower() or first in CODES or first in builtin().calibrations
    assert is_word or first.startswith("'") or "IV" in problem.message


def test_the_corpus_and_the_truth_are_about_the_same_files():
    assert {name_of(path) for path in CORPUS.rglob("*.txt")} == {
        name_of(path.with_suffix(".txt")) for path in FILES
    }
    assert set(TRUTH) == {name_of(path) for path in FILES}
    assert len(FILES) >= 200


def test_the_corpus_has_every_calibration_and_so_every_type():
    text = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in FILES)
    assert [name for name in builtin().calibrations if not re.search(rf"\b{name}", text)] == []
    assert {each.type for each in builtin().calibrations.values()} == set(StepType)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.yaml")), ids=name_of)
def test_an_error_leaves_no_sequence_and_a_warning_does(path):
    sequence, problems = sequence_of(path.read_bytes())
    assert (sequence is None) == any(problem.is_error for problem in problems)
