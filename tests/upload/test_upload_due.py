"""What is due, and under which name: nothing that was measured goes without a word, whatever became of files and records."""

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys

import pytest
from upload_stand import (
    CHECKOUT,
    NAMES,
    calseq_,
    entries,
    environment,
    pointed,
    states,
    upload,
    write_bench,
)

from calseq.model.destinations import FolderReceiver
from calseq.record.journal import with_checksum
from calseq.record.seal import seal
from calseq.upload import folder
from calseq.upload.batch import Batch
from calseq.upload.enqueue import enqueue, reckon
from calseq.upload.entries import Marked, State
from calseq.upload.ledger import Ledger
from calseq.upload.queue import Queue
from calseq.upload.results import Result, ResultFile

SENT = dict.fromkeys(NAMES, "sent")


@pytest.fixture
def outbox(tmp_path):
    return tmp_path / "outbox"


def boxed(template, tmp_path, **more):
    """Give a finished run that goes into the folder `outbox`."""
    return pointed(template, tmp_path, {"to": "folder", "folder": str(tmp_path / "outbox")}, **more)


def found(run, pattern):
    return sorted((run / "data").rglob(pattern))


# Files that are not what they were


def test_emptied_files_are_refused_and_what_comes_after_them_keeps_its_name(template, tmp_path, outbox):
    run = boxed(template, tmp_path)
    (alive,) = (path for path in found(run, "*_PixelAlive.root") if "/04-" in str(path))
    crosstalk = next(path for path in found(run, "*.root") if "/05-" in str(path))
    for path in (alive, crosstalk):
        path.write_bytes(b"")
    told = upload(run, password=None)
    assert told.returncode == 5, told.stderr
    refused = {"03_PixelAlive": "refused", "05_OpenBumpTest": "refused"}
    assert states(run) == {**SENT, **refused}
    assert f"{crosstalk.relative_to(run)} was changed after the run" in told.stderr
    (bundle,) = outbox.iterdir()
    assert sorted(path.name for path in bundle.iterdir() if path.is_dir()) == [NAMES[0], NAMES[1], NAMES[3]]


def test_a_file_that_an_archive_put_under_a_link_is_sent_and_another_one_under_it_is_not(
    template, tmp_path, outbox
):
    runs = [boxed(template, tmp_path, name=f"20260101-00000{number}-copy") for number in range(2)]
    for run, more in zip(runs, (b"", b"x"), strict=True):
        (curve,) = found(run, "IV*.csv")
        kept = tmp_path / f"{run.name}.csv"
        kept.write_bytes(curve.read_bytes() + more)
        curve.unlink()
        curve.symlink_to(kept)
    assert upload(runs[0], password=None).returncode == 0
    assert states(runs[0]) == SENT
    assert upload(runs[1], password=None).returncode == 5
    assert states(runs[1]) == {**SENT, "02_IVCurve": "refused"}


def test_a_file_that_was_empty_at_the_end_is_no_result(template, tmp_path):
    run = boxed(template, tmp_path)
    (alive,) = (path for path in found(run, "*_PixelAlive.root") if "/04-" in str(path))
    alive.write_bytes(b"")
    seal(run)
    assert upload(run, password=None).returncode == 0
    assert "PixelAlive" not in " ".join(states(run))


# Queues that cannot be read


def damaged(run, how):
    path = run / "upload.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)[:3]
    if how == "fifo":
        path.unlink()
        os.mkfifo(path)
    elif how == "newer":
        path.write_bytes(b"".join(lines) + with_checksum(b'{"seq":4,"at":"x","entry":"verified"'))
    else:
        path.write_bytes(lines[0] + lines[1].replace(b"sending", b"sendinf") + lines[2])


@pytest.mark.parametrize(
    ("how", "words"),
    [("bit", "damaged in line 2"), ("newer", "made by a newer calseq"), ("fifo", "is no file but something")],
)
def test_all_tells_of_a_queue_that_cannot_be_read_and_sends_the_others(template, tmp_path, how, words):
    runs = [
        boxed(template, tmp_path, seed=number, name=f"20260101-00000{number}-copy") for number in range(2)
    ]
    assert upload(runs[0], password=None).returncode == 0
    damaged(runs[0], how)
    with Queue(runs[1]) as queue:
        enqueue(queue, reckon(runs[1], Ledger()))
    words_ = ["upload", "--all", "--allow-simulated", "--runs", tmp_path / "runs"]
    told = calseq_(words_, cwd=tmp_path)
    assert (told.returncode, words in told.stderr) == (5, True), told.stderr
    assert states(runs[1]) == SENT


def as_another(arguments, cwd):
    """Run calseq as somebody whom the modes of files keep out."""
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    argv = [*drop, sys.executable, "-m", "calseq", *map(str, arguments)]
    return subprocess.run(
        argv, cwd=cwd, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


def test_what_another_user_keeps_to_himself_holds_nobody_up(template, tmp_path):
    runs = [
        boxed(template, tmp_path, seed=number, name=f"20260101-00000{number}-copy") for number in range(3)
    ]
    assert [upload(run, password=None).returncode for run in runs[:2]] == [0, 0]
    with Queue(runs[2]) as queue:
        enqueue(queue, reckon(runs[2], Ledger()))
    (runs[0] / "upload").chmod(0)
    (runs[1] / "upload.jsonl").chmod(0)
    try:
        listed = as_another(["upload", runs[0], "--list", "--allow-simulated"], tmp_path)
        assert (listed.returncode, "all 5 sent" in listed.stdout) == (0, True), listed
        listed = as_another(["upload", runs[1], "--list", "--allow-simulated"], tmp_path)
        assert (listed.returncode, listed.stdout) == (3, ""), listed
        assert "upload.jsonl cannot be read: permission denied" in listed.stderr
        words = ["upload", "--all", "--allow-simulated", "--runs", tmp_path / "runs"]
        told = as_another(words, tmp_path)
        assert told.returncode == 5, told.stderr
        assert runs[0].name not in told.stderr, "all of it is sent"
        assert f"{runs[1].name}: " in told.stderr
        assert states(runs[2]) == SENT
    finally:
        (runs[0] / "upload").chmod(0o700)


# Keys


def test_a_key_is_of_a_result_and_of_its_content():
    def key(run="r", module="M", name="00_A", path="data/01/a.root", sha256="d" * 64):
        return Result(module, name, "noise", "s", (ResultFile(path, sha256),)).key(run)

    others = [
        key(run="q"),
        key(module="N"),
        key(name="01_A"),
        key(path="data/01.2/a.root"),
        key(sha256="e" * 64),
    ]
    assert key() == key()
    assert len({key(), *others}) == 6


def test_a_copy_that_measured_something_else_has_that_delivered_too(template, tmp_path, outbox):
    run = boxed(template, tmp_path)
    again = shutil.copytree(run, run.parent / "20260102-000000-copied")
    (alive,) = (path for path in found(again, "*_PixelAlive.root") if "/04-" in str(path))
    alive.write_bytes(b"measured once more")
    seal(again)
    assert upload(run, password=None).returncode == 0
    assert upload(again, password=None).returncode == 0
    assert states(again) == SENT
    first, second = sorted(outbox.iterdir())
    assert (first.name, second.name) == (f"{run.name}-C2HQ0", f"{run.name}-C2HQ0.2")
    assert (second / "03_PixelAlive" / alive.name).read_bytes() == b"measured once more"
    assert [path.name for path in second.iterdir() if path.is_dir()] == ["03_PixelAlive"]


# Plans


def test_what_passed_is_sent_though_a_resume_was_killed_before_it_began(template, tmp_path):
    run = boxed(template, tmp_path)
    plan = (run / "plan.json").read_text().replace("Night shift", "Night shift, changed")
    (run / "plan.2.json").write_text(plan)
    digest = hashlib.sha256(plan.encode()).hexdigest()
    record = json.loads((run / "run.json").read_text())
    torn = {"state": "running", "pid": 0, "plan": "plan.2.json", "digest": digest, "resumed": ["2026-01-02"]}
    (run / "run.json").write_text(json.dumps(record | torn))
    assert calseq_(["upload", run, "--list"], cwd=tmp_path).returncode == 5
    told = upload(run, password=None)
    assert told.returncode == 0, told.stderr
    assert states(run) == SENT
    assert entries(run)[0]["title"] == "Night shift"


def test_a_run_from_before_there_were_uploads_says_that_it_cannot_be_sent(tmp_path, outbox):
    run = tmp_path / "runs" / "20260101-000000-old"
    shutil.copytree(CHECKOUT / "tests" / "record" / "samples" / "format-1-passed", run)
    (run / "data" / "03-iv_curve").mkdir(parents=True)
    (run / "data" / "03-iv_curve" / "IV_C2HQ0.csv").write_text("1,2")
    bench = write_bench(tmp_path / "site", {"to": "folder", "folder": str(outbox)})
    told = upload(run, "--bench", bench, password=None)
    assert "the run cannot be sent: its plan was made before uploads were known" in told.stderr
    assert told.returncode == 5, told.stderr


# Records and folders that cannot be written


def test_a_full_outbox_keeps_nothing_and_nothing_was_perhaps_sent(template, tmp_path, outbox):
    run = boxed(template, tmp_path)
    next(iter(found(run, "IV*.csv"))).write_bytes(b"x" * (1 << 20))
    seal(run)
    limit = (1 << 19, 1 << 19)
    told = calseq_(
        ["upload", run, "--allow-simulated"],
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )
    assert (told.returncode, "cannot be written: file too large" in told.stderr) == (5, True), told.stderr
    assert list(outbox.iterdir()) == []
    assert "perhaps" not in calseq_(["upload", run, "--list"], cwd=tmp_path).stdout
    assert not any(entry.get("maybe") for entry in entries(run))
    assert upload(run, password=None).returncode == 0
    assert states(run) == SENT


def test_a_record_that_cannot_be_kept_is_no_fault_of_the_outbox(template, tmp_path, outbox):
    run = boxed(template, tmp_path)

    def tell(entry):
        if isinstance(entry, Marked) and entry.state is State.SENT:
            raise OSError(28, "no space left on device")

    with Queue(run) as queue:
        enqueue(queue, reckon(run, queue.ledger))
        batch = Batch(queue, "C2HQ0", tell)
        with pytest.raises(OSError, match="no space left"):
            folder.send(batch, FolderReceiver(str(outbox)))
        assert not any(item.state is State.GIVEN_UP for item in queue.ledger.items)


def test_of_a_record_that_can_be_kept_no_more_it_is_said_that_no_more_is_sent(template, tmp_path):
    receiver = {"to": "command", "command": ["sh", "-c", "cat >/dev/null"], "timeout_s": 20.0}
    first, second = (
        pointed(template, tmp_path, receiver, name=f"20260101-00000{number}-copy") for number in range(2)
    )
    assert upload(first, password=None).returncode == 0
    lines = (first / "upload.jsonl").read_bytes().splitlines(keepends=True)
    size = len(b"".join(lines[:4])) + 20
    told = calseq_(
        ["upload", second, "--allow-simulated"],
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    assert told.returncode == 5
    assert "the record of the upload cannot be kept, and nothing more is sent: " in told.stderr
    assert states(copied_record(second))["00_sldo_vi_curves"] == "sent"


def copied_record(run):
    """Cut off the line that is torn."""
    path = run / "upload.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"\n") + 1])
    return run
