"""What a person reads of runs: status and list, at several widths, of every kind of run."""

import json
from datetime import UTC
from pathlib import Path

import pytest
from console_runs import (
    AT,
    a_plan,
    after,
    failed_run,
    good_run,
    simulated_plan,
    stopped,
    unsafe_run,
    until_tuning,
)
from folder_runs import NAME, left, record

from calseq.cli.commands.runs import runs_json
from calseq.cli.commands.status import status_json
from calseq.console.characters import alphabet
from calseq.console.frame import Moment, frame
from calseq.console.line import text_of
from calseq.console.runlist import runs_text, typable
from calseq.console.statusview import Glance, status_text
from calseq.model.plan import PowerMode
from calseq.problems.plaintext import width as columns_of
from calseq.record.log_tail import Tail
from calseq.record.status import Damaged, Phase, Standing

LOG = Tail(("2026-11-23 02:16:40 INFO calibrate_module - Progress: 50.0%",), 4000, 12.0)
WIDTHS = (40, 80, 120)


def glance(tmp_path, events, phase, plan=None, safe=None, waited_s=500.0, damage=(), tail=LOG, **fields):
    plan = plan or a_plan()
    happened = events(plan)
    made = record(plan, [event for _, event in happened], host="lab-pc", pid=4000, **fields)
    view = after(plan, happened)
    now_t = view.t + waited_s if phase in (Phase.RUNNING, Phase.DYING) else view.t
    return Glance(
        Standing(tmp_path / NAME, made, phase, left(phase, safe, plan.mode)), view, now_t, tail, damage
    )


GLANCES = {
    "running": lambda at: glance(at, until_tuning, Phase.RUNNING),
    "stopping": lambda at: glance(at, stopped, Phase.RUNNING, waited_s=3.0),
    "between": lambda at: glance(at, lambda plan: until_tuning(plan)[:6], Phase.RUNNING, waited_s=1.0),
    "dying": lambda at: glance(at, until_tuning, Phase.DYING, waited_s=2.0),
    "died": lambda at: glance(at, until_tuning, Phase.DIED, safe=True),
    "died-unsafe": lambda at: glance(
        at, until_tuning, Phase.DIED, safe=False, damage=("its last line is torn",)
    ),
    "elsewhere": lambda at: glance(at, until_tuning, Phase.ELSEWHERE),
    "passed": lambda at: glance(at, good_run, Phase.ENDED, safe=True, tail=Tail()),
    "failed": lambda at: glance(at, failed_run, Phase.ENDED, safe=True),
    "unsafe": lambda at: glance(at, unsafe_run, Phase.ENDED, safe=False),
    "closing": lambda at: glance(at, good_run, Phase.RUNNING, waited_s=1.0),
    "dirigent": lambda at: glance(at, good_run, Phase.ENDED, plan=a_plan(mode=PowerMode.DIRIGENT)),
    "simulated": lambda at: glance(at, until_tuning, Phase.RUNNING, plan=simulated_plan()),
    "begun": lambda at: glance(at, lambda _plan: [], Phase.RUNNING, waited_s=0.0, tail=Tail()),
}


def told(name, tmp_path, width=80, *, color=False, ascii=False):  # noqa: A002
    text = status_text(GLANCES[name](tmp_path), width, color=color, ascii=ascii, zone=UTC)
    return text.replace(str(tmp_path), "/srv/runs")


@pytest.mark.parametrize("name", GLANCES)
def test_how_every_kind_of_run_stands(golden, tmp_path, name):
    golden(f"status-{name}.txt", told(name, tmp_path))


@pytest.mark.parametrize("width", [40, 120])
def test_a_status_at_other_widths(golden, tmp_path, width):
    golden(f"status-running-{width}.txt", told("running", tmp_path, width))


def test_a_status_in_colour_and_in_ascii(golden, tmp_path):
    golden("status-running-colour.txt", told("running", tmp_path, color=True))
    for name in GLANCES:
        assert told(name, tmp_path, ascii=True).isascii()


@pytest.mark.parametrize("name", GLANCES)
def test_a_status_of_any_width_cuts_all_but_what_is_to_be_copied(tmp_path, name):
    for width in range(1, 60):
        lines = told(name, tmp_path, width).splitlines()
        assert all(
            columns_of(line) <= max(width, 21)
            for line in lines
            if "calseq " not in line and NAME not in line and "supplies" not in line
        )


def test_of_a_run_that_died_nothing_runs():
    text = json.loads(status_json(GLANCES["died"](Path("/srv"))))
    assert text["running"] is None
    assert [step["state"] for step in text["steps"]] == [
        "passed",
        "passed",
        "passed",
        "interrupted",
        "waiting",
    ]
    assert text["rails"]["driven_by_step"] == []


def test_a_status_as_json(golden, tmp_path):
    golden(
        "status-running.json",
        status_json(GLANCES["running"](tmp_path)).replace(str(tmp_path), "/srv/runs") + "\n",
    )


HOSTILE = "\x1b[2Jé[/b]\u202e"


def many(tmp_path):
    plan = a_plan()

    def one(day, events, phase, safe=None, plan=plan, **fields):
        made = record(plan, [event for _, event in events(plan)], host="lab-pc", **fields)
        return Standing(
            tmp_path / f"202611{day}-020000-panthera-c2hq0", made, phase, left(phase, safe, plan.mode)
        )

    return [
        one(29, until_tuning, Phase.RUNNING),
        one(28, until_tuning, Phase.DYING, plan=simulated_plan()),
        one(27, until_tuning, Phase.ELSEWHERE),
        one(26, good_run, Phase.ENDED, True),
        one(25, failed_run, Phase.ENDED, True),
        one(24, unsafe_run, Phase.ENDED, False),
        one(23, until_tuning, Phase.DIED, True),
        one(22, until_tuning, Phase.DIED, False),
        Damaged(tmp_path / "20261121-020000-x", "run.json is damaged: Input data was truncated"),
        one(20, failed_run, Phase.ENDED, True, module=HOSTILE, reason=HOSTILE, steps={}),
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_runs_in_a_table(golden, tmp_path, width):
    golden(f"runs-{width}.txt", runs_text(many(tmp_path), AT + 4000, width, color=False, ascii=False))


def test_runs_in_colour_in_ascii_and_as_json(golden, tmp_path):
    golden("runs-colour.txt", runs_text(many(tmp_path), AT + 4000, 120, color=True, ascii=False))
    assert runs_text(many(tmp_path), AT + 4000, 120, color=False, ascii=True).isascii()
    golden("runs.json", runs_json(many(tmp_path), AT + 4000).replace(str(tmp_path), "/srv/runs") + "\n")


def test_what_stands_first_finds_the_run_again():
    assert typable("20261123-020000-panthera") == "20261123-020000"
    assert typable("20261123-020000") == "20261123-020000"
    assert typable("20261123-something") == "20261123-something"


def test_who_only_watches_is_told_that_ctrl_c_ends_nothing(golden):
    moment = Moment(after(a_plan(), until_tuning(a_plan())), 500.0, LOG, alphabet(ascii=False), watched=True)
    golden("attach-80x24.txt", "".join(text_of(line).rstrip() + "\n" for line in frame(moment, 80, 24)))
    moment = Moment(after(a_plan(), stopped(a_plan())), 610.0, LOG, alphabet(ascii=False), watched=True)
    assert "is stopping" in text_of(frame(moment, 80, 24)[-1])
