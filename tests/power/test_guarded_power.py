"""`calseq power` waits for nothing that others can put in its way, and says what opening the instruments does."""

import os
import pwd
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from guarded_runs import end_all, until
from icicle_stand import CURVE, IcicleStand

from calseq.problems.refused import Refused
from calseq.system.locks import BenchLock, holders_now, lock_folder

ME = pwd.getpwuid(os.getuid()).pw_name
QUICK_S = 20.0
"""A command of calseq on a busy machine; a fifo would hold it for ever."""


@pytest.fixture
def stand(tmp_path):
    stand = IcicleStand(tmp_path, sys.executable)
    yield stand
    stand.end_guards()
    end_all(stand)


def fifo(path):
    os.mkfifo(path)


def link(path):
    path.symlink_to("/dev/null")


def folder(path):
    path.mkdir()


def second_name(path):
    other = path.with_name(f"{path.name}.other")
    other.write_text("somebody's")
    os.link(other, path)


IN_ITS_PLACE = {
    fifo: "is no lock but a fifo",
    link: "is no lock but a link",
    folder: "is no lock but a folder",
    second_name: "is no lock but a second name of another file",
}


def lock_of(resource, place):
    """Path of a resource's lock, which is not there."""
    before = set(place.glob("calseq-*.lock"))
    lock = BenchLock([resource], place)
    (path,) = set(place.glob("calseq-*.lock")) - before
    lock.release()
    assert not path.exists(), "what no run began on leaves no lock"
    return path


@pytest.fixture
def occupied(stand, request):
    """The lock of the bench's HV supply, with something else in its place."""
    path = lock_of(f"TCPIP::{stand.address}-hv_1::9221::SOCKET", lock_folder())
    request.param(path)
    yield path, IN_ITS_PLACE[request.param]
    with suppress(FileNotFoundError):
        path.with_name(f"{path.name}.other").unlink()
    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


@pytest.mark.parametrize("occupied", IN_ITS_PLACE, indirect=True)
def test_what_is_no_lock_is_refused_at_once_with_its_owner_and_what_to_do(stand, occupied):
    path, what = occupied
    for words in (["power", "status"], ["power", "off"], ["execute", stand.write(CURVE)]):
        code, _, told = stand.calseq(*words, "--bench", stand.bench, timeout=QUICK_S)
        assert code == 3, told
        told = " ".join(told.split())
        assert "CS413" in told
        assert f"{path}, where the lock of an instrument belongs, {what}; it belongs to {ME}" in told
        assert f"have {ME}, or root, look at it and remove it: rm {path}" in told
    assert stand.record() == [], "no instrument was opened"


def test_what_a_second_name_leads_to_is_not_written(tmp_path):
    path = lock_of("TCPIP::x::SOCKET", tmp_path)
    second_name(path)
    with pytest.raises(Refused):
        BenchLock(["TCPIP::x::SOCKET"], tmp_path)
    assert path.read_text() == "somebody's"


def test_a_fifo_holds_nobody_up_and_nobody_is_its_holder(tmp_path):
    path = lock_of("TCPIP::x::SOCKET", tmp_path)
    assert holders_now(["TCPIP::x::SOCKET"], tmp_path) == []
    os.mkfifo(path)
    began = time.monotonic()
    for look in (holders_now, BenchLock):
        with pytest.raises(Refused, match="is no lock but a fifo"):
            look(["TCPIP::x::SOCKET"], tmp_path)
    assert time.monotonic() - began < QUICK_S


def test_status_says_what_opening_does_before_it_opens(stand):
    code, out, told = stand.calseq("power", "status", "--bench", stand.bench)
    assert code == 0
    assert told.startswith("opening the instruments: icicle sets compliance and range of HV")
    assert out.startswith("bench icicle: HV reads off")


def test_off_needs_no_disk_for_its_record(stand, tmp_path, monkeypatch):
    """The rails come first: the runs' folder may be full, gone or on a disk that is away."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    stand.switch_on_by_hand()
    stand.runs.write_text("a file where the runs belong")
    code, out, told = stand.calseq("power", "off", "--bench", stand.bench)
    assert (code, "confirmed" in out) == (0, True), told
    assert f"cannot be made (not a directory): the record goes to {tmp_path}/calseq-power-off-" in told
    stand.prove_order()


def test_ctrl_c_before_off_is_confirmed_is_4_and_the_guard_goes_on(tmp_path):
    stand = IcicleStand(tmp_path, sys.executable, speed=5.0)
    stand.switch_on_by_hand()
    argv = [sys.executable, "-m", "calseq", "power", "off", "--bench", str(stand.bench)]
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=stand.folder
    )
    until(lambda: ramping(stand))
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 4, told
    assert "HARDWARE STATE UNKNOWN" in told
    assert "stopped by Ctrl-C before off was confirmed; the guard goes on by itself" in told
    until(lambda: stand.on_now() == [])
    stand.prove_order()
    stand.end_guards()


def ramping(stand):
    return any(
        "ramp" in path.read_text() or "moving" in path.read_text()
        for path in stand.runs.glob("*-power-off/guard.jsonl")
    )


def test_a_lock_that_is_held_without_a_word_is_somebodys(tmp_path):
    lock = BenchLock(["TCPIP::x::SOCKET"], tmp_path)
    try:
        with pytest.raises(
            Refused, match="is held by another run, whose lock file was deleted or cannot be read"
        ):
            holders_now(["TCPIP::x::SOCKET"], tmp_path)
    finally:
        lock.release()
    assert holders_now(["TCPIP::x::SOCKET"], tmp_path) == []
