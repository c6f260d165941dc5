"""Text from outside made safe to show: no byte of it reaches a terminal as a command."""

import unicodedata
from shlex import quote

_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\x1b": "\\e"}


def printable(text: str, limit: int | None = None) -> str:
    """Give `text` with control, format, bidirectional and unassigned characters written as escapes.

    The result is one line. With a `limit`, what is longer is cut and ends in '…'.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def word(text: str) -> str:
    """Give `text` as one word of a command to be typed: in quotes, where a shell would take it for more."""
    return quote(printable(text))


def _escape(char: str) -> str:
    if char in _NAMED:
        return _NAMED[char]
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def width(text: str) -> int:
    """Give the terminal columns that printable `text` takes: wide East Asian characters take two."""
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
