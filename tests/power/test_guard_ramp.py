"""The ramp of HV is the guard's own: no step of a file, no late or wrong answer and no trip makes a cut of it."""

from itertools import pairwise

import pytest
from guard_bench import CHANNELS, INSTRUMENTS, Icicle, until

from calseq.model import rails
from calseq.power import icicle as adapter

STEPS = [0, -5, 500, 1000, True, "5", None, float("nan"), float("inf"), [5], -0.0]


def bench_of(tmp_path, volts=-50, speed=2000.0, **settings):
    supply = {**INSTRUMENTS["hv_1"], "default_voltage": volts, **settings}
    return Icicle(tmp_path, instruments={**INSTRUMENTS, "hv_1": supply}, speed=speed)


def biased(bench, start, **fields):
    guard = start(bench, **fields)
    guard.move("lv-on")
    guard.move("hv-bias")
    return guard


def jumps(bench):
    """Give the largest step that HV made while it was on."""
    levels = [
        line for line in bench.record() if line.get("output", "").startswith("hv") and line["action"] == "set"
    ]
    return max(abs(one["volts"] - other["volts"]) for one, other in pairwise(levels) if other["on"])


@pytest.mark.parametrize("size", STEPS[:4])
@pytest.mark.parametrize("volts", [-50, -350])
def test_whatever_step_the_file_asks_for_hv_is_ramped_and_never_cut(tmp_path, start, size, volts):
    bench = bench_of(tmp_path, volts, default_step_size=size)
    guard = biased(bench, start)
    assert bench.volts() == volts
    guard.move("hv-off")
    assert jumps(bench) <= 10
    guard.leave()
    assert guard.ended() == 0
    bench.assert_safe()


@pytest.mark.parametrize("size", STEPS)
@pytest.mark.parametrize("delay", [0, -1, 0.05, 3, True, "1", None, float("nan"), float("inf")])
def test_the_guard_and_the_model_make_the_same_ramp_of_any_settings(size, delay):
    settings = {"default_step_size": size, "default_delay": delay}
    assert adapter.ramp_step_v(settings) == rails.ramp_step_v(settings)
    assert 0 < rails.ramp_step_v(settings) <= 10
    assert adapter.ramp_delay_s(settings) == rails.ramp_delay_s(settings)
    assert rails.ramp_delay_s(settings) >= 0.1


@pytest.mark.parametrize("name", ["RAMP_STEP_V", "RAMP_DELAY_S", "RAMP_STEP_MOST_V", "RAMP_DELAY_LEAST_S"])
def test_its_constants_are_the_models(name):
    assert getattr(adapter, name) == getattr(rails, name)


@pytest.mark.parametrize("at", [25, 349])
@pytest.mark.parametrize("seconds", [12, 25, 40])
def test_answers_that_come_late_cut_nothing(tmp_path, start, at, seconds):
    """Once an answer has come late, every later one belongs to the question before, until the line is opened anew."""
    bench = bench_of(tmp_path, -350)
    bench.fail(late={"hv_1": {"at": at, "for": seconds}})
    guard = start(bench)
    guard.move("lv-on")
    guard.ask("move", move="hv-bias")
    guard.leave()
    assert guard.ended() == 0
    assert guard.noted("cut") == []
    assert jumps(bench) <= 10
    bench.assert_safe()


@pytest.mark.parametrize(
    "says",
    [
        {"hv_1 voltage": "0.0"},
        {"hv_1 voltage": "-3.5"},
        {"hv_1 voltage": "0"},
    ],
)
def test_a_level_that_reads_low_does_not_leave_the_ramp_out(tmp_path, start, says):
    """What is measured counts, too: the ramp begins at the larger of the two."""
    bench = bench_of(tmp_path, -350)
    guard = biased(bench, start)
    bench.fail(says=says)
    guard.move("hv-off")
    assert jumps(bench) <= 10
    bench.fail()
    guard.leave()
    assert guard.ended() == 0
    bench.assert_safe()


@pytest.mark.parametrize("answer", ["2", "", "-3.500000E+02", "9.91E37,0,0,0,0", "ERROR"])
def test_a_state_that_is_none_is_asked_again_and_not_believed(tmp_path, start, answer):
    bench = bench_of(tmp_path)
    guard = biased(bench, start)
    bench.fail(says={"hv_1 state": answer})
    hv = guard.ok("read")["readings"]["hv"]
    assert hv["on"] is None
    assert "its state is no state" in hv["why"]
    bench.fail()
    assert guard.ok("read")["readings"]["hv"]["on"] is True
    guard.leave()
    assert guard.ended() == 0
    bench.assert_safe()


def test_a_measurement_that_is_none_is_no_reading(tmp_path, start):
    bench = bench_of(tmp_path)
    guard = biased(bench, start)
    bench.fail(says={"hv_1 measure": "9.91E37,9.91E37,9.91E37,1,0"})
    hv = guard.ok("read")["readings"]["hv"]
    assert hv["on"] is None
    assert "that is no measurement" in hv["why"]


def test_a_keithley_that_is_off_claims_no_volts(tmp_path, start):
    bench = bench_of(tmp_path)
    guard = start(bench)
    assert guard.opened["readings"]["hv"] == {"on": False, "voltage_v": None, "current_a": None}


def test_hv_that_went_off_without_its_ramp_is_called_a_cut(tmp_path, start):
    bench = bench_of(tmp_path, -350)
    guard = biased(bench, start)
    bench.trip("hv_1:1")
    lost, cut = guard.event(), None
    assert lost["event"] == "power-lost"
    guard.move("hv-off")
    cut = guard.event()
    assert cut == {
        "event": "cut",
        "reason": "HV was cut: hv_1:1 was found off, and had been left at -350 V: it had no ramp",
    }
    assert guard.noted("cut")[0]["reason"] == cut["reason"]


def test_a_level_that_was_left_high_does_not_come_on_at_once(tmp_path, start):
    """An output that is off keeps its level: switched on like that it would jump to it."""
    bench = bench_of(tmp_path)
    guard = start(bench)
    guard.move("lv-on")
    bench.put("hv_1:1", set=-350.0)
    guard.move("hv-bias")
    on = next(line for line in bench.record() if line["action"] == "state" and line["output"] == "hv_1:1")
    assert (on["on"], on["volts"]) == (True, 0.0)
    assert jumps(bench) <= 10


def test_the_range_of_a_keithley_is_set_before_its_bias(tmp_path, start):
    bench = bench_of(tmp_path, -350)
    biased(bench, start)
    actions = [line["action"] for line in bench.record() if line["action"] in ("range", "state")]
    assert actions.index("range") < len(actions) - 1 - actions[::-1].index("state")
    assert [line["volts"] for line in bench.record() if line["action"] == "range"] == [-350.0]


def test_nothing_that_tells_the_voltage_is_no_reason_to_cut_it(tmp_path, start):
    bench = bench_of(tmp_path)
    guard = biased(bench, start)
    bench.fail(visa_timeout=["hv_1"])
    assert "VI_ERROR_TMO" in guard.error("move", move="hv-off")
    assert ("hv_1:1", False) not in bench.switched()
    bench.fail()
    guard.leave()
    assert guard.ended() == 0
    assert jumps(bench) <= 10
    bench.assert_safe()


def test_a_supply_that_answers_again_is_switched_off_by_a_guard_that_went_on_trying(tmp_path, start):
    bench = bench_of(tmp_path)
    guard = biased(bench, start, unknown={"for_s": 30, "every_s": 0.1})
    bench.fail(visa_timeout=["hv_1"])
    reply = guard.ok("close")
    assert reply["confirmed"] is False
    until(guard.marker.exists)
    assert guard.marker.read_text().startswith("HARDWARE STATE UNKNOWN")
    assert guard.noted("ended") == []  # its last word comes after its last try
    bench.fail()
    assert guard.ended() == 0
    assert guard.marker.read_text().startswith("HV off, LV off: confirmed\n")
    assert guard.noted("ended")[-1]["confirmed"] is True
    bench.assert_safe()


def test_between_its_further_tries_the_instruments_are_free_for_others(tmp_path, start):
    bench = bench_of(tmp_path)
    guard = biased(bench, start, unknown={"for_s": 30, "every_s": 10})
    bench.fail(visa_timeout=["lv_1"])
    guard.ok("close")

    def free():
        handles = [line for line in bench.record() if line["action"] in ("open", "close")]
        last = {line["instrument"]: line["action"] for line in handles}
        return set(last.values()) == {"close"}

    until(free)
    bench.fail()
    guard.process.terminate()  # it is enough: one more try, and then the end
    assert guard.ended() == 0
    bench.assert_safe()


def test_several_supplies_are_ramped_each_from_where_it_is(tmp_path, start):
    other = {
        **INSTRUMENTS["hv_1"],
        "resource": "ASRL/dev/hv2::INSTR",
        "default_voltage": -80,
        "default_step_size": 0,
    }
    lv = {"instrument": "lv_1", "channel": 2}
    channels = {**CHANNELS, "1": {"lv": lv, "hv": {"instrument": "hv_2", "channel": 1}}}
    bench = Icicle(tmp_path, instruments={**INSTRUMENTS, "hv_2": other}, channels=channels)
    guard = biased(bench, start)
    assert (bench.outputs()["hv_1:1"]["set"], bench.outputs()["hv_2:1"]["set"]) == (-50, -80)
    guard.leave()
    assert guard.ended() == 0
    assert bench.violations() == []
    assert not any(output["on"] for output in bench.outputs().values())


def test_an_lv_supply_that_stays_away_does_not_keep_hv_on_in_the_further_tries(tmp_path, start):
    bench = bench_of(tmp_path)
    guard = biased(bench, start, unknown={"for_s": 30, "every_s": 0.1})
    bench.fail(visa_timeout=["hv_1", "lv_1"])
    assert guard.ok("close")["confirmed"] is False
    bench.fail(visa_timeout=["lv_1"], enter_fails=["lv_1"])
    until(lambda: ("hv_1:1", False) in bench.switched())
    assert ("lv_1:1", False) not in bench.switched()
    bench.fail()
    assert guard.ended() == 0
    assert jumps(bench) <= 10
    bench.assert_safe()


def test_an_instrument_that_did_not_open_again_once_is_opened_later(tmp_path, start):
    bench = bench_of(tmp_path)
    guard = biased(bench, start, poll_s=60)
    bench.fail(visa_timeout=["hv_1"])
    assert "VI_ERROR_TMO" in guard.ok("read")["readings"]["hv"]["why"]
    bench.fail(enter_fails=["hv_1"])
    assert "open hv_1" in guard.ok("read")["readings"]["hv"]["why"]
    bench.fail()
    assert guard.ok("read")["readings"]["hv"]["voltage_v"] == -50
    guard.leave()
    assert guard.ended() == 0
    bench.assert_safe()
