"""A run in which nothing happens: calseq's own CPU, and its memory when a child floods its log.

    python benchmarks/idle.py [--repeats 1]

One step sleeps 60 s, in three runs side by side: plain lines, the live view in a pty, and the live view while the
child writes a line a second. CPU is that of calseq's threads (the kernel's count in nanoseconds, children not
included) over the 50 s in the middle. Then a child writes 1 GiB of log as fast as it can; the growth is the
difference of the peaks of resident memory (VmHWM) of that run and of the same run whose child writes nothing.
Targets: less than 1 % of a core; less than 10 MB.
"""

import statistics
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from measure import CALSEQ, Figure, InPty, alone, environment, judged, scratch_folder
from per_step import BENCH, Stand

REPEATS = 1
LENGTH_S, BEFORE_S, WATCHED_S = 60, 5.0, 50.0

CHILDREN = {
    "silent": f"sleep {LENGTH_S}",
    "talking": f"i=0; while [ $i -lt {LENGTH_S} ]; do i=$((i+1)); echo Progress: $i; sleep 1; done",
    "nothing": "sleep 3",
    "flood": "yes 'a line of a log such as a calibration may write' | head -c 1073741824; sleep 3",
}


class Idle:
    """A run on a bench of its own with a child that does one thing, on a terminal or not."""

    def __init__(self, folder: Path, env: dict[str, str], child: str, screen: str) -> None:
        stand = Stand(folder, env, BENCH, "nothing")
        script = f'#!/bin/sh\nif [ "$1" = --help ]; then echo iv_curve; exit 0; fi\n{CHILDREN[child]}\n'
        (folder / "dirigent").write_text(script)
        self.folder = folder
        argv = [CALSEQ, "execute", stand.sequence(1), "--screen", screen]
        self.pty = InPty(argv, env, folder) if screen == "live" else None
        if self.pty:
            self.process = self.pty.process
        else:
            with (folder / "lines.txt").open("wb") as lines:
                self.process = subprocess.Popen(argv, env=env, cwd=folder, stderr=lines)
        self.peak_kb = 0

    def cpu_s(self) -> float:
        """Give the processor time of all its threads so far."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def watch_memory(self) -> None:
        """Follow its peak of resident memory to its end."""
        while self.process.poll() is None:
            with suppress(OSError, StopIteration):
                status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
                self.peak_kb = int(next(line for line in status if line.startswith("VmHWM")).split()[1])
            time.sleep(0.02)
        self.end()

    def end(self) -> None:
        code = self.pty.wait() if self.pty else self.process.wait()
        if code:
            raise SystemExit(f"an idle run ended with exit code {code}: {self.folder}")


def figures(repeats: int = REPEATS) -> list[Figure]:
    """Measure."""
    with scratch_folder() as scratch:
        env = environment(scratch)
        shares = [_cpu(scratch / f"cpu{number}", env) for number in range(repeats)]
        growths = {
            screen: [_growth(scratch / f"memory{number}{screen}", env, screen) for number in range(repeats)]
            for screen in ("plain", "live")
        }
    said = {
        "plain": "an idle run, plain lines",
        "live": "an idle run, live view in a pty",
        "talking": "the same, the child writing a line a second",
    }
    shown = [
        _share(f"CPU of calseq: {text}", [share[name] for share in shares]) for name, text in said.items()
    ]
    for screen, all_ in growths.items():
        grown_mb = [peak_mb - rest_mb for peak_mb, rest_mb in all_]
        measured = (
            f"{min(grown_mb):+.1f} / {statistics.median(grown_mb):+.1f} MB (peak {all_[0][0]:.1f} "
            f"against {all_[0][1]:.1f} MB)"
        )
        verdict = judged(10, min(grown_mb), statistics.median(grown_mb))
        shown.append(
            Figure(f"memory of calseq, child writes 1 GiB of log, {screen}", measured, "< 10 MB", verdict)
        )
    return shown


def _share(what: str, shares: list[float]) -> Figure:
    best, median = min(shares), statistics.median(shares)
    return Figure(what, f"{best:.2%} / {median:.2%} of a core", "< 1 %", judged(0.01, best, median))


def _cpu(folder: Path, env: dict[str, str]) -> dict[str, float]:
    """Give each run's share of a core."""
    folder.mkdir()
    runs = {
        "plain": Idle(folder / "plain", env, "silent", "plain"),
        "live": Idle(folder / "live", env, "silent", "live"),
        "talking": Idle(folder / "talking", env, "talking", "live"),
    }
    time.sleep(BEFORE_S)
    begun, before = time.perf_counter(), {name: run.cpu_s() for name, run in runs.items()}
    time.sleep(WATCHED_S)
    took, after = time.perf_counter() - begun, {name: run.cpu_s() for name, run in runs.items()}
    for run in runs.values():
        run.end()
    return {name: (after[name] - before[name]) / took for name in runs}


def _growth(folder: Path, env: dict[str, str], screen: str) -> tuple[float, float]:
    """Give the peak with a flood, and without, in MB."""
    folder.mkdir()
    peaks = []
    for child in ("flood", "nothing"):
        run = Idle(folder / child, env, child, screen)
        run.watch_memory()
        written = sum(path.stat().st_size for path in folder.joinpath(child).rglob("log.txt"))
        if child == "flood" and written < 1 << 30:
            raise SystemExit(f"the flood was {written} bytes only")
        for log in folder.joinpath(child).rglob("log.txt"):
            log.unlink()
        peaks.append(run.peak_kb / 1e3)
    return peaks[0], peaks[1]


if __name__ == "__main__":
    alone(__doc__, figures, REPEATS)
