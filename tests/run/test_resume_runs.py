"""Runs that are torn off and resumed: what passed is kept, the rest runs again, and nothing is lost."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys

import pytest
from resume_stand import (
    CURVE,
    GENERAL,
    STEPS,
    TUNING,
    alive,
    ends,
    files,
    guards,
    kept,
    kill,
    prove_kept,
    prove_passed,
    stand,
    step,
    tries,
    until,
)

import calseq
from calseq.model import events
from calseq.record.journal import read_journal
from calseq.record.run_folder import read_record
from calseq.simulator.state import born

__all__ = ["stand"]

NAMES = ["voltage_trimming", "iv_curve", "calibrate_module"]


def edited(path, **fields):
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, **fields}))


# --- going on ---


def test_a_killed_run_goes_on_after_what_passed(stand):
    run = stand.torn_off()
    before = files(run.folder)
    told = stand.resume()
    prove_passed(run)
    prove_kept(before, files(run.folder))
    assert kept(run) == NAMES[:2]
    assert tries(run) == [
        ("voltage_trimming", 1),
        ("iv_curve", 1),
        ("calibrate_module", 1),
        ("calibrate_module", 2),
    ]
    assert (run.folder / "data" / "03-calibrate_module").is_dir()
    assert list((run.folder / "data" / "03-calibrate_module.2").iterdir())
    assert "interrupted in attempt 1: it has no end" in told
    assert "2 of 3 steps are kept, 1 runs" in told
    decisions = [event for event in run.events if isinstance(event, events.BiasDecided)]
    assert [event.allowed for event in decisions] == [True, True]
    assert decisions[0].sha256 == decisions[1].sha256 != ""
    assert len(run.record["resumed"]) == 1
    assert run.record["started"] <= run.record["resumed"][0] <= run.record["ended"]


def test_a_resumed_run_can_be_killed_and_resumed_again(stand):
    run = stand.torn_off()
    resumed = stand.launch(stand.command(), stderr=subprocess.PIPE)
    resumed.wait_for_event('"event":"child-started","step":3,"attempt":2')
    resumed.process.kill()
    resumed.process.wait()
    until(lambda: not alive(run))
    before = files(run.folder)
    stand.resume()
    prove_passed(run)
    prove_kept(before, files(run.folder))
    assert tries(run)[2:] == [("calibrate_module", 1), ("calibrate_module", 2), ("calibrate_module", 3)]
    assert len(guards(run)) == 3
    assert len(run.record["resumed"]) == 2


def test_a_step_that_failed_runs_again_and_its_retries_count_anew(stand):
    edited_bench(stand, {"voltage_trimming": "exit:3"})
    run = stand.begin({**GENERAL, "retries": 1})
    assert run.end() == 1
    assert ends(run) == [("voltage_trimming", 1, "failed"), ("voltage_trimming", 2, "failed")]
    stand.resume(code=1)
    assert ends(run)[2:] == [("voltage_trimming", 3, "failed"), ("voltage_trimming", 4, "failed")]
    edited_bench(stand, {})
    stand.resume()
    assert ends(run)[4:] == [("voltage_trimming", 5, "passed")]
    prove_passed(run, 1)


def edited_bench(stand, faults):
    """Give the bench faults of its simulator; the request of a run has none."""
    lines = [line for line in stand.bench_file.read_text().splitlines() if not line.startswith("simulator")]
    stand.bench_file.write_text("\n".join([*lines, f"simulator: {json.dumps({'faults': faults})}"]) + "\n")


def test_a_run_that_passed_has_nothing_to_do_and_is_not_touched(stand):
    run = stand.begin(GENERAL)
    assert run.end() == 0
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    assert "nothing to do: every step of" in stand.resume(yes=False)
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


def test_a_run_killed_between_its_last_event_and_its_record_gets_the_record(stand):
    run = stand.begin(*STEPS)
    assert run.end() == 0
    closed = run.record
    early = {
        "state": "running",
        "ended": "",
        "duration_s": 0.0,
        "verdict": "",
        "exit_code": None,
        "steps": {},
    }
    (run.folder / "run.json").write_text(json.dumps({**closed, **early}))
    assert "nothing to do" in stand.resume(yes=False)
    told = ("state", "verdict", "exit_code", "reason", "steps")
    assert {key: run.record[key] for key in told} == {key: closed[key] for key in told}
    assert abs(run.record["duration_s"] - closed["duration_s"]) < 1


def test_a_run_whose_end_alone_is_missing_comes_to_it(stand):
    run = stand.begin(*STEPS)
    assert run.end() == 0
    path = run.folder / "events.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b'{"seq":%d' % seq_of(run, events.SafeEndStarted))])
    edited(run.folder / "run.json", state="running", exit_code=None, verdict="", steps={})
    told = stand.resume()
    assert "3 of 3 steps are kept, 0 run: only the safe end is missing" in told
    prove_passed(run)
    assert len(tries(run)) == 3


def seq_of(run, kind):
    return next(
        each.seq for each in read_journal(run.folder / "events.jsonl")[0] if isinstance(each.event, kind)
    )


def test_a_run_killed_before_its_first_event_begins(stand):
    run = stand.torn_off(GENERAL, TUNING, at=1)
    for name in ("events.jsonl", "guard.jsonl"):
        (run.folder / name).unlink()
    stand.resume()
    prove_passed(run, 2)
    assert isinstance(run.events[0], events.RunStarted)
    assert tries(run) == [("voltage_trimming", 2), ("calibrate_module", 1)]


def test_a_run_killed_before_its_first_event_may_have_another_plan_by_then(stand):
    run = stand.torn_off(GENERAL, TUNING, at=1)
    for name in ("events.jsonl", "guard.jsonl"):
        (run.folder / name).unlink()
    stand.write(GENERAL)
    stand.resume()
    prove_passed(run, 1)
    assert [type(event) for event in run.events[:2]] == [events.RunStarted, events.RunResumed]
    assert run.record["plan"] == run.events[1].plan == "plan.2.json"
    assert "nothing to do" in stand.resume()


def test_what_was_left_out_stays_left_out(stand):
    run = stand.torn_off(GENERAL, CURVE, TUNING, at=3, arguments=("--skip", "voltage_trimming"))
    assert "left-out" in stand.resume()
    record = run.record
    assert record["steps"] == {
        "voltage_trimming": "left-out",
        "iv_curve": "passed",
        "calibrate_module": "passed",
    }
    assert "nothing to do" in stand.resume()


# --- what changed ---


def test_a_step_that_changed_runs_again_and_says_so(stand):
    run = stand.torn_off()
    stand.write(GENERAL, {**CURVE, "options": {"max_voltage": -75, "step_size": 5}}, TUNING)
    before = files(run.folder)
    told = stand.resume()
    assert "changed: command: -80 20 is now -75 5" in told
    assert "sequence s.yaml changed" in told
    assert "decided anew when iv_curve has run" in told
    assert kept(run) == ["voltage_trimming"]
    prove_passed(run)
    prove_kept(before, files(run.folder))
    assert json.loads((run.folder / "plan.2.json").read_text())["steps"][1]["sweep_end_v"] == -75
    assert (run.folder / "inputs.2" / "sequence-s.yaml").exists()
    assert run.record["plan"] == "plan.2.json"


def test_a_changed_step_that_did_not_come_to_run_is_still_not_kept(stand):
    """The plan in force is the new one, and the step's result is of the old: no later comparison may find them alike."""
    run = stand.torn_off()
    stand.write(GENERAL, {**CURVE, "options": {"max_voltage": -75, "step_size": 5}}, TUNING)
    resumed = stand.launch(stand.command())
    resumed.wait_for_event('"event":"child-started","step":2,"attempt":2')
    resumed.process.kill()
    resumed.process.wait()
    until(lambda: not alive(run))
    assert ends(run) == [("voltage_trimming", 1, "passed"), ("iv_curve", 1, "passed")]
    stand.resume()
    assert kept(run) == ["voltage_trimming"] * 2
    assert ends(run)[2:] == [("iv_curve", 3, "passed"), ("calibrate_module", 2, "passed")]
    prove_passed(run)


def test_other_instruments_and_policies_count_only_where_they_matter(stand):
    run = stand.torn_off()
    path = stand.bench_file.with_name("instruments.json")
    data = json.loads(path.read_text())
    next(entry for name, entry in data["instruments"].items() if name.startswith("hv"))[
        "default_voltage"
    ] = -40
    path.write_text(json.dumps(data))
    stand.write(GENERAL, CURVE, {**TUNING, "timeout": "90m"})
    told = stand.resume("--dry-run", yes=False)
    assert "voltage_trimming  kept" in told
    assert "changed: instruments" in told
    assert "instruments instruments.json changed" in told
    assert not (run.folder / "plan.2.json").exists(), "a dry run writes nothing"
    stand.resume()
    prove_passed(run)
    assert (run.folder / "simulated.2").is_dir(), "the bench of then has other instruments"


def test_a_step_that_is_gone_keeps_its_data(stand):
    run = stand.torn_off()
    stand.write(CURVE, TUNING)
    told = stand.resume()
    assert "voltage_trimming passed, and is no longer a step: its data stays" in told
    assert run.record["steps"] == {"iv_curve": "passed", "calibrate_module": "passed"}
    assert (run.folder / "data" / "01-voltage_trimming").is_dir()
    assert (run.folder / "data" / "02-calibrate_module.2").is_dir()


def test_a_sequence_that_is_gone_is_replaced_by_the_stored_plan(stand):
    run = stand.torn_off()
    (stand.folder / "s.yaml").unlink()
    assert "s.yaml is gone: the plan that was stored is used" in stand.resume()
    prove_passed(run)


def test_a_file_that_dirigent_reads_must_be_there(stand):
    stand.torn_off()
    stand.bench_file.with_name("dirigent.toml").unlink()
    told = stand.resume(code=3)
    assert "CS422" in told
    assert "copies are in" in told


def test_a_sequence_that_is_now_wrong_is_refused_with_its_problems(stand):
    stand.torn_off()
    stand.write({**GENERAL, "calibration": "voltage_triming"})
    assert "did you mean 'voltage_trimming'?" in stand.resume(code=3)


def test_another_module_is_another_run(stand):
    stand.torn_off()
    told = stand.resume("--module", "M99", code=3)
    assert "the run measures module C2HQ0, not 'M99'" in told
    path = stand.bench_file.with_name("modules.json")
    path.write_text(path.read_text().replace("C2HQ0", "C2HQ1"))
    assert "modules.json names C2HQ1 on channel 0, and the run measured C2HQ0 on channel 0" in stand.resume(
        code=3
    )


# --- the bias ---


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.write_text('{"0": null} '), "is not the one that it wrote: its sha256 differs"),
        (lambda path: path.unlink(), "is gone"),
    ],
    ids=["other content", "gone"],
)
def test_a_breakdowns_file_that_is_not_the_curves_own_gives_no_bias(stand, change, reason):
    run = stand.torn_off()
    change(run.folder / "data" / "02-iv_curve" / "breakdowns.json")
    told = stand.resume(code=1)
    assert f"not allowed: the breakdowns.json of iv_curve {reason}" in " ".join(told.split())
    assert run.record["steps"]["calibrate_module"] == "skipped"
    assert run.bench.readings().all_off


# --- asking ---


def test_nobody_to_ask_is_a_refusal_that_touches_nothing(stand):
    run = stand.torn_off()
    before = files(run.folder)
    assert "add --yes to go on" in stand.resume(yes=False, code=3)
    assert files(run.folder) == before


ON_A_TERMINAL = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"


@pytest.mark.parametrize(
    ("answer", "code"), [(b"y\n", 0), (b"\n", 3), (b"no\n", 3), (b"\x04", 3), (b"\x03", -signal.SIGINT)]
)
def test_an_operator_is_asked(stand, answer, code):
    run = stand.torn_off()
    before = files(run.folder)
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-c", ON_A_TERMINAL, *stand.command(yes=False)]
    process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, cwd=stand.folder)
    os.close(theirs)
    shown = b""
    while b"go on? [y/N]" not in shown:
        shown += os.read(ours, 4096)
    os.write(ours, answer)
    drained(ours)
    assert process.wait(60) == code
    if code == 0:
        prove_passed(run)
    else:
        assert files(run.folder) == before


def drained(descriptor):
    try:
        while os.read(descriptor, 4096):
            pass
    except OSError:  # the other side is closed
        os.close(descriptor)


# --- one writer ---


def test_of_two_that_resume_at_once_one_wins(stand):
    run = stand.torn_off()
    both = [
        subprocess.Popen(stand.command(), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        for _ in "ab"
    ]
    told = {process.communicate(timeout=60)[1]: process.returncode for process in both}
    assert sorted(told.values()) == [0, 3]
    assert any("cannot be resumed yet" in text for text, code in told.items() if code == 3)
    prove_passed(run)


def test_a_run_that_goes_on_is_not_resumed(stand):
    run = stand.begin(GENERAL, TUNING, speed=500)
    run.wait_for_event('"event":"child-started","step":2')
    assert f"it goes on, pid {run.process.pid} since" in stand.resume(code=3)
    run.press(signal.SIGINT)
    assert run.end() == -signal.SIGINT


def test_the_guard_of_a_killed_run_is_waited_for_and_the_waiting_can_be_ended(stand):
    run = stand.begin(*STEPS)
    run.wait_for_event('"event":"child-started","step":3')
    guard = guards(run)[-1]
    os.kill(guard, signal.SIGSTOP)
    run.process.kill()
    run.process.wait()
    waiting = subprocess.Popen(stand.command(), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    assert "waiting for it" in waiting.stderr.readline()
    waiting.send_signal(signal.SIGINT)
    assert "nothing was touched" in waiting.communicate(timeout=30)[1]
    assert waiting.returncode == -signal.SIGINT
    waiting = subprocess.Popen(stand.command(), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    assert "waiting for it" in waiting.stderr.readline()
    os.kill(guard, signal.SIGCONT)
    told = waiting.communicate(timeout=60)[1]
    assert waiting.returncode == 0, told
    prove_passed(run)


def test_rails_that_nobody_confirmed_need_somebody_who_read_them(stand):
    run = stand.begin(*STEPS)
    run.wait_for_event('"event":"child-started","step":3')
    for pid in (run.process.pid, guards(run)[-1]):
        kill(pid)
    run.process.wait()
    until(lambda: not any(map(born, guards(run))))
    told = stand.resume(code=3)
    assert "a child of it still runs" in told or "CS418" in told
    for pid in run.stand.leftovers():
        kill(pid)
    until(lambda: stand.leftovers() == [])
    assert "CS418" in stand.resume(code=3)
    stand.resume("--acknowledge")
    assert run.record["verdict"] == "passed"
    assert run.bench.readings().all_off


# --- damage ---


def test_a_torn_last_line_is_kept_aside(stand):
    run = stand.torn_off()
    path = run.folder / "events.jsonl"
    tail = b'{"seq":99,"at":"2026'
    with path.open("ab") as file:
        file.write(tail)
    stand.resume()
    prove_passed(run)
    assert (run.folder / "events.torn-1.jsonl").read_bytes() == tail


def test_damage_before_the_end_is_refused_with_what_can_be_used(stand):
    run = stand.torn_off()
    path = run.folder / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if b'"step-started","step":3' in line)
    lines[place] = lines[place].replace(b"attempt", b"attemqt")
    path.write_bytes(b"".join(lines))
    before = files(run.folder)
    told = " ".join(stand.resume(code=3).split())
    assert f"is damaged: line {place + 1} cannot be used" in told
    assert "voltage_trimming in data/01-voltage_trimming, iv_curve in data/02-iv_curve" in told
    assert files(run.folder) == before


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("plan.json", b"{}", "plan.json cannot be read"),
        ("plan.json", None, "plan.json cannot be read"),
        ("run.json", b'{"run": 1', "its run.json cannot be read"),
        ("run.json", b"\xff\x00", "its run.json cannot be read"),
    ],
)
def test_other_damage_is_told_in_words(stand, name, content, said):
    run = stand.torn_off()
    (run.folder / name).unlink()
    if content is not None:
        (run.folder / name).write_bytes(content)
    else:
        (run.folder / name).mkdir()
    assert said in stand.resume(run=f"{run.folder.name}", code=3)


def test_a_plan_that_was_changed_on_the_disk_is_not_run(stand):
    run = stand.torn_off()
    path = run.folder / "plan.json"
    path.write_bytes(path.read_bytes().replace(b"-50", b"-51"))
    assert "plan.json is not the plan that was run: its sha256 differs" in stand.resume(code=3)


# --- what was typed, and Python ---


def test_what_would_make_it_another_run_is_wrong_usage(stand):
    for words in (["--set", "a.b=1"], ["--simulate"], ["--only", "a"], ["s.yaml"], ["--fault", "a=b"]):
        assert "leave" in stand.resume(*words, code=2)


def test_the_latest_is_meant_when_none_is_named(stand):
    run = stand.torn_off(GENERAL, TUNING, at=2)
    argv = [word for word in stand.command() if word != "latest"]
    told = subprocess.run(argv, cwd=stand.folder, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    prove_passed(run, 2)


def test_a_run_is_found_by_a_part_of_its_name_and_in_the_folder_of_its_bench(stand):
    run = stand.torn_off(GENERAL, TUNING, at=2)
    argv = [
        word for word in stand.command(run=run.folder.name[5:]) if word not in ("--runs", str(stand.runs))
    ]
    told = subprocess.run(argv, cwd=stand.folder, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    assert "no run is named 'nosuch'" in stand.resume(run="nosuch", code=3)


def test_python_programs_resume_with_the_stored_plan_or_one_of_today(stand):
    run = stand.torn_off(GENERAL, TUNING, at=2)
    told = []
    result = calseq.resume(run.folder, operator="mara", listeners={"test": told.append})
    assert (result.folder, result.outcome.exit_code) == (run.folder, 0)
    assert isinstance(told[0].event, events.RunResumed)
    assert told[0].event.operator == "mara"
    prove_passed(run, 2)
    assert calseq.resume(run.folder) is None


def test_a_program_that_brings_no_plan_is_refused_when_a_file_changed(stand):
    run = stand.torn_off(GENERAL, TUNING, at=2)
    stand.write(GENERAL)
    with pytest.raises(calseq.Refused, match=r"no plan of today was given, and .*s\.yaml changed"):
        calseq.resume(run.folder)
    bench = calseq.load_bench(stand.bench_file, simulate=True, speed=2000)
    plan = calseq.compile_plan(calseq.load(stand.folder / "s.yaml", bench=bench), bench)
    result = calseq.resume(run.folder, plan)
    assert result.outcome.exit_code == 0
    assert read_record(run.folder).steps == {"voltage_trimming": "passed"}


def test_a_copy_of_a_run_folder_can_be_resumed_too(stand, tmp_path):
    run = stand.torn_off(GENERAL, TUNING, at=2)
    copy = stand.runs / ("9" + run.folder.name)
    shutil.copytree(run.folder, copy)
    stand.resume(run=str(copy))
    assert read_record(copy).verdict == "passed"
    assert read_record(run.folder).state == "running"


def test_a_step_with_its_own_name_and_number_is_told_from_its_neighbours(stand):
    steps = [step("voltage_trimming", name=name) for name in ("a", "a.2", "a_b")]
    run = stand.torn_off(*steps, step("calibrate_module", name="t"), at=4)
    stand.resume()
    assert kept(run) == ["a", "a.2", "a_b"]
    assert tries(run)[-1] == ("t", 2)
