import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from calseq.model.rails import Readings, Role, StepType
from calseq.simulator.supplies import SimulatedBench, SupplyError

ME = "test"
INSTRUMENTS = {
    "lv_1": {"default_voltage": 4.0, "default_current": 3.7},
    "hv_1": {"default_voltage": -50, "default_current": 10e-6},
    "ab_1": {},
}
CHANNELS = {"0": {"lv": {"instrument": "lv_1", "channel": 1}, "hv": {"instrument": "hv_1", "channel": 1},
                  "ab": {"instrument": "ab_1"}}}  # fmt: skip


def make(folder, faults=None, speed=1e6, instruments=INSTRUMENTS, channels=CHANNELS):
    bench = SimulatedBench.create(folder / "bench", instruments, channels, speed=speed, faults=faults or {})
    bench.acquire(Role, ME)
    return bench


@pytest.fixture
def bench(tmp_path):
    return make(tmp_path)


def two_modules_on_one_bias(tmp_path):
    """Two modules: an LV output for each, one HV output for both."""
    channels = {
        "0": {"lv": {"instrument": "lv_1", "channel": 1}, "hv": {"instrument": "hv_1"}},
        "1": {"lv": {"instrument": "lv_1", "channel": 2}, "hv": {"instrument": "hv_1"}},
    }
    return make(tmp_path, channels=channels)


def process(folder, body):
    """Start another process that has the bench open as `bench` and says 'ready' when the body does."""
    code = "import sys, pathlib, time\nfrom calseq.model.rails import *\n" + textwrap.dedent("""
        from calseq.simulator.supplies import SimulatedBench
        def ready(): print('ready', flush=True)
        bench = SimulatedBench.open(pathlib.Path(sys.argv[1]))
    """)
    return subprocess.Popen(
        [sys.executable, "-c", code + textwrap.dedent(body), str(folder / "bench")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_new_bench_is_off_and_knows_of_no_violation(bench):
    assert bench.readings().all_off
    assert bench.violations() == ()


def test_power_on_and_off_in_order_breaks_nothing(bench):
    bench.lv_on(ME)
    bench.hv_on(ME)
    biased = bench.readings()
    bench.hv_off(ME)
    bench.lv_off(ME)
    assert (biased.lv.on, biased.lv.voltage_v, biased.lv.current_a) == (True, 4.0, 3.7)
    assert (biased.hv.on, biased.hv.voltage_v) == (True, -50.0)
    assert -1e-5 < biased.hv.current_a < 0
    assert bench.readings().all_off
    assert bench.violations() == ()


def test_bias_is_ramped_in_steps_of_5_v_both_ways(bench):
    bench.lv_on(ME)
    bench.hv_on(ME)
    bench.hv_off(ME)
    volts = [action["volts"] for action in bench.actions() if action["action"] == "hv-step"]
    assert volts == [-5.0 * step for step in range(1, 11)] + [-5.0 * step for step in range(9, -1, -1)]


def test_a_ramp_takes_a_second_a_step_divided_by_the_speed(tmp_path):
    bench = make(tmp_path, speed=100)
    bench.lv_on(ME)
    begun = time.monotonic()
    bench.hv_on(ME)
    assert time.monotonic() - begun >= 0.1


def test_an_instrument_may_state_its_own_ramp(tmp_path):
    hv = {**INSTRUMENTS["hv_1"], "default_step_size": 25}
    bench = make(tmp_path, instruments=INSTRUMENTS | {"hv_1": hv})
    bench.lv_on(ME)
    bench.hv_on(ME)
    assert [a["volts"] for a in bench.actions() if a["action"] == "hv-step"] == [-25.0, -50.0]


def test_what_is_already_there_is_not_moved_again(bench):
    bench.lv_on(ME)
    bench.hv_on(ME)
    before = bench.actions()
    bench.lv_on(ME)
    bench.hv_on(ME)
    assert bench.actions() == before


def test_moves_without_a_ramp_are_quick(bench):
    bench.lv_on(ME)
    begun = time.perf_counter()
    for _ in range(50):
        bench.lv_on(ME)
        bench.hv_off(ME)
        bench.readings()
    assert (time.perf_counter() - begun) / 150 < 0.005


def test_the_record_names_time_process_author_and_output(bench):
    bench.lv_on(ME)
    action = bench.actions()[-1]
    assert abs(action.pop("time") - time.time()) < 60
    assert action == {
        "pid": os.getpid(), "who": ME, "action": "lv-on", "supply": "lv_1:1", "on": True, "volts": 4.0, "amps": 3.7,
    }  # fmt: skip


def test_lv_off_under_bias_is_recorded_and_happens(bench):
    bench.lv_on(ME)
    bench.hv_on(ME)
    bench.lv_off(ME)
    assert bench.readings().lv.on is False
    assert bench.violations() == ("test: lv_1:1 switched off while hv_1:1 is on at -50 V",)


def test_lv_on_under_bias_is_recorded(bench):
    bench.hv_on(ME)
    bench.lv_on(ME)
    assert bench.violations() == (
        "test: hv_1:1 driven while lv_1:1 is off",
        "test: lv_1:1 switched on while hv_1:1 is on at -50 V",
    )


def test_an_lv_sweep_under_bias_is_recorded(bench):
    bench.lv_on(ME)
    bench.hv_on(ME)
    bench.set_lv(ME, amps=5.0)
    assert bench.readings().lv.current_a == 5.0
    assert bench.violations() == ("test: lv_1:1 changed while hv_1:1 is on at -50 V",)


def test_bias_without_lv_is_recorded_and_happens(bench):
    bench.hv_on(ME)
    assert bench.readings().hv.voltage_v == -50.0
    assert bench.violations() == ("test: hv_1:1 driven while lv_1:1 is off",)


def test_bias_needs_lv_of_every_module_that_hangs_on_it(tmp_path):
    bench = two_modules_on_one_bias(tmp_path)
    first = bench.given({"lv_1": INSTRUMENTS["lv_1"]}, {"0": {"lv": {"instrument": "lv_1", "channel": 1}}})
    first.lv_on(ME)
    bench.hv_on(ME)
    assert bench.violations() == ("test: hv_1:1 driven while lv_1:2 is off",)


def test_hv_switched_off_hard_is_recorded_only_above_10_v(bench):
    bench.lv_on(ME)
    bench.hv_on(ME, -10)
    bench.hv_off(ME, ramp=False)
    assert bench.violations() == ()
    bench.hv_on(ME, -15)
    bench.hv_off(ME, ramp=False)
    assert bench.violations() == ("test: hv_1:1 switched off hard at -15 V",)
    assert bench.readings().hv_gone


def test_a_bias_beyond_the_breakdown_is_recorded_once(bench):
    bench.lv_on(ME)
    bench.set_breakdown(-40)
    bench.hv_on(ME)
    assert bench.violations() == ("test: hv_1:1 biased to -45 V, beyond the breakdown at -40 V",)


def test_a_sweep_may_go_beyond_the_breakdown(bench):
    bench.lv_on(ME)
    bench.set_breakdown(-40)
    for volts in range(0, -65, -5):
        bench.set_hv(ME, volts)
    bench.hv_off(ME)
    assert bench.violations() == ()


def test_a_supply_moved_by_somebody_who_has_not_opened_it_is_recorded(bench):
    bench.release(Role, ME)
    bench.lv_on(ME)
    assert bench.readings().lv.on
    assert bench.violations() == ("test: lv_1:1 moved without holding it",)


def test_an_instrument_held_by_a_live_process_cannot_be_opened_or_moved(tmp_path):
    bench = make(tmp_path)
    bench.release(Role, ME)
    with process(tmp_path, "bench.acquire([Role.LV], 'other'); ready(); sys.stdin.read()") as other:
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(SupplyError, match=f"lv_1 is held by other \\(pid {other.pid}\\)"):
            bench.acquire(Role, ME)
        with pytest.raises(SupplyError, match="held by other"):
            bench.lv_on(ME)
        assert bench.readings().lv.on is False
        bench.acquire([Role.HV, Role.AB], ME)
    assert len(bench.violations()) == 2
    bench.acquire(Role, ME)
    assert len(bench.violations()) == 2


def test_a_handle_dies_with_its_process(tmp_path):
    bench = make(tmp_path)
    bench.release(Role, ME)
    other = process(tmp_path, "bench.acquire(Role, 'other'); ready(); sys.stdin.read()")
    with other:
        assert other.stdout.readline() == "ready\n"
        other.kill()
        # not reaped yet: a zombie holds nothing either
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        bench.acquire(Role, ME)
    assert bench.violations() == ()


def test_a_process_killed_in_mid_ramp_leaves_the_supply_where_it_was(tmp_path):
    bench = make(tmp_path, speed=50)
    bench.release(Role, ME)
    ramp = """
        bench.acquire(Role, 'other'); bench.lv_on('other'); bench.hv_on('other', -20); ready(); bench.hv_on('other', -200)
    """
    with process(tmp_path, ramp) as other:
        assert other.stdout.readline() == "ready\n"
        other.kill()
    left = bench.readings()
    assert left.hv.on
    assert -200 < left.hv.voltage_v <= -20
    bench.acquire(Role, ME)
    bench.hv_off(ME)
    bench.lv_off(ME)
    assert bench.violations() == ()


def test_ctrl_c_waits_until_a_move_is_both_done_and_recorded(bench):
    def move():
        with bench.files.exchange() as exchange:
            signal.raise_signal(signal.SIGINT)
            exchange.record(ME, "moved")
            exchange.state.breakdown_v = -1.0

    with pytest.raises(KeyboardInterrupt):
        move()
    assert bench.actions()[-1]["action"] == "moved"
    assert bench.files.read().breakdown_v == -1.0
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_many_processes_at_once_lose_no_action(tmp_path):
    bench = make(tmp_path)
    bench.release(Role, ME)
    crowd = [
        process(tmp_path, f"[bench.check_step(StepType.IVCURVE, '{name}') for _ in range(40)]")
        for name in "abc"
    ]
    for one in crowd:
        with one:
            assert one.wait(20) == 0
    checks = [action["who"] for action in bench.actions() if action["action"] == "check-step"]
    assert sorted(checks) == sorted("abc" * 40)


RAILS = {"off": [], "powered": ["lv_on"], "biased": ["lv_on", "hv_on"]}
RIGHT = {StepType.GENERAL: "powered", StepType.TUNING: "biased", StepType.OPENBUMPS: "biased"}


@pytest.mark.parametrize("rails", RAILS)
@pytest.mark.parametrize("step_type", RIGHT)
def test_a_calibration_without_supplies_is_checked_against_its_rails(bench, rails, step_type):
    for move in RAILS[rails]:
        getattr(bench, move)(ME)
    right = RIGHT[step_type] == rails
    assert bench.check_step(step_type, "child") is right
    assert (bench.violations() == ()) is right
    assert all(
        text.startswith(f"child: runs a calibration of type {step_type}") for text in bench.violations()
    )


def test_a_bias_other_than_the_default_is_no_bias(bench):
    bench.lv_on(ME)
    bench.hv_on(ME, -45)
    assert not bench.check_step(StepType.TUNING, "child")


def test_of_several_outputs_the_one_furthest_from_safe_is_read(tmp_path):
    bench = two_modules_on_one_bias(tmp_path)
    second = bench.given({"lv_1": INSTRUMENTS["lv_1"]}, {"1": {"lv": {"instrument": "lv_1", "channel": 2}}})
    second.lv_on(ME)
    assert bench.readings().lv.on is None, "half of the outputs on is neither on nor off"
    assert bench.readings().lv.voltage_v == 4.0


def test_a_supply_that_the_bench_does_not_have_cannot_be_given(bench):
    with pytest.raises(SupplyError, match="hv_9: no such instrument"):
        bench.given({"hv_9": {}}, {})
    with pytest.raises(SupplyError, match="lv_1:7: no such instrument"):
        bench.given(INSTRUMENTS, {"0": {"lv": {"instrument": "lv_1", "channel": 7}}})


def test_a_bench_is_never_made_twice(tmp_path):
    make(tmp_path)
    with pytest.raises(FileExistsError):
        make(tmp_path)


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_a_speed_that_is_none_is_refused(tmp_path, speed):
    with pytest.raises(ValueError, match="speed"):
        make(tmp_path, speed=speed)


def test_a_wrong_fault_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(ValueError, match="fault for 'power'"):
        make(tmp_path, {"power": "smoke"})
    assert not (tmp_path / "bench").exists()


def test_a_channel_without_its_instrument_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'lv_2', which is not an instrument"):
        make(tmp_path, channels={"0": {"lv": {"instrument": "lv_2"}}})


def test_a_supply_without_defaults_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'lv_1' has no number as default_voltage"):
        make(tmp_path, instruments=INSTRUMENTS | {"lv_1": {}})


def test_a_torn_line_hides_no_other(bench):
    bench.lv_on(ME)
    whole = bench.actions()
    with (bench.files.folder / "power.jsonl").open("a") as record:
        record.write(json.dumps(whole[-1])[:20])
    assert bench.actions() == whole


def test_hv_off_that_fails_leaves_it_on(tmp_path):
    bench = make(tmp_path, {"power": "hv-off-fails"})
    bench.lv_on(ME)
    bench.hv_on(ME)
    for _ in range(3):
        with pytest.raises(SupplyError, match="hv-off: simulated failure"):
            bench.hv_off(ME)
    assert bench.readings().hv.voltage_v == -50.0


def test_lv_off_that_fails_leaves_it_on(tmp_path):
    bench = make(tmp_path, {"power": "lv-off-fails"})
    bench.lv_on(ME)
    with pytest.raises(SupplyError, match="lv-off"):
        bench.lv_off(ME)
    assert bench.readings().lv.on


def test_a_move_may_fail_a_given_number_of_times(tmp_path):
    bench = make(tmp_path, {"power": "lv-on-fails:2"})
    for _ in range(2):
        with pytest.raises(SupplyError):
            bench.lv_on(ME)
    bench.lv_on(ME)
    assert bench.readings().lv.on


def test_fails_once_means_the_first_move_by_anybody(tmp_path):
    bench = make(tmp_path, {"power": "fails-once"})
    with pytest.raises(SupplyError):
        bench.lv_on(ME)
    bench.lv_on(ME)
    bench.hv_on(ME)
    again = SimulatedBench.open(tmp_path / "bench")
    again.hv_off(ME)
    assert again.readings().hv_gone


def test_hv_off_may_not_answer(tmp_path):
    bench = make(tmp_path, {"power": "hv-off-hangs:0.05"})
    begun = time.monotonic()
    with pytest.raises(SupplyError, match="time-out"):
        bench.hv_off(ME)
    assert time.monotonic() - begun >= 0.05


def test_voltage_may_be_left_on_hv_after_it_was_switched_off(tmp_path):
    bench = make(tmp_path, {"power": "hv-residual:-3"})
    bench.lv_on(ME)
    bench.hv_on(ME)
    bench.hv_off(ME)
    assert (bench.readings().hv.on, bench.readings().hv.voltage_v) == (False, -3.0)
    assert not bench.readings().hv_gone
    bench.lv_off(ME)
    assert bench.violations() == ("test: lv_1:1 switched off while hv_1:1 is off at -3 V",)


def test_supplies_may_be_unreadable(tmp_path):
    bench = make(tmp_path, {"power": "unreadable"})
    bench.lv_on(ME)
    assert bench.readings() == Readings()


def test_hv_may_read_as_not_a_number(tmp_path):
    assert not make(tmp_path, {"power": "hv-reads-nan"}).readings().hv_gone
