"""The Python API refuses with every problem at once, in the class of the first reason that has one."""

import copy
import json
import pickle
import shutil

import pytest
from input_texts import BENCH, HEAD, INSTRUMENTS, SOUND, bench_in

import calseq
from calseq.bench.find import shipped_bench
from calseq.model.request import Request, Selection
from calseq.planning.gather import gather
from calseq.problems.refused import InvalidCalibration, MissingInstrument, MissingTuning, Refused
from calseq.system.assets import sequences


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


@pytest.mark.parametrize(
    ("kind", "documented"),
    [
        (InvalidCalibration, "Invalid dirigent calibration in calibration list."),
        (MissingInstrument, "Missing instrument in JSON file."),
        (MissingTuning, "Missing tuning list for calibration in calibration list."),
    ],
)
def test_the_exceptions_of_dirigents_class_keep_their_contract(kind, documented):
    owner = object()
    error = kind(owner)
    assert (error.owner, error.message, str(error)) == (owner, documented, documented)
    assert error.problems == ()
    error = kind("panthera", "no such thing")
    assert (error.owner, error.message, str(error)) == ("panthera", "no such thing", "no such thing")
    assert (kind(owner=1, message="m").owner, kind(1, message="m").message) == (1, "m")
    assert issubclass(kind, Refused)


def test_an_exception_that_is_raised_for_a_file_names_it_and_survives_a_copy(tmp_path):
    path = written(tmp_path, HEAD + "steps: [iv_curv]\n")
    with pytest.raises(InvalidCalibration) as caught:
        calseq.load(path)
    error = caught.value
    assert error.owner == str(path)
    assert error.message == "Invalid dirigent calibration in calibration list."
    assert "'iv_curv' is not a known calibration" in str(error)
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (other.owner, other.message, str(other)) == (error.owner, error.message, str(error))
        assert other.problems == error.problems
    with pytest.raises(Refused) as plain:
        calseq.load("panthra")
    assert str(pickle.loads(pickle.dumps(plain.value))) == str(plain.value)


def test_python_and_the_command_line_make_the_same_plan(tmp_path):
    """Also of a sequence that goes by an official one's name and differs from it."""
    text = (sequences() / "panthera.yaml").read_text().replace("max_voltage: -80", "max_voltage: -85")
    mine = tmp_path / "panthera.yaml"
    mine.write_text(text)
    site = tmp_path / "bench"
    shutil.copytree(shipped_bench().parent, site)
    with (site / "bench.yaml").open("a") as file:
        file.write("official:\n  panthera: sha256:" + "0" * 64 + "\n")
    chosen = Selection(skip=("sldo_vi_curves",))
    typed = gather(Request(str(mine), str(site / "bench.yaml"), simulate=True, speed=900, selection=chosen))
    bench = calseq.load_bench(site / "bench.yaml", simulate=True, speed=900)
    plan = calseq.compile_plan(calseq.load(mine, bench=bench), bench, chosen)
    assert typed.plan is not None
    assert calseq.to_json(plan) == calseq.to_json(typed.plan)
    assert len(plan.standing.differences) == 2


def test_a_speed_is_for_a_simulated_bench_only(tmp_path):
    bench_in(tmp_path, BENCH, INSTRUMENTS)
    with pytest.raises(Refused) as caught:
        calseq.load_bench(tmp_path / "bench.yaml", speed=600)
    [problem] = caught.value.problems
    assert (
        problem.code.id
        == gather(Request("sldo", str(tmp_path / "bench.yaml"), speed=600)).problems[-1].code.id
    )
    assert calseq.load_bench(shipped_bench(), speed=600).simulation.speed == 600
