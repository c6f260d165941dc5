"""A fix mends what it is for and nothing else: layout, comments and all other bytes stay."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from input_texts import CORPUS, HEAD, SHIPPED, corpus_files, corpus_problems

from calseq.documents.document import from_bytes
from calseq.documents.fixes import edited, fixes, mend
from calseq.planning.validation import judge, read
from calseq.problems.problem import Edit
from calseq.sequence.catalog import builtin

FILES = corpus_files()
CURVE = "  - calibration: iv_curve\n    options: {max_voltage: -80}\n"


def judged(document):
    path = Path(document.source.name)
    return next(iter(judge(read(document, path), path, builtin())))


def mended(text, name="f.yaml"):
    """Give the text after its fixes, how many there were, and the codes that are left."""
    raw = text if isinstance(text, bytes) else text.encode()
    result = mend(judged(from_bytes(raw, name)), judged)
    return result.document.raw.decode(), result.fixed, [p.code.id for p in result.document.problems]


def comments(text):
    return [
        found for found in re.findall(r"(?:^|\s)#(.*)$", text, re.MULTILINE) if "calseq: ignore" not in found
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORPUS)))
def test_after_the_fixes_of_the_corpus_nothing_fixable_and_nothing_new_is_left(path, tmp_path):
    [problem] = corpus_problems(path, tmp_path)
    if problem.fix is None or path.parent.name == "bench":
        return
    raw = b"# first\n" + path.read_bytes() if path.suffix == ".yaml" else path.read_bytes()
    raw += b"# last\n" if path.suffix == ".yaml" else b""
    text, fixed, left = mended(raw, path.name)
    assert fixed >= 1
    assert left == []
    assert comments(text) == comments(raw.decode())
    assert mended(text, path.name) == (text, 0, [])


def test_a_good_part_of_the_corpus_can_be_fixed(tmp_path):
    fixable = [path for path in FILES if corpus_problems(path, tmp_path)[0].fix]
    assert len(fixable) >= 60


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (HEAD + "steps:\n  - iv_curv  # first\n", HEAD + "steps:\n  - iv_curve  # first\n"),
        (HEAD + "steps:\n  - 'iv_curv'\n", HEAD + "steps:\n  - 'iv_curve'\n"),
        (HEAD + 'steps:\n  - "calibraton": "iv_curve"\n', HEAD + 'steps:\n  - "calibration": "iv_curve"\n'),
        ("# mine\n\ntitle: T\nsteps: [iv_curve]\n", "# mine\n\ncalseq: 1\ntitle: T\nsteps: [iv_curve]\n"),
        ("  title: T\n  steps: [iv_curve]\n", "  calseq: 1\n  title: T\n  steps: [iv_curve]\n"),
        (HEAD + "steps:\n" + CURVE + "    timeout: 01:30:00\n", HEAD + "steps:\n" + CURVE + "    timeout: 1h30m\n"),
        ("calseq: 1\ntitle: no\nsteps: [iv_curve]\n", 'calseq: 1\ntitle: "no"\nsteps: [iv_curve]\n'),
        ('calseq: 1\ntitle: a "b": c\nsteps: [iv_curve]\n', 'calseq: 1\ntitle: "a \\"b\\": c"\nsteps: [iv_curve]\n'),
        (HEAD + "x-a: &a {max_voltage: -80} # u\nsteps: [iv_curve]\n", HEAD + "x-a: {max_voltage: -80} # u\nsteps: [iv_curve]\n"),
        (HEAD + "steps:\n" + CURVE + "    type: general\n    retries: 1\n", HEAD + "steps:\n" + CURVE + "    retries: 1\n"),
        (HEAD + "steps:\n" + CURVE + "    # calseq: ignore[CS306]\n    retries: 1\n", HEAD + "steps:\n" + CURVE + "    retries: 1\n"),
    ],
)  # fmt: skip
def test_a_fix_changes_what_it_must_and_no_more(wrong, right):
    assert mended(wrong) == (right, 1, [])


def test_bom_and_line_ends_stay():
    wrong = "\ufeff# \u00b5\r\ntitle: T\r\nsteps:\r\n  - iv_curv\n  - voltage_triming\r\n"
    right = "\ufeff# \u00b5\r\ncalseq: 1\r\ntitle: T\r\nsteps:\r\n  - iv_curve\n  - voltage_trimming\r\n"
    assert mended(wrong) == (right, 3, [])


def test_what_a_fix_brings_to_light_is_fixed_too():
    wrong = HEAD + 'steps:\n  - calibration: iv_curv\n    options: {max-voltage: "-80"}\n'
    assert mended(wrong) == (HEAD + "steps:\n" + CURVE, 3, [])


def test_nothing_is_written_that_brings_an_error_to_light():
    wrong = HEAD + "steps:\n  - calibration: iv_curv\n    options: {colour: 5}\n"
    assert mended(wrong) == (wrong, 0, ["CS203"])


def test_where_all_together_do_harm_each_is_tried_alone():
    wrong = "calseq: 1\ntitel: T\nsteps:\n  - calibration: iv_curv\n    options: {colour: 5}\n"
    assert mended(wrong) == (wrong.replace("titel", "title"), 1, ["CS203"])


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "steps:\n" + CURVE + "    timeout: 90\n",  # of what?
        HEAD + "steps:\n" + CURVE + "    timeout: 1:30\n",  # minutes or hours?
        HEAD + "steps:\n  - sldo_vi_curves_X\n",  # nearly as like another one
        HEAD + "title: U\nsteps:\n" + CURVE,  # two titles
        HEAD + "steps:\n" + CURVE + "    type: general  # why?\n",  # a comment would be lost
        HEAD + "steps:\n" + CURVE + "    tuning: T\n",  # or the calibration is the wrong one
        HEAD + "steps:\n  - calibration: iv_curve\n    options: {max_voltage: -80V}\n",
        HEAD + "required_instruments: [xv]\nsteps: [iv_curve]\n",
    ],
)
def test_what_has_two_cures_has_no_fix(text):
    assert mended(text)[:2] == (text, 0)


def test_edits_that_touch_are_put_in_one_after_the_other():
    document = judged(from_bytes(b"calseq: 1\n", "f.yaml"))
    source = document.source
    problems = [
        problem.__class__(problem.code, "m", fix=edit)
        for problem in document.problems[:1]
        for edit in (
            Edit(source, 0, 3, "x"),
            Edit(source, 2, 5, "y"),
            Edit(source, 0, 3, "x"),
            Edit(source, 6, 7, "z"),
        )
    ]
    assert [edit.text for edit in fixes(problems, document)] == ["x", "z"]


TEXTS = st.text(st.sampled_from("ab\r\n\u00b5\U0001f600"), max_size=30)


@given(TEXTS, st.booleans(), st.data())
def test_an_edit_of_any_text_leaves_all_other_bytes(text, bom, data):
    raw = (b"\xef\xbb\xbf" if bom else b"") + text.encode()
    document = from_bytes(raw, "f.yaml")
    shown = document.source.text
    start = data.draw(st.integers(0, len(shown)))
    end = data.draw(st.integers(start, len(shown)))
    after = from_bytes(edited(document, [Edit(document.source, start, end, "X")]), "f.yaml")
    assert after.source.text == shown[:start] + "X" + shown[end:]
    assert after.raw.startswith(b"\xef\xbb\xbf") == (bom and raw.startswith(b"\xef\xbb\xbf"))
    assert edited(document, []) == raw


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_good_file_is_left_alone(path):
    text = path.read_text()
    assert mended(text) == (text, 0, [])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FILES), st.data())
def test_a_mutated_file_is_mended_or_left_and_never_worse(path, data):
    raw = path.read_bytes()
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 6)))
    raw = (
        raw[:start]
        + data.draw(st.sampled_from([b"", b" ", b"\n", b"&a ", b"*a", b"yes", b"'", b": "]))
        + raw[end:]
    )
    before = judged(from_bytes(raw, path.name))
    result = mend(before, judged)
    if result.fixed == 0:
        assert result.document.raw == raw
    else:
        errors = [sum(problem.is_error for problem in each.problems) for each in (before, result.document)]
        assert errors[1] <= errors[0]
