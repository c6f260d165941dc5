"""Whatever the report does at the end of a run: nothing of it becomes anything else."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from folder_runs import calseq as run_calseq

from calseq.record.run_folder import REPORT, read_record
from calseq.record.seal import verify
from calseq.report import place_report
from calseq.report.after_run import leave_report
from calseq.system.clock import now_s
from calseq.system.signals import Stops

PATIENCE_S = 60.0
RAISES = {
    "exit": ("raise SystemExit", "SystemExit;"),
    "exit-0": ("import sys; sys.exit(0)", "SystemExit: 0"),
    "interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt;"),
    "gone": ("import os; os._exit(0)", "what writes it ended without it"),
    "gone-7": ("import os; os._exit(7)", "what writes it ended with exit code 7"),
    "segfault": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "what writes it ended with SIGSEGV"),
    "alarm": ("import os, signal; os.kill(os.getpid(), signal.SIGALRM)", "what writes it ended with SIGALRM"),
    "chatty": ("import sys; print('x' * 1000000); sys.stderr.write('y\\n' * 1000000); raise SystemExit('no\\n\\x1b[31m')", "SystemExit: no"),
}  # fmt: skip
FAULTS = {
    "exit-0": ("--fault power=hv-off-fails", "unsafe", 4),
    "gone": ("--fault power=hv-off-fails", "unsafe", 4),
}
HANGS = """import os, signal, time
{ignore}
read, write = os.pipe()
if os.fork():
    os.read(read, 1)  # Python loses a signal that comes in the midst of its fork, on either side
    open({mark!r}, 'w').close()
else:
    os.write(write, b'.')
time.sleep(600)
"""


def fake_matplotlib(place, code):
    """Give an environment in which matplotlib is something else."""
    (place / "fake" / "matplotlib").mkdir(parents=True)
    (place / "fake" / "matplotlib" / "__init__.py").write_text(code)
    return os.environ | {"PYTHONPATH": str(place / "fake")}


def hanging(place, *, stubborn=False):
    """Give the same of one that hangs, with a child, and the file that it makes before."""
    mark = place / "hangs"
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" if stubborn else ""
    return fake_matplotlib(place, HANGS.format(mark=str(mark), ignore=ignore)), mark


def a_bench(place):
    """A bench whose command tells what it heard of the report."""
    for path in (Path(__file__).parents[2] / "sequences" / "benches" / "double").iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    path = place / "bench.yaml"
    path.write_text(
        f"{path.read_text().rstrip()}\non_finish: {{command: [sh, -c, 'echo report=$CALSEQ_REPORT']}}\n"
    )
    return str(path)


def argv(place, *words):
    bench = ("--bench", a_bench(place), "--runs", "runs", "--simulate", "--speed", "5000")
    return [sys.executable, "-m", "calseq", "execute", *words, *bench]


def the_run(place):
    (found,) = (place / "runs").iterdir()
    return found


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The folder of a run with a curve, and no report."""
    place = tmp_path_factory.mktemp("measured")
    subprocess.run(
        argv(place, "sensor_iv", "--no-report"), cwd=place, check=True, capture_output=True, timeout=60
    )
    return the_run(place)


@pytest.fixture
def folder(measured, tmp_path):
    return Path(shutil.copytree(measured, tmp_path / "runs" / measured.name))


def prove_untouched(folder, verdict):
    """The record, the seal and the site's command are what they are without a report."""
    assert read_record(folder).verdict == verdict
    assert [each for each in verify(folder) if each.good is not True] == []
    assert (folder / "on_finish.log").read_text() == "report=\n"
    assert list(folder.glob("report.html*")) == []


def prove_nobody_is_left(folder):
    """Nothing lives that has to do with the report of that run."""
    due = now_s() + 10
    while left := [path for path in Path("/proc").glob("[0-9]*/environ") if of_report(path, folder)]:
        assert now_s() < due, left
        time.sleep(0.01)


def of_report(path, folder):
    try:
        return f"CALSEQ_REPORT_OF={folder.name}".encode() in path.read_bytes().split(b"\0")
    except OSError:
        return False


@pytest.mark.parametrize("case", RAISES)
def test_how_it_ends_changes_nothing_of_the_run(tmp_path, case):
    code, said = RAISES[case]
    fault, verdict, exit_code = FAULTS.get(case, ("", "passed", 0))
    ran = subprocess.run(
        argv(tmp_path, "sensor_iv", *fault.split()),
        cwd=tmp_path, env=fake_matplotlib(tmp_path, code), capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert ran.returncode == exit_code, ran.stderr
    (told,) = [line for line in ran.stderr.splitlines() if line.startswith("no report: ")]
    assert told.startswith(f"no report: {said}"), told
    assert told.isprintable()
    assert "Traceback" not in ran.stderr
    folder = the_run(tmp_path)
    assert told.endswith(f"; 'calseq report {folder.name}' makes it")
    prove_untouched(folder, verdict)
    prove_nobody_is_left(folder)


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_stop_ends_one_that_hangs_and_what_it_started(tmp_path, stubborn):
    environment, mark = hanging(tmp_path, stubborn=stubborn)
    process = subprocess.Popen(
        argv(tmp_path, "sensor_iv"),
        cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    due = now_s() + PATIENCE_S
    while not mark.exists():
        assert now_s() < due
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    pressed = now_s()
    told = process.communicate(timeout=PATIENCE_S)[1]
    assert now_s() - pressed < 10
    assert process.returncode == 0, told
    assert "no report: stopped by Ctrl-C; " in told
    assert "Traceback" not in told
    prove_untouched(the_run(tmp_path), "passed")
    prove_nobody_is_left(the_run(tmp_path))


def test_one_that_takes_too_long_is_ended(tmp_path, monkeypatch, folder):
    environment, mark = hanging(tmp_path, stubborn=True)
    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])
    told = []
    left = leave_report(folder, Stops(), limit_s=5.0, tell=told.append)
    assert mark.exists()
    assert told == ["report   is being written (at most 5 s, Ctrl-C ends it)"]
    assert left.complaint == f"no report: it took longer than 5 s; 'calseq report {folder.name}' makes it"
    assert list(folder.glob("report.html*")) == []
    prove_nobody_is_left(folder)


def test_a_run_whose_folder_of_work_is_gone_has_its_report(tmp_path, folder):
    place = tmp_path / "gone"
    place.mkdir()
    script = (
        "import os, sys; from pathlib import Path; from calseq.system.signals import Stops; from calseq.report.after_run import leave_report;"
        "os.rmdir(os.getcwd()); print(leave_report(Path(sys.argv[1]), Stops()))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(folder)], cwd=place, capture_output=True, text=True, timeout=60
    )
    assert (folder / REPORT).read_text().endswith("</html>\n"), ran.stdout + ran.stderr


def test_what_writes_it_has_no_lock_no_input_and_no_terminal(tmp_path, folder):
    script = (
        "import json, os, sys; ours = {n: os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if os.path.lexists(f'/proc/self/fd/{n}')};"
        "open(sys.argv[1] + '/report.html', 'w').write(json.dumps([ours, os.getsid(0) == os.getpid()]))"
    )
    with (tmp_path / "secret").open("w") as kept:
        os.set_inheritable(kept.fileno(), True)
        leave_report(folder, Stops(), command=(sys.executable, "-c", script))
    ours, leads = json.loads((folder / REPORT).read_text())
    assert leads
    assert ours["0"] == "/dev/null"
    assert ours["1"] == ours["2"]
    assert ours["1"].startswith("pipe:")
    assert not [path for path in ours.values() if path.startswith(str(tmp_path / "secret"))]


def test_what_cannot_be_started_is_one_line(folder):
    left = leave_report(folder, Stops(), command=("/no/such/python",))
    assert left.complaint.startswith("no report: cannot start '/no/such/python': no such file")


def test_a_page_that_was_whole_when_it_was_stopped_stays(folder):
    stops = Stops()
    script = "import sys, time; open(sys.argv[1] + '/report.html', 'w').write('x'); time.sleep(600)"

    class Pressed(Stops):
        def pause(self, timeout_s):
            if (folder / REPORT).exists():
                self.ask("SIGINT")
            super().pause(timeout_s)

    assert leave_report(folder, Pressed(), command=(sys.executable, "-c", script)).path == folder / REPORT
    assert leave_report(folder, stops).path == folder / REPORT, "what stopped one thing stops no other"
    assert (folder / REPORT).read_text().endswith("</html>\n")


# Where it is put


def test_a_link_in_the_place_of_a_draft_leads_nowhere(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f"report.html.{os.getpid()}.new").symlink_to(victim)
    place_report(tmp_path / REPORT, b"page")
    assert victim.read_text() == "precious"
    assert (tmp_path / REPORT).read_bytes() == b"page"
    assert not (tmp_path / REPORT).is_symlink()


def test_drafts_of_the_dead_are_taken_away_and_those_of_the_living_stay(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    drafts = [tmp_path / f"report.html.{pid}.new" for pid in (dead.pid, os.getppid())]
    for draft in (*drafts, tmp_path / "report.html.mine.new"):
        draft.write_text("half")
    place_report(tmp_path / REPORT, b"page")
    assert [draft.exists() for draft in drafts] == [False, True]
    assert (tmp_path / "report.html.mine.new").exists()


# The command itself


def test_a_library_that_ends_the_program_is_a_refusal_of_the_command(tmp_path, folder):
    ran = subprocess.run(
        [sys.executable, "-m", "calseq", "report", str(folder)],
        cwd=tmp_path, env=fake_matplotlib(tmp_path, "raise SystemExit(0)"), capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    assert ran.returncode == 70, ran.stderr
    assert "SystemExit" in ran.stderr
    assert not (folder / REPORT).exists()


def test_ctrl_c_ends_the_command_with_a_word(tmp_path, folder):
    environment, mark = hanging(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "calseq", "report", str(folder)],
        cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    due = now_s() + PATIENCE_S
    while not mark.exists():
        assert now_s() < due
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    told = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == -signal.SIGINT
    assert "stopped by Ctrl-C: no report" in told
    assert "Traceback" not in told
    assert list(folder.glob("report.html*")) == []


def test_two_that_write_one_report_leave_one_that_is_whole(tmp_path, folder):
    both = [
        subprocess.Popen([sys.executable, "-m", "calseq", "report", str(folder)], stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [each.wait(PATIENCE_S) for each in both] == [0, 0]
    assert (folder / REPORT).read_text().endswith("</html>\n")
    assert sorted(path.name for path in folder.glob("report.html*")) == [REPORT]
    run_calseq("report", str(folder), cwd=tmp_path)
