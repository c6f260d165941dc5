"""Waiting before something is tried again: longer each time, and not for ever."""

import time
from collections.abc import Callable

from calseq.system.clock import now_s

LONGEST_S = 30.0


class Patience:
    """Waits of 1, 2, 4 … seconds, of `LONGEST_S` at most, as long as they end within `total_s` of the first failure."""

    def __init__(
        self,
        total_s: float,
        clock: Callable[[], float] = now_s,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._pause = clock, pause
        self._total_s = total_s
        self._due_s: float | None = None
        self._next_s = 1.0

    def delay_s(self) -> float | None:
        """Give how long the next wait is; None if there is no time for one."""
        now_s = self._clock()
        if self._due_s is None:
            self._due_s = now_s + self._total_s
        return self._next_s if now_s + self._next_s <= self._due_s else None

    def wait(self, told: Callable[[float], None]) -> bool:
        """Wait, after saying for how long; False, at once, if there is no time for it."""
        delay_s = self.delay_s()
        if delay_s is None:
            return False
        told(delay_s)
        self._pause(delay_s)
        self._next_s = min(2 * delay_s, LONGEST_S)
        return True
