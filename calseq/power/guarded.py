"""The supplies as calseq reaches them: through the guard, a process that outlives calseq and makes them safe.

The guard is started with the interpreter that has the backend; its words are JSON lines over two pipes.
"""

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from calseq.clocks import now_s
from calseq.power.protocol import PowerFault
from calseq.rails import Move, Readings, Role

GUARD = Path(__file__).with_name("guard.py")
MOVE_TIMEOUT_S = 240.0
CALL_TIMEOUT_S = 30.0
_SLACK_S = 10.0
"""The guard times its actions out itself; only a guard that is gone or stuck is waited for beyond that."""
PING_EVERY_S = 2.0
PING_TIMEOUT_S = 10.0
"""A guard answers a ping at once, even in mid-ramp; its disk may keep it for 2 s."""
START_TIMEOUT_S = 60.0
"""Before that its interpreter has to start, perhaps from a slow network disk."""


class Terminal(Struct, frozen=True):
    """A terminal for the guard's last words if calseq is killed: its descriptor, and what gives it back."""

    descriptor: int
    restore: str = ""


class GuardedPower:
    """Supplies held by a guard process. One that dies or stops answering is a `PowerFault`, for good."""

    def __init__(
        self,
        *,
        python: str,
        backend: str,
        config: Mapping[str, Any],
        folder: Path,
        mark: str,
        move_timeout_s: float = MOVE_TIMEOUT_S,
        keep: Sequence[int] = (),
        terminal: Terminal | None = None,
    ) -> None:
        """Start a guard whose journal goes to `folder`; descriptors in `keep` stay open as long as it lives.

        Raises:
            PowerFault: it cannot be started, or not open the supplies.
        """
        self._gone = ""
        self._lost = ""
        self._next_id = 0
        self._ping_id = 0
        self._pinged_s = now_s()
        self._patience_s = START_TIMEOUT_S
        self._move_timeout_s = move_timeout_s
        self._buffer = b""
        try:
            with (folder / "guard.log").open("ab") as log:
                self._process = subprocess.Popen(
                    [python, str(GUARD)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=(*keep, *([terminal.descriptor] if terminal else [])),
                )
        except OSError as error:
            raise PowerFault(
                f"the guard cannot be started with '{python}': {error.strerror or error}"
            ) from error
        self.pid = self._process.pid
        try:
            self._open(backend, config, folder, mark, terminal)
        except PowerFault:
            self.close()  # one that only stands still is not left behind
            raise
        self._patience_s = PING_TIMEOUT_S

    def _open(
        self, backend: str, config: Mapping[str, Any], folder: Path, mark: str, terminal: Terminal | None
    ) -> None:
        self._call(
            "open",
            MOVE_TIMEOUT_S,
            backend=backend,
            config=dict(config),
            journal=str(folder / "guard.jsonl"),
            mark=mark,
            run=folder.name,
            terminal=terminal and msgspec.to_builtins(terminal),
            timeouts={"move": self._move_timeout_s},
        )

    def read(self) -> Readings:
        """Read both rails back."""
        return self._readings(self._call("read", CALL_TIMEOUT_S))

    def move(self, move: Move) -> Readings:
        """Carry out one move and read both rails back."""
        return self._readings(self._call("move", self._move_timeout_s, move=str(move)))

    def hand_over(self, roles: Iterable[Role]) -> None:
        """Close the instruments of these roles."""
        self._call("hand_over", self._move_timeout_s, roles=[str(role) for role in roles])

    def take_back(self, roles: Iterable[Role]) -> Readings:
        """Open the instruments of these roles again."""
        return self._readings(
            self._call("take_back", self._move_timeout_s, roles=[str(role) for role in roles])
        )

    def violations(self) -> tuple[str, ...]:
        """Give the interlock violations that the bench itself recorded."""
        return tuple(self._call("violations", CALL_TIMEOUT_S)["violations"])

    def watch(self, pid: int | None, grace_s: float = 0.0) -> None:
        """Tell the guard which child to end, with what grace, if calseq goes away; None when there is none."""
        with suppress(PowerFault):
            self._write({"do": "child", "pid": pid, "graces": {"interrupt": grace_s} if pid else {}})

    def lost(self) -> str:
        """Say what the guard found wrong with the supplies, or with itself; empty if nothing."""
        with suppress(PowerFault):
            # After a suspended machine woke up the answer is on its way, but not here yet.
            while not self._lost and self._line(PING_EVERY_S if self._is_overdue() else 0.0) is not None:
                pass
            self._ping()
        return self._lost or self._gone

    def make_safe(self) -> tuple[Readings, str]:
        """Switch HV off, then LV off; give both rails as read back, and why off is not confirmed, if it is not."""
        said = self._call("safe", self._move_timeout_s)
        return self._readings(said), "" if said["confirmed"] else str(said["reason"] or "not confirmed")

    def abandon(self) -> None:
        """Leave the supplies as they are: the guard goes without touching them."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        """End the guard; it makes the supplies safe first if they are not."""
        with suppress(PowerFault):
            self._call("close", self._move_timeout_s)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        with suppress(OSError):
            self._process.send_signal(signal.SIGCONT)  # one that was only stopped goes to its safe end now
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SLACK_S)

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
        wanted = self._send(do, **fields)
        due_s = now_s() + timeout_s + _SLACK_S
        while (left_s := due_s - now_s()) > 0:
            reply = self._line(min(left_s, PING_EVERY_S))
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
        if said.get("event") == "power-lost":
            self._lost = self._lost or str(said.get("reason", "power lost"))
        return said

    def _died(self) -> PowerFault:
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
