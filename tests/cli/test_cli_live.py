"""Runs looked at and stopped from another shell, with real processes: nothing of it disturbs a run."""

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress

import msgspec
import pytest
from cli_runs import stand, step
from folder_runs import PLAIN, calseq, snapshot, until

from calseq.record.run_folder import read_record, write_record
from calseq.record.seal import verify

assert stand  # a fixture

BIASED = (step("iv_curve"), step("custom_sequence", name="tuning"), step("get_module_info"))


@pytest.fixture
def hung(stand):
    """A run whose second step hangs under bias, until somebody stops it."""
    run = stand.start(*BIASED, faults={"tuning": "hang"})
    run.wait_for(lambda: b"simulated fault" in run.logs)
    run.wait_for_event('"step-progressed","step":2')
    return run


def watching(stand, *words, **popen):
    """Start a command that looks at a run."""
    known = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "stdin": subprocess.DEVNULL,
        "cwd": stand.folder,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "calseq", *words, "--runs", str(stand.runs)], **(known | popen)
    )


def stopped_well(run):
    """The run was stopped, and its folder proves it."""
    code = run.end()
    run.prove()
    assert all(finding.good for finding in verify(run.folder))
    return code


def test_looking_at_a_run_changes_nothing_of_it(stand, hung):
    before = snapshot(hung.folder)
    for words in (["status"], ["runs"], ["logs"], ["runs", "verify"], ["status", "--format", "json"]):
        calseq(*words, "--runs", stand.runs, cwd=stand.folder, code=int("verify" in words))
    assert snapshot(hung.folder) == before
    status = json.loads(calseq("status", "--format", "json", cwd=stand.folder)[0])
    assert (status["state"], status["running"], status["safe"]) == ("running", "tuning", None)
    assert [step["state"] for step in status["steps"]] == ["passed", "running", "waiting"]
    assert status["rails"]["readings"]["hv"]["on"]
    assert (
        json.loads(calseq("runs", "--format", "json", cwd=stand.folder)[0])["runs"][0]["state"] == "running"
    )
    calseq("stop", cwd=stand.folder)
    assert stopped_well(hung) == -signal.SIGTERM


def test_stop_tells_every_thing_that_happens_until_the_run_has_let_go(stand, hung):
    told, _ = calseq("stop", cwd=stand.folder)
    order = ["is asked to stop", "stop asked by SIGTERM", "SIGINT sent", "interrupted after", "switching: HV off",
             "switching: LV off", "HV off, LV off: confirmed (", "the run has been interrupted", "interrupted: HV off, LV off: confirmed"]  # fmt: skip
    places = [told.index(words) for words in order]
    assert places == sorted(places)
    assert hung.process.wait(10) == -signal.SIGTERM
    assert stopped_well(hung) == -signal.SIGTERM
    assert calseq("stop", cwd=stand.folder)[0] == f"nothing runs in {stand.runs}\n"
    assert calseq("stop", hung.folder.name, cwd=stand.folder)[0] == f"{hung.folder.name} does not run\n"


def test_stop_without_waiting_comes_back_at_once(stand, hung):
    told, _ = calseq("stop", "--no-wait", cwd=stand.folder)
    assert told.count("\n") == 1
    assert stopped_well(hung) == -signal.SIGTERM


def test_a_stop_that_nobody_reads_still_stops(stand, hung):
    reader = watching(stand, "stop")
    reader.stdout.close()
    assert reader.wait(40) == 0
    reader.stderr.close()
    assert stopped_well(hung) == -signal.SIGTERM


def test_a_stop_whose_safe_end_is_not_confirmed_is_exit_4(stand):
    run = stand.start(step("voltage_trimming"), faults={"voltage_trimming": "hang", "power": "lv-off-fails"})
    run.wait_for(lambda: b"simulated fault" in run.logs)
    told, warned = calseq("stop", cwd=stand.folder, code=4)
    assert "HARDWARE STATE UNKNOWN" in told
    assert "HARDWARE STATE UNKNOWN" in warned
    assert run.end() == 4


def test_ctrl_c_ends_the_waiting_and_not_the_stopping(stand):
    run = stand.start(*BIASED, faults={"tuning": "stubborn"})
    run.wait_for(lambda: b"simulated fault" in run.logs)
    waiting = watching(stand, "stop", text=True)
    run.wait_for_event('"signal":"SIGINT"')
    waiting.send_signal(signal.SIGINT)
    _, warned = waiting.communicate(timeout=20)
    assert waiting.returncode == -signal.SIGINT
    assert "no longer watched: 'calseq status" in warned
    assert run.process.poll() is None
    time.sleep(0.12)  # two signals within a tenth of a second are one press
    run.press()
    assert stopped_well(run) == -signal.SIGTERM


def test_of_two_runs_it_is_asked_which(stand, hung):
    second = stand.start(*BIASED, faults={"tuning": "hang"})
    until(lambda: len(list(stand.runs.glob("*/steps/02-tuning/log.txt"))) == 2)
    until(
        lambda: all(
            b"simulated fault" in path.read_bytes() for path in stand.runs.glob("*/steps/02-tuning/log.txt")
        )
    )
    told, asked = calseq("stop", cwd=stand.folder, code=3)
    assert "2 runs go on: say which" in asked
    assert told.splitlines() == [
        f"calseq stop {path.name}  # SIMULATED" for path in sorted(stand.runs.iterdir(), reverse=True)
    ]
    for line in told.splitlines():
        calseq(*shlex.split(line, comments=True)[1:], cwd=stand.folder)
    assert hung.process.wait(20) == -signal.SIGTERM
    assert second.process.wait(20) == -signal.SIGTERM


def test_a_run_on_another_host_is_to_be_stopped_there(stand, hung):
    record = read_record(hung.folder)
    write_record(hung.folder, msgspec.structs.replace(record, host="lab-pc"))
    _, told = calseq("stop", cwd=stand.folder, code=3)
    assert f"type there: calseq stop {hung.folder.name}" in told
    assert "whether it does cannot be seen from here" in calseq("status", cwd=stand.folder)[0].replace(
        "\n", " "
    )
    assert hung.process.poll() is None
    hung.press()
    assert hung.end() == -signal.SIGINT


def test_a_run_that_was_killed_is_shown_as_it_is(stand, hung):
    hung.process.kill()
    until(lambda: json.loads(calseq("status", "--format", "json", cwd=stand.folder)[0])["state"] == "died")
    status = json.loads(calseq("status", "--format", "json", cwd=stand.folder)[0])
    assert (status["safe"], status["running"]) == (True, None)
    assert status["steps"][1]["state"] == "interrupted"
    assert "confirmed by its guard" in calseq("runs", "--failed", cwd=stand.folder)[0]
    assert "DIED" in calseq("attach", cwd=stand.folder, code=1)[0]
    assert "died: HV off, LV off: confirmed" in calseq("stop", cwd=stand.folder)[0]
    assert "the run has not ended" in calseq("runs", "verify", cwd=stand.folder, code=1)[0]


def test_stop_waits_for_the_guard_of_a_run_that_was_killed(stand, hung):
    hung.process.kill()
    hung.process.wait()
    told, _ = calseq("stop", cwd=stand.folder)
    assert "HV off, LV off: confirmed" in told
    assert hung.bench.readings().all_off


def test_attach_gives_the_state_and_then_only_what_is_new(stand):
    run = stand.start(*BIASED, faults={"tuning": "sleep:2"})
    run.wait_for(lambda: b"simulated fault" in run.logs)
    viewer = watching(stand, "attach", text=True)
    told, warned = viewer.communicate(timeout=40)
    assert (run.end(), viewer.returncode, warned) == (0, 0, "")
    state, _, news = told.partition("next ")
    assert "RUNNING for" in state
    assert "step 1/3 iv_curve passed in" not in news
    assert "step 2/3 tuning passed in" in news
    assert news.rstrip().splitlines()[-1].startswith("PASSED (SIMULATED)")
    run.prove()


def test_attach_to_a_run_that_is_over_shows_how_it_ended_with_its_code(stand):
    run = stand.run(step("voltage_trimming"), faults={"voltage_trimming": "exit:9"})
    told, _ = calseq("attach", cwd=stand.folder, code=1)
    assert told.splitlines()[-1].startswith("FAILED (SIMULATED)")
    assert run.process.returncode == 1


ENDINGS = {
    "ctrl-c": lambda viewer: viewer.send_signal(signal.SIGINT),
    "terminated": lambda viewer: viewer.send_signal(signal.SIGTERM),
    "hung-up": lambda viewer: viewer.send_signal(signal.SIGHUP),
    "killed": lambda viewer: viewer.kill(),
    "suspended": lambda viewer: viewer.send_signal(signal.SIGSTOP),
    "broken-pipe": lambda viewer: viewer.stdout.close(),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_however_the_watching_ends_the_run_goes_on(stand, how):
    run = stand.start(*BIASED, faults={"tuning": "sleep:1"})
    run.wait_for(lambda: b"simulated fault" in run.logs)
    viewer = watching(stand, "attach")
    assert viewer.stdout.readline()
    ENDINGS[how](viewer)
    assert stopped_well(run) == 0
    viewer.send_signal(signal.SIGCONT)
    if how == "broken-pipe":
        viewer.stdout = None
    _, told = viewer.communicate(timeout=20)
    if how == "ctrl-c":
        assert told.startswith(b"the run goes on\n")
    assert viewer.returncode in (-signal.SIGINT, 0, -signal.SIGKILL, -signal.SIGHUP, -signal.SIGTERM), told


def test_a_pipe_that_nobody_empties_holds_up_who_watches_and_not_the_run(stand):
    reader, full = filled_pipe()
    run = stand.start(*BIASED, faults={"tuning": "sleep:1"})
    run.wait_for(lambda: b"simulated fault" in run.logs)
    viewer = watching(stand, "attach", stdout=full)
    assert stopped_well(run) == 0
    viewer.kill()
    viewer.communicate()
    os.close(reader)
    os.close(full)


def filled_pipe():
    """A pipe that is full: whoever writes to it waits."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"." * 65536)
    os.set_blocking(writer, True)
    return reader, writer


class Terminal:
    """A terminal of a program, and what was written to it."""

    def __init__(self):
        self.person, self.program = pty.openpty()
        self.seen = b""

    def wait_for(self, octets, patience_s=40):
        def came():
            if select.select([self.person], [], [], 0)[0]:
                self.seen += os.read(self.person, 65536)
            return octets in self.seen

        try:
            until(came, patience_s)
        except AssertionError:
            raise AssertionError(self.seen[-3000:]) from None

    def close(self):
        os.close(self.person)
        with suppress(OSError):
            os.close(self.program)


@pytest.fixture
def terminal():
    terminal = Terminal()
    yield terminal
    with suppress(OSError):
        terminal.close()


def test_attach_on_a_terminal_is_the_live_view_and_ctrl_c_gives_the_terminal_back(stand, hung, terminal):
    viewer = watching(stand, "attach", stdout=terminal.program, stdin=terminal.program, env=PLAIN)
    terminal.wait_for(b"stop watching, the run goes on")
    terminal.wait_for(b"tuning")
    assert terminal.seen.startswith(b"\x1b[?1049h")
    viewer.send_signal(signal.SIGINT)
    assert b"the run goes on" in viewer.communicate(timeout=20)[1]
    terminal.wait_for(b"\x1b[?25h\x1b[?1049l")
    assert viewer.returncode == -signal.SIGINT
    assert hung.process.poll() is None
    calseq("stop", cwd=stand.folder)
    assert stopped_well(hung) == -signal.SIGTERM


def test_a_watching_terminal_that_closes_ends_nothing(stand, hung, terminal):
    viewer = watching(stand, "attach", stdout=terminal.program, stdin=terminal.program, env=PLAIN)
    terminal.wait_for(b"tuning")
    terminal.close()
    hung.press()
    assert stopped_well(hung) == -signal.SIGINT
    viewer.communicate(timeout=20)


def test_ctrl_z_gives_the_terminal_back_and_stops_only_the_watching(stand, hung, terminal):
    viewer = watching(stand, "attach", stdout=terminal.program, stdin=terminal.program, env=PLAIN)
    terminal.wait_for(b"tuning")
    viewer.send_signal(signal.SIGTSTP)
    terminal.wait_for(b"\x1b[?1049lcalseq: the run goes on; 'fg' brings its display back")
    until(lambda: os.waitid(os.P_PID, viewer.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT))
    terminal.seen = b""
    viewer.send_signal(signal.SIGCONT)
    terminal.wait_for(b"\x1b[?1049h")
    viewer.send_signal(signal.SIGTERM)
    viewer.communicate(timeout=20)
    calseq("stop", cwd=stand.folder)
    assert stopped_well(hung) == -signal.SIGTERM


# --- logs ---


def test_a_log_is_followed_through_all_attempts_byte_by_byte(stand):
    faults = {"tuning": "sleep:1@1+exit:9@1+sleep:1@2"}
    run = stand.start(step("iv_curve"), step("custom_sequence", name="tuning", retries=1), faults=faults)
    run.wait_for(lambda: b"simulated fault" in run.logs)
    told, said = watching(stand, "logs", "tuning", "-f").communicate(timeout=40)
    assert run.end() == 0
    logs = [(run.folder / "steps" / name / "log.txt").read_bytes() for name in ("02-tuning", "02-tuning.2")]
    assert told == b"".join(logs)
    assert re.findall(rb"attempt \d", said) == [b"attempt 1", b"attempt 2"]


def test_a_step_that_has_not_begun_is_waited_for(stand):
    run = stand.start(*BIASED, faults={"tuning": "sleep:1"})
    run.wait_for(lambda: b"simulated fault" in run.logs)
    told, said = watching(stand, "logs", "3", "-f").communicate(timeout=40)
    assert run.end() == 0
    assert told == (run.folder / "steps" / "03-get_module_info" / "log.txt").read_bytes()
    assert b"step 3 get_module_info has not run yet" in said


# --- SIGUSR1 ---


@pytest.mark.parametrize("screen", ["plain", "none"])
def test_sigusr1_is_answered_with_one_block_and_the_run_goes_on(stand, screen):
    run = stand.start(*BIASED, faults={"tuning": "sleep:1"}, arguments=["--screen", screen])
    run.wait_for(lambda: b"simulated fault" in run.logs)
    run.press(signal.SIGUSR1)
    assert run.end() == 0
    run.prove()
    assert run.told.count("RUNNING for") == 1
    block = run.told[run.told.index("RUNNING for") :]
    assert "now      step 2/3 tuning" in block
    assert f"calseq attach {run.folder.name}" in block
    assert '"stop-asked"' not in run.journal


def test_sigusr1_leaves_the_picture_whole(stand, terminal):
    run = stand.start(
        *BIASED, faults={"tuning": "hang"}, stderr=terminal.program, arguments=["--screen", "live"], env=PLAIN
    )
    run.wait_for(lambda: b"simulated fault" in run.logs)
    terminal.wait_for(b"tuning")
    run.press(signal.SIGUSR1)
    terminal.wait_for(b"stops it safely")
    block = terminal.seen.index(b"RUNNING")
    assert b"\x1b[?1049l" in terminal.seen[:block], "the block stands beside the picture"
    terminal.seen = terminal.seen[block:]
    terminal.wait_for(b"\x1b[?1049h\x1b[?25l")
    terminal.wait_for(b"Ctrl-C: stop gently")
    run.press()
    terminal.wait_for(b"exit code 130")
    assert run.process.wait(20) == -signal.SIGINT


def test_sigusr1_to_a_run_whose_reader_is_stuck_costs_nothing(stand):
    reader, full = filled_pipe()
    run = stand.start(*BIASED, faults={"tuning": "sleep:1"}, stderr=full, arguments=["--screen", "none"])
    until(lambda: b"simulated fault" in run.logs)
    for _ in range(50):
        run.press(signal.SIGUSR1)
    until(lambda: run.record["state"] == "ended")
    os.close(full)
    while os.read(reader, 65536):
        pass
    os.close(reader)
    assert run.process.wait(20) == 0
    run.prove()


# --- a lost connection ---


@pytest.mark.parametrize("screen", ["plain", "live"])
def test_a_pipe_that_nobody_empties_holds_up_no_run(stand, screen):
    """Such is also a viewer that was suspended, `calseq execute … 2>&1 | less` with Ctrl-Z."""
    reader, full = filled_pipe()
    run = stand.start(*BIASED, stderr=full, arguments=["--screen", screen], env=PLAIN)
    until(lambda: run.folder and (run.folder / "run.json").exists() and run.record["state"] == "ended")
    os.close(full)
    while os.read(reader, 65536):
        pass
    os.close(reader)
    assert run.process.wait(20) == 0
    run.prove()


def test_a_viewer_that_is_suspended_or_killed_in_a_pipe_ends_nothing(stand):
    script = '"$@" 2>&1 | cat & echo $! >viewer; wait'
    run = stand.start(
        *BIASED,
        faults={"tuning": "sleep:1"},
        prefix=["sh", "-c", script, "sh"],
        arguments=["--screen", "plain"],
    )
    run.wait_for(lambda: b"simulated fault" in run.logs)
    viewer = int((stand.folder / "viewer").read_text())
    os.kill(viewer, signal.SIGSTOP)
    os.kill(viewer, signal.SIGKILL)
    until(lambda: run.record["state"] == "ended")
    assert run.record["exit_code"] == 0
    assert run.end() in (0, 137)
    assert all(finding.good for finding in verify(run.folder))
