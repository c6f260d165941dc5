"""Whatever lies in the place of a file of a run folder: nobody is held up by it, and nothing is read through it."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from run_children import Nursery

from calseq.measurement.curves import IvCurve
from calseq.measurement.witnesses import Breakdowns, read_witnesses
from calseq.model.plan import Output, Step
from calseq.model.rails import BOTH_OFF, StepType
from calseq.record.run_folder import replace_file
from calseq.sequence.catalog import builtin
from calseq.system.files import open_regular, read_end, read_regular, read_whole

FILES = ("events.jsonl", "guard.jsonl", "plan.json", "run.json", "SHA256SUMS", "steps/01-iv_curve/log.txt")
COMMANDS = (
    ("report", "{run}"),
    ("status", "{run}"),
    ("logs", "{run}", "1"),
    ("runs",),
    ("runs", "verify", "{run}"),
    ("compare", "{run}"),
    ("execute", "--resume", "{run}", "--dry-run"),
)
PATIENCE_S = 30.0
A_CURVE = Step(1, "iv_curve", "iv_curve", StepType.IVCURVE, "", (), BOTH_OFF, BOTH_OFF, (), ())


def calseq(place, *words):
    return subprocess.run(
        [sys.executable, "-m", "calseq", *words],
        cwd=place, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def fifo(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def link(path):
    path.symlink_to("/dev/zero")


def sock(path):
    with socket.socket(socket.AF_UNIX) as opened:
        os.chdir(path.parent)
        opened.bind(path.name)


KINDS = (fifo, folder, link, sock)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_not_read(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    kind(tmp_path / "x")
    for read in (open_regular, lambda path: read_whole(path, 10), lambda path: read_end(path, 10)):
        with pytest.raises(OSError, match="it is no regular file"):
            read(tmp_path / "x")
    assert read_regular(tmp_path / "x", 10) is None


def test_a_missing_file_is_missing_and_a_large_one_is_large(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_whole(tmp_path / "x", 10)
    with pytest.raises(FileNotFoundError):
        read_whole(Path(f"{tmp_path}/a\0b"), 10)
    (tmp_path / "x").write_bytes(b"0123456789")
    assert read_whole(tmp_path / "x", 10) == b"0123456789"
    assert read_end(tmp_path / "x", 3) == b"789"
    assert read_regular(tmp_path / "x", 9) is None
    (tmp_path / "link").symlink_to(tmp_path / "x")
    assert read_regular(tmp_path / "link", 10) is None
    assert read_whole(tmp_path / "link", 10, follow=True) == b"0123456789"


def test_a_breakdowns_file_that_is_none_proves_nothing_and_holds_up_nobody(tmp_path):
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / "data" / "breakdowns.json")
    assert read_witnesses(tmp_path, "data", A_CURVE, ()).breakdowns == Breakdowns(b"")


def test_a_name_that_is_no_utf8_is_read_and_has_a_digest(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / os.fsdecode(b"IV_\xff.csv")).write_text("Voltage (V),Current (A)\n0,0\n")
    step = replace(A_CURVE, curves=builtin().calibrations["iv_curve"].curves)
    left = read_witnesses(tmp_path, "data", step, ())
    assert len(left.curves_sha256) == 64
    assert isinstance(left.curves[0], IvCurve)


def test_an_output_whose_name_is_no_utf8_is_named_and_not_recorded(tmp_path):
    nursery = Nursery(tmp_path)
    attempt = nursery.attempt(nursery.step(("true",)))
    for name in (b"IV.csv", b"IV_\xff.csv"):
        (tmp_path / attempt.directory / os.fsdecode(name)).write_text("x")
    assert attempt.outputs((Output("*.csv"),)) == (
        (f"{attempt.directory}/IV.csv",),
        "the name of 'IV_\\udcff.csv' is not UTF-8; rename it",
    )
    attempt.finish()


def test_of_more_files_than_are_looked_at_one_may_be_a_curve(tmp_path):
    (tmp_path / "data").mkdir()
    for number in range(10_001):
        (tmp_path / "data" / f"{number}.txt").touch()
    (found,) = read_witnesses(tmp_path, "data", A_CURVE, ()).curves
    assert (found.reason, found.foreign) == ("more than 10,000 files, not all of them looked at", False)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    place = tmp_path_factory.mktemp("measured")
    ran = calseq(place, "execute", "sensor_iv", "--simulate", "--speed", "5000", "--no-report")
    assert ran.returncode == 0, ran.stderr
    (found,) = (place / "runs").iterdir()
    return found


@pytest.mark.parametrize("name", FILES)
def test_no_command_hangs_at_a_fifo_in_a_run_folder(measured, tmp_path, name):
    run = tmp_path / "runs" / measured.name
    shutil.copytree(measured, run)
    (run / name).unlink()
    os.mkfifo(run / name)
    for words in COMMANDS:
        ran = calseq(tmp_path, *(word.format(run=run) for word in words))
        assert "Traceback" not in ran.stderr, (words, ran.stderr)
        assert ran.returncode != 70, (words, ran.stderr)


def test_a_link_in_the_place_of_a_draft_leads_nowhere(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "run.json.new").symlink_to(victim)
    replace_file(tmp_path / "run.json", b"new")
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / "run.json").read_bytes() == b"new"
    assert not (tmp_path / "run.json").is_symlink()


def test_a_fifo_in_the_place_of_a_draft_holds_up_nobody(tmp_path):
    os.mkfifo(tmp_path / "run.json.new")
    replace_file(tmp_path / "run.json", b"new")
    assert (tmp_path / "run.json").read_bytes() == b"new"
