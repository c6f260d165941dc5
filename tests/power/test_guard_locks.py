"""The guard's end stands in the locks that it holds: who comes later needs no folder of a run to know it."""

import os
import subprocess
import sys

import pytest
from guard_bench import Icicle, Simulated, interpreters, until

from calseq.problems.refused import Refused
from calseq.system.locks import BenchLock, Ended

BEGAN = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def held(tmp_path):
    """The locks of two instruments, claimed for a run whose folder is that of the test."""
    lock = BenchLock(["LV", "HV"], tmp_path)
    lock.claim(run="r", user="ann", pid=1, since=BEGAN, folder=str(tmp_path))
    yield lock
    lock.release()


def said(tmp_path):
    """Give what the locks say to who comes next; their file is not removed by looking."""
    lock = BenchLock(["LV", "HV"], tmp_path)
    try:
        assert lock.strange == []
        return {(holder.run, holder.user, holder.folder, holder.ended) for holder in lock.before.values()}
    finally:
        lock.release()


def guarded(start, bench, held, **fields):
    guard = start(bench, keep=held.descriptors, locks=held.files, **fields)
    guard.move("lv-on")
    held.release()  # as the death of calseq does
    return guard


@pytest.mark.parametrize("python", interpreters().values(), ids=interpreters().keys())
def test_a_confirmed_end_is_in_the_locks(tmp_path, start, held, python):
    bench = Icicle(tmp_path)
    guard = guarded(start, bench, held, python=python)
    with pytest.raises(Refused, match="is held by run r of ann"):
        BenchLock(["HV"], tmp_path)
    guard.leave()
    assert guard.ended() == 0
    assert said(tmp_path) == {("r", "ann", str(tmp_path), Ended.SAFE)}


def test_an_end_that_is_not_confirmed_is_unknown_until_a_later_try_confirms_it(tmp_path, start, held):
    bench = Icicle(tmp_path)
    guard = guarded(start, bench, held, unknown={"for_s": 60, "every_s": 0.1})
    bench.fail(sticks_on=["lv_1"])
    guard.leave()
    until(lambda: guard.noted("tried-again"))
    texts = [path.read_text() for path in tmp_path.glob("calseq-*.lock")]
    assert ['"unknown"' in text for text in texts] == [True, True]
    bench.fail()
    assert guard.ended() == 0
    assert said(tmp_path) == {("r", "ann", str(tmp_path), Ended.SAFE)}


def test_calseq_does_not_write_safe_over_what_the_guard_could_not_confirm(tmp_path, start, held):
    bench = Icicle(tmp_path)
    guard = start(bench, keep=held.descriptors, locks=held.files)
    guard.move("lv-on")
    bench.fail(sticks_on=["lv_1"])
    guard.leave()
    assert guard.ended() == 4
    held.conclude(Ended.SAFE)
    held.release()
    assert said(tmp_path) == {("r", "ann", str(tmp_path), Ended.UNKNOWN)}


def test_a_guard_whose_run_has_not_claimed_the_locks_writes_its_own_folder(tmp_path, start):
    lock = BenchLock(["LV", "HV"], tmp_path)
    lock.claim(run="before", user="ann", pid=1, since=BEGAN, folder="/archive/before")
    lock.conclude(Ended.SAFE, keep=True)
    bench = Icicle(tmp_path)
    guard = guarded(start, bench, lock)
    bench.fail(sticks_on=["lv_1"])
    guard.leave()
    assert guard.ended() == 4
    assert said(tmp_path) == {(guard.run, "ann", str(tmp_path), Ended.UNKNOWN)}


def test_a_guard_that_holds_no_rail_has_no_word_for_the_locks(tmp_path, start, held):
    guard = start(None, keep=held.descriptors, locks=held.files)
    held.release()
    guard.leave()
    assert guard.ended() == 0
    assert said(tmp_path) == {("r", "ann", str(tmp_path), Ended.OPEN)}


def test_locks_that_cannot_be_written_keep_no_rail_on(tmp_path, start):
    bench = Simulated(tmp_path)
    (tmp_path / "lock").write_text("{}")
    unwritten = os.open(tmp_path / "lock", os.O_RDONLY)
    reading, writing = os.pipe()
    guard = start(bench, keep=(unwritten, writing), locks=[unwritten, writing, 999])
    for descriptor in (unwritten, reading, writing):
        os.close(descriptor)
    guard.move("lv-on")
    guard.leave()
    assert guard.ended() == 0
    bench.assert_safe()
    assert (tmp_path / "guard.log").read_text().count("cannot write") == 3


FULL = """
import os, resource, signal, sys
from calseq.system.locks import BenchLock
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
lock = BenchLock(["R"], sys.argv[1])
size = os.fstat(lock.files[0]).st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 8, size + 8))
try:
    lock.claim(run="long", user="u", pid=1, since="", folder="/" + "f" * 200)
except OSError as error:
    print("refused", error.errno)
"""


def test_a_disk_that_takes_no_more_leaves_the_word_that_was_there(tmp_path):
    lock = BenchLock(["R"], tmp_path)
    lock.claim(run="r", user="u", pid=1, since=BEGAN, folder="/f")
    lock.conclude(Ended.UNKNOWN)
    lock.release()
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("refused"), done.stderr
    lock = BenchLock(["R"], tmp_path)
    assert [(holder.run, holder.ended) for holder in lock.before.values()] == [("r", Ended.UNKNOWN)]
    assert lock.strange == []
    lock.release()
