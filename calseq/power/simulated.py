"""The backend of mode `simulated`: the supplies of the bundled bench, held and let go as real ones are."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from calseq.power.protocol import PowerFault
from calseq.rails import Move, Readings, Role
from calseq.simulator.supplies import SimulatedBench, SupplyError

WHO = "calseq"
RAILS = (Role.LV, Role.HV)


class SimulatedPower:
    """Simulated supplies in a folder, shared with the stand-in for dirigent."""

    def __init__(self, folder: Path) -> None:
        """Open the bench that is in `folder` and take its supplies.

        Raises:
            PowerFault: somebody else has them.
        """
        with _faults():
            self._bench = SimulatedBench.open(folder)
        self._moves: dict[Move, Callable[[str], None]] = {
            Move.HV_OFF: self._bench.hv_off,
            Move.LV_OFF: self._bench.lv_off,
            Move.LV_ON: self._bench.lv_on,
            Move.HV_BIAS: self._bench.hv_on,
        }
        self._held: set[Role] = set()
        self.take_back(RAILS)

    def read(self) -> Readings:
        """Read both rails back."""
        with _faults():
            return self._bench.readings()

    def move(self, move: Move) -> Readings:
        """Carry out one move and read both rails back."""
        with _faults():
            self._moves[move](WHO)
        return self.read()

    def hand_over(self, roles: Iterable[Role]) -> None:
        """Close the instruments of these roles."""
        given = self._held & set(roles)
        if given:
            with _faults():
                self._bench.release(given, WHO)
            self._held -= given

    def take_back(self, roles: Iterable[Role]) -> Readings:
        """Open the instruments of these roles, those among them that are not held."""
        missing = set(roles) & set(RAILS) - self._held
        if missing:
            with _faults():
                self._bench.acquire(missing, WHO)
            self._held |= missing
        return self.read()

    def violations(self) -> tuple[str, ...]:
        """Give what anybody did to this bench that an interlock forbids."""
        with _faults():
            return self._bench.violations()

    def close(self) -> None:
        """Let go of the supplies, as they are."""
        with _faults():
            self._bench.release(self._held, WHO)
        self._held.clear()


@contextmanager
def _faults() -> Iterator[None]:
    """Take whatever goes wrong with the bench, its files included, for the fault of a supply."""
    try:
        yield
    except (SupplyError, OSError, ValueError, LookupError, TypeError) as error:
        raise PowerFault(
            str(error) if isinstance(error, SupplyError) else f"the simulated bench: {error}"
        ) from error
