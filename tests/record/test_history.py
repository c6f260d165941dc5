"""Earlier runs are read newest first, no further than needed, and a broken one costs itself alone."""

import json
import os

import pytest
from simulated_runs import a_plan

from calseq.record.find import run_folders
from calseq.record.history import MAX_FOLDERS, expected, read_history


@pytest.fixture
def archive(tmp_path):
    """Write a run folder with these timings; the later of two is the newer."""
    made = []

    def write(*timings, text=None, **fields):
        folder = tmp_path / f"20261123-{len(made):06d}-t"
        folder.mkdir()
        made.append(folder)
        known = {
            "timings": [
                dict(zip(("key", "duration_s", "longest_silence_s"), each, strict=False)) for each in timings
            ]
        }
        (folder / "run.json").write_text(json.dumps(known | fields) if text is None else text)
        return folder

    write.runs = tmp_path
    return write


def durations(history, key="a"):
    return [timing.duration_s for timing in history.timings[key]]


def test_the_newest_come_first_and_ten_are_enough(archive):
    for number in range(1, 26):
        archive(("a", number, 0.0), ("b", 100 + number, 0.0))
    history = read_history(archive.runs, {"a", "b"})
    assert durations(history) == list(range(25, 15, -1))
    assert durations(history, "b") == list(range(125, 115, -1))
    assert history.complaint(archive.runs) == ""


def test_nothing_further_is_read_once_every_step_has_ten(archive):
    archive(text="{broken")
    for number in range(10):
        archive(("a", 1 + number, 0.0))
    assert read_history(archive.runs, {"a"}).unusable == 0
    assert read_history(archive.runs, {"a", "never seen"}).unusable == 1
    assert read_history(archive.runs, set()).timings == {}


def test_a_new_step_does_not_read_a_whole_archive(archive):
    archive(("a", 1.0, 0.0))
    for _ in range(MAX_FOLDERS):
        archive(("b", 2.0, 0.0))
    assert durations(read_history(archive.runs, {"a"})) == []


BROKEN = {
    "empty": "",
    "torn": '{"timings": [{"key": "a", "dur',
    "no object": "[1, 2]",
    "nan": '{"timings": [{"key": "a", "duration_s": NaN}]}',
    "text for a number": '{"timings": [{"key": "a", "duration_s": "1"}]}',
    "too big a number": '{"timings": [{"key": "a", "duration_s": 1e999}]}',
    "deep": "[" * 100_000,
    "a newer format": '{"format": 2, "timings": [{"key": "a", "duration_s": 7.0}]}',
    "no text": "\x00\x01",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_record_is_left_out_and_counted(archive, text):
    archive(("a", 5.0, 0.0))
    archive(text=text)
    history = read_history(archive.runs, {"a"})
    assert durations(history) == [5.0]
    assert history.unusable == 1


def test_what_cannot_be_read_is_said_once_with_its_count(archive):
    archive(text="{")
    assert read_history(archive.runs, {"a"}).complaint(archive.runs) == (
        f"expected times leave out 1 run folder in {archive.runs}: run.json cannot be read"
    )
    archive(text="{")
    assert "leave out 2 run folders in" in read_history(archive.runs, {"a"}).complaint(archive.runs)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), os.mkfifo], ids=["folder", "fifo"])
def test_what_stands_in_the_place_of_a_record_holds_nobody_up(archive, make):
    folder = archive(("a", 5.0, 0.0))
    (folder / "run.json").unlink()
    make(folder / "run.json")
    assert read_history(archive.runs, {"a"}).unusable == 1


def test_a_folder_without_a_record_is_no_run(archive):
    (archive(("a", 5.0, 0.0)) / "run.json").unlink()
    (archive.runs / "20261123-999999-link").symlink_to("/nonexistent")
    assert read_history(archive.runs, {"a"}).unusable == 0


@pytest.mark.parametrize(("duration_s", "silence_s"), [(0, 0), (-3, 0), (1e12, 0), (5, 6), (5, -1)])
def test_a_time_that_cannot_be_is_left_out_of_a_good_record(archive, duration_s, silence_s):
    archive(("a", 5.0, 1.0))
    archive(("a", duration_s, silence_s), ("a", 7.0, 1.0))
    assert durations(read_history(archive.runs, {"a"})) == [7.0, 5.0]


def test_no_runs_are_no_complaint(tmp_path):
    assert read_history(tmp_path / "none", {"a"}).unusable == 0
    assert run_folders(tmp_path / "none") == []


def test_a_record_of_before_there_were_timings_says_nothing(archive):
    archive(run="x", state="ended", steps={"iv_curve": "passed"})
    history = read_history(archive.runs, {"a"})
    assert (durations(history), history.unusable) == ([], 0)


def test_expected_times_need_no_runs(tmp_path):
    times, complaint = expected(a_plan(), tmp_path)
    assert ([each.samples for each in times], complaint) == ([0] * 5, "")
