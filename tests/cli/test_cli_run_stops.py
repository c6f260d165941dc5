"""Signals to the real command line, at every moment: the run stops, the bench is safe, the code says which."""

import os
import pty
import select
import signal
import subprocess
import sys

import pytest
from cli_runs import SHIPPED, as_shell, stand, step

assert stand  # a fixture

ENDS_BY = {
    signal.SIGINT: signal.SIGINT,
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGQUIT: signal.SIGQUIT,
    signal.SIGUSR2: signal.SIGINT,
    signal.SIGALRM: signal.SIGINT,
}
"""Signals that stop a run, and the one that it dies of."""
BIASED = (step("iv_curve"), step("custom_sequence", name="tuning"), step("get_module_info"))


@pytest.mark.parametrize("number", ENDS_BY)
def test_a_signal_stops_the_run_gently_and_is_died_of(stand, number):
    run = stand.start(*BIASED, faults={"tuning": "hang"})
    run.wait_for(lambda: b"simulated fault" in run.logs)
    run.press(number)
    assert run.end() == -ENDS_BY[number]
    run.prove()
    assert run.verdicts == ("passed", "interrupted", "skipped")
    assert run.journal.count('"child-signalled"') == 1
    assert "PASSED" not in run.told


def test_a_hangup_costs_only_the_screen(stand):
    run = stand.start(*BIASED, faults={"tuning": "sleep:0.5"})
    run.wait_for(lambda: b"simulated fault" in run.logs)
    run.press(signal.SIGHUP)
    assert run.end() == 0
    run.prove()


def test_a_hangup_stops_the_run_if_that_is_asked_for(stand):
    run = stand.start(*BIASED, faults={"tuning": "hang"}, arguments=["--on-hangup", "stop"])
    run.wait_for(lambda: b"simulated fault" in run.logs)
    run.press(signal.SIGHUP)
    assert run.end() == -signal.SIGHUP
    run.prove()


def test_ctrl_z_stops_nothing(stand):
    run = stand.start(*BIASED, faults={"tuning": "sleep:0.5"})
    run.wait_for(lambda: b"simulated fault" in run.logs)
    for _ in range(20):
        run.press(signal.SIGTSTP)
    assert run.end() == 0
    run.prove()


def test_a_storm_of_sigterm_is_one_wish(stand):
    run = stand.start(*BIASED, faults={"tuning": "hang"})
    run.wait_for(lambda: b"simulated fault" in run.logs)
    for _ in range(100):
        if run.process.poll() is None:
            run.press(signal.SIGTERM)
    assert run.end() == -signal.SIGTERM
    run.prove()
    assert run.journal.count('"stop-asked"') == 1
    assert run.journal.count('"child-signalled"') == 1


def test_started_from_a_script_in_the_background_it_still_stops_on_ctrl_c(stand):
    """A shell without job control starts such a program with SIGINT ignored."""
    run = stand.start(
        *BIASED, faults={"tuning": "hang"}, prefix=["sh", "-c", '"$@" & echo $! >pid; wait $!', "sh"]
    )
    run.wait_for(lambda: b"simulated fault" in run.logs)
    os.kill(int((stand.folder / "pid").read_text()), signal.SIGINT)
    assert run.end() == 128 + signal.SIGINT, "the shell's own code"
    run.prove()


MOMENTS = ("run-started", "step-started", "step-ended", "bias-decided", '"rail-moving","move":"hv-bias"', '"rail-moved","move":"lv-on"',
           "safe-end-started", '"rail-moving","move":"hv-off"', "safe-end-finished")  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_press_at_any_moment_of_a_run_ends_it_safely(stand, moment):
    run = stand.start(step("voltage_trimming"), *BIASED[:2], speed=500)
    run.wait_for(lambda: moment in run.journal)
    for _ in range(3):
        run.process.send_signal(signal.SIGINT)
    code = run.end()
    run.prove() if moment != "safe-end-finished" or as_shell(code) == run.record["exit_code"] else None
    assert code == -signal.SIGINT or (moment == "safe-end-finished" and code == 0)
    if moment in MOMENTS[:6]:
        assert "passed" not in run.verdicts[2:]


@pytest.mark.parametrize(
    ("delay_ms", "number"),
    [
        (delay, signal.SIGTERM if index % 2 else signal.SIGINT)
        for index, delay in enumerate(range(0, 450, 45))
    ],
)
def test_a_signal_in_the_first_moments_touches_nothing_or_ends_safely(stand, number, delay_ms):
    run = stand.start(*BIASED)
    select.select([], [], [], delay_ms / 1000)
    run.press(number)
    code = run.end()
    # a Ctrl-C that meets Python itself, before it has come to calseq, ends it with 1
    assert code == -number or (code == 1 and "KeyboardInterrupt" in run.told and "/calseq/" not in run.told)
    if run.folder and (run.folder / "events.jsonl").exists() and run.events:
        run.prove()
    else:
        assert not run.folder or not (run.folder / "simulated").exists()


def test_the_exit_code_is_not_changed_by_a_press_after_the_end(stand):
    """The terminal stands still, so that the summary waits: Ctrl-C ends that wait and nothing else."""
    person, program = pty.openpty()
    run = stand.start(step("voltage_trimming"), faults={"power": "lv-off-fails"}, stderr=program)
    os.close(program)
    run.wait_for_event('"run-ended"')
    run.press()
    assert run.process.wait(20) == 4
    os.close(person)


@pytest.mark.parametrize(
    ("closed", "screen"),
    [
        ("2>&-", "plain"),
        ("<&- >&- 2>&-", "none"),
        ("<&- >&- 2>&-", "live"),
        ("2>/dev/full", "plain"),
        ("2>/dev/full", "live"),
    ],
)
def test_without_a_stream_to_write_to_the_run_is_the_same(stand, closed, screen):
    run = stand.start(
        step("voltage_trimming"),
        prefix=["sh", "-c", f'exec "$@" {closed}', "sh"],
        arguments=["--screen", screen],
    )
    assert run.end() == 0
    run.prove()


def test_a_reader_that_goes_away_ends_nothing(stand):
    run = stand.start(*BIASED, arguments=["--screen", "plain"])
    run.process.stderr.close()
    run.process.wait(20)
    run.process.stderr = None
    assert run.process.returncode == 0
    run.told = ""
    run.prove()


def test_a_terminal_that_closes_ends_nothing(stand):
    person, program = pty.openpty()
    run = stand.start(*BIASED, faults={"tuning": "sleep:0.5"}, stderr=program, stdin=program,
                      arguments=["--screen", "live"], env=os.environ | {"TERM": "xterm"})  # fmt: skip
    os.close(program)
    run.wait_for(lambda: b"simulated fault" in run.logs)
    os.close(person)
    assert run.process.wait(20) == 0
    run.prove()


# --- before anything is touched ---


def bench_of(stand, command, **dirigent):
    double = SHIPPED / "benches" / "double"
    instruments = stand.folder / "instruments.json"
    # Addresses of its own: the lock of a bench is one for the whole machine, and remembers how its last run ended.
    own = (double / "instruments.json").read_text().replace('"resource": "', f'"resource": "{stand.folder}/')
    instruments.write_text(own)
    lines = [
        "calseq-bench: 1",
        "name: here",
        f"dirigent: {{command: {command}, config: {double / 'dirigent.toml'}{''.join(f', {k}: {v}' for k, v in dirigent.items())}}}",
        f"instruments: {instruments}",
        f"modules: {double / 'modules.json'}",
        "power: {mode: dirigent}",
    ]
    path = stand.folder / "bench.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def script(stand, name, text, mode=0o755):
    path = stand.folder / name
    path.write_text(text)
    path.chmod(mode)
    return path


def execute(stand, bench, **popen):
    words = [
        stand.write(step("voltage_trimming")),
        "--bench",
        str(bench),
        "--runs",
        str(stand.runs),
        "--screen",
        "none",
    ]
    return stand.launch([sys.executable, "-m", "calseq", "execute", "--no-report", *words], **popen)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no-dirigent-here", "'no-dirigent-here' is not found"),
        ("./plain", "chmod +x ./plain"),
        ("./folder", "is not found"),
        ("./wrong", "is not the dirigent of CMS"),
        ("./noexec", "exec format error"),
        ("./strange", "the interpreter that its first line names is not there"),
    ],
)
def test_a_dirigent_that_is_not_the_one_is_refused_before_anything_is_touched(stand, command, said):
    script(stand, "plain", "#!/bin/sh\n", 0o644)
    script(stand, "wrong", "#!/bin/sh\necho Usage: dirigent makes music\n")
    script(stand, "noexec", "neither\n")
    script(stand, "strange", "#!/no/such/thing\n")
    (stand.folder / "folder").mkdir()
    run = execute(stand, bench_of(stand, command))
    assert run.end() == 3
    assert said in run.told
    assert "bench.yaml:3:" in run.told
    assert not stand.runs.exists()


def test_a_working_folder_that_is_not_there_is_refused(stand):
    run = execute(stand, bench_of(stand, "dirigent", cwd="nowhere"))
    assert run.end() == 3
    assert "nowhere" in run.told
    assert "bench.yaml:3:" in run.told
    assert not stand.runs.exists()


def test_a_stop_while_dirigent_is_asked_is_no_problem_of_dirigent(stand):
    script(stand, "slow", "#!/bin/sh\necho here >asked\nexec sleep 60\n")
    run = execute(stand, bench_of(stand, "./slow"))
    run.wait_for((stand.folder / "asked").exists)
    run.press()
    assert run.end() == -signal.SIGINT
    assert run.told.strip() == "stopped by Ctrl-C: nothing was touched"
    assert not stand.runs.exists()


def test_where_dirigent_switches_the_supplies_a_killed_child_is_exit_4(stand):
    """The stand-in plays the dirigent that holds the supplies; it is killed in the middle of a curve."""
    script(
        stand,
        "dirigent",
        f'#!/bin/sh\ncase "$*" in *--help*) exec {sys.executable} -m calseq.simulator --help;; esac\nkill -9 $$\n',
    )
    bench = bench_of(stand, "./dirigent")
    words = [
        stand.write(step("iv_curve")),
        "--bench",
        str(bench),
        "--runs",
        str(stand.runs),
        "--screen",
        "none",
    ]
    run = stand.launch([sys.executable, "-m", "calseq", "execute", *words])
    assert run.end() == 4
    assert "HARDWARE STATE UNKNOWN" in run.told
    text = (run.folder / "HARDWARE-STATE-UNKNOWN.txt").read_text()
    assert "SIMULATED" not in text
    assert "hv_1" in text
    assert "SIGKILL" in text


def test_the_shell_sees_what_run_json_says(stand):
    told = subprocess.run(
        [sys.executable, "-m", "calseq", "execute", stand.write(step("voltage_trimming")), "--simulate", "--speed", "5000",
         "--runs", str(stand.runs), "--screen", "none", "--fault", "voltage_trimming=exit:9"],
        capture_output=True, text=True, check=False, cwd=stand.folder,
    )  # fmt: skip
    assert told.returncode == 1
    assert told.stdout == ""
    assert "exit code 9" in told.stderr
