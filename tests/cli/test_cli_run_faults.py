"""Every fault of the simulator, through the real command line: the bench is safe and the verdict true."""

import signal
import time

import pytest
from cli_runs import stand, step, together

from calseq.simulator.faults import FAULTS, POWER_FAULTS

assert stand  # a fixture

KINDS = ("sldo_vi_curves", "voltage_trimming", "iv_curve", "custom_sequence")
P, F, T, M, S = "passed", "failed", "timed-out", "missing-output", "skipped"
GOOD = (P,) * 4

# fault: verdicts of sldo, general, curve, tuning. What fails in the curve takes the bias of the rest.
EXPECTED = {
    "exit:0": (M, P, M, S),
    "exit:3": (F, F, F, S),
    "signal:SEGV": (F, F, F, S),
    "signal:KILL": (F, F, F, S),
    "hang": (T, T, T, S),
    "stop": (T, T, T, S),
    "sleep:0.2": GOOD,
    "prompt": (F, F, F, S),
    "flood:3MB": GOOD,
    "longline:1MB": GOOD,
    "garbage": GOOD,
    "close-output": GOOD,
    "no-output": (M, P, M, S),
    "empty-output": (M, P, M, S),
    "grandchild": GOOD,
    "daemon": GOOD,
}
CURVES = {
    # dirigent judges beyond 60 V only: below that the curve is the one witness
    "breakdown:-40": "from 54.33 V on; breakdowns.json says none",
    "breakdown:-30": "curve of C2HQ0 at its compliance (10 µA) from",
    "ends:-40": "curve of C2HQ0 ended at 40 V, short of -50 V and one step",
    "compliance:-30": "curve of C2HQ0 at its compliance (10 µA) from 30 V on; breakdowns.json says none",
    "rise:-20": "curve of C2HQ0 at its compliance (10 µA) from",
    "drift": "curve of C2HQ0 ended at 40 V, short of -50 V and one step",
    "two-files": "there are 2 files breakdowns.json",
    "millivolt": "V is beyond any sweep voltage",
    "sentinel": "has no reading in line 4",
    "breakdowns-malformed": "cannot be read",
    "breakdowns-missing": "no 'breakdowns.json' was written",
    "breakdowns-nan": "NaN",
    "breakdowns-other": "says nothing of",
    "breakdown:-70+breakdowns-magnitude": "has not the sign of the bias",
}
BIASED = {
    "breakdown:-70": "breakdown at -70 V",
    "rise:-40": "% in 5 V from 40 V on",
    "breakdowns-stale": "no breakdown found",
}
ENDLESS = {"stubborn": 2, "unkillable": 3}
ELSEWHERE = {"grandchild-stubborn"}


def kinds(**fields):
    return [step(kind, on_failure="continue", **fields) for kind in KINDS]


def test_every_fault_has_a_case():
    cases = {
        word.split(":")[0] for case in (*EXPECTED, *CURVES, *BIASED, *ENDLESS) for word in case.split("+")
    }
    assert cases | ELSEWHERE == set(FAULTS)


@pytest.fixture(scope="module")
def step_runs(tmp_path_factory):
    def case(fault):
        timeout = "2s" if fault in ("hang", "stop") else "30s"
        return kinds(timeout=timeout), {"faults": dict.fromkeys(KINDS, fault)}

    return together(tmp_path_factory.mktemp("steps"), {fault: case(fault) for fault in EXPECTED})


@pytest.mark.parametrize("fault", EXPECTED)
def test_a_fault_in_every_kind_of_step(step_runs, fault):
    run = step_runs[fault]
    run.prove()
    assert run.verdicts == EXPECTED[fault], run.told
    assert run.process.returncode == (0 if EXPECTED[fault] == GOOD else 1)
    assert b"simulated fault" in run.logs or "output" in fault
    if run.process.returncode:
        assert run.record["reason"] in " ".join(run.told.split()), run.told
        assert "log " in run.told


@pytest.mark.parametrize("kind", ["custom_sequence", "crosstalk_method"])
@pytest.mark.parametrize("fault", ["signal:KILL", "no-output"])
def test_a_fault_under_bias(stand, kind, fault):
    run = stand.run(step("iv_curve"), step(kind), step("voltage_trimming"), faults={kind: fault})
    run.prove()
    assert run.verdicts == ("passed", M if fault == "no-output" else F, S)


@pytest.mark.parametrize("fault", CURVES)
def test_a_doubtful_breakdown_means_no_bias(stand, fault):
    run = stand.run(
        step("iv_curve", on_failure="continue"), step("custom_sequence"), faults={"iv_curve": fault}
    )
    run.prove()
    assert run.process.returncode == 1
    assert run.verdicts[1] == "skipped"
    assert CURVES[fault] in " ".join(run.told.split())
    assert not [line for line in run.bench.actions() if line["who"] == "calseq" and line["action"] == "hv-on"]


@pytest.mark.parametrize("fault", BIASED)
def test_what_both_witnesses_allow_is_biased_and_what_is_odd_is_told(stand, fault):
    fine = step("iv_curve", options={"max_voltage": -80, "step_size": 5})
    run = stand.run(fine, step("custom_sequence"), faults={"iv_curve": fault})
    run.prove()
    assert run.process.returncode == 0
    assert BIASED[fault] in " ".join(run.told.split())


@pytest.mark.parametrize("kind", ["iv_curve", "calibrate_module"])
@pytest.mark.parametrize("fault", ENDLESS)
def test_a_child_that_will_not_end_is_ended_and_its_supplies_switched_off(stand, fault, kind):
    steps = [step(kind)] if kind != "calibrate_module" else [step("iv_curve"), step(kind)]
    run = stand.start(*steps, faults={kind: fault})
    run.wait_for(lambda: b"simulated fault" in run.logs)
    for press in range(1, ENDLESS[fault] + 1):
        run.press()
        if press < ENDLESS[fault]:
            run.wait_for_event('"child-signalled"', press)
            run.wait_for_event('"stop-asked"', press)
            time.sleep(0.12)  # two signals within a tenth of a second are one press
    assert run.end() == -signal.SIGINT
    run.prove()
    assert run.verdicts[-1] == "interrupted"


def test_a_grandchild_that_ignores_everything_is_gone_before_the_next_step(stand):
    run = stand.run(
        step("voltage_trimming"), step("get_module_info"), faults={"voltage_trimming": "grandchild-stubborn"}
    )
    run.prove()
    assert run.process.returncode == 0
    assert "left" in run.told


POWER = {
    "hv-on-fails": {1},
    "hv-off-fails": {4},
    "hv-off-fails:2": {0, 1},
    "hv-off-hangs:0.2": {4},
    "lv-on-fails": {1},
    "lv-on-fails:1": {1},
    "lv-off-fails": {4},
    "lv-off-fails:1": {0, 1},
    "fails-once": {1},
    "hv-residual:-3": {4},
    "hv-residual:1.5": {0},
    "hv-reads-nan": {4},
    "unreadable": {4},
}


@pytest.fixture(scope="module")
def power_runs(tmp_path_factory):
    steps = [step("voltage_trimming"), step("iv_curve"), step("custom_sequence")]
    return together(
        tmp_path_factory.mktemp("power"), {fault: (steps, {"faults": {"power": fault}}) for fault in POWER}
    )


@pytest.mark.parametrize("fault", POWER)
def test_supplies_that_fail_are_4_iff_off_is_not_confirmed(power_runs, fault):
    run = power_runs[fault]
    code = run.process.returncode
    assert code in POWER[fault], run.told
    if fault in ("hv-reads-nan", "unreadable"):
        assert (run.folder / "HARDWARE-STATE-UNKNOWN.txt").exists(), "nobody can know"
    else:
        run.prove()
    if code == 4:
        for line in ("HARDWARE STATE UNKNOWN - HV may be on", "do not touch the module", "hv_1", "lv_1"):
            assert line in run.told


def test_every_fault_of_the_supplies_has_a_case():
    assert {fault.split(":")[0] for fault in POWER} == set(POWER_FAULTS)


def test_the_marker_names_the_time_the_reason_and_where_to_go(power_runs):
    run = power_runs["lv-off-fails"]
    text = (run.folder / "HARDWARE-STATE-UNKNOWN.txt").read_text()
    assert text.startswith("HARDWARE STATE UNKNOWN - HV may be on\n(SIMULATED")
    assert run.record["ended"][:16] in text
    assert f"why: {run.record['reason']}" in text
    assert "last read: HV reads" in text
    for instrument in ("hv_1", "lv_1"):
        line = next(line for line in text.splitlines() if instrument in line)
        assert " at " in line
        assert "::" in line
    assert "do not touch the module" in text


def test_a_retry_repeats_the_attempt_and_keeps_what_the_first_left(stand):
    run = stand.run(step("iv_curve", retries=2), faults={"iv_curve": "exit:3@1+no-output@2"})
    run.prove()
    assert run.process.returncode == 0
    assert sorted(path.name for path in run.folder.glob("steps/*")) == [
        f"01-iv_curve{n}" for n in ("", ".2", ".3")
    ]
