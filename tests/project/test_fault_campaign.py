"""A short run of the fault campaign, and of each planted bug: a judge that finds nothing has to be able to."""

import sys
from pathlib import Path
from subprocess import run

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from harm.cases import ROOT
from harm.plants import PLANTS


def campaign(tmp_path, *words):
    command = [sys.executable, str(ROOT / "benchmarks" / "campaign.py"), "--seed", "1", *words]
    return run([*command, "--keep", str(tmp_path / "kept")], capture_output=True, text=True, timeout=300)


def test_a_handful_of_runs_ends_as_it_must(tmp_path):
    told = campaign(tmp_path, "--start", "89", "--runs", "6")
    assert told.returncode == 0, told.stdout + told.stderr
    for kind in ("shortage", "all-at-once", "kill-guard", "kill-calseq", "signal", "late-answer"):
        assert f"| {kind} | 1 |" in told.stdout


# the kernel knows a process's start to 10 ms: a record that is late by less cannot be seen every time
CERTAIN = [name for name in PLANTS if name != "start-after-spawn"]


@pytest.mark.parametrize("name", CERTAIN)
def test_a_planted_bug_is_found(tmp_path, name):
    start = {"bias-unread": "2", "file-alone": "5"}.get(name, "0")
    count = "1" if name in ("power-lost-ignored", "file-alone") else "2"
    told = campaign(tmp_path, "--plant", name, "--start", start, "--runs", count)
    assert told.returncode == 1, told.stdout + told.stderr
    assert PLANTS[name].finding in told.stderr
