"""The clock that runs and durations go by: monotonic, and counting on while a laptop sleeps."""

import time


def now_s() -> float:
    """Give seconds since some moment in the past; wall-clock jumps do not touch it, suspends count."""
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
