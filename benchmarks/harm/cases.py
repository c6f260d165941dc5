"""Cases of the fault campaign: which sequence runs, what happens to it, and when; drawn from a seed and a number."""

import json
import random
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
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
BIASED = ("calibrate_module", "custom_sequence", "custom_calibration", "crosstalk_method")
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
SUPPLIES = (
    "hv-on-fails", "hv-off-fails:1", "lv-on-fails:1", "lv-off-fails:1", "fails-once", "hv-residual:1.5",
    "hv-off-fails:2",
)  # fmt: skip
REFUSING = ("hv-off-fails", "lv-off-fails", "hv-residual:-3")
SHORTAGES = ("processes", "processes of all", "memory", "descriptors")
DRIFTS = ("hv -350", "hv 50", "hv -10", "lv 1")
STRAY = (
    "HUP", "INT", "QUIT", "ABRT", "USR1", "USR2", "PIPE", "ALRM", "TERM", "TSTP", "TTIN", "TTOU", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "RTMIN", "RTMAX",
)  # fmt: skip
NEEDS_STEPS = (
    "stubborn", "kill-in-fault", "breakdown", "step-fault", "curve-dies", "drift", "daemon", "stop-calseq",
    "late-answer",
)  # fmt: skip
NEEDS_CHILD = ("kill-child", "stop-child", "kill-calseq-and-child", "all-at-once")
KINDS = (
    "kill-calseq", "kill-calseq", "kill-calseq", "kill-child", "kill-guard", "kill-guard", "kill-calseq-and-child",
    "kill-in-fault", "signal", "stop-child", "stubborn", "step-fault", "breakdown", "supplies", "refusing", "file-limit",
    "stop-guard", "curve-dies", "shortage", "shortage", "drift", "late-answer", "late-answer", "stop-calseq",
    "stray-signal-guard", "stray-signal-guard", "frozen-disk", "daemon", "all-at-once", "all-at-once",
)  # fmt: skip
"""Named as often as they weigh."""
UNSTRUCK = ("step-fault", "breakdown", "supplies", "refusing", "curve-dies")
"""What was drawn before the start: nothing is done later."""


@dataclass
class Case:
    """One run: what it runs, what happens to it and when.

    `what` says more of the harm; `then` what happens to calseq after it: 'kill', 'stop' by SIGINT, or nothing.
    """

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
    what: str = ""
    then: str = ""
    timeout_s: float = 0.0

    @property
    def ends_the_run(self) -> bool:
        """The bench has to be safe soon after the harm: the run cannot go on."""
        goes_on = self.kind in ("shortage", "daemon", "late-answer", "stray-signal-guard")
        return bool(self.then) or not goes_on


def case_of(seed: int, number: int, speed: int, only: str) -> Case:
    """Make run `number` of a seed."""
    dice = random.Random(f"{seed}/{number}")
    kind = only or dice.choice(KINDS)
    words: list[str] = []
    steps: list[dict[str, Any]] = []
    if dice.random() < 0.4 and kind not in NEEDS_STEPS:
        words = [dice.choice(SHIPPED)]
    else:
        steps = random_steps(dice, kind)
    where = dice.choice(("power", "guard", "events", "logs"))
    case = Case(number, kind, words, [], where, dice.random(), dice.expovariate(200), speed=speed)
    names = [step["calibration"] for step in steps] or ["iv_curve", "custom_sequence", "voltage_trimming"]
    _draw_harm(dice, case, steps, names)
    if steps:
        case.words = [json.dumps({"calseq": 1, "title": "Random", "steps": steps})]
    return case


def _draw_curve(dice: random.Random, case: Case, steps: list[dict[str, Any]]) -> None:
    """Draw what a curve shows, and its steps."""
    chosen = dice.choice(BREAKDOWNS)
    case.faults += [] if chosen == "both" else [f"iv_curve={chosen}"]
    for step in steps:
        if step["calibration"] == "iv_curve":
            both = {"both_ways": True} if chosen == "both" else {}
            step["options"] = {**step["options"], "step_size": dice.choice(STEPS_V), **both}


def _draw_harm(dice: random.Random, case: Case, steps: list[dict[str, Any]], names: list[str]) -> None:
    """Draw what happens."""
    kind, key = case.kind, dice.choice(names)
    if kind == "signal":
        case.signal = dice.choice(
            (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGTSTP)
        )
    elif kind == "all-at-once":
        case.signal = dice.choice((signal.SIGINT, signal.SIGTERM, signal.SIGQUIT))
    elif kind in ("stubborn", "kill-in-fault"):
        deaf = ("stubborn", "unkillable", "hang", "stop")
        slow = ("hang", "sleep:5", "stop")
        case.where = "fault"
        case.faults.append(f"{key}={dice.choice(deaf if kind == 'stubborn' else slow)}")
    elif kind == "step-fault":
        case.faults.append(f"{key}={dice.choice(STEP_FAULTS)}")
    elif kind == "curve-dies":
        case.faults.append(f"iv_curve=signal:{dice.choice(('KILL', 'SEGV', 'ABRT', 'TERM'))}")
    elif kind == "breakdown":
        _draw_curve(dice, case, steps)
    elif kind == "supplies":
        case.faults.append(f"power={dice.choice(SUPPLIES)}")
    elif kind == "refusing":
        case.faults.append(f"power={dice.choice(REFUSING)}")
    elif kind == "file-limit":
        case.limit = dice.randrange(1, 6000)
    elif kind == "shortage":
        case.what = dice.choice(SHORTAGES)
        case.then = dice.choice(("", "kill", "kill", "stop"))
    elif kind == "drift":
        case.what, case.where = dice.choice(DRIFTS), "fault"
        case.faults.append("drifting=sleep:12")
    elif kind == "late-answer":
        case.what = json.dumps({"at": dice.choice((5, 25, 45)), "for": dice.choice((12, 25, 40, 90))})
        case.where, case.then = "late", dice.choice(("", "", "kill"))
    elif kind == "stop-calseq":
        case.timeout_s = dice.choice((20.0, 50.0))
        for step in steps:
            step["timeout"] = f"{case.timeout_s:g}s"
        case.where, case.delay_s = "lit", case.at * 0.8
        if dice.random() < 0.5:
            case.where = "fault"
            case.faults.append(f"{key}=hang")
    elif kind == "frozen-disk":
        case.then = dice.choice(("", "kill"))
        if case.then:
            case.where, case.delay_s = "lit", case.at * 0.5
    elif kind == "stray-signal-guard":
        case.what = " ".join(dice.sample(STRAY, dice.randrange(1, 6)))
    elif kind == "daemon":
        case.then, case.where = dice.choice(("", "kill", "stop")), "daemon"
        case.faults.append(f"{key}=daemon{'+sleep:10' * bool(case.then)}")


def random_steps(dice: random.Random, kind: str) -> list[dict[str, Any]]:
    """Make a sequence that is valid: what needs a bias comes after a curve, the first step may be anything else."""
    free = [name for name in CALIBRATIONS if name not in BIASED]
    names = [dice.choice(free) for _ in range(dice.randrange(3))]
    if kind in ("breakdown", "curve-dies", "stop-calseq") or dice.random() < 0.8:
        names += ["iv_curve", *dice.choices([*CALIBRATIONS], k=dice.randrange(1, 5))]
    names = names or ["voltage_trimming"]
    if kind == "drift":
        names = ["iv_curve", dice.choice(BIASED), *dice.choices(BIASED, k=dice.randrange(2))]
    steps = [
        {
            "calibration": name,
            "name": f"{name}_{number}",
            **CALIBRATIONS[name],
            "on_failure": dice.choice(("stop", "continue")),
            "retries": dice.choice((0, 0, 1)),
        }
        for number, name in enumerate(names, 1)
    ]
    if kind == "drift":
        steps[1]["name"] = "drifting"
    return steps
