"""The Python API refuses with every problem at once, in the class of the first reason that has one."""

import json

import pytest
from input_texts import BENCH, HEAD, INSTRUMENTS, SOUND, bench_in

import calseq
from calseq.problems import InvalidCalibration, MissingInstrument, MissingTuning, Refused


def written(tmp_path, text):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return path


def test_a_sequence_by_path_or_by_name_is_loaded_and_planned(tmp_path):
    bench = calseq.load_bench(simulate=True)
    assert calseq.compile_plan(calseq.load("panthera"), bench).title == "Panthera"
    assert (
        calseq.load(written(tmp_path, SOUND), settings=["iv_curve.max_voltage=-60"]).steps[0].sweep_end_v
        == -60
    )


@pytest.mark.parametrize(
    ("steps", "kind", "ids"),
    [
        ("[iv_curv]", InvalidCalibration, ["CS203"]),
        ("[{calibration: calibrate_module, retries: 9}]", MissingTuning, ["CS207", "CS206"]),
        ("[{calibration: iv_curve, retries: 9}]", Refused, ["CS206"]),
        ("[calibrate_module, iv_curv]", MissingTuning, ["CS207", "CS203"]),
    ],
)
def test_a_bad_sequence_raises_what_fits_with_every_problem(tmp_path, steps, kind, ids):
    with pytest.raises(Refused) as caught:
        calseq.load(written(tmp_path, HEAD + f"steps: {steps}\n"))
    assert type(caught.value) is kind
    assert [problem.code.id for problem in caught.value.problems] == ids
    assert all(code in str(caught.value) for code in ids)


def test_a_missing_instrument_raises_its_own_class(tmp_path):
    data = json.loads(json.dumps(INSTRUMENTS))
    del data["channels"]["0"]["ab"]
    bench_in(tmp_path / "b", BENCH, data)
    bench = calseq.load_bench(tmp_path / "b" / "bench.yaml")
    sequence = calseq.load("sldo", bench=bench)
    with pytest.raises(MissingInstrument) as caught:
        calseq.compile_plan(sequence, bench)
    [problem] = caught.value.problems
    assert problem.code.id == "CS401"


def test_an_unknown_name_and_a_bad_bench_are_refused(tmp_path):
    for name in ("panthra", "x" * 5000, "no/such.yaml", "\0"):
        with pytest.raises(Refused) as caught:
            calseq.load(name)
        assert len(caught.value.problems) == 1
    with pytest.raises(Refused) as caught:
        calseq.load_bench(tmp_path)
    assert [problem.code.id for problem in caught.value.problems] == ["CS101"]
    with pytest.raises(ValueError, match="simulate"):
        calseq.load_bench()


def test_no_defect_inside_a_duplicated_value_is_an_exception(tmp_path):
    for text in ("a: 1\na: " + "[" * 100, "a: 1\na: &x [*x]\n", '{"a": 1, "a": ' + "[" * 100):
        with pytest.raises(Refused):
            calseq.load(written(tmp_path, text))
