"""Runs of the real command line that are torn off, and gone on with."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pytest
from cli_runs import SHIPPED, Stand, end_all, step

from calseq.model.events import StepEnded, StepKept, StepStarted
from calseq.record.journal import read_journal
from calseq.simulator.state import born
from calseq.simulator.supplies import SimulatedBench

GENERAL, CURVE, TUNING = step("voltage_trimming"), step("iv_curve"), step("calibrate_module")
STEPS = (GENERAL, CURVE, TUNING)
APPENDED = {"events.jsonl", "guard.jsonl", "guard.log", "simulated/power.jsonl"}
REPLACED = {"run.json", "simulated/bench.json"}
"""What a resumed run may do to the files that are there already."""


class Resumed(Stand):
    """A folder with a bench of its own, to run sequences in and to resume them."""

    def __init__(self, folder):
        super().__init__(folder)
        shutil.copytree(SHIPPED / "benches" / "double", folder / "bench")
        self.bench_file = folder / "bench" / "bench.yaml"

    def begin(self, *steps, speed=2000, arguments=(), **top):
        words = [self.write(*steps, **top), "--simulate", "--speed", str(speed), "--screen", "none"]
        words += ["--bench", str(self.bench_file), "--runs", str(self.runs), *arguments]
        return self.launch([sys.executable, "-m", "calseq", "execute", "--no-report", *words])

    def torn_off(self, *steps, at=3, **fields):
        """Run steps, and kill calseq in the middle of one of them; the guard comes to its end."""
        run = self.begin(*(steps or STEPS), **fields)
        run.wait_for_event(f'"event":"child-started","step":{at},')
        run.process.kill()
        run.process.wait()
        assert f'"event":"step-ended","step":{at},' not in run.journal, "it was too fast to be torn off there"
        until(lambda: not alive(run))
        return run

    def resume(self, *words, run="latest", yes=True, code=0, **popen):
        told = subprocess.run(
            self.command(*words, run=run, yes=yes),
            **({"stdin": subprocess.DEVNULL, "capture_output": True, "text": True} | popen),
            cwd=self.folder, timeout=60, check=False,
        )  # fmt: skip
        assert "Traceback" not in told.stderr, told.stderr
        assert told.returncode == code, told.stderr
        return told.stdout + told.stderr

    def command(self, *words, run="latest", yes=True):
        fixed = ["--runs", str(self.runs), "--screen", "none", *(["--yes"] if yes else [])]
        return [sys.executable, "-m", "calseq", "execute", "--no-report", "--resume", run, *fixed, *words]


@pytest.fixture
def stand(tmp_path):
    stand = Resumed(tmp_path)
    yield stand
    end_all(stand)


def until(true, patience_s=30.0):
    due = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < due, "it never came"
        time.sleep(0.005)


def guards(run):
    lines = [json.loads(line) for line in (run.folder / "guard.jsonl").read_text().splitlines()]
    return [line["pid"] for line in lines if line["event"] == "opening"]


def alive(run):
    return any(born(pid) for pid in guards(run)) or run.stand.leftovers() != []


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def prove_kept(before, after):
    """Nothing that was there is gone or other than it was, but for what is made to be appended to or replaced."""
    for name, content in before.items():
        if name in APPENDED:
            assert after[name].startswith(content), f"{name} was not only appended to"
        elif name not in REPLACED:
            assert after.get(name) == content, f"{name} was touched"


def prove_passed(run, steps=3):
    """The record is whole and says that all passed; journal, bench and record agree."""
    events, damage = read_journal(run.folder / "events.jsonl")
    record = run.record
    assert damage == ""
    assert (record["state"], record["verdict"], record["exit_code"]) == ("ended", "passed", 0)
    assert list(record["steps"].values()) == ["passed"] * steps
    assert [each.seq for each in events] == list(range(1, len(events) + 1))
    assert all(a.t <= b.t for a, b in pairwise(events))
    benches = [SimulatedBench.open(path.parent) for path in run.folder.glob("simulated*/setup.json")]
    assert all(bench.violations() == () and bench.readings().all_off for bench in benches)


def tries(run):
    """Every attempt that was started, as step and number."""
    return [(event.name, event.attempt) for event in run.events if isinstance(event, StepStarted)]


def kept(run):
    return [event.name for event in run.events if isinstance(event, StepKept)]


def ends(run):
    return [
        (event.name, event.attempt, str(event.verdict))
        for event in run.events
        if isinstance(event, StepEnded)
    ]


def kill(pid):
    os.kill(pid, signal.SIGKILL)
