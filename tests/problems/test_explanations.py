"""Every code has a page whose wrong example gives just this code, and whose right one gives nothing."""

import difflib
import shlex

import pytest
from input_texts import bench_in, sequence_of
from typer.testing import CliRunner

from calseq.bench.bench import read_bench
from calseq.bench.find import shipped_bench
from calseq.cli import app
from calseq.planning.compiler import compile_plan
from calseq.problems.codes import CODES
from calseq.problems.explanations import SEQUENCE, explanation, find_code, near_code, pages

EXAMPLES = [code for code in CODES.values() if explanation(code).wrong]


def codes_of(page, text, folder, monkeypatch):
    """Give the codes that an example gives, as an operator would meet them."""
    if page.file == "command":
        monkeypatch.chdir(folder)
        monkeypatch.setenv("NO_COLOR", "1")
        done = CliRunner().invoke(app, shlex.split(text)[1:])
        return [code for code in CODES if f"[{code} " in done.output]
    if page.file == "instruments.json":
        return [problem.code.id for problem in bench_in(folder, instruments=text).problems]
    sequence, problems = sequence_of(text)
    bench = read_bench(shipped_bench()).bench
    # What `validate` tells comes first; only a plan knows the bench.
    return [problem.code.id for problem in problems or compile_plan(sequence, bench).problems]


def test_every_code_has_a_page_and_every_page_a_code():
    assert list(pages()) == list(CODES)


@pytest.mark.parametrize("code", CODES.values(), ids=str)
def test_a_page_says_why_and_shows_a_wrong_and_a_right_example_or_a_situation(code):
    page = explanation(code)
    assert page.why.endswith(".")
    assert bool(page.wrong) == bool(page.right) == (not page.situation) == (not page.mend)


@pytest.mark.parametrize("code", EXAMPLES, ids=str)
def test_the_wrong_example_gives_this_code_once_and_the_right_one_nothing(code, tmp_path, monkeypatch):
    page = explanation(code)
    assert codes_of(page, page.wrong, tmp_path, monkeypatch) == [code.id]
    assert codes_of(page, page.right, tmp_path, monkeypatch) == []


@pytest.mark.parametrize("code", EXAMPLES, ids=str)
def test_the_two_examples_differ_in_few_lines(code):
    page = explanation(code)
    lines = difflib.ndiff(page.wrong.splitlines(), page.right.splitlines())
    assert sum(line[0] in "+-" for line in lines) <= (6 if page.file == SEQUENCE else 2)


def test_a_code_is_found_by_its_number_or_its_name_and_a_slip_is_told():
    assert find_code("cs203") is CODES["CS203"]
    assert find_code("Unknown-Calibration") is CODES["CS203"]
    assert find_code("CS999") is None
    assert near_code("unknown-calibraton") == "did you mean 'unknown-calibration'?"
    assert near_code("CS999") == ""
