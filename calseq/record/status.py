"""Status of a run: its record, compared with its processes that live."""

import errno
import os
import socket
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from calseq.record.aftermath import Aftermath, aftermath, with_end
from calseq.record.find import run_folders
from calseq.record.processes import guard_lives, is_held, marked, run_lives
from calseq.record.run_folder import RunRecord, read_record
from calseq.system.files import NotRegular
from calseq.system.proc import is_hidden

_RECENT = 100
"""A run that goes on wrote into its folder when it began: so many others are not begun meanwhile."""

_NO_RUNS = ("-power-status", "-power-off")


class Phase(StrEnum):
    """Phase of a run. `dying`: calseq has ended, and its guard or a child is still there.

    `died`: its record has no end, and no process of it lives. `elsewhere`: it goes on as far as its record says, on
    another host, whose processes are not seen from here; `unseen`: on this host, whose processes of other users are hidden.
    """

    RUNNING = "running"
    DYING = "dying"
    ENDED = "ended"
    DIED = "died"
    ELSEWHERE = "elsewhere"
    UNSEEN = "unseen"


GOING_ON = frozenset({Phase.RUNNING, Phase.DYING, Phase.ELSEWHERE, Phase.UNSEEN})
"""The phases of a run that is not over, as far as can be told."""


UNSEEN = "its record says that it goes on; whether it does cannot be seen from here: processes of other users are hidden"


class Standing(Struct, frozen=True):
    """Status of a run, and the state in which it left HV and LV."""

    folder: Path
    record: RunRecord
    phase: Phase
    power: Aftermath

    @property
    def safe(self) -> bool | None:
        """HV and LV are known to have been left off; None where that is not said."""
        return self.power.safe

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.folder.name


class Damaged(Struct, frozen=True):
    """A run folder whose record cannot be read, and why not."""

    folder: Path
    reason: str


def stand(folder: Path, others: Mapping[str, list[int]] | None = None) -> Standing | Damaged:
    """Status of the run in `folder`; `others` are the children of all runs, if they were looked for already."""
    record = _record(folder)
    if isinstance(record, Damaged):
        return record
    return _left(folder, record, _phase(folder, record, others))


def _phase(folder: Path, record: RunRecord, others: Mapping[str, list[int]] | None) -> Phase:
    if record.state == "ended":
        return Phase.ENDED
    if record.host != socket.gethostname():
        return Phase.ELSEWHERE
    if run_lives(record.pid, record.since):
        return Phase.RUNNING
    left = (marked() if others is None else others).get(os.path.realpath(folder))
    if left or guard_lives(folder):
        return Phase.DYING
    return _unseen(folder, record)


def _unseen(folder: Path, record: RunRecord) -> Phase:
    """Phase of a run none of whose processes can be seen: they may be hidden."""
    held, hidden = is_held(folder), is_hidden(record.pid)
    if held:
        return Phase.RUNNING if hidden else Phase.DYING
    return Phase.UNSEEN if held is None and hidden else Phase.DIED


def standings(runs: Path) -> Iterator[Standing | Damaged]:
    """Status of the runs in a folder, newest first, read one by one."""
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
        if isinstance(error, PermissionError):
            return hidden(folder)
        return Damaged(folder, f"run.json cannot be read: {(error.strerror or str(error)).lower()}")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Damaged(folder, f"run.json is damaged: {error}")


def hidden(folder: Path) -> Damaged:
    """Give a run folder that may not be read."""
    return Damaged(folder, f"it belongs to {_owner(folder)} and may not be read: it cannot be seen from here")


def _owner(folder: Path) -> str:
    try:
        return folder.owner()
    except (OSError, KeyError):
        return "another user"


def _left(folder: Path, record: RunRecord, phase: Phase) -> Standing:
    """Status of a run with its aftermath; one that died may have an end that only its journal has."""
    if phase is Phase.DIED and (ended := with_end(folder, record)) is not record:
        record, phase = ended, Phase.ENDED
    return Standing(folder, record, phase, aftermath(folder, record, goes_on=phase in GOING_ON))
