"""Checking a file: `calseq validate` against `check-jsonschema`, and how it grows with the number of steps.

    python benchmarks/validate.py [--repeats 20]

check-jsonschema comes from the package index into a scratch venv and is given the same file and the schema
that calseq ships: it gives JSON Schema's verdicts only, without places, names, options or rails.
Targets: at most 0.6 times as long; 1,000 steps in at most 3 s; never worse than linear (the processor time of a step
from 500 to 1,000 steps against that from 100 to 500), whether the file is good or every step has mistakes.
"""

import resource
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

from measure import (
    CALSEQ,
    ROOT,
    Figure,
    Times,
    alone,
    alternate,
    environment,
    judged,
    ratio,
    scratch_folder,
    scratch_venv,
    seconds,
)

REPEATS = 20
PANTHERA = str(ROOT / "sequences" / "panthera.yaml")
SCHEMA = str(ROOT / "schemas" / "sequence.schema.json")
SIZES = (10, 100, 500, 1000)
GOOD = (
    "  - {{calibration: iv_curve, name: step_{0}, options: {{max_voltage: -80}}, timeout: 45m, retries: 1}}\n"
)
BAD = "  - {{calibration: iv_curv, name: step_{0}, options: {{max_voltage: -80}}, timeout: 45, retrys: 1}}\n"


def figures(repeats: int = REPEATS) -> list[Figure]:
    """Measure."""
    with scratch_folder() as scratch:
        env = environment(scratch)
        return [*_against_peer(scratch, env, repeats), *_growth(scratch, env, max(3, repeats // 2))]


def _against_peer(scratch: Path, env: dict[str, str], repeats: int) -> list[Figure]:
    peer = str(scratch_venv(scratch / "peer", "check-jsonschema") / "check-jsonschema")
    version = subprocess.run([peer, "--version"], capture_output=True, text=True, check=True).stdout.split()[
        -1
    ]
    times = alternate(
        {
            "calseq": lambda: seconds([CALSEQ, "validate", PANTHERA], env),
            "peer": lambda: seconds([peer, "--schemafile", SCHEMA, PANTHERA], env),
        },
        repeats,
    )
    what = f"`calseq validate sequences/panthera.yaml` against check-jsonschema {version}"
    return [ratio(what, times["calseq"], times["peer"], 0.6)]


def _growth(scratch: Path, env: dict[str, str], repeats: int) -> list[Figure]:
    arms: dict[str, Callable[[], float]] = {}
    cpu: dict[str, Times] = {}
    for kind, step, code in (("good", GOOD, 0), ("bad", BAD, 1)):
        for size in SIZES:
            path = scratch / f"{kind}{size}.yaml"
            path.write_text("calseq: 1\ntitle: many\nsteps:\n" + "".join(map(step.format, range(size))))
            name = f"{kind} {size}"
            cpu[name] = Times()
            arms[name] = partial(_timed, [CALSEQ, "validate", str(path)], env, code, cpu[name])
    times = alternate(arms, repeats)
    shown = []
    for kind, said in (("good", ""), ("bad", ", three mistakes in each")):
        sizes = "; ".join(f"{size}: {times[f'{kind} {size}'].ms()}" for size in SIZES)
        whole = times[f"{kind} 1000"]
        verdict = judged(3.0, whole.best, whole.median)
        shown.append(Figure(f"`calseq validate`, 1,000 steps{said}", sizes, "≤ 3 s", verdict))
        shown.append(_linear(f"its CPU per step, 500→1,000 against 100→500{said}", cpu, kind))
    return shown


def _timed(argv: list[str], env: dict[str, str], code: int, cpu: Times) -> float:
    """Give the wall clock, and note the processor time: neighbours disturb that less."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = seconds(argv, env, code=code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return took


def _linear(what: str, times: dict[str, Times], kind: str) -> Figure:
    early = [_slope(times, kind, 100, 500, which) for which in ("best", "median")]
    late = [_slope(times, kind, 500, 1000, which) for which in ("best", "median")]
    best, median = late[0] / early[0], late[1] / early[1]
    measured = f"{best:.2f}× / {median:.2f}× ({late[0]:.2f} against {early[0]:.2f} ms)"
    return Figure(what, measured, "≤ 1.2×: linear, and noise", judged(1.2, best, median))


def _slope(times: dict[str, Times], kind: str, start: int, end: int, which: str) -> float:
    """Give milliseconds per step between two sizes."""
    rise = getattr(times[f"{kind} {end}"], which) - getattr(times[f"{kind} {start}"], which)
    return float(rise / (end - start) * 1e3)


if __name__ == "__main__":
    alone(__doc__, figures, REPEATS)
