"""The backend of mode `dirigent`: calseq moves no rail and knows of none."""

from collections.abc import Iterable

from calseq.power.protocol import PowerFault
from calseq.rails import Move, Readings, Role


class NoPower:
    """Supplies that only the children touch: nothing is switched here, and nothing is ever reported as switched."""

    def read(self) -> Readings:
        """Everything is unknown."""
        return Readings()

    def move(self, move: Move) -> Readings:
        """Refuse: reporting a move that nobody made would be a lie."""
        raise PowerFault(f"{move} was asked of a bench whose supplies dirigent switches itself")

    def hand_over(self, roles: Iterable[Role]) -> None:
        """Nothing is held, nothing is to be closed."""

    def take_back(self, roles: Iterable[Role]) -> Readings:  # noqa: ARG002 - the protocol's
        """Everything is unknown."""
        return Readings()

    def violations(self) -> tuple[str, ...]:
        """Nobody recorded any."""
        return ()

    def close(self) -> None:
        """Nothing is held."""
