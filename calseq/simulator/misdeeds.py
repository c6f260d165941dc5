"""Carries out the misbehaviours of a process: what the stand-in does when a fault tells it to."""

import os
import signal
import sys
import time
from collections.abc import Callable

from calseq.simulator.faults import Misbehaviour

HANG_S = 900.0
"""How long a fault that never goes on lasts, so that nothing is left for ever."""

GRANDCHILD_S = 60.0

DAEMON = "daemon-of-the-simulator"
"""The last word of a daemon's command line, by which it can be found."""

TERMINAL_ATTACKS = (
    b"\x1b]0;owned\x07", b"\x1b]52;c;cm0gLXJmIH4=\x07", b"\x1b[2J\x1b[H", b"\x1b[?1049h", b"\x1b[6n", b"\x1bc",
    b"\x1b[8;1;1t", b"\x1b]8;;file:///etc/passwd\x07link\x1b]8;;\x07", b"\x9b31m", b"\x90q\x9c", b"\x0e", b"\x08\x08",
    "\u202egnp.exe\u2066".encode(), b"[bold red]markup[/]", b"\xed\xa0\x80", b"\xff\xfe",
)  # fmt: skip
"""What a hostile log may try on whoever shows it."""

_CHUNK = b"simulated flood " * 4096


class Ended(Exception):
    """A fault ends the calibration with an exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit {code}")
        self.code = code


class BadStatusForOperationError(Exception):
    """icicle's complaint when a question about a wrong state gets no answer."""


def prepare(faults: Misbehaviour) -> None:
    """Do what has to be done before anything else: deafness to signals, and closed output."""
    if "stubborn" in faults or "unkillable" in faults:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "unkillable" in faults:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "close-output" in faults:
        # closed for whoever reads; the numbers stay taken, so that no other file gets them
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.close(null)


def misbehave(faults: Misbehaviour, say: Callable[[str], None]) -> None:
    """Do everything that goes wrong in mid-measurement, each announced by a line.

    Raises:
        Ended: the calibration is to end with an exit code.
        BadStatusForOperationError: a question was not answered.
    """
    for kind, misdeed in _MISDEEDS.items():
        if kind in faults:
            say(f"simulated fault: {kind}")
            misdeed(faults, say)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def _flood(faults: Misbehaviour, _say: Callable[[str], None]) -> None:
    left = int(faults.value("flood") or 0)
    while left > 0:
        chunk = _CHUNK[:left]
        _write(chunk)
        left -= len(chunk)
    _write(b"\n")


def _longline(faults: Misbehaviour, _say: Callable[[str], None]) -> None:
    left = int(faults.value("longline") or 0)
    while left > 0:
        _write(b"x" * min(left, len(_CHUNK)))
        left -= len(_CHUNK)
    _write(b"\n")


def _garbage(_faults: Misbehaviour, _say: Callable[[str], None]) -> None:
    for attack in TERMINAL_ATTACKS:
        _write(attack + os.urandom(40) + b"\x00\r")
    _write(b"\n")


def _prompt(_faults: Misbehaviour, say: Callable[[str], None]) -> None:
    _write(b"HV is on. Continue? [Y] to continue, [N] to abort: ")
    answer = sys.stdin.readline() if sys.stdin else ""
    _write(b"\n")
    if not answer:
        raise BadStatusForOperationError("LV cannot be switched while HV is on")
    say(f"answered: {answer.strip()}")


def _sleep(faults: Misbehaviour, _say: Callable[[str], None]) -> None:
    time.sleep(faults.value("sleep") or 0.0)


def _hang(_faults: Misbehaviour, _say: Callable[[str], None]) -> None:
    time.sleep(HANG_S)
    raise Ended(1)


def _stop(_faults: Misbehaviour, say: Callable[[str], None]) -> None:
    import ctypes  # noqa: PLC0415 - slow to import, and hardly ever needed

    # a stopped process cannot end itself: the kernel shall, when the parent is gone
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(signal.SIGKILL))
    os.kill(os.getpid(), signal.SIGSTOP)
    say("continued after a stop")


def _signal(faults: Misbehaviour, _say: Callable[[str], None]) -> None:
    import resource  # noqa: PLC0415 - hardly ever needed

    number = int(faults.value("signal") or signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _exit(faults: Misbehaviour, _say: Callable[[str], None]) -> None:
    raise Ended(int(faults.value("exit") or 0))


def _grandchild(_faults: Misbehaviour, say: Callable[[str], None]) -> None:
    _leave_behind(signal.SIG_DFL, say)


def _stubborn_grandchild(_faults: Misbehaviour, say: Callable[[str], None]) -> None:
    _leave_behind(signal.SIG_IGN, say)


def _daemon(_faults: Misbehaviour, say: Callable[[str], None]) -> None:
    _leave_behind(signal.SIG_DFL, say, _become_daemon)


def _become_daemon() -> None:
    """Close every file and start another program in an empty environment: nothing of calseq's is on it any more."""
    os.closerange(0, 1 << 16)
    code = f"import time; time.sleep({GRANDCHILD_S})"
    os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", code, DAEMON], {})  # noqa: S606 - no shell wanted


def _leave_behind(
    reaction: signal.Handlers, say: Callable[[str], None], become: Callable[[], None] = lambda: None
) -> None:
    """Fork twice, with a session of its own in between, so that nobody's group holds the grandchild."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, reaction)
        os.write(tell, str(os.getpid()).encode())
        os.close(tell)
        os.close(told)
        become()
        time.sleep(GRANDCHILD_S)
        os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    pid = os.read(told, 20).decode()
    os.close(told)
    say(f"left process {pid} behind")


_MISDEEDS: dict[str, Callable[[Misbehaviour, Callable[[str], None]], None]] = {
    "grandchild": _grandchild,
    "grandchild-stubborn": _stubborn_grandchild,
    "daemon": _daemon,
    "garbage": _garbage,
    "longline": _longline,
    "flood": _flood,
    "prompt": _prompt,
    "sleep": _sleep,
    "stop": _stop,
    "hang": _hang,
    "stubborn": _hang,
    "unkillable": _hang,
    "signal": _signal,
    "exit": _exit,
}
