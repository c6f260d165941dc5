"""Programs and folders that a file names, looked for before they are needed."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


def find_program(program: str, folder: Path, environ: Mapping[str, str]) -> str | None:
    """Find a program as a child that is started in `folder` would.

    One with a slash in its name lies there, or below; others are looked for in PATH.
    """
    path = str(folder / program) if "/" in program else program
    return shutil.which(path, path=environ.get("PATH", os.defpath))


def missing(program: str, folder: Path, environ: Mapping[str, str]) -> str:
    """Say why a program cannot be started from a folder; empty if it is there and may be executed."""
    if find_program(program, folder, environ):
        return ""
    if "/" not in program:
        return "it is nowhere in PATH"
    path = folder / program
    if path.is_dir():
        return f"{path} is a folder"
    return f"{path} may not be executed" if path.exists() else f"there is no {path}"


def unwritable(folder: Path) -> str:
    """Say why nothing can be put into a folder, made with its parents if need be; empty if that can be done.

    Nothing is made. What is there but not yet as it will be, such as a disk that is mounted later, is judged as it is.
    """
    there = folder
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    try:
        if not there.is_dir():
            return f"{there} is no folder"
        if not os.access(there, os.W_OK | os.X_OK):
            return f"{there} may not be written"
        # /proc and its like let root in, and keep no files
        return "" if os.statvfs(there).f_blocks else f"{there} keeps no files"
    except OSError as error:
        return f"{there}: {(error.strerror or str(error)).lower()}"
