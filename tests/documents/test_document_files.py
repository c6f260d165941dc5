"""What is not a readable text gives one problem, and never an exception."""

import os
import stat
from pathlib import Path

import pytest
from input_texts import SOUND, problems_of, told, yaml_of

from calseq.documents.document import MAX_BYTES, open_text
from calseq.documents.yaml_reader import read_yaml


def opened(path):
    document = read_yaml(open_text(path))
    return [problem.code.id for problem in document.problems], document


@pytest.fixture
def place(tmp_path):
    return tmp_path / "f.yaml"


def test_a_sound_file_has_no_problem_and_keeps_its_bytes(place):
    place.write_text(SOUND)
    codes, document = opened(place)
    assert codes == []
    assert document.raw == SOUND.encode()
    assert document.path == str(place.resolve())


def test_a_missing_file_a_folder_a_device_and_a_loop_are_unreadable(place, tmp_path):
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    for path in (place, tmp_path, Path("/dev/zero"), Path("/dev/null"), loop, tmp_path / ("n" * 5000)):
        codes, document = opened(path)
        assert codes == ["CS101"], path
        assert document.problems[0].cure


def test_a_name_with_a_nul_byte_is_unreadable():
    assert opened(Path("a\0b.yaml"))[0] == ["CS101"]


def test_a_name_that_is_not_utf8_is_unreadable(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yaml"))
    path.write_text(SOUND)
    codes, document = opened(path)
    assert codes == ["CS101"]
    assert document.source.name.isprintable()


def test_a_fifo_is_refused_without_waiting_for_a_writer(place):
    os.mkfifo(place)
    assert opened(place)[0] == ["CS101"]


def test_a_file_without_permission_is_unreadable(place):
    place.write_text(SOUND)
    place.chmod(0)
    codes, _ = opened(place)
    assert codes == (["CS101"] if os.geteuid() else []), stat.filemode(place.stat().st_mode)


def test_a_file_of_ten_megabytes_is_too_large(place):
    place.write_text("x" * 10_000_000)
    assert opened(place)[0] == ["CS109"]


def test_a_file_at_the_limit_is_read(place):
    place.write_text((SOUND + "# ").ljust(MAX_BYTES, "x"))
    assert opened(place)[0] == []
    place.write_text((SOUND + "# ").ljust(MAX_BYTES + 1, "x"))
    assert opened(place)[0] == ["CS109"]


def test_crlf_and_a_bom_at_the_start_are_accepted():
    text = ("\ufeff" + SOUND.replace("\n", "\r\n") + "    retry: 1\r\n").encode()
    assert told(problems_of(text)) == ["CS204 6:5"]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (SOUND.replace("T", "caf\xe9").encode("latin-1"), "CS102 2:11"),
        (b"\xef\xbb\xbf" + SOUND.replace("T", "caf\xe9").encode("latin-1"), "CS102 2:11"),
        (SOUND.encode("utf-16"), "CS102 1:1"),
        (SOUND.encode("utf-16-le"), "CS102 1:1"),
        (SOUND.encode("utf-16-be"), "CS102 1:1"),
        (SOUND.encode("utf-32"), "CS102 1:1"),
        (b"\0" * 4096, "CS102 1:1"),
        (bytes(range(256)), "CS102 1:1"),
        (b"\x7fELF" + bytes(range(1, 32)) * 9, "CS103 1:1"),
        (SOUND.replace("T", "a\ufeffb").encode(), "CS103 2:9"),
        (SOUND.replace("T", "a\0b").encode(), "CS103 2:9"),
        (SOUND.replace("T", "a\x1b[31mb").encode(), "CS103 2:9"),
        (SOUND.replace("T", "a\x9b31mb").encode(), "CS103 2:9"),
        (SOUND.replace("T", "a\u202eb").encode(), "CS103 2:9"),
        (SOUND.replace("T", "a\u2028b").encode(), "CS103 2:9"),
        (SOUND.replace("T", "a\x85b").encode(), "CS103 2:9"),
        (SOUND.replace("T", "a\u200bb").encode(), "CS103 2:9"),
        (SOUND.replace("T\n", "a\rb\n").encode(), "CS103 2:9"),
        (SOUND.replace("title", "ti\u200btle").encode(), "CS103 2:3"),
        (b"", "CS110 1:1"),
        (b"\xef\xbb\xbf", "CS110 1:1"),
        (b" \n\n", "CS110 1:1"),
        (b"# nothing\n", "CS110 1:1"),
        (b"---\n", "CS110 1:1"),
        (b"...\n", "CS104 1:1"),
    ],
)
def test_a_text_that_is_none_gives_one_problem_at_its_place(raw, expected):
    [problem] = problems_of(raw)
    assert told([problem]) == [expected]
    assert problem.cure


def test_several_invisible_characters_are_told_each_and_hide_nothing_else():
    text = SOUND.replace("T", "a\x1bb").replace("iv_curve", "iv_\u202ecurve") + "    re\u200btry: 1\n"
    assert told(problems_of(text)) == ["CS103 2:9", "CS103 4:21", "CS204 6:5", "CS103 6:7"]


@pytest.mark.parametrize("escape", ["\\0", "\\e[1m", "\\x9b", "\\u202e", "\\uFEFF", "\\ud800", "\\r", "\\N"])
def test_an_escape_for_an_invisible_character_is_as_bad_as_the_character(escape):
    assert told(problems_of(SOUND.replace("T", f'"a{escape}b"'))) == ["CS103 2:8"]


def test_an_escape_in_a_key_is_told_and_the_key_is_understood():
    assert told(problems_of(SOUND.replace("title", '"ti\\etle"'))) == ["CS103 2:1"]


def test_a_text_of_ten_thousand_lines_has_its_last_line_quoted():
    document = yaml_of(SOUND + "# x\n" * 10_000 + "x-last: .nan\n")
    assert told(document.problems) == ["CS107 10006:9"]
    assert document.source.line(10_006) == "x-last: .nan"
