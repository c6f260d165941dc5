"""Durations as people write and read them: '45s', '90m', '1h30m', 'none'."""

import re

_HOURS, _MINUTES, _SECONDS = "[0-9]{1,5}h", "[0-9]{1,6}m", "[0-9]{1,8}s"
DURATION_PATTERN = rf"^(none|{_HOURS}({_MINUTES})?({_SECONDS})?|{_MINUTES}({_SECONDS})?|{_SECONDS})$(?!\n)"
_PARTS = re.compile(r"(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,8})s)?")


def seconds(text: str) -> float | None:
    """Give the seconds that a duration means; None for 'none'.

    Raises:
        ValueError: the text is not a duration.
    """
    if text == "none":
        return None
    match = _PARTS.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration")
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + rest)


def spelled(duration_s: float | None) -> str:
    """Write a duration as a sequence file has it: 5400 s are '1h30m'."""
    if duration_s is None:
        return "none"
    whole = round(duration_s)
    parts = [(whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s")]
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
