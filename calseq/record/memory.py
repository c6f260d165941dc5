"""The newest run on each instrument of a bench, by the run folders and not only by the locks.

Locks lie in a folder that a reboot empties and that another user, or a container, may not share.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct

from calseq.model.plan import Instrument, PowerMode
from calseq.model.rails import Role
from calseq.record.aftermath import Settled, settle
from calseq.record.find import run_folders
from calseq.record.run_folder import PLAN
from calseq.record.status import Damaged, Standing, hidden, stand
from calseq.system.addresses import names
from calseq.system.files import PLAN_BYTES, read_whole

_MOST_FOLDERS = 1000
_OTHERS = stat.S_IRGRP | stat.S_IROTH


class Last(Struct, frozen=True):
    """The newest run on some instruments, which are given by their names.

    It may be only that: `is_hidden` says that its folder cannot be looked into, or the folder that has it.
    """

    standing: Standing | Damaged
    names: frozenset[str]
    is_hidden: bool = False

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.standing.folder


class _Wired(Struct, frozen=True):
    """All of a plan that matters here."""

    mode: str
    instruments: tuple[Instrument, ...] = ()
    rehearses: str = ""

    @property
    def real(self) -> list[Instrument]:
        """The instruments that the run may have touched; none of a rehearsal."""
        if self.mode == PowerMode.SIMULATED or self.rehearses:
            return []
        return [each for each in self.instruments if not each.sim]


def newest(runs: Iterable[Path], resources: Iterable[str], but: Path | None = None) -> list[Last]:
    """Give the newest run on each of these instruments, in any of these folders of runs; `but` leaves one run out.

    Of each folder only the latest thousand runs that touched an instrument are looked at: no number of simulated ones
    hides a real one. Of those that cannot be looked into only the latest is given.
    """
    left = _names(resources)
    found: list[Last] = []
    for folder, wired in _touching(runs):
        if not left:
            break
        if but is not None and folder.resolve() == but.resolve():
            continue
        if isinstance(wired, Exception):
            if not any(each.is_hidden for each in found):
                found.append(Last(_hidden(folder, wired), frozenset(left), is_hidden=True))
            continue
        touched = left & _names(each.resource for each in wired.real)
        if touched:
            left -= touched
            found.append(Last(stand(folder), frozenset(touched)))
    return found


def note_settled(
    runs: Iterable[Path], resources: Iterable[str], settled: Settled, but: Path | None = None
) -> bool:
    """Note, in the folders of the newest runs on these instruments that ended unsafe, what was done about it.

    Gives False if one of them cannot be written, or had supplies beside these; then only the locks know it.
    """
    unsafe = [each for each in newest(runs, resources, but) if is_unknown(each)]
    noted = [_covers(resources, each) and settle(each.folder, settled) for each in unsafe]
    return all(noted)


def is_unknown(last: Last) -> bool:
    """It is over, and it is not known that it left HV and LV off."""
    return isinstance(last.standing, Damaged) or last.standing.safe is False


def is_met(folder: Path, runs: str) -> bool:
    """Tell whether some who look for runs where a bench has them find the folder of this one, and may not read it.

    To them its lock has to say how it ended.
    """
    with suppress(OSError):
        if not runs or not folder.parent.samefile(runs):
            return False
        finding, reading = (path.stat().st_mode & _OTHERS for path in (folder.parent, folder))
        return bool(finding & ~reading)
    return True


def _touching(runs: Iterable[Path]) -> Iterator[tuple[Path, _Wired | Exception]]:
    """Give the runs in all these folders that touched an instrument, each folder's newest first, or why that is not known.

    A folder that may not be read is given itself.
    """
    once = {folder.resolve(): folder for folder in runs}
    for folder in once.values():
        is_closed = os.path.lexists(folder) and not os.access(folder, os.R_OK | os.X_OK)
        looked_at = map(_looked_at, [folder] if is_closed else run_folders(folder))
        yield from islice(
            (pair for pair in looked_at if isinstance(pair[1], Exception) or pair[1].real), _MOST_FOLDERS
        )


def _looked_at(folder: Path) -> tuple[Path, _Wired | Exception]:
    try:
        return folder, _wired(folder)
    except (OSError, ValueError, RecursionError) as error:
        return folder, error


def _hidden(folder: Path, error: Exception) -> Damaged:
    """Say why it cannot be seen which instruments a run had."""
    if isinstance(error, PermissionError):
        return hidden(folder)
    return Damaged(folder, f"its plan.json cannot be read: {getattr(error, 'strerror', None) or error}")


def _wired(folder: Path) -> _Wired:
    """Give what of a plan matters here; nothing of a folder that has none, or is no folder of a run.

    Raises:
        OSError, ValueError, RecursionError: it cannot be read.
    """
    try:
        content = read_whole(folder / PLAN, PLAN_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        if os.path.lexists(folder) and not os.access(folder, os.R_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "permission denied", str(folder)) from None
        return _Wired("")
    return msgspec.json.decode(content, type=_Wired)


def _names(resources: Iterable[str]) -> set[str]:
    return {name for resource in resources for name in names(resource)}


def _covers(resources: Iterable[str], last: Last) -> bool:
    """Tell whether these are all supplies that a run had: what was read of one of them says nothing of another."""
    known = _names(resources)
    with suppress(OSError, ValueError, RecursionError):
        supplies = [each for each in _wired(last.folder).real if {Role.LV, Role.HV} & set(each.roles)]
        return not last.is_hidden and all(known & set(names(each.resource)) for each in supplies)
    return False
