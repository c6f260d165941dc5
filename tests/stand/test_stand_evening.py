"""What would be found out about in the night is said in the evening."""

import json

import pytest
from stands import ONE

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
