"""Results to a command and into a folder: once each, also when calseq is killed."""

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid

import pytest
from upload_stand import (
    NAMES,
    calseq_,
    files_with,
    measured_files,
    pointed,
    processes_with,
    start_upload,
    states,
    until,
    upload,
)

SENT = dict.fromkeys(NAMES, "sent")
RECEIVER = """
import json, os, pathlib, sys, time
said = json.loads(sys.stdin.read())
here = pathlib.Path(sys.argv[1])
with open(here / "calls", "a") as calls:
    calls.write(json.dumps(said) + chr(10))
place = here / "store" / said["key"].replace("/", "~")
count = len((here / "calls").read_text().splitlines())
what = dict(pair.split("=") for pair in sys.argv[2:]).get(str(count), "")
print("call", count, what)
if what == "hang":
    time.sleep(600)
if what == "slow":
    time.sleep(0.4)
if what == "die-before":
    os.kill(os.getpid(), 9)
if what.isdigit():
    sys.exit(int(what))
place.mkdir(parents=True, exist_ok=True)
for file in said["files"]:
    path = pathlib.Path(file["path"])
    (place / path.name).write_bytes(path.read_bytes())
if what == "die-after":
    os.kill(os.getpid(), 9)
"""


# A command


@pytest.fixture
def command(template, tmp_path):
    """A run for a command that does what is asked of it at a call: `command("2=75")`."""
    script = tmp_path / "receiver.py"
    script.write_text(RECEIVER)

    def made(*what, timeout_s=20.0, program=None):
        words = [program or sys.executable, str(script), str(tmp_path), *what]
        return pointed(template, tmp_path, {"to": "command", "command": words, "timeout_s": timeout_s})

    return made


def calls(tmp_path):
    return [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]


def stored(tmp_path, run):
    """Prove that the command has every result as it was measured."""
    for name in NAMES:
        (place,) = (tmp_path / "store").glob(f"{run.name}~C2HQ0~{name}~*")
        assert {path.name: path.read_bytes() for path in place.iterdir()} == measured_files(run, name)


def test_a_command_gets_each_result_once_and_in_order(command, tmp_path):
    run = command()
    told = upload(run, password=None)
    assert told.returncode == 0, told.stderr
    assert [call["name"] for call in calls(tmp_path)] == NAMES
    first = calls(tmp_path)[0]
    assert (first["calseq-upload"], first["again"], first["simulated"]) == (1, False, True)
    assert (first["title"], first["module"], first["type"]) == ("Night shift", "C2HQ0", "sldo")
    assert re.fullmatch(f"{run.name}/C2HQ0/00_sldo_vi_curves/[0-9a-f]{{16}}", first["key"])
    stored(tmp_path, run)
    assert "call 1" in (run / "upload" / "command.log").read_text()
    assert upload(run, password=None).returncode == 0
    assert len(calls(tmp_path)) == 5


@pytest.mark.parametrize(
    ("what", "words", "again"),
    [
        ("2=75", "try later (exit code 75)", False),
        ("2=die-before", "ended by SIGKILL", True),
        ("2=die-after", "ended by SIGKILL", True),
    ],
)
def test_what_fails_for_the_moment_is_tried_again_and_told_that_it_may_have_arrived(
    command, tmp_path, what, words, again
):
    run = command(what)
    told = upload(run, password=None)
    assert told.returncode == 0, told.stderr
    assert words in told.stderr
    assert [call["again"] for call in calls(tmp_path)] == [False, False, again, False, False, False]
    assert len({call["key"] for call in calls(tmp_path)}) == 5
    stored(tmp_path, run)


def test_a_refusal_is_told_and_not_tried_again_by_itself(command, tmp_path):
    run = command("2=3")
    told = upload(run, password=None)
    assert told.returncode == 5
    assert "02_IVCurve  refused: the command refuses it with exit code 3" in told.stderr
    assert len(calls(tmp_path)) == 2, "those after it wait, so that the order stays"
    assert upload(run, password=None).returncode == 0
    stored(tmp_path, run)


def test_a_command_that_hangs_is_ended_with_its_time(command, tmp_path):
    run = command("1=hang", "2=hang", timeout_s=0.5)
    told = upload(run, password=None)
    assert told.returncode == 5
    assert "took longer than 0.5 s and was ended" in told.stderr
    assert processes_with(str(tmp_path / "receiver.py")) == []
    assert calls(tmp_path)[1]["again"] is True


def test_a_command_that_is_not_there_is_told(command):
    told = upload(command(program="/no/such/program"), password=None)
    assert told.returncode == 5
    assert "cannot start '/no/such/program'" in told.stderr


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("/no/such/program", "there is no /no/such/program"),
        ("no-such-program-anywhere", "it is nowhere in PATH"),
        ("./receiver.py", "receiver.py may not be executed"),
        ("./", "is a folder"),
    ],
)
def test_a_command_that_cannot_be_started_is_a_refusal_at_once(command, program, why):
    run = command(program=program)
    told = upload(run, password=None)
    assert told.returncode == 5
    assert f"00_sldo_vi_curves  refused: no such command: cannot start '{program}': " in told.stderr
    assert why in told.stderr
    assert "again in" not in told.stderr
    assert states(run)["00_sldo_vi_curves"] == "refused"
    assert "perhaps" not in told.stderr, "what was never started has sent nothing"


def test_a_command_is_found_from_the_folder_of_its_bench_file(template, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "send.py").write_text("import os; print('in', os.getcwd())\n")
    receiver = {"to": "command", "command": [sys.executable, "send.py"], "timeout_s": 20.0}
    run = pointed(template, tmp_path, receiver, bench=tmp_path / "site" / "bench.yaml")
    told = upload(run, password=None)
    assert told.returncode == 0, told.stderr
    assert (run / "upload" / "command.log").read_text() == f"in {tmp_path / 'site'}\n" * 5
    shutil.rmtree(tmp_path / "site")
    again = pointed(
        template, tmp_path, receiver, bench=tmp_path / "site" / "bench.yaml", name="20260102-000000-x"
    )
    told = upload(again, password=None)
    assert "site, is not there" in told.stderr


def test_a_renamed_folder_is_the_same_run_for_a_command(command, tmp_path):
    run = command()
    moved = run.rename(run.parent / "20270101-000000-renamed")
    assert upload(moved, password=None).returncode == 0
    assert {call["run"] for call in calls(tmp_path)} == {run.name}
    assert calls(tmp_path)[0]["key"].startswith(f"{run.name}/C2HQ0/00_sldo_vi_curves/")
    assert calls(tmp_path)[0]["folder"] == str(moved)


DAEMONS = {
    "of its group": "sleep 600 &",
    "in a session of its own": "setsid sleep 600 >/dev/null 2>&1 &",
    "that hears no SIGTERM": "(trap '' TERM; setsid sleep 600) &",
    "twice removed": "(setsid sh -c 'sleep 600 & sleep 600' &) &",
}


@pytest.mark.parametrize("how", DAEMONS)
def test_what_a_command_leaves_behind_is_ended_and_holds_nothing(template, tmp_path, how):
    script = tmp_path / "upload.sh"
    script.write_text(f"cat >> {tmp_path}/calls\n{DAEMONS[how]}\n")
    receiver = {"to": "command", "command": ["sh", str(script)], "timeout_s": 20.0}
    name = f"20260101-000000-{uuid.uuid4().hex}"  # it is in their environment, and in nobody else's
    run = pointed(template, tmp_path, receiver, name=name)
    told = upload(run, password=None)
    assert told.returncode == 0, told.stderr
    assert processes_with(run.name) == []
    assert len(calls(tmp_path)) == 5
    told = upload(run, password=None)
    assert (told.returncode, len(calls(tmp_path))) == (0, 5), told.stderr


def test_a_refusal_quotes_the_last_line_of_what_was_printed_and_says_where_the_rest_is(template, tmp_path):
    script = tmp_path / "upload.sh"
    script.write_text("echo first; echo 'no such \033[31mmodule'; echo; exit 4\n")
    receiver = {"to": "command", "command": ["sh", str(script)], "timeout_s": 20.0}
    run = pointed(template, tmp_path, receiver)
    told = upload(run, password=None)
    words = "refused: the command refuses it with exit code 4: 'no such \\e[31mmodule' (upload/command.log)"
    assert f"00_sldo_vi_curves  {words}" in told.stderr
    assert f"what was printed: runs/{run.name}/upload/command.log" in told.stderr
    told = calseq_(["upload", run, "--list"], cwd=tmp_path)
    assert "'no such \\e[31mmodule'" in told.stdout
    assert f"what was printed: runs/{run.name}/upload/command.log" in told.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_the_command_too(command, tmp_path, number):
    run = command("2=hang")
    process = start_upload(run)
    until(lambda: (tmp_path / "calls").exists() and len(calls(tmp_path)) == 2)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == -number, err
    assert processes_with(str(tmp_path / "receiver.py")) == []
    assert states(run)["02_IVCurve"] == "sending"
    assert upload(run, password=None).returncode == 0
    assert [call["again"] for call in calls(tmp_path)] == [False, False, True, False, False, False]


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_at_any_moment_loses_no_result_and_repeats_none_unsaid(command, tmp_path, seed):
    dice = random.Random(seed)
    run = command(*(f"{number}=slow" for number in range(1, 9)))
    for _ in range(4):
        process = start_upload(run)
        time.sleep(dice.uniform(0.2, 1.8))  # the moment is what is tried
        process.kill()
        process.communicate()
        until(lambda: processes_with(str(tmp_path / "receiver.py")) == [])
    told = upload(run, password=None)
    assert told.returncode == 0, told.stderr
    stored(tmp_path, run)
    keys = [call["key"] for call in calls(tmp_path)]
    for place, call in enumerate(calls(tmp_path)):
        # killed before the command began, it says so, too: nobody can know
        assert call["again"] or call["key"] not in keys[:place]
    assert list(dict.fromkeys(call["name"] for call in calls(tmp_path))) == NAMES


def test_while_a_command_of_a_killed_upload_lives_nobody_else_sends(command, tmp_path):
    run = command("1=hang")
    process = start_upload(run)
    until(lambda: (tmp_path / "calls").exists() and len(calls(tmp_path)) == 1)
    process.kill()
    process.communicate()
    (orphan,) = processes_with(str(tmp_path / "receiver.py"))
    told = upload(run, password=None)
    assert told.returncode == 3
    assert "another 'calseq upload' works on it" in told.stderr
    subprocess.run(["kill", "-9", str(orphan)], check=True)
    until(lambda: processes_with(str(tmp_path / "receiver.py")) == [])
    assert upload(run, password=None).returncode == 0


# A folder


@pytest.fixture
def outbox(template, tmp_path):
    place = tmp_path / "outbox"
    return place, pointed(template, tmp_path, {"to": "folder", "folder": str(place)})


def whole(bundle, run):
    """Prove that a bundle is whole: by sha256sum, by its manifest, and byte by byte."""
    checked = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=bundle, capture_output=True, text=True, timeout=30
    )
    assert checked.returncode == 0, checked.stderr
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert [result["name"] for result in manifest["results"]] == NAMES
    for name in NAMES:
        assert {path.name: path.read_bytes() for path in (bundle / name).iterdir()} == measured_files(
            run, name
        )


def test_a_folder_gets_one_whole_bundle(outbox):
    place, run = outbox
    told = upload(run, password=None)
    assert told.returncode == 0, told.stderr
    assert [path.name for path in place.iterdir()] == [f"{run.name}-C2HQ0"]
    whole(place / f"{run.name}-C2HQ0", run)
    assert upload(run, password=None).returncode == 0
    assert len(list(place.iterdir())) == 1
    assert states(run) == SENT


def test_a_bundle_that_was_put_in_place_before_calseq_was_killed_is_known(outbox):
    place, run = outbox
    assert upload(run, password=None).returncode == 0
    journal = run / "upload.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line for line in lines if b'"state":"sent"' not in line))
    before = sorted(path.stat().st_mtime_ns for path in place.rglob("*"))
    assert upload(run, password=None).returncode == 0
    assert sorted(path.stat().st_mtime_ns for path in place.rglob("*")) == before
    assert states(run) == SENT


def test_a_folder_that_cannot_be_written_is_told(outbox, tmp_path):
    place, run = outbox
    place.write_text("a file")
    told = upload(run, password=None)
    assert told.returncode == 5
    assert "cannot be written: file exists" in told.stderr
    place.unlink()
    assert upload(run, password=None).returncode == 0


def test_kill_9_at_any_moment_leaves_one_bundle_or_none(template, tmp_path):
    dice = random.Random(0)
    place = tmp_path / "outbox"
    runs = [
        pointed(
            template,
            tmp_path,
            {"to": "folder", "folder": str(place)},
            seed=seed,
            name=f"20260101-00000{seed}-copy",
        )
        for seed in range(6)
    ]
    for run in runs:
        for _ in range(3):
            process = start_upload(run)
            time.sleep(dice.uniform(0.25, 0.9))  # the moment is what is tried
            process.kill()
            process.communicate()
            for bundle in place.glob("2*"):
                whole(bundle, run.parent / bundle.name.removesuffix("-C2HQ0"))
        told = upload(run, password=None)
        assert told.returncode == 0, told.stderr
        whole(place / f"{run.name}-C2HQ0", run)
    assert sorted(path.name for path in place.iterdir()) == [f"{run.name}-C2HQ0" for run in runs]
    assert files_with(place, "canary") == []
