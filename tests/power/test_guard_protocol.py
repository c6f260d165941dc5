"""What the guard answers, what it refuses, and what it says unasked."""

import os
import platform
import signal
import subprocess
import sys
import time

import pytest
from guard_bench import PACKAGES, Simulated, opening, until

from calseq.simulator.interlocks import Level

OFF = {"on": False, "voltage_v": 0.0, "current_a": 0.0}


def test_it_switches_in_order_and_reads_back_every_move(tmp_path, start):
    bench = Simulated(tmp_path)
    guard = start(bench)
    assert guard.opened["readings"] == {"lv": OFF, "hv": OFF}
    assert guard.opened["versions"]["python"] == platform.python_version()
    assert guard.move("lv-on")["lv"] == {"on": True, "voltage_v": 4.0, "current_a": 3.7}
    assert guard.move("hv-bias")["hv"]["voltage_v"] == -50
    assert guard.ok("read")["readings"]["hv"]["on"] is True
    assert guard.move("hv-off")["hv"] == OFF
    assert guard.move("lv-off") == {"lv": OFF, "hv": OFF}
    assert guard.ok("violations") == {"violations": []}
    assert guard.ok("close")["confirmed"] is True
    assert guard.ended() == 0
    bench.assert_safe()
    assert [line["move"] for line in guard.noted("moved")] == ["lv-on", "hv-bias", "hv-off", "lv-off"]
    assert all(line["time"].endswith("Z") for line in guard.journal())


def test_it_makes_the_rails_safe_before_it_closes(tmp_path, start):
    bench = Simulated(tmp_path)
    guard = start(bench)
    guard.move("lv-on")
    guard.move("hv-bias")
    verdict = guard.ok("close")
    assert verdict["confirmed"] is True
    assert verdict["readings"] == {"lv": OFF, "hv": OFF}
    assert guard.ended() == 0
    assert bench.actions() == ["lv-on", "hv-on", "hv-off", "lv-off"]
    bench.assert_safe()


def test_safe_makes_the_rails_safe_and_goes_on(tmp_path, start):
    bench = Simulated(tmp_path)
    guard = start(bench)
    guard.move("lv-on")
    guard.move("hv-bias")
    assert guard.ok("safe") == {"confirmed": True, "readings": {"lv": OFF, "hv": OFF}, "reason": ""}
    bench.assert_safe()
    assert guard.move("lv-on")["lv"]["on"] is True


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"do": "dance"}, "no such request: 'dance'"),
        ({"do": "move"}, "bad request 'move'"),
        ({"do": "move", "move": "up"}, "no such move: 'up'"),
        ({"do": "hand_over", "roles": ["xx"]}, "no such role: xx"),
        ({"do": "take_back", "roles": 3}, "bad request 'take_back'"),
        ({"do": "child", "pid": "me"}, "bad request 'child'"),
        ({"do": "open"}, "the supplies are open already"),
    ],
)
def test_a_mistaken_request_is_an_error_in_words_and_changes_nothing(tmp_path, start, request_, words):
    bench = Simulated(tmp_path)
    guard = start(bench)
    assert words in guard.error(**request_)
    assert guard.ok("ping")["pid"] == guard.pid
    assert bench.actions() == []


@pytest.mark.parametrize("do", ["read", "safe", "hand_over", "take_back"])
def test_nothing_can_be_asked_of_supplies_that_are_not_open(tmp_path, start, do):
    guard = start(open_it=False)
    reply = guard.ask(do, roles=["hv"])
    assert reply.get("error") == "not open" or reply["ok"]["confirmed"] is None
    guard.leave()
    assert guard.ended() == 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"backend": "magic"}, "no such backend: 'magic'"),
        (
            {"backend": "simulated", "config": {"folder": "nowhere", "calseq": str(PACKAGES)}},
            "the simulated bench",
        ),
        ({"backend": "simulated", "config": {}}, "KeyError"),
        ({"journal": "/dev/null/x"}, "cannot open the journal"),
    ],
)
def test_a_backend_that_does_not_open_is_an_error_and_moves_nothing(tmp_path, start, fields, words):
    guard = start(open_it=False)
    assert words in guard.error("open", **opening(guard, None, **fields))
    guard.leave()
    assert guard.ended() == 0
    assert not guard.marker.exists()


def test_without_a_backend_it_controls_no_rail_and_says_so(tmp_path, start):
    guard = start()
    assert guard.opened["readings"]["hv"]["on"] is None
    assert "no rail is controlled" in guard.error("read")
    assert "no rail is controlled" in guard.error("move", move="hv-off")
    assert guard.ok("violations") == {"violations": []}
    assert guard.ok("safe")["confirmed"] is None
    guard.ok("close")
    assert guard.ended() == 0


# Interlocks


@pytest.mark.parametrize("move", ["lv-on", "lv-off"])
def test_it_does_not_touch_lv_under_hv(tmp_path, start, move):
    bench = Simulated(tmp_path)
    guard = start(bench)
    guard.move("lv-on")
    guard.move("hv-bias")
    before = bench.actions()
    assert guard.error("move", move=move).startswith(
        f"refused: {move} needs HV off and gone, and HV reads on at -50 V"
    )
    assert bench.actions() == before
    assert guard.noted("move-failed")[-1]["move"] == move


def test_it_does_not_switch_hv_on_without_lv(tmp_path, start):
    bench = Simulated(tmp_path)
    guard = start(bench)
    assert guard.error("move", move="hv-bias").startswith("refused: hv-bias needs LV on, and LV reads off")
    assert bench.actions() == []


@pytest.mark.parametrize("faults", ["hv-residual:-3", "hv-reads-nan"])
def test_hv_that_is_off_but_not_gone_keeps_lv_where_it_is(tmp_path, start, faults):
    bench = Simulated(tmp_path, faults=faults)
    bench.trip("lv_1:1", Level(True, 4.0, 3.7))
    bench.trip("hv_1:1", Level(False, -3.0, 0.0))
    guard = start(bench)
    assert guard.error("move", move="lv-off").startswith("refused: lv-off")
    assert bench.actions() == []


def test_what_cannot_be_read_is_unknown_and_nothing_but_hv_off_is_moved(tmp_path, start):
    guard = start(Simulated(tmp_path, faults="unreadable"))
    assert guard.opened["readings"]["hv"] == {"on": None, "voltage_v": None, "current_a": None}
    for move in ("lv-on", "lv-off", "hv-bias"):
        assert guard.error("move", move=move).startswith("refused")
    assert guard.move("hv-off")["hv"]["on"] is None


def test_only_what_is_off_is_handed_over(tmp_path, start):
    guard = start(Simulated(tmp_path))
    guard.move("lv-on")
    assert guard.error("hand_over", roles=["lv", "ab"]).startswith("refused: lv cannot")
    guard.move("hv-bias")
    assert guard.error("hand_over", roles=["hv"]).startswith(
        "refused: ['hv'] cannot be handed over while HV reads on"
    )
    assert guard.ok("hand_over", roles=["ab"]) == {"roles": ["ab"]}
    assert guard.ok("read")["readings"]["hv"]["voltage_v"] == -50


OTHER = """
import sys, pathlib
from calseq.model.rails import Role
from calseq.simulator.supplies import SimulatedBench
bench = SimulatedBench.open(pathlib.Path(sys.argv[1]))
bench.acquire([Role.LV, Role.HV], "child")
"""


def test_what_is_handed_over_is_free_for_a_child_until_it_is_taken_back(tmp_path, start):
    bench = Simulated(tmp_path)
    guard = start(bench)
    other = [sys.executable, "-c", OTHER, bench.config["folder"]]
    assert subprocess.run(other, cwd=PACKAGES, capture_output=True).returncode != 0  # held
    assert guard.ok("hand_over", roles=["lv", "hv"]) == {"roles": ["hv", "lv"]}
    assert subprocess.run(other, cwd=PACKAGES, capture_output=True).returncode == 0
    assert guard.ok("read")["readings"]["hv"] == {
        "on": None, "voltage_v": None, "current_a": None, "why": "handed over"
    }  # fmt: skip
    assert guard.error("move", move="hv-off") == "refused: hv-off while hv is handed over"
    assert guard.ok("take_back", roles=["lv", "hv"])["readings"] == {"lv": OFF, "hv": OFF}
    assert guard.move("lv-on")["lv"]["on"] is True


# Time


def test_it_answers_pings_while_a_ramp_runs(tmp_path, start):
    bench = Simulated(tmp_path, speed=20)  # ten steps of 50 ms
    guard = start(bench)
    guard.move("lv-on")
    ramp = guard.send("move", move="hv-bias")
    until(lambda: bench.volts() < 0)
    assert guard.ok("ping")["busy"] == "hv-bias"
    assert guard.reply(ramp)["ok"]["readings"]["hv"]["voltage_v"] == -50


def test_an_action_that_hangs_is_given_up_and_the_supplies_count_as_stuck(tmp_path, start):
    guard = start(Simulated(tmp_path, faults="hv-off-hangs:30"), timeouts={"move": 0.2})
    guard.move("lv-on")
    guard.move("hv-bias")
    began = time.monotonic()
    assert guard.error("move", move="hv-off") == "hv-off did not answer within 0.2 s"
    readings = guard.ok("read")["readings"]  # one that hangs does not hide the other
    assert readings["hv"]["why"] == "hv-off did not answer within 0.2 s"
    assert readings["lv"]["on"] is True
    assert guard.error("move", move="hv-bias") == "hv-off did not answer within 0.2 s"
    assert guard.ok("ping")["stuck"] == "hv-off did not answer within 0.2 s"
    verdict = guard.ok("safe")  # it tries once more
    assert verdict["confirmed"] is False
    assert "hv-off did not answer within 0.2 s" in verdict["reason"]
    assert time.monotonic() - began < 5
    guard.leave()
    assert guard.ended() == 4
    assert "hv-off did not answer" in guard.marker.read_text()


def test_a_supply_that_was_stuck_once_is_made_safe_by_another_try(tmp_path, start):
    bench = Simulated(tmp_path, faults="hv-off-fails:1")
    guard = start(bench)
    guard.move("lv-on")
    guard.move("hv-bias")
    guard.leave()
    assert guard.ended() == 0
    assert [line["confirmed"] for line in guard.noted("safe-off")] == [False, True]
    bench.assert_safe()


# Power lost


def biased(bench, start, **fields):
    guard = start(bench, **fields)
    guard.move("lv-on")
    guard.move("hv-bias")
    return guard


@pytest.mark.parametrize(
    ("output", "level", "words"),
    [
        ("hv_1:1", Level(), "HV reads off at 0 V, 0 A, and should be on"),
        ("hv_1:1", Level(True, 0.0, 0.0), "HV reads on at 0 V, 0 A, and should be on"),
        ("lv_1:1", Level(), "LV reads off at 0 V, 0 A, and should be on"),
        ("lv_1:1", Level(True, 0.0, 0.0), "LV reads on at 0 V, 0 A, and should be on"),
        ("hv_1:1", Level(True, -50.0, -9.9e-6), "which is its compliance of 1e-05 A"),
    ],
)
def test_a_supply_that_is_not_as_it_was_left_is_told_once(tmp_path, start, output, level, words):
    bench = Simulated(tmp_path)
    guard = biased(bench, start)
    bench.trip(output, level)
    event = guard.event()
    assert event["event"] == "power-lost"
    assert words in event["reason"]
    assert event["readings"]["hv"]["on"] in (True, False)
    guard.ok("read")
    until(lambda: len(guard.noted("power-lost")) == 1)
    assert guard.move("hv-off")["hv"]["on"] is False


def test_hv_that_comes_on_by_itself_is_told(tmp_path, start):
    bench = Simulated(tmp_path)
    guard = biased(bench, start)
    guard.move("hv-off")
    bench.trip("hv_1:1", Level(True, -5.0, 0.0))
    assert "HV reads on at -5 V, 0 A, and should be off" in guard.event()["reason"]


def test_supplies_that_cannot_be_read_three_times_in_a_row_are_told(tmp_path, start):
    guard = start(Simulated(tmp_path, faults="unreadable"))
    assert "HV reads unknown" in guard.event()["reason"]


def test_rails_that_are_as_they_should_be_or_handed_over_are_not_told(tmp_path, start):
    bench = Simulated(tmp_path)
    guard = start(bench, poll_s=0.01)
    guard.ok("hand_over", roles=["lv", "hv"])
    bench.trip("hv_1:1", Level(True, -5.0, 0.0))
    for _ in range(5):
        guard.ok("ping")
    bench.trip("hv_1:1")
    guard.ok("take_back", roles=["lv", "hv"])
    guard.move("lv-on")
    guard.move("hv-bias")
    assert guard.ok("close")["confirmed"] is True
    assert guard.ended() == 0
    assert guard.events == []
    assert guard.noted("power-lost") == []


# Signals


DEADLY = {"SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS"}
"""What cannot be handled, and what of its own accord comes of a fault in the program."""


def test_every_signal_that_can_be_handled_leaves_it_where_it_is(tmp_path, start):
    bench = Simulated(tmp_path)
    guard = biased(bench, start)
    for number in sorted(signal.valid_signals()):
        if getattr(number, "name", "") not in DEADLY:
            os.kill(guard.pid, number)
            assert guard.ok("ping")["pid"] == guard.pid
    assert guard.ok("read")["readings"]["hv"]["voltage_v"] == -50
    assert bench.actions() == ["lv-on", "hv-on"]
    assert {"SIGTERM", "SIGUSR1", "SIGALRM", "SIGXCPU", "SIGABRT"} <= {
        line["name"] for line in guard.noted("signal")
    }
    guard.leave()
    assert guard.ended() == 0
    bench.assert_safe()
