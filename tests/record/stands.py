"""Stands as sites have them: a bench with a dirigent whose steps are snippets of shell, and calseq beside it."""

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import calseq

NOBODY = 65534
IS_ROOT = os.geteuid() == 0
HERE = os.pathsep.join([str(Path(calseq.__file__).parents[1]), *filter(None, sys.path)])
"""Where this Python finds calseq and what it requires."""


def as_user(user: int) -> tuple[str, ...]:
    """Give what starts a program as a user of this number; nothing where only root may do that."""
    return ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups") if IS_ROOT else ()


def _distributions(name: str, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """Give an installed distribution and all that it requires, extras left out, by their names."""
    with suppress(PackageNotFoundError):
        if name not in found:
            found[name] = distribution(name)
            for required in found[name].requires or ():
                if "extra ==" not in required:
                    _distributions(re.match(r"[\w.-]+", required)[0].lower(), found)
    return found


@cache
def _copied() -> str:
    """Copy calseq and what it requires to where every user may read it; give that folder, deleted at exit."""
    folder = Path(tempfile.mkdtemp(prefix="calseq-for-everybody-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    for name, each in _distributions("calseq", {}).items():
        for file in () if name == "calseq" else each.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), folder / file)
    top = Path(calseq.__file__).parents[1]
    for part in ("calseq", "schemas", "sequences"):
        if (top / part).is_dir():
            shutil.copytree(top / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return str(folder)


@cache
def _theirs() -> tuple[str, str]:
    """Give a Python that other users may start, and the path where it finds calseq.

    The Python of these tests, and the checkout, may lie below a folder that only this user may enter.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    pythons = [sys.executable, *filter(None, [shutil.which(version, path="/usr/local/bin:/usr/bin:/bin")])]
    for place in (lambda: HERE, _copied):
        for python in pythons:
            words = [*as_user(NOBODY), "env", python, "-c", "import calseq.run.run, calseq.cli"]
            environ = {**os.environ, "PYTHONPATH": place()}
            if subprocess.run(words, check=False, capture_output=True, env=environ, cwd="/").returncode == 0:
                return python, place()
    return sys.executable, HERE


_DIRIGENT = """#!/bin/sh
case " $* " in
*" --version "*) echo "dirigent, version 1.2.0"; exit ;;
*" --help "*) echo "Usage: dirigent"
  echo " --instruments-dict T --channels-dict T --directory D --module-json F -C F -p -l -m --no-monitoring"
  echo " iv_curve voltage_trimming calibrate_module custom_sequence crosstalk_method sldo_vi_curves"; exit ;;
esac
before=
for word; do test "$before" = --directory && out=$word; before=$word; done
mkdir -p "$out" && echo data > "$out/Run000001_PixelAlive.root" && printf '%s\\n' "$@" > "$out/argv.txt"
exec sh -c "${ACT:-true}"
"""

MODULES = {
    "Hybrid": {
        "0": {
            "RD53Bv2": {
                "info": {"module_name": "C2HQ0", "type": "1x2", "subdetector": "TBPX", "sensor": True},
                "0": {"Lane": 0, "eFuseCode": 46721},
                "1": {"Lane": 1, "eFuseCode": 46722},
            }
        }
    }
}
ONE = """calseq: 1
title: one tuning
required_instruments: [lv, hv]
steps:
  - {calibration: calibrate_module, tuning: Tuning_1000, timeout: 60s, stop_grace: 30s}
"""


class AStand:
    """A folder with a bench, at addresses that no other test has, where every user may run calseq."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="calseq-stand-"))
        self.folder.chmod(0o777)
        self.address = uuid.uuid4().hex
        self.started: list[subprocess.Popen[str]] = []
        (self.folder / "dirigent").write_text(_DIRIGENT)
        (self.folder / "dirigent").chmod(0o755)
        (self.folder / "modules.json").write_text(json.dumps(MODULES))
        (self.folder / "one.yaml").write_text(ONE)
        self.runs = self.folder / "runs"
        self.runs.mkdir()
        self.runs.chmod(0o1777)
        self.bench()

    def lv(self, name: str = "lv") -> str:
        return f"TCPIP::{self.address}-{name}::9221::SOCKET"

    def bench(self, name: str = "bench", lv: str = "", hv: str = "", **keys: object) -> Path:
        """Write a bench in power mode dirigent, and its instruments.json."""
        instruments = {
            "lv_1": {"class": "TTITSX", "resource": lv or self.lv(), "default_voltage": 4.0, "default_current": 3.7},
            "hv_1": {"class": "Keithley2410", "resource": hv or self.lv("hv"), "default_voltage": -50, "default_current": 1e-5},
        }  # fmt: skip
        channels = {
            "0": {role: {"instrument": f"{role}_1", "channel": 1} for role in ("lv", "hv")},
        }
        told = json.dumps({"instruments": instruments, "channels": channels})
        (self.folder / f"{name}-instruments.json").write_text(told)
        bench = {
            "calseq-bench": 1,
            "name": name,
            "dirigent": {"command": ["./dirigent"]},
            "instruments": f"{name}-instruments.json",
            "modules": "modules.json",
            "power": {"mode": "dirigent"},
            "runs": "runs",
            **keys,
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(bench))
        return path

    def start(self, *words: object, act: str = "true", before: tuple[str, ...] = (), **variables: str):
        """Start calseq, `before` it a command such as unshare; `act` is what a step does."""
        python, path = _theirs() if "setpriv" in before else (sys.executable, HERE)
        argv = [*before, python, "-m", "calseq", *map(str, words)]
        process = subprocess.Popen(
            argv, cwd=self.folder, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "ACT": act, "COLUMNS": "200", **variables},
        )  # fmt: skip
        self.started.append(process)
        return process

    def calseq(self, *words: object, act: str = "true", before: tuple[str, ...] = (), **variables: str):
        """Run calseq to its end; give the exit code and all that it said."""
        process = self.start(*words, act=act, before=before, **variables)
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err, err
        return process.returncode, out + err

    def execute(self, *words: object, bench: str = "bench", act: str = "true", **keys):
        """Run the sequence of one step; give the exit code and all that was said."""
        named = ("one.yaml", "--bench", f"{bench}.yaml", "--screen", "none", "--no-report")
        return self.calseq("execute", *named, *words, act=act, **keys)

    def begun(self, *words: object, bench: str = "bench", runs: str = "runs", **keys):
        """Start a run whose step waits until `go` is there; give its process once it is in the step."""
        present = set(self.folder.glob(f"{runs}/*"))
        act = f"touch '{self.folder}/in'; while [ ! -e '{self.folder}/go' ]; do sleep 0.05; done"
        named = ("one.yaml", "--bench", f"{bench}.yaml", "--screen", "none", "--no-report")
        process = self.start("execute", *named, *words, act=act, **keys)
        until(lambda: (self.folder / "in").exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        assert set(self.folder.glob(f"{runs}/*")) - present or words
        return process

    def go(self, process):
        """Let the step end; give the exit code of the run."""
        (self.folder / "go").touch()
        return process.wait(60)

    def folders(self):
        return sorted(self.runs.glob("*"))

    def end(self) -> None:
        """End what a test left running."""
        (self.folder / "go").touch()
        for process in self.started:
            if process.poll() is None:
                process.terminate()
                process.wait(60)
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()


def until(true, patience_s=60.0):
    """Wait for what must come."""
    due = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < due, "it never came"
        time.sleep(0.01)
