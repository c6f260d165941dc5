"""Real children: what they are given, how they fail to start, and that nothing of them is left."""

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from run_children import Nursery, nursery, python, wait_for

from calseq.model import events
from calseq.model.verdicts import Verdict
from calseq.run.supervision import Stage
from calseq.system.process import NotStarted, adopt_orphans

assert nursery  # a fixture


BEFORE: set[str] = set()


@pytest.fixture(autouse=True, scope="module")
def _adopting():
    assert adopt_orphans()


@pytest.fixture(autouse=True)
def _strangers():
    BEFORE.clear()
    BEFORE.update(children_of_us())


def program(path, text, mode=0o755):
    path.write_text(text)
    path.chmod(mode)
    return str(path)


# --- what keeps a child from starting ---


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda tmp: ["no-such-program-at-all"], "no such file"),
        (lambda tmp: [str(tmp / "missing")], "no such file"),
        (lambda tmp: [program(tmp / "p", "#!/bin/sh\n", 0o644)], "permission denied"),
        (lambda tmp: [str(tmp)], "permission denied"),
        (
            lambda tmp: [program(tmp / "p", "#!/no/such/interpreter\n")],
            "the interpreter that its first line names",
        ),
        (lambda tmp: [program(tmp / "p", "neither script nor program\n")], "exec format error"),
        (lambda tmp: ["true", "a\0b"], "null byte"),
        (lambda tmp: ["true", "x" * 200_000], "argument list too long"),
        (lambda tmp: [""], "cannot start ''"),
    ],
    ids=[
        "not on PATH",
        "missing",
        "not executable",
        "folder",
        "interpreter",
        "ENOEXEC",
        "NUL",
        "E2BIG",
        "empty",
    ],
)
def test_what_cannot_be_started_says_why(nursery, tmp_path, make, reason):
    with pytest.raises(NotStarted, match=reason):
        nursery.see_through(make(tmp_path))
    assert nursery.of(events.ChildStarted) == []


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: path.write_text("")], ids=["missing", "a file"]
)
def test_a_working_folder_that_is_not_there_is_named(nursery, tmp_path, make):
    make(tmp_path / "gone")
    with pytest.raises(NotStarted, match=r"the working folder .*gone is not there"):
        nursery.see_through(["true"], cwd=tmp_path / "gone")


def test_no_descriptors_left_to_start_with_is_told(tmp_path):
    program = (
        "import os, resource, sys\n"
        "from pathlib import Path\n"
        "from run_children import Nursery\n"
        "from calseq.system.process import NotStarted\n"
        "nursery = Nursery(Path(sys.argv[1]))\n"
        "attempt = nursery.attempt(nursery.step(['true']))\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) - 1,) * 2)\n"
        "try:\n"
        "    attempt.start()\n"
        "except NotStarted as error:\n"
        "    print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "too many open files" in told.stdout


# --- what a child is given ---

TELL = """
import json, os, signal, sys
try:
    os.open("/dev/tty", os.O_RDWR); tty = "there"
except OSError as error:
    tty = error.errno
print(json.dumps({
    "env": dict(os.environ), "cwd": os.getcwd(), "stdin": os.readlink("/proc/self/fd/0"), "read": sys.stdin.read(),
    "tty": tty, "leader": os.getsid(0) == os.getpid() == os.getpgid(0), "argv": sys.argv[1:],
    "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")),
    "ignored": [s.name for s in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP)
                if signal.getsignal(s) is signal.SIG_IGN],
    "blocked": [s.name for s in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
}))
"""


def test_a_child_has_the_environment_folder_and_arguments_it_was_given_and_nothing_else(nursery, tmp_path):
    wild = ["", " ", "$HOME", "a;b", "*", "é☃", "\n", "'\"\\", "-rf", "\udcff"]
    open_here = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(open_here, True)
    try:
        nursery.see_through([*python(TELL), *wild], environment={"A": "1", "B": "é"}, cwd=tmp_path)
    finally:
        os.close(open_here)
    told = json.loads(nursery.log)
    own = {"CALSEQ_RUN_ID", "CALSEQ_STEP", "CALSEQ_ATTEMPT", "CALSEQ_ATTEMPT_ID", "CALSEQ_RUN_FOLDER"}
    assert {name: value for name, value in told["env"].items() if name not in own | {"LC_CTYPE"}} == {
        "A": "1",
        "B": "é",
    }
    assert own <= set(told["env"])
    assert told["argv"] == wild
    assert told["cwd"] == os.path.realpath(tmp_path)
    assert (told["stdin"], told["read"]) == ("/dev/null", "")
    assert told["tty"] == 6, "no controlling terminal: ENXIO"
    assert told["leader"]
    assert told["fds"] == [0, 1, 2]
    assert set(told["ignored"]) <= {"SIGPIPE"}, "which Python itself ignores"
    assert told["blocked"] == []


def test_a_log_is_the_childs_own_bytes_and_nobody_elses_to_read(nursery):
    text = (
        "import os, hashlib\n"
        "data = os.urandom(200_000) + bytes(range(256)) * 50 + b'\\x00\\xff\\xfe\\r\\x1b]0;x\\x07' + 'é'.encode('utf-16')\n"
        "open('digest', 'w').write(hashlib.sha256(data).hexdigest())\n"
        "os.write(1, data[:100_000]); os.write(2, data[100_000:])\n"
    )
    assert nursery.see_through(python(text), cwd=nursery.folder).judged()[0] is Verdict.PASSED
    assert hashlib.sha256(nursery.log).hexdigest() == (nursery.folder / "digest").read_text()
    mode = stat.S_IMODE((nursery.folder / "steps/01-s1/log.txt").stat().st_mode)
    assert mode == 0o600


# --- how children end ---


@pytest.mark.parametrize("number", ["INT", "TERM", "KILL", "SEGV", "ABRT", "PIPE", "HUP", "USR1", "XCPU"])
def test_a_child_that_dies_of_a_signal_has_its_name(nursery, number):
    verdict, reason = nursery.see_through(["sh", "-c", f"ulimit -c 0; kill -{number} $$"]).judged()
    assert verdict is Verdict.FAILED
    assert reason.startswith(f"ended by SIG{number}, not by calseq")


def test_a_real_time_signal_has_its_number(nursery):
    assert "signal" in nursery.see_through(["sh", "-c", "kill -40 $$"]).judged()[1].lower()


def test_a_child_that_closes_its_output_is_waited_for_all_the_same(nursery):
    text = "import os, time; os.close(1); os.close(2); time.sleep(0.3); open('late', 'w')"
    assert nursery.see_through(python(text), cwd=nursery.folder).judged()[0] is Verdict.PASSED
    assert (nursery.folder / "late").exists()


def test_a_prompt_gets_the_end_of_file_at_once(nursery):
    assert nursery.see_through(python("input('Continue? ')")).judged() == (Verdict.FAILED, "exit code 1")


def asked(count, text):
    """Press Ctrl-C so often once the child has said so; each press only when the one before was acted on."""

    def when(attempt, stops):
        if text in os.pread(attempt._log_fd, 1000, 0) and stops.level < count:
            stops.level, stops.cause = stops.level + 1, "SIGINT"

    return when


DEAF = "import signal, sys, time\nfor n in ({}): signal.signal(n, signal.SIG_IGN)\nprint('ready', flush=True)\ntime.sleep(60)\n"


def test_one_press_is_one_sigint_and_the_child_may_clean_up(nursery):
    text = (
        "import signal, sys, time\n"
        "count = []\n"
        "def note(*_):\n"
        "    count.append(1)\n"
        "    if len(count) == 1:\n"
        "        time.sleep(0.3); print('presses', len(count), flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGINT, note)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    ending = nursery.see_through(python(text), asked(1, b"ready"))
    assert ending.judged() == (Verdict.INTERRUPTED, "stopped by Ctrl-C")
    assert (ending.exit.code, ending.stage) == (0, Stage.ASKED)
    assert b"presses 1" in nursery.log
    assert [event.signal for event in nursery.of(events.ChildSignalled)] == ["SIGINT"]


@pytest.mark.parametrize(("deaf", "by"), [("2,", "SIGTERM"), ("2, 15", "SIGKILL")])
def test_a_deaf_child_is_ended_more_firmly_press_by_press(nursery, deaf, by):
    ending = nursery.see_through(python(DEAF.format(deaf)), stop_thrice(nursery))
    ladder = ["SIGINT", "SIGTERM", "SIGKILL"]
    assert ending.exit.signal == by
    assert ending.judged() == (Verdict.INTERRUPTED, "stopped by Ctrl-C")
    assert [event.signal for event in nursery.of(events.ChildSignalled)] == ladder[: ladder.index(by) + 1]


def stop_thrice(nursery):
    """Once the child is ready, send calseq itself up to three Ctrl-C, each after the one before was acted on."""

    def press(stops):
        for level in range(3):
            wait_for(lambda level=level: len(nursery.of(events.ChildSignalled)) == level or nursery.ending)
            stops._last_s = float("-inf")
            if not nursery.ending:
                os.kill(os.getpid(), signal.SIGINT)

    started = []

    def when(attempt, stops):
        if not started and b"ready" in os.pread(attempt._log_fd, 1000, 0):
            started.append(threading.Thread(target=press, args=(stops,), daemon=True))
            started[0].start()

    return when


def test_a_child_that_stopped_itself_is_woken_to_end(nursery):
    text = "import os, signal\nprint('ready', flush=True)\nos.kill(os.getpid(), signal.SIGSTOP)\n"
    ending = nursery.see_through(python(text), timeout_s=0.3)
    assert ending.judged() == (Verdict.TIMED_OUT, "timed out after 0.3 s")
    assert ending.stage is Stage.ASKED


def test_a_flood_is_ended_at_the_limit_of_its_log(nursery):
    ending = nursery.see_through(["sh", "-c", "exec yes"], limit=1 << 20)
    assert ending.judged()[0] is Verdict.FAILED
    assert "its log passed 1 MiB" in ending.reason


def test_a_child_that_cuts_its_own_log_is_watched_all_the_same(nursery):
    text = (
        "import os, time\n"
        "os.write(1, b'x' * 1000 + b'\\n'); time.sleep(1.2)\n"
        "os.ftruncate(1, 0); os.write(1, b'===== 1/1 again =====\\n'); time.sleep(1.2)\n"
    )
    assert nursery.see_through(python(text)).judged()[0] is Verdict.PASSED
    assert nursery.of(events.StepProgressed)[-1].title == "again"


# --- what children leave behind ---

FORK = (
    "import os, signal, time\ndef stay():\n    {deaf}\n    os.write(1, b'.'); time.sleep(60); os._exit(0)\n"
)
READY = "while os.fstat(1).st_size < {count}: time.sleep(0.002)\n"
SHAPES = {
    "fork": "for _ in range(3):\n    if os.fork() == 0: stay()\n" + READY.format(count=3),
    "double fork": "if os.fork() == 0:\n    if os.fork() == 0: stay()\n    os._exit(0)\nos.wait()\n"
    + READY.format(count=1),
    "setsid": "if os.fork() == 0: os.setsid(); stay()\n" + READY.format(count=1),
    "daemon": "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: stay()\n    os._exit(0)\nos.wait()\n"
    + READY.format(count=1),
    "many": "for _ in range(50):\n    if os.fork() == 0: os.setsid(); stay()\n" + READY.format(count=50),
    "chain": "for _ in range(8):\n    if os.fork() != 0: break\nelse: stay()\n"
    "if os.getppid() != 0 and os.getpid() != os.getsid(0): os.wait()\n" + READY.format(count=1),
    "no environment": "if os.fork() == 0:\n    os.write(1, b'.'); os.execve('/bin/sleep', ['sleep', '60'], {{}})\n"
    + READY.format(count=1),
}


@pytest.mark.parametrize(("shape", "deaf"), [*((shape, False) for shape in SHAPES), ("many", True)])
def test_whatever_shape_a_tree_has_none_of_it_outlives_the_step(nursery, shape, deaf):
    ignore = "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]" if deaf else "pass"
    ending = nursery.see_through(python(FORK.format(deaf=ignore) + SHAPES[shape].replace("{{}}", "{}")))
    assert ending.judged()[0] is Verdict.PASSED
    told = nursery.of(events.LeftoversEnded)
    assert len(told) == 1
    assert all(name.rpartition(" (")[2].rstrip(")").isdigit() for name in told[0].processes)
    assert children_of_us() == []


@pytest.mark.parametrize("shape", ["daemon"])
def test_a_tree_that_is_ended_by_force_leaves_nothing(nursery, shape):
    ignore = "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]"
    text = FORK.format(deaf=ignore) + SHAPES[shape] + "signal.signal(2, signal.SIG_IGN)\ntime.sleep(60)\n"
    ending = nursery.see_through(python(text), timeout_s=0.5, stop_grace_s=0.2)
    assert ending.judged()[0] is Verdict.TIMED_OUT
    assert children_of_us() == []


def test_a_child_with_a_clean_end_leaves_no_word_and_no_zombie(nursery):
    nursery.see_through(["sh", "-c", "sleep 0 & sleep 0 & exit 0"])
    assert nursery.progress.halted == ""
    wait_for(lambda: children_of_us() == [])


def children_of_us():
    """Our children since this test began, zombies included; those of tests before it are none of its business."""
    present = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [pid for pid in present if pid not in BEFORE]


# --- what it costs ---

FLOOD = """
import os, resource, sys, time
from pathlib import Path
from run_children import Nursery, python
def rss():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1])
nursery = Nursery(Path(sys.argv[1]))
nursery.see_through(["true"])
before = rss()
text = "import os\\nchunk = b'x' * (1 << 20)\\nfor _ in range(%d): os.write(1, chunk)\\n"
ending = nursery.see_through(python(text % int(sys.argv[2])))
size = os.path.getsize(nursery.folder / "steps/02-s2/log.txt")
os.truncate(nursery.folder / "steps/02-s2/log.txt", 0)
print(rss() - before, size >> 20, ending.exit.code)
"""


def test_a_flood_costs_calseq_no_memory(tmp_path):
    size = 200
    told = subprocess.run(
        [sys.executable, "-c", FLOOD, str(tmp_path), str(size)],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    grown_kib, written_mib, code = map(int, told.stdout.split())
    assert (written_mib, code) == (size, 0)
    assert grown_kib < 10 * 1024


def test_a_long_watch_costs_no_time(tmp_path):
    nursery_ = Nursery(tmp_path)
    used = sum(os.times()[:2])
    nursery_.see_through(["sleep", "1"])
    assert sum(os.times()[:2]) - used < 0.1


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 200)
        os.execve(sys.executable, [sys.executable, "-S", "-c", "import time; time.sleep(60)"], {{"NOTHING": "1"}})
    os._exit(0)
os.wait()
print("left", flush=True)
{then}
"""


@pytest.mark.parametrize("then", ["", "time.sleep(60)"])
def test_a_daemon_with_another_environment_a_session_of_its_own_and_no_open_file_is_left_over(nursery, then):
    def stop(attempt, stops):
        if then and b"left" in nursery.log:
            stops.ask("SIGINT")

    before = children_of_us()
    nursery.see_through(python(DAEMON.format(then=then)), when=stop)
    (left,) = nursery.of(events.LeftoversEnded)
    assert "python" in left.processes[0]
    wait_for(lambda: children_of_us() <= before)


def test_what_the_program_around_calseq_started_meanwhile_is_not_left_over(nursery):
    """calseq may run inside a program that has other children."""
    other = []

    def begin(attempt, stops):
        other or other.append(subprocess.Popen(["sleep", "60"], start_new_session=True))

    nursery.see_through(python("import time; time.sleep(0.3)"), when=begin)
    assert nursery.of(events.LeftoversEnded) == []
    assert other[0].poll() is None
    other[0].kill()
    other[0].wait()
