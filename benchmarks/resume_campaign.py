"""The resume campaign: calseq is killed at random moments, resumed, sometimes killed again, and at last passes.

    python benchmarks/resume_campaign.py                       200 kills, two runs at a time; about 15 minutes
    python benchmarks/resume_campaign.py --kills 20 --seed 7   a short one, and the same again
    python benchmarks/resume_campaign.py --keep DIR            keep the folders of what went wrong

Every run is the real command line on the simulated bench: a shipped sequence, and `kill -9` of calseq alone at a
moment drawn evenly from the time that the run takes, its start-up included. Run N of seed S is the same
sequence and the same moments every time; where in the program they then hit is the machine's. Once in three the
resumed run is killed, too, up to three times; then it is left to come to its end.

Each is judged from outside. After a kill: the guard's last words are that both rails are off, the simulated bench
itself says so, too, and nobody broke an interlock. After a resume: every file that was there is there and has the
same content, but for those that are appended to, which begin with what they were, and run.json; the steps that
ran are exactly those that the journal, read without calseq, does not show as passed. At the end: the journal is
whole, it and run.json say that all passed, the bench is off, and no process is left.
"""

import argparse
import json
import os
import random
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

from calseq.record.journal import read_journal  # noqa: E402
from calseq.simulator.state import born  # noqa: E402
from calseq.simulator.supplies import SimulatedBench  # noqa: E402
from calseq.system.locks import FolderLock  # noqa: E402

PATIENCE_S = 90.0
SHIPPED = sorted(path.stem for path in (ROOT / "sequences").glob("*.yaml"))
APPENDED = {"events.jsonl", "guard.jsonl", "guard.log", "simulated/power.jsonl"}
CLOSED = {"run.json", "run.json.new", "SHA256SUMS", "SHA256SUMS.new"}
"""What a run that is over may still have written, if calseq was killed before it had done that."""
REPLACED = {*CLOSED, "simulated/bench.json", "simulated/bench.json.new"}


@dataclass
class Finding:
    """What came of one run and its resumptions."""

    number: int
    sequence: str
    moments: list[str] = field(default_factory=list)
    resumes: int = 0
    kept: int = 0
    again: int = 0
    wrong: list[str] = field(default_factory=list)


class Trial:
    """One run, torn off and resumed until it passes."""

    def __init__(self, number: int, seed: int, speed: int, took_s: dict[str, float], place: Path) -> None:
        self.dice = random.Random(f"{seed}/{number}")
        self.place, self.speed, self.took_s = place, speed, took_s
        self.finding = Finding(number, self.dice.choice(SHIPPED))

    def run(self) -> Finding:
        self.place.mkdir(parents=True)
        kills = 1 + sum(self.dice.random() < 1 / 3 for _ in range(2))
        command = [self.finding.sequence, "--simulate", "--speed", str(self.speed)]
        for _ in range(kills):
            self.torn_off(command)
            if self.finding.wrong or not self.resumable():
                return self.finding
            command = ["--resume", "latest", "--yes"]
        self.to_the_end(command)
        return self.finding

    def torn_off(self, command: list[str]) -> None:
        """Start or resume, and kill calseq; then see that the bench is safe and what was there is."""
        before, passed, begun = self.files(), self.passed(), len(self.beginnings())
        process = start(command, self.place)
        with suppress(subprocess.TimeoutExpired):
            process.wait(self.dice.uniform(0.05, self.took_s[self.finding.sequence]))
        process.kill()
        process.communicate()
        self.gone()
        self.finding.moments.append(self.moment())
        self.check_safe()
        self.check_kept(before)
        if command[0] == "--resume":
            self.finding.resumes += 1
            if len(self.beginnings()) > begun:
                self.check_again(passed, whole=False)

    def resumable(self) -> bool:
        """A run that was killed before it had a record was none; whoever would resume it is told so in words."""
        folder = self.folder()
        if folder and (folder / "run.json").exists():
            return True
        process = start(["--resume", "latest", "--yes"], self.place)
        told = process.communicate(timeout=PATIENCE_S)[1]
        if process.returncode != 3 or "CS421" not in told:
            self.finding.wrong.append(
                f"a run without a record: exit code {process.returncode}: {told[-200:]}"
            )
        return False

    def to_the_end(self, command: list[str]) -> None:
        before, passed, over = self.files(), self.passed(), self.is_over()
        process = start(command, self.place)
        told = process.communicate(timeout=PATIENCE_S)[1]
        self.finding.resumes += 1
        self.gone()
        if process.returncode:
            self.finding.wrong.append(f"exit code {process.returncode}: {told[-600:]}")
            return
        self.check_kept(before)
        if over:
            after = {name: each for name, each in self.files().items() if name not in CLOSED}
            if after != {name: each for name, each in before.items() if name not in CLOSED}:
                self.finding.wrong.append("a run that was over was touched")
        else:
            self.check_again(passed, whole=True)
        self.check_end()

    # What is there

    def folder(self) -> Path | None:
        return next(iter(sorted((self.place / "runs").glob("*"))), None)

    def files(self) -> dict[str, bytes]:
        folder = self.folder()
        if folder is None:
            return {}
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }

    def events(self) -> list[dict[str, Any]]:
        """Read the journal as anybody can, up to the first line that is no JSON."""
        found: list[dict[str, Any]] = []
        folder = self.folder()
        for line in read(folder / "events.jsonl").split(b"\n")[:-1] if folder else []:
            try:
                found.append(json.loads(line))
            except ValueError:
                break
        return found

    def beginnings(self) -> list[int]:
        """Give where in the journal the run was started, and gone on with."""
        return [n for n, each in enumerate(self.events()) if each["event"] in ("run-started", "run-resumed")]

    def passed(self) -> set[str]:
        """The steps with a passed record."""
        last = {
            each["name"]: each.get("verdict", "")
            for each in self.events()
            if each["event"] in ("step-started", "step-ended", "step-skipped")
        }
        return {name for name, verdict in last.items() if verdict == "passed"}

    def is_over(self) -> bool:
        events = self.events()
        return bool(events) and events[-1]["event"] == "run-ended" and events[-1]["verdict"] == "passed"

    def steps(self) -> set[str]:
        folder = self.folder()
        plan = json.loads(read(folder / "plan.json") or b"{}") if folder else {}
        return {step["name"] for step in plan.get("steps", ())}

    def moment(self) -> str:
        """Say where the kill hit, in one word."""
        events = [each["event"] for each in self.events()]
        if not events:
            return "start-up"
        if events[-1] == "run-ended":
            return "after the end"
        if "safe-end-started" in events[-3:]:
            return "safe end"
        begun = [name for name in events if name in ("step-started", "step-ended")]
        return "in a step" if begun and begun[-1] == "step-started" else "between steps"

    def gone(self) -> None:
        """Wait for the guard and for what it ends; a guard that was just started has not said that it is there."""
        due_s = time.monotonic() + PATIENCE_S
        while (self.alive() or self.is_held()) and time.monotonic() < due_s:
            time.sleep(0.01)
        for pid in self.alive():
            self.finding.wrong.append(
                f"left: {read(Path(f'/proc/{pid}/cmdline')).replace(bytes(1), b' ')[-60:]!r}"
            )
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def is_held(self) -> bool:
        """Tell whether anything that the run started still holds its folder."""
        folder = self.folder()
        if folder is None:
            return False
        try:
            FolderLock(folder).release()
        except BlockingIOError:
            return True
        return False

    def alive(self) -> list[int]:
        folder = self.folder()
        if folder is None:
            return []
        mark = f"CALSEQ_RUN_FOLDER={folder}".encode()
        marked = (path for path in Path("/proc").glob("[0-9]*/environ") if mark in read(path).split(b"\0"))
        guards = [line["pid"] for line in self.said() if line.get("event") == "opening"]
        return [pid for pid in (*guards, *(int(path.parent.name) for path in marked)) if born(pid)]

    def said(self) -> list[dict[str, Any]]:
        folder, found = self.folder(), []
        for line in read(folder / "guard.jsonl").splitlines() if folder else []:
            with suppress(ValueError):
                found.append(json.loads(line))
        return found

    # The verdict

    def check_safe(self) -> None:
        folder = self.folder()
        if folder is None or not (folder / "simulated" / "bench.json").exists():
            return
        bench = SimulatedBench.open(folder / "simulated")
        self.finding.wrong += [f"violated: {text}" for text in bench.violations()]
        levels = json.loads(read(folder / "simulated" / "bench.json"))["levels"].values()
        if any(level["on"] or abs(level["volts"]) > 2.0 for level in levels):
            self.finding.wrong.append("left powered")
        said = self.said()
        if said and (said[-1].get("event"), said[-1].get("confirmed")) not in (
            ("ended", True),
            ("ended", None),
        ):
            self.finding.wrong.append(f"the guard's last words: {said[-1]}")

    def check_kept(self, before: dict[str, bytes]) -> None:
        after = self.files()
        for name, content in before.items():
            good = (
                after.get(name, b"\0none").startswith(content)
                if name in APPENDED
                else after.get(name) == content
            )
            if (
                name == "events.jsonl" and not good
            ):  # a torn last line may have been cut off, after a copy of it was made
                good = after[name].startswith(content[: content.rfind(b"\n") + 1]) and any(
                    content.endswith(copy) for path, copy in after.items() if path.startswith("events.torn-")
                )
            if not good and name not in REPLACED:
                self.finding.wrong.append(f"{name} is not what it was")

    def check_again(self, passed: set[str], *, whole: bool) -> None:
        """The steps that ran since the last resume are those that had not passed, and no other."""
        latest = self.events()[self.beginnings()[-1] :]
        ran = {each["name"] for each in latest if each["event"] == "step-started"}
        if ran & passed:
            self.finding.wrong.append(f"ran again though they had passed: {sorted(ran & passed)}")
        if whole and ran != self.steps() - passed:
            self.finding.wrong.append(f"ran {sorted(ran)}, and had passed {sorted(passed)}")
        if whole:
            self.finding.kept, self.finding.again = len(passed), len(ran)

    def check_end(self) -> None:
        folder, wrong = self.folder(), self.finding.wrong
        if folder is None:
            return
        record = json.loads(read(folder / "run.json"))
        events, damage = read_journal(folder / "events.jsonl")
        wrong += [f"journal: {damage}"] * bool(damage)
        if (record["state"], record["verdict"], record["exit_code"]) != ("ended", "passed", 0):
            wrong.append(f"run.json says {record['state']} {record['verdict']} {record['exit_code']}")
        if set(record["steps"].values()) != {"passed"} or set(record["steps"]) != self.steps():
            wrong.append(f"run.json says of the steps {record['steps']}")
        if self.passed() != self.steps() or getattr(events[-1].event, "exit_code", None) != 0:
            wrong.append("the journal does not say that all passed")
        argv = [sys.executable, "-m", "calseq", "runs", "verify", str(folder)]
        verified = subprocess.run(
            argv, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
        if verified.returncode:
            wrong.append(f"it does not verify: {verified.stdout[-300:]}")
        self.check_safe()


def start(command: list[str], place: Path) -> "subprocess.Popen[str]":
    argv = [
        sys.executable,
        "-m",
        "calseq",
        "execute",
        "--no-report",
        *command,
        "--screen",
        "none",
        "--runs",
        str(place / "runs"),
    ]
    return subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=place,
        start_new_session=True, errors="replace", env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def durations(speed: int, place: Path) -> dict[str, float]:
    """Measure how long every shipped sequence takes."""
    took_s = {}
    for name in SHIPPED:
        (place / name).mkdir(parents=True)
        began_s = time.monotonic()
        start([name, "--simulate", "--speed", str(speed)], place / name).communicate(timeout=PATIENCE_S)
        took_s[name] = time.monotonic() - began_s
    return took_s


def table(findings: list[Finding], took_s: dict[str, float]) -> str:
    """Write the counts per sequence as Markdown."""
    by_name: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_name[finding.sequence].append(finding)
    lines = [
        "| sequence | takes | runs | kills | killed | resumes | kept at the last | run at the last | wrong |",
        "| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for name, some in [*sorted(by_name.items()), ("all", findings)]:
        moments = Counter(moment for one in some for moment in one.moments)
        row = [
            name,
            f"{took_s[name]:.1f} s" if name in took_s else "",
            len(some),
            moments.total(),
            ", ".join(f"{moment}: {count}" for moment, count in moments.most_common()),
            *(sum(getattr(one, what) for one in some) for what in ("resumes", "kept", "again")),
            sum(bool(one.wrong) for one in some),
        ]
        lines.append(f"| {' | '.join(map(str, row))} |")
    return "\n".join(lines)


def campaign(options: argparse.Namespace, place: Path, say: Callable[[str], None]) -> list[Finding]:
    """Carry runs out, a few at a time, until there were enough kills."""
    options.took_s = durations(options.speed, place / "whole")
    findings: list[Finding] = []
    lock = threading.Lock()

    def one(number: int) -> None:
        if sum(len(each.moments) for each in findings) >= options.kills:
            return
        trial = Trial(number, options.seed, options.speed, options.took_s, place / str(number))
        try:
            finding = trial.run()
        except Exception as error:
            finding = trial.finding
            finding.wrong.append(f"the campaign: {type(error).__name__}: {error}")
        with lock:
            findings.append(finding)
            if finding.wrong:
                say(
                    f"run {number} ({finding.sequence}, {', '.join(finding.moments)}): {'; '.join(finding.wrong)}"
                )
            elif not len(findings) % 25:
                say(f"{len(findings)} runs")
        if not finding.wrong or not options.keep:
            shutil.rmtree(place / str(number), ignore_errors=True)

    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(one, range(options.kills)))
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill calseq, resume, and see what is kept.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=int, default=2000, help="of the simulator")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="keep the folders of runs that went wrong there")
    options = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        findings = campaign(
            options, options.keep or Path(scratch), lambda text: print(text, file=sys.stderr, flush=True)
        )
    print(table(findings, options.took_s))
    print(f"\nseed {options.seed}, simulator at {options.speed} x, {time.monotonic() - began_s:.0f} s")
    return 1 if any(finding.wrong for finding in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
