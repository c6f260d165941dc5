"""Files that a command writes: a new one, or one in the place of what it was made from."""

import os
from contextlib import suppress
from pathlib import Path

from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet.

    Raises:
        Refused: it is there, or it cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise exists(path) from error
    except (OSError, ValueError) as error:
        raise cannot_write(path, error) from error


def write_over(path: Path, text: str) -> None:
    """Put a text in the place of a file's, at once; its mode stays, and so does a link to it.

    Raises:
        Refused: it cannot be written; the old text is still there.
    """
    real = path.resolve()
    fresh = real.with_name(f".{real.name}.{os.getpid()}.new")
    try:
        mode = real.stat().st_mode & 0o777
        with fresh.open("x", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(real)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        raise cannot_write(path, error) from error


def exists(path: Path) -> Refused:
    """Give what is said of a file that would be written over."""
    message = f"'{printable(str(path))}' is there already"
    return Refused([Problem(codes.FILE_EXISTS, message, "choose another name, or move it away")])


def cannot_write(path: Path, error: Exception) -> Refused:
    """Give what is said of a file that cannot be written."""
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    message = f"cannot write '{printable(str(path))}': {reason}"
    return Refused(
        [Problem(codes.CANNOT_WRITE, message, "see that its folder is there and is yours to write")]
    )
