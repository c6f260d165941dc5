"""/proc: the processes of this machine, by their numbers. One that has ended is none, reaped or not."""

import os
import re
import time
from contextlib import suppress
from pathlib import Path


def pids() -> list[int]:
    """Numbers of all processes that /proc shows, in their order."""
    with suppress(OSError):
        return sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit())  # noqa: PTH208 - names only
    return []


def words(pid: int, file: str) -> list[bytes]:
    """Command line (`cmdline`) or environment (`environ`) of a process, as it was started.

    Raises:
        OSError: it has ended, or belongs to another user.
    """
    return Path(f"/proc/{pid}/{file}").read_bytes().split(b"\0")


def lives(pid: int) -> bool:
    """It exists, and is more than an entry that nobody has reaped."""
    return bool(_fields(pid))


def began_s(pid: int) -> float | None:
    """Start of a process, in POSIX seconds; None if it has ended."""
    if not (fields := _fields(pid)):
        return None
    boot_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return boot_s + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def is_hidden(pid: int) -> bool:
    """A process of that number is there, of another user, and /proc does not show it, as where it hides processes."""
    if not pid or Path(f"/proc/{pid}/stat").exists():
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def children(pid: int) -> list[int]:
    """Processes that a process has started, or adopted."""
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - names only, and fast
            with suppress(OSError), open(f"/proc/{pid}/task/{task}/children", "rb") as file:  # noqa: PTH123 - fast
                found += map(int, file.read().split())
    return found


def name(pid: int) -> str:
    """Name of a process as the kernel has it, `?` if it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "?"


def has_limit(pid: int, limit: int) -> bool:
    """Its limit of real time is `limit` microseconds."""
    try:
        text = Path(f"/proc/{pid}/limits").read_bytes()
    except OSError:
        return False
    return re.search(rb"^Max realtime timeout +%d " % limit, text, re.MULTILINE) is not None


def _fields(pid: int) -> list[bytes]:
    """Fields of its `stat` after the name; none if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []
    return [] if not fields or fields[0] in b"ZX" else fields
