"""Monitors: commands of the site that watch the surroundings of a run, such as an interlock or the dew point.

They add to hardware interlocks and never replace them.
"""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from calseq.model.events import MonitorRead
from calseq.model.plan import Monitor
from calseq.problems.plaintext import printable
from calseq.system.clock import now_s
from calseq.system.process import Child, Exit, NotStarted

_READING_BYTES = 4096
_DROP_S = 2.0


class Probe:
    """One look: the monitor's command, running."""

    def __init__(self, monitor: Monitor, *, cwd: str, environment: Mapping[str, str], at_s: float) -> None:
        """Start it.

        Raises:
            NotStarted: with the reason in words.
        """
        self._monitor = monitor
        self._due_s = at_s + monitor.timeout_s
        self._late = False
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the probe
        try:
            mark = f"CALSEQ_MONITOR={monitor.name}"
            self._child = Child(
                monitor.command, cwd=cwd, env=environment, log=self._output.fileno(), mark=mark
            )
        except NotStarted:
            self._output.close()
            raise

    def result(self, at_s: float) -> MonitorRead | None:
        """Give what it found; None while it is still looking. One that takes too long is ended."""
        ended = self._child.poll()
        if ended is None:
            if at_s >= self._due_s and not self._late:
                self._late = True
                self._child.send(signal.SIGKILL)
            if at_s >= self._due_s + _DROP_S:  # it stands in the kernel: it does not look, and says nothing
                return MonitorRead(self._monitor.name, False, "", self._why_not(Exit()))
            return None
        self._child.reap()
        raw = os.pread(self._output.fileno(), _READING_BYTES, 0)
        self._output.close()
        reading = printable(raw.decode("utf-8", "replace").strip(), 200)
        return MonitorRead(self._monitor.name, not self._why_not(ended), reading, self._why_not(ended))

    def _why_not(self, ended: Exit) -> str:
        if self._late:
            return f"no answer within {self._monitor.timeout_s:g} s"
        if ended.signal:
            return f"ended by {ended.signal}"
        return f"exit code {ended.code}" if ended.code != 0 else ""

    def drop(self) -> None:
        """End it without its result."""
        due_s = now_s() + _DROP_S
        self._child.send(signal.SIGKILL)
        while self._child.poll() is None and now_s() < due_s:
            time.sleep(0.005)
        self._child.reap()
        self._output.close()


class Watchers:
    """All monitors of a bench, each looking again after its interval."""

    def __init__(
        self,
        monitors: tuple[Monitor, ...],
        *,
        start: Callable[[Monitor, float], Probe],
        tell: Callable[[MonitorRead], None],
        clock: Callable[[], float],
    ) -> None:
        self._monitors = monitors
        self._start = start
        self._tell = tell
        self._clock = clock
        self._probes: dict[str, Probe] = {}
        self._due_s = {monitor.name: float("-inf") for monitor in monitors}
        self._stop = ""

    def look(self) -> str:
        """Start the looks that are due and take in those that are done; say why the run must end, if it must."""
        at_s = self._clock()
        for monitor in self._monitors:
            self._take_in(monitor, at_s)
            if monitor.name not in self._probes and at_s >= self._due_s[monitor.name]:
                self._due_s[monitor.name] = at_s + monitor.every_s
                try:
                    self._probes[monitor.name] = self._start(monitor, at_s)
                except NotStarted as error:
                    self._judge(monitor, MonitorRead(monitor.name, False, "", str(error)))
        return self._stop

    def first(self, pause: Callable[[float], None]) -> str:
        """Look once with all of them, before anything is touched; say why the run must not start, if it must not."""
        reason = self.look()
        while self._probes and not reason:
            pause(0.05)
            reason = self.look()
        return reason

    def stop(self, reason: str) -> None:
        """Have the run end for another reason than a monitor's."""
        self._stop = self._stop or reason

    def close(self) -> None:
        """End what still looks."""
        for probe in self._probes.values():
            with suppress(OSError):
                probe.drop()
        self._probes.clear()

    def _take_in(self, monitor: Monitor, at_s: float) -> None:
        probe = self._probes.get(monitor.name)
        found = probe.result(at_s) if probe else None
        if found is not None:
            del self._probes[monitor.name]
            self._judge(monitor, found)

    def _judge(self, monitor: Monitor, found: MonitorRead) -> None:
        self._tell(found)
        if not found.ok and monitor.on_failure == "stop":
            said = f": {found.reading}" if found.reading else ""
            self._stop = self._stop or f"monitor '{monitor.name}' says stop ({found.reason}{said})"
