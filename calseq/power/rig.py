"""The rails of a bench brought to where they are wanted, one confirmed move at a time, and to their safe end."""

from calseq import events
from calseq.course import Course
from calseq.power.protocol import Power, PowerFault
from calseq.rails import BOTH_OFF, Move, Rails, Readings, Role, moves

SAFE_END_WAITS_S = (0.0, 1.0, 3.0)
"""Waits before each try of the safe end."""


class Rig:
    """Moves the rails through a power backend, tells of it, and believes only what is read back."""

    def __init__(self, power: Power, course: Course) -> None:
        self._power = power
        self._course = course

    def reach(self, wanted: Rails, step: int) -> None:
        """Bring the rails to a state. A stop asked meanwhile keeps HV from being switched on.

        Raises:
            PowerFault: a supply did not do or say what it should; the rails are somewhere on the way.
        """
        readings = self._power.read()
        while path := moves(readings, wanted):
            move = path[0]
            if move is Move.HV_BIAS and not self._course.may_go_on():
                return
            readings = self.move(move, step)
            if moves(readings, wanted)[:1] == (move,):
                raise PowerFault(f"{move} had no effect: {shown(readings)}")

    def move(self, move: Move, step: int = 0) -> Readings:
        """Carry out one move."""
        started_s = self._course.clock()
        self._course.tell(events.RailMoving(move, step))
        readings = self._power.move(move)
        self._course.tell(events.RailMoved(move, readings, self._course.clock() - started_s, step))
        return readings

    def hand_over(self, given: tuple[Role, ...]) -> None:
        """Close what a child is given."""
        self._power.hand_over(given)

    def take_back(self, given: tuple[Role, ...], step: int) -> None:
        """Open again what a child was given, and see in which state it left that."""
        if not given:
            return
        readings = self._power.take_back(given)
        self._course.tell(events.RailsRead(readings, step))
        if Role.HV in given and not readings.hv_gone:
            # A curve ends at 0 V. At whatever voltage a child left it, that is not the bias.
            self.move(Move.HV_OFF, step)

    def safe_end(self) -> Readings:
        """HV off, then LV off, read back. Why that could not be confirmed is then in the course."""
        readings, reason = Readings(), ""
        for wait_s in SAFE_END_WAITS_S:
            self._course.wait(wait_s)
            readings, reason = self._make_safe()
            if readings.all_off:
                return readings
        self._course.unsure = reason or f"off could not be confirmed: {shown(readings)}"
        return readings

    def _make_safe(self) -> tuple[Readings, str]:
        """Try once. LV stays on under an HV that is not confirmed to be gone."""
        readings = Readings()
        try:
            readings = self._power.take_back((Role.LV, Role.HV))
            for move in moves(readings, BOTH_OFF):
                if move is Move.LV_OFF and not readings.hv_gone:
                    return readings, f"HV is not confirmed off, so LV stays on: {shown(readings)}"
                readings = self.move(move)
        except PowerFault as fault:
            self._course.tell(events.PowerFailed(str(fault)))
            return Readings(), str(fault)
        except Exception as error:  # noqa: BLE001 - a bug in a backend; the next try may succeed
            return Readings(), f"{type(error).__name__}: {error}"
        return readings, ""

    def violations(self) -> tuple[str, ...]:
        """Give the interlock violations that the bench itself recorded."""
        return self._power.violations()


class NoRig:
    """The rails of a bench whose supplies dirigent switches itself: nothing is moved, read or claimed."""

    def reach(self, wanted: Rails, step: int) -> None:
        """Leave them to the child."""

    def hand_over(self, given: tuple[Role, ...]) -> None:
        """Nothing is held."""

    def take_back(self, given: tuple[Role, ...], step: int) -> None:
        """Nothing was held."""

    def safe_end(self) -> Readings:
        """Nothing is known."""
        return Readings()

    def violations(self) -> tuple[str, ...]:
        """Nobody recorded any."""
        return ()


def shown(readings: Readings) -> str:
    """Write readings for an operator."""
    rails = (("HV", readings.hv), ("LV", readings.lv))
    return ", ".join(
        f"{name} reads {'unknown' if rail.on is None else 'on' if rail.on else 'off'}"
        + (f" at {rail.voltage_v:g} V" if rail.voltage_v is not None else "")
        for name, rail in rails
    )
