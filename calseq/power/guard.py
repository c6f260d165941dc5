"""The guard: a small process that holds the supplies, and leaves the bench safe when everything else is gone.

One file for a reason: it is started by its path, by the interpreter that can import the supplies' library, so it
needs nothing but a Python of 3.8 or later. It answers JSON lines: `{"id": 1, "do": "read"}` with
`{"id": 1, "ok": ...}` or `{"id": 1, "error": "reason"}`; unasked it says `{"event": "power-lost", ...}`,
`{"event": "cut", ...}` and, when it ends by itself, `{"event": "ended", "confirmed": ...}`.

No request can make it break an interlock. It ends the child's whole tree, then switches HV off, then LV off, and reads
both back, when its parent is gone (end of file, a broken pipe, a line that is no request), silent for too long,
or does not act on lost power. It exits with 0 if off is confirmed and with 4 if not, after an hour of further tries.

What it needs for that it has from the moment at which the supplies are open: threads, memory, descriptors. What cannot be
had then does not keep it from the rails.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import json
import math
import os
import platform
import queue
import re
import resource
import select
import selectors
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

PROTOCOL = 2
V_SAFE = 2.0
"""|HV| in volts up to which the bias counts as gone."""
LV_GONE_V = 0.1
AT_COMPLIANCE = 0.98
HV_DRIFT_V = 2.0
HV_DRIFT = 0.05
LV_DRIFT = 0.10
"""How far a voltage may drift from what was read back after its move: HV by the larger of the first two, LV by a part."""
DRIFT_POLLS = 2
MAX_LINE = 1 << 20
MOVE_LIMIT_S = 240.0
OTHER_LIMIT_S = 70.0
"""icicle asks a question 3 times for 10 s each, and once more after a connection was opened anew."""
DISK_LIMIT_S = 2.0
LOG_LINES = 1000
"""So many lines wait for the disk at most; what is said beyond is not kept."""
REPLY_LIMIT_S = 5.0
POLL_S = 2.0
UNREADABLE_TIMES = 3
SILENCE_S = 40.0
"""calseq pings every 2 s: after so many seconds without a word nobody waits for it any more."""
GRACE_OF_SILENCE_S = 3.0
ANSWER_S = 30.0
"""How long calseq has to act on lost power, beyond the graces of its child once it said that it heard of it."""
GRACES_S = {"interrupt": 180.0, "terminate": 10.0, "kill": 5.0}
SAFE_WAITS_S = (0.0, 1.0, 3.0)
UNKNOWN_S = 3600.0
UNKNOWN_EVERY_S = 30.0
"""For how long, and how often, the safe end is tried on after it could not be confirmed."""
LOCK_BYTES = 65536
HANDS = 6
RESERVE_BYTES = 16 << 20
RESERVE_DESCRIPTORS = 16
CPU_RESERVE_S = 10
RAILS = ("lv", "hv")
ROLES = ("lv", "hv", "ab", "cb", "hb")
MOVES = {"hv-off": ("hv", False), "lv-off": ("lv", False), "lv-on": ("lv", True), "hv-bias": ("hv", True)}
UNKNOWN = "HARDWARE STATE UNKNOWN - HV may be on"
MARKER = "HARDWARE-STATE-UNKNOWN.txt"
CONFIRMED = "HV off, LV off: confirmed"


class Fault(Exception):
    """Something could not be done; the message is for an operator."""


class Ending(Exception):
    """The parent is gone in the middle of something."""


# Readings: what both rails read, as {"lv": {...}, "hv": {...}}


def unread(why: str) -> dict[str, Any]:
    """Give the reading of a rail that could not be read."""
    return {"on": None, "voltage_v": None, "current_a": None, "why": why}


def sound(rail: dict[str, Any]) -> dict[str, Any]:
    """Give a reading without infinities; a rail that reads off at no number of volts is not known to be off."""
    numbers = {key: rail.get(key) for key in ("voltage_v", "current_a")}
    bad = [key for key, value in numbers.items() if value is not None and not math.isfinite(value)]
    if not bad:
        return rail
    clean = {**rail, **dict.fromkeys(bad, None), "why": f"{bad[0]} reads {numbers[bad[0]]}"}
    return {**clean, "on": None} if "voltage_v" in bad and rail["on"] is False else clean


def hv_gone(readings: dict[str, Any]) -> bool:
    """HV is known to be off and its voltage, where it can be read, to have decayed."""
    hv = readings["hv"]
    return hv["on"] is False and (hv["voltage_v"] is None or abs(hv["voltage_v"]) <= V_SAFE)


def all_off(readings: dict[str, Any]) -> bool:
    """Both rails are confirmed off."""
    return hv_gone(readings) and readings["lv"]["on"] is False


def shown_rail(name: str, rail: dict[str, Any]) -> str:
    """Write the reading of one rail for an operator."""
    state = "unknown" if rail["on"] is None else "on" if rail["on"] else "off"
    volts = "" if rail["voltage_v"] is None else f" at {rail['voltage_v']:g} V"
    amps = "" if rail["current_a"] is None else f", {rail['current_a']:g} A"
    why = f" ({rail['why']})" if rail.get("why") else ""
    return f"{name.upper()} reads {state}{volts}{amps}{why}"


def shown(readings: dict[str, Any]) -> str:
    """Write both readings for an operator, HV first."""
    return "; ".join(shown_rail(name, readings[name]) for name in ("hv", "lv"))


def refusal(move: str, readings: dict[str, Any]) -> str:
    """Say which interlock a move would break; nothing if none."""
    if move in ("lv-on", "lv-off") and not hv_gone(readings):
        return f"refused: {move} needs HV off and gone, and {shown_rail('hv', readings['hv'])}"
    if move == "hv-bias" and readings["lv"]["on"] is not True:
        return f"refused: hv-bias needs LV on, and {shown_rail('lv', readings['lv'])}"
    return ""


def deviation(name: str, rail: dict[str, Any], wanted: bool | None) -> str:
    """Say how the state of a rail differs from what the last move established; nothing if it does not or is unreadable."""
    volts = rail["voltage_v"]
    if wanted is None or (rail["on"] is None and volts is None):
        return ""
    seen = shown_rail(name, rail)
    if rail["on"] is not wanted:
        return f"{seen}, and should be {'on' if wanted else 'off'}"
    if wanted and volts is not None and abs(volts) <= (V_SAFE if name == "hv" else LV_GONE_V):
        return f"{seen}, and should be on"
    if not wanted and name == "hv" and volts is not None and abs(volts) > V_SAFE:
        return f"{seen}, and should be gone"
    return ""


def at_compliance(outputs: dict[str, Any], limits_a: dict[str, float]) -> str:
    """Name the HV outputs whose current is at their compliance; nothing if none."""
    found = []
    for name, output in outputs.items():
        limit, amps = limits_a.get(name), output["current_a"]
        if output["on"] and limit and amps is not None and abs(amps) >= AT_COMPLIANCE * abs(limit):
            volts = "" if output["voltage_v"] is None else f" at {output['voltage_v']:g} V"
            found.append(f"{name} reads on{volts}, {amps:g} A, which is its compliance of {limit:g} A")
    return "; ".join(found)


def drift(rail: str, outputs: dict[str, Any], left_v: dict[str, float]) -> str:
    """Name the outputs whose voltage is not what was read back after the last move of their rail; nothing if none."""
    found = []
    for name, left in left_v.items():
        volts = outputs.get(name, {}).get("voltage_v")
        within = max(HV_DRIFT_V, HV_DRIFT * abs(left)) if rail == "hv" else LV_DRIFT * abs(left)
        if volts is not None and not abs(volts - left) <= within:
            found.append(f"{name} reads {volts:g} V, and was left at {left:g} V")
    return "; ".join(found)


class Watch:
    """What the last moves established of both rails, and how what is read now differs from it."""

    def __init__(self) -> None:
        self.wanted: dict[str, bool | None] = dict.fromkeys(RAILS)
        """On or off, as the last move left a rail; None where that is not known."""
        self.outputs: dict[str, dict[str, Any]] = {rail: {} for rail in RAILS}
        """What each output of a rail read last."""
        self._left_v: dict[str, dict[str, float]] = {rail: {} for rail in RAILS}
        self._drifts = dict.fromkeys(RAILS, 0)

    def forget(self, rails: Iterable[str]) -> None:
        """A rail is moved, or handed over: nothing is known of it until it is read back."""
        for rail in rails:
            self.wanted[rail], self._left_v[rail], self._drifts[rail] = None, {}, 0

    def moved(self, rail: str, on: bool) -> None:
        """A move ended, and its rail was read back."""
        self.wanted[rail] = on
        self._left_v[rail] = {
            name: output["voltage_v"]
            for name, output in self.outputs[rail].items()
            if output["on"] and output["voltage_v"] is not None
        }

    def difference(self, rail: str, reading: dict[str, Any], limits_a: dict[str, float]) -> str:
        """Say how a rail differs from what its last move established; a drift has to be seen twice."""
        found = deviation(rail, reading, self.wanted[rail])
        if found or not self.wanted[rail]:
            return found
        drifted = drift(rail, self.outputs[rail], self._left_v[rail])
        self._drifts[rail] = self._drifts[rail] + 1 if drifted else 0
        limited = at_compliance(self.outputs[rail], limits_a) if rail == "hv" else ""
        return limited or (drifted if self._drifts[rail] >= DRIFT_POLLS else "")


def words(error: BaseException) -> str:
    """Put an error into words: a fault in its own, anything else raw, with its type."""
    text = str(error).strip()
    return text if type(error).__name__.endswith("Fault") else f"{type(error).__name__}: {text}".rstrip(": ")


# Processes


def stat_of(pid: int) -> dict[str, Any] | None:
    """Give a process's state, parent, group and start time; None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    name, fields = text.partition("(")[2].rpartition(")")[0], text.rpartition(")")[2].split()
    return {
        "name": name,
        "ended": fields[0] in "ZX",
        "parent": int(fields[1]),
        "group": int(fields[2]),
        "start": int(fields[19]),
    }


def marked(pid: int, mark: bytes) -> bool:
    """Tell whether a process was started with this `NAME=value` in its environment."""
    try:
        return bool(mark) and mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def limited(pid: int, limit: int) -> bool:
    """Tell whether a process has this limit of real time, which all descendants of a child have from it.

    Neither another environment nor a session of its own nor closed files take it away.
    """
    try:
        text = Path(f"/proc/{pid}/limits").read_bytes() if limit else b""
    except OSError:
        return False
    return re.search(rb"^Max realtime timeout +%d " % limit, text, re.MULTILINE) is not None


class Tree:
    """The child, its group, its descendants, and all with the run's mark or the child's limit, by pid and start time."""

    def __init__(self, child: tuple[int, int] | None, mark: str, limit: int = 0) -> None:
        self.child = child
        self._mark = mark.encode()
        self._limit = limit
        self._known: dict[int, int] = {}
        self._others: dict[int, int] = {}
        self._strangers = {os.getpid(), os.getppid(), 0, 1}

    def look(self, *, group_only: bool = False) -> dict[int, str]:
        """Give those that live, by pid, with their names; without a child all of them are its group."""
        pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]  # noqa: PTH208
        stats = {pid: stat for pid, stat in ((pid, stat_of(pid)) for pid in pids) if stat}
        leader = self.child is not None and stats.get(self.child[0], {}).get("start") == self.child[1]
        self._known = {
            pid: start for pid, start in self._known.items() if stats.get(pid, {}).get("start") == start
        }
        new: dict[int, int] = {-1: 0}
        while new:
            new = {
                pid: stat["start"]
                for pid, stat in stats.items()
                if pid not in self._known and pid not in self._strangers and self._ours(pid, stat, leader)
            }
            self._known.update(new)
        group = self.child[0] if self.child and group_only else None
        return {
            pid: stats[pid]["name"]
            for pid in self._known
            if not stats[pid]["ended"] and group in (None, stats[pid]["group"])
        }

    def _ours(self, pid: int, stat: dict[str, Any], leader: bool) -> bool:
        if leader and self.child is not None and self.child[0] in (pid, stat["group"]):
            return True
        return stat["parent"] in self._known or self._carries(pid, stat["start"])

    def _carries(self, pid: int, start: int) -> bool:
        """It carries the mark or the limit; what does not is not asked again."""
        if self._others.get(pid) == start:
            return False
        if marked(pid, self._mark) or limited(pid, self._limit):
            return True
        self._others[pid] = start
        return False

    def end(
        self, graces_s: dict[str, float], note: Callable[..., None], pause: Callable[[float], None]
    ) -> dict[int, str]:
        """End them: the group gently and then firmly, then all others firmly. Give what could not be ended."""
        interrupt, terminate, kill = signal.SIGINT, signal.SIGTERM, signal.SIGKILL
        for number, grace, group_only in (
            (interrupt, "interrupt", True),
            (terminate, "terminate", True),
            (kill, "kill", True),
            (terminate, "terminate", False),
            (kill, "kill", False),
        ):
            targets = self.look(group_only=group_only)
            if targets:
                note("ending-child", signal=number.name, processes=_named(targets), grace_s=graces_s[grace])
                self._send(number, graces_s[grace], group_only, pause)
        return self.look()

    def _send(
        self, number: signal.Signals, grace_s: float, group_only: bool, pause: Callable[[float], None]
    ) -> None:
        """Signal each once, wake the stopped, and wait. What a child starts to clean up is not interrupted."""
        signalled: set[tuple[int, int]] = set()
        deadline_s = time.monotonic() + grace_s
        first = True
        while True:
            targets = self.look(group_only=group_only)
            for pid in targets:
                one = (pid, self._known[pid])
                if one not in signalled and (first or number is not signal.SIGINT):
                    signalled.add(one)
                    with suppress(OSError):
                        os.kill(pid, number)
                        os.kill(pid, signal.SIGCONT)
            first = False
            if not targets or time.monotonic() >= deadline_s:
                return
            pause(0.05)


def _named(processes: dict[int, str]) -> list[str]:
    return [f"{name} ({pid})" for pid, name in processes.items()]


def end_group(
    pid: int, graces_s: dict[str, float], note: Callable[..., None], pause: Callable[[float], None]
) -> None:
    """End a child's group by its number alone: for when not even /proc can be looked at."""
    for number, grace in (
        (signal.SIGINT, "interrupt"),
        (signal.SIGTERM, "terminate"),
        (signal.SIGKILL, "kill"),
    ):
        try:
            os.killpg(pid, number)
            os.killpg(pid, signal.SIGCONT)
        except OSError:
            return
        note("ending-child", signal=number.name, processes=[f"group {pid}"], grace_s=graces_s[grace])
        deadline_s = time.monotonic() + graces_s[grace]
        while time.monotonic() < deadline_s:
            pause(0.05)
            try:
                os.killpg(pid, 0)
            except OSError:
                return


# What is made before it is needed


class Job:
    """One thing that may hang or fail, done by a hand; `done` is set when it is over, however that was."""

    def __init__(self, what: str, limit_s: float, action: Callable[[], Any], wake: int = -1) -> None:
        self.what = what
        self.limit_s = limit_s
        self.deadline_s = time.monotonic() + limit_s
        self.done = threading.Event()
        self.error = ""
        self.value: Any = None
        self._action = action
        self._wake = wake

    def work(self) -> None:
        """Do it. Raises nothing."""
        try:
            self.value = self._action()
        except BaseException as error:  # noqa: BLE001 - a library may even call exit() here
            self.error = words(error) or type(error).__name__
            if not type(error).__name__.endswith("Fault"):
                complain("".join(traceback.format_exception(type(error), error, error.__traceback__)))

    def finish(self) -> None:
        """Say that it is over."""
        self.done.set()
        if self._wake >= 0:
            with suppress(OSError):
                os.write(self._wake, b"\0")


class Hand:
    """A thread that does jobs, one at a time, and is there before there is any: none can be had in a shortage."""

    def __init__(self) -> None:
        self.busy = False
        self._given = threading.Semaphore(0)
        self._job: Job | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def give(self, job: Job) -> None:
        """Have a job done."""
        self.busy, self._job = True, job
        self._given.release()

    def _serve(self) -> None:
        while True:
            self._given.acquire()
            job = self._job
            if job is not None:
                with suppress(BaseException):
                    job.work()
                self.busy, self._job = False, None
                job.finish()


class Hands:
    """The hands of a guard, all made at once."""

    def __init__(self, count: int) -> None:
        """Start them.

        Raises:
            Fault: so many threads cannot be had.
        """
        try:
            self._hands = [Hand() for _ in range(count)]
        except (RuntimeError, MemoryError) as error:
            raise Fault(f"the guard cannot start its threads: {words(error)}") from error

    def idle(self) -> Hand | None:
        """Give one that has nothing to do; None if what they do hangs for all of them."""
        return next((hand for hand in self._hands if not hand.busy), None)


class Reserve:
    """Memory and descriptors put aside while there are some, and let go of when the end begins."""

    def __init__(self) -> None:
        self._memory = b"\1" * RESERVE_BYTES
        self._descriptors = [
            os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) for _ in range(RESERVE_DESCRIPTORS)
        ]

    def release(self) -> None:
        """Let go of them."""
        self._memory = b""
        while self._descriptors:
            with suppress(OSError):
                os.close(self._descriptors.pop())


def lift_limits() -> None:
    """Take every limit of this process as far up as it may go; of processor time keep some seconds for the end."""
    for name in ("RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_FSIZE"):
        with suppress(AttributeError, OSError, ValueError):
            number = getattr(resource, name)
            hard = resource.getrlimit(number)[1]
            resource.setrlimit(number, (hard, hard))
    with suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        if hard != resource.RLIM_INFINITY:
            resource.setrlimit(resource.RLIMIT_CPU, (max(hard - CPU_RESERVE_S, 1), hard))


def is_out_of_time() -> bool:
    """Tell whether the processor time of this process has reached its limit."""
    soft = resource.getrlimit(resource.RLIMIT_CPU)[0]
    return soft != resource.RLIM_INFINITY and time.process_time() >= soft - 1


# The record


class Scribe:
    """Does writes that may hang, each waited for a bounded time; while one hangs, later ones are left out."""

    def __init__(self) -> None:
        self.hand: Hand | None = None

    def do(self, write: Callable[[], None]) -> None:
        """Write, and go on after `DISK_LIMIT_S` seconds at the latest, whatever came of it."""
        if self.hand is None or self.hand.busy:
            return
        job = Job("write", DISK_LIMIT_S, functools.partial(_written, write))
        self.hand.give(job)
        job.done.wait(DISK_LIMIT_S)


def _written(write: Callable[[], None]) -> None:
    try:
        write()
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a disk, the safe end goes on
        complain(f"guard: cannot write: {words(error)}")


class Terminal:
    """The terminal on which calseq showed its run, for the guard's words when calseq is gone or silent."""

    def __init__(self, settings: dict[str, Any] | None, scribe: Scribe) -> None:
        self._fd = -1 if settings is None else int(settings["descriptor"])
        self._restore = "" if settings is None else str(settings["restore"])
        self._scribe = scribe

    def say(self, text: str) -> None:
        """Write lines on it, in bounded time; before the first, what gives the terminal back."""
        if self._fd >= 0:
            clean = re.sub(r"[^\x20-\x7e\n]", "?", text).replace("\n", "\r\n")
            data, self._restore = f"{self._restore}\r\ncalseq: {clean}\r\n".encode(), ""
            self._scribe.do(lambda: self._write(data))

    def _write(self, data: bytes) -> None:
        os.write(self._fd, data)


class Journal:
    """The append-only record `guard.jsonl`. A full or hanging disk costs lines of it, and nothing else."""

    def __init__(self, scribe: Scribe) -> None:
        self._fd = self._folder = -1
        self._scribe = scribe
        self._torn = False

    def open(self, path: str) -> None:
        """Open it, for good.

        Raises:
            Fault: it cannot be opened.
        """
        try:
            folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH120
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            size = os.fstat(fd).st_size
            # an earlier guard of the same run may have died in the middle of a line
            self._torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        except OSError as error:
            raise Fault(f"cannot open the journal '{path}': {error.strerror}") from error
        for old in (self._fd, self._folder):
            if old >= 0:
                os.close(old)
        self._fd, self._folder = fd, folder

    def note(self, event: str, *, sync: bool = True, **facts: Any) -> None:
        """Append a line and, with `sync`, bring it to the disk itself, in bounded time."""
        line = json.dumps({"time": utc(), "event": event, **facts}, default=str)
        if self._fd >= 0:
            self._scribe.do(lambda: self._append(line, sync=sync))

    def leave(self, name: str, text: str) -> None:
        """Leave a file beside the journal, wherever its folder is by now, in bounded time."""
        if self._folder >= 0:
            self._scribe.do(lambda: _write(self._folder, name, text))

    def _append(self, line: str, *, sync: bool) -> None:
        data = (("\n" if self._torn else "") + line + "\n").encode()
        self._torn = True
        if os.write(self._fd, data) == len(data):
            self._torn = False
        if sync:
            os.fsync(self._fd)


def _write(folder: int, name: str, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(name, flags, 0o600, dir_fd=folder)
    try:
        os.write(fd, text.encode())
        os.fsync(fd)
    finally:
        os.close(fd)


class Locks:
    """The lock files of the supplies. How the last run on them ended stands in there, as calseq/system/locks.py writes and reads it.

    A file that cannot be written costs its word, and nothing else.
    """

    def __init__(self) -> None:
        self.scribe = Scribe()
        self._descriptors: list[int] = []
        self._own: dict[str, Any] = {}

    def open(self, descriptors: Iterable[Any], run: str, folder: str) -> None:
        """Take the files, which are open and locked."""
        self._descriptors = [int(descriptor) for descriptor in descriptors]
        self._own = {
            "run": run,
            "pid": os.getpid(),
            "since": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
            "folder": folder,
        }

    def conclude(self, confirmed: Any) -> None:
        """Write whether off is confirmed, in bounded time; nothing where nothing is known (None)."""
        ended = "safe" if confirmed else "unknown"
        for descriptor in self._descriptors if confirmed is not None else ():
            self.scribe.do(functools.partial(self._write, descriptor, ended))

    def _write(self, descriptor: int, ended: str) -> None:
        """Write one in one piece, on room that is made before: an end or a full disk in the middle leaves the old text."""
        old = os.pread(descriptor, LOCK_BYTES, 0)
        try:
            said = json.loads(old)
        except ValueError:
            said = {}
        holder = said if isinstance(said, dict) else {}
        if holder.get("folder") != self._own["folder"]:
            # nobody has written yet that this run has the supplies: the word is its own all the same
            holder = {**{key: str(holder.get(key) or "") for key in ("resource", "user")}, **self._own}
        text = json.dumps({**holder, "ended": ended}).encode()
        room = b" " * (len(text) - len(old))
        if os.pwrite(descriptor, room, len(old)) < len(room):
            raise OSError("no space left on device")
        os.pwrite(descriptor, text.ljust(len(old)), 0)
        os.ftruncate(descriptor, len(text))


def utc() -> str:
    """Give the time, as UTC text."""
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"


class Log:
    """The lines on stderr, which is a file: written by a thread of its own, since its disk may hang for ever."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._has_thread = False

    def start(self) -> None:
        """Start the thread; without one, lines are written where they are said."""
        with suppress(RuntimeError, MemoryError):
            threading.Thread(target=self._serve, daemon=True).start()
            self._has_thread = True

    def say(self, line: bytes) -> None:
        """Take a line, and wait for nothing."""
        if not self._has_thread:
            _print(line)
        elif self._waiting.qsize() < LOG_LINES:
            self._waiting.put(line)

    def finish(self) -> None:
        """Wait until all is written, for `DISK_LIMIT_S` seconds at most."""
        written = threading.Event()
        self._waiting.put(written)
        if self._has_thread:
            written.wait(DISK_LIMIT_S)

    def _serve(self) -> None:
        while True:
            said = self._waiting.get()
            if isinstance(said, threading.Event):
                said.set()
            else:
                _print(said)


def _print(line: bytes) -> None:
    with suppress(OSError):
        os.write(2, line)


LOG = Log()


def complain(text: str) -> None:
    """Say something on stderr; that it is full, or hangs, is no reason to fail."""
    with suppress(ValueError, MemoryError):
        LOG.say((text + "\n").encode("utf-8", "replace"))


# Backends: read, move, hand_over, take_back, affected, violations, cuts, blocked, open, close, abort; limits_a, versions, labels


def make_backend(name: str, config: dict[str, Any], printed: Callable[[], str]) -> Any:
    """Make a backend, whose supplies are not open yet; None for the one that controls no rail.

    Raises:
        Fault: there is no such backend, or it cannot be loaded.
    """
    if name == "none":
        return None
    if name == "simulated":
        sys.path.insert(0, config["calseq"])
        from calseq.power.simulated import SimulatedBackend  # noqa: PLC0415 - only here the guard needs calseq

        return SimulatedBackend(Path(config["folder"]))
    if name != "icicle":
        raise Fault(f"no such backend: {name!r}")
    path = Path(__file__).resolve().with_name("icicle.py")
    spec = importlib.util.spec_from_file_location("calseq_power_icicle", str(path))
    if spec is None or spec.loader is None:
        raise Fault(f"cannot load '{path}'")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    wait_s = float(config.get("lock_wait_s", module.LOCK_WAIT_S))
    return module.IciclePower(config["instruments"], config["channels"], printed, wait_s)


# The process


class Guard:
    """Serves one parent over two descriptors until that is gone, and then leaves the bench safe."""

    def __init__(self, requests: int, replies: int, printed: Callable[[], str]) -> None:
        self._requests = requests
        self._replies = replies
        self._printed = printed
        self._scribe, self._last_words = Scribe(), Scribe()
        self._journal = Journal(self._scribe)
        self._locks = Locks()
        self._terminal = Terminal(None, self._last_words)
        self._hands: Hands | None = None
        self._reserve: Reserve | None = None
        self._buffer = b""
        self._queue: list[dict[str, Any]] = []
        self._lost = ""
        self._closing: Any = None
        self._ending = False
        self._job: Job | None = None
        self._inline: Job | None = None
        self._hung: dict[str, tuple[Job, str]] = {}
        self._open = False
        self._backend: Any = None
        self._making: Any = None
        self._looks = False
        self._mark = ""
        self._limits_s: dict[str, float] = {}
        self._graces_s = dict(GRACES_S)
        self._waits_s: tuple[float, ...] = SAFE_WAITS_S
        self._unknown_s, self._unknown_every_s = UNKNOWN_S, UNKNOWN_EVERY_S
        self._child: tuple[int, int] | None = None
        self._child_limit = 0
        self._child_graces_s: dict[str, float] = {}
        self._child_due_s = math.inf
        self._handed: set[str] = set()
        self._watch = Watch()
        self._poll_s = POLL_S
        self._next_poll_s = math.inf
        self._unreadable = 0
        self._is_lost_told = False
        self._act_due_s = math.inf
        self._silence_s, self._answer_s = SILENCE_S, ANSWER_S
        self._heard_s = time.monotonic()
        self._is_silence_told = False
        self._signals: list[str] = []
        self._do: dict[str, Callable[[dict[str, Any]], Any]] = {
            "ping": lambda _: self._ping(),
            "open": self._do_open,
            "read": lambda _: {"readings": self._read()},
            "move": lambda request: {"readings": self._move(request["move"])},
            "hand_over": self._hand_over,
            "take_back": lambda request: {"readings": self._take_back(roles_of(request))},
            "child": self._register,
            "heard": lambda _: self._acknowledge(),
            "abort": lambda _: self._abort(True),
            "violations": lambda _: {"violations": self._violations()},
            "safe": lambda _: self._safe_off(),
            "close": self._close,
        }
        self._awake, self._wake = os.pipe()
        os.set_blocking(self._awake, False)
        os.set_blocking(self._wake, False)
        self._heard = selectors.DefaultSelector()
        self._heard.register(self._awake, selectors.EVENT_READ)
        self._heard.register(requests, selectors.EVENT_READ)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        self._survive_signals()

    def run(self) -> int:
        """Serve until the parent is gone, make the bench safe, and give the exit code."""
        try:
            while not self._lost:
                self._turn()
        except Ending:
            pass
        except BaseException as error:  # noqa: BLE001 - whatever it is, the bench comes first
            why = type(error).__name__
            with suppress(BaseException):
                why = words(error)
                complain(traceback.format_exc())
            self._lose(f"a bug in the guard: {why}")
        return self._end()

    # Signals

    def _survive_signals(self) -> None:
        """Handle whatever signal would end this process: only the parent's end, or its time, ends the guard."""
        unheeded = {"SIGTTIN", "SIGTTOU", "SIGTSTP", "SIGPIPE", "SIGXFSZ"}
        left = {"SIGKILL", "SIGSTOP", "SIGCONT", "SIGCHLD", "SIGCLD", "SIGWINCH", "SIGURG"}
        # of their own accord these come of a fault in the program, and would come again for ever
        left |= {"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS"}
        for number in signal.valid_signals():
            name = getattr(number, "name", f"signal {int(number)}")
            if name not in left:
                with suppress(OSError, ValueError):
                    signal.signal(number, signal.SIG_IGN if name in unheeded else self._take_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())

    def _take_signal(self, number: int, _frame: Any) -> None:
        job = self._inline
        if number == signal.SIGALRM and job is not None and time.monotonic() >= job.deadline_s:
            self._inline = None
            raise Fault(f"{job.what} did not answer within {job.limit_s:g} s")
        if number == signal.SIGXCPU and is_out_of_time():
            self._lose("SIGXCPU: the processor time that this process may use is running out")
        elif len(self._signals) < 100:
            self._signals.append(signal.Signals(number).name if number < 32 else f"signal {number}")

    # Requests

    def _turn(self) -> None:
        """Serve one request, or look at the rails when that is due, or wait; and see that calseq still speaks."""
        self._note_signals()
        now_s = time.monotonic()
        if self._queue:
            self._serve(self._queue.pop(0))
            self._next_poll_s = time.monotonic() + self._poll_s
        elif now_s >= self._next_poll_s and self._watching():
            self._poll()
            self._next_poll_s = time.monotonic() + self._poll_s
        else:
            self._listen(self._wait_s(now_s))
        self._check_parent()

    def _wait_s(self, now_s: float) -> float | None:
        """Give for how long there is nothing to do; None for as long as nothing comes."""
        if not self._open:
            return None
        due_s = [self._heard_s + self._silence_s if not self._is_silence_told else math.inf, self._act_due_s]
        if self._is_silence_told:
            due_s.append(now_s + min(self._poll_s, 1.0))
        if self._watching():
            due_s.append(self._next_poll_s)
        return min(max(0.0, min(due_s) - now_s), 60.0)

    def _note_signals(self) -> None:
        while self._signals:
            self._journal.note("signal", name=self._signals.pop(0))

    def _listen(self, wait_s: float | None) -> None:
        for key, _ in self._heard.select(wait_s):
            if key.fd == self._requests:
                self._hear()
            else:
                with suppress(OSError):
                    os.read(key.fd, 4096)

    def _hear(self) -> None:
        try:
            data = os.read(self._requests, 1 << 16)
        except OSError as error:
            data = b""
            self._lose(f"stdin: {words(error)}")
        if not data:
            self._heard.unregister(self._requests)
            self._lose("end of file: the parent is gone")
        self._heard_s, self._is_silence_told = time.monotonic(), False
        lines = (self._buffer + data).split(b"\n")
        self._buffer = lines.pop()
        for line in lines:
            self._take(line)
        if len(self._buffer) > MAX_LINE:
            self._lose("a line that is too long")

    def _take(self, line: bytes) -> None:
        """Take in one line. What needs no supply is answered at once, even while a ramp runs."""
        try:
            request = json.loads(line) if len(line) <= MAX_LINE else None
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            self._send({"id": None, "error": "not a request"})
            self._lose("a line that is not a request")
        elif request.get("do") in ("ping", "child", "heard", "abort"):
            self._serve(request)
        else:
            self._act_due_s = math.inf
            urgent = request.get("do") in ("safe", "close")
            self._queue.insert(0 if urgent else len(self._queue), request)
            if urgent:
                self._abort(True)

    def _serve(self, request: dict[str, Any]) -> None:
        name = request.get("do")
        try:
            handle = self._do.get(str(name))
            if handle is None:
                raise Fault(f"no such request: {name!r}")
            reply = {"ok": handle(request)}
        except Fault as fault:
            reply = {"error": str(fault)}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            complain(traceback.format_exc())
            reply = {"error": f"bad request '{name}': {words(error)}"}
        if (not self._closing or name == "ping") and ("id" in request or "error" in reply):
            self._send({"id": request.get("id"), **reply})
        if "error" in reply:
            self._journal.note("refused", request=name, reason=reply["error"])

    def _send(self, message: dict[str, Any]) -> None:
        """Answer the parent; one that does not read is as good as gone."""
        data = json.dumps(message).encode() + b"\n"
        ready = select.poll()
        ready.register(self._replies, select.POLLOUT)
        try:
            while data:
                if not ready.poll(REPLY_LIMIT_S * 1000):
                    raise OSError("nobody reads it")
                data = data[os.write(self._replies, data[: select.PIPE_BUF]) :]
        except OSError as error:
            self._lose(f"stdout: {words(error)}")

    def _lose(self, reason: str) -> None:
        self._lost = self._lost or reason

    def _ping(self) -> dict[str, Any]:
        hung = [reason for job, reason in self._hung.values() if not job.done.is_set()]
        return {
            "pid": os.getpid(),
            "busy": self._job.what if self._job else None,
            "stuck": "; ".join(dict.fromkeys(hung)) or None,
        }

    def _do_open(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._open:
            raise Fault("the supplies are open already")
        self._prepare()
        self._journal.open(request["journal"])
        self._terminal = Terminal(request.get("terminal"), self._last_words)
        self._mark = str(request.get("mark") or "")
        self._limits_s = {str(key): float(value) for key, value in (request.get("timeouts") or {}).items()}
        self._graces_s = {**GRACES_S, **graces_s(request)}
        self._waits_s = tuple(float(wait) for wait in request.get("retries_s") or SAFE_WAITS_S)
        self._poll_s = float(request.get("poll_s") or POLL_S)
        self._silence_s = float(request.get("silence_s") or SILENCE_S)
        self._answer_s = float(request.get("answer_s") or ANSWER_S)
        self._looks = bool(request.get("looks"))
        folder = os.path.dirname(request["journal"])  # noqa: PTH120
        self._locks.open(request.get("locks") or (), str(request.get("run") or ""), folder)
        tries = request.get("unknown") or {}
        self._unknown_s = float(tries.get("for_s", UNKNOWN_S))
        self._unknown_every_s = float(tries.get("every_s", UNKNOWN_EVERY_S))
        name, config = request["backend"], request.get("config") or {}
        self._journal.note("opening", backend=name, run=request.get("run"), pid=os.getpid())
        backend = self._run("open", "open", lambda: self._opened(name, config))
        self._open, self._backend = True, backend
        versions = {"protocol": PROTOCOL, "python": platform.python_version()}
        versions.update(backend.versions if backend else {})
        readings = self._read() if backend else nothing_read()
        self._journal.note("open", backend=name, readings=readings, versions=versions)
        return {"readings": readings, "versions": versions}

    def _opened(self, name: str, config: dict[str, Any]) -> Any:
        self._making = backend = make_backend(name, config, self._printed)
        if backend is not None:
            backend.open()
        return backend

    def _prepare(self) -> None:
        """Make what the safe end may need, as long as it can be had.

        Raises:
            Fault: it cannot be had; then nothing is opened.
        """
        if self._hands is not None:
            return
        lift_limits()
        try:
            self._reserve = Reserve()
            for scribe in (self._scribe, self._last_words, self._locks.scribe):
                scribe.hand = Hand()
        except (OSError, RuntimeError, MemoryError) as error:
            raise Fault(f"the guard cannot have what its safe end may need: {words(error)}") from error
        self._hands = Hands(HANDS)

    def _register(self, request: dict[str, Any]) -> dict[str, Any]:
        pid, start = request.get("pid"), request.get("start")
        if pid is None:
            self._child, self._child_graces_s, self._child_due_s = None, {}, math.inf
        else:
            stat = stat_of(int(pid))
            self._child_graces_s = graces_s(request)
            self._child = (int(pid), int(start) if start is not None else stat["start"] if stat else -1)
            self._child_limit = int(request.get("limit") or 0)
            timeout_s = request.get("timeout_s")
            self._child_due_s = math.inf if timeout_s is None else time.monotonic() + float(timeout_s)
            self._journal.note("child", sync=False, pid=pid, start=self._child[1])
        return {}

    def _violations(self) -> list[str]:
        if self._backend is None:
            return []
        found: list[str] = self._run("violations", "read", self._backend.violations)
        return found

    def _close(self, request: dict[str, Any]) -> None:
        self._closing = (request.get("id"),)
        self._lose("close")

    # Whether calseq is there

    def _check_parent(self) -> None:
        """Go to the safe end if calseq is silent, or does not act on lost power."""
        now_s = time.monotonic()
        if now_s >= self._act_due_s:
            self._lose(f"power was lost, and calseq has not acted on it for {self._answer_s:g} s")
        silent_s = now_s - self._heard_s
        if not self._open or silent_s < self._silence_s:
            return
        if not self._is_silence_told:
            # both may have been frozen, and have woken up: what calseq says is on its way then
            self._listen(min(GRACE_OF_SILENCE_S, self._silence_s))
            now_s = time.monotonic()
            silent_s = now_s - self._heard_s
            if silent_s < self._silence_s or self._lost:
                return
        if not self._child_lives():
            if self._may_be_on():
                self._lose(f"calseq has said nothing for {silent_s:.0f} s, and no step runs")
        elif now_s >= self._child_due_s:
            self._lose(f"calseq has said nothing for {silent_s:.0f} s, and the step's time is over")
        elif not self._is_silence_told:
            self._journal.note("silent", seconds=round(silent_s, 1))
            left = self._child_due_s - now_s
            when = (
                f"in {left:.0f} s, at the step's time-out" if left < math.inf else "when the step has ended"
            )
            self._terminal.say(
                f"calseq has said nothing for {silent_s:.0f} s: if it stays so, its guard ends the step,"
                f" then HV, then LV {when}"
            )
        self._is_silence_told = True

    def _child_lives(self) -> bool:
        stat = stat_of(self._child[0]) if self._child else None
        return bool(stat and self._child and stat["start"] == self._child[1] and not stat["ended"])

    def _may_be_on(self) -> bool:
        """A rail is not known to be off, or somebody else's to switch."""
        return self._backend is not None and any(
            rail in self._handed or self._watch.wanted[rail] is not False for rail in RAILS
        )

    def _acknowledge(self) -> dict[str, Any]:
        """calseq has heard that power was lost: it gets the time that the end of its child takes."""
        if self._act_due_s < math.inf:
            graces = {**self._graces_s, **self._child_graces_s} if self._child else {}
            self._act_due_s = time.monotonic() + self._answer_s + sum(graces.values())
        return {}

    # Supplies

    def _run(self, what: str, kind: str, action: Callable[[], Any], rail: str = "") -> Any:
        """Have something done by a hand, listening meanwhile.

        Raises:
            Fault: it failed, or did not come back in its time; then its rail counts as stuck until it does.
            Ending: the parent is gone meanwhile.
        """
        if not self._ending and (stuck := self._stuck(rail)):
            raise Fault(stuck)
        limit_s = self._limits_s.get(kind, OTHER_LIMIT_S if kind == "read" else MOVE_LIMIT_S)
        job = Job(what, limit_s, action, self._wake)
        hand = self._hands.idle() if self._hands else None
        if hand is None and not self._ending:
            raise Fault(f"{what} cannot be done: everything that was asked before hangs")
        self._job = job
        if hand is None:
            self._do_inline(job)
        else:
            hand.give(job)
        self._await(job, rail)
        self._job = None
        if job.error:
            raise Fault(job.error)
        return job.value

    def _stuck(self, rail: str) -> str:
        """Say what was asked of a rail and hangs still; without a rail, of any."""
        for name, (job, reason) in list(self._hung.items()):
            if job.done.is_set():
                del self._hung[name]
            elif rail in ("", name):
                return reason
        return ""

    def _do_inline(self, job: Job) -> None:
        """Do a job here, in the main thread, cut short by an alarm: every hand hangs in something else."""
        self._inline = job
        with suppress(OSError, ValueError):
            signal.setitimer(signal.ITIMER_REAL, job.limit_s + 0.05)
        job.work()
        self._inline = None
        with suppress(OSError, ValueError):
            signal.setitimer(signal.ITIMER_REAL, 0)
        job.finish()

    def _await(self, job: Job, rail: str = "") -> None:
        while not job.done.is_set():
            left_s = job.deadline_s - time.monotonic()
            if left_s <= 0:
                self._job = None
                reason = f"{job.what} did not answer within {job.limit_s:g} s{self._blocked()}"
                self._hung[rail or job.what] = (job, reason)
                self._abort(True)  # a ramp upwards that was given up must not go on when its supply is back
                self._journal.note("stuck", reason=reason)
                raise Fault(reason)
            if self._ending:
                self._attend(left_s)
            elif self._lost:
                raise Ending
            else:
                self._listen(min(left_s, 60.0))

    def _blocked(self) -> str:
        """Name whoever else holds the supplies' own locks, as far as that can be seen."""
        found: list[str] = []
        with suppress(Exception):
            found = list(self._making.blocked()) if self._making is not None else []
        return f": {'; '.join(found)}" if found else ""

    def _abort(self, asked: bool) -> None:
        if self._backend is not None:
            self._backend.abort(asked)

    def _held(self) -> Any:
        if self._backend is None:
            raise Fault(
                "no rail is controlled: dirigent switches the supplies itself" if self._open else "not open"
            )
        return self._backend

    def _seen(self, rails: Iterable[str] = RAILS) -> dict[str, Any]:
        """Read rails back, inside a job, and give that as far as it can be believed."""
        readings = self._held().read(rails)
        for name in rails:
            self._watch.outputs[name] = readings[name].pop("outputs", {})
        return {
            name: unread("handed over") if name in self._handed else sound(reading)
            for name, reading in readings.items()
        }

    def _read(self) -> dict[str, Any]:
        """Read both rails back, one by one: one that hangs does not hide the other."""
        self._held()
        readings = {}
        for rail in ("hv", "lv"):
            try:
                readings[rail] = self._read_rail(rail)
            except Fault as fault:
                readings[rail] = unread(str(fault))
        return {rail: readings[rail] for rail in RAILS}

    def _read_rail(self, rail: str) -> dict[str, Any]:
        found: dict[str, Any] = self._run(f"read {rail}", "read", lambda: self._seen([rail]), rail)
        return dict(found[rail])

    def _move(self, move: str) -> dict[str, Any]:
        """Carry out a move and read both rails back."""
        self._switch(move)
        readings = self._read()
        self._watch.moved(*MOVES[move])
        self._journal.note("moved", move=move, readings=readings)
        return readings

    def _switch(self, move: str) -> None:
        """Carry out a move, if a fresh reading shows that it breaks no interlock."""
        backend = self._held()
        if move not in MOVES:
            raise Fault(f"no such move: {move!r}")
        rail, on = MOVES[move]
        if rail in self._handed:
            raise Fault(f"refused: {move} while {rail} is handed over")

        def action() -> None:
            # HV off is always right. The others read the other rail only: this one may be what does not answer.
            refused = refusal(move, self._seen(["lv" if rail == "hv" else "hv"])) if move != "hv-off" else ""
            if refused:
                raise Fault(refused)
            self._watch.forget([rail])
            backend.move(move)

        if move == "hv-bias" and not self._stuck(rail):
            backend.abort(False)
        self._journal.note("moving", move=move)
        try:
            self._run(move, "move", action, rail)
        except Fault as fault:
            self._journal.note("move-failed", move=move, reason=str(fault))
            raise
        finally:
            self._tell_cuts()
        self._watch.wanted[rail] = on
        self._is_lost_told, self._unreadable = False, 0

    def _tell_cuts(self) -> None:
        """Say where HV went off without its ramp."""
        for reason in self._backend.cuts():
            self._journal.note("cut", reason=reason)
            if self._lost and not self._closing:
                self._terminal.say(reason)
            else:
                self._send({"event": "cut", "reason": reason})

    def _hand_over(self, request: dict[str, Any]) -> dict[str, Any]:
        backend, roles = self._held(), roles_of(request)
        affected = backend.affected(roles)

        def action() -> None:
            readings = self._seen()
            fresh = affected - self._handed
            if fresh & set(RAILS) and not hv_gone(readings) and "hv" not in self._handed:
                raise Fault(
                    f"refused: {sorted(fresh)} cannot be handed over while {shown_rail('hv', readings['hv'])}"
                )
            if "lv" in fresh and readings["lv"]["on"] is not False:
                raise Fault(f"refused: lv cannot be handed over while {shown_rail('lv', readings['lv'])}")
            self._handed.update(affected)
            backend.hand_over(affected)

        self._run("hand_over", "hand_over", action)
        self._watch.forget(affected & set(RAILS))
        self._journal.note("handed-over", roles=sorted(affected))
        return {"roles": sorted(self._handed)}

    def _take_back(self, wanted: list[str]) -> dict[str, Any]:
        backend = self._held()
        roles = backend.affected(wanted)

        def action() -> dict[str, Any]:
            backend.take_back(roles)
            self._handed.difference_update(roles)
            return self._seen()

        readings: dict[str, Any] = self._run("take_back", "take_back", action)
        for rail in roles & set(RAILS):
            is_off = hv_gone(readings) if rail == "hv" else readings[rail]["on"] is False
            self._watch.wanted[rail] = False if is_off else None
        self._journal.note("taken-back", roles=sorted(roles), readings=readings)
        return readings

    # The watch

    def _watching(self) -> bool:
        return self._backend is not None and not set(RAILS) <= self._handed

    def _poll(self) -> None:
        """Compare the rails with what the last moves established; say so once when they differ."""
        readings = self._read()
        held = [name for name in RAILS if name not in self._handed]
        blind = [
            name for name in held if readings[name]["on"] is None and readings[name]["voltage_v"] is None
        ]
        self._unreadable = self._unreadable + 1 if blind else 0
        reasons = [self._watch.difference(name, readings[name], self._backend.limits_a) for name in held]
        if self._unreadable >= UNREADABLE_TIMES or any(self._stuck(name) for name in blind):
            reasons.append("; ".join(shown_rail(name, readings[name]) for name in blind))
        reason = "; ".join(part for part in reasons if part)
        if reason and not self._is_lost_told:
            self._is_lost_told = True
            self._act_due_s = time.monotonic() + self._answer_s
            self._journal.note("power-lost", reason=reason, readings=readings)
            self._send({"event": "power-lost", "reason": reason, "readings": readings})

    # The safe end

    def _surely(self, do: Callable[[], Any]) -> None:
        """Do it; nothing that it raises may keep the rails from what comes next."""
        try:
            do()
        except BaseException:  # noqa: BLE001
            with suppress(BaseException):
                complain(traceback.format_exc())

    def _end(self) -> int:
        """End the child's tree, make the rails safe, leave a record of it, and give the exit code.

        Nothing before the rails may raise, whatever is short by now.
        """
        self._ending = True
        if self._reserve is not None:
            self._surely(self._reserve.release)
        self._surely(lift_limits)
        self._surely(self._note_signals)
        self._surely(lambda: self._journal.note("ending", reason=self._lost))
        if not self._closing:
            self._surely(
                lambda: self._terminal.say(
                    f"the run was broken off ({self._lost}): its guard ends the step, then HV, then LV"
                )
            )
        self._surely(lambda: self._abort(True))
        self._surely(self._end_child)
        self._surely(self._settle)
        verdict = self._surely_safe_off()
        self._surely(lambda: self._locks.conclude(verdict["confirmed"]))
        if verdict["confirmed"] is False:
            self._surely(lambda: self._leave_unknown(verdict))
            verdict = self._try_on(verdict)
        elif self._backend is not None:
            with suppress(Fault):
                self._run("close", "close", self._backend.close)
        return self._say_last(verdict)

    def _surely_safe_off(self) -> dict[str, Any]:
        try:
            return self._safe_off()
        except BaseException as error:  # noqa: BLE001 - then nothing is known, and that is said
            self._surely(lambda: complain(traceback.format_exc()))
            return {"confirmed": False, "readings": nothing_read(), "reason": type(error).__name__}

    def _say_last(self, verdict: dict[str, Any]) -> int:
        code = 4 if verdict["confirmed"] is False else 0
        self._surely(lambda: self._journal.note("ended", exit_code=code, **verdict))
        if self._closing:
            self._surely(lambda: self._send({"id": self._closing[0], "ok": verdict}))
        else:
            self._surely(lambda: self._send({"event": "ended", "cause": self._lost, **verdict}))
            self._surely(lambda: self._terminal.say(self._outcome_of(verdict)))
        return code

    def _end_child(self) -> None:
        graces = {**self._graces_s, **self._child_graces_s}
        tree = Tree(self._child, self._mark, self._child_limit)
        try:
            left = tree.end(graces, self._journal.note, self._attend)
        except BaseException:
            if self._child:
                end_group(self._child[0], graces, self._journal.note, self._attend)
            raise
        if left:
            self._journal.note("child-not-ended", processes=_named(left))

    def _settle(self) -> None:
        """Wait for what was under way when the parent was lost."""
        if self._job is not None:
            job, self._job = self._job, None
            with suppress(Fault):
                self._await(job)
                if job.what == "open" and self._backend is None:
                    self._backend = job.value  # what it opened is held, and has to be left safe

    def _safe_off(self) -> dict[str, Any]:
        """HV off, then LV off, both read back; a few tries, but one only where something hangs."""
        if self._backend is None:
            why = "no rail is controlled" if self._open else "the supplies were not opened"
            return {"confirmed": None, "readings": nothing_read(), "reason": why}
        if self._looks:
            return {
                "confirmed": None,
                "readings": nothing_read(),
                "reason": "it was to look, and to move nothing",
            }
        readings, reasons = nothing_read(), ["it was not tried"]
        for number, wait_s in enumerate(self._waits_s, 1):
            self._pause(wait_s)
            readings, reasons, hung = self._try_safe_off()
            self._journal.note(
                "safe-off", attempt=number, confirmed=all_off(readings), readings=readings, reasons=reasons
            )
            if all_off(readings):
                return {"confirmed": True, "readings": readings, "reason": ""}
            if hung:
                break
        return {"confirmed": False, "readings": readings, "reason": "; ".join(dict.fromkeys(reasons))}

    def _try_safe_off(self) -> tuple[dict[str, Any], list[str], bool]:
        """Try once. LV stays on under an HV that is not confirmed to be gone.

        Whatever hung before gets another hand, and what hangs now does not keep the rest from being tried.
        """
        reasons: list[str] = []
        self._hung.clear()

        def attempt(action: Callable[[], Any]) -> Any:
            try:
                return action()
            except Fault as fault:
                reasons.append(str(fault))
            except MemoryError:
                reasons.append("MemoryError")
            return None

        def read(rail: str) -> dict[str, Any]:
            return attempt(lambda: self._read_rail(rail)) or unread(reasons[-1])

        for role in sorted(self._handed & set(RAILS)):
            attempt(functools.partial(self._take_back, [role]))
        readings = {"hv": read("hv"), "lv": unread("")}
        if not hv_gone(readings):
            attempt(lambda: self._switch("hv-off"))
            readings["hv"] = read("hv")
        readings["lv"] = read("lv")
        if not hv_gone(readings):
            stays = "" if readings["lv"]["on"] is False else ", so LV stays on"
            reasons.append(f"HV is not confirmed off{stays}: {shown(readings)}")
        elif readings["lv"]["on"] is not False:
            attempt(lambda: self._switch("lv-off"))
            readings = {"hv": read("hv"), "lv": read("lv")}
            if not all_off(readings):
                reasons.append(f"LV is not confirmed off: {shown(readings)}")
        return readings, reasons, bool(self._hung)

    def _leave_unknown(self, verdict: dict[str, Any]) -> None:
        """Say that off is not confirmed: in a marker, the record, to calseq and on its terminal."""
        self._journal.leave(MARKER, self._unknown(verdict))
        self._journal.note("unknown", tries_on_s=self._unknown_s, **verdict)
        if self._closing:
            self._send({"id": self._closing[0], "ok": verdict})
            self._closing = None
        else:
            self._terminal.say(self._unknown(verdict))

    def _try_on(self, verdict: dict[str, Any]) -> dict[str, Any]:
        """Go on trying the safe end; correct the marker when it is confirmed.

        SIGUSR2 asks for a try at once; SIGTERM or SIGINT for a last one.
        """
        since, until_s = utc(), time.monotonic() + self._unknown_s
        self._signals.clear()
        is_last = self._unknown_s <= 0
        while not is_last:
            is_last = self._rest(min(self._unknown_every_s, max(0.0, until_s - time.monotonic())))
            is_last = is_last or time.monotonic() >= until_s
            verdict = self._tried_again(verdict)
            reason = verdict["reason"]
            self._surely(lambda: self._journal.note("tried-again", reason=reason))  # noqa: B023 - at once
            if verdict["confirmed"]:
                self._surely(lambda: self._locks.conclude(True))
                text = self._corrected(verdict, since)
                self._surely(lambda: self._journal.leave(MARKER, text))  # noqa: B023 - at once
                break
        return verdict

    def _tried_again(self, verdict: dict[str, Any]) -> dict[str, Any]:
        """Try once more, on connections opened anew; what hangs still is waited for, not asked again."""
        if self._stuck(""):
            return verdict
        try:
            for rail in ("hv", "lv"):  # one that is away does not keep the other on
                with suppress(Fault):
                    again = functools.partial(self._backend.take_back, {rail})
                    self._run("open again", "take_back", again, rail)
            readings, reasons, _ = self._try_safe_off()
        except BaseException as error:  # noqa: BLE001 - the next try may succeed
            return {**verdict, "reason": words(error)}
        if all_off(readings):
            with suppress(Fault):
                self._run("close", "close", self._backend.close)
            return {"confirmed": True, "readings": readings, "reason": ""}
        return {"confirmed": False, "readings": readings, "reason": "; ".join(dict.fromkeys(reasons))}

    def _rest(self, wait_s: float) -> bool:
        """Wait, with the instruments let go of for whoever comes to the bench; tell whether a signal says that it is enough."""
        if not self._stuck(""):
            with suppress(Fault):
                self._run("close", "close", self._backend.close)
        until_s = time.monotonic() + wait_s
        while (left_s := until_s - time.monotonic()) > 0:
            if {"SIGTERM", "SIGINT"} & set(self._signals):
                return True
            if "SIGUSR2" in self._signals:
                self._signals.clear()
                return False
            select.select([self._awake], [], [], left_s)
            with suppress(OSError):
                os.read(self._awake, 4096)
        return False

    def _pause(self, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        while time.monotonic() < until_s:
            left_s = max(0.0, until_s - time.monotonic())
            if self._ending:
                self._attend(left_s)
            elif self._lost:
                raise Ending
            else:
                self._listen(left_s)

    def _attend(self, wait_s: float) -> None:
        """Let time pass in the safe end; a parent that is there gets an answer to its pings. Raises nothing."""
        try:
            self._listen(min(max(wait_s, 0.0), 1.0))
        except BaseException:  # noqa: BLE001 - whatever is short: the rails come first
            time.sleep(0.02)

    def _outcome_of(self, verdict: dict[str, Any]) -> str:
        """Write how the bench was left, for the terminal."""
        if verdict["confirmed"]:
            return CONFIRMED
        if self._backend is None:
            return f"{verdict['reason']}: read HV and LV at the supplies"
        return self._unknown(verdict)

    def _unknown(self, verdict: dict[str, Any]) -> str:
        """Write what somebody has to know who finds a bench like this."""
        return "\n".join(
            [
                UNKNOWN,
                f"at {utc()}, because: {verdict['reason']}",
                f"the guard was ending because: {self._lost}",
                f"last readings: {shown(verdict['readings'])}",
                "",
                "Ramp HV down to 0 V and switch it off by hand, then LV:",
                *(f"  {label}" for label in self._backend.labels),
                "",
            ]
        )

    @staticmethod
    def _corrected(verdict: dict[str, Any], since: str) -> str:
        """Write that a bench that was unknown is safe after all."""
        return "\n".join(
            [
                CONFIRMED,
                f"at {utc()}, by the guard, which went on trying: {shown(verdict['readings'])}",
                f"From {since} until then it was not known whether HV and LV were off.",
                "",
            ]
        )


def graces_s(request: dict[str, Any]) -> dict[str, float]:
    """Read the graces of a request, in seconds."""
    return {key: float(value) for key, value in (request.get("graces") or {}).items() if key in GRACES_S}


def roles_of(request: dict[str, Any]) -> list[str]:
    """Read the roles of a request.

    Raises:
        Fault: one of them is no role.
    """
    roles = [str(role) for role in request["roles"]]
    wrong = [role for role in roles if role not in ROLES]
    if wrong:
        raise Fault(f"no such role: {', '.join(wrong)}")
    return roles


def nothing_read() -> dict[str, Any]:
    """Give the readings of rails that nobody read."""
    return {name: unread("") for name in RAILS}


class Overheard(io.TextIOBase):
    """A stdout for libraries: what they print goes to stderr, and its end is kept for when they ask questions."""

    def __init__(self) -> None:
        super().__init__()
        self._tail = ""

    def write(self, text: str) -> int:
        """Keep the text, and pass it on."""
        self._tail = (self._tail + text)[-8192:]
        complain(text.rstrip("\n"))
        return len(text)

    def take(self) -> str:
        """Give what was printed since the last time, without colours."""
        text, self._tail = self._tail, ""
        return re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", text)


def main() -> int:
    """Move the protocol away from stdin and stdout, which belong to the libraries from here on, and serve."""
    here = str(Path(__file__).resolve().parent)
    # Python puts a script's folder first on its path, and there icicle.py is not icicle.
    sys.path[:] = [path for path in sys.path if os.path.realpath(path or ".") != here]
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    LOG.start()
    heard = Overheard()
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for as long as the process lives
    sys.stdout = heard
    sys.stderr = Overheard()
    return Guard(requests, replies, heard.take).run()


if __name__ == "__main__":
    try:
        code = main()
    except BaseException:  # noqa: BLE001 - nothing may end this process without an exit code that tells
        complain(traceback.format_exc())
        code = 4
    with suppress(BaseException):
        LOG.finish()
    os._exit(code)
