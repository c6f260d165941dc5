"""How the guard leaves the bench when its parent is gone, whatever was going on."""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time

import pytest
from guard_bench import GUARD, Simulated, kill, opening, start_ticks, until

from calseq.simulator.interlocks import Level

STUBBORN = """
import signal, sys, time
for number in {ignored}: signal.signal(number, signal.SIG_IGN)
print('ready', flush=True)
while True: time.sleep(60)
"""
GENTLE = """
import signal, sys, time
def stop(number, frame):
    open(sys.argv[0] if False else {path!r}, 'a').write('%d\\n' % number)
    sys.exit(0)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
print('ready', flush=True)
while True: time.sleep(60)
"""
GRANDCHILD = """
import subprocess, sys, time
code = 'import signal, time; [signal.signal(n, signal.SIG_IGN) for n in {ignored}]; print(1, flush=True); time.sleep(60)'
other = subprocess.Popen([sys.executable, '-c', code], start_new_session=True, stdout=subprocess.PIPE)
other.stdout.readline()
print('ready', flush=True)
time.sleep(0 if {leave} else 60)
"""
INT_TERM = "(signal.SIGINT, signal.SIGTERM)"


def biased(bench, start, **fields):
    guard = start(bench, **fields)
    guard.move("lv-on")
    guard.move("hv-bias")
    return guard


def stop_child(child):
    kill(child.pid)
    child.wait()
    child.stdout.close()


@pytest.fixture
def bench(tmp_path):
    return Simulated(tmp_path)


# When


def test_before_it_opened_anything(start):
    guard = start(open_it=False)
    guard.leave()
    assert guard.ended() == 0


@pytest.mark.parametrize("moves", [(), ("lv-on",), ("lv-on", "hv-bias")])
def test_at_rest(bench, start, moves):
    guard = start(bench)
    for move in moves:
        guard.move(move)
    guard.leave()
    assert guard.ended() == 0
    bench.assert_safe()
    assert guard.noted("ending")[0]["reason"] == "end of file: the parent is gone"
    assert guard.noted("ended")[0]["confirmed"] is True
    assert not guard.marker.exists()


@pytest.mark.parametrize("move", ["hv-bias", "hv-off"])
def test_in_the_middle_of_a_ramp(tmp_path, start, move):
    bench = Simulated(tmp_path, speed=40)  # ten steps of 25 ms
    guard = start(bench)
    guard.move("lv-on")
    if move == "hv-off":
        guard.move("hv-bias")
    guard.send("move", move=move)
    until(lambda: -45 <= bench.volts() <= -5)
    guard.leave()
    assert guard.ended() == 0
    bench.assert_safe()
    assert bench.actions() == ["lv-on", "hv-on", "hv-off", "lv-off"]


def test_while_rails_are_handed_over(bench, start):
    guard = start(bench)
    guard.ok("hand_over", roles=["lv", "hv"])
    guard.leave()
    assert guard.ended() == 0
    assert [line["roles"] for line in guard.noted("taken-back")] == [["hv"], ["lv"]]
    bench.assert_safe()


HOLDER = """
import pathlib, signal, sys, time
from calseq.model.rails import Role
from calseq.simulator.supplies import SimulatedBench
bench = SimulatedBench.open(pathlib.Path({folder!r}))
bench.acquire([Role.LV, Role.HV], 'child')
bench.lv_on('child')
bench.hv_on('child')
def stop(number, frame): raise KeyboardInterrupt
signal.signal(signal.SIGINT, stop if {polite} else signal.SIG_IGN)
print('ready', flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    bench.hv_off('child')
    bench.lv_off('child')
"""


@pytest.mark.parametrize("polite", [True, False])
def test_while_a_child_drives_the_rails(bench, start, polite):
    guard = start(bench)
    guard.ok("hand_over", roles=["lv", "hv"])
    child = guard.child(HOLDER.format(folder=bench.config["folder"], polite=polite))
    guard.ok("child", pid=child.pid, start=start_ticks(child.pid))
    guard.leave()
    assert guard.ended() == 0
    child.wait(5)
    child.stdout.close()
    bench.assert_safe()
    off_by = [line["who"] for line in bench.bench.actions() if line["action"] in ("hv-off", "lv-off")]
    assert off_by == (["child"] * 2 if polite else ["calseq"] * 2)


# Who


@pytest.mark.parametrize("end", ["leave", "close"])
def test_a_gentle_child_is_asked_once_and_before_the_rails_go(bench, start, tmp_path, end):
    guard = biased(bench, start)
    heard = tmp_path / "heard"
    child = guard.child(GENTLE.format(path=str(heard)))
    guard.ok("child", pid=child.pid)
    if end == "leave":
        guard.leave()
    else:
        assert guard.ok("close")["confirmed"] is True
    assert guard.ended() == 0
    assert child.wait(5) == 0
    child.stdout.close()
    assert heard.read_text() == f"{signal.SIGINT:d}\n"
    events = [line["event"] for line in guard.journal()]
    assert events.index("ending-child") < events.index("moving", events.index("ending"))
    bench.assert_safe()


@pytest.mark.parametrize(
    ("ignored", "ended_by"), [("(signal.SIGINT,)", signal.SIGTERM), (INT_TERM, signal.SIGKILL)]
)
def test_a_stubborn_child_is_ended_firmly(bench, start, ignored, ended_by):
    guard = biased(bench, start)
    child = guard.child(STUBBORN.format(ignored=ignored))
    guard.ok("child", pid=child.pid)
    guard.leave()
    assert guard.ended() == 0
    assert child.wait(5) == -ended_by
    child.stdout.close()
    bench.assert_safe()


def test_a_child_has_its_own_grace(bench, start):
    guard = biased(bench, start, graces={"interrupt": 60, "terminate": 60, "kill": 2})
    child = guard.child(STUBBORN.format(ignored=INT_TERM))
    guard.ok("child", pid=child.pid, graces={"interrupt": 0.1, "terminate": 0.1})
    guard.leave()
    assert guard.ended() == 0
    stop_child(child)


def test_a_stopped_child_is_woken_and_ended(bench, start):
    guard = biased(bench, start)
    child = guard.child(STUBBORN.format(ignored="()"))
    child.send_signal(signal.SIGSTOP)
    guard.ok("child", pid=child.pid)
    guard.leave()
    assert guard.ended() == 0
    assert child.wait(5) != 0
    child.stdout.close()


@pytest.mark.parametrize("ignored", ["()", INT_TERM])
@pytest.mark.parametrize("leave", [True, False])
def test_a_grandchild_in_a_session_of_its_own_is_ended_too(bench, start, ignored, leave):
    guard = biased(bench, start)
    child = guard.child(GRANDCHILD.format(ignored=ignored, leave=leave))
    guard.ok("child", pid=child.pid)
    if leave:
        child.wait(5)
    guard.leave()
    assert guard.ended() == 0
    stop_child(child)
    bench.assert_safe()  # and the fixture sees that no process is left


def test_a_child_that_nobody_registered_is_found_by_its_mark_and_asked_gently(bench, start, tmp_path):
    guard = biased(bench, start)
    heard = tmp_path / "heard"
    child = guard.child(GENTLE.format(path=str(heard)))
    guard.leave()
    assert guard.ended() == 0
    child.wait(5)
    child.stdout.close()
    assert heard.read_text() == f"{signal.SIGINT:d}\n"


@pytest.mark.parametrize("how", ["another-start", "unregistered"])
def test_a_process_that_only_has_the_childs_number_is_left_alone(bench, start, how):
    guard = biased(bench, start)
    bystander = guard.child(STUBBORN.format(ignored="()"), mark=False)
    guard.ok("child", pid=bystander.pid, start=start_ticks(bystander.pid) - (how == "another-start"))
    if how == "unregistered":
        guard.ok("child", pid=None)
    guard.leave()
    assert guard.ended() == 0
    assert bystander.poll() is None
    stop_child(bystander)


def test_without_a_backend_the_childs_tree_is_ended_all_the_same(start):
    guard = start()
    child = guard.child(GRANDCHILD.format(ignored=INT_TERM, leave=False))
    guard.ok("child", pid=child.pid)
    guard.leave()
    assert guard.ended() == 0
    assert child.wait(5) == -signal.SIGINT
    child.stdout.close()


# Why


def test_sigterm_does_not_end_it_while_its_parent_is_there(bench, start):
    guard = biased(bench, start)
    for _ in range(5):
        os.kill(guard.pid, signal.SIGTERM)
    assert guard.ok("read")["readings"]["hv"]["on"] is True
    guard.leave()
    assert guard.ended() == 0
    assert guard.noted("ending")[0]["reason"] == "end of file: the parent is gone"
    bench.assert_safe()


@pytest.mark.parametrize(
    "line", [b"what?\n", b"[1]\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"x" * ((1 << 20) + 1)]
)
def test_a_line_that_is_no_request_ends_it(bench, start, line):
    guard = biased(bench, start)
    sent = 0
    while sent < len(line):
        try:
            sent += guard.process.stdin.write(line[sent:])
        except BrokenPipeError:
            break
    assert guard.ended() == 0
    assert "a line that" in guard.noted("ending")[0]["reason"]
    bench.assert_safe()


def test_a_parent_that_closed_its_end_of_the_answers_is_gone(bench, start):
    guard = biased(bench, start)
    guard.process.stdout.close()
    guard.send("read")
    assert guard.ended() == 0
    assert guard.noted("ending")[0]["reason"].startswith("stdout: BrokenPipeError")
    bench.assert_safe()


PARENT = """
import json, subprocess, sys, time
guard = subprocess.Popen([sys.executable, {guard!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, start_new_session=True)
for request in {requests}:
    guard.stdin.write(json.dumps(request).encode() + b'\\n')
    guard.stdin.flush()
    assert 'ok' in json.loads(guard.stdout.readline())
print(guard.pid, flush=True)
time.sleep(60)
"""


def test_a_parent_that_is_killed_in_mid_bias_leaves_a_safe_bench(bench, start, tmp_path):
    helper = start(open_it=False)  # for its environment
    requests = [
        {"id": 1, "do": "open", **opening(helper, bench)},
        {"id": 2, "do": "move", "move": "lv-on"},
        {"id": 3, "do": "move", "move": "hv-bias"},
    ]
    code = PARENT.format(guard=str(GUARD), requests=requests)
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env=helper.environment, stdout=subprocess.PIPE, start_new_session=True
    )
    guard = os.pidfd_open(int(parent.stdout.readline()))
    began = time.monotonic()
    os.killpg(parent.pid, signal.SIGKILL)
    parent.wait(5)
    assert select.select([guard], [], [], 5)[0]
    os.close(guard)
    assert time.monotonic() - began < 5
    parent.stdout.close()
    bench.assert_safe()
    assert bench.actions() == ["lv-on", "hv-on", "hv-off", "lv-off"]
    assert helper.noted("ended")[0]["exit_code"] == 0


# What is not confirmed


@pytest.mark.parametrize(
    ("faults", "words", "lv_stays"),
    [
        ("hv-off-fails", "simulated failure (hv-off-fails)", True),
        ("hv-residual:-3", "HV reads off at -3 V", True),
        ("hv-reads-nan", "voltage_v reads nan", True),
        ("lv-off-fails", "simulated failure (lv-off-fails)", True),
    ],
)
def test_what_cannot_be_confirmed_ends_with_4_and_a_note_for_whoever_comes(
    tmp_path, start, faults, words, lv_stays
):
    bench = Simulated(tmp_path, faults=faults)
    bench.trip("lv_1:1", Level(True, 4.0, 3.7))
    bench.trip("hv_1:1", Level(True, -50.0, 0.0))
    guard = start(bench)
    guard.leave()
    assert guard.ended() == 4
    assert len(guard.noted("safe-off")) == 3
    text = guard.marker.read_text()
    assert text.startswith("HARDWARE STATE UNKNOWN - HV may be on\n")
    assert words in text
    assert "hv_1: Keithley2410 at ASRL/dev/hv::INSTR" in text
    assert ("lv-off" not in bench.actions()) is lv_stays
    assert bench.bench.violations() == ()
    assert guard.noted("ended")[0]["exit_code"] == 4


def test_supplies_that_cannot_be_read_are_told_by_exit_code_4(tmp_path, start):
    bench = Simulated(tmp_path, faults="unreadable")
    guard = start(bench)
    assert guard.ok("close")["confirmed"] is False
    assert guard.ended() == 4
    assert guard.marker.exists()


# The record


def test_a_full_disk_does_not_keep_it_from_the_safe_end(bench, start, tmp_path):
    (tmp_path / "guard.jsonl").symlink_to("/dev/full")
    guard = biased(bench, start)
    child = guard.child(STUBBORN.format(ignored="()"))
    guard.ok("child", pid=child.pid)
    guard.leave()
    assert guard.ended() == 0
    stop_child(child)
    bench.assert_safe()
    assert "No space left on device" in (tmp_path / "guard.log").read_text()


def test_a_record_that_hangs_delays_it_once(bench, start, tmp_path):
    path = tmp_path / "guard.jsonl"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    size = fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    writer = os.open(path, os.O_WRONLY)
    os.write(writer, b"x" * size)
    began = time.monotonic()
    guard = biased(bench, start)
    guard.leave()
    assert guard.ended() == 0
    assert 1.9 < time.monotonic() - began < 6
    bench.assert_safe()
    os.close(reader)
    os.close(writer)


def test_every_line_of_the_record_is_whole_and_on_the_disk(bench, start):
    guard = biased(bench, start)
    lines = (guard.folder / "guard.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["event"] for line in lines] == [
        "opening", "open", "moving", "moved", "moving", "moved"
    ]  # fmt: skip
