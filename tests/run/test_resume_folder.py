"""What a resumed run finds in its folder: locks, plans, attempts, records of guards; whatever is torn there."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from resume_stand import GENERAL, TUNING, guards, kill, stand

import calseq
from calseq import api
from calseq.planning.preflight import dirigent_version
from calseq.power.guarded import GuardedPower, Setting
from calseq.problems.refused import Refused
from calseq.record.aftermath import ended_safely
from calseq.record.journal import scan
from calseq.record.past import past
from calseq.record.processes import guard_lives
from calseq.record.run_folder import attempts_made, read_record, simulated_folder, write_plan
from calseq.run import resume
from calseq.run.run import prepare_run
from calseq.system.locks import FolderLock
from calseq.system.signals import Stops

__all__ = ["stand"]


@pytest.fixture
def plan():
    bench = calseq.load_bench(simulate=True, speed=20_000)
    return calseq.compile_plan(calseq.load("quick_check", bench=bench), bench)


def test_a_lock_on_a_folder_lasts_as_long_as_whoever_inherited_it(tmp_path):
    mine = FolderLock(tmp_path)
    with pytest.raises(BlockingIOError):
        FolderLock(tmp_path)
    child = subprocess.Popen(["sleep", "60"], pass_fds=mine.descriptors)
    mine.release()
    mine.release()
    with pytest.raises(BlockingIOError):
        FolderLock(tmp_path)
    child.kill()
    child.wait()
    FolderLock(tmp_path).release()
    with pytest.raises(NotADirectoryError):
        FolderLock(Path(__file__))


def test_a_new_run_holds_its_folder_until_it_is_over(plan, tmp_path):
    run = prepare_run(plan, tmp_path)
    with pytest.raises(BlockingIOError):
        FolderLock(run.folder)
    with pytest.raises(Refused, match=r"cannot be resumed yet: it goes on, pid \d+"):
        resume.open_ended(run.folder, Stops(), lambda _: None)
    assert run.go(Stops()).outcome.exit_code == 0
    FolderLock(run.folder).release()


def test_a_second_plan_is_written_beside_the_first(plan, tmp_path):
    for part in ("inputs", "steps", "data"):
        (tmp_path / part).mkdir()
    names = [write_plan(tmp_path, plan) for _ in range(3)]
    assert names == ["plan.json", "plan.2.json", "plan.3.json"]
    assert len({(tmp_path / name).read_bytes() for name in names}) == 1
    assert len(list((tmp_path / "inputs.3").iterdir())) == len(plan.inputs)
    (tmp_path / "inputs.4").mkdir()  # torn off before its plan was written
    assert write_plan(tmp_path, plan) == "plan.5.json"


def test_attempts_are_counted_by_the_folders_that_are_there(plan, tmp_path):
    step = plan.steps[0]
    for part in ("steps", "data"):
        (tmp_path / part).mkdir()
    assert attempts_made(tmp_path, step) == 0
    (tmp_path / "steps" / step.id).mkdir()
    assert attempts_made(tmp_path, step) == 1
    for name in (f"{step.id}.3", f"{step.id}_b.9", f"{step.id}.x", f"{step.id}.4.5"):
        (tmp_path / "data" / name).mkdir()
    assert attempts_made(tmp_path, step) == 3


def test_the_latest_simulated_bench_is_found(tmp_path):
    assert simulated_folder(tmp_path) == tmp_path / "simulated"
    for name in ("simulated", "simulated.2", "simulated.10"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "setup.json").touch()
    assert simulated_folder(tmp_path) == tmp_path / "simulated.10"


# --- guards, several in one folder ---


def guard_on(bench, folder):
    config = {"folder": str(bench), "calseq": str(Path(calseq.__file__).parents[1])}
    return GuardedPower(Setting(sys.executable, "simulated", config, folder, mark=f"M={folder}"))


@pytest.fixture
def simulated(plan, tmp_path):
    from calseq.simulator.supplies import SimulatedBench  # noqa: PLC0415

    SimulatedBench.create(tmp_path / "bench", plan.wiring.instruments, plan.wiring.channels, speed=1000)
    return tmp_path / "bench"


def test_the_guard_that_was_opened_last_is_the_one_that_counts(simulated, tmp_path):
    first = guard_on(simulated, tmp_path)
    first.close()
    assert not guard_lives(tmp_path)
    second = guard_on(simulated, tmp_path)
    try:
        assert guard_lives(tmp_path)
    finally:
        second.close()
    assert not guard_lives(tmp_path)


@pytest.mark.parametrize("torn", [b'{"time": "2026", "ev', b'{"time": "2026"}'])
def test_a_guard_goes_on_behind_the_torn_line_of_one_that_was_killed(simulated, tmp_path, torn):
    path = tmp_path / "guard.jsonl"
    path.write_bytes(b'{"event": "opening", "pid": 1}\n' + torn)
    guard = guard_on(simulated, tmp_path)
    pid = guard.pid
    guard.close()
    lines = path.read_bytes().splitlines()
    assert lines[1] == torn
    assert json.loads(lines[2])["pid"] == pid
    assert json.loads(lines[-1])["event"] == "ended"


def test_a_killed_run_is_safe_if_its_last_guard_said_so_or_none_ever_opened_a_supply(stand):
    run = stand.torn_off(GENERAL, TUNING, at=2)
    copy = stand.folder / "copy"

    def judged(change):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run.folder, copy)
        change(copy)
        return ended_safely(copy)

    def cut(folder, text):
        content = (folder / "events.jsonl").read_bytes()
        (folder / "events.jsonl").write_bytes(content[: content.index(text)])

    def open_again(folder):
        said = (folder / "guard.jsonl").read_bytes()
        (folder / "guard.jsonl").write_bytes(said + b'{"event": "opening", "pid": 1}\n')

    assert judged(lambda folder: None)
    assert not judged(open_again)
    assert not judged(lambda folder: (folder / "guard.jsonl").unlink()), "the journal tells of steps"
    assert judged(lambda folder: ((folder / "guard.jsonl").unlink(), cut(folder, b'{"seq":2,')))
    assert not judged(lambda folder: ((folder / "guard.jsonl").write_bytes(b""), cut(folder, b'{"seq":2,')))


# --- which dirigent ---


def program(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("echo 'dirigent 2.1'; echo more", "dirigent 2.1"),
        ('[ "$1" = --version ] && exit 2; echo "usage:  iv_curve"', "--help "),
        ("exit 1", ""),
        ("printf 'dirigent\\033[2J 3'", "dirigent\\e[2J 3"),
    ],
)
def test_a_dirigent_is_known_by_its_version_or_by_its_help(stand, text, told):
    program(stand.folder / "d", text)
    lines = [f"dirigent: {{command: {stand.folder / 'd'}}}", "power: {mode: dirigent}"]
    old = [line for line in stand.bench_file.read_text().splitlines() if line.split(":")[0] not in ("dirigent", "power", "simulator")]  # fmt: skip
    stand.bench_file.write_text("\n".join([*old, *lines]) + "\n")
    version = dirigent_version(api.load_bench(stand.bench_file), Stops(), os.environ)
    assert version.startswith(told)
    assert bool(version) is bool(told)


def test_another_dirigent_is_told_and_keeps_nothing(stand):
    run = stand.torn_off(GENERAL, TUNING, at=2)
    ended = resume.open_ended(run.folder, Stops(), lambda _: None)
    try:
        known = resume.replace(ended, past=resume.replace(ended.past, dirigent="dirigent 1"))
        assert resume.reckon(known, ended.plan, "dirigent 1").kept == ("voltage_trimming",)
        assert resume.reckon(known, ended.plan).kept == ("voltage_trimming",)
        other = resume.reckon(known, ended.plan, "dirigent 2")
        assert (other.kept, other.changed) == ((), ("dirigent was 'dirigent 1', and is 'dirigent 2'",))
    finally:
        ended.mine.release()


# --- a whole folder whose journal is cut anywhere ---


def test_a_run_folder_whose_journal_is_cut_anywhere_is_read_without_a_fuss(stand):
    run = stand.torn_off(GENERAL, TUNING, at=2)
    path = run.folder / "events.jsonl"
    content = path.read_bytes()
    for cut in [*range(0, len(content), 23), len(content)]:
        path.write_bytes(content[:cut])
        ended = resume.open_ended(run.folder, Stops(), lambda _: None)
        try:
            kept = resume.reckon(ended, ended.plan).kept
        finally:
            ended.mine.release()
        assert {*kept} == {*past(scan(content[: content[:cut].rfind(b"\n") + 1]).stamped).passed}


def test_a_newer_run_is_left_to_a_newer_calseq(stand):
    run = stand.torn_off(GENERAL, TUNING, at=2)
    path = run.folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(Refused, match="read it with a newer calseq"):
        resume.open_ended(run.folder, Stops(), lambda _: None)
    FolderLock(run.folder).release()


def test_a_run_of_an_earlier_calseq_is_resumed_with_its_stored_plan(stand):
    """It recorded neither what was typed nor the digest of a curve's breakdowns.json."""
    run = stand.torn_off(GENERAL, TUNING, at=2)
    path = run.folder / "run.json"
    record = json.loads(path.read_text())
    for key in ("request", "resumed", "plan"):
        del record[key]
    path.write_text(json.dumps(record))
    assert "the record does not say what was typed: the plan that was stored is used" in stand.resume()
    assert read_record(run.folder).verdict == "passed"


def test_an_orphan_that_still_runs_is_named(stand):
    run = stand.begin(GENERAL, TUNING, speed=300)
    run.wait_for_event('"event":"child-started","step":2')
    both = (guards(run)[-1], run.process.pid)
    for number in (signal.SIGSTOP, signal.SIGKILL):  # neither may end the child for the other
        for pid in both:
            os.kill(pid, number)
    run.process.wait()
    told = stand.resume(code=3)
    assert "a child of it still runs, pid" in told
    for pid in stand.leftovers():
        kill(pid)
