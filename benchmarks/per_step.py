"""A step that does nothing: what `calseq execute` adds to each, journal and step logs on.

    python benchmarks/per_step.py [--repeats 9]

The stand-in for dirigent is three lines of /bin/sh, the power mode `dirigent`, the calibration a site's own of
type general without outputs. It is compared with a bare `subprocess.run` loop over the very same argv in the
same folder and environment. "Whole command" is what (wall clock at 100 steps - wall clock at 10) comes to per
step, reading the file included; "in the run" is from the first step's start to the last one's end, as the
journal has it. From 10 to 1,000 steps the former is steadier: less of it is noise. The floor is the same bare
loop with two fdatasyncs a step. The live view runs in a real pty. Last, the same in mode `simulated` with the bundled stand-in, a Python program.
Targets: at most 3 times the bare loop at 100 steps; flat from 10 to 1,000; at most 10 % more with the live view.
"""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from measure import (
    CALSEQ,
    PYTHON,
    ROOT,
    Figure,
    Times,
    alone,
    alternate,
    environment,
    judged,
    own_instruments,
    ratio,
    scratch_folder,
    seconds,
    seconds_in_pty,
)

REPEATS = 9
SIZES = (10, 100, 1000)

DIRIGENT = """#!/bin/sh
[ "$1" = --help ] && echo "Commands: iv_curve"
exit 0
"""
SITE = """calseq-calibrations: 1
calibrations:
  nothing: {type: general, summary: does nothing}
"""
BENCH = """calseq-bench: 1
name: nothing
dirigent: {command: ./dirigent}
instruments: instruments.json
modules: modules.json
calibrations: site.yaml
power: {mode: dirigent}
"""
SIMULATED = """calseq-bench: 1
name: nothing
instruments: instruments.json
modules: modules.json
power: {mode: simulated}
simulator: {speed: 100000}
"""
BARE = """
import json, os, subprocess, sys, time
argvs, syncs = json.load(open(sys.argv[1])), int(sys.argv[2])
journal = os.open(sys.argv[1] + ".journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def record():
    if syncs:
        os.write(journal, b"x" * 199 + b"\\n")
        os.fdatasync(journal)
begun = time.perf_counter()
for argv in argvs:
    record()
    subprocess.run(argv)
    record()
print((time.perf_counter() - begun) / len(argvs))
"""
SUPPLIES_ON = """
import json, sys
from pathlib import Path
from calseq.simulator.supplies import SimulatedBench
folder, setup = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
bench = SimulatedBench.create(folder, setup["instruments"], setup["channels"], speed=setup["speed"])
bench.acquire(["lv"], "benchmark")
bench.lv_on("benchmark")
bench.release(["lv"], "benchmark")
"""


class Stand:
    """A bench on which nothing is done, its sequences of several sizes, and ways to run them."""

    def __init__(self, folder: Path, env: dict[str, str], bench: str, calibration: str) -> None:
        self.folder, self.env = folder, env
        folder.mkdir()
        own_instruments(folder)
        (folder / "bench.yaml").write_text(bench)
        (folder / "site.yaml").write_text(SITE)
        (folder / "dirigent").write_text(DIRIGENT)
        (folder / "dirigent").chmod(0o755)
        self.calibration = calibration
        self.in_run: dict[str, Times] = {}

    def sequence(self, size: int) -> str:
        name = f"steps{size}.yaml"
        steps = (f"  - {{calibration: {self.calibration}, name: step_{n}}}\n" for n in range(1, size + 1))
        (self.folder / name).write_text("calseq: 1\ntitle: nothing\nsteps:\n" + "".join(steps))
        return name

    def execute(self, size: int, screen: str = "none") -> Callable[[], float]:
        """Give a way to run so many steps; the run's own seconds per step are kept in `in_run`."""
        argv = [CALSEQ, "execute", self.sequence(size), "--no-report", "--screen", screen, "--runs"]
        kept = self.in_run.setdefault(f"{screen} {size}", Times())

        def arm() -> float:
            # A folder of its own for each, none deleted before the end: what others wrote to the disk or took
            # away there would else be paid for by the next arm's first fdatasync.
            os.sync()
            runs = self.folder / "runs" / f"{screen}{size}-{len(kept)}"
            run = seconds_in_pty if screen == "live" else seconds
            took = run([*argv, str(runs)], self.env, cwd=self.folder)
            kept.append(_seconds_in_run(next(runs.iterdir()) / "events.jsonl") / size)
            return took

        return arm

    def bare(self, size: int, syncs: int = 0, **env: str) -> Callable[[], float]:
        """Give a way to run the same commands in a loop; it gives seconds per step."""
        shown = [CALSEQ, "plan", self.sequence(size), "--format", "json"]
        plan = subprocess.run(shown, env=self.env, cwd=self.folder, capture_output=True, check=True).stdout
        argvs = [
            [str(self.folder / "data") if word == "{directory}" else word for word in step["argv"]]
            for step in json.loads(plan)["steps"]
        ]
        path = self.folder / f"argvs{size}.json"
        path.write_text(json.dumps(argvs))
        argv = [PYTHON, "-c", BARE, str(path), str(syncs)]

        def arm() -> float:
            os.sync()
            done = subprocess.run(
                argv, env=self.env | env, cwd=self.folder, capture_output=True, check=True, text=True
            )
            return float(done.stdout.split()[-1])

        return arm


def figures(repeats: int = REPEATS) -> list[Figure]:
    """Measure."""
    with scratch_folder() as scratch:
        env = environment(scratch)
        stand = Stand(scratch / "nothing", env, BENCH, "nothing")
        arms = {
            "bare": stand.bare(100),
            "floor": stand.bare(100, syncs=2),
            **{
                f"{screen} {size}": stand.execute(size, screen)
                for size in SIZES
                for screen in ("none", "live")
            },
            "bare again": stand.bare(100),
        }
        times = alternate(arms, repeats)
        times["bare"] += times.pop("bare again")
        return [*_in_mode_dirigent(times, stand.in_run), *_in_mode_simulated(scratch, env, repeats)]


def _in_mode_dirigent(times: dict[str, Times], in_run: dict[str, Times]) -> list[Figure]:
    in_run = {name: Times(kept[1:]) for name, kept in in_run.items()}  # the first round fills caches
    bare = times["bare"]
    run = in_run["none 100"]
    return [
        _marginal(
            "a step of `calseq execute`, whole command, 10→100 steps, against `subprocess.run`", times, bare
        ),
        _marginal("the same, 10→1,000 steps", times, bare, 10, 1000),
        ratio("the same in the run alone, 100 steps", run, bare, 3),
        ratio("floor: `subprocess.run` and two fdatasyncs, against `subprocess.run`", times["floor"], bare),
        _flat(in_run),
        _live(in_run),
        Figure(
            "whole command, 10 / 100 / 1,000 steps",
            "; ".join(f"{size}: {times[f'none {size}'].ms()}" for size in SIZES),
        ),
    ]


def _marginal(what: str, times: dict[str, Times], bare: Times, few: int = 10, many: int = 100) -> Figure:
    more, less = times[f"none {many}"], times[f"none {few}"]
    best, median = (more.best - less.best) / (many - few), (more.median - less.median) / (many - few)
    measured = (
        f"{best / bare.best:.2f}× / {median / bare.median:.2f}× "
        f"({best * 1e3:.2f} / {median * 1e3:.2f} ms against {bare.best * 1e3:.2f} / {bare.median * 1e3:.2f} ms)"
    )
    return Figure(what, measured, "≤ 3×", judged(3, best / bare.best, median / bare.median))


def _flat(in_run: dict[str, Times]) -> Figure:
    few, many = in_run["none 10"], in_run["none 1000"]
    best, median = many.best / few.best, many.median / few.median
    measured = f"{best:.2f}× / {median:.2f}× ({many.ms()} against {few.ms()})"
    return Figure("a step of 1,000 against a step of 10", measured, "≤ 1.1×: flat", judged(1.1, best, median))


def _live(in_run: dict[str, Times]) -> Figure:
    """The live view's share at 1,000 steps, where a second's picture is spread over many of them.

    The median is that of the rounds' own ratios: in a round the two follow each other directly.
    """
    live, dark = in_run["live 1000"], in_run["none 1000"]
    pairs = Times(one / other - 1 for one, other in zip(live, dark, strict=True))
    best = live.best / dark.best - 1
    measured = f"{best:+.0%} / {pairs.median:+.0%} ({live.ms()} against {dark.ms()})"
    what = "a step with the live view in a pty, 1,000 steps"
    return Figure(what, measured, "≤ 10 % more", judged(0.1, best, pairs.median))


def _in_mode_simulated(scratch: Path, env: dict[str, str], repeats: int) -> list[Figure]:
    """The children are Python programs; the supplies are held by calseq, and on for the bare loop, too."""
    stand = Stand(scratch / "simulated", env, SIMULATED, "get_module_info")
    setup = json.loads((stand.folder / "instruments.json").read_text()) | {"speed": 100_000}
    (stand.folder / "setup.json").write_text(json.dumps(setup))
    supplies = stand.folder / "supplies"
    argv = [PYTHON, "-c", SUPPLIES_ON, str(supplies), str(stand.folder / "setup.json")]
    subprocess.run(argv, env=env, cwd=ROOT, check=True)
    arms = {
        "bare": stand.bare(20, CALSEQ_SIMULATION=str(supplies)),
        "none 5": stand.execute(5),
        "none 20": stand.execute(20),
    }
    times = alternate(arms, max(3, repeats // 2))
    what = "the same in mode `simulated`, 5→20 steps, against `subprocess.run` of the simulator"
    return [_marginal(what, times, times["bare"], 5, 20)]


def _seconds_in_run(journal: Path) -> float:
    """Give the time from the first step's start to the last one's end."""
    events = [json.loads(line) for line in journal.read_bytes().splitlines()]
    first = next(event["t"] for event in events if event["event"] == "step-started")
    last = [event for event in events if event["event"] == "step-ended"][-1]
    if last["verdict"] != "passed":
        raise SystemExit(f"{journal}: a step did not pass: {last}")
    return float(last["t"] - first)


if __name__ == "__main__":
    alone(__doc__, figures, REPEATS)
