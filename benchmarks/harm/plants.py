"""Bugs planted into calseq or its guard by a driver that replaces one function: the judge has to see each of them."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUARD = ROOT / "calseq" / "power" / "guard.py"


@dataclass(frozen=True)
class Plant:
    """A bug: the kind of fault that brings it to light, its code, and a word of what the judge says of it."""

    kind: str
    finding: str
    calseq: str = ""
    guard: str = ""


PLANTS = {
    "bias-unread": Plant(
        "breakdown",
        "biased",
        calseq="""
import calseq.run.executor
from calseq.planning.bias import Decision
calseq.run.executor.decide = lambda *_: Decision(True, "not read")
""",
    ),
    "file-alone": Plant(
        "breakdown",
        "vouch for",
        calseq="""
import calseq.run.executor
from calseq.planning.bias import decide
from msgspec.structs import replace
def alone(supplies, left, rule, *more):
    return decide(supplies, left, replace(rule, witnesses="breakdowns"), *more)
calseq.run.executor.decide = alone
""",
    ),
    "sigkill-first": Plant(
        "stop-child",
        "first signal to the child",
        calseq="""
import signal
import calseq.run.supervision
calseq.run.supervision.SIGNALS[calseq.run.supervision.Stage.ASKED] = signal.SIGKILL
""",
    ),
    "sigkill-untold": Plant(
        "stop-child",
        "died of SIGKILL",
        calseq="""
import signal
from calseq.run.attempt import FolderAttempt
send = FolderAttempt.send
FolderAttempt.send = lambda self, number: send(self, signal.SIGKILL)
""",
    ),
    "late-start": Plant(
        "breakdown",
        "before its step-started",
        calseq="""
from calseq.run.progress import Progress
from calseq.model.events import ChildStarted, StepStarted
tell, kept = Progress.tell, []
def late(self, event):
    if isinstance(event, StepStarted):
        kept.append(event)
        return
    tell(self, event)
    if isinstance(event, ChildStarted):
        tell(self, kept.pop())
Progress.tell = late
""",
    ),
    "start-after-spawn": Plant(
        "breakdown",
        "later than its child",
        calseq="""
from calseq.run.progress import Progress
from calseq.model.events import ChildStarted, StepStarted
tell, kept = Progress.tell, []
def late(self, event):
    if isinstance(event, StepStarted):
        kept.append(event)
        return
    if isinstance(event, ChildStarted):
        tell(self, kept.pop())
    tell(self, event)
Progress.tell = late
""",
    ),
    "power-lost-ignored": Plant(
        "drift",
        "nobody ended the step",
        calseq="""
from calseq.run.rails import Rig
lost = Rig.lost
def ignored(self):
    lost(self)
    return ""
Rig.lost = ignored
""",
    ),
    "hv-left": Plant(
        "curve-dies",
        "HV was on when",
        calseq="""
from calseq.run.rails import Rig
def take_back(self, given, step):
    if given:
        self._power.take_back(given)
Rig.take_back = take_back
""",
    ),
    "guard-sigkill-first": Plant(
        "kill-in-fault",
        "by the guard",
        guard="""
def end(self, graces_s, note, pause):
    targets = self.look()
    note("ending-child", signal="SIGKILL", processes=guard._named(targets), grace_s=0)
    self._send(guard.signal.SIGKILL, 5.0, False, pause)
    return self.look()
guard.Tree.end = end
""",
    ),
}

_CALSEQ = """
from pathlib import Path
import calseq.power.guarded
import calseq.system.assets
from calseq.cli import main
if GUARD:
    calseq.power.guarded.GUARD = calseq.system.assets.GUARD = Path(GUARD)
PLANT
main()
"""
_GUARD = """
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("calseq_guard", GUARD)
guard = importlib.util.module_from_spec(spec)
spec.loader.exec_module(guard)
PLANT
os._exit(guard.main())
"""


def write_driver(place: Path, plant: Plant) -> Path:
    """Write the program that starts calseq with a bug in it."""
    guard = place / "guard_driver.py"
    if plant.guard:
        guard.write_text(_GUARD.replace("GUARD", repr(str(GUARD))).replace("PLANT", plant.guard))
    driver = place / "calseq_driver.py"
    named = repr(str(guard) if plant.guard else "")
    driver.write_text(
        _CALSEQ.replace("if GUARD", f"if {named}")
        .replace("Path(GUARD)", f"Path({named})")
        .replace("PLANT", plant.calseq)
    )
    return driver
