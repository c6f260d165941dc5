"""A slip of typing is one problem at its place, its fix is what was meant, and all else is judged as if it were mended."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from input_texts import CORPUS, CURVE, HEAD, SHIPPED, at, problems_of, yaml_of

from calseq.documents.fixes import mend
from calseq.documents.slips import DASHES
from calseq.planning.loading import read_whole
from calseq.planning.validation import judge, read
from calseq.sequence.catalog import builtin

TEXT = (
    HEAD
    + "required_instruments: [lv, hv]\n"
    + "steps:\n"
    + CURVE
    + "  - voltage_trimming\n"
    + "  - calibration: custom_sequence\n"
    + "    tuning: [PixelAlive]\n"
    + "    retries: 1\n"
)
SPACES = "\u00a0\u2003\u2009\u202f\u3000"
UNSEEN = "\u200c\u200d\ufe0f"
# where a look-alike changes what the text says: in the indentation, behind a dash and behind a colon
GAPS = [
    place
    for place, char in enumerate(TEXT)
    if char == " " and (TEXT[place - 1] in "-:" or TEXT[:place].rpartition("\n")[2].strip() == "")
]
WORDS = [TEXT.index(word) + 3 for word in ("steps:", "voltage_trimming", "custom_sequence", "tuning:", "lv")]


def mended_text(text):
    def again(document):
        read_whole(read(document, PATH), builtin())
        return document

    return mend(again(yaml_of(text)), again).document.raw.decode()


class PATH:
    suffix = ".yaml"


def errors_of(text):
    return [problem for problem in problems_of(text) if problem.is_error]


def test_the_text_itself_has_nothing_wrong():
    assert problems_of(TEXT) == []


@given(st.sampled_from(GAPS), st.sampled_from(SPACES))
def test_a_space_that_is_none_is_one_problem_where_it_is_and_mended(place, space):
    text = TEXT[:place] + space + TEXT[place + 1 :]
    [problem] = errors_of(text)
    assert problem.place.start == place
    assert f"U+{ord(space):04X}" in problem.message
    assert mended_text(text) == TEXT


@given(st.sampled_from(WORDS), st.sampled_from(UNSEEN))
def test_what_cannot_be_seen_in_a_word_is_one_problem_where_it_is_and_mended(place, unseen):
    text = TEXT[:place] + unseen + TEXT[place:]
    [problem] = errors_of(text)
    assert problem.place.start == place
    assert f"U+{ord(unseen):04X}" in problem.message
    assert mended_text(text) == TEXT


@given(st.sampled_from(DASHES), st.sampled_from(["-80", "-80.5", "-8e1", "-.5"]), st.booleans())
def test_a_minus_that_is_none_is_named_and_mended(dash, number, is_block):
    good = HEAD + "steps:\n  - calibration: iv_curve\n    options: {max_voltage: N}\n"
    if is_block:
        good = good.replace(" {max_voltage: N}", "\n      max_voltage: N")
    text = good.replace("N", dash + number[1:])
    [problem] = errors_of(text)
    assert f"U+{ord(dash):04X}" in problem.message
    assert problem.place.text == dash + number[1:]
    assert problem.cure == f"write {number}"
    assert mended_text(text) == good.replace("N", number)


@pytest.mark.parametrize("dash", [*DASHES, "\u2022", "\u25e6", "*"])
@pytest.mark.parametrize("entries", [1, 2, 5])
def test_every_entry_behind_a_bullet_is_a_problem_and_all_are_mended(dash, entries):
    good = (
        HEAD
        + "steps:\n"
        + CURVE
        + "".join(f"  - {{calibration: voltage_trimming, name: s{n}}}\n" for n in range(entries))
    )
    text = good.replace("\n  - {", f"\n  {dash} {{")
    assert [at(problem) for problem in errors_of(text)] == [f"{6 + n}:3" for n in range(entries)]
    assert mended_text(text) == good


@pytest.mark.parametrize(
    ("good", "slip"),
    [
        ("  - voltage_trimming\n", "  -voltage_trimming\n"),
        ("  - calibration: voltage_trimming\n    retries: 1\n", "  -calibration: voltage_trimming\n   retries: 1\n"),
        ("  - calibration: voltage_trimming\n    retries: 1\n", "  - calibration: voltage_trimming\n    retries:1\n"),
        ("  - calibration: voltage_trimming\n    retries: 1\n", "  - calibration:voltage_trimming\n    retries: 1\n"),
        ("  - calibration: voltage_trimming\n    retries: 1\n", "  - voltage_trimming\n    retries: 1\n"),
        ("  - calibration: voltage_trimming\n    retries: 1\n", "  - voltage_trimming\n        retries: 1\n"),
        ("  - calibration: voltage_trimming # x\n\n    retries: 1\n", "  - voltage_trimming # x\n\n    retries: 1\n"),
        ('  - {calibration: voltage_trimming, retries: 1}\n', '  - {calibration: voltage_trimming, retries:1}\n'),
    ],
)  # fmt: skip
def test_glued_dashes_and_colons_and_keys_below_a_name_are_mended(good, slip):
    before, after = HEAD + "steps:\n" + CURVE, "  - sldo_vi_curves\n"
    assert errors_of(before + good + after) == []
    [problem] = errors_of(before + slip + after)
    assert problem.code.id == "CS104"
    assert problem.fix
    assert mended_text(before + slip + after) == before + good + after


def test_a_second_mistake_is_told_beside_a_slip():
    text = HEAD + "steps:\n  -calibration: iv_curv\n   retries: 9\n"
    assert [(problem.code.id, at(problem)) for problem in errors_of(text)] == [
        ("CS104", "4:3"),
        ("CS203", "4:17"),
        ("CS206", "5:13"),
    ]


def test_a_slip_before_another_error_of_syntax_is_told_too():
    text = HEAD + "steps:\n  - calibration:voltage_trimming\n    retries: 1\n  - [\n"
    assert [at(problem) for problem in errors_of(text)] == ["4:17", "7:1"]


@pytest.mark.parametrize(
    "text", ["a\u00a0b", "\u201380 V \u2013 a test", "a \u2022 b", "caf\u200de", "ratio:3"]
)
def test_look_alikes_in_prose_are_no_problem(text):
    prose = f"description: |\n  \u2013 {text}\n  -glued key:value\n"
    assert problems_of(f"calseq: 1\ntitle: {text}\n{prose}steps:\n{CURVE}") == []
    assert [
        at(problem)
        for problem in problems_of(f"calseq: 1\ntitle: {text}\n{prose}steps:\n  -voltage_trimming\n")
    ] == ["7:3"]


def test_a_title_of_a_dash_and_digits_stays_a_text():
    assert problems_of(f"calseq: 1\ntitle: \u221280\nsteps:\n{CURVE}") == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_glued_colon_of_a_shipped_sequence_is_mended(path):
    good = path.read_text(encoding="utf-8")
    for place in range(len(good) - 1):
        line = good[:place].rpartition("\n")[2]
        is_key = re.search(r"(^|[{,]) *(- )?[a-z_.]+$", line) is not None
        if good[place : place + 2] != ": " or not is_key or good[place + 2] in ":/\\\n":
            continue
        text = good[: place + 1] + good[place + 2 :]
        assert mended_text(text) == good, line


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_file_whose_error_has_a_fix_has_no_error_after_it(path):
    def again(document):
        return next(iter(judge(read(document, path), path, builtin())))

    document = again(yaml_of(path.read_bytes()))
    if not any(problem.fix for problem in document.problems):
        return
    mended = mend(document, again)
    assert mended.fixed
    assert not mended.document.is_refused
