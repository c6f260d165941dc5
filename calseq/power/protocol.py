"""Protocol of the supplies of a bench, whichever process drives them."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from msgspec import Struct

from calseq.model.rails import Move, Readings, Role


class PowerFault(Exception):
    """A supply did not do or say what it should; the message is its own reason, unembellished."""

    move: Move | None = None
    """The move at which it happened, if it was one."""


class Watched(Struct, frozen=True):
    """A child that the guard ends if calseq goes away: its pid, and how its descendants are known.

    `grace_s` is what its SIGINT gets; at `timeout_s`, None without one, it is ended even if calseq only says nothing any more;
    `limit` is the limit of real time that all its descendants have, 0 for none.
    """

    pid: int
    grace_s: float
    timeout_s: float | None = None
    limit: int = 0

    def request(self) -> dict[str, Any]:
        """Give the fields of a request to the guard."""
        graces = {"interrupt": self.grace_s}
        return {"pid": self.pid, "graces": graces, "timeout_s": self.timeout_s, "limit": self.limit}


class Power(Protocol):
    """The supplies. Every call either did what it says and read it back, or raises `PowerFault`."""

    def read(self) -> Readings:
        """Read both rails back; what cannot be read is unknown, not off."""
        ...

    def move(self, move: Move, is_unwanted: Callable[[], bool] = lambda: False) -> Readings:
        """Carry out one move, ramps included, and read both rails back.

        A ramp upwards stops where it is when it is not wanted any more, and is a fault then.
        """
        ...

    def hand_over(self, roles: Iterable[Role]) -> None:
        """Close the instruments of these roles, so that a child can open them."""
        ...

    def take_back(self, roles: Iterable[Role]) -> Readings:
        """Open them again after the child, and read both rails back."""
        ...

    def violations(self) -> tuple[str, ...]:
        """Give the interlock violations that the bench itself recorded; real ones record none."""
        ...

    def watch(self, child: Watched | None) -> None:
        """Say which child is to be ended if calseq itself goes away; None when there is none."""
        ...

    def cuts(self) -> tuple[str, ...]:
        """Give where HV went off without its ramp, as far as it was not given before."""
        ...

    def finish(self) -> tuple[Readings, str]:
        """Make the safe end as the last act; give both rails as read back, and why off is not confirmed."""
        ...

    def lost(self) -> str:
        """Fault of the supplies between two requests, in words; empty if there is none."""
        ...

    def close(self) -> None:
        """Let go of the instruments, as they are."""
        ...
