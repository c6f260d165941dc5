"""What is said of a run is true: never 'running' when nobody is there, never 'ended' when somebody is."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from console_runs import a_plan, good_run, unsafe_run, until_tuning
from folder_runs import NAME, guard_says, write_run

from calseq.model.plan import PowerMode
from calseq.record.status import Damaged, Phase, going_on, stand, standings
from calseq.system.assets import GUARD
from calseq.system.process import RUN_MARK

NOW = datetime.now(UTC).isoformat(timespec="seconds")


def unended(runs, **fields):
    return write_run(runs, until_tuning(a_plan()), **fields)


@pytest.mark.parametrize(
    ("events", "safe", "verdict"), [(good_run, True, "passed"), (unsafe_run, False, "unsafe")]
)
def test_a_run_that_ended_says_whether_it_ended_safely(tmp_path, events, safe, verdict):
    standing = stand(write_run(tmp_path, events(a_plan())))
    assert (standing.phase, standing.safe, standing.record.verdict) == (Phase.ENDED, safe, verdict)


def test_where_dirigent_holds_the_supplies_nobody_can_say_that_they_are_off(tmp_path):
    plan = a_plan(mode=PowerMode.DIRIGENT)
    assert stand(write_run(tmp_path, good_run(plan), plan=plan)).safe is None
    died = stand(write_run(tmp_path, until_tuning(plan), name=NAME + ".2", plan=plan))
    assert died.safe is False, "its child held them when it was torn off"
    before = stand(write_run(tmp_path, good_run(plan)[:1], name=NAME + ".3", plan=plan))
    assert before.safe is True, "no child was started"


def test_a_run_whose_process_lives_runs(tmp_path):
    assert stand(unended(tmp_path, pid=os.getpid(), started=NOW)).phase is Phase.RUNNING


def test_another_process_that_has_its_pid_by_now_is_not_it(tmp_path):
    """This process began after the run did."""
    folder = unended(tmp_path, pid=os.getpid(), started="2023-11-14T22:13:20+00:00")
    assert stand(folder).phase is Phase.DIED


def test_a_resumed_run_has_a_process_that_began_after_its_start(tmp_path):
    folder = unended(tmp_path, pid=os.getpid(), started="2020-01-01T00:00:00+00:00", resumed=(NOW,))
    assert stand(folder).phase is Phase.RUNNING


@pytest.mark.parametrize(("confirmed", "safe"), [(True, True), (False, False)])
def test_a_run_of_which_nobody_is_there_has_died_and_its_guard_says_how_it_left_the_bench(
    tmp_path, confirmed, safe
):
    folder = unended(tmp_path)
    guard_says(folder, confirmed=confirmed)
    standing = stand(folder)
    assert (standing.phase, standing.safe) == (Phase.DIED, safe)


def test_a_run_that_died_without_a_guard_left_an_unknown_bench(tmp_path):
    assert stand(unended(tmp_path)).safe is False


def test_a_run_on_another_host_cannot_be_judged_from_here(tmp_path):
    folder = unended(tmp_path, host="elsewhere", pid=os.getpid(), started=NOW)
    assert stand(folder).phase is Phase.ELSEWHERE


def test_an_end_that_only_the_journal_has_is_an_end(tmp_path):
    folder = write_run(tmp_path, good_run(a_plan()), state="running", verdict="", exit_code=None)
    standing = stand(folder)
    assert (standing.phase, standing.safe) == (Phase.ENDED, True)
    assert (standing.record.verdict, standing.record.duration_s) == ("passed", 3160.0)
    with (folder / "events.jsonl").open("ab") as file:
        file.write(b'{"seq":99')
    assert stand(folder).phase is Phase.DIED


def living(argv, env=None):
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env)


def test_a_child_that_calseq_left_behind_is_found_by_its_mark_whatever_the_path_that_was_typed(tmp_path):
    folder = unended(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    child = living(["cat"], os.environ | {RUN_MARK: str(folder)})
    try:
        assert stand(tmp_path / "link" / NAME).phase is Phase.DYING
        assert [each.phase for each in going_on(tmp_path / "real")] == [Phase.DYING]
    finally:
        child.communicate()
    assert stand(folder).phase is Phase.DIED


def test_a_guard_that_lives_is_found_by_its_last_begin(tmp_path):
    """The guard of a resumed run writes behind that of the first one."""
    folder = unended(tmp_path)
    guard_says(folder, confirmed=True)
    guard = living([sys.executable, str(GUARD)])
    try:
        with (folder / "guard.jsonl").open("a") as file:
            json.dump({"time": datetime.now(UTC).isoformat(), "event": "opening", "pid": guard.pid}, file)
            file.write("\n")
        assert stand(folder).phase is Phase.DYING
    finally:
        guard.communicate()
    assert stand(folder).phase is Phase.DIED


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"run": 5}', "\0" * 100, "[" * 100_000, "x" * (5 << 20)]
)
def test_a_damaged_record_is_told_as_such(tmp_path, content):
    folder = unended(tmp_path)
    (folder / "run.json").write_text(content)
    standing = stand(folder)
    assert isinstance(standing, Damaged)
    assert standing.reason.startswith("run.json is damaged: ")


def test_what_stands_in_the_place_of_a_record_holds_nobody_up(tmp_path):
    folder = unended(tmp_path)
    (folder / "run.json").unlink()
    assert stand(folder) == Damaged(folder, "run.json cannot be read: no such file or directory")
    os.mkfifo(folder / "run.json")
    assert "no file" in stand(folder).reason


def test_runs_come_newest_first_with_the_damaged_and_without_what_power_off_left(tmp_path):
    write_run(tmp_path, good_run(a_plan()), name="20261122-020000-a")
    write_run(tmp_path, good_run(a_plan()), name="20261123-020000-power-off")
    (tmp_path / "20261124-020000-empty").mkdir()
    (tmp_path / "20261125-110000-000001-power-off").mkdir()
    names = [each.folder.name for each in standings(tmp_path)]
    assert names == ["20261124-020000-empty", "20261123-020000-power-off", "20261122-020000-a"]


def test_a_run_that_goes_on_is_found_among_many_though_an_old_one_was_resumed(tmp_path):
    for number in range(150):
        folder = write_run(tmp_path, good_run(a_plan()), name=f"20261123-0200{number:03}-a")
        os.utime(folder, (1_700_000_000, 1_700_000_000))
    unended(tmp_path, name="20200101-020000-old", pid=os.getpid(), started=NOW)
    assert [each.name for each in going_on(tmp_path)] == ["20200101-020000-old"]
    assert going_on(tmp_path / "none") == []
