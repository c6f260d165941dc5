"""A machine on which nothing more can be had: no process, thread, memory, descriptor or processor time."""

import os
import resource
import select
import signal
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest
from guard_bench import Icicle, Simulated, kill, start_ticks, until

PIDS = Path("/sys/fs/cgroup/pids")

FORKS = """
import os, signal, time
print('ready', flush=True)
while True:
    try:
        if os.fork() == 0:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            time.sleep(60)
            os._exit(0)
    except OSError:
        time.sleep(0.01)
"""


def biased(bench, start, **fields):
    guard = start(bench, **fields)
    guard.move("lv-on")
    guard.move("hv-bias")
    return guard


@contextmanager
def no_more_processes(pid):
    """Let a process start neither another nor a thread: by a cgroup, as a service's TasksMax does, or by its own limit."""
    group = PIDS / f"calseq-test-{uuid.uuid4().hex}"
    try:
        group.mkdir()
        (group / "pids.max").write_text("0")
        (group / "cgroup.procs").write_text(str(pid))
    except OSError:
        # only root is exempt from this one
        assert os.getuid() != 0, "no cgroup of pids can be had: this cannot be tested as root here"
        resource.prlimit(pid, resource.RLIMIT_NPROC, (1, 1))
        yield
        return
    try:
        yield
    finally:
        until(lambda: not (group / "cgroup.procs").read_text().strip())
        group.rmdir()


def bench_of(kind, tmp_path):
    return Simulated(tmp_path) if kind == "simulated" else Icicle(tmp_path)


@pytest.mark.parametrize("kind", ["simulated", "icicle"])
def test_without_another_thread_the_rails_are_moved(tmp_path, start, kind):
    bench = bench_of(kind, tmp_path)
    guard = biased(bench, start)
    with no_more_processes(guard.pid):
        assert guard.ok("read")["readings"]["hv"]["on"] is True
        guard.leave()
        assert guard.ended() == 0
    bench.assert_safe()
    assert guard.noted("ended")[0]["confirmed"] is True


def test_a_child_that_forks_without_end_is_ended_and_the_rails_are_moved(tmp_path, start):
    bench = Icicle(tmp_path)
    guard = biased(bench, start)
    child = guard.child(FORKS)
    resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (64, 64))
    group = PIDS / f"calseq-test-{uuid.uuid4().hex}"
    try:
        group.mkdir()
        (group / "pids.max").write_text("60")
        (group / "cgroup.procs").write_text(str(child.pid))
        (group / "cgroup.procs").write_text(str(guard.pid))
    except OSError:
        resource.prlimit(child.pid, resource.RLIMIT_NPROC, (60, 60))
    guard.ok("child", pid=child.pid, start=start_ticks(child.pid))
    until(lambda: not group.exists() or int((group / "pids.current").read_text()) >= 60)
    guard.leave()
    assert guard.ended() == 0
    child.wait(5)
    child.stdout.close()
    if group.exists():
        until(lambda: not (group / "cgroup.procs").read_text().strip())
        group.rmdir()
    bench.assert_safe()


@pytest.mark.parametrize("kind", ["simulated", "icicle"])
def test_without_more_memory_the_rails_are_moved(tmp_path, start, kind):
    bench = bench_of(kind, tmp_path)
    guard = biased(bench, start)
    status = Path(f"/proc/{guard.pid}/status").read_text()
    size = int(status.partition("VmSize:")[2].split()[0]) * 1024
    resource.prlimit(guard.pid, resource.RLIMIT_AS, (size, size))
    guard.leave()
    assert guard.ended() == 0
    bench.assert_safe()


@pytest.mark.parametrize("kind", ["simulated", "icicle"])
def test_without_another_descriptor_the_rails_are_moved(tmp_path, start, kind):
    bench = bench_of(kind, tmp_path)
    guard = biased(bench, start)
    most = max(int(path.name) for path in Path(f"/proc/{guard.pid}/fd").iterdir()) + 1
    resource.prlimit(guard.pid, resource.RLIMIT_NOFILE, (most, most))
    guard.leave()
    assert guard.ended() == 0
    bench.assert_safe()


def test_processor_time_that_runs_out_is_noticed_before_it_is_over(tmp_path, start):
    """At `ulimit -t` the kernel kills at once, without a word: the guard gives itself a limit that lies before."""
    bench = Simulated(tmp_path)
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nulimit -t 30\nexec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    guard = start(bench, python=str(wrapper))
    assert resource.prlimit(guard.pid, resource.RLIMIT_CPU) == (20, 30)
    guard.move("lv-on")
    guard.move("hv-bias")
    os.kill(guard.pid, signal.SIGXCPU)  # a stray one says nothing
    assert guard.ok("read")["readings"]["hv"]["on"] is True
    resource.prlimit(guard.pid, resource.RLIMIT_CPU, (1, 30))
    until(lambda: spend(guard), 60)
    assert guard.ended() == 0
    assert "SIGXCPU" in guard.noted("ending")[0]["reason"]
    bench.assert_safe()


def spend(guard):
    """Have it use its processor time; tell whether it has had enough."""
    if guard.noted("ending"):
        return True
    try:
        for _ in range(50):
            guard.send("ping")
    except BrokenPipeError:
        return True
    while guard._buffer or select_one(guard):
        if guard.line() is None:
            return True
    return False


def select_one(guard):
    return bool(select.select([guard.process.stdout], [], [], 0.05)[0])


DAEMON = """
import os, sys, time
def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 200)
            code = "import time; time.sleep(60)"
            os.execve(sys.executable, [sys.executable, "-c", code], {"DAEMON": %r})
        os._exit(0)
    os.wait()
daemon()
print('ready', flush=True)
time.sleep(60)
"""


def test_a_daemon_with_another_environment_and_no_open_file_is_ended_too(tmp_path, start):
    name = uuid.uuid4().hex
    bench = Simulated(tmp_path)
    guard = biased(bench, start)
    limit = (1 << 50) + int.from_bytes(os.urandom(5), "big")
    hard = resource.getrlimit(resource.RLIMIT_RTTIME)[1]
    resource.setrlimit(resource.RLIMIT_RTTIME, (limit, hard))
    child = guard.child(DAEMON % name)
    resource.setrlimit(resource.RLIMIT_RTTIME, (hard, hard))
    guard.ok("child", pid=child.pid, limit=limit)
    daemons = until(lambda: named(name))
    kill(child.pid)
    child.wait()
    child.stdout.close()
    guard.leave()
    assert guard.ended() == 0
    assert named(name) == []
    assert str(daemons[0]) in str(guard.noted("ending-child"))
    bench.assert_safe()


def named(name):
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"DAEMON={name}".encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
