import signal

import pytest

from calseq.simulator.faults import FAULTS, POWER_FAULTS, Fault, check, of_power, of_step, parse

VALUES = {
    "exit": "3",
    "signal": "SEGV",
    "sleep": "0.5",
    "flood": "1GB",
    "longline": "10kB",
    "breakdown": "-40",
    "ends": "-40",
    "compliance": "-30",
    "rise": "-40",
}


@pytest.mark.parametrize("kind", FAULTS)
def test_every_documented_fault_can_be_given(kind):
    text = f"{kind}:{VALUES[kind]}" if kind in VALUES else kind
    (fault,) = parse(text)
    assert (fault.kind, fault.attempt) == (kind, None)


@pytest.mark.parametrize("kind", POWER_FAULTS)
def test_every_documented_power_fault_can_be_given(kind):
    text = "hv-residual:-3" if kind == "hv-residual" else kind
    assert parse(text, POWER_FAULTS)[0].kind == kind


@pytest.mark.parametrize("kind", VALUES)
def test_a_fault_that_needs_a_value_says_so(kind):
    with pytest.raises(ValueError, match=f"'{kind}' needs a value"):
        parse(kind)


@pytest.mark.parametrize("kind", [kind for kind in FAULTS if kind not in VALUES])
def test_a_fault_without_a_value_refuses_one(kind):
    with pytest.raises(ValueError, match="takes no value"):
        parse(f"{kind}:1")


def test_values_are_numbers():
    assert parse("exit:3@1+no-output") == (Fault("exit", 3, 1), Fault("no-output"))
    assert parse("signal:SIGTERM")[0].value == parse("signal:term")[0].value == signal.SIGTERM
    assert parse("flood:1GB")[0].value == 10**9
    assert parse("longline:12")[0].value == 12
    assert parse("breakdown:-40")[0].value == -40.0


@pytest.mark.parametrize(
    "text",
    [
        "", "exit:256", "exit:-1", "exit:x", "signal:NONE", "flood:1TB", "sleep:1000", "sleep:nan", "breakdown:nan",
        "breakdown:inf", "hang@0", "hang@x", "hang++exit:1", "HANG",
    ],
)  # fmt: skip
def test_nonsense_is_refused(text):
    with pytest.raises(ValueError):
        parse(text)


def test_an_unknown_fault_is_answered_with_the_likely_one_and_all_known_ones():
    with pytest.raises(ValueError, match=r"unknown fault 'hagn', did you mean 'hang'\? \(known: exit, .*\)"):
        parse("hagn")


def test_a_wrong_fault_of_a_bench_is_named_with_its_step():
    with pytest.raises(ValueError, match="fault for 'tune': unknown fault"):
        check({"iv_curve": "hang", "tune": "boom"})


def test_supplies_and_steps_have_faults_of_their_own():
    with pytest.raises(ValueError, match="fault for 'power'"):
        check({"power": "hang"})
    with pytest.raises(ValueError, match="fault for 'iv_curve'"):
        check({"iv_curve": "unreadable"})


def test_the_name_of_a_step_goes_before_its_calibration():
    faults = {"fine": "hang", "custom_sequence": "exit:1"}
    assert "hang" in of_step(faults, "fine", "custom_sequence", 1)
    assert "exit" in of_step(faults, "coarse", "custom_sequence", 1)
    assert not of_step(faults, "coarse", "iv_curve", 1).faults


def test_a_fault_may_belong_to_one_attempt():
    faults = {"iv_curve": "exit:3@1+no-output"}
    assert of_step(faults, "iv_curve", "iv_curve", 1).value("exit") == 3
    assert "exit" not in of_step(faults, "iv_curve", "iv_curve", 2)
    assert "no-output" in of_step(faults, "iv_curve", "iv_curve", 2)


def test_power_faults_stand_under_their_own_key():
    assert of_power({"power": "hv-residual:-3+unreadable"}).value("hv-residual") == -3
    assert not of_power({"iv_curve": "hang"}).faults
