"""What every benchmark here shares: a clean environment, alternating runs, a pty, a scratch venv, and the table.

A figure is a ratio inside one run whenever two things are compared: the arms take turns, so that whatever
else the machine does hits both. Of all repeats the smallest and the median are kept, and both are shown.
"""

import argparse
import fcntl
import json
import os
import pty
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from calseq.system.locks import lock_folder

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
CALSEQ = str(Path(PYTHON).parent / "calseq")


@dataclass(frozen=True)
class Figure:
    """A line of the table: what was measured, what came out, what is wanted, and whether that was met."""

    what: str
    measured: str
    target: str = ""
    verdict: str = ""


class Times(list[float]):
    """Seconds, or whatever else was measured, of the same thing again and again."""

    @property
    def best(self) -> float:
        return min(self)

    @property
    def median(self) -> float:
        return statistics.median(self)

    def ms(self) -> str:
        return f"{self.best * 1e3:.1f} / {self.median * 1e3:.1f} ms"


def judged(limit: float, best: float, median: float) -> str:
    """Met is what both the smallest and the median keep."""
    kept = (best <= limit) + (median <= limit)
    return ("not met", "on the edge", "met")[kept]


def ratio(what: str, ours: Times, theirs: Times, limit: float | None = None) -> Figure:
    """Compare two arms of one run; without a limit that is only for information."""
    best, median = ours.best / theirs.best, ours.median / theirs.median
    measured = f"{best:.2f}× / {median:.2f}× ({ours.ms()} against {theirs.ms()})"
    if limit is None:
        return Figure(what, measured)
    return Figure(what, measured, f"≤ {limit:g}×", judged(limit, best, median))


def environment(scratch: Path, **more: str) -> dict[str, str]:
    """Give the environment of every arm: nothing that changes Python's start, bytecode cached in `scratch`."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    for name in ("CI", "NO_COLOR", "CALSEQ_SIMULATION"):
        kept.pop(name, None)
    return kept | {"PYTHONPYCACHEPREFIX": str(scratch / "bytecode"), "TERM": "xterm-256color"} | more


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder for everything a benchmark writes, and take it away afterwards, with the locks of its benches."""
    with tempfile.TemporaryDirectory(prefix="calseq-benchmark-", ignore_cleanup_errors=True) as folder:
        try:
            yield Path(folder)
        finally:
            for path in lock_folder().glob("calseq-*.lock"):
                with suppress(OSError, ValueError, KeyError):
                    if json.loads(path.read_text())["folder"].startswith(folder):
                        path.unlink()


def own_instruments(folder: Path) -> None:
    """Put the instruments of the bundled bench into a folder, with addresses of its own: a bench is locked by them."""
    bundled = ROOT / "sequences" / "benches" / "double"
    shutil.copy(bundled / "modules.json", folder)
    instruments = json.loads((bundled / "instruments.json").read_text())
    for name, entry in instruments["instruments"].items():
        entry["resource"] = f"TCPIP::192.0.2.1::{name}-{folder.parent.name}-{folder.name}::SOCKET"
    (folder / "instruments.json").write_text(json.dumps(instruments))


def seconds(argv: Sequence[str], env: Mapping[str, str], *, cwd: Path = ROOT, code: int = 0) -> float:
    """Run a command with its output thrown away; give its wall clock."""
    begun = time.perf_counter()
    done = subprocess.run(
        argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    took = time.perf_counter() - begun
    if done.returncode != code:
        raise SystemExit(f"{argv}: exit code {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return took


def alternate(arms: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, Times]:
    """Let the arms take turns; one round more, the first, is thrown away: it fills caches."""
    times = {name: Times() for name in arms}
    for number in range(repeats + 1):
        for name, arm in arms.items():
            took = arm()
            if number:
                times[name].append(took)
        print(f"\r  round {number} of {repeats}", end="", file=sys.stderr, flush=True)
    print("\r" + " " * 30 + "\r", end="", file=sys.stderr, flush=True)
    return times


class InPty:
    """A command on a terminal of its own, 100 columns by 30 rows, which is read as fast as it is written."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.octets = 0
        self.tail = b""
        self.process = subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):
            while octets := os.read(self._master, 65536):
                self.octets += len(octets)
                self.tail = (self.tail + octets)[-2000:]

    def wait(self) -> int:
        code = self.process.wait()
        self._reader.join(2.0)
        os.close(self._master)
        return code


def seconds_in_pty(argv: Sequence[str], env: Mapping[str, str], *, cwd: Path) -> float:
    """Run a command on a terminal; give its wall clock."""
    begun = time.perf_counter()
    on_terminal = InPty(argv, env, cwd)
    on_terminal.process.wait()
    took = time.perf_counter() - begun
    if code := on_terminal.wait() or int(on_terminal.octets < 1000):
        raise SystemExit(f"{argv}: exit code {code}\n{on_terminal.tail.decode(errors='replace')}")
    return took


def scratch_venv(folder: Path, *packages: str) -> Path:
    """Make a venv with packages from the package index that pip is set up for; give its folder of programs."""
    print(f"  installing {' '.join(packages)} into a scratch venv", file=sys.stderr)
    subprocess.run([PYTHON, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "pip"), "--quiet", "--disable-pip-version-check", "install", *packages]
    subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
    return folder / "bin"


def table(figures: Sequence[Figure]) -> str:
    """Write figures as a table in Markdown."""
    lines = ["| what | measured (smallest / median) | target | |", "|---|---|---|---|"]
    lines += [
        f"| {figure.what} | {figure.measured} | {figure.target} | {figure.verdict} |" for figure in figures
    ]
    return "\n".join(lines)


def alone(doc: str, figures: Callable[[int], list[Figure]], repeats: int) -> None:
    """Run one benchmark by itself and print its part of the table."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=repeats, help=f"rounds (default: {repeats})")
    print(table(figures(parser.parse_args().repeats)))
