"""How a run stands: what its record says, held against who of it is there."""

import errno
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from calseq.archive import run_folders
from calseq.events import RunEnded
from calseq.journal import decode
from calseq.plan import PowerMode
from calseq.presence import guard_lives, marked, run_lives
from calseq.regular import NotRegular, read_end
from calseq.runs import RunRecord, ended_safely, read_record
from calseq.verdicts import ExitCode

_TAIL_BYTES = 64 * 1024
_RECENT = 100
"""A run that goes on wrote into its folder when it began: so many others are not begun meanwhile."""

_NO_RUNS = ("-power-status", "-power-off")


class Phase(StrEnum):
    """Where a run stands. `dying`: calseq is gone, and its guard or a child is still there.

    `died`: its record has no end, and nobody of it is there. `elsewhere`: it goes on as far as its record says, on
    another host, where nobody can look from here.
    """

    RUNNING = "running"
    DYING = "dying"
    ENDED = "ended"
    DIED = "died"
    ELSEWHERE = "elsewhere"


GOING_ON = frozenset({Phase.RUNNING, Phase.DYING, Phase.ELSEWHERE})
"""The phases of a run that is not over, as far as can be told."""


class Standing(Struct, frozen=True):
    """How a run stands. `safe`: HV and LV were read back as off at its end; None if nobody can say."""

    folder: Path
    record: RunRecord
    phase: Phase
    safe: bool | None = None

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.folder.name


class Damaged(Struct, frozen=True):
    """A run folder whose record cannot be read, and why not."""

    folder: Path
    reason: str


def stand(folder: Path, others: Mapping[str, list[int]] | None = None) -> Standing | Damaged:
    """Say how the run in `folder` stands; `others` are the children of all runs, if they were looked for already."""
    record = _record(folder)
    if isinstance(record, Damaged):
        return record
    phase = _phase(folder, record, others)
    if phase is Phase.DIED:
        return _gone(folder, record)
    return Standing(folder, record, phase, _safe(record) if phase is Phase.ENDED else None)


def _phase(folder: Path, record: RunRecord, others: Mapping[str, list[int]] | None) -> Phase:
    if record.state == "ended":
        return Phase.ENDED
    if record.host != socket.gethostname():
        return Phase.ELSEWHERE
    if run_lives(record.pid, record.since):
        return Phase.RUNNING
    left = (marked() if others is None else others).get(os.path.realpath(folder))
    return Phase.DYING if left or guard_lives(folder) else Phase.DIED


def standings(runs: Path) -> Iterator[Standing | Damaged]:
    """Give how the runs in a folder stand, newest first, read one by one as they are asked for."""
    others = None
    for folder in run_folders(runs):
        others = marked() if others is None else others
        standing = stand(folder, others)
        if isinstance(standing, Standing) or not folder.name.endswith(_NO_RUNS):
            yield standing


def going_on(runs: Path) -> list[Standing]:
    """Give the runs in a folder that are not over, as far as can be told, newest first."""
    recent = sorted(run_folders(runs), key=_touched, reverse=True)[:_RECENT]
    others = marked()
    found = (stand(folder, others) for folder in sorted(recent, reverse=True))
    return [each for each in found if isinstance(each, Standing) and each.phase in GOING_ON]


def _touched(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _record(folder: Path) -> RunRecord | Damaged:
    try:
        return read_record(folder)
    except OSError as error:
        if isinstance(error, NotRegular) or error.errno == errno.EFBIG:
            return Damaged(folder, "run.json is damaged: it is no file of a fitting size")
        return Damaged(folder, f"run.json cannot be read: {(error.strerror or str(error)).lower()}")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Damaged(folder, f"run.json is damaged: {error}")


def _gone(folder: Path, record: RunRecord) -> Standing:
    """Nobody is there: either the journal has the end that run.json could not take any more, or there is none."""
    ended = _journal_end(folder)
    if ended:
        record = replace(
            record,
            state="ended",
            verdict=str(ended.verdict),
            exit_code=ended.exit_code,
            duration_s=ended.duration_s,
            reason=ended.reason,
        )
        return Standing(folder, record, Phase.ENDED, _safe(record))
    unheld = record.mode == PowerMode.DIRIGENT
    return Standing(folder, record, Phase.DIED, None if unheld else ended_safely(folder))


def _safe(record: RunRecord) -> bool | None:
    if record.exit_code == ExitCode.UNSAFE:
        return False
    return None if record.mode == PowerMode.DIRIGENT else True


def _journal_end(folder: Path) -> RunEnded | None:
    """Give the last event of a journal, if it is the end of the run."""
    with suppress(OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
        event = decode(read_end(folder / "events.jsonl", _TAIL_BYTES).splitlines(keepends=True)[-1]).event
        return event if isinstance(event, RunEnded) else None
    return None
