"""`calseq validate --fix`: mended files in the place of the old ones, or only the difference."""

import difflib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from calseq.documents.document import Document
from calseq.problems.plaintext import printable


def replace_file(path: Path, old: Document, new: Document) -> str:
    """Put a mended text in the place of a file, whole or not at all; give the reason why not, or an empty text."""
    name = old.source.name
    try:
        state = path.lstat()
        reason = _reason(path, state, old)
        if not reason:
            _replace(path, state, new.raw)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    return f"'{name}' is not fixed: {reason}" if reason else ""


def _reason(path: Path, state: os.stat_result, old: Document) -> str:
    if stat.S_ISLNK(state.st_mode):
        return f"it is a link: fix '{printable(str(path.readlink()))}'"
    if not state.st_mode & 0o222 or not os.access(path, os.W_OK):
        return "it is read-only"
    if state.st_nlink > 1:
        return "it has several names (hard links), of which only one would be fixed"
    if path.read_bytes() != old.raw:
        return "it has changed in the meantime"
    return ""


def _replace(path: Path, state: os.stat_result, raw: bytes) -> None:
    """Write beside the file and rename: a reader sees the old text or the new one."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:60]}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            if (state.st_uid, state.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, state.st_uid, state.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(state.st_mode))
            file.flush()
            os.fsync(descriptor)
        Path(beside).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(beside).unlink()
        raise


def difference(old: Document, new: Document) -> str:
    """Give what `--fix` would change, as `patch` reads it."""
    before, after = (document.raw.decode().splitlines(keepends=True) for document in (old, new))
    name = old.source.name
    lines = difflib.unified_diff(before, after, name, name)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
