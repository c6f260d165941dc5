"""The rails of a bench brought to where they are wanted, one confirmed move at a time, and to their safe end."""

from collections.abc import Callable
from math import isfinite

from calseq.model import events
from calseq.model.rails import BOTH_OFF, Hv, Move, Rails, Reading, Readings, Role, moves
from calseq.power.protocol import Power, PowerFault, Watched
from calseq.run.progress import Progress

SAFE_END_WAITS_S = (0.0, 1.0, 3.0)
"""Waits before each try of the safe end."""

_SWITCHING_ON = (Move.LV_ON, Move.HV_BIAS)
_MOST_MOVES = 3


class Rig:
    """Moves the rails through a power backend, tells of it, and believes only what is read back."""

    def __init__(self, power: Power, progress: Progress) -> None:
        self._power = power
        self._progress = progress
        self._biased = False  # the HV that is on is the bias, put there by this run

    def reach(self, wanted: Rails, step: int) -> None:
        """Bring the rails to a state. Nothing is switched on once the run is to stop.

        Raises:
            PowerFault: a supply did not do or say what it should; the rails are somewhere on the way.
        """
        _raise_lost(self._power)
        path = self._path(_believed(self._power.read()), wanted)
        for _ in range(_MOST_MOVES):
            if not path or not self._told(path[0], step):
                return
            done = path[0]
            readings = self._move(done, step)
            path = self._path(readings, wanted)
            if path[:1] == (done,):
                raise _fault(done, f"{done} had no effect: {readings.words}")
        if path:
            raise PowerFault(f"the rails do not stay where they are put: {readings.words}")

    def _path(self, readings: Readings, wanted: Rails) -> tuple[Move, ...]:
        """Give the moves to a state. An HV that this run did not put there is not the bias, whatever it reads."""
        if self._biased or wanted.hv is not Hv.BIAS or readings.hv_gone:
            return moves(readings, wanted)
        return moves(Readings(readings.lv, Reading()), wanted)

    def _told(self, move: Move, step: int) -> bool:
        """Tell that a move begins; what could not be told, or is not wanted any more, is not switched on."""
        if move in _SWITCHING_ON and not self._progress.may_go_on():
            return False
        self._progress.tell(events.RailMoving(move, step))
        return move not in _SWITCHING_ON or self._progress.may_go_on()

    def _move(self, move: Move, step: int = 0) -> Readings:
        """Carry out one move, whose begin is in the record."""
        started_s = self._progress.clock()
        self._biased = False
        try:
            readings = _believed(self._power.move(move, lambda: self._progress.stops.level > 0))
        except PowerFault as fault:
            raise _fault(move, str(fault)) from fault
        finally:
            self._tell_cuts()
        self._biased = readings.hv.on is True and move is Move.HV_BIAS
        self._progress.tell(events.RailMoved(move, readings, self._progress.clock() - started_s, step))
        return readings

    def _tell_cuts(self) -> None:
        """Say where HV went off without its ramp: a run in which that happened has not passed."""
        for cut in self._power.cuts():
            self._progress.fail(cut)
            self._progress.tell(events.PowerFailed(cut, Move.HV_OFF))

    def hand_over(self, given: tuple[Role, ...]) -> None:
        """Close what a child is given."""
        if given:
            self._power.hand_over(given)

    def watch(self, child: Watched | None) -> None:
        """Have the child ended, too, if calseq itself goes away."""
        self._power.watch(child)

    def lost(self) -> str:
        """Fault of the supplies between two requests, in words."""
        return self._power.lost()

    def take_back(self, given: tuple[Role, ...], step: int) -> None:
        """Open again what a child was given, and see in which state it left that."""
        if not given:
            return
        readings = _believed(self._power.take_back(given))
        self._progress.tell(events.RailsRead(readings, step))
        if Role.HV in given and not readings.hv_gone:
            # A curve ends at 0 V. At whatever voltage a child left it, that is not the bias.
            self._told(Move.HV_OFF, step)
            self._move(Move.HV_OFF, step)

    def safe_end(self) -> tuple[Readings, str]:
        """HV off, then LV off, read back; and why that could not be confirmed, empty if it was. Raises nothing.

        What cannot be confirmed move by move is left to the guard, or to another one if it is gone.
        """
        for wait_s in SAFE_END_WAITS_S:
            self._wait(wait_s)
            readings, _ = self._tried(self._make_safe)
            if readings.all_off:
                return readings, ""
            if self._is_lost():
                break
        readings, reason = self._tried(self._finished)
        if readings.all_off:
            return readings, ""
        return readings, reason or f"off could not be confirmed: {readings.words}"

    def _tried(self, make: Callable[[], tuple[Readings, str]]) -> tuple[Readings, str]:
        try:
            return make()
        except BaseException as error:  # noqa: BLE001 - a bug, or Ctrl-C: the next try may succeed
            self._progress.caught(error)
            return Readings(), f"{type(error).__name__}: {error}"

    def _is_lost(self) -> bool:
        try:
            return bool(self._power.lost())
        except BaseException as error:  # noqa: BLE001 - as above
            self._progress.caught(error)
            return True

    def _finished(self) -> tuple[Readings, str]:
        """Leave the safe end to the guard."""
        try:
            readings, reason = self._power.finish()
        finally:
            self._tell_cuts()
        readings = _believed(readings)
        self._progress.tell(events.RailsRead(readings))
        if reason:
            self._progress.tell(events.PowerFailed(reason))
        return readings, reason

    def _wait(self, duration_s: float) -> None:
        try:
            self._progress.wait(duration_s)
        except BaseException as error:  # noqa: BLE001 - an impatient Ctrl-C shortens the wait, nothing else
            self._progress.caught(error)

    def _make_safe(self) -> tuple[Readings, str]:
        """Try once. LV stays on under an HV that is not confirmed to be gone."""
        try:
            readings = _believed(self._power.take_back((Role.LV, Role.HV)))
            for move in moves(readings, BOTH_OFF):
                if move is Move.LV_OFF and not readings.hv_gone:
                    return readings, f"HV is not confirmed off, so LV stays on: {readings.words}"
                self._told(move, 0)
                readings = self._move(move)
        except PowerFault as fault:
            self._progress.tell(events.PowerFailed(str(fault), fault.move))
            return self._still_read(), str(fault)
        return readings, ""

    def _still_read(self) -> Readings:
        """Give what can still be read after something failed: it is what somebody at the bench needs to know."""
        try:
            return _believed(self._power.read())
        except PowerFault:
            return Readings()

    def violations(self) -> tuple[str, ...]:
        """Give the interlock violations that the bench itself recorded."""
        return self._power.violations()


class NoRig:
    """The rails of a bench whose supplies dirigent switches itself: nothing is moved, read or claimed.

    `power` is then only a guard that ends the child if calseq goes away.
    """

    def __init__(self, power: Power | None = None) -> None:
        self._power = power

    def reach(self, wanted: Rails, step: int) -> None:  # noqa: ARG002 - a rig's
        """Leave them to the child.

        Raises:
            PowerFault: the guard is gone.
        """
        if self._power:
            _raise_lost(self._power)

    def watch(self, child: Watched | None) -> None:
        """Have the child ended, too, if calseq itself goes away."""
        if self._power:
            self._power.watch(child)

    def lost(self) -> str:
        """The guard has ended."""
        return self._power.lost() if self._power else ""

    def hand_over(self, given: tuple[Role, ...]) -> None:
        """Nothing is held."""

    def take_back(self, given: tuple[Role, ...], step: int) -> None:
        """Nothing was held."""

    def safe_end(self) -> tuple[Readings, str]:
        """Nothing is known, and nothing was to be done; but without a guard that is not a good end."""
        return Readings(), self.lost()

    def violations(self) -> tuple[str, ...]:
        """Nobody recorded any."""
        return ()


def _raise_lost(power: Power) -> None:
    lost = power.lost()
    if lost:
        raise PowerFault(lost)


def _fault(move: Move, reason: str) -> PowerFault:
    fault = PowerFault(reason)
    fault.move = move
    return fault


def _believed(readings: Readings) -> Readings:
    """Take a reading that is no number for what it is: unknown."""
    return Readings(_number(readings.lv), _number(readings.hv))


def _number(reading: Reading) -> Reading:
    if reading.voltage_v is not None and not isfinite(reading.voltage_v):
        return Reading()
    if reading.current_a is not None and not isfinite(reading.current_a):
        return Reading(reading.on, reading.voltage_v)
    return reading
