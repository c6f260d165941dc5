"""kill -9 of calseq, its child and its guard, in every phase of a run."""

import os
import pty
import signal
import time
from contextlib import suppress
from datetime import datetime

import pytest
from guarded_runs import (
    BIASED,
    CURVE,
    SAFE_S,
    Guarded,
    child_of,
    guard_of,
    guard_pid,
    in_fault,
    kill,
    prove_confirmed,
    prove_dark,
    said,
    stand,
    torn_off,
    until,
)

from calseq.power.guard import MARKER
from calseq.simulator.state import born

assert stand  # a fixture

RAMPING_UP = '"rail-moving","move":"hv-bias"'
RAMPING_DOWN = '"rail-moving","move":"hv-off"'


def hv_steps(run):
    path = run.folder / "simulated" / "power.jsonl"
    return path.read_text().count('"who": "calseq", "action": "hv-step"') if path.exists() else 0


def on_the_way_up(run):
    run.wait_for_event(RAMPING_UP)
    run.wait_for(lambda: hv_steps(run) >= 3)


def on_the_way_down(run):
    run.wait_for_event(RAMPING_DOWN)
    steps = hv_steps(run)
    run.wait_for(lambda: hv_steps(run) >= steps + 2)


PHASES = {
    "before the first step": ({}, 500, guard_of),
    "LV switched on": ({}, 500, lambda run: run.wait_for_event('"rail-moving","move":"lv-on"')),
    "the curve": ({"iv_curve": "hang"}, 500, in_fault),
    "the HV ramp": ({}, 300, on_the_way_up),
    "a step under bias": ({"tuning": "hang"}, 500, in_fault),
    "the safe end": ({"tuning": "exit:3"}, 300, on_the_way_down),
}


@pytest.mark.parametrize("phase", PHASES)
def test_calseq_is_killed_and_the_guard_makes_the_bench_safe(stand, phase):
    faults, speed, moment = PHASES[phase]
    run = stand.start(*BIASED, faults=faults, speed=speed)
    moment(run)
    run.process.kill()
    assert torn_off(run) < SAFE_S
    prove_confirmed(run)
    assert run.bench.violations() == ()
    assert run.bench.readings().all_off
    if phase not in ("before the first step", "LV switched on"):
        prove_dark(run.bench)
    if phase == "the HV ramp":
        volts = [line["volts"] for line in run.bench.actions() if line["action"] == "hv-step"]
        assert -50 <= min(volts[-20:]) < -10
    assert run.record["state"] == "running", "nobody claims an end that nobody saw"


def test_the_guard_asks_the_child_first_and_switches_only_when_it_has_ended(stand):
    run = stand.start(*BIASED, faults={"iv_curve": "hang"}, speed=100)
    in_fault(run)
    run.process.kill()
    torn_off(run)
    events = [line["event"] for line in said(run)]
    assert events[events.index("ending") :] == ["ending", "ending-child", "taken-back", "taken-back", "safe-off", "ended"]  # fmt: skip
    asked = next(line for line in said(run) if line["event"] == "ending-child")
    assert (asked["signal"], asked["grace_s"]) == ("SIGINT", 180)
    off = [line["who"] for line in run.bench.actions() if line["action"] in ("hv-off", "lv-off")]
    assert off[-2:] == ["dirigent iv_curve"] * 2, "it ramped down itself, in its grace"


@pytest.mark.parametrize(
    ("faults", "steps"), [({"iv_curve": "hang"}, (CURVE,)), ({"tuning": "hang"}, BIASED)]
)
def test_the_child_is_killed_the_step_failed_and_the_bench_is_safe(stand, faults, steps):
    run = stand.start(*steps, faults=faults)
    in_fault(run)
    kill(child_of(run))
    assert run.end() == 1
    run.prove()
    prove_dark(run.bench)
    assert run.verdicts[-1] == "failed"
    assert "SIGKILL" in run.record["reason"] + run.told


@pytest.fixture(scope="module")
def guardless(tmp_path_factory):
    """Runs whose guard was killed, with the time of it."""
    runs = {}
    for phase in ("the curve", "the HV ramp", "a step under bias"):
        faults, speed, moment = PHASES[phase]
        run = Guarded(tmp_path_factory.mktemp("guardless")).start(*BIASED, faults=faults, speed=speed)
        moment(run)
        kill(guard_pid(run))
        runs[phase] = run, time.time()
    yield runs
    for run, _ in runs.values():
        end_now(run)


@pytest.mark.parametrize("phase", ["the curve", "the HV ramp", "a step under bias"])
def test_the_guard_is_killed_and_another_one_makes_the_safe_end(guardless, phase):
    run, killed_s = guardless[phase]
    assert run.end() == 1
    record = run.record
    assert datetime.fromisoformat(record["ended"]).timestamp() - killed_s < SAFE_S
    assert record["exit_code"] == 1
    assert "the guard has died" in record["reason"]
    assert "HV off, LV off: confirmed" in run.told
    assert not (run.folder / MARKER).exists()
    guards = [line["pid"] for line in said(run) if line["event"] == "opening"]
    assert len(set(guards)) == 2
    assert said(run)[-1]["confirmed"] is True
    prove_dark(run.bench)
    assert run.stand.leftovers() == []
    assert run.events[-1].exit_code == 1


@pytest.mark.parametrize("faults", [{"iv_curve": "hang"}, {"tuning": "hang"}])
def test_calseq_and_its_child_are_killed_at_once(stand, faults):
    run = stand.start(*BIASED, faults=faults)
    in_fault(run)
    kill(run.process.pid, child_of(run))
    assert torn_off(run) < SAFE_S
    prove_confirmed(run)
    prove_dark(run.bench)


def test_calseq_is_killed_over_a_stopped_child(stand):
    run = stand.start(*BIASED, faults={"tuning": "hang"})
    in_fault(run)
    os.kill(child_of(run), signal.SIGSTOP)
    run.process.kill()
    assert torn_off(run) < SAFE_S
    prove_confirmed(run)
    prove_dark(run.bench)


def test_a_stopped_child_is_woken_by_ctrl_c(stand):
    run = stand.start(*BIASED, faults={"tuning": "hang"})
    in_fault(run)
    os.kill(child_of(run), signal.SIGSTOP)
    run.press()
    assert run.end() == -signal.SIGINT
    run.prove()
    prove_dark(run.bench)


@pytest.mark.parametrize(("fault", "presses"), [("stubborn", 2), ("unkillable", 3)])
def test_a_stubborn_child_takes_more_than_one_ctrl_c(stand, fault, presses):
    run = stand.start(*BIASED, faults={"tuning": fault})
    in_fault(run)
    for press in range(1, presses + 1):
        run.press()
        if press < presses:
            run.wait_for_event('"child-signalled"', press)
            run.wait_for_event('"stop-asked"', press)
            time.sleep(0.12)  # two signals within a tenth of a second are one press
    assert run.end() == -signal.SIGINT
    run.prove()
    prove_dark(run.bench)


def test_a_closed_terminal_stops_nothing(stand):
    person, program = pty.openpty()
    run = stand.start(*BIASED, faults={"tuning": "sleep:0.5"}, stdin=program, stderr=program,
                      arguments=["--screen", "live"], env=os.environ | {"TERM": "xterm"})  # fmt: skip
    os.close(program)
    in_fault(run)
    guard = guard_pid(run)
    os.close(person)
    run.press(signal.SIGHUP)
    assert run.process.wait(SAFE_S) == 0
    run.prove()
    prove_dark(run.bench)
    until(lambda: not born(guard))


@pytest.mark.parametrize("screen", ["live", "plain"])
def test_whoever_sits_at_the_terminal_of_a_killed_run_is_told(stand, screen):
    ours, theirs = pty.openpty()
    run = stand.start(*BIASED, faults={"tuning": "hang"}, stderr=theirs, arguments=["--screen", screen],
                      env=os.environ | {"TERM": "xterm"})  # fmt: skip
    os.close(theirs)
    in_fault(run)
    kill(run.process.pid)
    told = b""
    with suppress(OSError):  # what a terminal gives when its last user has gone
        while piece := os.read(ours, 65536):
            told += piece
    os.close(ours)
    after = told[told.index(b"the run was broken off") :]
    assert after.split()[-5:] == [b"HV", b"off,", b"LV", b"off:", b"confirmed"]
    given_back = b"\x1b[?1049l\r\r\ncalseq: the run was broken off" in told
    assert given_back is (screen == "live")
    prove_dark(run.bench)


def test_signals_of_a_terminal_do_not_reach_the_guard(stand):
    run = stand.start(*BIASED, faults={"tuning": "sleep:0.7"})
    in_fault(run)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
        os.kill(guard_pid(run), number)
    assert run.end() == 0
    run.prove()
    assert os.getsid(0) != guard_pid(run)


def test_sigterm_to_the_guard_alone_changes_nothing(stand):
    run = stand.start(*BIASED, faults={"tuning": "sleep:0.7"})
    in_fault(run)
    os.kill(guard_pid(run), signal.SIGTERM)
    assert run.end() == 0
    run.prove()
    prove_dark(run.bench)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGQUIT, 131)]
)
def test_a_signal_to_everybody_at_once_ends_confirmed(stand, number, code):
    """As a logout, a shutdown or 'systemctl stop' send it."""
    run = stand.start(*BIASED, faults={"tuning": "hang"})
    in_fault(run)
    for pid in (run.process.pid, guard_pid(run), child_of(run)):
        os.kill(pid, number)
    run.end()
    assert run.record["exit_code"] == code
    assert "HV off, LV off: confirmed" in run.told
    assert not (run.folder / MARKER).exists()
    prove_dark(run.bench)


def test_what_the_guard_writes_of_a_good_run(stand):
    run = stand.run(*BIASED)
    run.prove()
    lines = said(run)
    events = [line["event"] for line in lines]
    assert events[:2] == ["opening", "open"]
    assert events[-3:] == ["ending", "safe-off", "ended"]
    assert (lines[0]["backend"], lines[0]["run"]) == ("simulated", run.folder.name)
    assert [line["move"] for line in lines if line["event"] == "moved"] == ["lv-on", "hv-bias", "hv-off", "lv-off"]  # fmt: skip
    children = [line["pid"] for line in lines if line["event"] == "child"]
    assert len(children) == 2
    assert all(line["time"].endswith("Z") for line in lines)
    assert (run.folder / "guard.log").read_text() == ""


# --- what takes its time: begun before the other tests, looked at after them ---


@pytest.fixture(scope="module", autouse=True)
def frozen(tmp_path_factory):
    """A run whose guard stands still."""
    stand = Guarded(tmp_path_factory.mktemp("frozen"))
    run = stand.start(*BIASED, faults={"tuning": "hang"})
    in_fault(run)
    os.kill(guard_pid(run), signal.SIGSTOP)
    yield run
    end_now(run)


@pytest.fixture(scope="module", autouse=True)
def orphaned(tmp_path_factory):
    """Runs that were killed and have left grandchildren in sessions of their own."""
    runs = {}
    for fault in ("grandchild", "grandchild-stubborn"):
        stand = Guarded(tmp_path_factory.mktemp(fault))
        runs[fault] = run = stand.start(*BIASED, faults={"tuning": f"{fault}+sleep:60"})
        run.wait_for(lambda run=run: b"left process" in run.logs)
        run.process.kill()
    yield runs
    for run in runs.values():
        end_now(run)


def end_now(run):
    for pid in (run.process.pid if run.process.poll() is None else 0, guard_pid(run), *run.stand.leftovers()):
        if born(pid):
            kill(pid)
    run.process.wait()
    run.process.stderr.close()


@pytest.mark.parametrize("fault", ["grandchild", "grandchild-stubborn"])
def test_calseq_is_killed_and_its_grandchildren_end_too(orphaned, fault):
    run = orphaned[fault]
    left = int(run.logs.rpartition(b"left process ")[2].split()[0])
    torn_off(run)
    assert not born(left)
    prove_confirmed(run)
    prove_dark(run.bench)


def test_a_guard_that_stops_answering_ends_the_step(frozen):
    run = frozen
    assert run.end() == 1
    assert "the guard has not answered" in run.record["reason"]
    assert "HV off, LV off: confirmed" in run.told
    assert run.bench.violations() == ()
    until(lambda: not born(guard_pid(run)))
    prove_dark(run.bench)
