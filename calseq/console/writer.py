"""Output straight to a stream's descriptor, so that a stuck writer holds no lock that others wait for."""

import codecs
import os
import select
from typing import TextIO

from msgspec import Struct

LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
"""Gives the terminal back as it was before the live view."""
OLD_TITLE = "\x1b]2;\a\x1b[23;2t"
"""Gives its title back; a terminal that cannot do that has none at least."""


class Outlet(Struct, frozen=True):
    """Writes text to `stream`, whose own buffer and lock are passed by when it has a descriptor.

    A thread that hangs in a buffered write holds the buffer's lock: the interpreter could not end.
    """

    stream: TextIO
    descriptor: int | None
    encoding: str

    @property
    def ascii(self) -> bool:
        """Nothing but ASCII is known to arrive."""
        return codecs.lookup(self.encoding).name != "utf-8"

    def write(self, text: str) -> None:
        """Write all of `text`; blocks for as long as the stream does.

        Raises:
            OSError: the terminal or the reader has gone, or the disk is full.
            ValueError: the stream is closed.
        """
        octets = text.encode(self.encoding, "backslashreplace")
        if self.descriptor is None:
            self.stream.write(octets.decode(self.encoding))
            self.stream.flush()
        else:
            _write_all(self.descriptor, octets)


def outlet(stream: TextIO) -> Outlet:
    """Give the way to `stream`; what was printed to it before comes first."""
    try:
        stream.flush()
        descriptor: int | None = stream.fileno()
    except (OSError, ValueError, AttributeError):
        descriptor = None
    return Outlet(stream, descriptor, _known(getattr(stream, "encoding", None) or "utf-8"))


def _known(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        return "ascii"


def _write_all(descriptor: int, octets: bytes) -> None:
    while octets:
        try:
            octets = octets[os.write(descriptor, octets) :]
        except BlockingIOError:
            # somebody else made the shared terminal non-blocking: wait as if it were not
            select.select([], [descriptor], [])
