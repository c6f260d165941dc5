"""`calseq upload` and the end of `calseq execute`, as somebody types them."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest
from upload_stand import (
    CHECKOUT,
    DOUBLES,
    FELIS,
    NAMES,
    PASSWORD,
    adapters,
    calseq_,
    copied,
    entries,
    environment,
    files_with,
    measured,
    processes_with,
    start_upload,
    states,
    until,
    upload,
    write_bench,
)

from calseq.cli.commands.upload import Interrupted, _interruptible
from calseq.console.uploads import NOT_QUEUED, PERHAPS, WORDS
from calseq.record.run_folder import read_plan
from calseq.upload.queue import Queue

KEYRING = f"{DOUBLES}:{DOUBLES}/keyring_double"


def folder_of(place):
    return {"to": "folder", "folder": str(place)}


# What is refused


def test_a_simulated_run_is_refused_unless_somebody_says_so(run, panthera):
    told = calseq_(["upload", run], cwd=run.parent.parent)
    assert told.returncode == 3
    assert "SIMULATED: nothing of it was measured" in told.stderr
    assert "--allow-simulated" in told.stderr
    assert panthera.requests == []
    assert not (run / "upload.jsonl").exists()


def test_a_bench_that_says_nothing_of_an_upload_is_refused_with_what_to_do(tmp_path):
    run = measured(tmp_path / "x", None, steps=["voltage_trimming"])
    told = upload(run, password=None)
    assert told.returncode == 3
    assert "add 'upload:' to the bench file" in told.stderr


def test_a_run_measured_before_the_bench_had_an_upload_goes_where_the_bench_says_now(tmp_path):
    run = measured(tmp_path / "x", None, steps=["sldo_vi_curves"])
    write_bench(tmp_path / "x", folder_of(tmp_path / "out"))
    told = upload(run, password=None)
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "out" / f"{run.name}-C2HQ0" / "manifest.json").exists()


def test_a_bench_that_is_named_counts_before_what_the_run_was_made_with(run, tmp_path, panthera):
    bench = write_bench(tmp_path / "other", folder_of(tmp_path / "out"))
    assert upload(run, "--bench", bench, password=None).returncode == 0
    assert panthera.requests == []


def test_what_is_half_sent_cannot_be_sent_elsewhere(run, tmp_path, panthera):
    panthera.faults = ["", "", "", "false"]
    assert upload(run).returncode == 5
    bench = write_bench(tmp_path / "other", folder_of(tmp_path / "out"))
    told = upload(run, "--bench", bench, password=None)
    assert told.returncode == 3
    assert f"2 of its results went to felis at {panthera.url}: the others have to go there" in told.stderr
    bench = write_bench(tmp_path / "third", {**FELIS, "url": "https://other.example.org/x"})
    told = upload(run, "--bench", bench)
    assert (told.returncode, "the others have to go there" in told.stderr) == (3, True)


def test_a_run_that_goes_on_is_refused(template, tmp_path):
    run = copied(template, tmp_path)
    record = json.loads((run / "run.json").read_text())
    record |= {"state": "running", "pid": os.getpid(), "started": "2999-01-01T00:00:00+00:00"}
    (run / "run.json").write_text(json.dumps(record))
    told = upload(run, password=None)
    assert told.returncode == 3
    assert "goes on still" in told.stderr


def test_two_uploads_of_one_run_never_send_at_once(run, panthera):
    panthera.slow_s, panthera.faults = 10.0, ["slow"]
    first = start_upload(run)
    until(lambda: panthera.requests)
    second = upload(run)
    assert second.returncode == 3
    assert "another 'calseq upload' works on it" in second.stderr
    _, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert len(panthera.stored) == 5


@pytest.mark.parametrize("words", [["--all", "x"], ["--again", "--arrived"], ["--all", "--again"]])
def test_what_makes_no_sense_together_is_wrong_usage(tmp_path, words):
    assert calseq_(["upload", *words], cwd=tmp_path).returncode == 2


# What is shown


def test_a_look_sends_nothing_and_writes_nothing(run, panthera):
    before = sorted(path.name for path in run.iterdir())
    told = calseq_(["upload", run, "--list"], cwd=run.parent.parent)
    assert told.returncode == 5
    assert re.findall(r"^(\S+) +C2HQ0 +(\S+) +\d +(\w+ ?\w*)", told.stdout, re.MULTILINE) == [
        (name, type_, "not queued")
        for name, type_ in zip(NAMES, ["sldo", "ivcurve", "pixelalive", "thradj", "crosstalk"], strict=True)
    ]
    assert sorted(path.name for path in run.iterdir()) == before
    assert panthera.requests == []
    upload(run)
    told = calseq_(["upload", run, "--dry-run"], cwd=run.parent.parent)
    assert (told.returncode, "all 5 sent" in told.stdout) == (0, True)


def test_a_reader_that_goes_away_is_no_fault_of_the_record(run):
    for command in ("--list", "--all --list"):
        read, write = os.pipe()
        os.close(read)
        argv = [sys.executable, "-m", "calseq", "upload", *command.split()]
        if "--all" not in command:
            argv.append(str(run))
        told = subprocess.run(
            argv, cwd=run.parent.parent, env=environment(), stdout=write, stderr=subprocess.PIPE, text=True,
            timeout=60,
        )  # fmt: skip
        os.close(write)
        assert "cannot be kept" not in told.stderr
        assert "CS901" not in told.stderr
    assert not (run / "upload.jsonl").exists()


def test_each_result_is_told_of_as_it_begins_and_as_it_ends(run, panthera):
    told = upload(run)
    lines = [line.strip() for line in told.stderr.splitlines()]
    assert "Felis starts, for C2HQ0" in lines
    assert "a sequence for C2HQ0 is asked for" in lines
    for name in NAMES:
        assert lines.index(f"{name}  read by Felis") < lines.index(f"{name}  being sent")
        assert lines.index(f"{name}  being sent") + 1 == lines.index(f"{name}  sent")


def test_how_a_result_stands_is_said_in_words_that_the_docs_explain(run, panthera):
    panthera.slow_s, panthera.faults = 30.0, ["", "", "slow"]
    process = start_upload(run)
    until(lambda: len(panthera.requests) >= 3)
    told = calseq_(["upload", run, "--list"], cwd=run.parent.parent)
    assert re.findall(r"^0[023]_.*\d  (\w+ ?\w*)", told.stdout, re.MULTILINE) == [
        "sent",
        "being sent",
        "queued",
    ]
    process.kill()
    process.communicate()
    until(lambda: adapters(run) == [])
    told = calseq_(["upload", run, "--list"], cwd=run.parent.parent)
    assert re.findall(r"^02_.*\d  (\w+ ?\w*)", told.stdout, re.MULTILINE) == ["perhaps sent"]
    page = (CHECKOUT / "docs" / "upload.md").read_text()
    for words in (*WORDS.values(), PERHAPS, NOT_QUEUED):
        assert f"| `{words}` |" in page


# Which bench says where results go


def test_the_first_line_says_which_bench_file_and_which_receiver(run, tmp_path, panthera):
    told = upload(run)
    first = told.stderr.splitlines()[0]
    assert f"5 SIMULATED results for felis {panthera.url}, C2HQ0" in first
    assert re.search(r"\(as \S*bench\.yaml said when it was run\)$", first)
    place = tmp_path / "other"
    bench = write_bench(place, folder_of(tmp_path / "out"))
    other = copied_fresh(run)
    told = upload(other, "--bench", bench, password=None)
    assert f"for folder {tmp_path / 'out'}" in told.stderr.splitlines()[0]
    assert "other/bench.yaml says so)" in told.stderr.splitlines()[0]


def copied_fresh(run):
    """Copy a run as it was before its upload."""
    fresh = shutil.copytree(run, run.parent / "20260103-000000-fresh")
    (fresh / "upload.jsonl").unlink()
    return fresh


def test_a_rehearsal_on_calseqs_own_bench_goes_where_the_bench_here_says_and_finds_its_command(tmp_path):
    write_bench(tmp_path, {"to": "command", "command": ["./send", "--lab"]})
    send = tmp_path / "send"
    send.write_text("#!/bin/sh\npwd >> calls\n")
    send.chmod(0o755)
    (tmp_path / "s.yaml").write_text(json.dumps({"calseq": 1, "title": "T", "steps": ["sldo_vi_curves"]}))
    words = ["execute", "s.yaml", "--simulate", "--bench", "builtin", "--speed", "20000", "--screen", "none"]
    ran = calseq_(words, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "queued" not in ran.stderr, (
        "the bench of a rehearsal is calseq's own, and says nothing of a database"
    )
    (tmp_path / "below").mkdir()
    told = calseq_(["upload", "--allow-simulated"], cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "for command ./send --lab, " in told.stderr.splitlines()[0]
    assert told.stderr.splitlines()[0].endswith("(bench.yaml says so)")
    assert (tmp_path / "calls").read_text() == f"{tmp_path}\n" * 1


# The command of a bench, looked for before anything is measured


@pytest.mark.parametrize(
    ("command", "why"),
    [("./send", "there is no "), ("./c.yaml", "may not be executed"), ("no-such-send", "nowhere in PATH")],
)
def test_a_command_that_is_not_there_is_told_before_the_night_and_not_after_it(tmp_path, command, why):
    bench = write_bench(tmp_path, {"to": "command", "command": [command]})
    data = json.loads(bench.read_text())
    del data["simulator"]
    dirigent = [sys.executable, str(DOUBLES / "dirigent_double.py")]
    bench.write_text(json.dumps(data | {"power": {"mode": "dirigent"}, "dirigent": {"command": dirigent}}))
    (tmp_path / "c.yaml").write_text("")
    (tmp_path / "s.yaml").write_text(json.dumps({"calseq": 1, "title": "T", "steps": ["sldo_vi_curves"]}))
    for words in (["validate", "bench.yaml"], ["execute", "s.yaml", "--screen", "none"]):
        told = calseq_(words, cwd=tmp_path)
        assert told.returncode == (1 if words[0] == "validate" else 3), told.stdout + told.stderr
        assert "CS461" in told.stdout + told.stderr
        assert why in told.stdout + told.stderr
    assert not (tmp_path / "runs").exists()
    looked = calseq_(["runs"], cwd=tmp_path)
    assert looked.returncode == 0, "nothing else is kept from working"
    (tmp_path / "send").write_text("#!/bin/sh\n")
    (tmp_path / "send").chmod(0o755)
    if command == "./send":
        assert calseq_(["validate", "bench.yaml"], cwd=tmp_path).returncode == 0


def test_what_was_changed_for_the_upload_does_not_break_the_seal(run):
    before = calseq_(["runs", "verify", run], cwd=run.parent.parent).stdout
    assert upload(run).returncode == 0
    assert calseq_(["runs", "verify", run], cwd=run.parent.parent).stdout == before


def test_what_others_wrote_reaches_no_terminal_as_a_command(run, panthera):
    panthera.take = lambda *_: {"status": False, "message": "\x1b[2J\x07 cleared\n\nall 5 sent"}
    told = upload(run)
    assert told.returncode == 5
    assert "\x1b" not in told.stderr
    assert "Panthera refuses: \\e[2J\\x07 cleared\\n\\nall 5 sent" in told.stderr


# All runs


def test_all_sends_what_is_queued_and_leaves_alone_what_is_sent(template, tmp_path, panthera):
    runs = [
        copied(template, tmp_path, url=panthera.url, seed=n, name=f"20260101-00000{n}-copy") for n in range(3)
    ]
    panthera.faults = ["", "", "false"]
    assert upload(runs[0]).returncode == 5
    assert upload(runs[1]).returncode == 0
    words = ["upload", "--all", "--allow-simulated", "--password-fd", "0", "--runs", tmp_path / "runs"]
    told = calseq_(words, cwd=tmp_path, password=PASSWORD)
    assert told.returncode == 0, told.stderr
    assert runs[0].name in told.stderr
    assert runs[1].name not in told.stderr
    assert runs[2].name not in told.stderr, "a simulated run that nobody queued stays where it is"
    assert sorted(len(each["results"]) for each in panthera.filled.values()) == [5, 5]
    told = calseq_(words, cwd=tmp_path, password=PASSWORD)
    assert (told.returncode, "nothing is to be sent" in told.stderr) == (0, True)


def test_one_run_that_cannot_be_sent_keeps_the_others_from_nothing(template, tmp_path, panthera):
    runs = [
        copied(template, tmp_path, url=panthera.url, seed=n, name=f"20260101-00000{n}-copy") for n in range(2)
    ]
    panthera.faults = ["", "false"] * 2
    for run in runs:
        assert upload(run).returncode == 5
    (runs[0] / "run.json").write_text("{")
    words = ["upload", "--all", "--allow-simulated", "--password-fd", "0", "--runs", tmp_path / "runs"]
    told = calseq_(words, cwd=tmp_path, password=PASSWORD)
    assert told.returncode == 5
    assert "CS423" in told.stderr
    assert set(states(runs[1]).values()) == {"sent"}


# The password


def test_the_password_is_asked_for_on_a_terminal_and_not_shown(run, panthera):
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(environment())
        argv = [sys.executable, "-m", "calseq", "upload", str(run), "--allow-simulated"]
        os.execv(sys.executable, argv)
    seen = b""
    typed = False
    while select.select([terminal], [], [], 60)[0]:
        try:
            more = os.read(terminal, 4096)
        except OSError:
            break
        seen += more
        if not typed and b"(not shown): " in seen:
            os.write(terminal, PASSWORD.encode() + b"\n")
            typed = True
        if not more:
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seen
    os.close(terminal)
    assert b"password of jdoe for Panthera" in seen
    assert PASSWORD.encode() not in seen
    assert b"all 5 sent" in seen


def test_a_keyring_knows_the_password_if_it_is_installed(run, tmp_path, panthera):
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps({"calseq-panthera/jdoe": PASSWORD}))
    told = upload(run, env=environment(PYTHONPATH=KEYRING, KEYRING_DOUBLE=str(kept)), password=None)
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize("variables", [{}, {"PYTHONPATH": KEYRING, "KEYRING_DOUBLE": "broken"}])
def test_without_anybody_to_ask_nothing_is_sent_and_it_is_said_how_it_would_be(run, panthera, variables):
    told = upload(run, env=environment(**variables), password=None)
    assert told.returncode == 5
    assert "give --password-fd N, or 'keyring set calseq-panthera jdoe' once" in told.stderr
    assert panthera.requests == []


def test_a_descriptor_that_gives_nothing_is_told(run):
    told = calseq_(["upload", run, "--allow-simulated", "--password-fd", "77"], cwd=run.parent.parent)
    assert told.returncode == 5
    assert "descriptor 77 cannot be read: bad file descriptor" in told.stderr
    told = upload(run, password="")
    assert "descriptor 0 gives no password" in told.stderr


# The end of a run


@pytest.fixture
def stand(tmp_path):
    """A bench without calseq's simulator, whose runs are no simulated ones: `stand(upload)` runs on it."""

    def made(upload_, *arguments, steps=("sldo_vi_curves", "iv_curve"), **variables):
        command = [sys.executable, str(DOUBLES / "dirigent_double.py")]
        listed = [
            {"calibration": step, "options": {"max_voltage": -80}}
            if step == "iv_curve"
            else {"calibration": step}
            for step in steps
        ]
        write_bench(tmp_path, upload_)
        bench = json.loads((tmp_path / "bench.yaml").read_text())
        del bench["simulator"]
        bench |= {"power": {"mode": "dirigent"}, "dirigent": {"command": command}, "calibrations": "c.yaml"}
        (tmp_path / "bench.yaml").write_text(json.dumps(bench))
        known = {"iv_curve": {"outputs": [{"files": "*.csv"}]}}
        (tmp_path / "c.yaml").write_text(json.dumps({"calseq-calibrations": 1, "calibrations": known}))
        (tmp_path / "s.yaml").write_text(json.dumps({"calseq": 1, "title": "T", "steps": listed}))
        words = ["execute", "s.yaml", "--screen", "none", *arguments]
        (tmp_path / "locks").mkdir(
            exist_ok=True
        )  # its instruments have the addresses of many a bench of the tests
        own = {"CALSEQ_LOCKS": str(tmp_path / "locks"), **variables}
        told = calseq_(words, cwd=tmp_path, env=environment(**own))
        (run,) = (tmp_path / "runs").iterdir()
        return run, told

    return made


def test_a_run_that_passed_is_queued_at_its_end_and_says_what_to_type(stand, tmp_path):
    run, told = stand({**FELIS})
    assert told.returncode == 0, told.stderr
    assert f"2 results are queued for felis: calseq upload runs/{run.name}" in told.stderr
    assert states(run) == {"00_sldo_vi_curves": "queued", "01_IVCurve": "queued"}
    assert entries(run)[0]["software"].startswith("dirigent, version 1.2.3; calseq ")


def test_the_end_of_a_run_sends_at_once_where_nobody_is_needed(stand, tmp_path):
    run, told = stand({**folder_of(tmp_path / "out"), "at_end": True})
    assert told.returncode == 0, told.stderr
    assert "all 2 sent" in told.stderr
    assert (tmp_path / "out" / f"{run.name}-C2HQ0" / "SHA256SUMS").exists()


def test_the_end_of_a_run_sends_with_the_keyrings_password(stand, tmp_path, panthera):
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps({"calseq-panthera/jdoe": PASSWORD}))
    variables = {"PYTHONPATH": KEYRING, "KEYRING_DOUBLE": str(kept)}
    run, told = stand({**FELIS, "url": panthera.url, "at_end": True}, **variables)
    assert told.returncode == 0, told.stderr
    assert set(states(run).values()) == {"sent"}
    kept.unlink()
    assert files_with(tmp_path, PASSWORD) == []


def test_the_upload_at_the_end_is_out_of_reach_of_the_terminal_and_of_the_folder_it_was_typed_in(
    stand, tmp_path
):
    send = tmp_path / "send"
    send.write_text(
        f"#!{sys.executable}\nimport os\nparent = os.getppid()\n"
        f"open({str(tmp_path / 'told')!r}, 'a').write(f\"{{os.getsid(parent) == parent}} {{os.readlink(f'/proc/{{parent}}/cwd')}}\\n\")\n"
    )
    send.chmod(0o755)
    run, told = stand({"to": "command", "command": str(send), "at_end": True})
    assert told.returncode == 0, told.stderr
    assert "all 2 sent" in told.stderr
    assert (tmp_path / "told").read_text() == f"True {run}\n" * 2


def test_a_hangup_that_is_ignored_stays_so_and_another_interrupts():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _interruptible():
            os.kill(os.getpid(), signal.SIGHUP)
            with pytest.raises(Interrupted):
                os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_upload_that_fails_at_the_end_changes_nothing_of_the_run(stand, tmp_path):
    (tmp_path / "out").write_text("a file")
    run, told = stand({**folder_of(tmp_path / "out"), "at_end": True})
    assert told.returncode == 0
    assert "cannot be written" in told.stderr
    record = json.loads((run / "run.json").read_text())
    assert (record["verdict"], record["exit_code"]) == ("passed", 0)


def test_a_queue_that_cannot_be_written_changes_nothing_of_the_run(stand, tmp_path, monkeypatch):
    run, told = stand({**FELIS}, steps=["sldo_vi_curves"])
    assert told.returncode == 0
    (run / "upload.jsonl").write_text("{}\nx\n")
    looked = upload(run, password=None)
    assert looked.returncode == 3
    assert "damaged in line 1" in looked.stderr


@pytest.mark.parametrize(("policy", "is_queued"), [("passed", False), ("all", True)])
def test_a_run_that_did_not_pass_is_queued_where_the_bench_says_all(stand, policy, is_queued):
    failing = ("sldo_vi_curves", "get_module_info")  # of which the double knows nothing
    run, told = stand({**FELIS, "runs": policy}, steps=failing)
    assert told.returncode == 1, told.stderr
    assert ("queued for felis" in told.stderr) is is_queued
    assert (run / "upload.jsonl").exists() is is_queued
    looked = calseq_(["upload", run, "--list"], cwd=run.parent.parent)
    assert "step 2, get_module_info has no result: failed" in looked.stdout
    assert looked.returncode == 5


def test_a_simulated_run_is_not_queued_and_says_so(template):
    assert not (template / "upload.jsonl").exists()


def test_a_simulated_run_says_what_to_type_if_it_is_wanted_and_that_works(tmp_path):
    write_bench(tmp_path, folder_of(tmp_path / "out"))
    (tmp_path / "s.yaml").write_text(json.dumps({"calseq": 1, "title": "T", "steps": ["sldo_vi_curves"]}))
    told = calseq_(["execute", "s.yaml", "--screen", "none"], cwd=tmp_path)
    words = "not queued for folder: SIMULATED, nothing was measured; calseq upload "
    line = next(line for line in told.stderr.splitlines() if line.startswith(words))
    assert line.endswith(" --allow-simulated sends it all the same")
    typed = line.removeprefix(words).removesuffix(" sends it all the same").split()
    told = calseq_(["upload", *typed], cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    page = " ".join((CHECKOUT / "docs" / "upload.md").read_text().split())
    assert words.replace("for folder", "for felis") + "RUN --allow-simulated sends it all the same" in page


def test_a_resumed_run_sends_nothing_of_an_attempt_that_was_refused_and_measured_anew(stand, tmp_path):
    send = tmp_path / "send"
    send.write_text("#!/bin/sh\ngrep -o '/data/[^\"]*' >> calls\nexit 3\n")
    send.chmod(0o755)
    run, _ = stand(
        {"to": "command", "command": "./send", "runs": "all", "at_end": True}, DOUBLE_FAILS="iv_curve"
    )
    assert states(run) == {"00_sldo_vi_curves": "refused"}
    send.write_text(send.read_text().replace("exit 3", "exit 0"))
    bench = json.loads((tmp_path / "bench.yaml").read_text())
    (tmp_path / "bench.yaml").write_text(
        json.dumps(bench | {"env": {"ANOTHER": "1"}})
    )  # so that all is measured anew
    words = ["execute", "--resume", run.name, "--yes", "--screen", "none"]
    told = calseq_(words, cwd=tmp_path, env=environment())
    assert told.returncode == 0, told.stderr
    assert states(run) == {"00_sldo_vi_curves": "sent", "01_IVCurve": "sent"}
    folders = list(
        dict.fromkeys(each.split("/")[2] for each in (tmp_path / "calls").read_text().splitlines())
    )
    assert folders == ["01-sldo_vi_curves", "01-sldo_vi_curves.2", "02-iv_curve.2"]


def test_a_result_that_was_taken_away_is_missed_and_said(stand, tmp_path):
    run, _ = stand(folder_of(tmp_path / "out"))
    shutil.rmtree(next((run / "data").glob("01-*")))
    told = upload(run, password=None)
    assert told.returncode == 5
    assert re.search(r"00_sldo_vi_curves  refused: data/01-sldo_vi_curves/\S+ cannot be read", told.stderr)
    assert states(run) == {"00_sldo_vi_curves": "refused", "01_IVCurve": "sent"}


def test_a_run_that_is_resumed_after_it_was_sent_sends_the_rest_and_no_more(stand, tmp_path):
    run, told = stand({**folder_of(tmp_path / "out"), "runs": "all", "at_end": True}, DOUBLE_FAILS="iv_curve")
    assert told.returncode == 1, told.stderr
    assert states(run) == {"00_sldo_vi_curves": "sent"}
    words = ["execute", "--resume", run.name, "--yes", "--screen", "none"]
    told = calseq_(words, cwd=tmp_path, env=environment())
    assert told.returncode == 0, told.stderr
    assert states(run) == {"00_sldo_vi_curves": "sent", "01_IVCurve": "sent"}
    bundles = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in bundles] == [f"{run.name}-C2HQ0", f"{run.name}-C2HQ0.2"]
    results = [json.loads((each / "manifest.json").read_text())["results"] for each in bundles]
    assert [[result["name"] for result in each] for each in results] == [
        ["00_sldo_vi_curves"],
        ["01_IVCurve"],
    ]


def test_all_finds_a_run_that_was_killed_before_it_could_be_queued(stand, tmp_path):
    run, _ = stand({**folder_of(tmp_path / "out")})
    (run / "upload.jsonl").unlink()
    told = calseq_(["upload", "--all"], cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "out" / f"{run.name}-C2HQ0").exists()


def test_all_finds_what_a_resumed_run_added_while_another_upload_had_its_queue(stand, tmp_path):
    run, _ = stand({**folder_of(tmp_path / "out"), "runs": "all", "at_end": True}, DOUBLE_FAILS="iv_curve")
    assert states(run) == {"00_sldo_vi_curves": "sent"}
    told = calseq_(["upload", "--all"], cwd=tmp_path)
    assert (told.returncode, "nothing is to be sent" in told.stderr) == (0, True), told.stderr
    with Queue(run):
        words = ["execute", "--resume", run.name, "--yes", "--screen", "none"]
        told = calseq_(words, cwd=tmp_path, env=environment())
        assert told.returncode == 0, told.stderr
    assert states(run) == {"00_sldo_vi_curves": "sent"}
    told = calseq_(["upload", "--all"], cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert states(run) == {"00_sldo_vi_curves": "sent", "01_IVCurve": "sent"}
    told = calseq_(["upload", "--all"], cwd=tmp_path)
    assert (told.returncode, "nothing is to be sent" in told.stderr) == (0, True), told.stderr


def test_a_stop_ends_an_upload_at_the_end_and_nothing_else(stand, tmp_path):
    script = tmp_path / "hang.sh"
    script.write_text("#!/bin/sh\necho here > " + str(tmp_path / "here") + "\nexec sleep 600\n")
    script.chmod(0o755)
    run, _ = stand({"to": "command", "command": [str(script)]}, steps=["sldo_vi_curves"])
    plan, _ = read_plan(run)
    assert plan.upload
    bench = json.loads((tmp_path / "bench.yaml").read_text())
    bench["upload"]["at_end"] = True
    (tmp_path / "bench.yaml").write_text(json.dumps(bench))
    argv = [sys.executable, "-m", "calseq", "execute", "s.yaml", "--screen", "none"]
    process = subprocess.Popen(
        argv,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until((tmp_path / "here").exists)
    began = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 20
    assert process.returncode == 0, err
    assert processes_with(str(script)) == []


def test_the_status_of_a_run_says_how_its_upload_stands(run, panthera):
    panthera.faults = ["", "", "", "false"]
    upload(run)
    told = calseq_(["status", run], cwd=run.parent.parent)
    assert "upload   2 of 5 sent to felis\n" in told.stdout
    told = calseq_(["status", run, "--format", "json"], cwd=run.parent.parent)
    assert json.loads(told.stdout)["upload"] == "2 of 5 sent to felis"
