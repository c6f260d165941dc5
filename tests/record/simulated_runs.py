"""Runs of the real command line on the simulator, and the run folders of long ago."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from console_runs import (
    AT,
    a_plan,
    a_step,
    failed_run,
    good_run,
    stamped,
    started,
    step_start,
    unsafe_run,
    until_tuning,
)

__all__ = [
    "AT",
    "a_plan",
    "a_step",
    "failed_run",
    "good_run",
    "stamped",
    "started",
    "step_start",
    "unsafe_run",
    "until_tuning",
]

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "tests" / "record" / "samples").glob("format-1-*"))
DOUBLE = ROOT / "sequences" / "benches" / "double"
SPEED = "5000"


def run_of(stand, sequence, *words, screen="none", bench=None):
    """Run a sequence to its end below `stand`; give exit code, what was told and the run's folder."""
    where = ["--bench", str(bench)] if bench else []
    argv = [
        sys.executable,
        "-m",
        "calseq",
        "execute",
        "--no-report",
        sequence,
        "--simulate",
        "--speed",
        SPEED,
        *where,
        *words,
    ]
    before = set(stand.glob("runs/*"))
    ran = subprocess.run(
        [*argv, "--screen", screen, "--runs", "runs"],
        cwd=stand, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, env=dict(os.environ),
    )  # fmt: skip
    made = sorted(set(stand.glob("runs/*")) - before)
    assert "Traceback" not in ran.stderr, ran.stderr
    return SimpleNamespace(code=ran.returncode, told=ran.stderr, folder=made[-1] if made else None)


def a_bench(stand, **keys):
    """Write a bench file like the bundled one, with other keys beside; give its path."""
    lines = [line for line in (DOUBLE / "bench.yaml").read_text().splitlines() if not line.startswith("#")]
    for name in ("instruments.json", "modules.json", "dirigent.toml"):
        if (DOUBLE / name).exists():
            (stand / name).write_bytes((DOUBLE / name).read_bytes())
    path = stand / "bench.yaml"
    path.write_text("\n".join([*lines, *(f"{key}: {value}" for key, value in keys.items())]) + "\n")
    return path
