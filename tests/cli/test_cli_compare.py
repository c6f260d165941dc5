"""`calseq compare` beside real run folders: of every kind of run, in every format, and without matplotlib."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from console_runs import a_plan, simulated_plan
from curve_texts import DOUBLE, csv_of, curved_plan, failed_run, rising, until_tuning, write_curved
from folder_runs import calseq, snapshot, write_run
from msgspec.structs import replace

from calseq.cli.compared import last_outputs
from calseq.model.events import RunResumed, Stamped, StepEnded
from calseq.model.verdicts import Verdict

GOOD = csv_of(rising(120))


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "runs"
    write_curved(folder, "20261121-020000-panthera-c2hq0", GOOD)
    write_curved(folder, "20261122-020000-panthera-c2hq0", csv_of(rising(80, broken_from_v=70)))
    return folder


def told(runs, *words, code=0):
    return calseq("compare", *words, cwd=runs.parent, code=code)


def test_two_runs_are_compared_and_nothing_of_them_is_touched(runs):
    before = snapshot(runs)
    said, _ = told(runs, "20261121", "20261122")
    assert "sensor 7.85 cm²" in said
    assert "none up to 120 V" in said
    assert "70 V *" in said
    assert snapshot(runs) == before


def test_the_first_that_is_named_is_the_first(runs):
    listed = json.loads(told(runs, "latest", "20261121", "--format", "json")[0])
    assert [run["run"][:8] for run in listed["runs"]] == ["20261122", "20261121"]
    [curves] = [module["curves"] for module in listed["modules"]]
    assert curves[0]["breakdown_v"] == 70
    assert curves[1]["at"][0]["ratio"] == 1.0
    assert curves[1]["breakdown_differs"] is True
    assert (curves[0]["compliance_a"], curves[0]["working"]["bias_v"]) == (1e-5, 50)


def test_a_module_means_its_latest_runs_oldest_first(runs):
    for day in (23, 24, 25):
        write_curved(runs, f"202611{day}-020000-x", GOOD, module="RH0007")
    write_curved(runs, "20261126-020000-x", GOOD, module="RH0007+C2HQ0")
    write_curved(runs, "20261127-020000-x", GOOD, module="RH00071")

    def chosen(*words):
        listed = json.loads(told(runs, *words, "--format", "json")[0])
        return [run["run"][6:8] for run in listed["runs"]]

    assert chosen("--module", "rh0007") == ["23", "24", "25", "26"]
    assert chosen("--module", "RH0007", "-n", "2") == ["25", "26"]
    assert chosen("-m", "C2HQ0") == ["21", "22", "26"]
    assert chosen("-m", "RH") == ["23", "24", "25", "26", "27"]


def test_one_run_of_a_module_is_nothing_to_compare(runs):
    write_curved(runs, "20261123-020000-x", GOOD, module="RH0007")
    assert "there is only one run of 'RH0007'" in told(runs, "--module", "RH0007", code=3)[1]
    assert "no run of 'nobody'" in told(runs, "--module", "nobody", code=3)[1]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["20261121"],
        ["20261121", "20261122", "--module", "C2HQ0"],
        ["20261121", "20261122", "--format", "pdf"],
        ["--module", "C2HQ0", "-n", "1"],
        ["20261121"] * 17,
    ],
)
def test_wrong_usage_is_said(runs, words):
    _, said = told(runs, *words, code=2)
    assert "Usage" in said


def test_a_run_that_is_not_there_or_damaged_is_refused(runs):
    assert "CS421" in told(runs, "20261121", "20271121", code=3)[1]
    (runs / "20261122-020000-panthera-c2hq0" / "plan.json").write_text("{")
    assert "CS423" in told(runs, "20261121", "20261122", code=3)[1]


@pytest.mark.parametrize("names", [["20261121", ""], ["", "20261121"], [" ", "\t"]])
def test_an_empty_name_is_no_run(runs, names):
    """It is what a shell makes of a variable that is not set."""
    _, said = told(runs, *names, code=3)
    assert "has an empty name" in said
    assert "'latest'; 'calseq runs' lists the runs" in said


def notes(runs, *names):
    return json.loads(told(runs, *names, "--format", "json")[0])["notes"]


def test_a_run_that_died_or_has_no_curve_is_compared_and_said(runs):
    write_run(runs, until_tuning(curved_plan()), name="20261123-020000-died", plan=curved_plan())
    write_run(runs, failed_run(a_plan()), name="20261124-020000-old")
    write_curved(runs, "20261125-020000-torn", GOOD[:-3] + "x\n")
    old = a_plan()
    write_curved(runs, "20261126-020000-older", GOOD, plan=old)
    write_curved(runs, "20261127-020000-gone", None)
    said, _ = told(runs, "20261121", "20261123", "20261124", "20261125", "20261126", "20261127")
    assert "died" in said
    assert notes(runs, "20261121", "20261123") == ["run 2 has no IV curve: iv_curve left no file"]
    assert notes(runs, "20261121", "20261124") == ["run 2 has no IV curve: iv_curve left no file"]
    torn = notes(runs, "20261121", "20261125")
    assert torn[0] == "run 2 has no IV curve: its files are not understood"
    assert "line 26, 'Current (A)'" in torn[1]
    assert notes(runs, "20261121", "20261126") == [
        "run 2 has no IV curve: its plan does not say which files are curves, as one of an older calseq"
    ]
    assert "no such file or directory" in notes(runs, "20261121", "20261127")[1]


def test_a_run_that_goes_on_is_compared_and_said(runs):
    plan = curved_plan()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_curved(
        runs, "20261123-020000-now", GOOD, plan=plan, events=until_tuning, pid=os.getpid(), started=now
    )
    listed = json.loads(told(runs, "20261121", "20261123", "--format", "json")[0])
    assert (listed["runs"][1]["state"], listed["runs"][1]["over"]) == ("running", False)
    assert listed["notes"][0] == "run 2 is not over: it is running"
    assert len(listed["modules"][0]["curves"]) == 2


def test_simulated_runs_say_so_in_every_format(runs):
    plan = simulated_plan()
    plan = replace(plan, steps=curved_plan().steps, modules=(DOUBLE,))
    write_curved(runs, "20261123-020000-sim", GOOD, plan=plan)
    for format_ in ("text", "html"):
        assert "SIMULATED" in told(runs, "20261121", "20261123", "--format", format_)[0]
    assert json.loads(told(runs, "20261121", "20261123", "--format", "json")[0])["simulated"] is True
    assert notes(runs, "20261121", "20261123") == [
        "simulated runs beside real ones: nothing that a simulated run says was measured"
    ]


def test_a_page_is_written_to_a_new_file_only(runs):
    path = runs.parent / "compare.html"
    _, said = told(runs, "20261121", "20261122", "--format", "html", "--output", path)
    assert said == f"written to {path}\n"
    assert path.read_text().count("<svg ") == 1
    path.write_text("mine")
    assert "CS441" in told(runs, "20261121", "20261122", "--format", "html", "--output", path, code=3)[1]
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "breakdowns", "said"),
    [
        (csv_of(rising(45)), b'{"0": -40.0}', "breakdown -40 V by breakdowns.json; undefined by the curve: ends at 45 V, and is judged beyond 60 V"),
        (GOOD, b'{"0": -75}', "breakdown -75 V by breakdowns.json; none up to 120 V by the curve"),
        (csv_of(rising(80, broken_from_v=70)), b'{"C2HQ0": null}', "breakdown none by breakdowns.json; 70 V by the curve"),
    ],
)  # fmt: skip
def test_where_breakdowns_json_says_another_thing_than_the_curve_both_are_said(runs, text, breakdowns, said):
    write_curved(runs, "20261123-020000-x", text, breakdowns=breakdowns)
    assert f"run 2, iv_curve, C2HQ0: {said}" in notes(runs, "20261121", "20261123")
    for format_ in ("text", "html"):
        assert said in told(runs, "20261121", "20261123", "--format", format_)[0]
    listed = json.loads(told(runs, "20261121", "20261123", "--format", "json")[0])
    assert listed["modules"][0]["curves"][1]["breakdowns_json"] == {
        "volts": json.loads(breakdowns).popitem()[1]
    }


@pytest.mark.parametrize(
    ("text", "breakdowns"),
    [
        (GOOD, b'{"0": "none"}'),
        (csv_of(rising(80, broken_from_v=70)), b'{"0": -72}'),
        (GOOD, b"{"),
        (GOOD, b"[]"),
    ],
)
def test_where_they_agree_or_one_cannot_be_read_nothing_is_said(runs, text, breakdowns):
    write_curved(runs, "20261123-020000-x", text, breakdowns=breakdowns)
    assert not [each for each in notes(runs, "20261121", "20261123") if "breakdowns.json" in each]


def test_a_breakdowns_json_that_is_no_file_is_passed_over(runs):
    folder = write_curved(runs, "20261123-020000-x", GOOD, breakdowns=b"")
    path = folder / "data/03-iv_curve.2/breakdowns.json"
    path.unlink()
    os.mkfifo(path)
    assert not [each for each in notes(runs, "20261121", "20261123") if "breakdowns.json" in each]


def ended(name, attempt, *outputs):
    return StepEnded(3, name, attempt, Verdict.PASSED, 1.0, outputs=outputs)


def test_of_a_step_the_latest_attempt_counts_and_after_a_resumption_only_what_is_kept():
    resumed = RunResumed(1, "op", "0", "plan.2.json", "d", kept=("sldo",), again=("iv_curve",))
    happened = [
        ended("sldo", 1, "s"), ended("iv_curve", 1, "a"), ended("iv_curve", 2, "b"), resumed, ended("iv_curve", 3, "c"),
    ]  # fmt: skip
    told = [Stamped(seq, 0.0, 0.0, event) for seq, event in enumerate(happened, 1)]
    assert last_outputs(told[:3]) == {"sldo": ("s",), "iv_curve": ("b",)}
    assert last_outputs(told[:4]) == {"sldo": ("s",)}
    assert last_outputs(told) == {"sldo": ("s",), "iv_curve": ("c",)}


def without_matplotlib(runs, *words):
    code = "import sys\nsys.modules['matplotlib'] = None\nfrom calseq.cli import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", code, "compare", "20261121", "20261122", *words],
        capture_output=True, text=True, timeout=60, cwd=runs.parent,
    )  # fmt: skip


def test_without_matplotlib_all_but_the_plot_is_there_and_it_is_said_how_to_get_it(runs):
    ran = without_matplotlib(runs)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "70 V *" in ran.stdout
    ran = without_matplotlib(runs, "--format", "html")
    assert ran.returncode == 0
    assert "pip install 'matplotlib>=3.8'" in ran.stderr
    assert "pip install &#39;matplotlib&gt;=3.8&#39;" in ran.stdout
    assert "70 V *" in ran.stdout
    assert "<svg" not in ran.stdout


def test_a_table_needs_neither_jinja2_nor_matplotlib(runs):
    code = (
        "import sys\nsys.modules['jinja2'] = sys.modules['matplotlib'] = None\n"
        "from calseq.cli import main\nmain()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, "compare", "--module", "C2HQ0"],
        capture_output=True, text=True, timeout=60, cwd=runs.parent,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom calseq.cli import app\n"
        "try: app(['compare', '--help'])\nexcept SystemExit: pass\n"
        "assert not {'matplotlib', 'jinja2', 'numpy', 'ruamel', 'jsonschema', 'msgspec'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True)
