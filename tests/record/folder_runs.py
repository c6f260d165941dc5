"""Run folders made by hand, of the console's hand-made runs; and the command line beside them."""

import json
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime

from console_runs import AT, a_plan, stamped

from calseq.model.events import RunEnded, StepEnded, StepSkipped
from calseq.model.plan import PowerMode, to_json
from calseq.record.aftermath import GUARD, Aftermath, PowerState
from calseq.record.journal import encode
from calseq.record.run_folder import RunRecord, write_record
from calseq.record.status import GOING_ON, Phase

NAME = "20261123-020000-panthera-c2hq0"
NOBODY = 2**22 + 1
"""A pid that no process has: beyond the kernel's largest."""
STARTED = datetime.fromtimestamp(AT, UTC).isoformat(timespec="seconds")


def write_run(runs, events, name=NAME, plan=None, logs=(), **fields):
    """Make the folder of a run that ended if its events say so; `logs` are the contents of logs by step's folder."""
    plan = plan or a_plan()
    folder = runs / name
    (folder / "inputs").mkdir(parents=True)
    (folder / "plan.json").write_bytes(to_json(plan))
    (folder / "events.jsonl").write_bytes(b"".join(map(encode, stamped(events))))
    write_record(folder, record(plan, [event for _, event in events], name, **fields))
    for step, content in dict(logs).items():
        (folder / "steps" / step).mkdir(parents=True)
        (folder / "steps" / step / "log.txt").write_bytes(content)
    return folder


def record(plan, events, name=NAME, **fields):
    known = {
        "run": name,
        "title": plan.title,
        "bench": plan.bench,
        "mode": plan.mode.value,
        "module": "C2HQ0",
        "operator": "op",
        "simulated": plan.simulated,
        "digest": plan.digest(),
        "calseq": "0.1.0",
        "python": "3.11.7",
        "host": socket.gethostname(),
        "pid": NOBODY,
        "started": STARTED,
        "steps": {
            event.name: "skipped" if isinstance(event, StepSkipped) else event.verdict.value
            for event in events
            if isinstance(event, (StepEnded, StepSkipped))
        },
    }
    ended = events[-1] if events and isinstance(events[-1], RunEnded) else None
    if ended:
        known |= {
            "state": "ended",
            "ended": datetime.fromtimestamp(AT + ended.duration_s, UTC).isoformat(timespec="seconds"),
            "duration_s": ended.duration_s,
            "verdict": ended.verdict.value,
            "exit_code": ended.exit_code,
            "reason": ended.reason,
        }
    return RunRecord(**(known | fields))


def left(phase, safe, mode="icicle"):
    """Give in which state a run left HV and LV, by how it stands and whether it is known to be safe."""
    controlled = mode != PowerMode.DIRIGENT
    if phase in GOING_ON:
        return Aftermath(PowerState.IN_USE, controlled=controlled)
    if safe is None:
        return Aftermath(PowerState.UNCONTROLLED, controlled=False)
    state = PowerState.OFF if safe else PowerState.UNKNOWN
    return Aftermath(state, GUARD if phase is Phase.DIED and safe else "", controlled=controlled)


def guard_says(folder, *, confirmed):
    """Leave the words of a guard that came to its end."""
    lines = [
        {"time": STARTED, "event": "opening", "pid": NOBODY},
        {"time": STARTED, "event": "ended", "confirmed": confirmed},
    ]
    (folder / "guard.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def calseq(*words, cwd, code=0, **popen):
    """Run a command of calseq to its end; give its stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "calseq", *map(str, words)],
        cwd=cwd, capture_output=True, timeout=60, stdin=subprocess.DEVNULL, **popen,
    )  # fmt: skip
    told = done.stderr.decode()
    assert "Traceback" not in told
    assert done.returncode == code, told
    return done.stdout.decode("utf-8", "replace"), told


def until(true, patience_s=40.0):
    due = time.monotonic() + patience_s
    while not (found := true()):
        assert time.monotonic() < due, "it never came"
        time.sleep(0.01)
    return found


def snapshot(folder):
    """Give the content of every file below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


PLAIN = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR")} | {
    "TERM": "xterm-256color"
}
