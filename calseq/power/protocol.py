"""What calseq asks of the supplies of a bench, whoever drives them."""

from collections.abc import Iterable
from typing import Protocol

from calseq.rails import Move, Readings, Role


class PowerFault(Exception):
    """A supply did not do or say what it should; the message is its own reason, unembellished."""

    move: Move | None = None
    """The move at which it happened, if it was one."""


class Power(Protocol):
    """The supplies. Every call either did what it says and read it back, or raises `PowerFault`."""

    def read(self) -> Readings:
        """Read both rails back; what cannot be read is unknown, not off."""
        ...

    def move(self, move: Move) -> Readings:
        """Carry out one move, ramps included, and read both rails back."""
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

    def watch(self, pid: int | None, grace_s: float = 0.0) -> None:
        """Say which child is to be ended, with what grace, if calseq itself goes away; None when there is none."""
        ...

    def lost(self) -> str:
        """Say what has gone wrong with the supplies while nobody asked them anything; empty if nothing has."""
        ...

    def close(self) -> None:
        """Let go of the instruments, as they are."""
        ...
