"""Progress of a run: what has gone wrong so far, whether anything further may start, and its events."""

from collections.abc import Callable

from calseq.model import events
from calseq.run.bus import RecordLost
from calseq.system.signals import Stops


class Progress:
    """The state that all parts of a run share. Every reason is the first one of its kind, in words.

    None of its methods raises: what goes wrong in telling must not keep the rails from their safe end.
    """

    def __init__(
        self,
        emit: Callable[[events.Event], None],
        clock: Callable[[], float],
        stops: Stops,
        look: Callable[[], str] = lambda: "",
    ) -> None:
        self.clock = clock
        self.stops = stops
        self.failure = ""
        """Why the run has not passed."""
        self.halted = ""
        """Why nothing further may start."""
        self.lost = ""
        """Why the record is lost."""
        self.unsure = ""
        """Why the rails cannot be trusted to be off."""
        self.bug = False
        self._emit = emit
        self._look = look
        self._noticed = 0

    @property
    def stopped_by(self) -> str:
        """Who stopped the run, in words; empty if nobody did."""
        return f"stopped by {self.stops.who}" if self.stops.level else ""

    def tell(self, event: events.Event) -> None:
        """Emit an event. If the record of it is lost, what runs is ended and nothing further starts."""
        try:
            self._emit(event)
        except RecordLost as lost:
            self.lost = self.lost or str(lost)
            self.halt(self.lost)
        except BaseException as error:  # noqa: BLE001 - a bug there must not keep the module from being made safe
            self.caught(error)

    def caught(self, error: BaseException) -> None:
        """Note what was raised and should not have been: Ctrl-C is a wish to stop, all else a bug."""
        if isinstance(error, KeyboardInterrupt):
            self.stops.ask("SIGINT")
            self.halted = self.halted or self.stopped_by
        else:
            self.bug = True
            self.halt(f"a bug in calseq: {type(error).__name__}: {error}")

    def fail(self, reason: str) -> None:
        """The run cannot pass any more."""
        self.failure = self.failure or reason

    def halt(self, reason: str) -> None:
        """The run cannot pass any more, and nothing further may start."""
        self.fail(reason)
        self.halted = self.halted or reason

    def alarm(self) -> str:
        """Look at the surroundings; say why they forbid to go on, if they do."""
        try:
            reason = self._look()
        except BaseException as error:  # noqa: BLE001 - as with telling: the rails must reach their safe end
            self.caught(error)
            return self.halted
        if reason:
            self.halt(reason)
        return reason

    def may_go_on(self) -> bool:
        """Something further may start: no stop was asked, nothing is amiss, and power and record are there."""
        self.notice_stops()
        if not self.halted:
            self.alarm()
        return not self.halted

    def notice_stops(self) -> None:
        """Emit, once per press, that a stop was asked."""
        if self.stops.level > self._noticed:
            self._noticed = self.stops.level
            self.halted = self.halted or self.stopped_by
            self.tell(events.StopAsked(self.stops.cause, self.stops.level))

    def wait(self, duration_s: float) -> None:
        """Let time pass, whatever signals come."""
        due_s = self.clock() + duration_s
        while (left_s := due_s - self.clock()) > 0:
            self.stops.pause(left_s)
