"""Choosing steps: --only, --skip, --from, --until; what is left out is said, and what it takes from others, too."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

import calseq
from calseq.cli.options import completion
from calseq.model.plan import from_json, to_json
from calseq.model.request import Request, Selection
from calseq.planning.gather import gather

STEPS = ["sldo_vi_curves", "voltage_trimming", "iv_curve", "tune_1000", "open_bumps"]


def gathered(**chosen):
    return gather(Request("panthera", simulate=True, selection=Selection(**chosen)))


def running(**chosen):
    return [step.name for step in gathered(**chosen).plan.steps if not step.left_out]


@pytest.mark.parametrize(
    ("chosen", "steps"),
    [
        ({}, STEPS),
        ({"only": ("iv_curve",)}, ["iv_curve"]),
        ({"only": ("iv_curve", "sldo_vi_curves")}, ["sldo_vi_curves", "iv_curve"]),
        ({"skip": ("sldo_vi_curves", "open_bumps")}, STEPS[1:4]),
        ({"start": "iv_curve"}, STEPS[2:]),
        ({"until": "iv_curve"}, STEPS[:3]),
        ({"start": "voltage_trimming", "until": "tune_1000"}, STEPS[1:4]),
        (
            {"start": "voltage_trimming", "skip": ("iv_curve",)},
            ["voltage_trimming", "tune_1000", "open_bumps"],
        ),
        ({"only": ("iv_curve", "tune_1000"), "until": "iv_curve"}, ["iv_curve"]),
    ],
)
def test_what_is_chosen_runs(chosen, steps):
    assert running(**chosen) == steps


def test_every_step_that_is_left_out_says_why():
    plan = gathered(
        only=("iv_curve", "tune_1000", "voltage_trimming"), start="voltage_trimming", skip=("tune_1000",)
    ).plan
    assert [step.left_out for step in plan.steps] == [
        "before --from voltage_trimming", "", "", "--skip tune_1000", "not in --only iv_curve, tune_1000, voltage_trimming",
    ]  # fmt: skip
    assert from_json(to_json(plan)) == plan


@pytest.mark.parametrize(
    ("chosen", "message", "cure"),
    [
        ({"skip": ("iv_curv",)}, "no step is named 'iv_curv'", "did you mean 'iv_curve'?"),
        ({"start": "xyzzy"}, "no step is named 'xyzzy'", "steps: sldo_vi_curves, voltage_trimming"),
        ({"skip": tuple(STEPS)}, "leaves no step to run", "leave one of them out"),
        (
            {"start": "open_bumps", "until": "iv_curve"},
            "--from open_bumps --until iv_curve leaves no step to run",
            "'iv_curve' comes before 'open_bumps'",
        ),
    ],
)
def test_a_choice_that_cannot_be_meant_is_refused(chosen, message, cure):
    problems = gathered(**chosen).problems
    assert [problem.code.id for problem in problems if problem.is_error] == ["CS310"]
    assert message in problems[-1].message + problems[0].message
    assert any(cure in problem.cure for problem in problems)


def test_a_bias_whose_curve_is_left_out_says_so():
    found = gathered(skip=("iv_curve",))
    warning = next(problem for problem in found.problems if problem.code.id == "CS302")
    assert "the IV curve before it is left out (--skip iv_curve)" in warning.message
    assert warning.cure.startswith("take 'iv_curve' in")
    assert any("CS302" in text for text in found.plan.warnings)


def test_no_advice_is_given_on_what_does_not_run(tmp_path):
    steps = [
        {"calibration": "calibrate_module", "tuning": "T", "timeout": "1m"},
        "voltage_trimming",
        "iv_curve",
    ]
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps({"calseq": 1, "title": "T", "steps": steps}))

    def codes(**chosen):
        found = gather(Request(str(path), simulate=True, selection=Selection(**chosen)))
        return sorted(problem.code.id for problem in found.problems)

    assert codes() == ["CS302", "CS305", "CS306"]
    assert codes(skip=("calibrate_module",)) == []
    assert codes(only=("voltage_trimming",)) == []


def test_a_curve_biases_only_for_a_step_that_runs():
    after = {step.name: step.after.hv for step in gathered(until="iv_curve").plan.steps}
    assert after["iv_curve"] == "off"
    after = {step.name: step.after.hv for step in gathered(skip=("tune_1000",)).plan.steps}
    assert after["iv_curve"] == "bias"


def test_an_instrument_that_only_left_out_steps_need_may_be_missing(tmp_path):
    (tmp_path / "i.json").write_text(json.dumps({"instruments": {"lv_1": {"class": "TTITSX", "resource": "R", "default_voltage": 4.0, "default_current": 3.0}}, "channels": {"0": {"lv": {"instrument": "lv_1", "channel": 1}}}}))  # fmt: skip
    (tmp_path / "b.yaml").write_text(
        "calseq-bench: 1\nname: b\ninstruments: i.json\npower: {mode: dirigent}\n"
    )
    (tmp_path / "s.yaml").write_text(
        json.dumps({"calseq": 1, "title": "T", "steps": ["voltage_trimming", "sldo_vi_curves"]})
    )
    request = Request(str(tmp_path / "s.yaml"), str(tmp_path / "b.yaml"))
    assert "CS401" in {problem.code.id for problem in gather(request).problems}
    chosen = Request(request.sequence, request.bench, selection=Selection(skip=("sldo_vi_curves",)))
    assert gather(chosen).plan is not None


def test_python_programs_choose_as_well():
    bench = calseq.load_bench(simulate=True)
    plan = calseq.compile_plan(calseq.load("panthera", bench=bench), bench, Selection(only=("iv_curve",)))
    assert sum(not step.left_out for step in plan.steps) == 1
    with pytest.raises(calseq.Refused, match="CS310"):
        calseq.compile_plan(calseq.load("panthera", bench=bench), bench, Selection(only=("iv",)))


def test_a_plan_shows_what_is_left_out_in_every_format():
    def plan(*words):
        argv = [
            sys.executable,
            "-m",
            "calseq",
            "plan",
            "panthera",
            "--simulate",
            "--until",
            "iv_curve",
            *words,
        ]
        return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout

    assert "5 steps, 2 left out" in plan()
    assert "left out: after --until iv_curve" in plan()
    assert "# step 4/5 tune_1000 is left out: after --until iv_curve" in plan("--format", "sh")
    assert json.loads(plan("--format", "json"))["steps"][4]["left_out"] == "after --until iv_curve"


def test_tab_offers_the_steps_of_the_sequence_that_is_typed(tmp_path):
    typed = SimpleNamespace(params={"sequence": "panthera"}, args=[])
    assert completion.steps(typed, "") == STEPS
    assert completion.steps(typed, "tu") == ["tune_1000"]
    for other in ({}, {"sequence": "nosuch"}, {"sequence": str(tmp_path)}):
        assert completion.steps(SimpleNamespace(params=other, args=[]), "") == []


def test_tab_works_in_a_shell():
    line = "calseq execute panthera --skip tu"
    asked = {"_CALSEQ_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": "4"}
    argv = [sys.executable, "-c", "from calseq.cli import app; app(prog_name='calseq')"]
    told = subprocess.run(
        argv, capture_output=True, text=True, timeout=30, check=False, env=os.environ | asked
    )
    assert told.stdout.split() == ["tune_1000"], told.stderr


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("iv_curve.max", ["iv_curve.max_voltage="]),
        ("iv", ["iv_curve."]),
        ("iv_curve.st", ["iv_curve.start_voltage=", "iv_curve.step_size="]),
        ("nothing.", []),
    ],
)
def test_tab_completes_what_may_be_set(tmp_path, typed, offered):
    words = f"calseq plan panthera --set {typed}"
    asked = {"_CALSEQ_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "4"}
    done = subprocess.run(
        [sys.executable, "-c", "from calseq.cli import app; app(prog_name='calseq')"],
        cwd=tmp_path,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == offered
