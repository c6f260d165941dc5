"""The backend of mode `simulated`: the supplies of the bundled bench, held and let go as real ones are."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calseq.model.rails import Move, Reading, Readings, Role
from calseq.model.version import __version__
from calseq.power.protocol import PowerFault
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

    def outputs(self, role: Role) -> dict[str, Reading]:
        """Read each output of a rail back."""
        with _faults():
            return self._bench.outputs(role)

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


class SimulatedBackend:
    """Simulated supplies as the guard asks for them: dictionaries and texts in place of types."""

    def __init__(self, folder: Path) -> None:
        """Look at the bench in `folder`.

        Raises:
            PowerFault: there is none.
        """
        self._folder = folder
        with _faults():
            bench = SimulatedBench.open(folder)
        self.limits_a = {output.name: abs(output.amps) for output in bench.wiring.of(Role.HV)}
        """The compliance of each HV output, in ampere."""
        self.versions = {"calseq": __version__}
        self.labels = [
            f"{name}: {settings.get('class', '?')} at {settings.get('resource', '?')}"
            for name, settings in bench.instruments.items()
        ]

    def open(self) -> None:
        """Take its supplies.

        Raises:
            PowerFault: another process has them.
        """
        self._power = SimulatedPower(self._folder)

    def read(self, rails: Iterable[str] = ("lv", "hv")) -> dict[str, Any]:
        """Read rails back, each over all of its outputs."""
        readings = self._power.read()
        known = {"lv": readings.lv, "hv": readings.hv}
        return {name: {**_plain(known[name]), "outputs": self._outputs(Role(name))} for name in rails}

    def _outputs(self, role: Role) -> dict[str, Any]:
        return {name: _plain(reading) for name, reading in self._power.outputs(role).items()}

    def move(self, move: str) -> None:
        """Carry out one move, ramps included."""
        self._power.move(Move(move))

    def affected(self, roles: Iterable[str]) -> set[str]:
        """Give the roles that are let go of with these."""
        return set(roles)

    def hand_over(self, roles: Iterable[str]) -> None:
        """Close the instruments of these roles."""
        self._power.hand_over([Role(role) for role in roles])

    def take_back(self, roles: Iterable[str]) -> None:
        """Open them again."""
        self._power.take_back([Role(role) for role in roles])

    def violations(self) -> list[str]:
        """Give the interlock violations that the bench itself recorded."""
        return list(self._power.violations())

    def cuts(self) -> list[str]:
        """A simulated supply always takes its ramp."""
        return []

    def blocked(self) -> list[str]:
        """Simulated supplies have no locks of their own."""
        return []

    def abort(self, asked: bool) -> None:
        """A simulated ramp goes on to its end."""

    def close(self) -> None:
        """Let go of the supplies, as they are."""
        self._power.close()


def _plain(reading: Reading) -> dict[str, Any]:
    return {"on": reading.on, "voltage_v": reading.voltage_v, "current_a": reading.current_a}


@contextmanager
def _faults() -> Iterator[None]:
    """Take whatever goes wrong with the bench, its files included, for the fault of a supply."""
    try:
        yield
    except (SupplyError, OSError, ValueError, LookupError, TypeError) as error:
        raise PowerFault(
            str(error) if isinstance(error, SupplyError) else f"the simulated bench: {error}"
        ) from error
