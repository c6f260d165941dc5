"""The run folder: made once, with all inputs, true to the end, whatever becomes of the disk."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

import calseq
from calseq import api
from calseq.model import events
from calseq.problems.refused import Refused
from calseq.record.journal import read_journal
from calseq.record.run_folder import make_folder, read_record, replace_file, write_marker
from calseq.run.run import prepare_run
from calseq.system.signals import Stops

SHIPPED = Path(__file__).parents[2] / "sequences"
BEGAN = datetime(2026, 11, 23, 2, 0, 0, tzinfo=UTC)
NO_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


@pytest.fixture
def site(tmp_path):
    """A folder with a bench and a sequence of its own."""
    shutil.copytree(SHIPPED / "benches" / "double", tmp_path / "bench")
    steps = [{"calibration": "voltage_trimming"}, {"calibration": "get_module_info"}]
    (tmp_path / "s.yaml").write_text(json.dumps({"calseq": 1, "title": "Ü / ../x 'T'", "steps": steps}))
    return tmp_path


def plan_at(site, faults=None, speed=20_000):
    bench = api.load_bench(site / "bench" / "bench.yaml", simulate=True, speed=speed)
    bench = replace(bench, simulation=replace(bench.simulation, faults=faults or {}))
    return calseq.compile_plan(calseq.load(site / "s.yaml", bench=bench), bench)


def go(run, stops=None, listener=None):
    if listener:
        run.listeners["test"] = listener
    return run.go(stops or Stops())


# --- making it ---


def test_its_name_is_time_title_and_module_and_never_a_path(tmp_path):
    folder = make_folder(tmp_path, "Ü / ../x 'T'\x1b[31m", "../../M 1", BEGAN)
    assert folder.parent == tmp_path
    assert re.fullmatch(r"20261123-020000-[a-z0-9-]+", folder.name)
    assert folder.name.endswith("m-1")


def test_two_runs_in_one_second_have_two_folders(tmp_path):
    names = [make_folder(tmp_path, "T", "", BEGAN).name for _ in range(4)]
    assert names == [f"20261123-020000-t{tail}" for tail in ("", ".2", ".3", ".4")]


def test_twenty_at_once_have_twenty_folders(tmp_path):
    made = []
    threads = [
        threading.Thread(target=lambda: made.append(make_folder(tmp_path, "T", "", BEGAN))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({*made}) == 20


@pytest.mark.parametrize(
    "make",
    [lambda path: path.write_text(""), lambda path: path.symlink_to("/proc/version")],
    ids=["a file", "a link to one"],
)
def test_runs_that_are_no_folder_are_refused(tmp_path, make):
    make(tmp_path / "runs")
    with pytest.raises(Refused, match="cannot be written"):
        make_folder(tmp_path / "runs", "T", "", BEGAN)


def test_runs_that_cannot_be_made_are_refused_in_words():
    with pytest.raises(Refused, match="cannot be written"):
        make_folder(Path("/proc/calseq"), "T", "", BEGAN)


@NO_ROOT
def test_runs_that_are_read_only_are_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(Refused, match="permission denied"):
        make_folder(tmp_path, "T", "", BEGAN)


# --- what is in it ---


def test_every_input_is_copied_as_the_plan_saw_it(site):
    run = prepare_run(plan_at(site), site / "runs")
    assert {file.kind for file in run.plan.inputs} == {
        "sequence",
        "bench",
        "instruments",
        "modules",
        "dirigent",
    }
    for file in run.plan.inputs:
        copy = run.folder / "inputs" / f"{file.kind}-{Path(file.path).name}"
        assert hashlib.sha256(copy.read_bytes()).hexdigest() == file.sha256
    assert len(list((run.folder / "inputs").iterdir())) == len(run.plan.inputs)


@pytest.mark.parametrize(
    "name", ["s.yaml", "bench/instruments.json", "bench/bench.yaml", "bench/dirigent.toml"]
)
def test_an_input_that_changed_since_the_plan_is_refused(site, name):
    plan = plan_at(site)
    with (site / name).open("a") as file:
        file.write("\n")
    with pytest.raises(Refused, match="was changed after the plan was made"):
        prepare_run(plan, site / "runs")
    assert list((site / "runs").iterdir()) == []


def test_an_input_that_went_away_is_refused(site):
    plan = plan_at(site)
    (site / "s.yaml").unlink()
    with pytest.raises(Refused, match=r"s\.yaml was taken away after the plan was made"):
        prepare_run(plan, site / "runs")


def test_the_record_says_running_and_then_how_it_ended(site):
    run = prepare_run(plan_at(site), site / "runs", module="M", operator="O")
    before = read_record(run.folder)
    assert (before.state, before.verdict, before.exit_code, before.steps) == ("running", "", None, {})
    assert (before.module, before.operator, before.pid, before.digest) == (
        "M",
        "O",
        os.getpid(),
        run.plan.digest(),
    )
    go(run)
    after = read_record(run.folder)
    assert (after.state, after.verdict, after.exit_code) == ("ended", "passed", 0)
    assert after.steps == {"voltage_trimming": "passed", "get_module_info": "passed"}
    assert (
        replace(
            after,
            state="running",
            ended="",
            duration_s=0.0,
            verdict="",
            exit_code=None,
            steps={},
            timings=(),
            sums_sha256="",
        )
        == before
    )
    assert len(after.timings) == 2
    assert list(run.folder.glob("*.new")) == []


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path):
    path = tmp_path / "run.json"
    replace_file(path, b"old")
    path.with_name("run.json.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"


def test_one_run_is_never_run_twice_in_one_folder(site):
    run = prepare_run(plan_at(site), site / "runs")
    assert go(run).outcome.exit_code == 0
    again = go(run)
    assert again.outcome.exit_code == 3
    assert "nothing was touched" in again.outcome.reason


# --- when it is taken away ---


def at(kind, act):
    """A listener that acts once, at the first event of a kind."""
    done = []

    def listen(stamped):
        if isinstance(stamped.event, kind) and not done:
            done.append(1)
            act()

    return listen


def test_a_run_folder_that_is_removed_ends_the_run_and_nothing_is_claimed(site):
    run = prepare_run(plan_at(site), site / "runs")
    result = go(run, listener=at(events.ChildStarted, lambda: shutil.rmtree(run.folder)))
    assert result.outcome.exit_code == 4, "the simulated bench was in it: nobody can know"
    assert not run.folder.exists(), "it is not made a second time"


def test_a_journal_that_is_removed_ends_the_run_safely(site):
    run = prepare_run(plan_at(site), site / "runs")
    result = go(run, listener=at(events.ChildStarted, (run.folder / "events.jsonl").unlink))
    assert result.outcome.exit_code == 1
    assert "the record cannot be written" in result.outcome.reason
    assert (read_record(run.folder).state, read_record(run.folder).exit_code) == ("ended", 1)
    assert read_record(run.folder).steps["get_module_info"] == "skipped"


@pytest.mark.parametrize("part", ["steps", "data"])
def test_a_part_of_it_that_is_removed_ends_the_run_safely(site, part):
    run = prepare_run(plan_at(site), site / "runs")
    result = go(run, listener=at(events.ChildStarted, lambda: shutil.rmtree(run.folder / part)))
    assert result.outcome.exit_code == 1
    assert "the run folder cannot be written" in result.outcome.reason + json.dumps(
        [str(each.event) for each in read_journal(run.folder / "events.jsonl")[0]]
    )


def test_a_courtesy_listener_that_fails_costs_the_run_nothing(site):
    def broken(_stamped):
        raise RuntimeError("drawing failed")

    run = prepare_run(plan_at(site), site / "runs")
    assert go(run, listener=broken).outcome.exit_code == 0
    kinds = [type(each.event) for each in read_journal(run.folder / "events.jsonl")[0]]
    assert kinds.count(events.ListenerDropped) == 1


def test_a_run_whose_record_cannot_begin_touches_nothing(site):
    run = prepare_run(plan_at(site), site / "runs")
    (run.folder / "events.jsonl").mkdir()
    result = go(run)
    assert result.outcome.exit_code == 3
    assert not (run.folder / "simulated").exists()


def test_a_bench_that_cannot_be_opened_touches_nothing_and_has_an_end(site):
    run = prepare_run(plan_at(site), site / "runs")
    (run.folder / "simulated").write_text("in the way")
    result = go(run)
    told = [each.event for each in read_journal(run.folder / "events.jsonl")[0]]
    assert result.outcome.exit_code == 3
    assert isinstance(told[-1], events.RunEnded)


FULL_DISK = """
import json, os, resource, signal, sys
from pathlib import Path
import test_run_folder as t
site, limit = Path(sys.argv[1]), int(sys.argv[2])
run = t.prepare_run(t.plan_at(site), site / f"runs-{limit}")
def full():
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
result = t.go(run, listener=t.at(t.events.RunStarted, full))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
from calseq.simulator.supplies import SimulatedBench
bench = SimulatedBench.open(run.folder / "simulated") if (run.folder / "simulated" / "bench.json").exists() else None
print(json.dumps({"code": int(result.outcome.exit_code), "reason": result.outcome.reason,
                  "off": bench is None or bench.readings().all_off, "journal": len(t.read_journal(run.folder / "events.jsonl")[0]),
                  "violations": bench.violations() if bench else ()}))
"""


@pytest.mark.parametrize("limit", [700, 1000, 1300, 1700, 2100, 2500])
def test_a_disk_that_fills_up_ends_the_run_and_the_journal_can_be_read(site, limit):
    """A limit on the size of files stands for a full disk; it meets the simulated bench's own files as well."""
    told = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(site), str(limit)],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    said = json.loads(told.stdout)
    assert said["code"] in (1, 3, 4), said
    assert said["off"] or said["code"] == 4, said
    assert said["violations"] == [], said
    assert said["journal"] >= 1


# --- the marker ---


def test_the_marker_tells_all_that_somebody_at_the_bench_needs(site):
    plan = replace(plan_at(site), simulation=None)
    write_marker(site, plan, "HV reads unknown, LV reads on at 4 V", "serial time-out \x1b[2J")
    text = (site / "HARDWARE-STATE-UNKNOWN.txt").read_text()
    assert text.startswith("HARDWARE STATE UNKNOWN - HV may be on\n\n")
    assert "SIMULATED" not in text
    assert "\x1b" not in text
    for instrument in plan.instruments:
        if {"hv", "lv"} & {*instrument.roles}:
            assert f"{instrument.name}, {instrument.instrument_class} at {instrument.resource}" in text
    assert text.index("HV: ") < text.index("LV: ")
    assert "last read: HV reads unknown, LV reads on at 4 V" in text
    assert "calseq " not in text, "no command is named"


def test_a_run_that_is_torn_off_by_a_bug_is_believed_in_nothing(site):
    class Broken(Stops):
        @property
        def level(self):
            raise RuntimeError("a bug")

        @level.setter
        def level(self, value):
            pass

    result = go(prepare_run(plan_at(site), site / "runs"), Broken())
    assert result.outcome.exit_code == 4
    assert read_record(result.folder).verdict == "unsafe"
    assert (result.folder / "HARDWARE-STATE-UNKNOWN.txt").exists()


# --- from Python ---


def test_the_api_stops_on_ctrl_c_in_the_main_thread_and_gives_the_handlers_back(site):
    before = {
        number: signal.getsignal(number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTTOU, signal.SIGUSR1)
    }
    press = at(events.ChildStarted, lambda: os.kill(os.getpid(), signal.SIGINT))
    result = calseq.execute(
        plan_at(site, {"voltage_trimming": "hang"}), runs=site / "runs", listeners={"press": press}
    )
    assert result.outcome.exit_code == 130
    assert {number: signal.getsignal(number) for number in before} == before


def test_the_api_runs_in_another_thread_too(site):
    results = []
    thread = threading.Thread(
        target=lambda: results.append(calseq.execute(plan_at(site), runs=site / "runs"))
    )
    thread.start()
    thread.join(30)
    assert results[0].outcome.exit_code == 0
