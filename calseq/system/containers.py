"""Containers: whether a folder of locks, as this process sees it, is the one that the whole machine sees."""

import os
import re
from contextlib import suppress
from pathlib import Path

_FIRST_PIDS = 0xEFFFFFFC
"""The number of the machine's own namespace of processes, the same in every kernel."""

_MARKS = (".dockerenv", "run/.containerenv", ".singularity.d")


def out_of_reach(folder: Path, root: Path = Path("/")) -> str:
    """Say why locks in a folder are not seen from everywhere on this machine; empty if nothing tells so.

    `root` is where the machine's own files are looked for. Without the right to look at process 1 it may not be known.
    """
    if _namespace(root) not in (None, _FIRST_PIDS):
        return "this is a container: it has a namespace of processes of its own"
    mark = next((mark for mark in _MARKS if (root / mark).exists()), None)
    if mark:
        return f"this is a container: there is a /{mark}"
    with suppress(OSError):
        if not os.path.samestat((root / "proc/1/root" / str(folder).lstrip("/")).stat(), folder.stat()):
            return f"{folder} is mounted for this process and its children only"
    return ""


def _namespace(root: Path) -> int | None:
    with suppress(OSError):
        match = re.fullmatch(r"pid:\[([0-9]+)\]", str((root / "proc/self/ns/pid").readlink()))
        return int(match[1]) if match else None
    return None
