"""Real children of every shape, and the proof that none of them is left."""

import os
import select
import signal
import sys
import time
from pathlib import Path

import pytest

from calseq.model.plan import Step
from calseq.model.rails import POWERED, StepType
from calseq.run.attempt import FolderAttempt
from calseq.run.progress import Progress
from calseq.run.rails import NoRig
from calseq.run.supervision import supervise
from calseq.system.signals import SignalStops

PATIENCE_S = 20.0


def python(text):
    """A command that runs Python text without the cost of site."""
    return (sys.executable, "-S", "-E", "-c", text)


class Nursery:
    """Starts children as a run does, in a run folder; told what happened."""

    def __init__(self, folder):
        self.folder, self.events, self.count, self.ending = folder, [], 0, None
        for part in ("steps", "data"):
            (folder / part).mkdir()

    def step(self, argv, **fields):
        self.count += 1
        known = {"timeout_s": PATIENCE_S, "stop_grace_s": 5.0}
        return Step(self.count, f"s{self.count}", "c", StepType.GENERAL, "", tuple(argv), POWERED, POWERED, (), (),
                    **(known | fields))  # fmt: skip

    def attempt(self, step, environment=None, cwd="/"):
        environment = {"PATH": os.environ["PATH"]} if environment is None else environment
        return FolderAttempt(
            step, 1, folder=self.folder, environment=environment, cwd=str(cwd), run=f"run-{os.getpid()}"
        )

    def see_through(self, argv, when=None, environment=None, cwd="/", limit=1 << 40, **fields):
        """Run a command to its end; `when` is given the attempt and the stops at every look."""
        step = self.step(argv, **fields)
        with SignalStops() as stops:
            attempt = self.attempt(step, environment, cwd)
            if when:
                real = attempt.look
                attempt.look = lambda: (when(attempt, stops), real())[1]
            progress = Progress(self.events.append, time.monotonic, stops)
            try:
                self.ending = supervise(step, 1, attempt, progress, NoRig(), limit)
            finally:
                attempt.finish()
        self.progress = progress
        return self.ending

    @property
    def log(self):
        return (self.folder / f"steps/{self.count:02d}-s{self.count}/log.txt").read_bytes()

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def leftovers(self):
        """Processes, anywhere, that carry the mark of this nursery's run."""
        mark = f"CALSEQ_RUN_ID=run-{os.getpid()}".encode()
        return [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if mark in read(path)]


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def wait_for(true, timeout_s=PATIENCE_S):
    """Wait for a condition; that it does not come is a failure."""
    due = time.monotonic() + timeout_s
    while not (found := true()):
        assert time.monotonic() < due, "it never came"
        select.select([], [], [], 0.005)
    return found


@pytest.fixture
def nursery(tmp_path):
    nursery = Nursery(tmp_path)
    yield nursery
    left = nursery.leftovers()
    for pid in left:
        os.kill(int(pid), signal.SIGKILL)
    assert left == []
