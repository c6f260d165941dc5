"""The guard: a small process that holds the supplies, and leaves the bench safe when everything else is gone.

It is run as a file, by the interpreter that can import the supplies' library, so it needs nothing but a
Python of 3.8 or later. It answers JSON lines: `{"id": 1, "do": "read"}` with `{"id": 1, "ok": ...}` or
`{"id": 1, "error": "reason"}`; unasked it says `{"event": "power-lost", "reason": ..., "readings": ...}`.

Whoever asks, it makes no move that breaks an interlock. When its parent is gone (end of file, a broken
pipe, a line that is no request) or at SIGTERM it ends the child's whole tree, then switches HV off, then
LV off, reads both back, and exits with 0 if that is confirmed and with 4 if not.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import json
import math
import os
import platform
import re
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

PROTOCOL = 1
V_SAFE = 2.0
"""|HV| in volts up to which the bias counts as gone."""
LV_GONE_V = 0.1
AT_COMPLIANCE = 0.98
MAX_LINE = 1 << 20
MOVE_LIMIT_S = 240.0
OTHER_LIMIT_S = 30.0
DISK_LIMIT_S = 2.0
REPLY_LIMIT_S = 5.0
POLL_S = 2.0
UNREADABLE_TIMES = 3
GRACES_S = {"interrupt": 180.0, "terminate": 10.0, "kill": 5.0}
SAFE_WAITS_S = (0.0, 1.0, 3.0)
RAILS = ("lv", "hv")
ROLES = ("lv", "hv", "ab", "cb", "hb")
MOVES = {"hv-off": ("hv", False), "lv-off": ("lv", False), "lv-on": ("lv", True), "hv-bias": ("hv", True)}
UNKNOWN = "HARDWARE STATE UNKNOWN - HV may be on"
MARKER = "HARDWARE-STATE-UNKNOWN.txt"


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


def deviation(name: str, rail: dict[str, Any], wanted: bool | None, compliance_a: float | None) -> str:
    """Say how a rail differs from what the last move established; nothing if it does not or is unreadable."""
    volts, amps = rail["voltage_v"], rail["current_a"]
    if wanted is None or (rail["on"] is None and volts is None):
        return ""
    seen = shown_rail(name, rail)
    if rail["on"] is not wanted:
        return f"{seen}, and should be {'on' if wanted else 'off'}"
    if wanted and volts is not None and abs(volts) <= (V_SAFE if name == "hv" else LV_GONE_V):
        return f"{seen}, and should be on"
    if not (wanted and name == "hv" and compliance_a and amps is not None):
        return ""
    at_limit = abs(amps) >= AT_COMPLIANCE * abs(compliance_a)
    return f"{seen}, which is its compliance of {compliance_a:g} A" if at_limit else ""


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


class Tree:
    """The child, its group, its descendants and all that carry the run's mark, known by pid and start time."""

    def __init__(self, child: tuple[int, int] | None, mark: str) -> None:
        self.child = child
        self._mark = mark.encode()
        self._known: dict[int, int] = {}
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
        return stat["parent"] in self._known or marked(pid, self._mark)

    def end(self, graces_s: dict[str, float], note: Callable[..., None]) -> dict[int, str]:
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
                self._send(number, graces_s[grace], group_only)
        return self.look()

    def _send(self, number: signal.Signals, grace_s: float, group_only: bool) -> None:
        """Signal each once, wake the stopped, and wait. What a child starts to clean up is not interrupted."""
        told: set[tuple[int, int]] = set()
        deadline_s = time.monotonic() + grace_s
        first = True
        while True:
            targets = self.look(group_only=group_only)
            for pid in targets:
                one = (pid, self._known[pid])
                if one not in told and (first or number is not signal.SIGINT):
                    told.add(one)
                    with suppress(OSError):
                        os.kill(pid, number)
                        os.kill(pid, signal.SIGCONT)
            first = False
            if not targets or time.monotonic() >= deadline_s:
                return
            time.sleep(0.05)


def _named(processes: dict[int, str]) -> list[str]:
    return [f"{name} ({pid})" for pid, name in processes.items()]


# The record


class Patience:
    """Does writes that may hang, each for a bounded time; while one hangs, later ones are left out."""

    def __init__(self) -> None:
        self._writer: threading.Thread | None = None

    def do(self, write: Callable[[], None]) -> None:
        """Write, and go on after `DISK_LIMIT_S` seconds at the latest, whatever came of it."""

        def work() -> None:
            try:
                write()
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a disk, the safe end goes on
                complain(f"guard: cannot write: {words(error)}")

        if self._writer is not None and self._writer.is_alive():
            return
        self._writer = threading.Thread(target=work, daemon=True)
        self._writer.start()
        self._writer.join(DISK_LIMIT_S)


class Terminal:
    """Where calseq showed its run: whoever sits there is told if calseq is gone and the guard has to end it."""

    def __init__(self, settings: dict[str, Any] | None) -> None:
        self._fd = -1 if settings is None else int(settings["descriptor"])
        self._restore = "" if settings is None else str(settings["restore"])
        self._patience = Patience()

    def say(self, text: str) -> None:
        """Write lines on it, in bounded time; before the first, what gives the terminal back."""
        if self._fd >= 0:
            clean = re.sub(r"[^\x20-\x7e\n]", "?", text).replace("\n", "\r\n")
            data, self._restore = f"{self._restore}\r\ncalseq: {clean}\r\n".encode(), ""
            self._patience.do(lambda: self._write(data))

    def _write(self, data: bytes) -> None:
        os.write(self._fd, data)


class Journal:
    """The append-only record `guard.jsonl`. A full or hanging disk costs lines of it, and nothing else."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._fd = -1
        self._patience = Patience()
        self._torn = False

    def open(self, path: str) -> None:
        """Open it, for good.

        Raises:
            Fault: it cannot be opened.
        """
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            size = os.fstat(fd).st_size
            # an earlier guard of the same run may have died in the middle of a line
            self._torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        except OSError as error:
            raise Fault(f"cannot open the journal '{path}': {error.strerror}") from error
        if self._fd >= 0:
            os.close(self._fd)
        self._path, self._fd = Path(path), fd

    def note(self, event: str, *, sync: bool = True, **facts: Any) -> None:
        """Append a line and, with `sync`, bring it to the disk itself, in bounded time."""
        line = json.dumps({"time": utc(), "event": event, **facts}, default=str)
        if self._fd >= 0:
            self._patience.do(lambda: self._append(line, sync=sync))

    def leave(self, name: str, text: str) -> None:
        """Leave a file beside the journal, in bounded time."""
        if self._path is not None:
            path = self._path.with_name(name)
            self._patience.do(lambda: _write(path, text))

    def _append(self, line: str, *, sync: bool) -> None:
        data = (("\n" if self._torn else "") + line + "\n").encode()
        self._torn = True
        if os.write(self._fd, data) == len(data):
            self._torn = False
        if sync:
            os.fsync(self._fd)


def _write(path: Path, text: str) -> None:
    fd = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, text.encode())
        os.fsync(fd)
    finally:
        os.close(fd)


def utc() -> str:
    """Give the time, as UTC text."""
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"


def complain(text: str) -> None:
    """Say something on stderr, which is a file; that it is full is no reason to fail."""
    with suppress(OSError, ValueError):
        os.write(2, (text + "\n").encode("utf-8", "replace"))


# Backends: read, move, hand_over, take_back, affected, violations, close, abort; compliance_a, versions, labels


class Simulated:
    """The supplies of a simulated bench, by way of calseq itself, which has to be importable for this one."""

    def __init__(self, config: dict[str, Any]) -> None:
        sys.path.insert(0, config["calseq"])
        from calseq import __version__  # noqa: PLC0415 - only here the guard needs calseq
        from calseq.power.simulated import SimulatedPower  # noqa: PLC0415
        from calseq.rails import Move, Role  # noqa: PLC0415
        from calseq.simulator.supplies import SimulatedBench  # noqa: PLC0415

        folder = Path(config["folder"])
        self._move, self._role = Move, Role
        self._power = SimulatedPower(folder)
        bench = SimulatedBench.open(folder)
        limits = [abs(output.amps) for output in bench.wiring.of(Role.HV)]
        self.compliance_a: float | None = min(limits) if limits else None
        self.versions = {"calseq": __version__}
        self.labels = labels(bench.instruments)

    def read(self, rails: Iterable[str] = RAILS) -> dict[str, Any]:
        """Read rails back."""
        readings = self._power.read()
        known = {"lv": readings.lv, "hv": readings.hv}
        return {
            name: {"on": rail.on, "voltage_v": rail.voltage_v, "current_a": rail.current_a}
            for name, rail in ((name, known[name]) for name in rails)
        }

    def move(self, move: str) -> None:
        """Carry out one move, ramps included."""
        self._power.move(self._move(move))

    def affected(self, roles: Iterable[str]) -> set[str]:
        """Give the roles that are let go of with these."""
        return set(roles)

    def hand_over(self, roles: Iterable[str]) -> None:
        """Close the instruments of these roles."""
        self._power.hand_over([self._role(role) for role in roles])

    def take_back(self, roles: Iterable[str]) -> None:
        """Open them again."""
        self._power.take_back([self._role(role) for role in roles])

    def violations(self) -> list[str]:
        """Give the interlock violations that the bench itself recorded."""
        return list(self._power.violations())

    def abort(self, asked: bool) -> None:
        """A simulated ramp goes on to its end."""

    def close(self) -> None:
        """Let go of the supplies, as they are."""
        self._power.close()


def open_backend(name: str, config: dict[str, Any], printed: Callable[[], str]) -> Any:
    """Open a backend and take its supplies; None for the one that controls no rail.

    Raises:
        Fault: there is no such backend, or it cannot be loaded.
    """
    if name == "none":
        return None
    if name == "simulated":
        return Simulated(config)
    if name != "icicle":
        raise Fault(f"no such backend: {name!r}")
    path = Path(__file__).resolve().with_name("icicle.py")
    spec = importlib.util.spec_from_file_location("calseq_power_icicle", str(path))
    if spec is None or spec.loader is None:
        raise Fault(f"cannot load '{path}'")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.IciclePower(config["instruments"], config["channels"], printed)


def labels(instruments: Any) -> list[str]:
    """Name the instruments with class and address, for somebody who has to go there."""
    return [
        f"{name}: {settings.get('class', '?')} at {settings.get('resource', '?')}"
        for name, settings in instruments.items()
    ]


# The process


class Job:
    """One thing asked of the supplies, done in a thread so that it can be given up."""

    def __init__(self, what: str, limit_s: float, action: Callable[[], Any], wake: int) -> None:
        self.what = what
        self.limit_s = limit_s
        self.deadline_s = time.monotonic() + limit_s
        self.done = threading.Event()
        self.error = ""
        self.value: Any = None
        self._action = action
        self._wake = wake
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        try:
            self.value = self._action()
        except BaseException as error:  # noqa: BLE001 - a library may even call exit() here
            self.error = words(error) or type(error).__name__
            if not type(error).__name__.endswith("Fault"):
                complain("".join(traceback.format_exception(type(error), error, error.__traceback__)))
        self.done.set()
        with suppress(OSError):
            os.write(self._wake, b"\0")


class Guard:
    """Serves one parent over two descriptors until that is gone, and then leaves the bench safe."""

    def __init__(self, requests: int, replies: int, printed: Callable[[], str]) -> None:
        self._requests = requests
        self._replies = replies
        self._printed = printed
        self._journal = Journal()
        self._terminal = Terminal(None)
        self._buffer = b""
        self._queue: list[dict[str, Any]] = []
        self._lost = ""
        self._closing: Any = None
        self._ending = False
        self._job: Job | None = None
        self._stuck = ""
        self._open = False
        self._backend: Any = None
        self._mark = ""
        self._limits_s: dict[str, float] = {}
        self._graces_s = dict(GRACES_S)
        self._waits_s: tuple[float, ...] = SAFE_WAITS_S
        self._child: tuple[int, int] | None = None
        self._child_graces_s: dict[str, float] = {}
        self._handed: set[str] = set()
        self._expected: dict[str, bool | None] = dict.fromkeys(RAILS)
        self._poll_s = POLL_S
        self._next_poll_s = math.inf
        self._unreadable = 0
        self._told = False
        self._do: dict[str, Callable[[dict[str, Any]], Any]] = {
            "ping": lambda _: self._ping(),
            "open": self._do_open,
            "read": lambda _: {"readings": self._read()},
            "move": lambda request: {"readings": self._move(request["move"])},
            "hand_over": self._hand_over,
            "take_back": lambda request: {"readings": self._take_back(roles_of(request))},
            "child": self._register,
            "violations": lambda _: {"violations": self._violations()},
            "safe": lambda _: self._safe_off(),
            "close": self._close,
        }
        wake, self._wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._wake, False)
        self._heard = selectors.DefaultSelector()
        self._heard.register(wake, selectors.EVENT_READ)
        self._heard.register(requests, selectors.EVENT_READ)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda *_: self._lose("SIGTERM"))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def run(self) -> int:
        """Serve until the parent is gone, make the bench safe, and give the exit code."""
        try:
            while not self._lost:
                self._turn()
        except Ending:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, the bench comes first
            complain(traceback.format_exc())
            self._lose(f"a bug in the guard: {words(error)}")
        return self._end()

    # Requests

    def _turn(self) -> None:
        """Serve one request, or look at the rails when that is due, or wait."""
        if self._queue:
            self._serve(self._queue.pop(0))
            self._next_poll_s = time.monotonic() + self._poll_s
        elif time.monotonic() >= self._next_poll_s and self._watching():
            self._poll()
            self._next_poll_s = time.monotonic() + self._poll_s
        else:
            wait_s = max(0.0, self._next_poll_s - time.monotonic()) if self._watching() else None
            self._listen(wait_s)

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
        elif request.get("do") in ("ping", "child"):
            self._serve(request)
        else:
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
        if not self._closing and ("id" in request or "error" in reply):
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
        return {
            "pid": os.getpid(),
            "busy": self._job.what if self._job else None,
            "stuck": self._stuck or None,
        }

    def _do_open(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._open:
            raise Fault("the supplies are open already")
        self._journal.open(request["journal"])
        self._terminal = Terminal(request.get("terminal"))
        self._mark = str(request.get("mark") or "")
        self._limits_s = {str(key): float(value) for key, value in (request.get("timeouts") or {}).items()}
        self._graces_s = {**GRACES_S, **graces_s(request)}
        self._waits_s = tuple(float(wait) for wait in request.get("retries_s") or SAFE_WAITS_S)
        self._poll_s = float(request.get("poll_s") or POLL_S)
        name, config = request["backend"], request.get("config") or {}
        self._journal.note("opening", backend=name, run=request.get("run"), pid=os.getpid())
        self._stuck = ""
        backend = self._run("open", "open", lambda: open_backend(name, config, self._printed))
        self._open, self._backend = True, backend
        versions = {"protocol": PROTOCOL, "python": platform.python_version()}
        versions.update(backend.versions if backend else {})
        readings = self._read() if backend else nothing_read()
        self._journal.note("open", backend=name, readings=readings, versions=versions)
        return {"readings": readings, "versions": versions}

    def _register(self, request: dict[str, Any]) -> dict[str, Any]:
        pid, start = request.get("pid"), request.get("start")
        if pid is None:
            self._child, self._child_graces_s = None, {}
        else:
            stat = stat_of(int(pid))
            self._child_graces_s = graces_s(request)
            self._child = (int(pid), int(start) if start is not None else stat["start"] if stat else -1)
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

    # Supplies

    def _run(self, what: str, kind: str, action: Callable[[], Any]) -> Any:
        """Have something done in a thread, listening meanwhile.

        Raises:
            Fault: it failed, or did not come back in its time; then the supplies count as stuck.
            Ending: the parent is gone meanwhile.
        """
        if self._stuck:
            raise Fault(self._stuck)
        limit_s = self._limits_s.get(kind, MOVE_LIMIT_S if kind == "move" else OTHER_LIMIT_S)
        self._job = job = Job(what, limit_s, action, self._wake)
        self._await(job)
        self._job = None
        if job.error:
            raise Fault(job.error)
        return job.value

    def _await(self, job: Job) -> None:
        while not job.done.is_set():
            left_s = job.deadline_s - time.monotonic()
            if left_s <= 0:
                self._job = None
                self._stuck = f"{job.what} did not answer within {job.limit_s:g} s"
                self._journal.note("stuck", reason=self._stuck)
                raise Fault(self._stuck)
            if self._ending:
                job.done.wait(left_s)
            elif self._lost:
                raise Ending
            else:
                self._listen(left_s)

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
        return {
            name: unread("handed over") if name in self._handed else sound(reading)
            for name, reading in readings.items()
        }

    def _read(self) -> dict[str, Any]:
        readings: dict[str, Any] = self._run("read", "read", self._seen)
        return readings

    def _move(self, move: str) -> dict[str, Any]:
        """Carry out a move and read both rails back."""
        self._switch(move)
        readings = self._read()
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
            backend.move(move)

        if move == "hv-bias":
            backend.abort(False)
        self._journal.note("moving", move=move)
        try:
            self._run(move, "move", action)
        except Fault as fault:
            if not str(fault).startswith("refused: "):
                self._expected[rail] = None
            self._journal.note("move-failed", move=move, reason=str(fault))
            raise
        self._expected[rail] = on
        self._told, self._unreadable = False, 0

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
        self._expected.update({role: None for role in affected if role in RAILS})
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
        self._journal.note("taken-back", roles=sorted(roles), readings=readings)
        return readings

    # The watch

    def _watching(self) -> bool:
        return self._backend is not None and not self._stuck and not set(RAILS) <= self._handed

    def _poll(self) -> None:
        """Compare the rails with what the last moves established; say so once when they differ."""
        try:
            readings = self._read()
        except Fault as fault:
            readings = {name: unread(str(fault)) for name in RAILS}
        held = [name for name in RAILS if name not in self._handed]
        blind = [
            name for name in held if readings[name]["on"] is None and readings[name]["voltage_v"] is None
        ]
        self._unreadable = self._unreadable + 1 if blind else 0
        reasons = [
            deviation(name, readings[name], self._expected[name], self._backend.compliance_a) for name in held
        ]
        if self._stuck or self._unreadable >= UNREADABLE_TIMES:
            reasons.append("; ".join(shown_rail(name, readings[name]) for name in blind))
        reason = "; ".join(part for part in reasons if part)
        if reason and not self._told:
            self._told = True
            self._journal.note("power-lost", reason=reason, readings=readings)
            self._send({"event": "power-lost", "reason": reason, "readings": readings})

    # The safe end

    def _end(self) -> int:
        """End the child's tree, make the rails safe, leave a record of it, and give the exit code."""
        self._ending = True
        self._journal.note("ending", reason=self._lost)
        if not self._closing:
            self._terminal.say(
                f"the run was broken off ({self._lost}): its guard ends the step, then HV, then LV"
            )
        self._abort(True)
        try:
            self._end_child()
        except Exception as error:  # noqa: BLE001 - the rails come next, whatever happened here
            self._journal.note("child-not-ended", reason=words(error))
        self._settle()
        try:
            verdict = self._safe_off()
        except Exception as error:  # noqa: BLE001 - then nothing is known, and that is said
            complain(traceback.format_exc())
            verdict = {"confirmed": False, "readings": nothing_read(), "reason": words(error)}
        code = 4 if verdict["confirmed"] is False else 0
        if code:
            self._journal.leave(MARKER, self._unknown(verdict))
        elif self._backend is not None:
            with suppress(Fault):
                self._run("close", "close", self._backend.close)
        self._journal.note("ended", exit_code=code, **verdict)
        if self._closing:
            self._send({"id": self._closing[0], "ok": verdict})
        else:
            self._terminal.say(self._told_of(verdict))
        return code

    def _end_child(self) -> None:
        tree = Tree(self._child, self._mark)
        left = tree.end({**self._graces_s, **self._child_graces_s}, self._journal.note)
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

    def _try_safe_off(self) -> tuple[dict[str, Any], list[str], str]:
        """Try once. LV stays on under an HV that is not confirmed to be gone.

        Whatever hung before gets another thread, and what hangs now does not keep the rest from being tried.
        """
        reasons: list[str] = []
        hung = ""

        def attempt(action: Callable[[], Any]) -> Any:
            nonlocal hung
            self._stuck = ""
            try:
                return action()
            except Fault as fault:
                reasons.append(str(fault))
                return None
            finally:
                hung = hung or self._stuck

        def read(rail: str) -> dict[str, Any]:
            readings = attempt(lambda: self._run(f"read {rail}", "read", lambda: self._seen([rail])))
            return dict(readings[rail]) if readings else unread(reasons[-1])

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
        self._stuck = hung
        return readings, reasons, hung

    def _pause(self, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        while time.monotonic() < until_s:
            left_s = max(0.0, until_s - time.monotonic())
            if self._ending:
                time.sleep(left_s)
            elif self._lost:
                raise Ending
            else:
                self._listen(left_s)

    def _told_of(self, verdict: dict[str, Any]) -> str:
        """Write how the bench was left, for whoever sits at the terminal."""
        if verdict["confirmed"]:
            return "HV off, LV off: confirmed"
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
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    here = str(Path(__file__).resolve().parent)
    # Python puts a script's folder first on its path, and there icicle.py is not icicle.
    sys.path[:] = [path for path in sys.path if os.path.realpath(path or ".") != here]
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    heard = Overheard()
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for as long as the process lives
    sys.stdout = heard
    return Guard(requests, replies, heard.take).run()


if __name__ == "__main__":
    try:
        code = main()
    except BaseException:  # noqa: BLE001 - nothing may end this process without an exit code that tells
        complain(traceback.format_exc())
        code = 4
    os._exit(code)
