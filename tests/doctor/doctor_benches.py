"""Benches with every defect, and programs named dirigent: the right one, wrong ones, and bad ones."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from calseq.bench.bench import Bench, read_bench
from calseq.bench.find import shipped_bench
from calseq.doctor import Check, Machine, Status, examine
from calseq.sequence.catalog import builtin
from calseq.system.signals import Stops

NOBODY = 65534
SIMULATOR = f"{shlex.quote(sys.executable)} -m calseq.simulator"

INSTRUMENTS = {
    "lv_1": {
        "class": "TTITSX",
        "resource": "TCPIP::192.0.2.22::9221::SOCKET",
        "default_voltage": 4.0,
        "default_current": 3.7,
    },
    "hv_1": {
        "class": "Keithley2410",
        "resource": "TCPIP::192.0.2.23::5025::SOCKET",
        "default_voltage": -50,
        "default_current": 10e-6,
    },
}


def program(path: Path, body: str) -> Path:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def true_dirigent(folder: Path, before: str = "") -> Path:
    """Write a dirigent that is calseq's stand-in itself."""
    return program(folder / "bin" / "dirigent", f'{before}\nexec {SIMULATOR} "$@"')


def right_dirigent(folder: Path, before: str = "", after: str = "cat") -> Path:
    """Write one that says what the stand-in says, at once; `before` may end it, `after` filters what it says."""
    pages = folder / "pages"
    pages.mkdir()
    for name, text in _pages().items():
        (pages / name).write_text(text)
    body = f"""{before}
    page=--help
    for word in "$@"; do test "$word" = --help || page=$word; done
    test -f "{pages}/$page" || {{ echo "Error: No such command '$page'." >&2; exit 2; }}
    {after} < "{pages}/$page" """
    return program(folder / "bin" / "dirigent", body)


@cache
def _pages() -> dict[str, str]:
    """Give all that the stand-in tells of itself, by the last word that asks for it."""
    words = ["--help", "--version", *builtin().calibrations]
    asked = {
        word: subprocess.Popen(
            [sys.executable, "-m", "calseq.simulator", *dict.fromkeys((word, "--help"))],
            stdout=subprocess.PIPE,
            text=True,
        )
        for word in words
    }
    return {word: asking.communicate()[0] for word, asking in asked.items()}


def bench_file(
    folder: Path,
    *,
    mode: str = "dirigent",
    python: object = "",
    dirigent: dict[str, object] | None = None,
    instruments: dict[str, dict[str, object]] | None = None,
    channels: dict[str, object] | None = None,
    **keys: object,
) -> Path:
    """Write a bench file, in JSON, which is YAML, and its instruments.json."""
    folder.mkdir(parents=True, exist_ok=True)
    wiring = {"instruments": instruments or INSTRUMENTS, **({"channels": channels} if channels else {})}
    (folder / "instruments.json").write_text(json.dumps(wiring))
    power = {"mode": mode, **({"python": str(python)} if python else {})}
    bench = {
        "calseq-bench": 1,
        "name": "lab-1",
        "instruments": "instruments.json",
        "power": power,
        "dirigent": dirigent or {"command": str(folder / "bin" / "dirigent")},
        **keys,
    }
    path = folder / "bench.yaml"
    path.write_text(json.dumps(bench))
    return path


def a_bench(folder: Path, **keys: object) -> Bench:
    """Give a bench that can be read."""
    reading = read_bench(bench_file(folder, **keys))
    assert reading.bench, [problem.message for problem in reading.problems]
    return reading.bench


def python_environ() -> dict[str, str]:
    """Give the variables without which this Python does not find calseq."""
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}


def simulated_bench_file(folder: Path) -> Path:
    """Copy the shipped bench to where its runs may be written."""
    return Path(shutil.copytree(shipped_bench().parent, folder / "double")) / "bench.yaml"


def a_machine(folder: Path, **values: object) -> Machine:
    """Give a machine on which all is well: Ph2_ACF sourced, inside tmux, locks beside the bench."""
    locks = folder / "lock"
    locks.mkdir(exist_ok=True)
    locks.chmod(0o1777)
    environ = {**python_environ(), "PH2ACF_BASE_DIR": str(folder), "TMUX": "1"}
    given = {
        "environ": environ,
        "encoding": "utf-8",
        "mounts": "1 0 0:1 / / rw - ext4 /dev/sda rw",
        "lock_folders": (locks,),
        "root": folder / "no container",
    }
    return Machine(**{**given, **values})


def examined(machine: Machine, bench: Bench | None, *, patience_s: float = 20.0) -> list[Check]:
    return list(examine(machine, bench, Stops(), patience_s=patience_s))


def named(checks: list[Check], name: str) -> Check:
    """Give the one check of a name."""
    found = [check for check in checks if check.name == name]
    assert len(found) == 1, found or [check.name for check in checks]
    return found[0]


def faults(checks: list[Check]) -> list[Check]:
    """Give what failed or is doubtful."""
    return [check for check in checks if check.status in (Status.FAILED, Status.WARNING)]


@contextmanager
def an_ordinary_user():
    """Be one while the context lasts; root may read everything."""
    if os.geteuid():
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
