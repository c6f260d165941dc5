"""The supplies as calseq reaches them: through the guard, a process that outlives calseq and makes them safe.

The guard is started with the interpreter that has the backend; its words are JSON lines over two pipes.
"""

import json
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from calseq.model.rails import Move, Readings, Role
from calseq.power.protocol import PowerFault, Watched
from calseq.record.run_folder import GUARD_JOURNAL, GUARD_LOG
from calseq.system.assets import GUARD
from calseq.system.clock import now_s

MOVE_TIMEOUT_S = 240.0
CALL_TIMEOUT_S = 140.0
"""Both rails, one after the other, each as long as it may be silent."""
UNANSWERED_S = 70.0
"""How long a supply may be silent until icicle gives it up, and is asked again on a new connection."""
UNKNOWN_S = 3600.0
UNKNOWN_EVERY_S = 30.0
"""For how long, and how often, the guard tries on when off is not confirmed."""
_SLACK_S = 10.0
"""The guard times its actions out itself; only a guard that is gone or stuck is waited for beyond that."""
PING_EVERY_S = 2.0
ABORT_EVERY_S = 0.2
"""How often it is looked whether a ramp is wanted still."""
PING_TIMEOUT_S = 10.0
"""A guard answers a ping at once, even in mid-ramp; its disk may keep it for 2 s."""
START_TIMEOUT_S = 60.0
"""Before that its interpreter has to start, perhaps from a slow network disk."""


class Terminal(Struct, frozen=True):
    """A terminal for the guard's last words if calseq is killed: its descriptor, and what gives it back."""

    descriptor: int
    restore: str = ""


class Setting(Struct, frozen=True):
    """How a guard is started and its supplies are opened: all that a second one needs, too.

    `folder` takes its journal; descriptors in `keep` stay open as long as it lives, and of these the files in `locks` take how
    it left the supplies; `environment` is added to calseq's own;
    `unknown` says for how long, and how often, it tries on when off is not confirmed, in seconds. One that only `looks` moves
    no rail, not even if calseq is gone: they are somebody else's.
    """

    python: str
    backend: str
    config: Mapping[str, Any]
    folder: Path
    mark: str
    move_timeout_s: float = MOVE_TIMEOUT_S
    keep: tuple[int, ...] = ()
    locks: tuple[int, ...] = ()
    terminal: Terminal | None = None
    environment: Mapping[str, str] = {}
    looks: bool = False
    unknown: Mapping[str, float] = {}


def _started(setting: Setting) -> subprocess.Popen[bytes]:
    """Start a guard's process.

    Raises:
        PowerFault: it cannot be started.
    """
    inherited = (*setting.keep, *([setting.terminal.descriptor] if setting.terminal else []))
    try:
        with (setting.folder / GUARD_LOG).open("ab") as log:
            return subprocess.Popen(
                [setting.python, str(GUARD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **setting.environment},
                start_new_session=True,
                pass_fds=inherited,
            )
    except OSError as error:
        why = f"the guard cannot be started with '{setting.python}': {error.strerror or error}"
        raise PowerFault(why) from error


class GuardedPower:
    """Supplies held by a guard process. One that dies or stops answering is a `PowerFault`, for good."""

    def __init__(self, setting: Setting) -> None:
        """Start a guard and have it open the supplies.

        Raises:
            PowerFault: it cannot be started, or not open the supplies.
        """
        self._setting = setting
        self._gone = ""
        self._lost = ""
        self._cuts: list[str] = []
        self._ended: dict[str, Any] | None = None
        self._is_closed = False
        self._next_id = 0
        self._ping_id = 0
        self._pinged_s = now_s()
        self._patience_s = START_TIMEOUT_S
        self._buffer = b""
        self._process = _started(setting)
        self.pid = self._process.pid
        try:
            self._open()
        except PowerFault:
            self.close()  # one that only stands still is not left behind
            raise
        self._patience_s = PING_TIMEOUT_S

    def _open(self) -> None:
        setting = self._setting
        self._call(
            "open",
            MOVE_TIMEOUT_S,
            backend=setting.backend,
            config=dict(setting.config),
            journal=str(setting.folder / GUARD_JOURNAL),
            mark=setting.mark,
            run=setting.folder.name,
            terminal=setting.terminal and msgspec.to_builtins(setting.terminal),
            timeouts={"move": setting.move_timeout_s},
            unknown=dict(setting.unknown),
            locks=list(setting.locks),
            looks=setting.looks,
        )

    def read(self) -> Readings:
        """Read both rails back."""
        return self._readings(self._call("read", CALL_TIMEOUT_S))

    def move(self, move: Move, is_unwanted: Callable[[], bool] = lambda: False) -> Readings:
        """Carry out one move and read both rails back; a ramp upwards that is not wanted any more stops where it is."""
        wanted = self._send("move", move=str(move))
        return self._readings(self._reply("move", wanted, self._with_reading_s, is_unwanted))

    def hand_over(self, roles: Iterable[Role]) -> None:
        """Close the instruments of these roles."""
        self._call("hand_over", self._with_reading_s, roles=[str(role) for role in roles])

    def take_back(self, roles: Iterable[Role]) -> Readings:
        """Open the instruments of these roles again."""
        return self._readings(
            self._call("take_back", self._with_reading_s, roles=[str(role) for role in roles])
        )

    def violations(self) -> tuple[str, ...]:
        """Give the interlock violations that the bench itself recorded."""
        return tuple(self._call("violations", CALL_TIMEOUT_S)["violations"])

    def watch(self, child: Watched | None) -> None:
        """Say which child the guard is to end if calseq goes away or falls silent; None when there is none."""
        with suppress(PowerFault):
            self._write({"do": "child", **(child.request() if child else {"pid": None})})

    def cuts(self) -> tuple[str, ...]:
        """Give where HV went off without its ramp, as far as it was not given before."""
        found, self._cuts = tuple(self._cuts), []
        return found

    def lost(self) -> str:
        """Say what the guard found wrong with the supplies, or with itself; empty if nothing."""
        with suppress(PowerFault):
            # After a suspended machine woke up the answer is on its way, but not here yet.
            while self._line(PING_EVERY_S if self._is_overdue() else 0.0) is not None:
                pass
            self._ping()
        return self._lost or self._gone

    @property
    def _with_reading_s(self) -> float:
        """Seconds for what the guard does and reads back: one that reads still is not to be killed."""
        return self._setting.move_timeout_s + CALL_TIMEOUT_S

    @property
    def folder(self) -> Path:
        """The folder that has the guard's journal."""
        return self._setting.folder

    def finish(self) -> tuple[Readings, str]:
        """Have the guard make its safe end, which is its last act, or another one if it is gone.

        Give both rails as read back, and why off is not confirmed, if it is not. A guard that cannot confirm it tries on
        after this, for an hour.
        """
        if not self._gone:
            with suppress(PowerFault):
                said = self._call("close", 4 * self._setting.move_timeout_s)
                self._gone, self._is_closed = "the guard was closed", True
                return self._verdict(said)
        self._drain()
        if self._ended and self._ended["confirmed"]:
            return self._verdict(self._ended)
        return self._replaced()

    def _replaced(self) -> tuple[Readings, str]:
        """Start another guard in the place of one that is gone, for the safe end alone."""
        with suppress(OSError, subprocess.TimeoutExpired):
            self._process.kill()  # one that only stands still would keep the supplies from the other
            self._process.wait(_SLACK_S)
        try:
            other = GuardedPower(self._setting)
        except PowerFault as fault:
            return Readings(), f"{self._gone}, and another one could not take its place: {fault}"
        try:
            said = other._call("close", 4 * self._setting.move_timeout_s)
        except PowerFault as fault:
            return Readings(), f"{self._gone}, and so did the one in its place: {fault}"
        finally:
            self._cuts += other.cuts()
            other._gone, other._is_closed = "the guard was closed", True
            other.close()
        return self._verdict(said)

    def _verdict(self, said: Mapping[str, Any]) -> tuple[Readings, str]:
        return self._readings(said), "" if said["confirmed"] else str(said["reason"] or "not confirmed")

    def _drain(self) -> None:
        """Take in what the guard said last, if that lies in the pipe still."""
        with suppress(PowerFault, OSError, ValueError):
            while self._line(0.0) is not None:
                pass

    def abandon(self) -> None:
        """Leave the supplies as they are: the guard goes without touching them."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        """End the guard, if it has not ended; it makes the supplies safe first if they are not."""
        if not self._is_closed:
            with suppress(PowerFault):
                self._call("close", self._setting.move_timeout_s)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        with suppress(OSError):
            self._process.send_signal(signal.SIGCONT)  # one that was only stopped goes to its safe end now
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(
                _SLACK_S if not self._is_closed else 1.0
            )  # after an unconfirmed end it tries on

    def _ping(self) -> None:
        """Ask now and then whether the guard still listens; one that does not is as good as dead."""
        if self._is_overdue():
            self._gone = self._gone or f"the guard has not answered for {now_s() - self._pinged_s:.0f} s"
            raise PowerFault(self._gone)
        if not self._ping_id and now_s() - self._pinged_s >= PING_EVERY_S:
            self._pinged_s = now_s()
            self._ping_id = self._send("ping")

    def _is_overdue(self) -> bool:
        return bool(self._ping_id) and now_s() - self._pinged_s >= self._patience_s

    def _call(self, do: str, timeout_s: float, **fields: Any) -> dict[str, Any]:
        return self._reply(do, self._send(do, **fields), timeout_s)

    def _reply(
        self, do: str, wanted: int, timeout_s: float, is_unwanted: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        """Wait for the answer to a request."""
        due_s, is_aborted = now_s() + timeout_s + _SLACK_S, False
        while (left_s := due_s - now_s()) > 0:
            if not is_aborted and is_unwanted():
                is_aborted = True
                self._write({"do": "abort"})
            reply = self._line(min(left_s, ABORT_EVERY_S))
            if reply is not None and reply.get("id") == wanted:
                if "error" in reply:
                    raise PowerFault(str(reply["error"]))
                return dict(reply["ok"])
            self._ping()
        self._gone = f"the guard has not answered '{do}' within {timeout_s:g} s"
        raise PowerFault(self._gone)

    def _send(self, do: str, **fields: Any) -> int:
        self._next_id += 1
        self._write({"id": self._next_id, "do": do, **fields})
        return self._next_id

    def _write(self, request: Mapping[str, Any]) -> None:
        """Send a line; one without an id is not answered."""
        if self._gone:
            raise PowerFault(self._gone)
        try:
            os.write(self._descriptor(self._process.stdin), json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise self._died() from error

    def _line(self, timeout_s: float) -> dict[str, Any] | None:
        """Give the guard's next line, None if none came; what it tells unasked is kept."""
        while b"\n" not in self._buffer:
            descriptor = self._descriptor(self._process.stdout)
            if not select.select([descriptor], [], [], timeout_s)[0]:
                return None
            received = os.read(descriptor, 65536)
            if not received:
                raise self._died()
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        if said.get("id") == self._ping_id:
            self._ping_id = 0
        self._take_event(said)
        return said

    def _take_event(self, said: dict[str, Any]) -> None:
        """Keep what the guard says unasked."""
        if said.get("event") == "power-lost":
            self._lost = self._lost or str(said.get("reason", "power lost"))
            with suppress(PowerFault):
                self._write({"do": "heard"})
        elif said.get("event") == "cut":
            self._cuts.append(str(said.get("reason")))
        elif said.get("event") == "ended":
            self._ended = said

    def _died(self) -> PowerFault:
        if self._ended:
            self._gone = f"the guard made its safe end by itself: {self._ended.get('cause')}"
            return PowerFault(self._gone)
        code = self._process.poll()
        ended = "" if code is None else f" (exit code {code})" if code >= 0 else f" (signal {-code})"
        self._gone = f"the guard has died{ended}"
        return PowerFault(self._gone)

    @staticmethod
    def _descriptor(pipe: Any) -> int:
        return int(pipe.fileno())

    @staticmethod
    def _readings(reply: Mapping[str, Any]) -> Readings:
        return msgspec.convert(reply["readings"], Readings)
