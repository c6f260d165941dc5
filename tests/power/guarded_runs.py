"""Runs under a guard on the simulated bench: who is alive, what the bench's own record says, and who said so."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid

import pytest
from cli_runs import SHIPPED, Run, Stand, end_all, step

from calseq.power.guard import MARKER
from calseq.simulator.state import born
from calseq.simulator.supplies import SimulatedBench

DOUBLE = SHIPPED / "benches" / "double"
SAFE_S = 12.0
"""All graces and ramps of these runs, with room for busy neighbours."""
CURVE = step("iv_curve")
BIASED = (CURVE, step("custom_sequence", name="tuning"))


@pytest.fixture
def stand(tmp_path):
    stand = Guarded(tmp_path)
    yield stand
    stand.end_guards()
    end_all(stand)


class GuardedRun(Run):
    """A run beside which 'calseq power' may have left folders of its own."""

    @property
    def folder(self):
        folders = sorted(self.stand.runs.glob("*")) if self.stand.runs.is_dir() else []
        return next((folder for folder in folders if "-power-" not in folder.name), None)


class Guarded(Stand):
    """A folder to run sequences in, whose benches have addresses that no other test has."""

    def __init__(self, folder):
        super().__init__(folder)
        self.address = uuid.uuid4().hex

    def bench_file(self, name="here", mode="simulated", address=None, speed=2000, lines=()):
        """Write a bench of the shipped instruments, at addresses of its own."""
        instruments = json.loads((DOUBLE / "instruments.json").read_text())
        for key, entry in instruments["instruments"].items():
            entry["resource"] = f"TCPIP::{address or self.address}-{key}::9221::SOCKET"
        place = self.folder / name
        place.mkdir(exist_ok=True)
        (place / "instruments.json").write_text(json.dumps(instruments))
        text = {
            "calseq-bench": 1,
            "name": name,
            "dirigent": {"config": str(DOUBLE / "dirigent.toml")},
            "instruments": "instruments.json",
            "modules": str(DOUBLE / "modules.json"),
            "power": {"mode": mode},
            "runs": str(self.runs),
        }
        if mode == "simulated":
            text["simulator"] = {"speed": speed}
        text.update(lines)
        (place / "bench.yaml").write_text(json.dumps(text))
        return place / "bench.yaml"

    def driven(self, name="here", address=None, speed=2000, faults=None):
        """Write a bench whose supplies dirigent switches itself, played by the stand-in on simulated supplies."""
        supplies = self.folder / f"{name}-supplies"
        shipped = json.loads((DOUBLE / "instruments.json").read_text())
        SimulatedBench.create(
            supplies, shipped["instruments"], shipped["channels"], speed=speed, faults=faults or {}
        )
        command = [sys.executable, "-m", "calseq.simulator"]
        lines = {
            "dirigent": {"command": command, "config": str(DOUBLE / "dirigent.toml")},
            "env": {"CALSEQ_SIMULATION": str(supplies)},
        }
        return self.bench_file(name, "dirigent", address, lines=lines), SimulatedBench.open(supplies)

    def on(self, bench, *steps, name="s.yaml", runs=None, arguments=(), **popen):
        """Start `calseq execute` on a bench file."""
        words = [self.write(*steps, name=name), "--bench", str(bench), "--screen", "none", *arguments]
        words += ["--runs", str(runs or self.runs)]
        return self.launch([sys.executable, "-m", "calseq", "execute", "--no-report", *words], **popen)

    def launch(self, argv, **popen):
        self.started[-1:] = [GuardedRun(self, super().launch(argv, **popen).process)]
        return self.started[-1]

    def calseq(self, *words, timeout=30):
        """Run a command of calseq to its end; give code, stdout and stderr."""
        told = subprocess.run(
            [sys.executable, "-m", "calseq", *map(str, words)],
            capture_output=True, text=True, cwd=self.folder, timeout=timeout, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert not told.stderr.startswith("Traceback")
        assert "\nTraceback" not in told.stderr, "a child's own is quoted behind a bar"
        return told.returncode, told.stdout, told.stderr

    def end_guards(self):
        """See that no guard outlived its run."""
        late = []
        for path in self.runs.glob("*/guard.jsonl"):
            pid = words(path)[0]["pid"]
            due = time.monotonic() + SAFE_S
            while born(pid) and time.monotonic() < due:
                time.sleep(0.01)
            if born(pid):
                os.kill(pid, signal.SIGKILL)
                late.append(pid)
        assert late == []


def words(path):
    """Read guard.jsonl."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def said(run):
    return words(run.folder / "guard.jsonl")


def guard_of(run):
    run.wait_for(lambda: run.folder and (run.folder / "guard.jsonl").exists())
    run.wait_for(lambda: (run.folder / "guard.jsonl").read_text().count("\n"))
    return said(run)[0]["pid"]


def child_of(run):
    return [line["pid"] for line in said(run) if line["event"] == "child"][-1]


def in_fault(run):
    """Wait until the child misbehaves in mid-measurement, and the guard knows it."""
    run.wait_for(lambda: b"simulated fault" in run.logs)
    run.wait_for(lambda: child_of(run))


def kill(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def until(true, patience_s=SAFE_S):
    due = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < due, "it never came"
        time.sleep(0.005)


def torn_off(run):
    """See the guard of a run that was killed come to its end; give the seconds that it took."""
    began = time.monotonic()
    run.process.wait(SAFE_S)
    guard = guard_pid(run)
    until(lambda: not born(guard) and run.stand.leftovers() == [])
    return time.monotonic() - began


def guard_pid(run):
    return said(run)[0]["pid"]


def prove_dark(bench):
    """HV went off before LV, nothing was violated on the way, and both are off."""
    assert bench.violations() == ()
    assert bench.readings().all_off
    done = [line["action"] for line in bench.actions()]
    assert done.index("lv-on") >= 0
    last_lv = len(done) - 1 - done[::-1].index("lv-off")
    assert not {"hv-on", "hv-step", "hv-off", "lv-on"} & set(done[last_lv:])


def prove_confirmed(run):
    last = said(run)[-1]
    assert (last["event"], last["confirmed"], last["exit_code"]) == ("ended", True, 0)
    # whichever it met first: the end of what it reads, or a reply that nobody takes any more
    reason = next(line for line in said(run) if line["event"] == "ending")["reason"]
    assert reason.startswith(("end of file: the parent is gone", "stdin: ", "stdout: ")), reason
    assert not (run.folder / MARKER).exists()
