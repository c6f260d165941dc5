"""No voltage beyond the HV limit of a sequence or a bench passes, wherever it is written."""

import pytest
from input_texts import BENCH, INSTRUMENTS, sequence_of, sound_bench, told

from calseq.planning.compiler import compile_plan

CURVE = "calseq: 1\ntitle: x\nlimits: {hv: -60}\nsteps:\n  - calibration: iv_curve\n    options: {max_voltage: -80}\n"


def problems(tmp_path, text, *settings, bench=BENCH, instruments=INSTRUMENTS, **files):
    sequence, found = sequence_of(text, *settings)
    if sequence is None:
        return found
    compiled = compile_plan(sequence, sound_bench(tmp_path, bench, instruments, **files))
    return [problem for problem in compiled.problems if problem.code.id == "CS419"]


def test_an_option_beyond_the_limit_of_the_sequence_is_refused_at_its_place(tmp_path):
    (problem,) = problems(tmp_path, CURVE)
    assert problem.message == "'max_voltage' -80 V is beyond the limit of -60 V"
    assert problem.place.span.line == 6


def test_the_limit_of_the_bench_counts_too_and_the_stricter_one_wins(tmp_path):
    text = CURVE.replace("limits: {hv: -60}\n", "")
    assert problems(tmp_path, text) == []
    (problem,) = problems(tmp_path, text, bench=BENCH + "limits: {hv: -70}\n")
    assert "beyond the limit of -70 V" in problem.message
    (problem,) = problems(tmp_path, CURVE, bench=BENCH + "limits: {hv: -70}\n")
    assert "beyond the limit of -60 V" in problem.message


def test_a_setting_on_the_command_line_is_held_to_the_limit(tmp_path):
    text = CURVE.replace("-80", "-60")
    assert problems(tmp_path, text) == []
    (problem,) = problems(tmp_path, text, "iv_curve.max_voltage=-350")
    assert problem.place.source.name == "--set"


@pytest.mark.parametrize("value", [-60, -10, 60])
def test_what_is_within_the_limit_passes_whatever_its_sign(tmp_path, value):
    text = (
        CURVE.replace("-80", str(value))
        if value < 0
        else CURVE.replace("max_voltage: -80", f"temp_voltage: {value}, max_voltage: -60")
    )
    assert problems(tmp_path, text) == []


def test_a_curve_of_unknown_end_is_refused_under_a_limit(tmp_path):
    (problem,) = problems(tmp_path, CURVE.replace("    options: {max_voltage: -80}\n", ""))
    assert "it is not known how far 'iv_curve' goes" in problem.message


def test_the_bias_of_the_bench_is_held_to_the_limit(tmp_path):
    text = "calseq: 1\ntitle: x\nlimits: {hv: -40}\nsteps: [voltage_trimming]\n"
    (problem,) = problems(tmp_path, text)
    assert problem.message == "the bias -50 V of 'hv_1' is beyond the limit of -40 V"
    assert problem.place.source.name.endswith("instruments.json")


def test_a_sequence_without_a_limit_has_none(tmp_path):
    assert told(problems(tmp_path, CURVE.replace("limits: {hv: -60}\n", ""))) == []
