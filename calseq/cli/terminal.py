"""The two streams a command writes to: results on stdout, everything else on stderr."""

import os
import shutil
import sys
from contextlib import suppress
from typing import TextIO


def results(text: str) -> None:
    """Write a result to stdout; a pipe that was closed raises `BrokenPipeError`."""
    _write(sys.stdout, text)
    sys.stdout.flush()


def message(text: str) -> None:
    """Write a message to stderr; an error of the stream is passed over."""
    with suppress(OSError, ValueError):
        _write(sys.stderr, text)
        sys.stderr.flush()


def has_color(stream: TextIO) -> bool:
    """Colours suit a terminal that is not dumb, unless NO_COLOR is set."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return False
    return is_terminal(stream)


def is_ascii(stream: TextIO) -> bool:
    """The stream cannot show more than ASCII."""
    return not (stream.encoding or "").lower().replace("-", "").startswith("utf")


def columns(stream: TextIO) -> int:
    """Give the stream's width: the terminal's, else 100."""
    return shutil.get_terminal_size((100, 24)).columns if is_terminal(stream) else 100


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal."""
    try:
        return stream.isatty()
    except ValueError:
        return False


def _write(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "ascii"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
