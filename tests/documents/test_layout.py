"""`calseq fmt`: a layout that is the same each time, that keeps every comment, and never changes what is said."""

import re
import stat
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from texts_with_comments import Author, json_of

from calseq.documents.document import Document, from_bytes
from calseq.documents.layout import KeyOrder, key_order, laid_out
from calseq.documents.schema import stored_schema
from calseq.documents.yaml_reader import read_yaml
from calseq.problems.problem import Problem
from calseq.sequence.catalog import builtin
from calseq.sequence.schema import sequence_schema
from calseq.system.assets import sequences, shipped_sequences

ORDER = key_order(sequence_schema(builtin()))
HERE = Path(__file__).parent
COMMENT = re.compile(r"# (?:why|why: - x|a #b|  deep) \d+")
MESSY = (HERE / "messy.yaml").read_text()


def read(text: str) -> Document:
    """Read a text that nothing is wrong with."""
    document = read_yaml(from_bytes(text.encode(), "f.yaml"))
    assert not document.problems, [(problem.message, problem.place) for problem in document.problems]
    return document


def laid(text: str, order: KeyOrder = ORDER) -> str:
    """Lay a text out."""
    result = laid_out(read(text), order)
    assert isinstance(result, str), result
    return result


@settings(max_examples=400)
@given(st.integers(0, 1 << 48))
@example(147905)  # an empty line between a key and its value, behind a scalar to which it would belong
@example(238096703)
def test_any_sequence_keeps_its_meaning_and_its_comments_and_is_laid_out_once(seed):
    text = Author(Random(seed)).text()
    once = laid(text)
    assert json_of(read(once).data) == json_of(read(text).data)
    assert Counter(COMMENT.findall(once)) == Counter(COMMENT.findall(text))
    assert laid(once) == once


def test_a_messy_file_comes_out_as_a_person_would_write_it(golden):
    golden("messy.yaml", laid(MESSY))


@pytest.mark.parametrize("path", shipped_sequences(), ids=lambda path: path.stem)
def test_what_is_shipped_has_the_layout(path):
    assert laid(path.read_text()) == path.read_text()


@pytest.mark.parametrize("path", sorted((sequences() / "benches").glob("*/bench.yaml")), ids=lambda path: path.parent.name)  # fmt: skip
def test_the_shipped_benches_have_it_too(path):
    assert laid(path.read_text(), key_order(stored_schema("bench"))) == path.read_text()


def test_keys_have_an_order_and_unknown_ones_stay_behind_what_they_stand_behind():
    text = "steps: [a]\nodd: 1\ntitle: T\nx-own: 1\ndefaults: {}\ncalseq: 1\n"
    assert [line.partition(":")[0] for line in laid(text).split("\n") if line] == [
        "calseq", "title", "x-own", "defaults", "steps", "odd",
    ]  # fmt: skip


def test_an_anchor_stays_before_its_alias_whatever_the_usual_order():
    text = "steps: &s [a]\nx-again: *s\ncalseq: 1\n"
    assert laid(text).splitlines()[0] == "steps: &s [a]"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("'plain'", "plain"), ('"two words"', "two words"), ("'5'", "'5'"), ('"yes"', '"yes"'), ("'~'", "'~'"),
        ("'a: b'", "'a: b'"), ("'a #b'", "'a #b'"), ("'1h30m'", "'1h30m'"), ("''", "''"), ("' a'", "' a'"),
        ("'null'", "'null'"), ("'-a'", "'-a'"), ("'*a'", "'*a'"), ("'2025-01-01'", "'2025-01-01'"),
        ("[ 'a,b' , 'c' ]", "['a,b', c]"), ("'a,b'", "a,b"), ("{'k' : 'v'}", "{k: v}"), ("'http://x'", "'http://x'"),
    ],
)  # fmt: skip
def test_quotes_stay_only_where_they_are_needed(written, kept):
    assert laid(f"calseq: 1\ntitle: {written}\n") == f"calseq: 1\ntitle: {kept}\n"


def test_long_lines_and_texts_of_several_lines_are_kept():
    long = "x " * 200 + "x"
    text = f"calseq: 1\ntitle: {long}\ndescription: |\n  a\n\n\n    b  \n  c\n"
    assert laid(text) == text


def test_line_ends_of_windows_become_those_of_unix(calseq, tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"calseq: 1\r\ntitle: T\r\nsteps: [iv_curve]\r\n")
    calseq("fmt", "--check", "a.yaml", expect=1)
    calseq("fmt", "a.yaml")
    assert (tmp_path / "a.yaml").read_bytes() == b"calseq: 1\ntitle: T\n\nsteps: [iv_curve]\n"
    calseq("fmt", "--check", "a.yaml")


def test_check_and_diff_write_nothing_and_say_what_would_change(calseq, tmp_path, golden):
    path = tmp_path / "messy.yaml"
    path.write_text(MESSY)
    out, err = calseq("fmt", "--check", "messy.yaml", expect=1)
    assert (out, err) == ("messy.yaml\n", "1 file would be laid out anew; 'calseq fmt' does it\n")
    out, err = calseq("fmt", "--diff", "messy.yaml")
    golden("fmt-diff.txt", out)
    assert path.read_text() == MESSY
    out, err = calseq("fmt", "messy.yaml", "messy.yaml")
    assert path.read_text() == (HERE / "golden" / "messy.yaml").read_text()


def test_a_file_keeps_its_mode_and_a_link_to_it(calseq, tmp_path):
    real = tmp_path / "real.yaml"
    real.write_text(MESSY)
    real.chmod(0o640)
    (tmp_path / "link.yaml").symlink_to("real.yaml")
    calseq("fmt", "link.yaml")
    assert (tmp_path / "link.yaml").is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.yaml", "real.yaml"]


def test_stdin_goes_to_stdout(calseq):
    out, _ = calseq("fmt", "-", stdin="title: 'T'\ncalseq: 1\n")
    assert out == "calseq: 1\ntitle: T\n"


def test_files_with_errors_and_foreign_files_are_refused_and_the_others_laid_out(calseq, tmp_path):
    (tmp_path / "bad.yaml").write_text("calseq: 1\ntitle: [\n")
    (tmp_path / "other.yaml").write_text("services:   {}\n")
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "good.yaml").write_text("calseq:   1\n")
    _out, err = calseq("fmt", "bad.yaml", "other.yaml", "list.yaml", "no.yaml", "good.yaml", expect=3)
    assert [code in err for code in ("CS104", "CS342", "CS101")] == [True] * 3
    assert err.count("CS342") == 2
    assert (tmp_path / "other.yaml").read_text() == "services:   {}\n"
    assert (tmp_path / "good.yaml").read_text() == "calseq: 1\n"


def test_a_file_that_cannot_be_replaced_is_said_and_left(calseq, tmp_path):
    # beside a name this long there is no room for the name of its new text
    path = tmp_path / ("a" * 245 + ".yaml")
    path.write_text("calseq:   1\n")
    assert "CS442" in calseq("fmt", path.name, expect=3)[1]
    assert path.read_text() == "calseq:   1\n"


def test_what_cannot_be_laid_out_is_said_and_left():
    # the key has two lines: on one it would be another
    document = read('calseq: 1\n? "a\n  b"\n: 1\n')
    result = laid_out(document, ORDER)
    assert isinstance(result, Problem)
    assert result.code.id == "CS341"
