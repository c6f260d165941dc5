"""Who stops the step: each runner holds a 60-second step, and is then stopped in four ways.

    python benchmarks/stopping.py                          all; about 20 minutes, two of them installing
    python benchmarks/stopping.py --only calseq tox        only some
    python benchmarks/stopping.py --venvs DIR --repeats 3  keep the peers' venvs; show what is not always the same
    python benchmarks/stopping.py --signals SIGINT         only some ways to stop

The step (stopping/step.py) puts a simulated HV on. Asked by SIGINT or SIGTERM it ramps it down in 2 s; killed, or hung
up, it leaves it on. A runner is started as a shell on a terminal starts it, in a foreground process group of its
own. One second after HV is on it gets SIGINT to its group (as Ctrl-C in the terminal gives), or SIGTERM, SIGHUP or
SIGKILL to itself alone; 20 s later it is looked at what came of it, and all that is left is killed.

The peers come from the package index that pip is set up for, each into a venv of its own, in their newest versions.
Each runs the step as its documentation has one run a command, with the best that it has for this: a time to
wait after an interrupt where there is such a setting, a clean-up hook (which ramps HV down) where there is one.

In the table: `ramped`: the step was asked and ramped down itself. `killed`, `killed in mid-ramp`: it was not
let. `hook`: the runner's clean-up hook switched HV off; `at the same time`: while the step still ramped, too.
`goes on alone`: the runner is gone, the step is not. `both go on`: the runner took no notice, or waits for the
step's own end. `unwatched`: the runner was gone before the step had ended; `by a helper`: it was, and another
process of its own had asked the step. `left`: processes left besides the step.

A runner survives a signal when within 20 s the step has ended, HV is off and no process is left, whoever did it;
and it survives SIGHUP also when runner and step go on and a later Ctrl-C ramps it down. Bounded in time: at most
80 s a trial, and pip at most 5 minutes a peer.
"""

import argparse
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from measure import PYTHON, ROOT, own_instruments, scratch_folder

PROGRAMS = Path(__file__).resolve().parent / "stopping"

START_S = 40.0
HELD_S = 1.0
WATCH_S = 20.0
LATER_S = 10.0
INSTALL_S = 300.0
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL")


@dataclass(frozen=True)
class Runner:
    """A runner: how it is installed, what it is given, and how it starts the step in a folder.

    `prepare` writes its files into the folder and gives its command; `{bin}` stands for its programs.
    """

    name: str
    prepare: Callable[[Path, list[str], list[str]], list[str]]
    package: str = ""
    means: str = "none"


@dataclass
class Outcome:
    """What a signal came to, in a few words, and whether the bench was safe in the end."""

    words: str
    safe: bool = False


@dataclass
class Row:
    """A runner's line of the table."""

    runner: Runner
    version: str
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)

    def safe(self) -> bool:
        return all(outcome.safe for outcomes in self.outcomes.values() for outcome in outcomes)

    def cell(self, name: str) -> str:
        counts = Counter(outcome.words for outcome in self.outcomes[name])
        if len(counts) == 1:
            return next(iter(counts))
        return "; ".join(f"{words} ({count}×)" for words, count in counts.most_common())


# ---- the runners ----------------------------------------------------------------------------------------------------


def calseq(*more: str) -> Callable[[Path, list[str], list[str]], list[str]]:
    """calseq on a bench in mode `dirigent`, whose dirigent is the step."""

    def prepare(folder: Path, step: list[str], _off: list[str]) -> list[str]:
        own_instruments(folder)
        (folder / "site.yaml").write_text(
            "calseq-calibrations: 1\ncalibrations:\n  hold: {type: general, summary: holds HV}\n"
        )
        (folder / "bench.yaml").write_text(
            f"calseq-bench: 1\nname: stopping\ndirigent: {{command: {json.dumps(step)}}}\n"
            "instruments: instruments.json\nmodules: modules.json\ncalibrations: site.yaml\n"
            "power: {mode: dirigent}\nruns: runs\n"
        )
        (folder / "sequence.yaml").write_text(
            "calseq: 1\ntitle: stopping\nsteps:\n  - {calibration: hold, timeout: 10m}\n"
        )
        return [
            PYTHON, "-m", "calseq", "execute", "sequence.yaml", "--bench", "bench.yaml", "--screen", "none", *more,
        ]  # fmt: skip

    return prepare


def script(folder: Path, step: list[str], _off: list[str]) -> list[str]:
    (folder / "script.py").write_text(f"import subprocess\nsubprocess.run({step!r}, check=True)\n")
    return [PYTHON, "script.py"]


def careful_script(folder: Path, step: list[str], off: list[str]) -> list[str]:
    (folder / "script.py").write_text(f"""import subprocess
try:
    subprocess.run({step!r}, check=True)
finally:
    subprocess.run({off!r})
""")
    return [PYTHON, "script.py"]


def pypyr(folder: Path, step: list[str], off: list[str]) -> list[str]:
    (folder / "pipeline.yaml").write_text(f"""steps:
  - name: pypyr.steps.cmd
    in:
      cmd: {" ".join(step)}
on_failure:
  - name: pypyr.steps.cmd
    in:
      cmd: {" ".join(off)}
""")
    return ["{bin}/pypyr", "pipeline"]


def doit(folder: Path, step: list[str], off: list[str]) -> list[str]:
    (folder / "dodo.py").write_text(f"""def task_step():
    return {{"actions": [{step!r}], "teardown": [{off!r}], "verbosity": 2}}
""")
    return ["{bin}/doit"]


def invoke(folder: Path, step: list[str], off: list[str]) -> list[str]:
    (folder / "tasks.py").write_text(f"""from invoke import task

@task
def step(c):
    try:
        c.run({" ".join(step)!r})
    finally:
        c.run({" ".join(off)!r})
""")
    return ["{bin}/invoke", "step"]


def nox(folder: Path, step: list[str], off: list[str]) -> list[str]:
    (folder / "noxfile.py").write_text(f"""import nox

@nox.session(venv_backend="none")
def step(session):
    try:
        session.run(*{step!r}, external=True, interrupt_timeout=10)
    finally:
        session.run(*{off!r}, external=True)
""")
    return ["{bin}/nox"]


def tox(folder: Path, step: list[str], off: list[str]) -> list[str]:
    (folder / "tox.ini").write_text(f"""[tox]
no_package = true
env_list = step

[testenv]
interrupt_timeout = 10
allowlist_externals = {step[0]}
commands = {" ".join(step)}
commands_post = {" ".join(off)}
""")
    return ["{bin}/tox", "run"]


def pre_commit(folder: Path, step: list[str], _off: list[str]) -> list[str]:
    (folder / ".pre-commit-config.yaml").write_text(f"""repos:
  - repo: local
    hooks:
      - id: step
        name: step
        entry: {" ".join(step)}
        language: system
        pass_filenames: false
        always_run: true
""")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True, env=environment(folder))
    return ["{bin}/pre-commit", "run", "--all-files"]


def pytest(folder: Path, step: list[str], off: list[str]) -> list[str]:
    (folder / "test_step.py").write_text(f"""import subprocess
import pytest

@pytest.fixture
def hv():
    yield
    subprocess.run({off!r})

def test_step(hv):
    subprocess.run({step!r}, check=True)
""")
    return ["{bin}/pytest", "test_step.py"]


def robot(folder: Path, step: list[str], off: list[str]) -> list[str]:
    (folder / "step.robot").write_text(f"""*** Settings ***
Library           Process
Suite Teardown    Run Keywords    Terminate All Processes    AND    Run Process    {"    ".join(off)}

*** Test Cases ***
Step
    ${{result}} =    Run Process    {"    ".join(step)}
    Should Be Equal As Integers    ${{result.rc}}    0
""")
    return ["{bin}/robot", "step.robot"]


def openhtf(folder: Path, step: list[str], off: list[str]) -> list[str]:
    (folder / "station.py").write_text(f"""import subprocess
import openhtf as htf
from openhtf.plugs import BasePlug

class Supply(BasePlug):
    def tearDown(self):
        subprocess.run({off!r})

@htf.plug(supply=Supply)
def step(test, supply):
    subprocess.run({step!r}, check=True)

if __name__ == "__main__":
    htf.Test(step).execute(test_start=lambda: "module")
""")
    return ["{bin}/python", "station.py"]


def maestro(folder: Path, step: list[str], _off: list[str]) -> list[str]:
    (folder / "study.yaml").write_text(f"""description:
  name: step
  description: holds HV

study:
  - name: step
    description: holds HV
    run:
      cmd: |
        {" ".join(step)}
""")
    return ["{bin}/maestro", "run", "--autoyes", "-fg", "-s", "1", "-o", "study", "study.yaml"]


def snakemake(folder: Path, step: list[str], off: list[str]) -> list[str]:
    (folder / "Snakefile").write_text(f"""rule step:
    output: "done"
    shell: {f"{' '.join(step)} && touch {{output}}"!r}

onerror:
    shell({" ".join(off)!r})
""")
    return ["{bin}/snakemake", "--cores", "1"]


RUNNERS = (
    Runner("calseq", calseq(), means="as it comes"),
    Runner("calseq --on-hangup stop", calseq("--on-hangup", "stop"), means="as it comes"),
    Runner("subprocess.run", script),
    Runner("subprocess.run, careful", careful_script, means="try/finally"),
    Runner("pypyr", pypyr, "pypyr", "on_failure"),
    Runner("doit", doit, "doit", "teardown"),
    Runner("invoke", invoke, "invoke", "try/finally"),
    Runner("nox", nox, "nox", "interrupt_timeout=10, try/finally"),
    Runner("tox", tox, "tox", "interrupt_timeout = 10, commands_post"),
    Runner("pre-commit", pre_commit, "pre-commit"),
    Runner("pytest", pytest, "pytest", "fixture with yield"),
    Runner("robotframework", robot, "robotframework", "Terminate All Processes, Suite Teardown"),
    Runner("openhtf", openhtf, "openhtf", "tearDown of a plug"),
    Runner("maestrowf", maestro, "maestrowf"),
    Runner("snakemake", snakemake, "snakemake", "onerror"),
)


# ---- processes ------------------------------------------------------------------------------------------------------


def environment(folder: Path, programs: Path | None = None) -> dict[str, str]:
    """Give the environment of a trial: HOME is its folder, and nothing of the caller's Python settings."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    if programs:
        kept["PATH"] = f"{programs}{os.pathsep}{kept.get('PATH', '')}"
    return kept | {
        "HOME": str(folder),
        "TERM": "xterm-256color",
        "PYTHONPATH": "" if programs else str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
    }


def identity(pid: int) -> tuple[int, str] | None:
    """Give what tells a process from another with its pid, if it lives; a zombie does not."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else (pid, words[19])


def members(folder: Path, but: int) -> dict[int, str]:
    """Give the processes of a trial by pid: its folder is in their environment, command line or is where they are."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in (but, os.getpid()):
            continue
        with suppress(OSError):
            told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            here = str((entry / "cwd").readlink()).startswith(str(folder))
            if (here or os.fsencode(folder) in told) and identity(int(entry.name)):
                found[int(entry.name)] = (entry / "comm").read_text().strip()
    return found


def send(pid: int, number: signal.Signals, *, group: bool = False) -> None:
    with suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(pid, number)


def wait_for(done: Callable[[], object], seconds: float) -> bool:
    due_s = time.monotonic() + seconds
    while not done():
        if time.monotonic() > due_s:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def terminal(argv: Sequence[str], folder: Path, env: dict[str, str]) -> Iterator[tuple[int, list[bytes]]]:
    """Run a command as a shell on a terminal does; give the shell's pid and what the command says."""
    master, slave = pty.openpty()
    said: list[bytes] = []
    shell = subprocess.Popen(
        [PYTHON, str(PROGRAMS / "shell.py"), str(folder / "runner.pid"), *argv],
        cwd=folder,
        env=env,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)

    def read() -> None:
        with suppress(OSError):
            while octets := os.read(master, 65536):
                said.append(octets)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield shell.pid, said
    finally:
        for _ in range(50):
            left = members(folder, but=shell.pid)
            for pid in left:
                send(pid, signal.SIGKILL)
            if not left:
                break
            time.sleep(0.1)
        shell.kill()
        shell.wait()
        reader.join(2.0)
        os.close(master)


# ---- a trial --------------------------------------------------------------------------------------------------------


class Trial:
    """A runner with its step, from HV on to whatever comes of a signal."""

    def __init__(self, folder: Path, shell: int) -> None:
        self.folder, self.shell = folder, shell
        self.runner = identity(int((folder / "runner.pid").read_text()))
        self.step = identity(self._read("step.json")["pid"])
        self.runner_gone_s = self.step_gone_s = float("inf")

    def _read(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.folder / name).read_text()))

    def runner_lives(self) -> bool:
        return self.runner is not None and identity(self.runner[0]) == self.runner

    def step_lives(self) -> bool:
        return self.step is not None and identity(self.step[0]) == self.step

    def over(self) -> bool:
        """Nothing is left of it; notes in passing who went when."""
        if not self.step_lives():
            self.step_gone_s = min(self.step_gone_s, time.monotonic())
        if not self.runner_lives():
            self.runner_gone_s = min(self.runner_gone_s, time.monotonic())
        return not (self.step_lives() or self.runner_lives() or members(self.folder, but=self.shell))

    def stop(self, name: str) -> Outcome:
        assert self.runner
        send(self.runner[0], signal.Signals[name], group=name == "SIGINT")
        over = wait_for(self.over, WATCH_S)
        if not over and name == "SIGHUP" and self.runner_lives() and self.step_lives():
            return self._later()
        return self._judge(over)

    def _later(self) -> Outcome:
        """The runner took no notice, and the step goes on below it: is it still in hand?"""
        assert self.runner
        send(self.runner[0], signal.SIGINT, group=True)
        outcome = self._judge(wait_for(self.over, LATER_S))
        return Outcome(f"goes on; Ctrl-C later: {outcome.words}", outcome.safe)

    def _judge(self, over: bool) -> Outcome:
        supply = self._read("hv.json")
        volts, who = supply["volts"], supply["who"]
        power = "HV on" if volts else ("" if who == "step" else "hook: HV off")
        if self.step_lives():
            words = "both go on" if self.runner_lives() else "goes on alone"
        elif (self.folder / "ramped").exists():
            early = self.step_gone_s - self.runner_gone_s > 0.2
            words = f"ramped, {'by a helper' if self._helped() else 'unwatched'}" if early else "ramped"
            power = "hook at the same time" if (self.folder / "hook").exists() else ""
        else:
            words = "killed in mid-ramp" if (self.folder / "asked").exists() else "killed"
        parts = [words, power, self._left(over)]
        return Outcome(", ".join(filter(None, parts)), safe=over and not volts)

    def _helped(self) -> bool:
        """It was asked neither by the terminal's Ctrl-C, which is ours, nor by the runner itself."""
        asker = self._read("asked")["pid"] if (self.folder / "asked").exists() else 0
        return asker not in (0, os.getpid(), self.runner and self.runner[0])

    def _left(self, over: bool) -> str:
        """Name what is left besides a step that goes on: that is said already."""
        step = self.step[0] if self.step and self.step_lives() else -1
        others = [name for pid, name in members(self.folder, but=self.shell).items() if pid != step]
        if over or not others or (step > 0 and self.runner_lives()):
            return ""
        return "left: " + ", ".join(others)


def trial(runner: Runner, name: str, scratch: Path, programs: Path | None, *, verbose: bool) -> Outcome:
    """Start a runner, wait for HV, stop it in one way, and say what came of it."""
    folder = Path(mkdtemp(prefix=f"{name.lower()}-", dir=scratch))
    program = [PYTHON, str(PROGRAMS / "step.py"), str(folder)]
    command = runner.prepare(folder, program, [*program, "off"])
    argv = [word.replace("{bin}", str(programs)) for word in command]
    env = environment(folder, programs)
    with terminal(argv, folder, env) as (shell, said):
        if not wait_for((folder / "step.json").exists, START_S):
            tail = b"".join(said)[-2000:].decode(errors="replace")
            print(f"{runner.name} did not start the step:\n{tail}", file=sys.stderr)
            return Outcome("did not start")
        time.sleep(HELD_S)
        begun_s = time.monotonic()
        outcome = Trial(folder, shell).stop(name)
        took_s = time.monotonic() - begun_s
        print(f"  {runner.name}, {name}: {outcome.words} ({took_s:.1f} s)", file=sys.stderr, flush=True)
        if verbose:
            print(b"".join(said)[-4000:].decode(errors="replace"), file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    return outcome


# ---- the table ------------------------------------------------------------------------------------------------------


def installed(runner: Runner, venvs: Path) -> tuple[Path | None, str]:
    """Install a peer, once; give its folder of programs and its version, or why it has none.

    Raises:
        OSError, subprocess.SubprocessError: it does not install.
    """
    if not runner.package:
        return None, sys.version.split()[0] if runner.name != "calseq" else ""
    programs = venvs / runner.package / "bin"
    python = str(programs / "python")
    version = [python, "-c", f"from importlib.metadata import version; print(version({runner.package!r}))"]
    if not programs.exists() or subprocess.run(version, capture_output=True).returncode:
        print(f"  installing {runner.package}", file=sys.stderr, flush=True)
        subprocess.run([PYTHON, "-m", "venv", str(programs.parent)], check=True, timeout=INSTALL_S)
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", runner.package]
        subprocess.run(pip, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    return programs, subprocess.run(version, check=True, capture_output=True, text=True).stdout.strip()


def own_version() -> str:
    code = "import calseq; print(calseq.__version__)"
    told = subprocess.run(
        [PYTHON, "-c", code], env=environment(ROOT), check=True, capture_output=True, text=True
    )
    return told.stdout.strip()


def measure(
    runner: Runner, scratch: Path, venvs: Path, missing: list[str], asked: argparse.Namespace
) -> Row | None:
    try:
        programs, version = installed(runner, venvs)
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", "") or str(error)
        lines = [line for line in str(told).splitlines() if not line.startswith("WARNING")] or [
            "no reason given"
        ]
        missing.append(f"{runner.name} did not install: {lines[-1][:200]}")
        return None
    if runner.name.startswith("calseq"):
        version = own_version()
    elif not runner.package:
        version = f"(Python {version})"
    row = Row(runner, version)
    for name in asked.signals:
        row.outcomes[name] = [
            trial(runner, name, scratch, programs, verbose=asked.verbose) for _ in range(asked.repeats)
        ]
    return row


def table(rows: Sequence[Row], signals: Sequence[str]) -> str:
    """Write the rows as a table in Markdown."""
    heads = ["runner", "its own means", *signals, f"survives {'all four' if len(signals) == 4 else 'these'}"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        name, dashes, options = row.runner.name.partition(" --")
        cells = [f"{name} {row.version}{dashes}{options}", row.runner.means, *map(row.cell, signals)]
        lines.append(f"| {' | '.join(cells)} | {'**yes**' if row.safe() else 'no'} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [runner.name for runner in RUNNERS]
    parser.add_argument("--only", nargs="+", metavar="RUNNER", choices=names, help=", ".join(names))
    parser.add_argument("--signals", nargs="+", choices=SIGNALS, default=SIGNALS, help="ways to stop it")
    parser.add_argument("--repeats", type=int, default=1, help="trials of each (default: 1)")
    parser.add_argument("--venvs", type=Path, help="keep the peers' venvs here")
    parser.add_argument("--verbose", action="store_true", help="show what the runners say")
    asked = parser.parse_args()
    missing: list[str] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left then either
    with scratch_folder() as folder:
        scratch = folder.resolve()
        venvs = asked.venvs.resolve() if asked.venvs else scratch / "venvs"
        (scratch / "trials").mkdir()
        wanted = [runner for runner in RUNNERS if not asked.only or runner.name in asked.only]
        rows = [measure(runner, scratch / "trials", venvs, missing, asked) for runner in wanted]
    print(table([row for row in rows if row], asked.signals))
    for line in missing:
        print(f"\n{line}")


if __name__ == "__main__":
    main()
