"""One run of the fault campaign: the real command line, done to as its case says, and judged from outside."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harm.cases import NEEDS_CHILD, ROOT, UNSTRUCK, Case
from harm.freezing import write_freezing
from harm.judge import hv_left_on, impolite_ends, unfounded_bias, words_of, wrong_order
from harm.plants import Plant, write_driver
from harm.shortages import Shortage
from harm.witnesses import biased_beyond

from calseq.model import events as happened
from calseq.power.guard import DISK_LIMIT_S as GUARDS_DISK_LIMIT_S
from calseq.power.guard import SILENCE_S
from calseq.record.journal import read_journal
from calseq.simulator.interlocks import Level
from calseq.simulator.misdeeds import DAEMON
from calseq.simulator.state import born
from calseq.simulator.supplies import SimulatedBench

PATIENCE_S = 90.0
MARKER = "HARDWARE-STATE-UNKNOWN.txt"
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGQUIT: 131}
STOPPED_S = 90.0
"""How long a stopped calseq and a frozen disk are left so at most."""
DARK_S = 25.0
"""After so long with nothing on, and no child, they are let go on: longer than a hanging disk may take."""


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


class Trial:
    """One run of the command line, done to and judged."""

    def __init__(self, case: Case, place: Path, plant: Plant | None = None) -> None:
        self.case, self.place, self.plant, self.finding = case, place, plant, Finding(case)
        self.fault_s = self.fault_at = 0.0
        self.killed: set[str] = set()
        self.told = ""
        self.shortage = Shortage()
        self.stand: Any = None
        self.held_up = False
        self.settled = False

    def run(self) -> Finding:
        self.place.mkdir(parents=True)
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        if self.case.kind == "late-answer":
            arguments = self.on_icicle()
            environment["PAUSE_S"] = "0.7"
        else:
            arguments = self.on_simulator()
        if self.case.kind == "frozen-disk":
            site = self.place / "site"
            write_freezing(site, self.trigger, self.place / "runs")
            environment["PYTHONPATH"] = f"{site}:{ROOT}"
        program = [str(write_driver(self.place, self.plant))] if self.plant else ["-m", "calseq"]
        argv = [sys.executable, *program, "execute", "--no-report", *arguments, "--screen", "none"]
        with (self.place / "stderr").open("wb") as told:
            self.process = subprocess.Popen(
                [*argv, "--runs", str(self.place / "runs")],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=told, cwd=self.place,
                start_new_session=True, env=environment,
            )  # fmt: skip
        try:
            self.act()
            self.wait()
        finally:
            self.clear()
        self.judge()
        return self.finding

    def on_simulator(self) -> list[str]:
        word = self.case.words[0]
        if word.startswith("{"):
            (self.place / "s.yaml").write_text(word)
            word = "s.yaml"
        faults = [word for fault in self.case.faults for word in ("--fault", fault)]
        return [word, "--simulate", "--speed", str(self.case.speed), *faults]

    def on_icicle(self) -> list[str]:
        """Make a stand in mode icicle over its double, whose HV supply answers late from some voltage on."""
        for name in ("power", "cli"):
            sys.path.append(str(ROOT / "tests" / name))
        from icicle_stand import CROSSTALK, CURVE, IcicleStand  # noqa: PLC0415 - only this kind needs it

        self.stand = IcicleStand(self.place)
        late = {"late": {"hv_1": json.loads(self.case.what)}}
        (self.stand.double / "faults.json").write_text(json.dumps(late))
        return [self.stand.write(CURVE, CROSSTALK), "--bench", str(self.stand.bench)]

    @property
    def trigger(self) -> Path:
        return self.place / "frozen"

    # What is done to it

    def act(self) -> None:
        kind = self.case.kind
        if kind in UNSTRUCK:
            self.finding.hit = True
            return
        if not self.moment():
            return
        time.sleep(self.case.delay_s)
        self.finding.hit = self.process.poll() is None
        if not self.finding.hit:
            return
        self.fault_s, self.fault_at = time.monotonic(), time.time()
        self.harm(kind)
        if kind.startswith("kill") and not self.killed:
            self.finding.hit = False  # whom it was meant for had just ended
        if self.case.then == "kill":
            self.kill("calseq", self.process.pid)
        elif self.case.then == "stop":
            self.send(self.process.pid, signal.SIGINT)

    def harm(self, kind: str) -> None:
        calseq, case = self.process.pid, self.case
        if kind in ("kill-calseq", "kill-in-fault"):
            self.kill("calseq", calseq)
        elif kind == "kill-child":
            self.kill("child", self.child())
        elif kind == "kill-guard":
            self.kill("guard", self.guard())
        elif kind == "kill-calseq-and-child":
            child = self.child()
            self.kill("calseq", calseq)
            self.kill("child", child)
        elif kind == "signal":
            self.send(calseq, case.signal)
        elif kind == "all-at-once":
            for pid in (calseq, self.guard(), self.child()):
                self.send(pid, case.signal)
        elif kind == "stray-signal-guard":
            for name in case.what.split():
                self.send(self.guard(), getattr(signal, f"SIG{name}"))
                time.sleep(0.05)
        elif kind == "stop-child":
            self.send(self.child(), signal.SIGSTOP)
            self.send(calseq, signal.SIGINT)
        elif kind == "stop-guard":
            self.send(self.guard(), signal.SIGSTOP)
        elif kind == "stop-calseq":
            self.held_up = self.send(calseq, signal.SIGSTOP)
        elif kind == "frozen-disk":
            self.trigger.touch()
            self.held_up = True
        elif kind == "stubborn":
            for _ in range(3):
                self.send(calseq, signal.SIGINT)
                time.sleep(0.15)
        elif kind == "shortage":
            self.starve(case.what)
        elif kind == "drift":
            self.drift(*case.what.split())
        elif kind == "file-limit":
            with suppress(OSError):
                size = (self.folder() / "events.jsonl").stat().st_size
                limit = size + case.limit
                resource.prlimit(calseq, resource.RLIMIT_FSIZE, (limit, limit))

    def starve(self, what: str) -> None:
        guard = self.guard()
        if what == "processes":
            self.shortage.of_processes(guard)
        elif what == "processes of all":
            self.shortage.of_processes(guard, self.process.pid)
        elif what == "memory":
            self.shortage.of_memory(guard)
        else:
            self.shortage.of_descriptors(guard)

    def drift(self, rail: str, volts: str) -> None:
        """Have a supply drift away, as one with a loose contact or somebody at its front panel does."""
        name = f"{rail}_1:1"
        with SimulatedBench.open(self.folder() / "simulated").files.exchange() as exchange:
            before = exchange.state.levels[name]
            self.finding.hit = before.on
            if before.on:
                exchange.state.levels[name] = Level(True, float(volts), before.amps)
                exchange.record("the campaign", f"drift of {rail}", supply=name, on=True, volts=float(volts))

    def let_go(self) -> None:
        """Wake a calseq that was stopped, or the disk."""
        self.held_up = False
        self.trigger.unlink(missing_ok=True)
        self.send(self.process.pid, signal.SIGCONT)

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
        folder, where = self.folder(), self.case.where
        if where in ("fault", "daemon"):
            sign = b"simulated fault" if where == "fault" else b"left process"
            return any(sign in read(path) for path in folder.glob("steps/*/log.txt"))
        if where == "lit":
            return not self.is_dark()
        if where == "late":
            return any(self.place.glob("double/late-*"))
        if where == "logs":
            return sum(path.stat().st_size for path in folder.glob("steps/*/log.txt")) >= wanted
        names = {"power": "simulated/power.jsonl", "guard": "guard.jsonl", "events": "events.jsonl"}
        path = folder / names[where]
        return path.exists() and path.stat().st_size >= wanted

    # Who is there

    def folder(self) -> Path:
        return next(iter((self.place / "runs").glob("*")), self.place / "none")

    def said(self) -> list[dict[str, Any]]:
        return words_of(self.folder() / "guard.jsonl")

    def guards(self) -> list[int]:
        return [int(line["pid"]) for line in self.said() if line["event"] == "opening"]

    def guard(self) -> int:
        return next(iter(self.guards()), 0)

    def child(self) -> int:
        children = [line["pid"] for line in self.said() if line["event"] == "child"]
        return int(children[-1] or 0) if children else 0

    def alive(self) -> list[int]:
        mark = f"CALSEQ_RUN_FOLDER={self.folder()}".encode()
        found = [pid for pid in self.guards() if born(pid)]
        marked = (path for path in Path("/proc").glob("[0-9]*/environ") if mark in read(path).split(b"\0"))
        found += [pid for pid in (int(path.parent.name) for path in marked) if born(pid)]
        return found + [pid for pid in self.daemons() if born(pid)]

    def daemons(self) -> Iterator[int]:
        """Give what a step left behind with nothing of the run on it: only the step's own words tell."""
        if any("daemon" in fault for fault in self.case.faults):
            for path in self.folder().glob("steps/*/log.txt"):
                for line in read(path).splitlines():
                    pid = line.partition(b"left process ")[2].split(b" ")[0].decode()
                    if pid and DAEMON.encode() in read(Path(f"/proc/{pid}/cmdline")):
                        yield int(pid)

    def wait(self) -> None:
        """Wait for the end of calseq, its guard and its children; note when the bench was safe."""
        held = self.case.kind in ("stop-calseq", "frozen-disk")
        due_s = time.monotonic() + PATIENCE_S + STOPPED_S * held
        safe_s: float | None = None
        while time.monotonic() < due_s:
            over = self.process.poll() is not None
            if self.fault_s and self.finding.hit and not self.settled:
                safe_s = (safe_s or time.monotonic()) if self.is_dark() else None
            if self.held_up and self.may_go_on(safe_s):
                self.finding.to_safe_s = (safe_s or time.monotonic()) - self.fault_s
                self.settled = True
                self.let_go()
            if over and not self.alive():
                break
            time.sleep(0.02)
        if self.fault_s and safe_s is not None and not self.settled and self.case.ends_the_run:
            self.finding.to_safe_s = safe_s - self.fault_s

    def may_go_on(self, safe_s: float | None) -> bool:
        """A calseq that is stopped, or waits for its disk, has shown what it had to show."""
        now_s = time.monotonic()
        if now_s - self.fault_s > STOPPED_S:
            return True
        is_over = self.process.poll() is not None or self.case.kind == "stop-calseq"
        if is_over and not any(born(pid) for pid in self.guards()):
            return True
        child = self.child()
        return safe_s is not None and now_s - safe_s > DARK_S and not (child and born(child))

    def is_dark(self) -> bool:
        if self.stand:
            with suppress(ValueError):
                return not any(
                    one["on"] for one in json.loads(read(self.stand.double / "bench.json")).values()
                )
            return not (self.stand.double / "bench.json").exists()
        try:
            state = json.loads(read(self.folder() / "simulated" / "bench.json"))
        except ValueError:
            return not self.folder().exists()
        levels = state["levels"].values()
        return not any(level["on"] or abs(level["volts"]) > 2.0 for level in levels)

    def clear(self) -> None:
        """End what is left, after it was noted."""
        if self.held_up:
            self.let_go()
        if self.process.poll() is None:
            self.finding.left.append("calseq")
            self.process.kill()
        self.process.wait()
        for pid in self.alive():
            self.finding.left.append(read(Path(f"/proc/{pid}/cmdline")).replace(b"\0", b" ").decode()[-60:])
            self.send(pid, signal.SIGKILL)
        self.shortage.end()

    # The verdict

    def judge(self) -> None:
        finding, folder = self.finding, self.folder()
        finding.code = code = self.process.returncode
        if code < 0 and "calseq" not in self.killed:
            finding.code = code = 128 - code  # what a shell is told of a signal
        self.told = (self.place / "stderr").read_text(errors="replace")
        if not self.stand and not (folder / "simulated" / "setup.json").exists():
            if code == 3:
                finding.untrue.append("refused: the campaign made a sequence that is none")
            return
        dark = self.is_dark()
        impossible = bool({"guard"} & self.killed) and "could not take its place" in self.told
        finding.excused = self.case.kind == "refusing" or impossible
        finding.powered = not dark and not finding.excused
        if any(line.startswith("Traceback") for line in self.told.splitlines()):
            finding.untrue.append("a traceback on the terminal")
        stamped = read_journal(folder / "events.jsonl")[0]
        self.check_bench(stamped, dark)
        self.check_children(stamped)
        if "calseq" in self.killed:
            self.check_guard(dark)
        else:
            self.check_record(code, dark)
            self.check_kind(code, stamped)

    def check_bench(self, stamped: list[Any], dark: bool) -> None:
        """Ask the bench's own record."""
        if self.stand:
            broken = [text for line in self.stand.record() for text in line.get("violations", ())]
            self.finding.violations = len(broken)
            return
        bench = SimulatedBench.open(self.folder() / "simulated")
        self.finding.violations = len(bench.violations())
        actions = bench.actions()
        if dark:
            self.check_order([line["action"] for line in actions])
        self.finding.untrue += unfounded_bias(stamped, actions, self.folder())
        bench = SimulatedBench.open(self.folder() / "simulated")
        self.finding.untrue += biased_beyond(self.folder(), bench, actions)
        if not any(fault.startswith("power=") for fault in self.case.faults):
            self.finding.untrue += hv_left_on(stamped, actions, self.folder())

    def check_order(self, done: list[str]) -> None:
        if "lv-off" in done:
            after = done[len(done) - 1 - done[::-1].index("lv-off") :]
            if {"hv-on", "hv-step", "hv-off"} & set(after):
                self.finding.untrue.append("HV moved after LV was off")

    def check_children(self, stamped: list[Any]) -> None:
        """Ask who was started when, and ended how."""
        said = self.said()
        self.finding.untrue += wrong_order(stamped, said, self.folder())
        presses = max(
            (one.event.count for one in stamped if isinstance(one.event, happened.StopAsked)), default=0
        )
        killed = "child" in self.killed or any("signal:KILL" in fault for fault in self.case.faults)
        self.finding.untrue += impolite_ends(stamped, said, killed=killed, presses=presses)

    def check_kind(self, code: int, stamped: list[Any]) -> None:
        """Ask what this kind of harm has to lead to, and no other."""
        case, untrue = self.case, self.finding.untrue
        if not self.finding.hit or self.was_over():
            return
        if case.kind == "drift":
            signalled = [one for one in stamped if isinstance(one.event, happened.ChildSignalled)]
            if code == 0:
                untrue.append("passed, though a supply had drifted away")
            if not signalled:
                untrue.append("a supply had drifted away, and nobody ended the step")
        elif case.kind == "all-at-once" and code not in (CODES[signal.Signals(case.signal)], 4):
            untrue.append(f"exit code {code} after {signal.Signals(case.signal).name}")
        elif case.kind in ("stray-signal-guard", "daemon") and not case.then and code:
            untrue.append(f"exit code {code}, and nothing was wrong")

    def check_guard(self, dark: bool) -> None:
        """Of a killed calseq the guard's last words count; run.json may only say that nobody saw the end."""
        untrue, said = self.finding.untrue, self.said()
        last = said[-1] if said else {}
        if last.get("reason") == "the supplies were not opened" and dark and self.is_untouched():
            return  # it could not open them in the shortage, and claims nothing
        if last.get("event") != "ended":
            if self.case.kind != "frozen-disk":  # there it has nowhere to say it
                untrue.append("the guard did not say how it ended")
        elif last.get("confirmed") is True and not dark:
            untrue.append("the guard confirmed what is not so")
        elif last.get("confirmed") is not True and self.case.kind != "refusing":
            untrue.append(f"the guard did not confirm: {last.get('reason')}")
        record = json.loads(read(self.folder() / "run.json") or b"{}")
        if record.get("state") == "ended" and record.get("exit_code") not in (0, 1, 130):
            untrue.append(f"run.json says {record.get('exit_code')}")

    def check_record(self, code: int, dark: bool) -> None:
        untrue, folder, kind = self.finding.untrue, self.folder(), self.case.kind
        record_text = read(folder / "run.json").decode(errors="replace")
        no_record = kind in ("file-limit", "frozen-disk")
        if code != 4 and not dark:
            untrue.append(f"exit code {code} over a bench that is on")
        if code == 4 and not (folder / MARKER).exists() and not no_record:
            untrue.append("exit code 4 without a marker")
        if code == 4 and not ("hv_1" in self.told and "HARDWARE STATE UNKNOWN" in self.told):
            untrue.append("exit code 4 without instructions")
        if code != 4 and (folder / MARKER).exists():
            untrue.append("a marker without exit code 4")
        self.check_replaced(code, record_text)
        untouched = code == 3 and "nothing was touched" in record_text
        may_be_untouched = "guard" in self.killed or kind in (
            "stop-guard",
            "all-at-once",
            "shortage",
            "stop-calseq",
        )
        if code == 4 and not self.finding.excused and kind != "supplies":
            untrue.append("exit code 4 for nothing")
        if untouched and not self.is_untouched():
            untrue.append("'nothing was touched' is not so")
        if code not in (0, 1, 4, *CODES.values()) and not (untouched and may_be_untouched):
            untrue.append(f"exit code {code}")
        if no_record:
            if code == 0 and "lost" in self.told:
                untrue.append("exit code 0 though the journal was lost")
            return
        self.check_words(code, json.loads(record_text or "{}"))

    def check_replaced(self, code: int, record_text: str) -> None:
        """A guard that died or stood still is replaced: the run has failed, and the bench is confirmed off."""
        gone = "guard" in self.killed or self.case.kind == "stop-guard"
        untouched = code == 3 and "nothing was touched" in record_text
        if not (self.finding.hit and gone) or untouched or self.was_over() or self.finding.excused:
            return
        began = next((line for line in self.events_named("safe-end-started")), None)
        if code != 1 and not (code == 0 and began and began.at <= self.fault_at):
            self.finding.untrue.append(f"exit code {code} though the guard was not there")
        if "HV off, LV off: confirmed" not in self.told:
            self.finding.untrue.append("no word that off was confirmed, by a guard in the place of the first")

    def check_words(self, code: int, record: dict[str, Any]) -> None:
        """The journal, run.json and the shell say the same."""
        untrue = self.finding.untrue
        events, damage = read_journal(self.folder() / "events.jsonl")
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
        if code == 1 and not verdicts - {"passed"} and not record.get("reason"):
            untrue.append("exit code 1 though all passed")

    def is_untouched(self) -> bool:
        """No supply was moved."""
        if self.stand:
            return not self.stand.switched()
        lines = SimulatedBench.open(self.folder() / "simulated").actions()
        return not any("supply" in line for line in lines)

    def events_named(self, name: str) -> list[Any]:
        found = read_journal(self.folder() / "events.jsonl")[0]
        return [one for one in found if happened.kind(type(one.event)) == name]

    def was_over(self) -> bool:
        """The rails were confirmed off before the harm: then it costs nothing."""
        return any(one.at <= self.fault_at for one in self.events_named("safe-end-finished"))


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def bad(finding: Finding, within_s: float) -> list[str]:
    """Give all that is wrong with a run."""
    case = finding.case
    found = list(finding.untrue)
    found += [f"{finding.violations} interlock violations"] * bool(finding.violations)
    found += ["left powered"] * finding.powered
    found += [f"left: {name}" for name in finding.left]
    within_s += {
        "stop-guard": 10.0,  # it gets 10 s to answer a ping before it is given up
        "stop-calseq": max(SILENCE_S, case.timeout_s),
        "frozen-disk": SILENCE_S + 2 * GUARDS_DISK_LIMIT_S,  # for a calseq that hangs in it, too
    }.get(case.kind, 0.0)
    if finding.to_safe_s is not None and finding.to_safe_s > within_s:
        found.append(f"safe after {finding.to_safe_s:.1f} s")
    return found
