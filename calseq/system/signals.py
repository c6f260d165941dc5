"""The wish to stop a run: signals noted, never acted on here, and a way to wait that they end."""

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Self

from calseq.system.clock import now_s

_POLL_S = 0.02
_SAME_PRESS_S = 0.1

_HANDLED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGTSTP,
    signal.SIGCHLD,
    signal.SIGUSR1,
)
_FATAL = (
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGXCPU,
    signal.SIGIO,
)
"""Signals that nobody should send, and that would end calseq without a safe end: they ask for a stop, too."""


class Stops:
    """How urgently a run is asked to stop.

    `level` is 0 (go on), 1 (stop gently), 2 (SIGTERM the child now) or 3 (SIGKILL it now). Only a repeated
    Ctrl-C raises it beyond 1: a storm of SIGTERMs is one wish.
    """

    def __init__(self, clock: Callable[[], float] = now_s) -> None:
        self.level = 0
        self.cause = ""
        self._clock = clock
        self._last_s = float("-inf")

    @property
    def who(self) -> str:
        """Who asked first, as a person says it."""
        return "Ctrl-C" if self.cause == "SIGINT" else self.cause

    def ask(self, cause: str) -> None:
        """Ask the run to stop; `cause` is the signal's name."""
        now = self._clock()
        if self.level == 0:
            self.level, self.cause, self._last_s = 1, cause, now
        elif cause == "SIGINT":
            if now - self._last_s > _SAME_PRESS_S:
                self.level = min(3, self.level + 1)
            self._last_s = now  # a key that is held down is one press

    def renew(self) -> None:
        """Forget what was asked: what follows is another thing."""
        self.level, self.cause = 0, ""

    def pause(self, timeout_s: float) -> None:
        """Wait, at most `timeout_s` seconds; whatever may concern the run ends the wait."""
        time.sleep(min(timeout_s, _POLL_S))


class SignalStops(Stops):
    """Stops asked for by signals, while its context lasts.

    SIGINT, SIGTERM, SIGQUIT and whatever else would end a program ask; SIGHUP asks only if `on_hangup` is 'stop', and else tells `hung_up`.
    SIGTSTP tells `suspended`, SIGUSR1 `queried`: neither asks. SIGCHLD ends a wait. Works in the main thread, where Python delivers signals; elsewhere it only polls.
    """

    def __init__(
        self,
        *,
        on_hangup: str = "continue",
        hung_up: Callable[[], None] = lambda: None,
        suspended: Callable[[], None] = lambda: None,
        queried: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self._on_hangup = on_hangup
        self._hung_up = hung_up
        self._suspended = suspended
        self._queried = queried
        self._old: dict[signal.Signals, object] = {}
        self._old_wakeup = -1
        self._pipe: tuple[int, int] | None = None
        self._telling = False
        self.deaf_after = False
        """Leave the signals ignored when the context ends: nothing may change how the program ends any more."""

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_wakeup = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        fatal = [number for number in _FATAL if signal.getsignal(number) is signal.SIG_DFL]
        for number in (*_HANDLED, *fatal):
            self._old[number] = signal.signal(number, self._note)
        # Else a line written from the background of a terminal could stop calseq in mid-run.
        for number in (signal.SIGTTOU, signal.SIGTTIN):
            self._old[number] = signal.signal(number, signal.SIG_IGN)
        # A parent may have left these blocked; a child would inherit that.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pipe is None:
            return
        for number, handler in self._old.items():
            if not self.deaf_after:
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)  # type: ignore[arg-type]
            elif number is not signal.SIGCHLD:
                signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(self._old_wakeup)
        for descriptor in self._pipe:
            os.close(descriptor)
        self._pipe = None

    def pause(self, timeout_s: float) -> None:
        """Wait until a signal comes or a child ends, at most `timeout_s` seconds."""
        if self._pipe is None:
            super().pause(timeout_s)
            return
        select.select([self._pipe[0]], [], [], max(0.0, timeout_s))
        with suppress(BlockingIOError):
            os.read(self._pipe[0], 4096)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if name == "SIGCHLD":
            return
        if name == "SIGTSTP":
            self._show(self._suspended)
        elif name == "SIGUSR1":
            self._show(self._queried)
        elif name == "SIGHUP" and self._on_hangup != "stop":
            self._show(self._hung_up)
        else:
            self.ask(name)

    def _show(self, tell: Callable[[], None]) -> None:
        """Tell the screen, one thing at a time: a handler interrupts the run wherever it is, itself included."""
        if self._telling:
            return
        self._telling = True
        try:
            tell()
        except Exception:  # noqa: BLE001, S110 - nothing about a screen may be raised into the middle of a run
            pass
        finally:
            self._telling = False
