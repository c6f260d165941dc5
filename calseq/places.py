"""Folders that a bench file names, looked at as somebody would write into them who may have to make them first."""

import os
from pathlib import Path


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
