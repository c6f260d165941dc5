"""Liveness in both directions: a calseq that is silent, or that does not act, is as good as gone."""

import fcntl
import os
import signal
import time
from contextlib import suppress

import pytest
from guard_bench import CHANNELS, INSTRUMENTS, Icicle, Simulated, opening, start_ticks, until

from calseq.model import rails
from calseq.model.verdicts import UNKNOWN_HARDWARE
from calseq.power import guard as guards
from calseq.power import guarded
from calseq.record.run_folder import MARKER
from calseq.simulator.interlocks import Level

SILENCE_S = 1.5
"""Longer than any of these moves takes on a machine that is busy."""
SLEEPS = "import time; print('ready', flush=True); time.sleep(60)"


def biased(bench, start, **fields):
    guard = start(bench, **fields)
    guard.move("lv-on")
    guard.move("hv-bias")
    return guard


def child_of(guard, **fields):
    child = guard.child(SLEEPS)
    guard.ok("child", pid=child.pid, start=start_ticks(child.pid), **fields)
    return child


def ended(child):
    code = child.wait(10)
    child.stdout.close()
    return code


def test_without_a_word_and_without_a_child_it_goes_to_the_safe_end(tmp_path, start):
    bench = Simulated(tmp_path)
    guard = biased(bench, start, silence_s=SILENCE_S)
    assert guard.event()["event"] == "ended"
    assert guard.ended() == 0
    assert "and no step runs" in guard.noted("ending")[0]["reason"]
    bench.assert_safe()


def test_its_last_word_says_that_off_is_confirmed(tmp_path, start):
    guard = biased(Simulated(tmp_path), start, silence_s=SILENCE_S)
    said = guard.event()
    assert (said["event"], said["confirmed"]) == ("ended", True)
    assert said["readings"]["hv"]["on"] is False
    assert "said nothing" in said["cause"]


def test_rails_that_are_off_are_nothing_to_hurry_for(tmp_path, start):
    guard = biased(Simulated(tmp_path), start, silence_s=SILENCE_S)
    guard.move("hv-off")
    guard.move("lv-off")
    time.sleep(SILENCE_S + 0.5)
    assert guard.ok("ping")["pid"] == guard.pid


def test_with_a_child_it_waits_for_the_steps_time_and_says_so(tmp_path, start):
    bench = Simulated(tmp_path)
    guard = biased(bench, start, silence_s=SILENCE_S)
    child = child_of(guard, timeout_s=5.0)
    began = time.monotonic()
    assert guard.event()["event"] == "ended"
    assert time.monotonic() - began > 4.5
    assert guard.ended() == 0
    assert ended(child) == -signal.SIGINT
    assert len(guard.noted("silent")) == 1
    assert "the step's time is over" in guard.noted("ending")[0]["reason"]
    bench.assert_safe()


def test_a_child_that_ends_while_calseq_is_silent_is_not_waited_for_longer(tmp_path, start):
    bench = Simulated(tmp_path)
    guard = biased(bench, start, silence_s=SILENCE_S)
    child = child_of(guard)
    until(lambda: guard.noted("silent"))
    child.kill()
    ended(child)
    assert guard.event()["event"] == "ended"
    assert guard.ended() == 0
    bench.assert_safe()


def test_a_frozen_child_of_a_silent_calseq_is_woken_and_ended(tmp_path, start):
    bench = Simulated(tmp_path)
    guard = biased(bench, start, silence_s=SILENCE_S)
    child = child_of(guard, timeout_s=2.0)
    child.send_signal(signal.SIGSTOP)
    assert guard.event()["event"] == "ended"
    assert guard.ended() == 0
    assert ended(child) != 0
    bench.assert_safe()


def test_any_word_is_a_sign_of_life(tmp_path, start):
    guard = biased(Simulated(tmp_path), start, silence_s=SILENCE_S)
    until_s = time.monotonic() + 2 * SILENCE_S
    while time.monotonic() < until_s:
        guard.ok("ping")
        time.sleep(0.05)
    assert guard.noted("ending") == []


def test_lost_power_on_which_nobody_acts_is_acted_on(tmp_path, start):
    bench = Simulated(tmp_path)
    guard = biased(bench, start, answer_s=0.3)
    bench.trip("hv_1:1", Level(True, -350.0, 0.0))
    assert guard.event()["event"] == "power-lost"
    assert guard.event()["event"] == "ended"
    assert guard.ended() == 0
    assert "has not acted on it" in guard.noted("ending")[0]["reason"]
    bench.assert_safe()


def test_heard_gives_the_child_its_graces_and_a_move_is_an_answer(tmp_path, start):
    bench = Simulated(tmp_path)
    guard = biased(bench, start, answer_s=0.3)
    child = child_of(guard, graces={"interrupt": 0.8, "terminate": 0.1})
    bench.trip("hv_1:1", Level(True, -350.0, 0.0))
    assert guard.event()["event"] == "power-lost"
    guard.send("heard")
    time.sleep(0.6)
    guard.move("hv-off")
    time.sleep(0.6)
    assert guard.ok("ping")["pid"] == guard.pid
    assert guard.noted("ending") == []
    child.kill()
    ended(child)


@pytest.mark.parametrize(
    ("output", "level", "words"),
    [
        ("hv_1:1", Level(True, -350.0, 0.0), "hv_1:1 reads -350 V, and was left at -50 V"),
        ("hv_1:1", Level(True, 50.0, 0.0), "hv_1:1 reads 50 V, and was left at -50 V"),
        ("hv_1:1", Level(True, -10.0, 0.0), "hv_1:1 reads -10 V, and was left at -50 V"),
        ("hv_1:1", Level(True, -47.0, 0.0), "hv_1:1 reads -47 V"),
        ("lv_1:1", Level(True, 1.0, 1.0), "lv_1:1 reads 1 V, and was left at 4 V"),
        ("lv_1:1", Level(True, 4.5, 1.0), "lv_1:1 reads 4.5 V"),
    ],
)
def test_a_voltage_that_is_not_as_it_was_left_is_lost_power(tmp_path, start, output, level, words):
    bench = Simulated(tmp_path)
    guard = biased(bench, start)
    bench.trip(output, level)
    assert words in guard.event()["reason"]


@pytest.mark.parametrize(
    ("output", "level"), [("hv_1:1", Level(True, -48.5, 0.0)), ("lv_1:1", Level(True, 3.7, 1.0))]
)
def test_a_voltage_that_hardly_moves_is_not(tmp_path, start, output, level):
    bench = Simulated(tmp_path)
    guard = biased(bench, start, poll_s=0.02)
    bench.trip(output, level)
    time.sleep(0.3)
    guard.ok("ping")
    assert guard.events == []


def test_each_of_several_supplies_is_compared_with_itself(tmp_path, start):
    """The one furthest from 0 does not hide another one that sags."""
    other = {**INSTRUMENTS["hv_1"], "resource": "ASRL/dev/hv2::INSTR"}
    lv = {"instrument": "lv_1", "channel": 2}
    channels = {**CHANNELS, "1": {"lv": lv, "hv": {"instrument": "hv_2", "channel": 1}}}
    bench = Icicle(tmp_path, instruments={**INSTRUMENTS, "hv_2": other}, channels=channels)
    guard = biased(bench, start)
    bench.put("hv_2:1", set=-10.0)
    assert "hv_2:1 reads -10 V, and was left at -50 V" in guard.event()["reason"]


def test_the_holder_of_icicles_own_lock_is_named(tmp_path, start):
    locks = tmp_path / "locks"
    locks.mkdir()
    bench = Icicle(tmp_path)
    bench.environment["ICICLE_LOCK_PATH"] = str(locks)
    guard = biased(bench, start, timeouts={"read": 0.5, "move": 1})
    held = os.open(locks / "ASRL__dev__hv", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    why = guard.ok("read")["readings"]["hv"]["why"]
    assert why.startswith("read hv did not answer within 0.5 s: icicle's lock of hv_1 (")
    assert f"is held by pid {os.getpid()} (" in why
    assert guard.ok("read")["readings"]["lv"]["on"] is True
    os.close(held)
    until(lambda: guard.ok("read")["readings"]["hv"]["on"])
    guard.leave()
    assert guard.ended() == 0
    bench.assert_safe()


def test_a_lock_that_is_held_before_the_start_is_refused_with_its_holder(tmp_path, start):
    locks = tmp_path / "locks"
    locks.mkdir()
    bench = Icicle(tmp_path)
    bench.environment["ICICLE_LOCK_PATH"] = str(locks)
    bench.config["lock_wait_s"] = 0.3
    held = os.open(locks / "TCPIP----lv----9221----SOCKET", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    guard = start(bench, open_it=False)
    error = guard.error("open", **opening(guard, bench))
    assert error.startswith("open: icicle's lock of lv_1 (")
    assert f"is held by pid {os.getpid()} (" in error
    assert bench.record() == []
    os.close(held)
    assert guard.ok("open", **opening(guard, bench))["readings"]["lv"]["on"] is False


@pytest.fixture
def clogged():
    """A log that takes nothing more, and keeps whoever writes to it waiting, as a file on a disk that hangs does."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"\n" * 4096)
    os.set_blocking(writer, True)
    yield os.fdopen(writer, "wb", 0)
    os.close(reader)


def test_a_log_that_hangs_keeps_nobody_from_the_rails(tmp_path, start, clogged):
    """The double of icicle prints when it opens an instrument, as the libraries of real ones do."""
    bench = Icicle(tmp_path)
    guard = biased(bench, start, log=clogged)
    guard.leave()
    assert guard.ended() == 0
    assert guard.noted("ended")[0]["confirmed"] is True
    bench.assert_safe()


def test_the_constants_that_are_copied_are_those_of_the_model():
    assert guards.V_SAFE == rails.V_SAFE
    assert guards.UNKNOWN == UNKNOWN_HARDWARE
    assert guards.MARKER == MARKER
    assert set(guards.ROLES) == {str(role) for role in rails.Role}
    assert set(guards.RAILS) == {str(role) for role in rails.SUPPLIES}
    assert set(guards.MOVES) == {str(move) for move in rails.Move}
    for move, (rail, on) in guards.MOVES.items():
        assert move == f"{rail}-{'off' if not on else 'bias' if rail == 'hv' else 'on'}"
    assert (guards.MOVE_LIMIT_S, guards.UNKNOWN_S, guards.UNKNOWN_EVERY_S) == (
        guarded.MOVE_TIMEOUT_S, guarded.UNKNOWN_S, guarded.UNKNOWN_EVERY_S
    )  # fmt: skip
    assert guards.OTHER_LIMIT_S <= guarded.UNANSWERED_S
    assert guarded.CALL_TIMEOUT_S >= 2 * guards.OTHER_LIMIT_S
    assert guarded.PING_EVERY_S * 10 < guards.SILENCE_S


SLOW = """
import signal, sys, time
def stop(number, frame):
    print('asked', flush=True)
    time.sleep(4)
    sys.exit(0)
signal.signal(signal.SIGINT, stop)
print('ready', flush=True)
time.sleep(60)
"""


def test_a_child_whose_end_takes_its_time_is_interrupted_once_while_calseq_speaks(tmp_path, start):
    guard = biased(Simulated(tmp_path), start, silence_s=SILENCE_S)
    child = guard.child(SLOW)
    guard.ok("child", pid=child.pid, start=start_ticks(child.pid), timeout_s=0.1)
    child.send_signal(signal.SIGINT)
    while child.poll() is None:  # as calseq does it in every turn of its ending
        guard.ok("ping")
        time.sleep(0.05)
    assert child.stdout.read() == b"asked\n"
    child.stdout.close()
    assert guard.noted("ending") == []


def test_one_that_only_looks_moves_nothing_whatever_becomes_of_its_parent(tmp_path, start):
    bench = Simulated(tmp_path)
    bench.trip("lv_1:1", Level(True, 4.0, 3.7))
    bench.trip("hv_1:1", Level(True, -50.0, 0.0))
    guard = start(bench, looks=True)
    assert guard.ok("read")["readings"]["hv"]["on"] is True
    guard.leave()
    assert guard.ended() == 0
    assert bench.actions() == []
    assert guard.noted("ended")[0]["confirmed"] is None
