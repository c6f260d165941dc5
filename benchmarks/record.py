"""What the record costs: reading what earlier runs took among 10,000 run folders, and the journal per step.

    python benchmarks/record.py [--repeats 9]

Histories: 10,000 run folders are made, each with the run.json of a Panthera run. Read are, in a warm cache, a
sequence that is in all of them (ten folders are enough), one that is new (the bound on folders is reached), and
one that is in every fiftieth; and a new one with the records out of the page cache. The floor is the listing of the
folders.

Journal: the events of a step (begin, child, three banners, end) are written as a run writes them, and as many bytes
in as many lines are appended to a plain file with an fdatasync where the journal makes one. Both files lie in the same
folder; step by step they take turns.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from measure import Figure, Times, alone, alternate, ratio, scratch_folder

from calseq.model.events import ChildStarted, Event, StepEnded, StepProgressed, StepStarted
from calseq.model.expectations import Timing
from calseq.model.verdicts import Verdict
from calseq.record.find import run_folders
from calseq.record.history import MAX_FOLDERS, read_history
from calseq.record.journal import Journal, encode
from calseq.record.run_folder import RunRecord
from calseq.run.bus import Bus

REPEATS = 9
FOLDERS = 10_000
STEPS = 200
NAMES = ("sldo_vi_curves", "voltage_trimming", "iv_curve", "tune_1000", "open_bumps")


def figures(repeats: int = REPEATS) -> list[Figure]:
    """Give all lines of the table."""
    with scratch_folder() as scratch:
        return [*_histories(scratch, repeats), *_journal(scratch, repeats)]


def _histories(scratch: Path, repeats: int) -> list[Figure]:
    runs = scratch / "runs"
    runs.mkdir()
    for number in range(FOLDERS):
        _write(runs / f"202611{number // 1000 + 10}-{number % 1000:06d}-panthera", number)
    known, new, rare = set(NAMES), {*NAMES, "new"}, {*NAMES, "rare"}
    read = {
        "listing the folders": lambda: run_folders(runs),
        "histories of a known sequence": lambda: read_history(runs, known),
        f"histories with a new step, {MAX_FOLDERS} folders read": lambda: read_history(runs, new),
        "histories with a step of every 50th run": lambda: read_history(runs, rare),
    }
    assert len(read_history(runs, rare).timings["rare"]) == 10
    times = alternate({name: _timed(do) for name, do in read.items()}, repeats)
    lines = [Figure(f"{name}, {FOLDERS:,} run folders", taken.ms()) for name, taken in times.items()]
    cold = Times(_cold(runs, lambda: read_history(runs, new)) for _ in range(3))
    return [*lines, Figure("the same with a new step, no run.json in the page cache", cold.ms())]


def _write(folder: Path, number: int) -> None:
    timings = [Timing(name, 100.0 + number % 7, 3.0) for name in NAMES]
    if number % 50 == 0:
        timings.append(Timing("rare", 50.0, 1.0))
    record = RunRecord(
        run=folder.name, title="Panthera", bench="b", mode="icicle", module="RH0007", operator="mara",
        simulated=False, digest="d" * 64, calseq="0.1.0", python="3.11", host="h", pid=1,
        started="2026-11-23T02:00:00+00:00", state="ended", ended="2026-11-23T03:00:00+00:00", duration_s=3600.0,
        verdict="passed", exit_code=0, steps=dict.fromkeys(NAMES, "passed"), timings=tuple(timings),
    )  # fmt: skip
    folder.mkdir()
    (folder / "run.json").write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2))


def _timed(do: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        started = time.perf_counter()
        do()
        return time.perf_counter() - started

    return run


def _cold(runs: Path, do: Callable[[], object]) -> float:
    """Time it with these files, and nobody else's, out of the page cache."""
    os.sync()
    for folder in run_folders(runs)[:MAX_FOLDERS]:
        descriptor = os.open(folder / "run.json", os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    return _timed(do)()


def _journal(scratch: Path, repeats: int) -> list[Figure]:
    """Write a step's events in turns: on a busy machine a disk is slow for a while, and that must hit both."""
    lines = _lines()
    os.sync()
    descriptor = os.open(scratch / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    ours, floor = Times(), Times()
    with Journal(scratch / "journal") as journal:
        bus = Bus(vital=[journal])

        def told(step: int) -> None:
            for event in _events(step):
                bus.emit(event)

        def appended(step: int) -> None:
            for line, durable in lines[step]:
                os.write(descriptor, line)
                if durable:
                    os.fdatasync(descriptor)

        for step in [*range(STEPS)] * repeats:
            ours.append(_timed(lambda step=step: told(step))())
            floor.append(_timed(lambda step=step: appended(step))())
    os.close(descriptor)
    what = "the journal of a step (6 events, 2 fdatasyncs) against a plain file's append and fdatasync"
    return [ratio(f"{what}, {STEPS * repeats:,} steps", ours, floor)]


def _events(step: int) -> list[Event]:
    name = f"step_{step}"
    where = (f"steps/{step:02d}-{name}/log.txt", f"data/{step:02d}-{name}")
    return [
        StepStarted(step, name, 1, *where),
        ChildStarted(step, 1, 4000 + step),
        *(StepProgressed(step, 1, part, 3, "ThresholdAdjustment_1000") for part in (1, 2, 3)),
        StepEnded(step, name, 1, Verdict.PASSED, 123.456, 0, outputs=(f"data/{step:02d}-{name}/a.csv",)),
    ]


def _lines() -> list[list[tuple[bytes, bool]]]:
    """Give the lines that a journal would hold, by step, and whether each is flushed."""
    found: list[list[tuple[bytes, bool]]] = []
    bus = Bus(vital=[lambda stamped: found[-1].append((encode(stamped), _durable(stamped.event)))])
    for step in range(STEPS):
        found.append([])
        for event in _events(step):
            bus.emit(event)
    return found


def _durable(event: Event) -> bool:
    return isinstance(event, (StepStarted, StepEnded))


if __name__ == "__main__":
    alone(__doc__, figures, REPEATS)
