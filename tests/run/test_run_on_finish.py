"""The site's own command hears how a run ended, in time, and can neither change the run nor be taken for a part of it."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from simulated_runs import ROOT, a_bench, run_of

from calseq.bench.bench import read_bench
from calseq.model.plan import Notice
from calseq.record.journal import read_journal
from calseq.record.processes import children
from calseq.record.run_folder import ON_FINISH_LOG as LOG
from calseq.record.run_folder import RunRecord, read_record
from calseq.run.attempt import RUN_MARK
from calseq.run.on_finish import VARIABLES, announce, told
from calseq.system.locks import BenchLock
from calseq.system.process import adopt_orphans
from calseq.system.signals import Stops

PATIENCE_S = 30.0


def a_record(**fields):
    known = {
        "run": "20261123-020000-t", "title": "T", "bench": "b", "mode": "icicle", "module": "M", "operator": "mara",
        "simulated": False, "digest": "d", "calseq": "0", "python": "3", "host": "h", "pid": 1, "started": "s",
        "verdict": "passed", "exit_code": 0, "duration_s": 12.34,
    }  # fmt: skip
    return RunRecord(**(known | fields))


def heard(folder, *command, timeout_s=PATIENCE_S, stops=None, record=None):
    """Run a command as a site's; give what is said of it and what it printed."""
    adopt_orphans()
    notice = Notice(command, timeout_s)
    said = announce(
        notice,
        record or a_record(),
        folder,
        cwd=str(folder),
        environment=dict(os.environ),
        stops=stops or Stops(),
    )
    return said, (folder / LOG).read_text()


def shell(text):
    return ("sh", "-c", text)


def test_it_hears_how_the_run_ended(tmp_path):
    record = a_record(
        verdict="failed", exit_code=1, reason="b failed", simulated=True,
        steps={"a": "passed", "b": "failed", "c": "timed-out", "d": "skipped"},
    )  # fmt: skip
    said, printed = heard(tmp_path, *shell("env | grep ^CALSEQ_ | grep -v ^CALSEQ_LOCKS="), record=record)
    assert said == ""
    assert dict(line.partition("=")[::2] for line in printed.splitlines()) == {
        "CALSEQ_RUN_ID": "20261123-020000-t",
        "CALSEQ_FOLDER": str(tmp_path),
        "CALSEQ_TITLE": "T",
        "CALSEQ_MODULE": "M",
        "CALSEQ_BENCH": "b",
        "CALSEQ_OPERATOR": "mara",
        "CALSEQ_VERDICT": "failed",
        "CALSEQ_EXIT_CODE": "1",
        "CALSEQ_REASON": "b failed",
        "CALSEQ_FAILED_STEPS": "b c",
        "CALSEQ_DURATION_S": "12.3",
        "CALSEQ_SIMULATED": "1",
        "CALSEQ_REPORT": "",
        "CALSEQ_JOB": "",
        "CALSEQ_ON_FINISH": "20261123-020000-t",
    }


def test_the_page_on_benches_lists_every_variable():
    page = (ROOT / "docs" / "bench.md").read_text()
    listed = dict(re.findall(r"^\| `(CALSEQ_[A-Z_]+)` \| (.*) \|$", page, re.MULTILINE))
    assert listed == VARIABLES


def test_what_a_run_says_reaches_it_as_one_harmless_line(tmp_path):
    assert told(a_record(reason="a\nb\x1b]2;c\x07\0"), tmp_path)["CALSEQ_REASON"] == "a\\nb\\e]2;c\\x07\\x00"


def test_it_reads_nothing_leads_a_session_and_holds_no_lock(tmp_path):
    lock = BenchLock(("TEST::ETA::1",))
    try:
        said, printed = heard(
            tmp_path,
            *shell(
                'test "$(ps -o sid= -p $$ | tr -d " ")" = $$; echo $?; wc -c; ls -l /proc/$$/fd | grep -c -e lock -e socket; true'
            ),
        )
    finally:
        lock.release()
    assert (said, printed.split()) == ("", ["0", "0", "0"])


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (shell("exit 3"), f"on_finish: exit code 3; what it printed is in {LOG}"),
        (shell("kill -9 $$"), f"on_finish: ended by SIGKILL; what it printed is in {LOG}"),
        (("./nobody",), "on_finish: cannot start './nobody': no such file or directory"),
        (("/",), "on_finish: cannot start '/': permission denied"),
    ],
    ids=["exit code", "signal", "absent", "no program"],
)
def test_its_failure_is_one_line(tmp_path, command, said):
    assert heard(tmp_path, *command)[0] == said


ENDLESS = "sleep 1000 & setsid sleep 1000 & trap '' TERM; while :; do sleep 1; done"


def test_one_that_takes_too_long_is_ended_with_all_it_started(tmp_path):
    said, _ = heard(tmp_path, *shell(ENDLESS), timeout_s=0.5)
    assert said == f"on_finish: it took longer than 0.5 s and was ended; what it printed is in {LOG}"
    assert left("CALSEQ_ON_FINISH=20261123-020000-t") == []


def test_what_it_leaves_behind_is_ended_too(tmp_path):
    said, _ = heard(tmp_path, *shell("setsid sleep 1000 & exit 0"), timeout_s=0.5)
    assert "took longer" in said
    assert left("CALSEQ_ON_FINISH=20261123-020000-t") == []


def test_a_stop_ends_it_at_once(tmp_path):
    stops = Stops()
    threading.Timer(0.2, stops.ask, ("SIGINT",)).start()
    said, _ = heard(tmp_path, "sleep", "1000", stops=stops)
    assert said == f"on_finish: ended by SIGINT; what it printed is in {LOG}"


def test_a_flood_is_stopped(tmp_path):
    said, printed = heard(tmp_path, "yes")
    assert said == f"on_finish: it printed more than 16 MiB and was ended; what it printed is in {LOG}"
    assert len(printed) > 16 << 20


def test_nothing_is_written_over(tmp_path):
    (tmp_path / LOG).write_text("before\n")
    assert heard(tmp_path, "echo", "after")[1] == "before\nafter\n"


def test_a_folder_that_has_gone_is_said(tmp_path):
    said = announce(Notice(("true",)), a_record(), tmp_path / "gone", cwd="/", environment={}, stops=Stops())
    assert said == "on_finish: no such file or directory"


def test_a_link_in_the_place_of_its_log_is_not_followed(tmp_path):
    (tmp_path / LOG).symlink_to(tmp_path / "elsewhere")
    said = announce(Notice(("true",)), a_record(), tmp_path, cwd="/", environment={}, stops=Stops())
    assert said == "on_finish: it is no regular file"
    assert not (tmp_path / "elsewhere").exists()


def left(mark):
    """Processes, anywhere, that carry a mark."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark.encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return found


# --- on the command line ---


@pytest.mark.parametrize(("words", "code"), [((), 0), (("--fault", "iv_curve=exit:3"), 1)])
@pytest.mark.parametrize("command", ["[sh, -c, 'echo $CALSEQ_VERDICT; exit 9']", "./nobody"])
def test_whatever_becomes_of_it_changes_nothing(tmp_path, words, code, command):
    bench = a_bench(tmp_path, on_finish=f"{{command: {command}}}")
    run = run_of(tmp_path, "sensor_iv", *words, bench=bench)
    assert run.code == code
    assert re.search(r"^on_finish: (exit code 9|cannot start)", run.told, re.MULTILINE), run.told
    record = read_record(run.folder)
    assert (record.state, record.exit_code) == ("ended", code)
    assert read_journal(run.folder / "events.jsonl")[1] == ""
    if "echo" in command:
        assert (run.folder / LOG).read_text() == f"{record.verdict}\n"


def test_it_comes_after_the_record_and_is_no_part_of_the_run(tmp_path):
    """It looks at the run as it is then: closed, with nobody of it there, while it is there itself."""
    look = tmp_path / "look.py"
    look.write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        "from calseq.record.processes import children, guard_lives\n"
        "from calseq.record.run_folder import read_record\n"
        "folder = Path(os.environ['CALSEQ_FOLDER'])\n"
        f"print(read_record(folder).state, children(folder), guard_lives(folder), os.environ.get('{RUN_MARK}'))\n"
    )
    bench = a_bench(tmp_path, on_finish=f"{{command: [{sys.executable}, {look}]}}")
    run = run_of(tmp_path, "sensor_iv", bench=bench)
    assert (run.folder / LOG).read_text() == "ended [] False None\n", run.told
    assert children(run.folder) == []


def test_ctrl_c_ends_it_and_the_run_keeps_its_verdict(tmp_path):
    bench = a_bench(tmp_path, on_finish="{command: [sh, -c, 'echo on; sleep 1000'], timeout: 10m}")
    argv = [
        sys.executable,
        "-m",
        "calseq",
        "execute",
        "sensor_iv",
        "--simulate",
        "--speed",
        "5000",
        "--bench",
        bench,
    ]
    process = subprocess.Popen(
        [*argv, "--runs", "runs"], cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        due_s = time.monotonic() + PATIENCE_S
        while not any(path.stat().st_size for path in tmp_path.glob(f"runs/*/{LOG}")):
            assert time.monotonic() < due_s
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        told_ = process.communicate(timeout=PATIENCE_S)[1]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, told_
    assert "on_finish: ended by SIGINT" in told_
    assert left(f"CALSEQ_ON_FINISH={next(tmp_path.glob('runs/*')).name}") == []


def test_a_refused_run_is_not_announced(tmp_path):
    bench = a_bench(tmp_path, on_finish="{command: [touch, heard]}")
    assert run_of(tmp_path, "no_such_sequence", bench=bench).code == 3
    assert not list(tmp_path.rglob("heard"))


# --- in the bench file ---


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        ("{command: ./notify}", Notice(("./notify",), 30.0)),
        ("{command: [mail, -s, done], timeout: 2m}", Notice(("mail", "-s", "done"), 120.0)),
    ],
)
def test_a_bench_file_may_name_it(tmp_path, text, notice):
    reading = read_bench(a_bench(tmp_path, on_finish=text))
    assert reading.problems == []
    assert reading.bench.on_finish == notice


def test_a_bench_without_one_has_none(tmp_path):
    assert read_bench(a_bench(tmp_path)).bench.on_finish is None


@pytest.mark.parametrize(
    ("text", "code", "quoted"),
    [
        ("./notify", "CS201", "./notify"),
        ("{timeout: 3s}", "CS202", "{timeout: 3s}"),
        ("{command: []}", "CS206", "[]"),
        ("{command: ''}", "CS206", "''"),
        ("{command: a, timeout: soon}", "CS209", "soon"),
        ("{command: a, timeout: none}", "CS209", "none"),
        ("{comand: a}", "CS204", "comand"),
    ],
)
def test_a_mistake_in_it_has_its_place(tmp_path, text, code, quoted):
    path = a_bench(tmp_path, on_finish=text)
    (problem,) = read_bench(path).problems
    line = path.read_text().splitlines()[problem.place.span.line - 1]
    assert line.startswith("on_finish:")
    found = line[problem.place.span.column - 1 :]
    assert (problem.code.id, found.startswith(quoted)) == (code, True), (problem, found)
