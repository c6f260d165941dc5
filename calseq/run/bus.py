"""The bus of a run: its events stamped, and handed to the record and to listeners."""

import time
from collections.abc import Callable

from msgspec import Struct, field

from calseq.model.events import Event, ListenerDropped, Stamped
from calseq.system.clock import now_s

Listener = Callable[[Stamped], None]


class RecordLost(Exception):
    """A vital listener failed: what happens is no longer recorded. The message says why."""


class Bus(Struct):
    """Stamps events and hands them to listeners, in order.

    A *vital* listener that raises is dropped and the emitter gets `RecordLost`, once; a *courtesy* listener
    that raises is dropped and the others are told. The bus of a resumed run begins with the `seq` and `t` of
    its last event: `t` counts the time in which calseq ran the run.
    """

    vital: list[Listener] = field(default_factory=list)
    courtesy: dict[str, Listener] = field(default_factory=dict)
    clock: Callable[[], float] = now_s
    wall: Callable[[], float] = time.time
    seq: int = 0
    t: float = 0.0
    _start_s: float | None = None

    def emit(self, event: Event) -> None:
        """Stamp an event and tell everybody.

        Raises:
            RecordLost: a vital listener failed just now.
        """
        now = self.clock()
        if self._start_s is None:
            self._start_s = now - self.t
        self.seq += 1
        self.t = now - self._start_s
        stamped = Stamped(self.seq, self.wall(), self.t, event)
        lost = self._tell_vital(stamped)
        self._tell_courtesy(stamped)
        if lost:
            raise RecordLost(lost)

    def _tell_vital(self, stamped: Stamped) -> str:
        reason = ""
        for listener in list(self.vital):
            try:
                listener(stamped)
            except Exception as error:  # noqa: BLE001 - whatever it is, the record is lost
                self.vital.remove(listener)
                reason = f"the record cannot be written: {getattr(error, 'strerror', None) or error}"
        return reason

    def _tell_courtesy(self, stamped: Stamped) -> None:
        for name, listener in list(self.courtesy.items()):
            try:
                listener(stamped)
            except Exception as error:  # noqa: BLE001 - drawing must never stop a measurement
                del self.courtesy[name]
                self.emit(ListenerDropped(name, f"{type(error).__name__}: {error}"))
