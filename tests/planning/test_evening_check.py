"""What would be found out about in the night is said in the evening."""

import json
import os
import subprocess
import sys

import pytest
from stands import HERE, ONE

from calseq.problems.codes import CODES

MONITOR = {"name": "dew point", "command": ["./dewpoint"]}


def test_a_monitor_that_cannot_be_started_refuses_the_run(stand):
    stand.bench(monitors=[MONITOR])
    code, told = stand.execute()
    assert (code, "CS473" in told, "dew point" in told) == (3, True, True), told
    assert stand.folders() == []
    (stand.folder / "dewpoint").write_text("#!/bin/sh\nexit 0\n")
    code, told = stand.execute()
    assert (code, "may not be executed" in told) == (3, True), told
    (stand.folder / "dewpoint").chmod(0o755)
    assert stand.execute()[0] == 0


def test_a_notice_that_is_not_there_is_told_before_the_run_which_goes_on(stand):
    stand.bench(on_finish={"command": "./notify"})
    code, told = stand.execute()
    assert code == 0
    assert told.index("CS474") < told.index("PASSED")


def test_an_address_that_is_still_the_examples_refuses_the_run(stand):
    stand.bench(hv="ASRL/dev/REPLACE-ME-HV-PORT::INSTR")
    code, told = stand.execute()
    assert (code, "CS475" in told, "hv_1" in told) == (3, True, True), told


def test_a_tuning_that_is_still_to_be_filled_in_refuses_a_real_run(stand):
    (stand.folder / "one.yaml").write_text(ONE.replace("Tuning_1000", "FILL_ME_IN"))
    code, told = stand.execute()
    assert (code, "CS475" in told) == (3, True), told


@pytest.mark.parametrize("timeout", ["", "timeout: none, "])
def test_steps_without_any_time_out_are_told(stand, timeout):
    (stand.folder / "one.yaml").write_text(ONE.replace("timeout: 60s, ", timeout))
    code, told = stand.execute()
    assert (code, "CS476" in told, "1 calibrate_module" in told) == (0, True, True), told
    (stand.folder / "one.yaml").write_text(ONE)
    assert "CS476" not in stand.execute()[1]


def test_a_home_is_put_into_paths_and_commands_and_a_variable_is_refused(stand):
    home = {"HOME": str(stand.folder)}
    stand.bench(runs="~/runs", dirigent={"command": ["~/dirigent"]})
    assert stand.execute(**home)[0] == 0
    assert len(stand.folders()) == 1
    stand.bench(runs="$HOME/runs")
    code, told = stand.calseq("validate", "bench.yaml", **home)
    assert (code, "CS206" in told, "'$HOME/runs' has a variable" in told) == (1, True, True), told
    (stand.folder / "$HOME" / "runs").mkdir(parents=True)
    assert stand.calseq("validate", "bench.yaml")[0] == 0, "there is such a folder"
    assert json.loads((stand.folder / "bench.yaml").read_text())["runs"] == "$HOME/runs"


PYTHON = """
import calseq, logging, sys
logging.basicConfig(stream=sys.stderr)
bench = calseq.load_bench("bench.yaml")
plan = calseq.compile_plan(calseq.load("one.yaml", bench=bench), bench)
try:
    print(calseq.execute(plan, runs="runs", report=False).outcome.verdict)
except calseq.Refused as refused:
    print("refused:", *(problem.code.id for problem in refused.problems))
"""


def python(stand, **home):
    """Run the sequence of one step from a Python program; give all that was said."""
    environ = {**os.environ, "PYTHONPATH": HERE, **home}
    done = subprocess.run(
        [sys.executable, "-c", PYTHON],
        cwd=stand.folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("keys", "code", "refuses"),
    [
        ({"monitors": [MONITOR]}, "CS473", True),
        ({"on_finish": {"command": "./notify"}}, "CS474", False),
        ({"upload": {"to": "command", "command": "./send"}}, "CS461", True),
        ({"env": {"SITE": "REPLACE-ME"}}, "CS475", True),
    ],
)
def test_validate_doctor_execute_and_python_say_the_same(stand, keys, code, refuses):
    stand.bench(**keys)
    ended, told = stand.calseq("validate", "bench.yaml")
    assert (ended, code in told) == (code == "CS461", True), "a new site is valid, and a run of it refused"
    assert CODES[code].name in stand.calseq("doctor", "--bench", "bench.yaml")[1]
    ended, told = stand.execute()
    assert (ended, code in told) == (3 if refuses else 0, True), told
    before = stand.folders()
    told = python(stand)
    assert (code in told, "refused:" in told) == (True, refuses), told
    assert len(stand.folders()) == len(before) + (not refuses)


def test_steps_without_any_time_out_are_told_by_validate_for_a_bench_and_by_python(stand):
    (stand.folder / "one.yaml").write_text(ONE.replace("timeout: 60s, ", ""))
    code, told = stand.calseq("validate", "one.yaml", "--bench", "bench.yaml")
    assert (code, "CS476" in told) == (0, True), told
    assert "CS476" in python(stand)


def test_an_examples_text_in_any_file_of_a_bench_refuses_a_real_run(stand):
    modules = (stand.folder / "modules.json").read_text()
    (stand.folder / "modules.json").write_text(modules.replace("C2HQ0", "REPLACE-ME"))
    code, told = stand.execute()
    assert (code, "Hybrid.0.RD53Bv2.info.module_name is still to be filled in" in told) == (3, True), told
    (stand.folder / "modules.json").write_text(modules)
    (stand.folder / "site.yaml").write_text(
        "calseq-calibrations: 1\ncalibrations: {ours: {type: general, summary: FILL_ME_IN, needs: [lv]}}\n"
    )
    stand.bench(calibrations="site.yaml")
    assert "calibrations.ours.summary is still to be filled in" in stand.execute()[1]
    (stand.folder / "d.toml").write_text('# REPLACE-ME\nipaddress = "REPLACE-ME"\n')
    stand.bench(dirigent={"command": ["./dirigent"], "config": "d.toml"})
    code, told = stand.execute()
    assert (code, told.count("CS475"), "d.toml:2:1" in told) == (3, 1, True), told


def test_an_instrument_that_nothing_uses_may_still_be_an_example(stand):
    path = stand.folder / "bench-instruments.json"
    data = json.loads(path.read_text())
    data["instruments"]["ab_1"] = {"class": "AdcBoard", "resource": "ASRL/dev/REPLACE-ME::INSTR"}
    path.write_text(json.dumps(data))
    assert stand.execute()[0] == 0


COMMANDS = {
    "dirigent": lambda program: {"dirigent": {"command": [program]}},
    "power": lambda program: {"power": {"mode": "dirigent", "python": program}},
    "monitor": lambda program: {"monitors": [{"name": "door", "command": [program]}]},
    "on_finish": lambda program: {"on_finish": {"command": program}},
    "upload": lambda program: {"upload": {"to": "command", "command": [program]}},
    "felis": lambda program: {"upload": {"to": "felis", "user": "u", "python": program}},
}


@pytest.mark.parametrize("keys", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_home_is_put_into_every_command_and_a_variable_refused(stand, keys):
    home = {"HOME": str(stand.folder)}
    stand.bench(**keys("~/dirigent"))
    code, told = stand.calseq("validate", "bench.yaml", **home)
    assert code == 0, told
    assert "~" not in stand.calseq("plan", "one.yaml", "--bench", "bench.yaml", "--format", "json", **home)[1]
    stand.bench(**keys("$HOME/dirigent"))
    code, told = stand.calseq("validate", "bench.yaml", **home)
    assert (code, "'$HOME/dirigent' has a variable" in told) == (1, True), told
