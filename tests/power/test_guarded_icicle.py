"""The real command line in power mode icicle: runs, `calseq power`, the lock and what is refused, over a double."""

import json
import os
import shutil
import signal
import sys

import pytest
from guard_bench import interpreters
from guarded_runs import child_of, end_all, guard_pid, kill, said, until
from icicle_stand import CROSSTALK, CURVE, IcicleStand

from calseq.power.guard import MARKER
from calseq.simulator.state import born

PYTHONS = interpreters()
WANTED = {version: PYTHONS[version] for version in ("3.9", "3.13") if version in PYTHONS}
MANY = {**WANTED, "this": sys.executable}


@pytest.fixture
def stand(tmp_path, request):
    stand = IcicleStand(tmp_path, getattr(request, "param", sys.executable))
    yield stand
    stand.end_guards()
    end_all(stand)


def paused(duration_s):
    return {**os.environ, "PAUSE_S": str(duration_s)}


def measuring(run):
    until(lambda: run.logs.count(b"measuring"))


@pytest.mark.parametrize("stand", MANY.values(), ids=MANY.keys(), indirect=True)
def test_a_run_holds_the_supplies_hands_them_over_and_leaves_them_off(stand):
    run = stand.on(stand.bench, CURVE, CROSSTALK)
    assert run.end() == 0, run.told
    assert run.record["mode"] == "icicle"
    assert [line["move"] for line in said(run) if line["event"] == "moved"] == [
        "lv-on", "hv-bias", "hv-off", "lv-off"
    ]  # fmt: skip
    stand.prove_order()
    code, out, _ = stand.calseq("power", "status", "--bench", stand.bench)
    assert (code, "HV reads off" in out, "LV reads off" in out) == (0, True, True)


@pytest.mark.parametrize("stand", MANY.values(), ids=MANY.keys(), indirect=True)
def test_calseq_is_killed_under_bias(stand):
    run = stand.on(stand.bench, CURVE, CROSSTALK, env=paused(1))
    until(lambda: run.logs.count(b"measuring") == 2)
    assert stand.on_now() == ["hv_1:1", "lv_1:1"]
    kill(run.process.pid)
    run.process.wait()
    until(lambda: not born(guard_pid(run)))
    stand.prove_order()
    assert said(run)[-1]["confirmed"] is True
    assert stand.on(stand.bench, CURVE).end() == 0, "its guard made it safe: nothing to acknowledge"


def test_power_reads_and_switches_off_what_somebody_left_on(stand):
    stand.switch_on_by_hand()
    code, out, told = stand.calseq("power", "status", "--bench", stand.bench)
    assert (code, "HV reads on at -50 V" in out, "LV reads on" in out) == (0, True, True), out
    assert "calseq power off" in told
    assert stand.on_now() == ["hv_1:1", "lv_1:1"], "reading touches nothing"
    code, out, _ = stand.calseq("power", "off", "--bench", stand.bench)
    assert (code, "confirmed" in out) == (0, True)
    stand.prove_order()


def test_a_run_that_finds_the_bias_on_starts_from_off(stand):
    stand.switch_on_by_hand()
    run = stand.on(stand.bench, {"calibration": "get_module_info"})
    assert run.end() == 0, run.told
    stand.prove_order()


def test_after_all_were_killed_power_off_clears_the_way(stand):
    run = stand.on(stand.bench, CURVE, CROSSTALK, env=paused(30))
    # the curve takes its time as well: it has the supplies meanwhile
    measuring(run)
    kill(run.process.pid, guard_pid(run), child_of(run))
    run.process.wait()
    until(lambda: not born(guard_pid(run)))
    refused = stand.on(stand.bench, CURVE)
    assert refused.end() == 3
    words = " ".join(refused.told.split())
    assert "CS418" in words
    assert run.record["run"] in words
    assert "calseq power off" in words
    code, out, told = stand.calseq("power", "off", "--bench", stand.bench)
    assert (code, "confirmed" in out) == (0, True), told
    again = stand.on(stand.bench, CURVE)
    assert again.end() == 0, again.told


def test_power_off_asks_a_run_of_another_shell_to_stop(stand):
    run = stand.on(stand.bench, CURVE, env=paused(60))
    measuring(run)
    code, out, _ = stand.calseq("power", "status", "--bench", stand.bench)
    assert (code, run.record["run"] in out) == (0, True)
    second = stand.on(stand.bench, CURVE, name="second.yaml")
    assert second.end() == 3
    assert "CS413" in second.told
    code, out, told = stand.calseq("power", "off", "--bench", stand.bench)
    assert (code, "confirmed" in out) == (0, True), told
    assert run.process.wait(20) == -signal.SIGTERM
    assert stand.on_now() == []


def test_ctrl_c_in_the_ramp_to_the_bias_stops_it_where_it_is(tmp_path):
    stand = IcicleStand(tmp_path, speed=4)  # ten steps of a quarter of a second

    def levels():
        return [
            line["volts"] for line in stand.record() if line["action"] == "set" and line["output"] == "hv_1:1"
        ]

    try:
        run = stand.on(stand.bench, CURVE, CROSSTALK)
        run.wait_for(lambda: levels() and min(levels()) <= -15)
        run.press()
        run.end()
        assert run.record["exit_code"] == 130
        assert min(levels()) > -50
        stand.prove_order()
    finally:
        stand.end_guards()


def test_a_supply_that_cannot_be_read_is_told_with_its_address(stand):
    run = stand.on(stand.bench, {"calibration": "get_module_info"}, env=paused(60))
    measuring(run)
    (stand.double / "faults.json").write_text('{"visa-timeout": ["hv_1"]}')
    assert run.end() == 4, run.told
    for word in ("HARDWARE STATE UNKNOWN", "hv_1", "VI_ERROR_TMO", "read HV and LV at the front panels"):
        assert word in run.told
    assert (run.folder / MARKER).exists()
    code, _, told = stand.calseq("power", "off", "--bench", stand.bench)
    assert (code, "hv_1" in told) == (4, True)
    assert "its guard has tried again" in told
    refused = stand.on(stand.bench, CURVE)
    assert (refused.end(), "CS413" in refused.told) == (3, True), "its guard goes on trying"
    (stand.double / "faults.json").unlink()
    code, out, told = stand.calseq("power", "off", "--bench", stand.bench)
    assert (code, "confirmed" in out) == (0, True), told
    assert (run.folder / MARKER).read_text().startswith("HV off, LV off: confirmed")
    assert stand.on(stand.bench, CURVE).end() == 0


def is_told_to_end(guard):
    """It may have begun to try on only now: until then no signal counts."""
    if born(guard):
        os.kill(guard, signal.SIGTERM)
    return not born(guard)


@pytest.mark.parametrize("sticks", [(), ("lv_1",)])
def test_what_the_guard_of_a_killed_calseq_said_outlives_the_run_folder(stand, sticks):
    run = stand.on(stand.bench, CURVE, CROSSTALK, env=paused(1))
    until(lambda: run.logs.count(b"measuring") == 2)
    guard = guard_pid(run)
    (stand.double / "faults.json").write_text(json.dumps({"sticks-on": sticks}))
    kill(run.process.pid)
    run.process.wait()
    if sticks:
        until(lambda: "unknown" in [line["event"] for line in said(run)])
        until(lambda: is_told_to_end(guard), 60)  # or it would try on for an hour
    until(lambda: not born(guard), 60)
    shutil.rmtree(run.folder)
    again = stand.on(stand.bench, CURVE, name="again.yaml")
    assert again.end() == (3 if sticks else 0), again.told
    told = " ".join(again.told.split())
    for words in ("CS418", "is missing", "it was not confirmed that HV and LV are off"):
        assert (words in told) is bool(sticks)
