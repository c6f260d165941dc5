"""The real command line on the simulated bench, and the proof that a run of it ended well or told the truth."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from calseq.model.events import RailMoved, RunEnded, RunStarted, SafeEndFinished, StepEnded, StepSkipped
from calseq.model.rails import Move
from calseq.record.journal import read_journal
from calseq.simulator.supplies import SimulatedBench

PATIENCE_S = 40.0
SHIPPED = Path(__file__).parents[2] / "sequences"

STEPS = {
    "sldo_vi_curves": {},
    "sldo_vi_curves_GADC": {},
    "voltage_trimming": {},
    "get_module_info": {},
    "iv_curve": {"options": {"max_voltage": -80, "step_size": 20}},
    "calibrate_module": {"tuning": "T"},
    "custom_sequence": {"tuning": ["PixelAlive"]},
    "custom_calibration": {},
    "crosstalk_method": {},
}
"""Every calibration, short."""


def step(calibration, **fields):
    return {"calibration": calibration, **STEPS[calibration], **fields}


class Run:
    """A run of the command line: its process, and its folder as soon as there is one."""

    def __init__(self, stand, process):
        self.stand, self.process, self.told = stand, process, ""

    @property
    def folder(self):
        folders = sorted(self.stand.runs.glob("*")) if self.stand.runs.is_dir() else []
        return folders[0] if folders else None

    @property
    def journal(self):
        path = self.folder / "events.jsonl" if self.folder else None
        return path.read_text() if path and path.exists() else ""

    @property
    def logs(self):
        return (
            b"".join(path.read_bytes() for path in self.folder.glob("steps/*/log.txt"))
            if self.folder
            else b""
        )

    def wait_for(self, true):
        due = time.monotonic() + PATIENCE_S
        while not (found := true()):
            assert self.process.poll() is None, f"it ended before: {self.process.stderr.read()}"
            assert time.monotonic() < due, "it never came"
            select.select([], [], [], 0.003)
        return found

    def wait_for_event(self, text, count=1):
        self.wait_for(lambda: self.journal.count(text) >= count)

    def press(self, number=signal.SIGINT):
        self.process.send_signal(number)

    def end(self):
        """Wait for the end; give the exit code, negative for the signal that it died of."""
        self.told = self.process.communicate(timeout=PATIENCE_S)[1]
        return self.process.returncode

    @property
    def record(self):
        return json.loads((self.folder / "run.json").read_text())

    @property
    def events(self):
        return [stamped.event for stamped in read_journal(self.folder / "events.jsonl")[0]]

    @property
    def bench(self):
        return SimulatedBench.open(self.folder / "simulated")

    @property
    def verdicts(self):
        return tuple(self.record["steps"].values())

    def prove(self):
        """Prove what holds in every ending: bench, journal, run.json, exit code and shell agree, and nobody is left."""
        code = as_shell(self.process.returncode)
        assert not re.search(r"^Traceback", self.told, re.MULTILINE), self.told  # a child's own is quoted
        assert self.record["state"] == "ended"
        assert self.record["exit_code"] == code, self.told
        _, damage = read_journal(self.folder / "events.jsonl")
        assert damage == ""
        self._prove_journal(self.events, code)
        assert self.bench.violations() == (), self.told
        off = self.bench.readings().all_off
        assert off is (code != 4), self.told
        assert (self.folder / "HARDWARE-STATE-UNKNOWN.txt").exists() is (code == 4)
        assert self.stand.leftovers() == []

    def _prove_journal(self, events, code):
        first, last = events[0], events[-1]
        assert isinstance(first, RunStarted)
        assert isinstance(last, RunEnded)
        assert (last.exit_code, last.verdict, last.reason) == (
            code,
            self.record["verdict"],
            self.record["reason"],
        )
        told = {}
        for event in events:
            if isinstance(event, (StepEnded, StepSkipped)):
                told[event.name] = "skipped" if isinstance(event, StepSkipped) else event.verdict.value
        assert told == self.record["steps"]
        assert sum(isinstance(event, SafeEndFinished) for event in events) == 1
        good = all(verdict == "passed" for verdict in told.values())
        assert good or code != 0
        moved = [event.move for event in events if isinstance(event, RailMoved)]
        if Move.HV_BIAS in moved and code != 4:
            assert Move.HV_OFF in moved[moved.index(Move.HV_BIAS) :]


class Stand:
    """A folder to run sequences in."""

    def __init__(self, folder):
        self.folder, self.runs, self.started = folder, folder / "runs", []

    def write(self, *steps, name="s.yaml", **top):
        path = self.folder / name
        path.write_text(json.dumps({"calseq": 1, "title": "T", "steps": list(steps), **top}))
        return str(path)

    def start(self, *steps, faults=None, bench=None, speed=5000, prefix=(), arguments=(), **popen):
        """Start `calseq execute` on steps with faults by step or calibration; `power` are the supplies'."""
        words = [
            self.write(*steps),
            "--speed",
            str(speed),
            "--screen",
            "none",
            "--runs",
            str(self.runs),
            "--simulate",
        ]
        if bench:
            words += ["--bench", str(SHIPPED / "benches" / bench / "bench.yaml")]
        for name, fault in (faults or {}).items():
            words += ["--fault", f"{name}={fault}"]
        argv = [*prefix, sys.executable, "-m", "calseq", "execute", "--no-report", *words, *arguments]
        return self.launch(argv, **popen)

    def launch(self, argv, **popen):
        known = {
            "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True,
            "cwd": self.folder, "start_new_session": True, "errors": "replace",
        }  # fmt: skip
        run = Run(self, subprocess.Popen(argv, **(known | popen)))
        self.started.append(run)
        return run

    def run(self, *steps, **fields):
        run = self.start(*steps, **fields)
        run.end()
        return run

    def leftovers(self):
        """Processes, anywhere, of the runs of this stand."""
        marks = [f"CALSEQ_RUN_ID={folder.name}".encode() for folder in self.runs.glob("*")]
        here = f"CALSEQ_SIMULATION={self.runs}/".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            content = read(path)
            if here in content and any(mark in content for mark in marks):
                found.append(int(path.parent.name))
        return found


def as_shell(code):
    """What `$?` is of a process that Python says ended with `code`."""
    return code if code >= 0 else 128 - code


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.fixture
def stand(tmp_path):
    stand = Stand(tmp_path)
    yield stand
    end_all(stand)


def end_all(stand):
    """End what a failed test left, and let a good one prove that there was nothing."""
    late = [run for run in stand.started if run.process.poll() is None]
    for run in late:
        run.process.kill()
    left = stand.leftovers()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    for run in stand.started:
        run.process.wait()
        if run.process.stderr:
            run.process.stderr.close()
    assert (late, left) == ([], [])


AT_ONCE = 8


def together(folder, cases):
    """Run many cases side by side, each in a folder of its own: most of a run is waiting. Gives runs by case."""
    runs = {}
    for number, (case, (steps, fields)) in enumerate(cases.items()):
        waiting = [run for run in runs.values() if run.process.poll() is None]
        if len(waiting) >= AT_ONCE:
            waiting[0].end()
        (folder / str(number)).mkdir()
        runs[case] = Stand(folder / str(number)).start(*steps, **fields)
    for run in runs.values():
        if not run.told:
            run.end()
    return runs
