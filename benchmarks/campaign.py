"""The fault campaign: random sequences, random faults, random moments, and what the bench itself says afterwards.

    python benchmarks/campaign.py                              1000 runs, two at a time; about 40 minutes
    python benchmarks/campaign.py --runs 100 --seed 7          a short one, and the same again
    python benchmarks/campaign.py --only kill-guard --keep DIR  one kind of fault; keep the folders of what failed
    python benchmarks/campaign.py --minutes 5                  start no run after that

Every run is the real command line on the simulated bench: a shipped or a random sequence at a random moment of
which something is done to it. A moment is a number of bytes in the bench's own power record, in the guard's or
in the run's journal, or a step's first breath, each with a few milliseconds on top. Run N of seed S is the same
sequence, fault and moment every time; where in the program it then hits is the machine's.

Every bias that calseq gave is held against breakdowns.json and the table of the curve before it: 0 may be above what
both vouch for. `--plant unread` plants a calseq that biases without reading them, and the campaign has to catch it.

Each is judged from outside, by the simulated bench's record and the files of the run: no interlock violation;
HV off, and LV off after it, read from the bench's state; safe at most so many seconds after the fault; the exit
code, run.json and events.jsonl say the same and do not claim what is not so; no process left, guard included.
A killed guard cannot switch off: then, and when supplies refuse, what is asked is exit code 4, the marker, and
the instruments by name. A killed calseq has no exit code: then the guard's last words are what has to be true.
"""

import argparse
import itertools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from calseq.journal import read_journal  # noqa: E402
from calseq.simulator.state import born  # noqa: E402
from calseq.simulator.supplies import SimulatedBench  # noqa: E402

PATIENCE_S = 60.0
MARKER = "HARDWARE-STATE-UNKNOWN.txt"
SHIPPED = sorted(path.stem for path in (ROOT / "sequences").glob("*.yaml"))
CALIBRATIONS: dict[str, dict[str, Any]] = {
    "sldo_vi_curves": {},
    "sldo_vi_curves_GADC": {},
    "voltage_trimming": {},
    "get_module_info": {},
    "iv_curve": {"options": {"max_voltage": -80, "step_size": 20}},
    "calibrate_module": {"tuning": "T"},
    "custom_sequence": {"tuning": ["PixelAlive"]},
    "custom_calibration": {"args": ["--fast"]},
    "crosstalk_method": {},
}
STEP_FAULTS = (
    "exit:0", "exit:3", "signal:SEGV", "signal:KILL", "signal:TERM", "prompt", "flood:1MB", "longline:1MB", "garbage",
    "close-output", "no-output", "empty-output", "sleep:0.2", "grandchild",
)  # fmt: skip
BREAKDOWNS = (
    "breakdown:-30", "breakdown:-60", "breakdown:-40+breakdowns-magnitude", "breakdowns-malformed",
    "breakdowns-stale", "breakdowns-missing", "breakdowns-nan", "breakdowns-other", "breakdowns-magnitude",
    "breakdown:-70", "breakdown:-75+breakdowns-magnitude", "ends:-30", "ends:-40", "ends:-60", "compliance:-30",
    "compliance:-50", "compliance:-70", "rise:-40", "rise:-20", "drift", "two-files", "millivolt", "sentinel",
    "ends:-40+breakdowns-stale", "rise:-30+breakdown:-65", "both",
)  # fmt: skip
STEPS_V = (2, 5, 5, 10, 20)
"""The steps of the IV curves of kind `breakdown`."""

PLANTS = {
    "unread": "import calseq.executor as e\n"
    "from calseq.bias import Decision\n"
    "e.decide = lambda *_: Decision(True, 'planted: no file was read')\n"
    "from calseq.cli import main\n"
    "main()",
    "file-alone": "import calseq.executor as e\n"
    "from calseq.bias import decide\n"
    "from msgspec.structs import replace\n"
    "e.decide = lambda s, left, rule, v=None: decide(s, left, replace(rule, witnesses='breakdowns'), v)\n"
    "from calseq.cli import main\n"
    "main()",
}
"""Bugs that the campaign has to catch, as what starts calseq in the place of `python -m calseq`."""
SUPPLIES = (
    "hv-on-fails", "hv-off-fails:1", "lv-on-fails:1", "lv-off-fails:1", "fails-once", "hv-residual:1.5",
    "hv-off-fails:2",
)  # fmt: skip
REFUSING = ("hv-off-fails", "lv-off-fails", "hv-residual:-3")
NEEDS_STEPS = ("stubborn", "kill-in-fault", "breakdown", "step-fault")
NEEDS_CHILD = ("kill-child", "stop-child", "kill-calseq-and-child")
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGQUIT: 131}


@dataclass
class Case:
    """One run: what it runs, what happens to it and when."""

    number: int
    kind: str
    words: list[str]
    faults: list[str]
    where: str
    at: float
    delay_s: float
    signal: int = 0
    limit: int = 0
    speed: int = 5000


@dataclass
class Finding:
    """What came of one run."""

    case: Case
    hit: bool = False
    violations: int = 0
    powered: bool = False
    excused: bool = False
    to_safe_s: float | None = None
    untrue: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    code: int | None = None


KINDS = (
    "kill-calseq", "kill-calseq", "kill-calseq", "kill-child", "kill-guard", "kill-calseq-and-child", "kill-in-fault",
    "signal", "stop-child", "stubborn", "step-fault", "breakdown", "supplies", "refusing", "file-limit", "stop-guard",
)  # fmt: skip
"""Named as often as they weigh."""


def case_of(seed: int, number: int, speed: int, only: str) -> Case:
    """Make run `number` of a seed."""
    dice = random.Random(f"{seed}/{number}")
    kind = dice.choice(KINDS)
    kind = only or kind
    faults: list[str] = []
    if dice.random() < 0.4 and kind not in NEEDS_STEPS:
        words, steps = [dice.choice(SHIPPED)], []
    else:
        steps = random_steps(dice, kind)
        words = []
    where = dice.choice(("power", "guard", "events", "logs"))
    case = Case(number, kind, words, faults, where, dice.random(), dice.expovariate(200), speed=speed)
    key = dice.choice(
        [step["calibration"] for step in steps] or ["iv_curve", "custom_sequence", "voltage_trimming"]
    )
    if kind == "signal":
        case.signal = dice.choice(
            (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGTSTP)
        )
    elif kind in ("stubborn", "kill-in-fault"):
        case.where = "fault"
        deaf = (
            ("stubborn", "unkillable", "hang", "stop") if kind == "stubborn" else ("hang", "sleep:5", "stop")
        )
        faults.append(f"{key}={dice.choice(deaf)}")
    elif kind == "step-fault":
        faults.append(f"{key}={dice.choice(STEP_FAULTS)}")
    elif kind == "breakdown":
        chosen = dice.choice(BREAKDOWNS)
        faults += [] if chosen == "both" else [f"iv_curve={chosen}"]
        for step in steps:
            if step["calibration"] == "iv_curve":
                both = {"both_ways": True} if chosen == "both" else {}
                step["options"] = {**step["options"], "step_size": dice.choice(STEPS_V), **both}
    elif kind == "supplies":
        faults.append(f"power={dice.choice(SUPPLIES)}")
    elif kind == "refusing":
        faults.append(f"power={dice.choice(REFUSING)}")
    elif kind == "file-limit":
        case.limit = dice.randrange(1, 6000)
    if steps:
        case.words = [json.dumps({"calseq": 1, "title": "Random", "steps": steps})]
    return case


def random_steps(dice: random.Random, kind: str) -> list[dict[str, Any]]:
    """Make a sequence that is valid: what needs a bias comes after a curve, the first step may be anything else."""
    free = [name for name in CALIBRATIONS if name not in ("calibrate_module", "custom_sequence", "custom_calibration", "crosstalk_method")]  # fmt: skip
    names = [dice.choice(free) for _ in range(dice.randrange(3))]
    if kind == "breakdown" or dice.random() < 0.8:
        names += ["iv_curve", *dice.choices([*CALIBRATIONS], k=dice.randrange(1, 5))]
    names = names or ["voltage_trimming"]
    return [
        {
            "calibration": name,
            "name": f"{name}_{number}",
            **CALIBRATIONS[name],
            "on_failure": dice.choice(("stop", "continue")),
            "retries": dice.choice((0, 0, 1)),
        }
        for number, name in enumerate(names, 1)
    ]


class Trial:
    """One run of the command line, done to and judged."""

    def __init__(self, case: Case, place: Path, plant: str = "") -> None:
        self.plant = plant
        self.case, self.place, self.finding = case, place, Finding(case)
        self.fault_s = 0.0
        self.killed: set[str] = set()
        self.told = ""

    def run(self) -> Finding:
        self.place.mkdir(parents=True)
        word = self.case.words[0]
        if word.startswith("{"):
            (self.place / "s.yaml").write_text(word)
            word = "s.yaml"
        argv = [
            sys.executable,
            *(("-c", PLANTS[self.plant]) if self.plant else ("-m", "calseq")),
            "execute",
            "--no-report",
            word,
            "--simulate",
            "--speed",
            str(self.case.speed),
        ]
        argv += ["--screen", "none", "--runs", str(self.place / "runs")]
        for fault in self.case.faults:
            argv += ["--fault", fault]
        with (self.place / "stderr").open("wb") as told:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=told, cwd=self.place,
                start_new_session=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        try:
            self.act()
            self.wait()
        finally:
            self.clear()
        self.judge()
        return self.finding

    # What is done to it

    def act(self) -> None:
        kind = self.case.kind
        if kind in ("step-fault", "breakdown", "supplies", "refusing"):
            self.finding.hit = True
            return
        if not self.moment():
            return
        time.sleep(self.case.delay_s)
        self.finding.hit = self.process.poll() is None
        self.fault_s = time.monotonic()
        if not self.finding.hit:
            return
        self.harm(kind)
        if kind.startswith("kill") and not self.killed:
            self.finding.hit = False  # whom it was meant for had just ended

    def harm(self, kind: str) -> None:
        if kind in ("kill-calseq", "kill-in-fault"):
            self.kill("calseq", self.process.pid)
        elif kind == "kill-child":
            self.kill("child", self.child())
        elif kind == "kill-guard":
            self.kill("guard", self.guard())
        elif kind == "kill-calseq-and-child":
            child = self.child()
            self.kill("calseq", self.process.pid)
            self.kill("child", child)
        elif kind == "signal":
            self.send(self.process.pid, self.case.signal)
        elif kind == "stop-child":
            self.send(self.child(), signal.SIGSTOP)
            self.send(self.process.pid, signal.SIGINT)
        elif kind == "stop-guard":
            self.send(self.guard(), signal.SIGSTOP)
        elif kind == "stubborn":
            for _ in range(3):
                self.send(self.process.pid, signal.SIGINT)
                time.sleep(0.15)
        elif kind == "file-limit":
            with suppress(OSError):
                size = (self.folder() / "events.jsonl").stat().st_size
                limit = size + self.case.limit
                resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (limit, limit))

    def kill(self, name: str, pid: int) -> None:
        if self.send(pid, signal.SIGKILL):
            self.killed.add(name)

    @staticmethod
    def send(pid: int, number: int) -> bool:
        if not pid or not born(pid):
            return False
        with suppress(OSError):
            os.kill(pid, number)
            return True
        return False

    def moment(self) -> bool:
        """Wait for the moment; tell whether it came while the run went on."""
        full = {"power": 9000, "guard": 4500, "events": 7000, "logs": 4000}
        wanted = 1 + self.case.at**1.5 * full.get(self.case.where, 0)
        due_s = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < due_s:
            if self.guard() and self.reached(wanted) and (self.child() or self.case.kind not in NEEDS_CHILD):
                return True
            time.sleep(0.002)
        return False

    def reached(self, wanted: float) -> bool:
        folder = self.folder()
        if self.case.where == "fault":
            return any(b"simulated fault" in read(path) for path in folder.glob("steps/*/log.txt"))
        if self.case.where == "logs":
            return sum(path.stat().st_size for path in folder.glob("steps/*/log.txt")) >= wanted
        names = {"power": "simulated/power.jsonl", "guard": "guard.jsonl", "events": "events.jsonl"}
        path = folder / names[self.case.where]
        return path.exists() and path.stat().st_size >= wanted

    # Who is there

    def folder(self) -> Path:
        return next(iter((self.place / "runs").glob("*")), self.place / "none")

    def said(self) -> list[dict[str, Any]]:
        found = []
        for line in read(self.folder() / "guard.jsonl").splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
        return found

    def guard(self) -> int:
        return next((int(line["pid"]) for line in self.said() if line["event"] == "opening"), 0)

    def child(self) -> int:
        children = [line["pid"] for line in self.said() if line["event"] == "child"]
        return int(children[-1] or 0) if children else 0

    def alive(self) -> list[int]:
        mark = f"CALSEQ_RUN_FOLDER={self.folder()}".encode()
        found = [pid for pid in (self.guard(),) if pid and born(pid)]
        marked = (path for path in Path("/proc").glob("[0-9]*/environ") if mark in read(path).split(b"\0"))
        return found + [pid for pid in (int(path.parent.name) for path in marked) if born(pid)]

    def wait(self) -> None:
        """Wait for the end of calseq, its guard and its children; note when the bench was safe."""
        due_s = time.monotonic() + PATIENCE_S * (2 if self.case.kind == "stop-guard" else 1)
        safe_s: float | None = None
        while time.monotonic() < due_s:
            over = self.process.poll() is not None
            if self.fault_s and self.finding.hit:
                dark = self.is_dark()
                safe_s = (safe_s or time.monotonic()) if dark else None
            if over and not self.alive():
                break
            time.sleep(0.01)
        if self.fault_s and safe_s is not None:
            self.finding.to_safe_s = safe_s - self.fault_s

    def is_dark(self) -> bool:
        try:
            state = json.loads(read(self.folder() / "simulated" / "bench.json"))
        except ValueError:
            return not self.folder().exists()
        levels = state["levels"].values()
        return not any(level["on"] or abs(level["volts"]) > 2.0 for level in levels)

    def clear(self) -> None:
        """End what is left, after it was noted."""
        if self.process.poll() is None:
            self.finding.left.append("calseq")
            self.process.kill()
        self.process.wait()
        for pid in self.alive():
            self.finding.left.append(read(Path(f"/proc/{pid}/cmdline")).replace(b"\0", b" ").decode()[-60:])
            self.send(pid, signal.SIGKILL)

    # The verdict

    def judge(self) -> None:
        finding, folder = self.finding, self.folder()
        finding.code = code = self.process.returncode
        if code < 0 and "calseq" not in self.killed:
            finding.code = code = 128 - code  # what a shell is told of a signal
        self.told = (self.place / "stderr").read_text(errors="replace")
        if not (folder / "simulated" / "setup.json").exists():
            if code == 3:
                finding.untrue.append("refused: the campaign made a sequence that is none")
            return
        bench = SimulatedBench.open(folder / "simulated")
        finding.violations = len(bench.violations())
        dark = self.is_dark()
        finding.excused = "guard" in self.killed or self.case.kind in ("refusing", "stop-guard")
        # a guard that only stood still is woken when calseq gives it up, and then does its duty
        finding.powered = not dark and (not finding.excused or self.case.kind == "stop-guard")
        if dark:
            self.check_order(bench)
        finding.untrue += biased_beyond(folder, bench)
        if any(line.startswith("Traceback") for line in self.told.splitlines()):
            finding.untrue.append("a traceback on the terminal")
        if "calseq" in self.killed:
            self.check_guard(dark)
        else:
            self.check_record(code, dark)

    def check_order(self, bench: SimulatedBench) -> None:
        done = [line["action"] for line in bench.actions()]
        if "lv-off" in done:
            after = done[len(done) - 1 - done[::-1].index("lv-off") :]
            if {"hv-on", "hv-step", "hv-off"} & set(after):
                self.finding.untrue.append("HV moved after LV was off")

    def check_guard(self, dark: bool) -> None:
        """Of a killed calseq the guard's last words count; run.json may only say that nobody saw the end."""
        untrue, said = self.finding.untrue, self.said()
        last = said[-1] if said else {}
        if last.get("event") != "ended":
            untrue.append("the guard did not say how it ended")
        elif last.get("confirmed") is True and not dark:
            untrue.append("the guard confirmed what is not so")
        elif last.get("confirmed") is not True and self.case.kind != "refusing":
            untrue.append(f"the guard did not confirm: {last.get('reason')}")
        record = json.loads(read(self.folder() / "run.json") or b"{}")
        if record.get("state") == "ended" and record.get("exit_code") not in (0, 1, 130):
            untrue.append(f"run.json says {record.get('exit_code')}")

    def check_record(self, code: int, dark: bool) -> None:
        untrue, folder = self.finding.untrue, self.folder()
        record_text = read(folder / "run.json").decode(errors="replace")
        if code != 4 and not dark:
            untrue.append(f"exit code {code} over a bench that is on")
        if code == 4 and not (folder / MARKER).exists() and self.case.kind != "file-limit":
            untrue.append("exit code 4 without a marker")
        if code == 4 and not ("hv_1" in self.told and "HARDWARE STATE UNKNOWN" in self.told):
            untrue.append("exit code 4 without instructions")
        if code != 4 and (folder / MARKER).exists() and "guard" not in self.killed:
            untrue.append("a marker without exit code 4")
        no_guard = self.killed == {"guard"} or self.case.kind == "stop-guard"
        untouched = code == 3 and "nothing was touched" in record_text and no_guard
        if self.finding.hit and no_guard and code != 4 and not self.was_over() and not untouched:
            untrue.append(f"exit code {code} though the guard was not there")
        if code == 4 and not self.finding.excused and self.case.kind != "supplies":
            untrue.append("exit code 4 for nothing")
        if untouched and not self.is_untouched():
            untrue.append("'nothing was touched' is not so")
        if code not in (0, 1, 4, *CODES.values()) and not untouched:
            untrue.append(f"exit code {code}")
        record = json.loads(record_text or "{}")
        events, damage = read_journal(folder / "events.jsonl")
        if self.case.kind == "file-limit":
            if code == 0 and "lost" in self.told:
                untrue.append("exit code 0 though the journal was lost")
            return
        if damage:
            untrue.append(f"journal: {damage}")
        if (record.get("state"), record.get("exit_code")) != ("ended", code):
            untrue.append(
                f"run.json says {record.get('state')} {record.get('exit_code')}, the shell got {code}"
            )
        last: Any = events[-1].event if events else None
        if getattr(last, "exit_code", None) != code:
            untrue.append("the journal's end does not say what the shell got")
        verdicts = set(record.get("steps", {}).values())
        if code == 0 and verdicts - {"passed"}:
            untrue.append(f"exit code 0 with {verdicts}")
        if code == 1 and not verdicts - {"passed"} and "interlock" not in str(record.get("reason")):
            untrue.append("exit code 1 though all passed")

    def is_untouched(self) -> bool:
        """No supply was moved."""
        lines = SimulatedBench.open(self.folder() / "simulated").actions()
        return not any("supply" in line for line in lines)

    def was_over(self) -> bool:
        """The rails were confirmed off before the guard was hit: then its death costs nothing."""
        return "safe-end-finished" in read(self.folder() / "events.jsonl").decode(errors="replace")


def biased_beyond(folder: Path, bench: SimulatedBench) -> list[str]:
    """Judge every bias that calseq gave by the bench's own record against the files of the curve before it."""
    curve, found = "", set()
    for line in bench.actions():
        who = str(line["who"])
        if who.startswith("dirigent ") and line["action"] == "hv-step":
            curve = who.removeprefix("dirigent ")
        elif not who.startswith("dirigent ") and line["action"] == "hv-step" and curve:
            vouched_v = vouched(folder, curve, bench)
            if abs(line["volts"]) > max(vouched_v, 2.0):
                found.add(f"{who} biased beyond the {vouched_v:g} V that both witnesses of {curve} vouch for")
    return sorted(found)


def vouched(folder: Path, step: str, bench: SimulatedBench) -> float:
    """Give the least voltage that the files of a curve's last attempt vouch for; written without calseq's own readers."""
    places = [
        path for path in (folder / "data").glob("*") if path.name.partition("-")[2].partition(".")[0] == step
    ]
    place = max(places, key=lambda path: path.stat().st_mtime_ns, default=folder / "none")
    limit_a = min(
        abs(each["default_current"]) for name, each in bench.instruments.items() if name.startswith("hv")
    )
    files, tables = list(place.rglob("breakdowns.json")), list(place.rglob("*.csv"))
    if len(files) != 1 or not tables:
        return 0.0
    try:
        told = json.loads(files[0].read_bytes())
    except ValueError:
        return 0.0
    if set(told) != set(bench.channels) or any(
        volts is not None and not volts < 0 for volts in told.values()
    ):
        return 0.0
    least = [abs(volts) for volts in told.values() if volts is not None]
    return min([*least, *(volts for table in tables for volts in _measured(table, limit_a))], default=0.0)


def _measured(table: Path, limit_a: float) -> list[float]:
    """Give every voltage that a table of the stand-in speaks against: its end, its compliance, a current that doubles."""
    head, *lines = table.read_text().splitlines()
    at = 1 if head.startswith("Voltage set") else 0
    rows = [
        (abs(float(cells[at])), abs(float(cells[at + 1]))) for cells in (line.split(",") for line in lines)
    ]
    against = [max((volts for volts, _ in rows), default=0.0)]
    if against[0] > 2000.0:
        return [0.0]
    against += [volts for volts, amps in rows if amps >= 0.98 * limit_a]
    for (low_v, low_a), (high_v, high_a) in itertools.pairwise(rows):
        if low_v >= 20.0 and 0 < high_v - low_v <= 5.0 and high_a > 2.0 * low_a:
            against.append(high_v)
    return against


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def bad(finding: Finding, within_s: float) -> list[str]:
    """Give all that is wrong with a run."""
    found = list(finding.untrue)
    found += [f"{finding.violations} interlock violations"] * bool(finding.violations)
    found += ["left powered"] * finding.powered
    found += [f"left: {name}" for name in finding.left]
    if finding.case.kind == "stop-guard":
        within_s += 10.0  # it gets 10 s to answer a ping before it is given up
    if finding.to_safe_s is not None and finding.to_safe_s > within_s:
        found.append(f"safe after {finding.to_safe_s:.1f} s")
    return found


def table(findings: list[Finding]) -> str:
    """Write the counts per kind of fault as Markdown."""
    by_kind: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_kind[finding.case.kind].append(finding)
    lines = [
        "| fault | runs | hit | exit codes | violations | left powered | worst time to safe | untruthful | processes left |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for kind, some in [*sorted(by_kind.items()), ("all", findings)]:
        codes = Counter("killed" if one.code == -9 else str(one.code) for one in some)
        times = [one.to_safe_s for one in some if one.to_safe_s is not None and not one.excused]
        row = [
            kind,
            len(some),
            sum(one.hit for one in some),
            ", ".join(f"{code}: {count}" for code, count in codes.most_common()),
            sum(one.violations for one in some),
            sum(one.powered for one in some),
            f"{max(times):.2f} s" if times else "-",
            sum(bool(one.untrue) for one in some),
            sum(len(one.left) for one in some),
        ]
        lines.append(f"| {' | '.join(map(str, row))} |")
    excused = [one for one in findings if one.excused]
    four = sum(one.code == 4 for one in excused)
    lines.append(
        f"\nguard killed, or supplies that refuse: {len(excused)} runs, of which {four} ended with exit code 4"
    )
    return "\n".join(lines)


def campaign(options: argparse.Namespace, place: Path, say: Callable[[str], None]) -> list[Finding]:
    """Carry all runs out, a few at a time."""
    stop_s = time.monotonic() + options.minutes * 60
    findings: list[Finding] = []
    lock = threading.Lock()

    def one(number: int) -> None:
        if time.monotonic() > stop_s:
            return
        case = case_of(options.seed, number, options.speed, options.only)
        trial = Trial(case, place / str(number), options.plant)
        try:
            finding = trial.run()
        except Exception as error:
            finding = trial.finding
            finding.untrue.append(f"the campaign: {type(error).__name__}: {error}")
        wrong = bad(finding, options.within)
        with lock:
            findings.append(finding)
            if wrong:
                say(f"run {number} ({case.kind}, {case.where}, {case.faults}): {'; '.join(wrong)}")
            elif not len(findings) % 50:
                say(f"{len(findings)} runs")
        if not wrong or not options.keep:
            shutil.rmtree(place / str(number), ignore_errors=True)

    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(one, range(options.start, options.start + options.runs)))
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Do harm to runs on the simulator, and see what it does to the bench."
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--start", type=int, default=0, help="the number of the first run")
    parser.add_argument("--minutes", type=float, default=120.0, help="start no run after that time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=int, default=5000, help="of the simulator")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--within", type=float, default=15.0, help="seconds after a fault until the bench has to be safe"
    )
    parser.add_argument(
        "--only", default="", choices=("", *sorted(set(KINDS))), help="this kind of fault alone"
    )
    parser.add_argument(
        "--plant", default="", choices=("", *PLANTS), help="plant this bug: it has to be caught"
    )
    parser.add_argument("--keep", type=Path, help="keep the folders of runs that failed there")
    options = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        findings = campaign(
            options, options.keep or Path(scratch), lambda text: print(text, file=sys.stderr, flush=True)
        )
    print(
        f"seed {options.seed}, speed {options.speed}, {len(findings)} runs in {time.monotonic() - began_s:.0f} s\n"
    )
    print(table(findings))
    failed = sum(bool(bad(finding, options.within)) for finding in findings)
    print(f"\n{failed} runs did not end as they must" if failed else "\nall runs ended as they must")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
