"""Times and durations as a person reads them."""

from datetime import datetime, tzinfo


def spoken(duration_s: float) -> str:
    """Give a duration in words: `4.2s`, `3m 12s`, `1h 03m 20s`."""
    if duration_s < 9.95:
        return f"{max(duration_s, 0.0):.1f}s"
    hours, minutes, seconds = _parts(round(duration_s))
    if hours:
        return f"{hours}h {minutes:02d}m {seconds:02d}s"
    return f"{minutes}m {seconds:02d}s" if minutes else f"{seconds}s"


def rounded(duration_s: float) -> str:
    """Give a duration that was never exact: `40s`, `30m`, `1h 05m`, `2h`."""
    if duration_s < 60:
        return f"{round(duration_s)}s"
    if duration_s < 600:
        return spoken(duration_s).removesuffix(" 00s")
    hours, minutes, _ = _parts(round(duration_s / 60) * 60)
    return (f"{hours}h {minutes:02d}m" if hours else f"{minutes}m").removesuffix(" 00m")


def about(duration_s: float) -> str:
    """Give a duration that is only expected: short ones to a tenth of a second, others rounded."""
    return spoken(duration_s) if duration_s < 9.95 else rounded(duration_s)


def clocked(duration_s: float) -> str:
    """Give a duration as a stop watch shows it: `03:12`, `1:03:20`."""
    hours, minutes, seconds = _parts(int(max(duration_s, 0.0)))
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes:02d}:{seconds:02d}"


def moment(at: float, zone: tzinfo | None = None) -> str:
    """Give a POSIX time as date and time of day in `zone`, or where this machine stands."""
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S")


def _parts(seconds: int) -> tuple[int, int, int]:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return hours, minutes, seconds
