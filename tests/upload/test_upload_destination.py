"""Where results go, where they are, and by whose word: a bench file that was corrected, and a receiver that changed."""

import json
import re
import shlex
import sys

import pytest
from upload_stand import (
    FELIS,
    NAMES,
    calseq_,
    entries,
    measured,
    pointed,
    states,
    upload,
    write_bench,
)

NOWHERE = "/proc/x/outbox"
RECEIVER = """
import json, pathlib, sys, time
said = json.loads(sys.stdin.read())
with open(sys.argv[1], "a") as calls:
    calls.write(said["name"] + chr(10))
what = dict(pair.split("=") for pair in sys.argv[2:]).get(said["name"], "0")
time.sleep(600 if what == "hang" else 0)
sys.exit(0 if what == "hang" else int(what))
"""


def folder_of(place):
    return {"to": "folder", "folder": str(place)}


@pytest.fixture
def command(tmp_path):
    """A command that writes into a file of its own which results it got: `command("a", "02_IVCurve=3")`."""
    script = tmp_path / "receiver.py"
    script.write_text(RECEIVER)

    def made(name, *what):
        return [sys.executable, str(script), str(tmp_path / name), *what]

    return made


def looked(run, *arguments):
    return calseq_(["upload", run, "--list", *arguments], cwd=run.parent.parent)


# A bench file that was corrected


def test_what_the_bench_says_by_now_is_told_and_followed_only_if_somebody_names_it(template, tmp_path):
    run = pointed(template, tmp_path, folder_of(NOWHERE))
    write_bench(tmp_path, folder_of(tmp_path / "outbox"))
    told = upload(run, password=None)
    assert told.returncode == 5
    first, second = told.stderr.splitlines()[:2]
    assert first.endswith(f"for folder {NOWHERE}, C2HQ0 (as bench.yaml said when it was run)")
    assert second.startswith(f"  bench.yaml says otherwise now: folder {tmp_path / 'outbox'}; calseq upload ")
    assert second in looked(run).stdout.splitlines()
    assert not (tmp_path / "outbox").exists()
    typed = shlex.split(second.partition("; calseq ")[2].removesuffix(" goes by that"))
    assert typed[-2:] == ["--bench", "bench.yaml"]
    told = calseq_(typed, cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "outbox" / f"{run.name}-C2HQ0" / "manifest.json").exists()
    assert told.stderr.splitlines()[0].endswith("(bench.yaml says so)")


def test_nothing_is_said_of_a_bench_file_that_says_the_same_or_is_gone(template, tmp_path):
    run = pointed(template, tmp_path, folder_of(NOWHERE))
    assert "now" not in looked(run).stdout
    write_bench(tmp_path, folder_of(NOWHERE) | {"retry_for": "1s", "at_end": True})
    assert "now" not in looked(run).stdout


def test_another_key_is_told_as_well_and_so_is_a_bench_that_says_nothing_any_more(template, tmp_path):
    receiver = {"to": "command", "command": ["./send"], "timeout_s": 3.0}
    run = pointed(template, tmp_path, receiver)
    write_bench(tmp_path, {"to": "command", "command": ["./send"], "timeout": "10m", "retry_for": "1s"})
    assert "  bench.yaml says otherwise now, in 'timeout:'; calseq upload runs/" in looked(run).stdout
    write_bench(tmp_path, None)
    assert "  bench.yaml does not say any more where results go\n" in looked(run).stdout
    (tmp_path / "bench.yaml").write_text("calseq-bench: 1\n")
    line = "  bench.yaml cannot be understood now: calseq validate bench.yaml\n"
    assert line in looked(run).stdout


def test_no_way_is_told_that_would_be_refused(run, tmp_path, panthera):
    panthera.faults = ["", "", "", "false"]
    text = (run / "plan.json").read_text()
    bench = json.loads(text)["upload"]["bench"]
    told = upload(run)
    assert told.returncode == 5
    (line,) = [line for line in told.stderr.splitlines() if " now" in line]
    assert f"--bench {bench} goes by that" in line, "the bench of the template names another address"
    (line,) = [line for line in looked(run).stdout.splitlines() if " now" in line]
    assert "but 2 of its results went to felis at" in line
    assert "--bench" not in line


def test_what_has_arrived_is_told_where_it_is_whatever_a_bench_says(template, tmp_path):
    run = pointed(template, tmp_path, folder_of(NOWHERE))
    assert upload(run, password=None).returncode == 5
    bench = write_bench(tmp_path / "other", folder_of(tmp_path / "outbox"))
    assert upload(run, "--bench", bench, password=None).returncode == 0
    before = (run / "upload.jsonl").read_bytes()
    told = calseq_(["upload", run], cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert told.stderr.splitlines() == [
        f"{run.name}: 5 SIMULATED results, C2HQ0, sent to folder {tmp_path / 'outbox'}",
        "  all 5 sent",
    ]
    assert (run / "upload.jsonl").read_bytes() == before, "where it did not go is not recorded"
    told = looked(run)
    assert told.returncode == 0
    assert NOWHERE not in told.stdout
    assert f"  {', '.join(NAMES)}  sent to folder {tmp_path / 'outbox'}\n" in told.stdout


def test_results_at_two_places_are_told_each_with_its_place_and_none_is_sent_twice(
    template, tmp_path, command
):
    first = {"to": "command", "command": command("a", "02_IVCurve=3"), "timeout_s": 20.0}
    run = pointed(template, tmp_path, first)
    assert upload(run, password=None).returncode == 5
    bench = write_bench(tmp_path / "other", {"to": "command", "command": command("b", "04=3")})
    told = looked(run, "--bench", bench)
    assert f", 1 sent to command {shlex.join(first['command'])} (" in told.stdout.splitlines()[0]
    assert upload(run, "--bench", bench, password=None).returncode == 0
    assert (tmp_path / "a").read_text().split() == NAMES[:2]
    assert (tmp_path / "b").read_text().split() == NAMES[1:]
    told = looked(run).stdout
    assert f"  {NAMES[0]}  sent to command {shlex.join(first['command'])}\n" in told
    assert f"  {', '.join(NAMES[1:])}  sent to command {shlex.join(command('b', '04=3'))}\n" in told
    ways = [each["upload"]["receiver"]["command"] for each in entries(run) if each["entry"] == "queued"]
    assert ways == [first["command"], command("b", "04=3")]


@pytest.mark.parametrize(("word", "expected"), [("--again", NAMES), ("--arrived", NAMES[1:])])
def test_what_may_have_arrived_elsewhere_goes_nowhere_else_without_a_persons_word(
    template, tmp_path, command, word, expected
):
    receiver = {"to": "command", "command": command("a", f"{NAMES[0]}=hang"), "timeout_s": 0.5}
    run = pointed(template, tmp_path, receiver)
    assert upload(run, password=None).returncode == 5
    bench = write_bench(tmp_path / "other", {"to": "command", "command": command("b")})
    told = upload(run, "--bench", bench, password=None)
    assert told.returncode == 3
    assert "1 of its results may have arrived elsewhere, at command " in told.stderr
    assert "with --arrived if they have, with --again if not" in told.stderr
    assert not (tmp_path / "b").exists()
    assert f"  {NAMES[0]}  perhaps sent to command " in looked(run).stdout
    told = upload(run, "--bench", bench, word, password=None)
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "b").read_text().split() == expected
    assert set(states(run).values()) == {"sent"}
    where = f"  {NAMES[0]}  sent to command {shlex.join(receiver['command'])}\n"
    assert (where in looked(run).stdout) is (word == "--arrived")


def test_a_command_of_that_name_in_another_folder_is_another_one(template, tmp_path):
    receiver = {"to": "command", "command": ["sh", "send"], "timeout_s": 20.0}
    run = pointed(template, tmp_path, receiver)
    (tmp_path / "send").write_text("kill -9 $$\n")
    assert upload(run, password=None).returncode == 5
    bench = write_bench(tmp_path / "other", {"to": "command", "command": ["sh", "send"]})
    (tmp_path / "other" / "send").write_text("exit 0\n")
    told = upload(run, "--bench", bench, password=None)
    assert (told.returncode, "may have arrived elsewhere" in told.stderr) == (3, True)


# A folder that cannot be made


def test_a_folder_that_cannot_be_made_has_got_nothing_and_that_is_said(template, tmp_path):
    (tmp_path / "file").write_text("")
    run = pointed(template, tmp_path, folder_of(tmp_path / "file" / "outbox"))
    told = upload(run, password=None)
    assert told.returncode == 5
    assert "5 results not sent: " in told.stderr
    assert "perhaps" not in told.stderr
    assert [entry["maybe"] for entry in entries(run) if entry["entry"] == "marked"] == [False, False]
    told = looked(run).stdout
    assert re.findall(r"^\d\d_\S+ .*\d  (\w+ ?\w*)$", told, re.MULTILINE) == ["not sent"] * 5


def test_a_bundle_that_could_not_be_put_in_place_may_be_there(template, tmp_path):
    outbox = tmp_path / "outbox"
    run = pointed(template, tmp_path, folder_of(outbox))
    outbox.mkdir()
    (outbox / f"{run.name}-C2HQ0").symlink_to(tmp_path / "nowhere")
    told = upload(run, password=None)
    assert (told.returncode, "5 results perhaps sent: " in told.stderr) == (5, True)
    (outbox / f"{run.name}-C2HQ0").unlink()
    assert upload(run, password=None).returncode == 0
    assert [path.name for path in outbox.iterdir()] == [f"{run.name}-C2HQ0"]


@pytest.mark.parametrize(
    ("place", "why"),
    [("file/a/b", "file is no folder"), (NOWHERE, "/proc "), ("out/a", ""), ("out", ""), ("there", "")],
)
def test_a_folder_that_cannot_be_made_is_a_warning_before_the_night(tmp_path, place, why):
    write_bench(tmp_path, folder_of(place))
    (tmp_path / "file").write_text("")
    (tmp_path / "there").mkdir()
    told = calseq_(["validate", "bench.yaml"], cwd=tmp_path)
    assert told.returncode == 0, "nothing is lost by it"
    assert ("CS462" in told.stdout) is bool(why), told.stdout
    assert why in told.stdout
    assert not (tmp_path / "out").exists(), "nothing is made to find out"


# Runs that are simulated, and all runs


def test_a_simulated_run_is_not_queued_before_it_is(template, tmp_path):
    run = pointed(template, tmp_path, folder_of(NOWHERE))
    assert "not queued" in looked(run).stdout
    assert upload(run, password=None).returncode == 5
    assert "not queued" not in looked(run).stdout


def test_a_simulated_run_of_which_something_is_left_is_refused_still(template, tmp_path):
    run = pointed(template, tmp_path, folder_of(NOWHERE))
    assert upload(run, password=None).returncode == 5
    assert calseq_(["upload", run], cwd=tmp_path).returncode == 3


def test_a_look_at_all_lists_every_run_that_has_a_queue_with_how_it_stands(template, tmp_path):
    words = ["upload", "--list", "--all", "--runs", tmp_path / "runs"]
    (tmp_path / "runs").mkdir()
    told = calseq_(words, cwd=tmp_path)
    assert (told.returncode, "nothing was queued in" in told.stderr) == (0, True)
    outbox = tmp_path / "outbox"
    sent, left, unqueued = (
        pointed(template, tmp_path, folder_of(place), name=f"20260101-00000{number}-copy")
        for number, place in enumerate([outbox, NOWHERE, outbox])
    )
    assert upload(sent, password=None).returncode == 0
    told = calseq_(words, cwd=tmp_path)
    assert told.returncode == 0
    assert told.stdout == f"{sent.name}: 5 SIMULATED results, C2HQ0, sent to folder {outbox}\n"
    assert upload(left, password=None).returncode == 5
    told = calseq_(words, cwd=tmp_path)
    assert told.returncode == 5
    assert told.stdout.splitlines()[0].startswith(sent.name)
    assert told.stdout.splitlines()[1].startswith(f"{left.name}: 5 SIMULATED results for folder {NOWHERE}")
    assert unqueued.name not in told.stdout
    told = calseq_(["upload", "--all", "--allow-simulated", "--runs", tmp_path / "runs"], cwd=tmp_path)
    assert sent.name not in told.stderr, "to send, they are passed over as before"


# What a bench file says wrongly


@pytest.mark.parametrize(
    ("command", "listed"),
    [
        ("./send --lab x", "[./send, --lab, x]"),
        (["./send --lab x"], "[./send, --lab, x]"),
        ("./send --lab 'a, b' 1 no", '[./send, --lab, "a, b", "1", "no"]'),
    ],
)
def test_a_command_line_in_one_text_is_shown_as_the_list_that_was_meant(tmp_path, command, listed):
    write_bench(tmp_path, {"to": "command", "command": command})
    told = calseq_(["validate", "bench.yaml"], cwd=tmp_path)
    assert told.returncode == 1
    assert f"write {listed}" in told.stdout


def test_a_command_line_in_one_text_is_explained_when_it_is_to_be_started(tmp_path):
    run = measured(tmp_path / "x", {"to": "command", "command": "./send --lab x"}, steps=["sldo_vi_curves"])
    told = upload(run, password=None)
    assert told.returncode == 5
    assert "send --lab x: with arguments it is a list, command: [./send, --lab, x]" in told.stderr


@pytest.mark.parametrize("key", ["password", "passwd", "userpass"])
def test_who_writes_a_password_hears_where_it_goes(tmp_path, key):
    write_bench(tmp_path, {**FELIS, key: "geheim"})
    told = calseq_(["validate", "bench.yaml"], cwd=tmp_path)
    (line,) = [line for line in told.stdout.splitlines() if "CS204" in line]
    for way in ("on the terminal", "keyring", "--password-fd", "docs/upload.md"):
        assert way in line
    assert "folder" not in line


def test_a_command_that_takes_too_long_is_told_with_what_gives_it_more(template, tmp_path, command):
    receiver = {"to": "command", "command": command("a", f"{NAMES[0]}=hang"), "timeout_s": 0.5}
    run = pointed(template, tmp_path, receiver)
    told = upload(run, password=None)
    assert told.returncode == 5
    assert "raise 'timeout:' in the bench file and name that with --bench" in told.stderr
    more = {"to": "command", "command": receiver["command"], "timeout": "1m", "retry_for": "1s"}
    write_bench(tmp_path, more)
    assert "says otherwise now, in 'timeout:'" in looked(run).stdout
    script = tmp_path / "receiver.py"
    script.write_text(script.read_text().replace("600", "1"))
    told = upload(run, "--bench", tmp_path / "bench.yaml", password=None)
    assert told.returncode == 0, "the same command with more time is no other place"
