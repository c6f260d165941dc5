"""What the tests of the guard share: a guard as a real process, its benches, and the interpreters there are."""

import fcntl
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path

import calseq
from calseq.simulator.interlocks import Level
from calseq.simulator.supplies import SimulatedBench

PACKAGES = Path(calseq.__file__).resolve().parent.parent
GUARD = PACKAGES / "calseq" / "power" / "guard.py"
CONTRACT = Path(__file__).resolve().parent / "contract"
INSTRUMENTS = {
    "lv_1": {"class": "TTITSX", "resource": "TCPIP::lv::9221::SOCKET", "default_voltage": 4.0, "default_current": 3.7},
    "hv_1": {"class": "Keithley2410", "resource": "ASRL/dev/hv::INSTR", "default_voltage": -50, "default_current": 10e-6},
    "ab_1": {"class": "AdcBoard", "resource": "ASRL/dev/ab::INSTR"},
}  # fmt: skip
CHANNELS = {
    "0": {
        "lv": {"instrument": "lv_1", "channel": 1},
        "hv": {"instrument": "hv_1", "channel": 1},
        "ab": {"instrument": "ab_1"},
    }
}
TWO_ON_ONE_BIAS = {
    "0": {"lv": {"instrument": "lv_1", "channel": 1}, "hv": {"instrument": "hv_1", "channel": 1}},
    "1": {"lv": {"instrument": "lv_1", "channel": 2}, "hv": {"instrument": "hv_1", "channel": 1}},
}
GRACES = {"interrupt": 0.3, "terminate": 0.3, "kill": 2}
PATIENCE_S = 20.0


def until(condition, patience_s=PATIENCE_S):
    """Wait for a condition to hold, and give what it gave."""
    due = time.monotonic() + patience_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < due, "it did not come to that in time"
        time.sleep(0.005)


def interpreters():
    """Give one interpreter for each version from 3.8 on that is in a pyenv or on PATH, and always this one."""
    found = {sys.version_info[:2]: sys.executable}
    places = [str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"))]
    for minor in (None, *range(8, 15)):
        if minor is not None:
            places = [] if (3, minor) in found else [shutil.which(f"python3.{minor}")]
        for place in filter(None, places):
            version = version_of(place)
            if version and (3, 8) <= version < (3, 15):
                found.setdefault(version, place)
    return {f"{major}.{minor}": path for (major, minor), path in sorted(found.items())}


def version_of(python):
    """Ask an interpreter; a shim of a version that is not chosen gives None."""
    code = "import sys; print(*sys.version_info[:2])"
    told = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=30).stdout.split()
    return tuple(map(int, told)) if len(told) == 2 else None


class Guard:
    """A guard that the test is the parent of."""

    def __init__(self, folder, *, python=sys.executable, tag="", environment=None, log=None, keep=()):
        self.folder = folder
        self.run = uuid.uuid4().hex
        self.environment = {**os.environ, "CALSEQ_GUARD_TEST": tag, **(environment or {})}
        self.log = log or (folder / "guard.log").open("ab")
        self.process = subprocess.Popen(
            [python, str(GUARD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=self.environment,
            start_new_session=True,
            bufsize=0,
            pass_fds=keep,
        )
        self.pid = self.process.pid
        self.events = []
        self._buffer = b""
        self._number = 0

    def send(self, do, **fields):
        self._number += 1
        self.process.stdin.write(json.dumps({"id": self._number, "do": do, **fields}).encode() + b"\n")
        return self._number

    def line(self, patience_s=PATIENCE_S):
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], patience_s)
            assert ready, "the guard says nothing"
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message = json.loads(line, parse_constant=not_json)
        if "event" in message:
            self.events.append(message)
        return message

    def reply(self, number):
        while True:
            message = self.line()
            assert message is not None, "the guard is gone"
            if message.get("id") == number:
                return message

    def ask(self, do, **fields):
        return self.reply(self.send(do, **fields))

    def ok(self, do, **fields):
        message = self.ask(do, **fields)
        assert "ok" in message, message
        return message["ok"]

    def error(self, do, **fields):
        message = self.ask(do, **fields)
        assert "error" in message, message
        return message["error"]

    def move(self, move):
        return self.ok("move", move=move)["readings"]

    def event(self, patience_s=PATIENCE_S):
        while not self.events:
            assert self.line(patience_s) is not None, "the guard is gone"
        return self.events.pop(0)

    def child(self, code, *, start_new_session=True, mark=True, python=sys.executable):
        """Start a marked child that says 'ready' when it is, and register it."""
        environment = {**self.environment, **({"CALSEQ_RUN_ID": self.run} if mark else {})}
        child = subprocess.Popen(
            [python, "-c", code],
            env=environment,
            stdout=subprocess.PIPE,
            start_new_session=start_new_session,
        )
        assert child.stdout.readline() == b"ready\n"
        return child

    def leave(self):
        """Go away, as a parent that dies does."""
        self.process.stdin.close()

    def ended(self, patience_s=PATIENCE_S):
        code = self.process.wait(patience_s)
        self.process.stdout.close()
        self.log.close()
        return code

    def journal(self):
        return [json.loads(line) for line in (self.folder / "guard.jsonl").read_text().splitlines() if line]

    def noted(self, event):
        return [line for line in self.journal() if line["event"] == event]

    @property
    def marker(self):
        return self.folder / "HARDWARE-STATE-UNKNOWN.txt"

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.log):
            pipe.close()


def not_json(text):
    raise AssertionError(f"{text} is not JSON")


class Simulated:
    """A simulated bench, and how it is opened."""

    backend = "simulated"

    def __init__(self, folder, *, speed=1e6, faults="", current=10e-6):
        instruments = {**INSTRUMENTS, "hv_1": {**INSTRUMENTS["hv_1"], "default_current": current}}
        self.bench = SimulatedBench.create(
            folder / "bench", instruments, CHANNELS, speed=speed, faults={"power": faults} if faults else {}
        )
        self.config = {"folder": str(folder / "bench"), "calseq": str(PACKAGES)}

    def trip(self, output, level=None):
        with self.bench.files.exchange() as exchange:
            exchange.state.levels[output] = level or Level()

    def actions(self):
        told = ("hv-on", "hv-off", "lv-on", "lv-off")
        return [line["action"] for line in self.bench.actions() if line["action"] in told]

    def volts(self):
        return self.bench.files.read().levels["hv_1:1"].volts

    def assert_safe(self):
        assert self.bench.readings().all_off
        assert self.bench.violations() == ()


class Icicle:
    """A bench behind the double of icicle."""

    backend = "icicle"

    def __init__(self, folder, *, version="2.1", speed=2000.0, channels=None, instruments=None):
        self.folder = folder / "double"
        self.folder.mkdir()
        self.environment = {
            "PYTHONPATH": str(CONTRACT),
            "ICICLE_DOUBLE": str(self.folder),
            "ICICLE_DOUBLE_VERSION": version,
            "ICICLE_DOUBLE_SPEED": str(speed),
        }
        self.config = {"instruments": instruments or INSTRUMENTS, "channels": channels or CHANNELS}

    def fail(self, **faults):
        """Let something go wrong from now on, and nothing else."""
        new = self.folder / "faults.new"
        new.write_text(json.dumps({kind.replace("_", "-"): value for kind, value in faults.items()}))
        new.replace(self.folder / "faults.json")
        for lost in self.folder.glob("lost-*"):
            lost.unlink()

    def record(self):
        try:
            return [json.loads(line) for line in (self.folder / "actions.jsonl").read_text().splitlines()]
        except FileNotFoundError:
            return []

    def outputs(self):
        return json.loads((self.folder / "bench.json").read_text())

    def put(self, output, **values):
        """Change an output by hand, as somebody at its front panel may."""
        with (self.folder / "lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            outputs = self.outputs()
            outputs[output].update(values)
            (self.folder / "bench.json").write_text(json.dumps(outputs))

    def trip(self, output):
        self.put(output, on=False)

    def switched(self):
        """Give what was switched, in order: ('hv_1:1', False) is that output going off."""
        return [(line["output"], line["on"]) for line in self.record() if line["action"] == "state"]

    def violations(self):
        return [text for line in self.record() for text in line.get("violations", [])]

    def volts(self):
        return self.outputs()["hv_1:1"]["set"]

    def assert_safe(self):
        assert not any(output["on"] for output in self.outputs().values())
        assert self.violations() == []
        off = [name for name, on in self.switched() if not on]
        for name in off:
            if name.startswith("lv"):
                assert "hv_1:1" in off[: off.index(name)] or ("hv_1:1", True) not in self.switched()


def opening(guard, bench, **fields):
    """Give the fields of a request to open a bench."""
    return {
        "backend": bench.backend if bench else "none",
        "config": bench.config if bench else {},
        "journal": str(guard.folder / "guard.jsonl"),
        "run": guard.run,
        "mark": f"CALSEQ_RUN_ID={guard.run}",
        "graces": GRACES,
        "retries_s": [0, 0.05, 0.1],
        "poll_s": 0.05,
        "unknown": {"for_s": 0, "every_s": 1},
        **fields,
    }


def marked(tag):
    """Give the processes that were started with a tag of a test in their environment."""
    wanted = f"CALSEQ_GUARD_TEST={tag}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def start_ticks(pid):
    return int(re.sub(r".*\)", "", Path(f"/proc/{pid}/stat").read_text()).split()[19])


def kill(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
