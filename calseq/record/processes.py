"""Processes of a run: its own, its guard, and the children of its steps."""

import errno
import fcntl
import json
import os
import signal
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from calseq.record.run_folder import GUARD_JOURNAL
from calseq.system.assets import GUARD
from calseq.system.files import read_end
from calseq.system.proc import began_s, is_hidden, pids, words
from calseq.system.process import RUN_MARK

_MOST_BYTES = 256 << 20
_TAIL_BYTES = 1 << 16
_CLOCK_SLACK_S = 60.0
"""A wall clock that was set since the run began does not make its process another one."""


def is_present(folder: Path, pid: int, since: str) -> bool:
    """The run in `folder`, begun by process `pid` at `since`, goes on, or its guard, or a child of it."""
    return run_lives(pid, since) or guard_lives(folder) or bool(children(folder))


def run_lives(pid: int, since: str) -> bool:
    """The process of a run lives: not another one that has its pid since."""
    began = began_s(pid) if pid else None
    if began is None:
        return False
    with suppress(ValueError):
        return began <= datetime.fromisoformat(since).timestamp() + _CLOCK_SLACK_S
    return True


def is_held(folder: Path) -> bool | None:
    """The run folder is locked by its run, or by what that started; None if that cannot be told from here.

    The lock is only tried, and only by sharing it.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def guard_lives(folder: Path) -> bool:
    """The guard that last began to write to a run's guard.jsonl lives."""
    return bool(guard_of(folder))


def guard_of(folder: Path) -> int:
    """Process of the guard that last began to write to a run's guard.jsonl; 0 if it has ended."""
    with suppress(OSError, ValueError, KeyError, IndexError, TypeError):
        lines = read_end(folder / GUARD_JOURNAL, _MOST_BYTES).splitlines()
        # a resumed run has had several
        last = json.loads([line for line in lines if b'"event": "opening"' in line][-1])
        pid = int(last["pid"])
        if str(GUARD).encode() in words(pid, "cmdline") and run_lives(pid, str(last["time"])):
            return pid
    return 0


def last_try(folder: Path) -> tuple[str, str]:
    """Time and outcome of the last further try of a guard that could not confirm off; both empty if there was none."""
    with suppress(OSError, ValueError, KeyError, IndexError, TypeError):
        lines = read_end(folder / GUARD_JOURNAL, _TAIL_BYTES).splitlines()
        said = json.loads([line for line in lines if b'"event": "tried-again"' in line][-1])
        return str(said["time"]), str(said["reason"])
    return "", ""


def children(folder: Path) -> list[int]:
    """Give the processes of a run's steps that live, by the mark in their environment."""
    return marked().get(os.path.realpath(folder), [])


def marked() -> dict[str, list[int]]:
    """Give the processes of all runs' steps that live, as far as they may be looked at, by their run's folder."""
    mark = f"{RUN_MARK}=".encode()
    found: dict[str, list[int]] = {}
    for pid in pids():
        with suppress(OSError):
            for word in words(pid, "environ"):
                if word.startswith(mark):
                    folder = os.path.realpath(os.fsdecode(word[len(mark) :]))
                    found.setdefault(folder, []).append(pid)
    return found


def ask_to_stop(folder: Path, pid: int, since: str) -> None:
    """Ask a run to stop and to come to its safe end; of an orphaned child nobody else is left to ask it.

    A guard alone comes to its end by itself; one that could not confirm off and tries on is to try at once.

    Raises:
        PermissionError: it belongs to another user.
    """
    if is_hidden(pid):
        raise PermissionError(errno.EPERM, "it belongs to another user")
    with suppress(ProcessLookupError):  # its guard, or its child, comes to its end by itself
        if run_lives(pid, since):
            os.kill(pid, signal.SIGTERM)
        elif guard := guard_of(folder):
            os.kill(guard, signal.SIGUSR2)
        else:
            for child in children(folder):  # once is enough
                os.kill(child, signal.SIGINT)
                os.kill(child, signal.SIGCONT)
