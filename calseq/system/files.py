"""Regular files, opened without trusting that they are any: a fifo, a device or a link in a file's place leads nowhere."""

import errno
import os
import stat
from io import FileIO
from pathlib import Path

RECORD_BYTES = 4 << 20
"""A `run.json` that is larger is none."""

PLAN_BYTES = 64 << 20
INPUT_BYTES = 256 << 20
JOURNAL_BYTES = 2 << 30
"""The same of a plan, of a file that one was made of, and of a journal that is read as a whole."""

_SOMETHING_ELSE = (
    errno.ELOOP,
    errno.ENXIO,
    errno.EISDIR,
)  # a link; a socket, or a fifo without a reader; a folder


class NotRegular(OSError):
    """Something else is in the place of a regular file."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(errno.EINVAL, "it is no regular file", str(path))


def open_regular(path: Path, *, follow: bool = False) -> FileIO:
    """Open a regular file to read it; `follow`: a link to one will do.

    Raises:
        NotRegular: it is none.
        OSError: it cannot be opened.
    """
    return FileIO(descriptor_of(path, os.O_RDONLY, follow=follow), "rb")


def descriptor_of(
    path: str | Path, flags: int, *, mode: int = 0o644, below: int | None = None, follow: bool = False
) -> int:
    """Open a regular file, which `flags` may make, in the folder open as `below`; it never waits for a writer.

    Raises:
        NotRegular: it is none.
        OSError: it cannot be opened.
    """
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags, mode, dir_fd=below)
    except OSError as error:
        if error.errno in _SOMETHING_ELSE:
            raise NotRegular(path) from error
        raise
    except ValueError as error:  # a NUL in its name
        raise FileNotFoundError(errno.ENOENT, "no such file or directory", str(path)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegular(path)
    os.set_blocking(descriptor, True)
    return descriptor


def read_whole(path: Path, most_bytes: int, *, follow: bool = False) -> bytes:
    """Read a regular file of at most so many bytes.

    Raises:
        OSError: it is none, is larger, or cannot be read.
    """
    with open_regular(path, follow=follow) as file:
        if os.fstat(file.fileno()).st_size <= most_bytes:
            content = file.readall()
            if len(content) <= most_bytes:
                return content
    raise OSError(errno.EFBIG, f"it is larger than {most_bytes} bytes", str(path))


def read_regular(path: Path, most_bytes: int) -> bytes | None:
    """Read a regular file of at most so many bytes; None if it is none, is larger, or cannot be read."""
    try:
        return read_whole(path, most_bytes)
    except OSError:
        return None


def read_end(path: Path, most_bytes: int) -> bytes:
    """Read the last bytes of a regular file, at most so many.

    Raises:
        OSError: it is none, or cannot be read.
    """
    with open_regular(path) as file:
        start = max(os.fstat(file.fileno()).st_size - most_bytes, 0)
        return os.pread(file.fileno(), most_bytes, start)
