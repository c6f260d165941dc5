"""What is read on paper: summaries, plans, scripts."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from console_runs import (
    a_plan,
    a_step,
    after,
    failed_run,
    good_run,
    resumed_run,
    simulated_plan,
    stopped,
    unsafe_run,
    until_tuning,
)
from msgspec.structs import replace

from calseq.console.planscript import plan_script
from calseq.console.planview import lanes, plan_text
from calseq.console.summary import summary
from calseq.model.events import RunEnded, StopAsked
from calseq.model.plan import DIRECTORY, Environment, OnFailure, PowerMode
from calseq.model.rails import BIASED, Role, StepType
from calseq.model.verdicts import RunVerdict
from calseq.problems.plaintext import width as columns_of
from calseq.record.view import begin

FOLDER = Path("/srv/runs/20261123-020000-panthera-C2HQ0")
WIDTHS = (40, 80, 120)

RUNS = {
    "good": good_run,
    "failed": failed_run,
    "unsafe": unsafe_run,
    "no-end": until_tuning,
    "resumed": resumed_run,
    "interrupted": lambda plan: [
        (1.0, StopAsked("Ctrl-C", 1)),
        (2.0, RunEnded(RunVerdict.INTERRUPTED, 130, 2.0, "stopped by Ctrl-C before the first step")),
    ],
}

PLANS = {
    "five": a_plan,
    "dirigent": lambda: a_plan(mode=PowerMode.DIRIGENT),
    "simulated": simulated_plan,
    "warned": lambda: a_plan(
        (a_step(1, "calibrate_module", StepType.TUNING),),
        warnings=("step 1 calibrate_module biases the sensors, and no iv_curve was measured before it",),
    ),
    "chosen": lambda: a_plan(
        tuple(
            replace(step, left_out="--skip it") if step.number in (2, 5) else step for step in a_plan().steps
        )
    ),
    "empty": lambda: a_plan((), instruments=(), supplies=(), modules=(), description=""),
}


def told(events, plan=None, width=80, *, color=False, ascii=False):  # noqa: A002
    plan = plan or a_plan()
    return summary(after(plan, events(plan)), FOLDER, width, color=color, ascii=ascii)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", RUNS)
def test_the_summary_of_every_kind_of_run(golden, name, width):
    golden(f"summary-{name}-{width}.txt", told(RUNS[name], width=width))


def test_a_summary_in_colour_and_one_in_ascii(golden):
    golden("summary-failed-colour.txt", told(failed_run, color=True))
    text = told(failed_run, ascii=True)
    assert text.isascii()
    golden("summary-failed-ascii.txt", text)


def test_the_summary_of_a_run_whose_rails_nobody_controlled():
    text = told(good_run, a_plan(mode=PowerMode.DIRIGENT))
    assert "not controlled by calseq" in text
    assert "confirmed" not in text


def test_a_simulated_summary_says_so_first_and_last():
    text = told(good_run, simulated_plan())
    assert text.lstrip().startswith("SIMULATED")
    assert "SIMULATED" in text.splitlines()[-1]


def test_a_record_without_an_end_counts_as_unknown_hardware():
    text = told(until_tuning)
    assert "HARDWARE STATE UNKNOWN - HV may be on" in text
    assert text.endswith("NOT ENDED\n")


def test_a_run_that_touched_nothing_says_so():
    assert "nothing was switched" in told(RUNS["interrupted"])


def test_paths_are_never_cut():
    assert f"{FOLDER}/steps/03-iv_curve/log.txt" in told(failed_run, width=20)


@pytest.mark.parametrize("ascii", [False, True])
def test_paper_of_any_width(ascii):  # noqa: A002
    for width in range(1, 70):
        for run in RUNS.values():
            told(run, width=width, ascii=ascii)
        for plan in PLANS.values():
            text = plan_text(plan(), width, verbose=False, color=False, ascii=ascii)
            assert max(columns_of(each) for each in text.splitlines()) <= width


@pytest.mark.parametrize("hostile", ["\x1b[2J", "[/foo]", "a\u202eb", "a\nb"])
def test_hostile_text_on_paper(hostile):
    step = a_step(1, "calibrate_module", name=f"n{hostile}")
    plan = a_plan((step,), title=hostile, warnings=(hostile,), bench=hostile, description=hostile)
    texts = (
        plan_text(plan, 80, verbose=True, color=False, ascii=False),
        summary(begin(plan), FOLDER, 80, color=False, ascii=False),
        plan_script(plan),
    )
    assert all(each.isprintable() for text in texts for each in text.splitlines())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PLANS)
def test_every_kind_of_plan(golden, name, width):
    golden(
        f"plan-{name}-{width}.txt", plan_text(PLANS[name](), width, verbose=False, color=False, ascii=False)
    )


def test_a_verbose_plan_a_coloured_one_and_one_in_ascii(golden):
    golden("plan-five-verbose.txt", plan_text(a_plan(), 80, verbose=True, color=False, ascii=False))
    golden("plan-five-colour.txt", plan_text(a_plan(), 80, verbose=False, color=True, ascii=False))
    text = plan_text(a_plan(), 80, verbose=False, color=False, ascii=True)
    assert text.isascii()
    golden("plan-five-ascii.txt", text)


def test_the_lanes_move_the_rails_in_the_only_safe_order():
    said = [lane.move or f"step {lane.step.number}" for lane in lanes(a_plan()) if lane.move or lane.step]
    assert said == [
        *("step 1", "LV on", "step 2", "LV off", "step 3", "LV on"),
        "HV to -50 V, bias? only if the IV curve allows it",
        *("step 4", "step 5", "HV off", "LV off"),
    ]


def test_a_bias_without_a_curve_before_it_is_no_maybe():
    moves = [lane.move for lane in lanes(PLANS["warned"]()) if lane.move]
    assert moves == ["LV on", "HV to -50 V", "HV off", "LV off"]


def test_a_rail_that_the_step_itself_switches_has_a_mark_of_its_own():
    curve = next(lane for lane in lanes(a_plan(), ascii=True) if lane.step and lane.step.number == 3)
    assert (curve.hv, curve.lv) == ("*", "*")
    assert a_plan().steps[2].after == BIASED
    assert Role.HV in a_plan().steps[2].given


def test_the_script_of_a_plan(golden):
    golden("plan-five.sh", plan_script(a_plan()))


def echoing(tmp_path, steps):
    """Run the script of a plan with a dirigent that writes its arguments down."""
    echo = tmp_path / "bin" / "dirigent"
    echo.parent.mkdir()
    echo.write_text('#!/bin/sh\nfor word; do printf "%s\\0" "$word"; done >>"$SEEN"\nexit 3\n')
    echo.chmod(0o755)
    plan = a_plan(steps, environment=Environment(str(tmp_path)))
    environ = {"PATH": f"{echo.parent}:{os.environ['PATH']}", "SEEN": str(tmp_path / "seen"), "RUN": "run"}
    done = subprocess.run(
        [shutil.which("sh") or "sh"], input=plan_script(plan).encode(), env=environ, cwd=tmp_path, check=False
    )
    return done.returncode, (tmp_path / "seen").read_bytes().decode().split("\0")[:-1]


def test_the_script_passes_every_argument_as_it_is_and_heeds_failures(tmp_path):
    hard = ("a b", "it's", '{"name": "x"}', "$HOME", "`id`", "new\nline\n\n", "\x1b[31m%d\\n'", "é", "")
    steps = (
        a_step(1, "voltage_trimming", StepType.GENERAL, *hard, on_failure=OnFailure.CONTINUE),
        a_step(2, "voltage_trimming", name="second"),
        a_step(3, "voltage_trimming", name="never"),
    )
    code, seen = echoing(tmp_path, steps)
    assert code == 3
    directories = [str(tmp_path / "run" / "data" / step.id) for step in steps[:2]]
    assert seen == [*steps[0].command(directories[0])[1:], *steps[1].command(directories[1])[1:]]


def test_the_script_says_at_its_top_that_it_moves_no_supply():
    assert "MOVES NO SUPPLY" in "\n".join(plan_script(a_plan()).splitlines()[:5])
    assert DIRECTORY not in plan_script(a_plan())


def test_colour_is_the_only_escape_that_is_sent():
    for text in (
        told(unsafe_run, color=True),
        plan_text(a_plan(), 80, verbose=True, color=True, ascii=False),
    ):
        assert "\x1b" not in re.sub(r"\x1b\[[\d;]*m", "", text)
    assert "\x1b" not in told(stopped)
