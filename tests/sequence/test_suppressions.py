"""A comment silences one warning where it stands; one that silences nothing is told."""

import pytest
from input_texts import HEAD, bench_in, problems_of, sequence_of, told

from calseq.planning.compiler import compile_plan

SHORT = HEAD + "steps:\n  - calibration: iv_curve\n    options: {max_voltage: -80}\n"


@pytest.mark.parametrize(
    "lines",
    [
        "    timeout: 10s # calseq: ignore[CS306]\n",
        "    timeout: 10s   #calseq:ignore[CS306] the chiller is slow\n",
        "    timeout: 10s # calseq: ignore[short-timeout]\n",
        "    # calseq: ignore[CS306]\n    timeout: 10s\n",
        "    # calseq: ignore[CS306]\n    # a word about it\n\n    timeout: 10s\n",
        "    timeout: 10s # see the logbook # calseq: ignore[CS306]\n",
    ],
)
def test_a_warning_is_silenced_on_its_line_or_on_the_line_above(lines):
    assert told(problems_of(SHORT + "    timeout: 10s\n")) == ["CS306 6:14"]
    assert problems_of(SHORT + lines) == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("    timeout: 10s # calseq: ignore[CS302]\n", ["CS306 6:14", "CS311 6:35"]),
        ("    # calseq: ignore[CS306]\n    retries: 1\n    timeout: 10s\n", ["CS311 6:22", "CS306 8:14"]),
        ("    timeout: 10s # calseq: ignore[CS306,CS305]\n", ["CS311 6:41"]),
        ("    timeout: 10s # calseq: ignore[CS206]\n", ["CS306 6:14", "CS311 6:35"]),
        ("    timeout: 10s # calseq: ignore[]\n", ["CS306 6:14", "CS311 6:18"]),
        ("    timeout: 10s # calseq: ignore\n", ["CS306 6:14", "CS311 6:18"]),
        ("    timeout: 10s # calseq: ignores nothing\n", ["CS306 6:14"]),
        ("    timeout: 10s # no calseq: ignore[CS306]\n", ["CS306 6:14"]),
    ],
)
def test_what_silences_nothing_is_told(lines, expected):
    assert told(problems_of(SHORT + lines)) == expected


@pytest.mark.parametrize(
    "title",
    [
        '"T # calseq: ignore[CS306]"',
        "'T # calseq: ignore[CS306]'",
        '"two\n  # calseq: ignore[CS306]\n  lines"',
    ],
)
def test_a_comment_inside_a_text_is_none(title):
    text = f"calseq: 1\ntitle: T\ndescription: {title}\nsteps: [voltage_trimming]\n"
    assert problems_of(text) == []


def test_a_block_of_text_has_no_comments_but_its_first_line_has():
    text = (
        HEAD
        + "description: | # calseq: ignore[CS306]\n  # calseq: ignore[CS305]\nsteps: [voltage_trimming]\n"
    )
    assert told(problems_of(text)) == ["CS311 3:33"]


def test_errors_cannot_be_silenced():
    text = HEAD + "steps: [iv_curv] # calseq: ignore[CS203]\n"
    assert told(problems_of(text)) == ["CS203 3:9"]


def test_a_warning_that_only_the_bench_can_give_is_silenced_too(tmp_path):
    text = HEAD + "steps:\n  - iv_curve{}\n  - crosstalk_method\n"
    bench = bench_in(tmp_path).bench
    loud, _ = sequence_of(text.format(""))
    assert [problem.code.id for problem in compile_plan(loud, bench).problems] == ["CS308"]
    quiet, problems = sequence_of(text.format("  # calseq: ignore[CS308]"))
    assert problems == []
    assert compile_plan(quiet, bench).problems == ()
    assert compile_plan(quiet, bench).plan.warnings == ()
