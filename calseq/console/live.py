"""The live view: pictures of a run on a terminal, of which only the lines that changed are sent."""

import io
import os
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct, field
from rich.console import Console
from rich.text import Text

from calseq.console.characters import alphabet
from calseq.console.frame import Moment, frame
from calseq.console.line import Line, text_of
from calseq.console.wording import window_title
from calseq.console.writer import LEAVE, OLD_TITLE, Outlet
from calseq.model.events import RunEnded, Stamped, StopAsked
from calseq.record.log_tail import LogTail, Tail
from calseq.record.view import RunView, fold

PERIOD_S = 1.0
"""A picture lasts so long; only an answer to Ctrl-C comes sooner."""

_WHOLE_EVERY = 15
"""Pictures between two in which all lines are sent, over what other programs wrote or a person typed in between."""

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_CLEAR = "\x1b[0m\x1b[2J"
_BELL = "\a"
_KEEP_TITLE = "\x1b[22;2t"

Size = Callable[[], tuple[int, int]]


def terminal_size(out: Outlet) -> Size:
    """Give what asks the terminal for its columns and rows; what does not know is taken for 80 by 24."""

    def size() -> tuple[int, int]:
        try:
            columns, rows = os.get_terminal_size(out.descriptor or 0)
        except OSError:
            return 80, 24
        return columns or 80, rows or 24

    return size


class Live(Struct):
    """Draws a run. One thread alone may use it; `out` may block or raise, nothing else does.

    With `signs`, the terminal's title tells the step, and its bell rings at the end and when something is amiss.
    """

    out: Outlet
    view: RunView
    folder: Path
    size: Size
    color: bool
    signs: bool = False
    _title: str = ""
    watched: bool = False
    _shown: list[str] = field(default_factory=list)
    _shown_size: tuple[int, int] = (0, 0)
    _pictures: int = 0
    _entered: bool = False
    _tail: LogTail | None = None
    _console: Console | None = None

    def see(self, stamped: Stamped) -> bool:
        """Take an event in; True if it should be drawn at once."""
        grave = sum(note.grave for note in self.view.notes)
        self.view = fold(self.view, stamped)
        alarming = sum(note.grave for note in self.view.notes) > grave
        if self.signs and (alarming or isinstance(stamped.event, RunEnded)):
            self.out.write(_BELL)
        return isinstance(stamped.event, StopAsked)

    def show(self, now_t: float) -> float:
        """Draw, and say in how many seconds to draw again."""
        columns, rows = self.size()
        self._enter(columns, rows)
        self._entitle()
        shown = [self._rendered(each) for each in self._frame(now_t, columns, rows)]
        changes = "".join(
            f"\x1b[{row};1H\x1b[2K{text}\x1b[0m"
            for row, text in enumerate(shown, 1)
            if row > len(self._shown) or self._shown[row - 1] != text
        )
        self._shown = shown
        if changes:
            # the cursor rests at the top: keys typed by mistake cannot scroll the picture away
            self.out.write(changes + "\x1b[1;1H")
        return PERIOD_S

    def hide(self, parting: str = "") -> None:
        """Give the terminal back as it was found, with its cursor, and leave a line on it."""
        if self._entered or parting:
            restored = (OLD_TITLE if self._title else "") + LEAVE if self._entered else ""
            self.out.write(restored + parting)
        self._entered, self._title = False, ""
        self._shown = []

    def parting(self) -> str:
        """Say what goes on while nothing is drawn."""
        if self.watched:
            return "calseq: the run goes on; 'fg' brings its display back\r\n"
        running = self.view.running
        what = (
            f"step {running.step.number} {alphabet(ascii=self.out.ascii).text(running.step.name)}"
            if running
            else "the run"
        )
        return f"calseq: {what} goes on, only its display has stopped: Ctrl-Z brings it back, Ctrl-C stops the run\r\n"

    def _enter(self, columns: int, rows: int) -> None:
        whole = self._pictures % _WHOLE_EVERY == 0 or (columns, rows) != self._shown_size
        self._pictures += 1
        if not self._entered:
            self.out.write(_ENTER + _CLEAR)
            self._entered = True
        elif whole and (columns, rows) != self._shown_size:
            self.out.write(_CLEAR)
        if whole:
            self._shown = []
        self._shown_size = (columns, rows)

    def _entitle(self) -> None:
        """Have the terminal's title say which step it is."""
        title = window_title(self.view, alphabet(ascii=self.out.ascii))
        if self.signs and title != self._title:
            self.out.write(("" if self._title else _KEEP_TITLE) + f"\x1b]2;{title}\a")
            self._title = title

    def _frame(self, now_t: float, columns: int, rows: int) -> list[Line]:
        letters = alphabet(ascii=self.out.ascii)
        return frame(Moment(self.view, now_t, self._look(now_t, rows), letters, self.watched), columns, rows)

    def _look(self, now_t: float, rows: int) -> Tail:
        running = self.view.running
        if running is None or not running.log:
            return Tail()
        path = self.folder / running.log
        if self._tail is None or self._tail.path != path:
            self._tail = LogTail(path)
        return self._tail.look(now_t, rows)

    def _rendered(self, pieces: Line) -> str:
        """Give a line with rich's escape sequences for its styles, and no others."""
        if not text_of(pieces).strip():
            return ""
        console = self._console = self._console or _painter(color=self.color)
        text = Text(no_wrap=True, overflow="ignore", end="")
        for span in pieces:
            text.append(span.text, span.style or None)
        with console.capture() as captured:
            console.print(text, end="", soft_wrap=True, markup=False, highlight=False, emoji=False)
        return captured.get().rstrip(" ")


def live(
    out: Outlet,
    plan_view: RunView,
    folder: Path,
    *,
    color: bool,
    signs: bool,
    size: Size | None = None,
    watched: bool = False,
) -> Live:
    """Make a live view; without a `size`, the terminal is asked before every picture."""
    return Live(out, plan_view, folder, size or terminal_size(out), color, signs, watched=watched)


def _painter(*, color: bool) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        force_interactive=False,
        color_system="standard",
        no_color=not color,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        width=10_000,
        height=100,
    )
