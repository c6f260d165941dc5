"""The contract with icicle: the guard over a double of it, under every Python there is."""

import json
import signal
import subprocess
import sys

import pytest
from guard_bench import (
    CHANNELS,
    INSTRUMENTS,
    TWO_ON_ONE_BIAS,
    Icicle,
    interpreters,
    opening,
    start_ticks,
    until,
)

PYTHONS = interpreters()
every_python = pytest.mark.parametrize("python", PYTHONS.values(), ids=PYTHONS.keys())
every_version = pytest.mark.parametrize("version", ["2.1", "2.0", "text"])


def biased(bench, start, **fields):
    guard = start(bench, **fields)
    guard.move("lv-on")
    guard.move("hv-bias")
    return guard


def test_the_pythons_that_matter_are_here():
    assert sys.executable in PYTHONS.values()


# Under every Python


@pytest.mark.parametrize(
    ("python", "version"),
    [(python, "2.1") for python in PYTHONS.values()] + [(sys.executable, "2.0"), (sys.executable, "text")],
    ids=[*PYTHONS, "icicle-2.0", "icicle-text"],
)
def test_it_switches_in_order_and_reads_back(tmp_path, start, python, version):
    bench = Icicle(tmp_path, version=version)
    guard = start(bench, python=python)
    assert guard.opened["versions"]["icicle"] == "2.1.0"
    assert guard.opened["readings"]["hv"]["on"] is False
    assert guard.move("lv-on")["lv"]["voltage_v"] == 4.0
    assert guard.move("hv-bias")["hv"] == {
        "on": True, "voltage_v": -50.0, "current_a": None if version == "2.0" else pytest.approx(-5e-8)
    }  # fmt: skip
    guard.move("hv-off")
    guard.move("lv-off")
    assert guard.ok("close")["confirmed"] is True
    assert guard.ended() == 0
    assert bench.switched() == [("lv_1:1", True), ("hv_1:1", True), ("hv_1:1", False), ("lv_1:1", False)]
    assert bench.outputs()["hv_1:1"]["limit"] == 10e-6
    for name in ("lv_1", "hv_1"):  # once by the cluster, which counts too often, and then once
        told = [line["action"] for line in bench.record() if line.get("instrument") == name]
        assert [action for action in told if action != "range"] == ["open", "close"] * 2
    bench.assert_safe()


CHILD = """
import json, os, signal, sys, time
from icicle.instrument_cluster import InstrumentCluster
instruments, channels, wait = json.loads(sys.argv[1])
cluster = InstrumentCluster(instrument_dict=instruments, channels_dict=channels)
cluster.__enter__()
cluster.lv_on()
cluster.hv_on()
print("ready", flush=True)
time.sleep(wait)
cluster.__exit__()
"""


@every_python
def test_what_a_child_is_given_is_closed_before_it_opens_it(tmp_path, start, python):
    bench = Icicle(tmp_path)
    guard = start(bench, python=python)
    assert guard.ok("hand_over", roles=["lv", "hv"])["roles"] == ["hv", "lv"]
    supplies = {name: INSTRUMENTS[name] for name in ("lv_1", "hv_1")}
    channels = {"0": {role: CHANNELS["0"][role] for role in ("lv", "hv")}}
    child = subprocess.Popen(
        [python, "-c", CHILD, json.dumps([supplies, channels, 0.2])],
        env=guard.environment,
        stdout=subprocess.PIPE,
    )
    assert b"ready\n" in child.stdout
    assert "could not open port" in guard.error("take_back", roles=["hv"])
    assert child.wait(10) == 0
    child.stdout.close()
    assert guard.ok("take_back", roles=["lv", "hv"])["readings"]["hv"]["on"] is False
    guard.leave()
    assert guard.ended() == 0
    handles = [(line["pid"] == guard.pid, line["action"]) for line in bench.record() if "instrument" in line]
    until_child = handles[: handles.index((False, "open"))]
    assert sorted(until_child) == [(True, "close")] * 4 + [(True, "open")] * 4
    assert until_child[-2:] == [(True, "close")] * 2
    assert (False, "open-refused") not in handles
    bench.assert_safe()


@every_python
def test_a_parent_that_goes_away_in_mid_bias_leaves_a_safe_bench(tmp_path, start, python):
    bench = Icicle(tmp_path)
    guard = biased(bench, start, python=python)
    child = guard.child("import time; print('ready', flush=True); time.sleep(60)")
    guard.ok("child", pid=child.pid, start=start_ticks(child.pid))
    guard.leave()
    assert guard.ended() == 0
    assert child.wait(5) == -signal.SIGINT
    child.stdout.close()
    bench.assert_safe()
    assert bench.switched()[-2:] == [("hv_1:1", False), ("lv_1:1", False)]


@every_python
def test_a_question_of_icicle_is_an_error_with_what_it_proposes(tmp_path, start, python):
    bench = Icicle(tmp_path)
    guard = biased(bench, start, python=python)
    guard.move("hv-off")
    bench.fail(asks=["Turning off LV"])
    assert guard.error("move", move="lv-off") == (
        "lv_1:1 lv-off: icicle refuses (Turning off LV): HV is active; icicle proposes: Turn off HV"
    )
    bench.fail()
    guard.leave()
    assert guard.ended() == 0
    bench.assert_safe()


@every_python
def test_a_connection_that_is_lost_in_mid_ramp_leaves_lv_on_and_exit_code_4(tmp_path, start, python):
    bench = Icicle(tmp_path)
    bench.fail(lost_at=25)
    guard = start(bench, python=python)
    guard.move("lv-on")
    assert "SerialException: device disconnected" in guard.error("move", move="hv-bias")
    guard.leave()
    assert guard.ended() == 4
    assert ("lv_1:1", False) not in bench.switched()
    text = guard.marker.read_text()
    assert "hv_1:1 state: SerialException: device disconnected" in text
    assert "hv_1: Keithley2410 at ASRL/dev/hv::INSTR (hv)" in text
    assert bench.violations() == []


# States


@every_version
def test_hv_that_is_at_its_bias_is_not_ramped_again(tmp_path, start, version):
    bench = Icicle(tmp_path, version=version)
    guard = biased(bench, start)
    before = len(bench.record())
    assert guard.move("hv-bias")["hv"]["voltage_v"] == -50
    assert len(bench.record()) == before
    assert guard.ok("close")["confirmed"] is True
    assert guard.ended() == 0
    bench.assert_safe()


def test_hv_that_is_on_elsewhere_is_not_taken_for_the_bias(tmp_path, start):
    bench = Icicle(tmp_path, version="text")
    guard = biased(bench, start)
    outputs = bench.outputs()
    outputs["hv_1:1"]["set"] = -20
    (bench.folder / "bench.json").write_text(json.dumps(outputs))
    assert "is not off, but at -20.0 V: switch HV off first" in guard.error("move", move="hv-bias")
    assert bench.violations() == []


def test_a_supply_that_leaves_out_the_sign_is_understood(tmp_path, start):
    bench = Icicle(tmp_path)
    bench.fail(unsigned=True)
    guard = biased(bench, start)
    assert guard.ok("read")["readings"]["hv"]["voltage_v"] == 50


def test_a_bench_without_hv_reads_hv_off(tmp_path, start):
    bench = Icicle(tmp_path, channels={"0": {"lv": CHANNELS["0"]["lv"]}})
    guard = start(bench)
    assert guard.opened["readings"]["hv"] == {
        "on": False, "voltage_v": None, "current_a": None, "why": "there is none on this bench"
    }  # fmt: skip
    assert guard.move("lv-on")["lv"]["on"] is True
    assert "there is no HV supply" in guard.error("move", move="hv-bias")
    guard.leave()
    assert guard.ended() == 0
    assert bench.switched() == [("lv_1:1", True), ("lv_1:1", False)]


@every_version
def test_a_supply_of_several_modules_is_ramped_once(tmp_path, start, version):
    bench = Icicle(tmp_path, version=version, channels=TWO_ON_ONE_BIAS)
    guard = biased(bench, start)
    assert [one for one in bench.switched() if one[1]] == [
        ("lv_1:1", True),
        ("lv_1:2", True),
        ("hv_1:1", True),
    ]
    guard.leave()
    assert guard.ended() == 0
    assert bench.switched()[-3:] == [("hv_1:1", False), ("lv_1:1", False), ("lv_1:2", False)]
    bench.assert_safe()


def test_modules_in_different_states_are_neither_on_nor_off(tmp_path, start):
    bench = Icicle(tmp_path, channels=TWO_ON_ONE_BIAS)
    guard = biased(bench, start)
    bench.trip("lv_1:2")
    lv = guard.ok("read")["readings"]["lv"]
    assert lv["on"] is None
    assert lv["why"] == "lv_1:1 is on, lv_1:2 is off"
    assert "lv_1:1 is on, lv_1:2 is off" in guard.event()["reason"]


def test_a_supply_that_trips_is_told(tmp_path, start):
    bench = Icicle(tmp_path)
    guard = biased(bench, start)
    bench.trip("hv_1:1")
    assert "HV reads off" in guard.event()["reason"]


def test_a_supply_at_its_compliance_is_told(tmp_path, start):
    bench = Icicle(tmp_path)
    guard = biased(bench, start)
    bench.fail(compliance=True)
    assert "which is its compliance of 1e-05 A" in guard.event()["reason"]


def test_time_outs_keep_their_own_words_and_are_told_after_three(tmp_path, start):
    bench = Icicle(tmp_path)
    guard = biased(bench, start)
    bench.fail(visa_timeout=["hv_1"])
    raw = "hv_1:1 state: VisaIOError: VI_ERROR_TMO (-1073807339): Timeout expired before operation completed."
    assert guard.ok("read")["readings"]["hv"] == {
        "on": None,
        "voltage_v": None,
        "current_a": None,
        "why": raw,
    }
    assert raw in guard.event()["reason"]
    bench.fail()
    guard.leave()
    assert guard.ended() == 0
    bench.assert_safe()


def test_a_bad_status_without_a_question_is_an_error_too(tmp_path, start):
    bench = Icicle(tmp_path)
    bench.fail(bad_status=True)
    guard = start(bench)
    assert "BadStatusForOperationError: Operation: Turning on LV" in guard.error("move", move="lv-on")


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"sticks_on": ["hv_1"]}, "HV reads on at "),
        ({"residual": -3.0}, "HV reads off at -3 V"),
        ({"nan": True}, "HV reads unknown"),
        ({"visa_timeout": ["hv_1"]}, "VI_ERROR_TMO"),
    ],
)
def test_hv_that_is_not_confirmed_gone_keeps_lv_on(tmp_path, start, faults, words):
    caen = {**INSTRUMENTS["hv_1"], "class": "CaenDT8033N"}  # a Keithley that is off measures nothing
    bench = Icicle(tmp_path, instruments={**INSTRUMENTS, "hv_1": caen})
    guard = biased(bench, start)
    bench.fail(**faults)
    guard.leave()
    assert guard.ended() == 4
    assert words in guard.marker.read_text()
    assert ("lv_1:1", False) not in bench.switched()
    assert bench.violations() == []


def test_lv_that_still_reads_on_after_off_is_not_confirmed(tmp_path, start):
    bench = Icicle(tmp_path)
    guard = biased(bench, start)
    bench.fail(sticks_on=["lv_1"])
    guard.leave()
    assert guard.ended() == 4
    assert "LV is not confirmed off" in guard.marker.read_text()


def test_a_supply_that_hangs_is_given_up(tmp_path, start):
    bench = Icicle(tmp_path)
    guard = biased(bench, start, timeouts={"read": 0.2, "move": 0.4})
    bench.fail(hangs=["hv_1"])
    assert "did not answer within 0.2 s" in guard.event()["reason"]
    guard.leave()
    assert guard.ended() == 4


def test_an_lv_supply_that_hangs_does_not_keep_hv_on(tmp_path, start):
    bench = Icicle(tmp_path)
    guard = biased(bench, start, timeouts={"read": 0.3, "move": 1})
    bench.fail(hangs=["lv_1"])
    guard.leave()
    assert guard.ended() == 4
    assert bench.switched()[-1] == ("hv_1:1", False)
    text = guard.marker.read_text()
    assert "HV reads off;" in text
    assert "LV reads unknown (read lv did not answer within 0.3 s)" in text


def test_one_supply_that_cannot_be_reached_does_not_keep_hv_on_the_other(tmp_path, start):
    instruments = {**INSTRUMENTS, "hv_2": {**INSTRUMENTS["hv_1"], "resource": "ASRL/dev/hv2::INSTR"}}
    channels = {**TWO_ON_ONE_BIAS, "1": {**TWO_ON_ONE_BIAS["1"], "hv": {"instrument": "hv_2", "channel": 1}}}
    bench = Icicle(tmp_path, instruments=instruments, channels=channels)
    guard = biased(bench, start)
    bench.fail(visa_timeout=["hv_1"])
    guard.leave()
    assert guard.ended() == 4
    assert ("hv_2:1", False) in bench.switched()
    assert not any(name.startswith("lv") for name, on in bench.switched() if not on)


# Time


@every_version
def test_a_ramp_upwards_is_stopped_when_the_parent_goes_away(tmp_path, start, version):
    bench = Icicle(tmp_path, speed=20, version=version)
    guard = start(bench)
    guard.move("lv-on")
    guard.send("move", move="hv-bias")
    until(lambda: bench.volts() <= -5)
    guard.leave()
    assert guard.ended() == 0
    lowest = min(line["volts"] for line in bench.record() if line["action"] == "set")
    assert lowest > -50
    bench.assert_safe()


def test_safe_stops_a_ramp_upwards_too(tmp_path, start):
    bench = Icicle(tmp_path, speed=20)
    guard = start(bench)
    guard.move("lv-on")
    ramp = guard.send("move", move="hv-bias")
    until(lambda: bench.volts() <= -5)
    safe = guard.send("safe")
    assert "the ramp was stopped at" in guard.reply(ramp)["error"]
    assert guard.reply(safe)["ok"]["confirmed"] is True
    bench.assert_safe()


# What is handed over


def test_a_board_is_handed_over_without_any_change_of_the_rails(tmp_path, start):
    bench = Icicle(tmp_path)
    guard = start(bench)
    guard.move("lv-on")
    before = bench.record()
    assert guard.ok("hand_over", roles=["ab"]) == {"roles": ["ab"]}
    assert guard.ok("read")["readings"]["lv"]["on"] is True
    guard.ok("take_back", roles=["ab"])
    assert bench.record() == before
    assert {line["instrument"] for line in before if "instrument" in line} == {"lv_1", "hv_1"}


def test_lv_alone_is_handed_over_and_hv_stays_held(tmp_path, start):
    bench = Icicle(tmp_path)
    guard = start(bench)
    guard.ok("hand_over", roles=["lv", "ab"])
    readings = guard.ok("read")["readings"]
    assert readings["lv"]["why"] == "handed over"
    assert readings["hv"]["on"] is False
    guard.ok("take_back", roles=["lv", "ab"])
    assert guard.move("lv-on")["lv"]["on"] is True


# What is refused at open


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": "1.0"}, "it lacks: InstrumentCluster(instrument_dict=...), InstrumentCluster(channels_dict=...), get_m"),
        ({"channels": {"0": {"lv": {"instrument": "lv_9", "channel": 1}}}}, "channels name lv_9"),
        ({"instruments": {**INSTRUMENTS, "lv_1": {**INSTRUMENTS["lv_1"], "note": "it's"}}}, "'note' is nothing that"),
        ({"instruments": {**INSTRUMENTS, "hv_1": {"resource": "x", "default_current": 1e-6}}}, "default_voltage"),
    ],
)  # fmt: skip
def test_what_cannot_be_driven_is_refused_before_anything_is_touched(tmp_path, start, change, words):
    bench = Icicle(tmp_path, **change)
    guard = start(bench, open_it=False)
    assert words in guard.error("open", **opening(guard, bench))
    guard.leave()
    assert guard.ended() == 0
    assert bench.switched() == []


def test_a_python_without_icicle_is_told(tmp_path, start):
    bench = Icicle(tmp_path)
    bench.environment = {}
    guard = start(bench, open_it=False)
    error = guard.error("open", **opening(guard, bench))
    assert (
        error
        == f"icicle cannot be imported by {sys.executable}: ModuleNotFoundError: No module named 'icicle'"
    )


def test_instruments_that_somebody_holds_are_told_and_none_is_kept(tmp_path, start):
    bench = Icicle(tmp_path)
    holder = start(bench)
    second = start(bench, open_it=False)
    error = second.error("open", **opening(second, bench, journal=str(tmp_path / "second.jsonl")))
    assert error == "open: SerialException: [Errno 16] could not open port: Device or resource busy"
    holder.ok("close")
    assert holder.ended() == 0
    assert start(bench).opened["readings"]["lv"]["on"] is False


def test_one_that_does_not_open_lets_go_of_the_other(tmp_path, start):
    bench = Icicle(tmp_path)
    bench.fail(enter_fails=["hv_1"])
    guard = start(bench, open_it=False)
    assert "VI_ERROR_TMO" in guard.error("open", **opening(guard, bench))
    handles = [(line["action"], line["instrument"]) for line in bench.record() if "instrument" in line]
    assert handles == [("open", "lv_1"), ("close", "lv_1")]
