"""The bench's state and its power record on disk: one locked exchange at a time, by whichever process."""

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct, field, to_builtins

from calseq.simulator.interlocks import Level

_LOCK_WAIT_S = 10.0
_HELD_BACK = (signal.SIGINT, signal.SIGTERM)


class SupplyError(Exception):
    """A supply did not do what was asked of it, or could not be reached."""


class Holder(Struct, frozen=True):
    """The process that has an instrument open; `born` tells it from a later one with the same pid."""

    pid: int
    born: str
    who: str

    @classmethod
    def me(cls, who: str) -> "Holder":
        """Give a handle of the process that asks."""
        return cls(os.getpid(), born(os.getpid()), who)

    @property
    def alive(self) -> bool:
        """The process still exists, so its handle still counts."""
        return self.born != "" and born(self.pid) == self.born

    @property
    def is_me(self) -> bool:
        """The handle belongs to the process that asks."""
        return self.pid == os.getpid()


class State(Struct):
    """All that changes on a bench."""

    levels: dict[str, Level]
    breakdown_v: float
    holders: dict[str, Holder] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)


class Exchange(Struct):
    """One look at the state with the lock held, and what is to be written back."""

    state: State
    lines: list[dict[str, Any]] = field(default_factory=list)

    def record(self, who: str, action: str, violations: Iterable[str] = (), **facts: object) -> None:
        """Note an action and which interlocks it broke."""
        line = {"time": time.time(), "pid": os.getpid(), "who": who, "action": action, **facts}
        broken = [f"{who}: {violation}" for violation in violations]
        self.lines.append(line | {"violations": broken} if broken else line)


class StateFiles(Struct, frozen=True):
    """A bench's folder: `bench.json` the state, `power.jsonl` the record, `bench.lock` the lock of both."""

    folder: Path

    def create(self, state: State) -> None:
        """Write the first state."""
        (self.folder / "bench.lock").touch()
        (self.folder / "power.jsonl").touch()
        self._write(state)

    def read(self) -> State:
        """Read the state as it is now."""
        data = json.loads((self.folder / "bench.json").read_bytes())
        return State(
            {name: Level(**level) for name, level in data["levels"].items()},
            data["breakdown_v"],
            {name: Holder(**holder) for name, holder in data["holders"].items()},
            data["failures"],
        )

    def lines(self) -> list[dict[str, Any]]:
        """Read the whole power record; a line that a dying process tore is left out."""
        found = []
        for line in (self.folder / "power.jsonl").read_bytes().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    @contextmanager
    def exchange(self) -> Iterator[Exchange]:
        """Hold the lock; write back state and record at the end, even if the body raises.

        Signals wait meanwhile, so that the record and the state never contradict each other.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
            lock = self._lock()
            try:
                exchange = Exchange(self.read())
                try:
                    yield exchange
                finally:
                    self._append(exchange.lines)
                    self._write(exchange.state)
            finally:
                os.close(lock)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _lock(self) -> int:
        lock = os.open(self.folder / "bench.lock", os.O_RDWR)
        deadline = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(lock)
                    raise SupplyError(
                        "the simulated bench is locked by a process that stands still"
                    ) from None
                time.sleep(0.0005)
            else:
                return lock

    def _append(self, lines: list[dict[str, Any]]) -> None:
        if not lines:
            return
        text = "".join(json.dumps(line) + "\n" for line in lines)
        record = os.open(self.folder / "power.jsonl", os.O_WRONLY | os.O_APPEND)
        try:
            os.write(record, text.encode())
        finally:
            os.close(record)

    def _write(self, state: State) -> None:
        new = self.folder / "bench.json.new"
        new.write_text(json.dumps(to_builtins(state)))
        new.replace(self.folder / "bench.json")


def born(pid: int) -> str:
    """Start time of a process as the kernel writes it; empty if it has ended or is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
