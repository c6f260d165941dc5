"""The report after real runs: where it is, who hears of it, and that nothing about it changes how a run ended."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_runs import end_all, stand, step  # noqa: F401 - the fixture
from console_runs import a_plan, failed_run
from folder_runs import calseq as run_calseq
from folder_runs import guard_says
from report_pages import Page, a_run, prove_good

import calseq
from calseq.record.run_folder import REPORT, read_record
from calseq.record.seal import verify
from calseq.report.after_run import leave_report
from calseq.system.signals import Stops

CURVE, GENERAL = step("iv_curve"), step("voltage_trimming")
PATIENCE_S = 60.0


def execute(folder, *words, code=0, env=None, prefix=()):
    """Run calseq as a person does, with everything at its default."""
    ran = subprocess.run(
        [*prefix, sys.executable, "-m", "calseq", "execute", *words, "--simulate", "--speed", "5000"],
        cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL, env=env,
    )  # fmt: skip
    assert "Traceback" not in ran.stderr, ran.stderr
    assert ran.returncode == code, ran.stderr
    return ran.stderr


def the_run(folder):
    (found,) = (folder / "runs").iterdir()
    return found


def findings(folder):
    return [each for each in verify(folder) if each.good is not True]


def test_a_run_leaves_a_page_and_says_where(tmp_path):
    told = execute(tmp_path, "sensor_iv")
    folder = the_run(tmp_path)
    assert told.splitlines()[-1] == f"report   runs/{folder.name}/report.html"
    page = Page((folder / REPORT).read_text())
    prove_good(page, folder)
    assert "✓ Passed" in page.words
    assert "Confirmed by calseq" in page.words
    assert "SIMULATED" in page.words


def test_the_page_is_not_in_the_seal_and_may_be_made_anew(tmp_path):
    execute(tmp_path, "sensor_iv")
    folder = the_run(tmp_path)
    assert REPORT not in (folder / "SHA256SUMS").read_text()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != REPORT}
    (folder / REPORT).unlink()
    out, _ = run_calseq("report", cwd=tmp_path)
    assert out == f"runs/{folder.name}/report.html\n"
    (folder / (REPORT + ".new")).write_text("left by somebody who was killed")
    assert findings(folder) == []
    after = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and not p.name.startswith(REPORT)}
    assert after == before


def test_whoever_wants_none_gets_none_and_pays_nothing(tmp_path):
    told = execute(tmp_path, "sensor_iv", "--no-report", env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"})
    assert "report.html" not in told
    assert not (the_run(tmp_path) / REPORT).exists()
    assert " jinja2" not in told
    assert " matplotlib" not in told
    assert "calseq.report.run_data" not in told


def test_what_draws_is_never_loaded_by_what_ran(tmp_path):
    told = execute(tmp_path, "sensor_iv", env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"})
    assert (the_run(tmp_path) / REPORT).exists()
    assert " calseq.report.after_run" in told, "what is imported is told"
    for name in (" jinja2", " matplotlib", "calseq.report.run_data"):
        assert name not in told


def test_a_run_that_failed_has_its_page_too_and_its_own_exit_code(tmp_path):
    execute(tmp_path, "panthera", "--fault", "tune_1000=exit:3", code=1)
    page = Page((the_run(tmp_path) / REPORT).read_text())
    assert "✗ Failed tune_1000 failed: exit code 3" in page.words
    assert "simulated fault: exit" in page.section("steps")


def test_an_unsafe_run_has_its_page_and_says_what_to_do(tmp_path):
    execute(tmp_path, "panthera", "--fault", "power=hv-off-fails", code=4)
    page = Page((the_run(tmp_path) / REPORT).read_text())
    assert "HARDWARE STATE UNKNOWN - HV may be on" in page.words
    assert "switch HV off there, by hand" in page.words


def test_the_command_of_the_site_hears_where_it_is(tmp_path):
    for words, expected in (((), "yes"), (("--no-report",), "no")):
        place = tmp_path / expected
        place.mkdir()
        bench = a_bench(
            place, '[sh, -c, \'test -f "$CALSEQ_REPORT" && echo yes || echo "no$CALSEQ_REPORT"\']'
        )
        execute(place, "sensor_iv", "--bench", str(bench), "--runs", "runs", *words)
        assert (the_run(place) / "on_finish.log").read_text() == f"{expected}\n"


def a_bench(place, command):
    double = Path(__file__).parents[2] / "sequences" / "benches" / "double"
    for path in double.iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    path = place / "bench.yaml"
    path.write_text(f"{path.read_text().rstrip()}\non_finish: {{command: {command}}}\n")
    return path


# A courtesy: nothing of what goes wrong with it reaches the run


def test_a_page_that_cannot_be_written_is_one_line(tmp_path):
    folder = a_run(tmp_path, failed_run(a_plan()))
    (folder / REPORT).mkdir()
    left = leave_report(folder, Stops())
    assert left.path is None
    assert left.complaint == f"no report: is a directory; 'calseq report {folder.name}' makes it"
    assert not (folder / (REPORT + ".new")).exists()


def test_a_full_disk_leaves_no_half_page_and_the_runs_own_exit_code(tmp_path):
    """A file may grow to 20 kB only: the record fits, the page does not."""
    execute(tmp_path, "sldo", "--no-report")
    largest = max(p.stat().st_size for p in the_run(tmp_path).rglob("*") if p.is_file())
    place = tmp_path / "full"
    place.mkdir()
    limit = f"import resource,os,sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({largest + 4096},)*2); os.execv(sys.argv[1], sys.argv[1:])"
    told = execute(place, "sldo", prefix=(sys.executable, "-c", limit))
    folder = the_run(place)
    assert "no report: file too large" in told
    assert list(folder.glob("report.html*")) == []
    assert read_record(folder).verdict == "passed"
    assert findings(folder) == []


def test_ctrl_c_after_the_summary_never_leaves_half_a_page_nor_changes_the_verdict(tmp_path):
    """Whether it comes before, while or after the page is written: the page is whole, or its lack is said."""
    for number, delay_s in enumerate((0.0, 0.05, 0.2, 0.4)):
        place = tmp_path / str(number)
        place.mkdir()
        argv = [sys.executable, "-m", "calseq", "execute", "sensor_iv", "--simulate", "--speed", "5000"]
        process = subprocess.Popen(
            argv, cwd=place, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        told = ""
        while "PASSED (SIMULATED)" not in told:
            line = process.stderr.readline()
            assert line, told
            told += line
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        told += process.communicate(timeout=PATIENCE_S)[1]
        assert process.returncode == 0, told
        assert "Traceback" not in told
        folder = the_run(place)
        assert not (folder / (REPORT + ".new")).exists()
        page = folder / REPORT
        if page.exists():
            assert page.read_text().endswith("</html>\n")
        else:
            assert "no report: stopped by Ctrl-C" in told
        assert findings(folder) == []


def test_a_run_that_was_interrupted_has_its_page_all_the_same(stand):  # noqa: F811
    run = stand.start(GENERAL, step("calibrate_module"), faults={"calibrate_module": "hang"}, speed=5000)
    run.wait_for_event('"event":"child-started","step":2,')
    run.press(signal.SIGINT)
    assert run.end() == -signal.SIGINT
    run_calseq("report", str(run.folder), cwd=stand.folder)
    assert "■ Interrupted" in Page((run.folder / REPORT).read_text()).words
    run.prove()


def test_a_run_that_was_killed_and_resumed_is_told_as_one(stand):  # noqa: F811
    run = stand.start(GENERAL, CURVE, step("calibrate_module"), speed=300)
    run.wait_for_event('"event":"child-started","step":3,')
    run.process.kill()
    run.process.wait()
    due = time.monotonic() + PATIENCE_S
    while '"event": "ended"' not in (run.folder / "guard.jsonl").read_text():
        assert time.monotonic() < due
        time.sleep(0.01)
    run_calseq("report", str(run.folder), cwd=stand.folder)
    torn = Page((run.folder / REPORT).read_text())
    prove_good(torn, run.folder)
    assert "■ Died" in torn.words
    while subprocess_left(stand):
        assert time.monotonic() < due
        time.sleep(0.01)
    run_calseq("execute", "--resume", str(run.folder), "--yes", "--screen", "none", cwd=stand.folder)
    whole = Page((run.folder / REPORT).read_text())
    prove_good(whole, run.folder)
    assert "3 of 3 steps passed, 2 of them before the run was resumed" in whole.words
    assert findings(run.folder) == []


def subprocess_left(stand):  # noqa: F811
    return stand.leftovers() != []


def test_a_page_of_an_earlier_end_is_taken_away_when_the_run_goes_on(stand):  # noqa: F811
    run = stand.start(GENERAL, CURVE, faults={"iv_curve": "exit:3"})
    assert run.end() == 1
    run_calseq("report", str(run.folder), cwd=stand.folder)
    words = ("execute", "--resume", str(run.folder), "--yes", "--screen", "none", "--no-report")
    run_calseq(*words, cwd=stand.folder, code=1)
    assert not (run.folder / REPORT).exists()


def test_a_python_program_gets_it_too_or_not(tmp_path):
    bench = calseq.load_bench(simulate=True, speed=5000)
    plan = calseq.compile_plan(calseq.load("sldo", bench=bench), bench)
    assert (calseq.execute(plan, runs=tmp_path).folder / REPORT).exists()
    assert not (calseq.execute(plan, runs=tmp_path, report=False).folder / REPORT).exists()


# The command


@pytest.fixture
def folder(tmp_path):
    folder = a_run(tmp_path / "runs", failed_run(a_plan()))
    guard_says(folder, confirmed=True)
    return folder


def test_the_command_writes_each_form_where_it_is_wanted(folder, tmp_path):
    out, _ = run_calseq("report", folder.name, "--format", "json", cwd=tmp_path)
    assert json.loads(out)["verdict"] == "Failed"
    out, _ = run_calseq("report", "--output", "-", cwd=tmp_path)
    assert out.startswith("<!doctype html>")
    assert not (folder / REPORT).exists()
    out, _ = run_calseq("report", "--format", "junit", "-o", "junit.xml", cwd=tmp_path)
    assert out == "junit.xml\n"
    assert (tmp_path / "junit.xml").read_text().startswith("<?xml")
    out, _ = run_calseq("report", "--format", "markdown", cwd=tmp_path)
    assert out.startswith("# ✗ Failed")


def test_a_device_is_written_to_and_never_replaced(folder, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE, text=True)
    run_calseq("report", "--format", "markdown", "-o", str(fifo), cwd=tmp_path)
    assert reader.communicate(timeout=PATIENCE_S)[0].startswith("# ✗ Failed")
    assert fifo.is_fifo()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--format", "pdf"), 2, "'pdf' is not one of html, json, junit, markdown"),
        (("nosuch",), 3, "CS421"),
        (("-o", "no/such/folder/x.html"), 3, "CS442"),
    ],
    ids=["format", "run", "place"],
)
def test_a_mistake_is_told_in_words(folder, tmp_path, words, code, said):
    _, err = run_calseq("report", *words, cwd=tmp_path, code=code)
    assert said in " ".join(err.split())


def test_a_damaged_record_is_refused_in_words(folder, tmp_path):
    (folder / "run.json").write_text("{")
    _, err = run_calseq("report", cwd=tmp_path, code=3)
    assert "CS423" in err


def test_tab_completes_forms_and_runs(folder, tmp_path):
    for words, expected in (
        (["calseq", "report", ""], f"latest {folder.name}"),
        (["calseq", "report", "--format", "j"], "json\njunit"),
    ):
        asked = {
            "_CALSEQ_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        ran = subprocess.run(
            [Path(sys.executable).parent / "calseq"], cwd=tmp_path, env=os.environ | asked, capture_output=True, text=True, timeout=60
        )  # fmt: skip
        assert ran.stdout.split() == expected.split(), ran.stderr
