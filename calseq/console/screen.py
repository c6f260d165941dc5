"""Where a run is shown: live on a terminal, in lines elsewhere; and never does showing delay the run."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping
from enum import Enum, auto
from pathlib import Path
from typing import Literal, Protocol, TextIO

from calseq.console.plain import HEARTBEAT_S, Plain
from calseq.console.writer import LEAVE, OLD_TITLE, Outlet, outlet
from calseq.model.events import Stamped, StepProgressed
from calseq.model.plan import Plan
from calseq.record.view import RunView, begin

Mode = Literal["auto", "live", "plain", "none"]

_PENDING = 1000
"""So many events may wait for a stuck terminal; after that, progress inside a step is not kept."""

_SOONEST_S = 0.1


class Screen(Protocol):
    """Shows a run. It is called with every event and returns at once, whatever becomes of the terminal."""

    def __call__(self, stamped: Stamped) -> None:
        """Take an event in.

        Raises:
            ScreenLostError: once, when the terminal has gone, so that whoever listens can be told.
        """

    def close(self, timeout_s: float = 2.0) -> bool:
        """Show the last events and restore the terminal; True if that was done in time."""

    def hang_up(self) -> None:
        """Stop for good: the terminal is lost."""

    def suspend(self, timeout_s: float = 0.5) -> bool:
        """Leave the terminal for a while, the run going on; True if that was done in time."""

    def resume(self) -> None:
        """Take the terminal again."""

    def aside(self, text: str) -> None:
        """Print lines that were asked for, beside the picture; returns at once."""


class Artist(Protocol):
    """Does the showing, in one thread and with a stream that may block."""

    def see(self, stamped: Stamped) -> bool:
        """Take an event in; True if it should be shown at once."""

    def show(self, now_t: float) -> float:
        """Show the run as it is; give the seconds until it should be shown again."""

    def hide(self, parting: str = "") -> None:
        """Give the stream back, with a last line on it."""

    def parting(self) -> str:
        """Give the line to leave while nothing is shown."""


class ScreenLostError(Exception):
    """The terminal or the pipe was closed; nothing more is shown."""


class Dark:
    """A screen that shows nothing but what is asked for."""

    def __init__(self, out: Outlet) -> None:
        self._out = out
        self._asides: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None

    def __call__(self, stamped: Stamped) -> None:
        """Take no notice."""

    def close(self, timeout_s: float = 2.0) -> bool:  # noqa: ARG002 - nothing to wait for
        """Have nothing to do."""
        return True

    def hang_up(self) -> None:
        """Have nothing to lose."""

    def suspend(self, timeout_s: float = 0.5) -> bool:  # noqa: ARG002 - nothing to wait for
        """Have nothing to give back."""
        return True

    def resume(self) -> None:
        """Have nothing to take."""

    def aside(self, text: str) -> None:
        """Write lines in a thread, which alone waits for a stuck stream."""
        if self._asides.qsize() < _PENDING:
            self._asides.put(text)
        if self._writer is None or not self._writer.is_alive():
            self._writer = threading.Thread(target=self._write, name="calseq-aside", daemon=True)
            self._writer.start()

    def _write(self) -> None:
        with contextlib.suppress(OSError, ValueError, queue.Empty):
            while True:
                self._out.write(self._asides.get_nowait())


class _Order(Enum):
    SUSPEND = auto()
    RESUME = auto()
    CLOSE = auto()


_Letter = tuple[float, Stamped] | _Order | str
"""What is put into a mailbox: an event and when it came, an order, or lines to show aside."""


class Threaded:
    """Lets an artist work in a thread of its own, which alone waits for the terminal.

    The thread is a daemon: one that hangs in a write outlives `close` and ends with the process.
    """

    def __init__(self, artist: Artist, clock: Callable[[], float], started: float | None = None) -> None:
        self._artist = artist
        self._clock = clock
        self._fixed = started is not None
        self._started = started
        self._mail: queue.SimpleQueue[_Letter] = queue.SimpleQueue()
        self._hidden = threading.Event()
        self._suspended = False
        self._hung_up = False
        self._lost = ""
        self._thread = threading.Thread(target=self._work, name="calseq-console", daemon=True)
        self._thread.start()

    def __call__(self, stamped: Stamped) -> None:
        """Put an event into the mailbox; nothing here waits."""
        if self._lost and not self._hung_up:
            reason, self._lost = self._lost, ""
            raise ScreenLostError(reason)
        if not self._thread.is_alive():
            return
        if self._mail.qsize() >= _PENDING and isinstance(stamped.event, StepProgressed):
            return
        self._mail.put((self._clock(), stamped))

    def close(self, timeout_s: float = 2.0) -> bool:
        """Wait so long for the last events to be shown and the terminal to be given back."""
        self._mail.put(_Order.CLOSE)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def hang_up(self) -> None:
        """Let the thread end without another write, as soon as it can."""
        self._hung_up = True
        self._mail.put(_Order.CLOSE)

    def suspend(self, timeout_s: float = 0.5) -> bool:
        """Have the terminal given back, and wait so long for it."""
        self._hidden.clear()
        self._mail.put(_Order.SUSPEND)
        return self._hidden.wait(timeout_s) if self._thread.is_alive() else True

    def resume(self) -> None:
        """Show the run again."""
        self._mail.put(_Order.RESUME)

    def aside(self, text: str) -> None:
        """Put lines into the mailbox: they are written between two pictures, where these leave them alone."""
        if self._thread.is_alive() and self._mail.qsize() < _PENDING:
            self._mail.put(text)

    def _work(self) -> None:
        try:
            self._show_until_closed()
        except (OSError, ValueError) as error:
            self._lost = f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001 - a fault in drawing is told, and costs the picture only
            self._lost = f"{type(error).__name__}: {error}"
            with contextlib.suppress(OSError, ValueError):
                self._artist.hide()
        finally:
            self._hidden.set()

    def _show_until_closed(self) -> None:
        due = self._clock()
        while not self._hung_up:
            letter = self._next(due)
            if letter is _Order.CLOSE:
                self._finish()
                return
            if isinstance(letter, str):
                self._artist.hide(letter)
                due = self._clock()
            elif isinstance(letter, _Order):
                self._obey(letter)
                due = self._clock()
            elif letter is not None and self._see(*letter):
                due = min(due, self._clock() + _SOONEST_S)
            if not self._suspended and (letter is None or self._clock() >= due):
                due = self._clock() + self._artist.show(self._now_t())

    def _next(self, due: float) -> _Letter | None:
        """Wait for mail until something is due."""
        try:
            if self._suspended:
                return self._mail.get()
            return self._mail.get(timeout=min(max(due - self._clock(), 0.0), 60.0))
        except queue.Empty:
            return None

    def _see(self, arrived: float, stamped: Stamped) -> bool:
        if not self._fixed:
            # no event arrives before it happened: the earliest beginning that any of them tells is right
            began = arrived - stamped.t
            self._started = began if self._started is None else min(self._started, began)
        return self._artist.see(stamped)

    def _now_t(self) -> float:
        return 0.0 if self._started is None else max(self._clock() - self._started, 0.0)

    def _obey(self, order: _Order) -> None:
        self._suspended = order is _Order.SUSPEND
        if self._suspended:
            self._artist.hide(self._artist.parting())
            self._hidden.set()

    def _finish(self) -> None:
        if not self._hung_up:
            self._artist.hide()


def open_screen(
    stream: TextIO,
    plan: Plan,
    folder: Path,
    *,
    mode: Mode = "auto",
    environ: Mapping[str, str],
    clock: Callable[[], float] = time.monotonic,
    size: Callable[[], tuple[int, int]] | None = None,
    heartbeat_s: float = HEARTBEAT_S,
    started: float | None = None,
    watched: RunView | None = None,
) -> Screen:
    """Open the screen that suits `stream`; `started` is the clock's reading at the run's t = 0, if known.

    `watched` is how the run stands already, for somebody who only watches it.
    """
    out = outlet(stream)
    if mode == "none":
        return Dark(out)
    view = watched or begin(plan)
    if mode == "plain" or (mode == "auto" and not suits_live(stream, environ)):
        beat_t = 0.0 if started is None else clock() - started
        return Threaded(Plain(out, view, folder, heartbeat_s, _beat_t=beat_t), clock, started)
    # a title or a bell is for somebody who sits there
    signs = suits_live(stream, environ) and environ.get("TERM") != "linux"
    artist = _live(out, view, folder, environ, size, signs=signs, watched=watched is not None)
    return Threaded(artist, clock, started)


def restoring(stream: TextIO, mode: Mode, environ: Mapping[str, str]) -> str | None:
    """Give what takes this module's traces off a terminal, if calseq is killed; None if `stream` is no terminal."""
    try:
        if not stream.isatty():
            return None
    except (OSError, ValueError):
        return None
    live = mode == "live" or (mode == "auto" and suits_live(stream, environ))
    return OLD_TITLE + LEAVE if live else ""


def suits_live(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether the live view suits `stream`: a terminal that is not dumb, and no CI."""
    try:
        terminal = stream.isatty()
    except (OSError, ValueError):
        return False
    return terminal and environ.get("TERM", "") not in {"", "dumb", "unknown"} and not environ.get("CI")


def _live(
    out: Outlet,
    view: RunView,
    folder: Path,
    environ: Mapping[str, str],
    size: Callable[[], tuple[int, int]] | None,
    *,
    signs: bool,
    watched: bool,
) -> Artist:
    # rich takes a tenth of a second to import: only who sees it pays for it
    from calseq.console.live import live  # noqa: PLC0415

    color = not environ.get("NO_COLOR")
    return live(out, view, folder, color=color, signs=signs, size=size, watched=watched)
