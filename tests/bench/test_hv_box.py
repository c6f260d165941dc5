"""An HV box that calseq does not control: no plan with bias until the bench file says how it is used, and no word of biased sensors."""

import copy

import pytest
from input_texts import BENCH, HEAD, INSTRUMENTS, bench_in, sequence_of
from msgspec.structs import replace

from calseq.console.planview import plan_text
from calseq.model.plan import HvBox, from_json, to_json
from calseq.planning.compiler import compile_plan
from calseq.planning.loading import simulated
from calseq.problems.refused import Refused
from calseq.run.clearance import check_hv_box

CURVE = "  - {calibration: iv_curve, options: {max_voltage: -80}}\n"
BIASED = HEAD + "steps:\n" + CURVE + "  - crosstalk_method\n"
UNBIASED = HEAD + "steps:\n" + CURVE + "  - get_module_info\n"
BOXES = {
    "class": {"box": {"class": "PSIHVBox", "resource": "R9"}},
    "another class": {"switches": {"class": "My_hv_box", "resource": "R9"}},
    "name": {"hb_1": {"class": "Relays", "resource": "R9"}},
}
NONE = {
    "a relay board": {"relays": {"class": "RelayBoard", "resource": "R9"}},
    "a name that only begins so": {"hbridge": {"class": "Other", "resource": "R9"}},
}


def bench_with(folder, more=None, lines="", wires=None):
    instruments = copy.deepcopy(INSTRUMENTS)
    instruments["instruments"] |= more or {}
    instruments["channels"]["0"] |= wires or {}
    reading = bench_in(folder, BENCH + lines, instruments)
    assert reading.bench, reading.problems
    return reading.bench


def compiled(text, bench):
    sequence, problems = sequence_of(text)
    assert sequence, problems
    return compile_plan(sequence, bench)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_a_plan_with_bias_is_refused_where_nobody_says_how_the_box_is_used(tmp_path, box):
    bench = bench_with(tmp_path, box)
    compilation = compiled(BIASED, bench)
    assert compilation.plan is None
    [problem] = compilation.problems
    (name,) = box
    assert problem.code.id == "CS426"
    assert "'crosstalk_method' needs bias" in problem.message
    assert f"{name} ({box[name]['class']})" in problem.message
    assert "hv_box: closed" in problem.cure
    assert "hv_box: ask" in problem.cure
    assert problem.place.text == f'"{name}"'


def test_a_box_in_a_role_of_a_channel_is_one_whatever_its_class(tmp_path):
    box = {"switches": {"class": "Relays", "resource": "R9"}}
    bench = bench_with(tmp_path, box, wires={"hb": {"instrument": "switches"}})
    assert [problem.code.id for problem in compiled(BIASED, bench).problems] == ["CS426"]


@pytest.mark.parametrize("other", [*NONE.values(), {}], ids=[*NONE, "nothing"])
def test_what_is_no_box_refuses_nothing(tmp_path, other):
    plan = compiled(BIASED, bench_with(tmp_path, other)).plan
    assert plan
    assert plan.hv_box is None
    assert "box" not in plan_text(plan, 100, verbose=False, color=False, ascii=True)


def test_without_a_step_that_needs_bias_nothing_is_refused(tmp_path):
    plan = compiled(UNBIASED, bench_with(tmp_path, BOXES["class"])).plan
    assert plan
    shown = shown_of(plan)
    assert "calseq does not control HV box box (PSIHVBox)" in shown
    assert "bias at the supply;" not in shown


def test_a_step_that_is_left_out_needs_no_bias(tmp_path):
    sequence, _ = sequence_of(BIASED)
    last = replace(sequence.steps[1], left_out="--skip")
    sequence = replace(sequence, steps=(sequence.steps[0], last))
    plan = compile_plan(sequence, bench_with(tmp_path, BOXES["class"])).plan
    assert plan
    assert not plan.needs_bias


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("closed", "the bench file says that its channels are closed"),
        ("ask", "--hv-box-closed confirms that its channels are closed"),
    ],
)
def test_what_the_bench_says_is_in_the_plan_and_bias_is_at_the_supply(tmp_path, stated, said):
    plan = compiled(BIASED, bench_with(tmp_path, BOXES["class"], f"hv_box: {stated}\n")).plan
    assert plan.hv_box == HvBox(("box (PSIHVBox)",), stated)
    assert from_json(to_json(plan)) == plan
    shown = shown_of(plan)
    assert f"bias at the supply; calseq does not control HV box box (PSIHVBox): {said}" in shown
    assert "bias hv_1: -50 V, at the supply, through the HV box to module channel 0" in shown
    assert "reaches module" not in shown


def test_a_box_that_only_the_bench_file_speaks_of_is_one(tmp_path):
    plan = compiled(BIASED, bench_with(tmp_path, lines="hv_box: closed\n")).plan
    assert "bias at the supply; calseq does not control the HV box: the bench file says" in shown_of(plan)


def test_a_simulated_bench_has_no_box(tmp_path):
    plan = compiled(BIASED, simulated(bench_with(tmp_path, BOXES["class"]))).plan
    assert plan
    assert plan.hv_box is None


def test_another_word_is_refused_in_the_bench_file(tmp_path):
    reading = bench_in(tmp_path, BENCH + "hv_box: open\n")
    assert [(problem.code.id, problem.place.span.line) for problem in reading.problems] == [("CS206", 5)]


@pytest.mark.parametrize(
    ("text", "stated", "closed", "refused"),
    [
        (BIASED, "ask", False, True),
        (BIASED, "ask", True, False),
        (BIASED, "closed", False, False),
        (UNBIASED, "ask", False, False),
    ],
)
def test_a_run_with_bias_is_asked_for_where_the_bench_says_so(tmp_path, text, stated, closed, refused):
    plan = compiled(text, bench_with(tmp_path, BOXES["class"], f"hv_box: {stated}\n")).plan
    if not refused:
        check_hv_box(plan, closed=closed)
        return
    with pytest.raises(Refused) as caught:
        check_hv_box(plan, closed=closed)
    [problem] = caught.value.problems
    assert (problem.code.id, "--hv-box-closed" in problem.cure) == ("CS426", True)


def shown_of(plan):
    return " ".join(plan_text(plan, 200, verbose=False, color=False, ascii=True).split())
