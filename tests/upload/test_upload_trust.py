"""A run folder that somebody else could write to: its plan is held against its record, and links in it lead nowhere."""

import json
import os
import shutil

import pytest
from upload_stand import calseq_, copied, entries, replan, states, upload

from calseq.problems.refused import Refused
from calseq.record.journal import with_checksum
from calseq.upload.queue import Queue, read_queue

STRANGE = {"to": "command", "command": ["sh", "-c", "touch $HOME/was-run"], "timeout_s": 5.0}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder in which a foreign command would leave its mark."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def altered(run, **changes):
    plan = json.loads((run / "plan.json").read_text())
    plan["upload"] |= changes
    (run / "plan.json").write_text(json.dumps(plan))


# The plan


@pytest.mark.parametrize("left", ["seal", "events", "run.json"])
def test_a_plan_that_was_changed_is_refused_by_whatever_still_vouches_for_it(run, panthera, home, left):
    altered(run, receiver=STRANGE)
    if left != "seal":
        (run / "SHA256SUMS").unlink()
    if left == "run.json":
        (run / "events.jsonl").write_bytes(b"")
        record = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(record | {"state": "running", "pid": 0}))
    told = upload(run, password=None)
    assert told.returncode == 3, told.stderr
    assert "CS460" in told.stderr
    assert "plan.json is not the plan that was run" in told.stderr
    assert "put the original back" in told.stderr
    assert not (home / "was-run").exists()
    assert not (run / "upload.jsonl").exists()
    assert panthera.requests == []


def test_a_plan_that_was_sealed_anew_is_refused_by_the_events(run, home):
    text = (run / "plan.json").read_text()
    journal = (run / "events.jsonl").read_bytes()
    plan = json.loads(text)
    plan["upload"]["receiver"] = STRANGE
    replan(run, text, json.dumps(plan))
    (run / "events.jsonl").write_bytes(journal)
    (run / "SHA256SUMS").unlink()
    told = upload(run, password=None)
    assert (told.returncode, "by events.jsonl" in told.stderr) == (3, True)
    assert not (home / "was-run").exists()


def test_another_plan_that_run_json_names_is_refused(run, home):
    altered(run, receiver=STRANGE)
    (run / "plan.json").rename(run / "plan.9.json")
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"plan": "plan.9.json"}))
    told = upload(run, password=None)
    assert (told.returncode, "plan.9.json is not the plan that was run" in told.stderr) == (3, True)
    assert not (home / "was-run").exists()


def test_a_plan_is_refused_also_where_something_is_queued_already(run, panthera, home):
    panthera.faults = ["", "false"]
    assert upload(run).returncode == 5
    count = len(panthera.requests)
    altered(run, receiver=STRANGE)
    assert upload(run).returncode == 3
    assert len(panthera.requests) == count
    assert not (home / "was-run").exists()


def test_a_queue_decides_nothing_about_where_results_go(run, panthera, home):
    panthera.faults = ["500", "500"]
    upload(run)
    lines = []
    for entry in entries(run):
        if entry["entry"] == "queued":
            entry["upload"]["receiver"] = STRANGE
        lines.append(with_checksum(json.dumps(entry, separators=(",", ":")).encode()[:-1]))
    (run / "upload.jsonl").write_bytes(b"".join(lines))
    told = upload(run)
    assert told.returncode == 0, told.stderr
    assert not (home / "was-run").exists()
    assert len(panthera.filled) == 1


@pytest.mark.parametrize(
    "url", ["http://panthera.example.org/x", "ftp://127.0.0.1/x", "http://127.0.0.1.example.org/x", "//[/x"]
)
def test_a_password_goes_nowhere_in_the_clear_even_if_the_plan_says_so(template, tmp_path, url):
    run = copied(template, tmp_path, url=url)
    told = upload(run)
    assert told.returncode == 5, told.stderr
    assert set(states(run).values()) == {"given-up"}
    assert "again in" not in told.stderr
    if url.startswith("http"):
        assert "is no address that begins with https://" in told.stderr


# Links, fifos and folders in the place of what calseq writes


@pytest.fixture
def foreign(tmp_path):
    """A folder of somebody else's."""
    place = tmp_path / "foreign"
    (place / "scratch").mkdir(parents=True)
    for name in ("scratch/thesis.tex", "felis.log", "command.log", "upload.jsonl"):
        (place / name).write_text("years of work")
    return place


def whole(foreign):
    return {str(path.relative_to(foreign)): path.read_text() for path in foreign.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("upload", "."),
        ("upload/scratch", "scratch"),
        ("upload/felis.log", "felis.log"),
        ("upload/command.log", "command.log"),
        ("upload.jsonl", "upload.jsonl"),
        ("upload.jsonl", "not-there"),
    ],
)
def test_a_link_in_the_place_of_something_of_calseqs_is_refused_and_leads_nowhere(
    run, panthera, foreign, name, target
):
    before = whole(foreign)
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).symlink_to(foreign / target)
    told = upload(run)
    assert told.returncode == 3, told.stderr
    kind = "folder" if name in ("upload", "upload/scratch") else "file"
    assert f"{name} is no {kind} but something else: take it away" in told.stderr
    assert whole(foreign) == before
    assert panthera.requests == []


@pytest.mark.parametrize("name", ["upload.jsonl", "upload/felis.log", "upload/scratch", "upload"])
def test_a_fifo_holds_nobody_up(run, panthera, name):
    (run / name).parent.mkdir(exist_ok=True)
    os.mkfifo(run / name)
    told = upload(run)
    assert (told.returncode, "but something else" in told.stderr) == (3, True), told.stderr
    told = calseq_(["status", run], cwd=run.parent.parent)
    assert told.returncode == 0, told.stderr
    told = calseq_(["upload", "--all", "--runs", run.parent], cwd=run.parent.parent)
    unknown = name == "upload.jsonl"  # whether something is to be sent; the others say nothing of a queue
    assert (told.returncode, "but something else" in told.stderr) == (5 if unknown else 0, unknown), (
        told.stderr
    )


def test_a_folder_that_is_swapped_for_a_link_while_it_is_held_is_not_followed(run, foreign):
    from calseq.upload.felis import sweep  # noqa: PLC0415

    before = whole(foreign)
    with Queue(run) as queue:
        (run / "upload" / "scratch").mkdir()
        (run / "upload").rename(run / "moved")
        (run / "upload").symlink_to(foreign)
        sweep(queue)
        os.close(queue.open_log("felis.log"))
    assert whole(foreign) == before
    assert not (run / "moved" / "scratch").exists()


def test_a_queue_that_is_a_folder_is_told(run):
    (run / "upload.jsonl").mkdir()
    with pytest.raises(Refused, match="is no file but something else"):
        read_queue(run)


# A folder that was copied or renamed


def test_a_copied_folder_is_the_same_run(template, tmp_path):
    out = tmp_path / "out"
    run = copied(template, tmp_path)
    text = (run / "plan.json").read_text()
    plan = json.loads(text)
    plan["upload"]["receiver"] = {"to": "folder", "folder": str(out)}
    replan(run, text, json.dumps(plan))
    again = shutil.copytree(run, run.parent / "20260102-000000-renamed")
    assert upload(run, password=None).returncode == 0
    assert upload(again, password=None).returncode == 0
    assert [path.name for path in out.iterdir()] == [f"{run.name}-C2HQ0"], "one run, one bundle"
    assert set(states(again).values()) == {"sent"}
