import os

from calseq.record.log_tail import LINE_CHARS, READ_BYTES, LogTail, tail_lines


def lines_of(tmp_path, octets, count=10):
    path = tmp_path / "log.txt"
    path.write_bytes(octets)
    return LogTail(path).look(0.0, count).lines


def test_the_last_lines_are_given(tmp_path):
    assert lines_of(tmp_path, b"one\ntwo\nthree\n", 2) == ("two", "three")


def test_a_missing_file_a_folder_and_a_fifo_have_no_lines(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "fifo", tmp_path / "nul\0"):
        assert LogTail(path).look(1.0).lines == ()


def test_a_line_that_is_still_being_written_is_shown(tmp_path):
    assert lines_of(tmp_path, b"one\nhalf a li") == ("one", "half a li")


def test_of_a_progress_bar_the_last_state_is_shown(tmp_path):
    assert lines_of(tmp_path, b"start\r\n 10%\r 20%\r 30%\r") == ("start", " 30%")


def test_colours_titles_and_links_are_stripped_and_the_rest_is_escaped(tmp_path):
    hostile = (
        b"\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://x\x1b\\link "
        b"\x1bP1$q\x1b\\\x07bell \xff\xe2\x80\xae rtl"
    )
    (line,) = lines_of(tmp_path, hostile)
    assert line.isprintable()
    assert "\x1b" not in line
    assert line.startswith("red link")
    assert "\\u202e" in line


def test_an_unfinished_escape_sequence_is_shown_not_sent(tmp_path):
    assert lines_of(tmp_path, b"text \x1b[31") == ("text \\e[31",)


def test_of_an_endless_line_the_end_is_shown_and_little_is_read(tmp_path):
    (line,) = lines_of(tmp_path, b"x" * (READ_BYTES * 3) + b"END")
    assert line.endswith("xEND")
    assert len(line) == LINE_CHARS


def test_a_long_line_is_cut_at_its_end(tmp_path):
    (line,) = lines_of(tmp_path, b"START" + b"x" * 1000)
    assert line.startswith("START")
    assert len(line) == LINE_CHARS


def test_the_first_line_of_what_was_read_is_left_out_when_it_lacks_its_beginning(tmp_path):
    text = b"a" * READ_BYTES + b"\nwhole\n"
    assert lines_of(tmp_path, text) == ("whole",)


def test_silence_counts_from_the_last_growth(tmp_path):
    path = tmp_path / "log.txt"
    tail = LogTail(path)
    assert tail.look(10.0).silent_s == 0.0
    assert tail.look(13.0).silent_s == 3.0
    path.write_text("hello\n")
    assert tail.look(20.0).silent_s == 0.0
    seen = tail.look(50.0)
    assert (seen.silent_s, seen.size_bytes, seen.lines) == (30.0, 6, ("hello",))


def test_a_file_that_shrinks_or_vanishes_raises_nothing(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("one\ntwo\n")
    tail = LogTail(path)
    tail.look(0.0)
    path.write_text("one\n")
    assert tail.look(1.0).lines == ("one",)
    path.unlink()
    assert tail.look(2.0).lines == ()


def test_more_lines_can_be_asked_for_without_growth(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("one\ntwo\nthree\n")
    tail = LogTail(path)
    assert tail.look(0.0, 1).lines == ("three",)
    assert tail.look(0.0, 3).lines == ("one", "two", "three")
    assert tail.look(0.0, 0).lines == ()


def test_nul_bytes_and_blank_lines():
    assert tail_lines(b"\0\0\n\n   \nx\n", torn=False, count=5) == ("\\x00\\x00", "x")
