"""Durations as people write and read them: '45s', '90m', '1h30m', 'none'."""

import re

_HOURS, _MINUTES, _SECONDS = "[0-9]{1,5}h", "[0-9]{1,6}m", "[0-9]{1,8}s"
DURATION_PATTERN = rf"^(none|{_HOURS}({_MINUTES})?({_SECONDS})?|{_MINUTES}({_SECONDS})?|{_SECONDS})$(?!\n)"
_PARTS = re.compile(r"(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,8})s)?")

_UNITS_S = {
    **dict.fromkeys(("d", "day", "days"), 86400),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
}
_LOOSE_PART = re.compile(r"([0-9]{1,8}(?:\.[0-9]{1,3})?)\s*([a-z]+)\.?\s*(?:,|and)?\s*")
_SHORT_CLOCK = re.compile(r"([0-9]{1,4}):([0-5][0-9])")
_CLOCK = re.compile(r"([0-9]{1,4}):([0-5][0-9]):([0-5][0-9])")


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


def two_readings(text: str) -> str:
    """Give the two durations that a text such as '1:30' may mean, in words; else an empty text."""
    match = _SHORT_CLOCK.fullmatch(text)
    return "{0}m{1}s or {0}h{1}m".format(*match.groups()) if match else ""


def understood(text: str) -> str:
    """Give the duration that a person certainly means by a text of another form, as '90 minutes'; else an empty text."""
    loose = text.strip().lower()
    if loose == "none":
        return loose
    clock = _CLOCK.fullmatch(loose)
    if clock:
        loose = "{}h {}m {}s".format(*clock.groups())
    parts = _LOOSE_PART.findall(loose)
    is_whole = parts and not _LOOSE_PART.sub("", loose)
    if not is_whole or any(unit not in _UNITS_S for _, unit in parts):
        return ""
    total_s = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    spelling = spelled(total_s)
    return spelling if total_s == round(total_s) > 0 and re.search(DURATION_PATTERN, spelling) else ""
