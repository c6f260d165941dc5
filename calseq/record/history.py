"""What steps took in earlier runs: read from the records of run folders, newest first, and no more than is needed."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from calseq.model.expectations import KEPT, Expectation, Timing, expectations, keys
from calseq.model.formats import refuse_newer
from calseq.model.plan import Plan
from calseq.record.find import run_folders
from calseq.record.past import Past
from calseq.record.run_folder import RECORD, RUN_FORMAT
from calseq.system.files import RECORD_BYTES, read_whole

MAX_FOLDERS = 500
"""So many run folders are looked into at most: a step that is not in them is as good as new."""


class History(Struct, frozen=True):
    """Timings by key, the latest first; `unusable` run folders have a record that cannot be read."""

    timings: Mapping[str, list[Timing]]
    unusable: int = 0

    def complaint(self, runs: Path) -> str:
        """Say that some records were of no use; empty if all were."""
        if not self.unusable:
            return ""
        some = "1 run folder" if self.unusable == 1 else f"{self.unusable} run folders"
        return f"expected times leave out {some} in {runs}: run.json cannot be read"


class _Closed(Struct, frozen=True):
    """What of a `run.json` is of interest here."""

    timings: tuple[Timing, ...] = ()
    format: int = 1


def read_history(runs: Path, wanted: Collection[str]) -> History:
    """Read the timings of the wanted keys below `runs`, until there are enough of each. Nothing raises."""
    found: dict[str, list[Timing]] = {key: [] for key in wanted}
    unusable = 0
    for folder in run_folders(runs)[:MAX_FOLDERS]:
        if all(len(timings) >= KEPT for timings in found.values()):
            break
        try:
            closed = _read(folder / RECORD)
        except FileNotFoundError:
            continue  # something else, or a run that was refused
        except (OSError, ValueError, RecursionError):
            unusable += 1
            continue
        for timing in closed.timings:
            if timing.key in found and timing.is_sane and len(found[timing.key]) < KEPT:
                found[timing.key].append(timing)
    return History(found, unusable)


def taken(found: Past, plan: Plan) -> Iterator[Timing]:
    """What the steps of a run that passed took, by the keys under which later runs look for it."""
    named = keys(plan)
    for end in (each.end for each in found.passed.values()):
        if end.step in named:
            yield Timing(named[end.step], round(end.duration_s, 3), round(end.longest_silence_s, 3))


def expected(plan: Plan, runs: Path) -> tuple[tuple[Expectation, ...], str]:
    """Give what earlier runs below `runs` and the catalogue let expect of a plan, and what could not be used."""
    history = read_history(runs, set(keys(plan).values()))
    return expectations(plan, history.timings), history.complaint(runs)


def _read(path: Path) -> _Closed:
    """Read what is of interest of a `run.json`."""
    closed = msgspec.json.decode(read_whole(path, RECORD_BYTES), type=_Closed)
    refuse_newer(closed.format, RUN_FORMAT)
    return closed
