"""What is remembered of a bench: the newest run on each of its instruments, by the run folders and not only by its locks.

Locks lie in a folder that a reboot empties and that another user, or a container, may not share.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct

from calseq.addresses import names
from calseq.aftermath import Settled, settle
from calseq.archive import run_folders
from calseq.plan import Instrument, PowerMode
from calseq.regular import PLAN_BYTES, read_whole
from calseq.standing import Damaged, Standing, stand

_MOST_FOLDERS = 1000


class _Wired(Struct, frozen=True):
    """All of a plan that matters here."""

    mode: str
    instruments: tuple[Instrument, ...] = ()
    rehearses: str = ""

    @property
    def resources(self) -> Iterator[str]:
        """The addresses of the real instruments that a run of it may have touched."""
        if self.mode != PowerMode.SIMULATED and not self.rehearses:
            yield from (each.resource for each in self.instruments if not each.sim)


def newest(
    runs: Iterable[Path], resources: Iterable[str], but: Path | None = None
) -> list[Standing | Damaged]:
    """Give the newest run on each of these instruments, in any of these folders of runs; `but` leaves one run out.

    Of each folder only the latest thousand runs that touched an instrument are looked at: no number of simulated ones
    hides a real one.
    """
    left = {name for resource in resources for name in names(resource)}
    found: list[Standing | Damaged] = []
    for folder, own in _touching(runs):
        if not left:
            break
        if but is not None and folder.resolve() == but.resolve():
            continue
        touched = left & own
        if touched:
            left -= touched
            found.append(stand(folder))
    return found


def note_settled(
    runs: Iterable[Path], resources: Iterable[str], settled: Settled, but: Path | None = None
) -> bool:
    """Note, in the folders of the newest runs on these instruments that ended unsafe, what was done about it.

    Gives False if one of them cannot be written; then only the locks know it.
    """
    unsafe = [each.folder for each in newest(runs, resources, but) if is_unknown(each)]
    noted = [settle(folder, settled) for folder in unsafe]
    return all(noted)


def is_unknown(standing: Standing | Damaged) -> bool:
    """It is over, and it is not known that it left HV and LV off."""
    return isinstance(standing, Damaged) or standing.safe is False


def _touching(runs: Iterable[Path]) -> Iterator[tuple[Path, set[str]]]:
    """Give the run folders of all these folders, each folder's newest first, and the names of what each touched."""
    once = {folder.resolve(): folder for folder in runs}
    for folder in once.values():
        read = ((each, _names(each)) for each in run_folders(folder))
        yield from islice((pair for pair in read if pair[1]), _MOST_FOLDERS)


def _names(folder: Path) -> set[str]:
    """Give the names of the real instruments that a run may have touched; none if it left no plan."""
    with suppress(OSError, ValueError, RecursionError):
        content = read_whole(folder / "plan.json", PLAN_BYTES)
        plan = msgspec.json.decode(content, type=_Wired)
        return {name for resource in plan.resources for name in names(resource)}
    return set()
