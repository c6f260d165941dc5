"""A shell's loop over modules: Ctrl-C ends the run and the loop, and no further module is powered."""

import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
from threading import Thread

import pytest
from cli_runs import PATIENCE_S, SHIPPED, Run, stand, step

assert stand  # a fixture

LOOPS = {
    "plain": "for m in M1 M2 M3; do {calseq} --bench $m/bench.yaml; done",
    "or-echo": "for m in M1 M2 M3; do {calseq} --bench $m/bench.yaml || echo gone-on-after $m; done",
}
ON_A_TERMINAL = "import os, sys; os.login_tty(0); os.execvp(sys.argv[1], sys.argv[1:])"


class Bash(Run):
    """A real bash on a terminal of its own, at which somebody types."""

    def __init__(self, stand, *words):
        self._keys, theirs = pty.openpty()
        argv = [sys.executable, "-c", ON_A_TERMINAL, "bash", "--norc", "--noprofile", *words]
        super().__init__(
            stand, subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, cwd=stand.folder)
        )
        os.close(theirs)
        stand.started.append(self)
        self.shown = b""
        self._reader = Thread(target=self._read)
        self._reader.start()

    def type(self, text):
        os.write(self._keys, text.encode())

    def wait_for(self, true):
        """Wait as for a run; a bash that ends before says what it showed."""
        return super().wait_for(
            lambda: true() or (self.process.poll() is not None and pytest.fail(str(self.shown)))
        )

    def end(self):
        self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        os.close(self._keys)
        self.told = self.shown.decode(errors="replace")
        return self.process.returncode

    def _read(self):
        try:
            while content := os.read(self._keys, 4096):
                self.shown += content
        except OSError:  # the other side is closed
            return


def loop(stand, form):
    for module in ("M1", "M2", "M3"):
        shutil.copytree(SHIPPED / "benches" / "double", stand.folder / module)
    sequence = stand.write(step("iv_curve"), step("custom_sequence"))
    argv = [
        sys.executable,
        "-m",
        "calseq",
        "execute",
        sequence,
        "--simulate",
        "--speed",
        "5000",
        "--no-report",
    ]
    argv += ["--screen", "none", "--runs", str(stand.runs), "--fault", "custom_sequence=hang"]
    return LOOPS[form].format(calseq=shlex.join(argv))


def prove_one_safe_run(run):
    assert len(list(run.stand.runs.iterdir())) == 1, run.told
    assert (run.record["state"], run.record["exit_code"]) == ("ended", 130)
    assert run.bench.readings().all_off
    assert run.bench.violations() == ()
    assert "gone-on-after" not in run.told.replace("echo gone-on-after", "")
    assert run.stand.leftovers() == []


@pytest.mark.parametrize("form", LOOPS)
def test_ctrl_c_ends_the_loop_of_a_script(stand, form):
    run = Bash(stand, "-c", f"{loop(stand, form)}; echo after-the-loop")
    run.wait_for(lambda: b"simulated fault" in run.logs)
    run.type("\x03")
    assert run.end() == -signal.SIGINT, run.told
    assert "after-the-loop" not in run.told
    prove_one_safe_run(run)


@pytest.mark.parametrize("form", LOOPS)
def test_ctrl_c_ends_the_loop_that_somebody_typed(stand, form):
    run = Bash(stand, "-i")
    run.type(f"{loop(stand, form)}\n")
    run.wait_for(lambda: b"simulated fault" in run.logs)
    run.type("\x03")
    run.wait_for_event('"run-ended"')
    run.type("echo code=$?\nexit 7\n")
    assert run.end() == 7, run.told
    assert "code=130" in run.told
    prove_one_safe_run(run)


def test_ctrl_c_ends_the_loop_of_a_command_that_was_waiting(stand):
    """Not only `execute`: whatever is ended by a signal dies of it."""
    run = Bash(stand, "-c", f"{loop(stand, 'plain')}")
    run.wait_for(lambda: b"simulated fault" in run.logs)
    watch = f"{shlex.join([sys.executable, '-m', 'calseq', 'attach', '--runs', str(stand.runs)])}"
    watching = Bash(stand, "-c", f"for n in 1 2; do {watch} || echo gone-on-after $n; done")
    watching.wait_for(lambda: b"custom_sequence" in watching.shown)
    watching.type("\x03")
    assert watching.end() == -signal.SIGINT, watching.told
    assert "the run goes on" in watching.told
    assert "gone-on-after 1" not in watching.told
    run.type("\x03")
    assert run.end() == -signal.SIGINT
    prove_one_safe_run(run)


def test_off_that_is_not_confirmed_is_4_and_no_signal(stand):
    """The loop goes on then, and the lock of the bench refuses the next module."""
    run = stand.start(step("voltage_trimming"), faults={"voltage_trimming": "hang", "power": "lv-off-fails"})
    run.wait_for(lambda: b"simulated fault" in run.logs)
    run.press()
    assert run.end() == 4
    run.prove()


def test_the_code_of_a_run_that_somebody_else_ended_is_passed_on_as_a_number(stand):
    run = stand.start(step("iv_curve"), faults={"iv_curve": "hang"})
    run.wait_for(lambda: b"simulated fault" in run.logs)
    run.press()
    assert run.end() == -signal.SIGINT
    watched = subprocess.run(
        [sys.executable, "-m", "calseq", "attach", "--runs", str(stand.runs)],
        stdin=subprocess.DEVNULL, capture_output=True, cwd=stand.folder, check=False,
    )  # fmt: skip
    assert watched.returncode == 130


def test_a_sigquit_leaves_no_core_dump(stand):
    generous = ["sh", "-c", 'ulimit -c "$(ulimit -H -c)"; exec "$@"', "sh"]
    run = stand.start(step("iv_curve"), faults={"iv_curve": "hang"}, prefix=generous)
    run.wait_for(lambda: b"simulated fault" in run.logs)
    run.press(signal.SIGQUIT)
    _, status = os.waitpid(run.process.pid, 0)
    run.process.returncode = os.waitstatus_to_exitcode(status)
    assert run.end() == -signal.SIGQUIT
    assert not os.WCOREDUMP(status)
    run.prove()
