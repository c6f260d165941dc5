"""A corpus of files with one defect each, beside the text that an operator reads about it."""

import pytest
from input_texts import CORPUS, sequence_of

from calseq.diagnostics import problems_text

CASES = sorted(CORPUS.glob("*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_one_defect_is_told_once_and_in_these_words(path, golden):
    sequence, problems = sequence_of(path.read_bytes())
    golden(path.with_suffix(".txt"), problems_text(problems) + "\n")
    assert len(problems) == 1
    assert (sequence is None) == problems[0].is_error
    assert problems[0].cure


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_problem_stands_inside_its_file_and_is_one_lowercase_fragment(path):
    text = path.read_text(encoding="utf-8")
    [problem] = sequence_of(text)[1]
    assert problem.place is not None
    span = problem.place.span
    assert 1 <= span.line <= text.count("\n") + 1
    assert 1 <= span.column <= len(problem.place.source.line(span.line)) + 1
    assert len(problem.message) <= 300
    assert problem.message.isprintable()
    assert not problem.message.endswith(".")
    first = problem.message.split()[0]
    assert first == first.lower() or first.startswith("'") or "IV" in problem.message


def test_the_corpus_has_no_text_without_its_file():
    assert {path.stem for path in CORPUS.glob("*.txt")} == {path.stem for path in CASES}
    assert len(CASES) >= 40
