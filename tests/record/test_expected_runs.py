"""Real runs expect what earlier ones took, record that, and mix nothing that is not the same."""

import json
import subprocess
import sys

import pytest
from simulated_runs import run_of

from calseq.model.events import RunStarted, StepEnded
from calseq.model.plan import from_json
from calseq.record.journal import read_journal
from calseq.record.view import begin, fold


def events_of(folder, kind):
    return [each.event for each in read_journal(folder / "events.jsonl")[0] if isinstance(each.event, kind)]


def expected_in(folder):
    return events_of(folder, RunStarted)[0].expected


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A stand with three passed runs of one sequence, and then one that expects what they took."""
    stand = tmp_path_factory.mktemp("stand")
    folders = [run_of(stand, "sensor_iv").folder for _ in range(4)]
    return stand, folders


def test_from_the_third_run_on_the_median_is_expected(archive):
    _, folders = archive
    assert [expected_in(folder)[0].samples for folder in folders] == [0, 0, 0, 3]
    took = sorted(
        json.loads((folder / "run.json").read_text())["timings"][0]["duration_s"] for folder in folders[:3]
    )
    assert expected_in(folders[3])[0].usual_s == took[1]


def test_the_record_has_what_the_journal_has(archive):
    _, folders = archive
    ended = events_of(folders[0], StepEnded)[0]
    (timing,) = json.loads((folders[0] / "run.json").read_text())["timings"]
    assert (timing["duration_s"], timing["longest_silence_s"]) == (
        round(ended.duration_s, 3),
        round(ended.longest_silence_s, 3),
    )
    assert 0 <= ended.longest_silence_s <= ended.duration_s


def test_whoever_replays_a_run_sees_what_it_expected(archive):
    _, folders = archive
    for folder in folders:
        view = begin(from_json((folder / "plan.json").read_bytes()))
        for each in read_journal(folder / "events.jsonl")[0]:
            view = fold(view, each)
        assert tuple(each.expected for each in view.steps) == expected_in(folder)


def test_the_plan_and_its_digest_know_no_history(archive):
    _, folders = archive
    assert len({(folder / "plan.json").read_bytes() for folder in folders}) == 1


def test_the_plan_on_paper_shows_the_expected_times_and_where_they_come_from(archive):
    stand, _ = archive
    argv = [sys.executable, "-m", "calseq", "plan", "sensor_iv", "--simulate", "--speed"]
    shown = [
        subprocess.run([*argv, speed], cwd=stand, capture_output=True, text=True, timeout=60).stdout
        for speed in ("5000", "100")
    ]
    assert "median of the latest" in shown[0]
    assert " ~0." in shown[0]
    assert "~" not in shown[1]
    assert "usually 1.8s in total" in shown[1]


def test_runs_that_are_not_the_same_are_not_counted(archive):
    stand, _ = archive
    for words in (["--set", "iv_curve.max_voltage=-60"], ["--fault", "iv_curve=grandchild"]):
        assert expected_in(run_of(stand, "sensor_iv", *words).folder)[0].samples == 0, words


def test_a_step_that_did_not_pass_leaves_no_time(archive, tmp_path):
    failed = run_of(tmp_path, "sensor_iv", "--fault", "iv_curve=exit:3")
    assert failed.code == 1
    assert json.loads((failed.folder / "run.json").read_text())["timings"] == []


def test_a_broken_folder_is_said_once_and_the_run_goes_on(archive):
    stand, _ = archive
    broken = stand / "runs" / "20991231-000000-broken"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    try:
        run = run_of(stand, "sensor_iv")
        assert run.code == 0
        assert run.told.count("expected times leave out 1 run folder") == 1
    finally:
        (broken / "run.json").unlink()
        broken.rmdir()
