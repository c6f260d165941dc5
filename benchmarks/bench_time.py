"""Bench time: what holding the rails between the steps saves, and what calseq itself adds to a run.

    python benchmarks/bench_time.py [--repeats 7]

`panthera` runs on the bundled simulator twice side by side: in power mode `simulated`, where calseq holds LV and HV
between the steps, and in mode `dirigent`, where every child is given the supplies and switches them itself, on the
same stand-in and the same simulated supplies (HV ramps 5 V/s of simulated time). Both are run at speeds 20 and 50:
wall clock = fixed + simulated / speed, so the two give the simulated seconds, free of Python's start-up and of
whatever else does not scale, and the fixed part. A ramp is counted in the supplies' own record whenever an HV output
leaves |V| <= 10 V; an LV cycle whenever an LV output goes on.

The overhead is measured where nothing else is left: `panthera` at speed 100,000, in mode `simulated`, against a bare
`subprocess.run` loop over the same argv on the same kind of bench. What the whole command takes longer is calseq's
own: start-up, reading, plan, journal with its syncs, supervision, supplies held and moved, summary. Its fraction is of
the simulated seconds above, a run's real length.
Target: less than 1 %.
"""

import json
import shutil
import subprocess
import time
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
    scratch_folder,
    seconds,
)
from per_step import BARE

REPEATS = 7
SPEEDS = (20, 50)
FAST = 100_000
PANTHERA = str(ROOT / "sequences" / "panthera.yaml")

HELD = """calseq-bench: 1
name: held
dirigent: {{config: dirigent.toml}}
instruments: instruments.json
modules: modules.json
power: {{mode: simulated}}
simulator: {{speed: {speed}}}
"""
NOT_HELD = """calseq-bench: 1
name: not-held
dirigent: {{config: dirigent.toml, command: [{python}, -m, calseq.simulator]}}
env: {{CALSEQ_SIMULATION: {supplies}}}
instruments: instruments.json
modules: modules.json
power: {{mode: dirigent}}
"""
SUPPLIES = """
import json, sys
from pathlib import Path
from calseq.simulator.supplies import SimulatedBench
setup = json.loads(Path(sys.argv[2]).read_text())
SimulatedBench.create(Path(sys.argv[1]), setup["instruments"], setup["channels"], speed=float(sys.argv[3]))
"""


def figures(repeats: int = REPEATS) -> list[Figure]:
    """Measure."""
    with scratch_folder() as scratch:
        env = environment(scratch)
        seconds([CALSEQ, "execute", "panthera", "--simulate", "--speed", str(FAST)], env, cwd=scratch)
        wall = {speed: _side_by_side(scratch / str(speed), env, speed) for speed in SPEEDS}
        counts = {mode: _count(scratch / str(SPEEDS[0]) / mode) for mode in ("held", "not-held")}
        times = _overhead(scratch / "overhead", env, repeats)
    held_s, held_fixed_s = _apart(wall, "held")
    free_s, free_fixed_s = _apart(wall, "not-held")
    saved = (
        f"{free_s - held_s:.0f} s of {free_s:.0f} s ({(free_s - held_s) / free_s:.1%}): {held_s:.0f} s held, "
        f"{free_s:.0f} s not; fixed part {held_fixed_s:.1f} and {free_fixed_s:.1f} s"
    )
    return [
        Figure("`panthera`, rails held by calseq: bench time saved", saved),
        _counted("HV ramps beyond 10 V per run, the curve's own included", counts, "ramps"),
        _counted("LV switched on per run", counts, "cycles"),
        _added(times, held_s),
    ]


def _counted(what: str, counts: dict[str, dict[str, int]], kind: str) -> Figure:
    return Figure(what, f"{counts['held'][kind]} held, {counts['not-held'][kind]} not")


def _added(times: dict[str, Times], real_s: float) -> Figure:
    best = times["calseq"].best - times["bare"].best
    median = times["calseq"].median - times["bare"].median
    measured = (
        f"{best * 1e3:.0f} / {median * 1e3:.0f} ms a run = {best / real_s:.3%} / {median / real_s:.3%} of "
        f"{real_s / 60:.1f} min ({times['calseq'].ms()} against {times['bare'].ms()} for five bare children)"
    )
    verdict = judged(0.01, best / real_s, median / real_s)
    return Figure("calseq's own time in a run of `panthera`", measured, "< 1 %", verdict)


def _side_by_side(folder: Path, env: dict[str, str], speed: int) -> dict[str, float]:
    """Run both modes at once, both asleep for most of it; give each one's wall clock."""
    runs = {mode: _stand(folder / mode, env, mode, speed) for mode in ("held", "not-held")}
    begun = time.perf_counter()
    left = {
        mode: subprocess.Popen(
            argv, env=env, cwd=folder / mode, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for mode, argv in runs.items()
    }
    wall: dict[str, float] = {}
    while left:
        for mode, process in list(left.items()):
            if process.poll() is None:
                continue
            wall[mode] = time.perf_counter() - begun
            said = process.communicate()[1].decode(errors="replace")
            if process.returncode:
                raise SystemExit(f"{mode}: exit code {process.returncode}\n{said}")
            del left[mode]
        time.sleep(0.005)
    return wall


def _stand(folder: Path, env: dict[str, str], mode: str, speed: int) -> list[str]:
    """Make a bench in a folder; give the command that runs panthera on it."""
    folder.mkdir(parents=True)
    for path in (ROOT / "sequences" / "benches" / "double").iterdir():
        shutil.copy(path, folder)
    if mode == "held":
        text = HELD.format(speed=speed)
    else:
        text = NOT_HELD.format(
            python=json.dumps(PYTHON), supplies=json.dumps(str(_supplies(folder, env, speed)))
        )
    (folder / "bench.yaml").write_text(text)
    return [CALSEQ, "execute", PANTHERA, "--bench", "bench.yaml", "--screen", "none"]


def _supplies(folder: Path, env: dict[str, str], speed: int) -> Path:
    supplies = folder / "supplies"
    argv = [PYTHON, "-c", SUPPLIES, str(supplies), str(folder / "instruments.json"), str(speed)]
    subprocess.run(argv, env=env, cwd=ROOT, check=True)
    return supplies


def _apart(wall: dict[int, dict[str, float]], mode: str) -> tuple[float, float]:
    """Split wall clock into what goes with the speed, in simulated seconds, and what does not."""
    slow, fast = SPEEDS
    simulated = (wall[slow][mode] - wall[fast][mode]) / (1 / slow - 1 / fast)
    return simulated, wall[slow][mode] - simulated / slow


def _count(folder: Path) -> dict[str, int]:
    """Count ramps and cycles in the power record of the supplies themselves."""
    record = next(folder.rglob("power.jsonl"))
    at: dict[str, tuple[bool, float]] = {}
    ramps = cycles = 0
    for line in map(json.loads, record.read_bytes().splitlines()):
        if line.get("violations"):
            raise SystemExit(f"an interlock was violated: {line}")
        if "volts" not in line:
            continue
        was_on, was_v = at.get(line["supply"], (False, 0.0))
        at[line["supply"]] = line["on"], line["volts"]
        if line["action"].startswith("hv"):
            ramps += abs(line["volts"]) > 10 >= abs(was_v)
        else:
            cycles += line["on"] and not was_on
    return {"ramps": ramps, "cycles": cycles}


def _overhead(folder: Path, env: dict[str, str], repeats: int) -> dict[str, Times]:
    """Run panthera with and without calseq where its children take next to no time."""
    argv = _stand(folder, env, "held", FAST)
    shown = [CALSEQ, "plan", PANTHERA, "--bench", "bench.yaml", "--format", "json"]
    plan = subprocess.run(shown, env=env, cwd=folder, capture_output=True, check=True).stdout
    argvs = [
        [str(folder / "data") if word == "{directory}" else word for word in step["argv"]]
        for step in json.loads(plan)["steps"]
    ]
    (folder / "argvs.json").write_text(json.dumps(argvs))
    supplies = _supplies(folder, env, FAST)
    loop = [PYTHON, "-c", BARE, str(folder / "argvs.json"), "0"]

    def bare() -> float:
        inside = env | {"CALSEQ_SIMULATION": str(supplies)}
        done = subprocess.run(loop, env=inside, cwd=folder, capture_output=True, check=True, text=True)
        return float(done.stdout.split()[-1]) * len(argvs)

    return alternate({"bare": bare, "calseq": lambda: seconds(argv, env, cwd=folder)}, repeats)


if __name__ == "__main__":
    alone(__doc__, figures, REPEATS)
