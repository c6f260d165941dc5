"""Folders as this user finds them: barred, on a network disk, without room, or on a disk that never answers."""

import re
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

_T = TypeVar("_T")


class Room(Struct, frozen=True):
    """What a folder offers to who would write there: `problem`, if not empty, says why it cannot be written."""

    problem: str = ""
    free_bytes: int = 0
    is_there: bool = False


def is_folder(path: Path) -> bool:
    """It is a folder as far as this user can see; `Path.is_dir` raises where another folder bars the way."""
    try:
        return path.is_dir()
    except OSError:
        return False


def find_room(folder: Path) -> Room:
    """Write a file without a name where the folder is, or would be made; the folder itself is not made."""
    try:
        present = next(each for each in (folder, *folder.parents) if each.exists())
        with tempfile.TemporaryFile(dir=present) as file:
            file.write(b"calseq")
        return Room(free_bytes=shutil.disk_usage(present).free, is_there=present == folder)
    except OSError as error:
        return Room(problem=(error.strerror or str(error)).lower())


def within(timeout_s: float, call: Callable[[], _T]) -> _T | None:
    """Give what a call gives, None if it takes longer: nothing else ends a call that waits for a disk."""
    results: list[_T] = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    thread.start()
    thread.join(timeout_s)
    return results[0] if results else None


def file_system(folder: Path, mounts: str) -> str:
    """Give the type of the file system that a folder is on, from mountinfo: the deepest mount, the last of equals."""
    path, kind, deepest = str(folder.resolve()), "", -1
    for line in mounts.splitlines():
        head, _, tail = line.partition(" - ")
        fields = head.split()
        if len(fields) < 5 or not tail:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), fields[4])
        below = point.rstrip("/")
        if (path == below or path.startswith(below + "/")) and len(below) >= deepest:
            kind, deepest = tail.split()[0], len(below)
    return kind
