"""Plain lines for a pipe, a file or a dumb terminal: one per thing worth saying, each with its time."""

from datetime import tzinfo
from pathlib import Path

from msgspec import Struct

from calseq.console.characters import alphabet
from calseq.console.event_lines import heartbeat, narrate
from calseq.console.writer import Outlet
from calseq.model.events import Stamped
from calseq.record.log_tail import LogTail
from calseq.record.view import RunView, StepView, fold
from calseq.system.times import moment

HEARTBEAT_S = 60.0


class Plain(Struct):
    """Writer of a run's events as lines. One thread alone may use it; `out` may block or raise, nothing else does."""

    out: Outlet
    view: RunView
    folder: Path
    heartbeat_s: float = HEARTBEAT_S
    zone: tzinfo | None = None
    _beat_t: float = 0.0
    _tail: LogTail | None = None

    def see(self, stamped: Stamped) -> bool:
        """Say what is worth saying of an event; nothing is left to be drawn."""
        self.view = fold(self.view, stamped)
        said = narrate(stamped.event, self.view, alphabet(ascii=self.out.ascii))
        if said:
            self._say(said, stamped.at)
            self._beat_t = stamped.t
        return False

    def show(self, now_t: float) -> float:
        """Say that a step still runs, if nothing was said for a while; give the time to look again."""
        step = self.view.running
        log = self._log(step)
        tail = log.look(now_t, 0) if log else None
        waited_s = now_t - self._beat_t
        if step and tail and waited_s >= self.heartbeat_s:
            letters = alphabet(ascii=self.out.ascii)
            self._say(heartbeat(step, self.view, now_t, tail, letters), self.view.at + now_t - self.view.t)
            self._beat_t, waited_s = now_t, 0.0
        # a third of the interval, so that a silence is measured and not only suspected
        return max(min(self.heartbeat_s - waited_s, self.heartbeat_s / 3), 0.05)

    def hide(self, parting: str = "") -> None:
        """Leave a last line, if there is one."""
        if parting:
            self.out.write(parting)

    def parting(self) -> str:
        """Empty: lines need no parting word."""
        return ""

    def _say(self, text: str, at: float) -> None:
        self.out.write(f"{moment(at, self.zone)}  {text}\n")

    def _log(self, step: StepView | None) -> LogTail | None:
        if step is None or not step.log:
            return None
        path = self.folder / step.log
        if self._tail is None or self._tail.path != path:
            self._tail = LogTail(path)
        return self._tail
