"""Looking at runs from another shell: 10,000 run folders, and one whose events.jsonl has 100 MB.

    python benchmarks/archive.py            # --repeats N for more or fewer rounds

Each figure is the wall clock of a whole command, Python's start included. The folders are generated: what a run of
`panthera` leaves, without its results.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from measure import CALSEQ, Figure, Times, alone, alternate, environment, judged, scratch_folder, seconds

from calseq.model.events import RunStarted, Stamped, StepProgressed, StepStarted
from calseq.record.journal import encode

RUNS = 10_000
JOURNAL_BYTES = 100_000_000
REPEATS = 7
AT = 1_795_399_200.0
SAMPLE = "20261123-020000-panthera-c2hq0"


def sample(folder: Path, env: dict[str, str]) -> Path:
    """Make one real run, of which all others are copies."""
    runs = folder / "sample"
    seconds(
        [
            CALSEQ,
            "execute",
            "panthera",
            "--simulate",
            "--speed",
            "20000",
            "--screen",
            "none",
            "--runs",
            str(runs),
        ],
        env,
    )
    return next(runs.iterdir())


def archive(folder: Path, source: Path) -> Path:
    """Make 10,000 run folders, a minute apart, one in ten failed."""
    runs = folder / "runs"
    runs.mkdir()
    good, plan = (source / "run.json").read_text(), (source / "plan.json").read_bytes()
    bad = good.replace('"verdict": "passed"', '"verdict": "failed"').replace(
        '"exit_code": 0', '"exit_code": 1'
    )
    for number in range(RUNS):
        day, minute = divmod(number, 1440)
        run = (
            runs
            / f"2026{1 + day // 28:02}{1 + day % 28:02}-{minute // 60:02}{minute % 60:02}00-panthera-rh{number:05}"
        )
        run.mkdir()
        (run / "run.json").write_text(good if number % 10 else bad)
    # `status` looks into the latest only
    for name, content in (("plan.json", plan), ("events.jsonl", (source / "events.jsonl").read_bytes())):
        (run / name).write_bytes(content)
    return runs


def large(folder: Path, source: Path, *, storm: bool) -> Path:
    """Make a run that has gone on for very long: a storm of progress, or everything a journal has, again and again."""
    runs = folder / ("storm" if storm else "mixed")
    run = runs / source.name
    run.mkdir(parents=True)
    for name in ("run.json", "plan.json"):
        (run / name).write_bytes((source / name).read_bytes())
    lines = [encode(each) for each in _begin()]
    number, size = len(lines), sum(map(len, lines))
    with (run / "events.jsonl").open("wb") as file:
        file.writelines(lines)
        while size < JOURNAL_BYTES:
            number += 1
            quiet = storm or number % 50
            event = (
                StepProgressed(4, 1, number % 8 + 1, 8, "PixelAlive_90percent")
                if quiet
                else _begin()[1].event
            )
            line = encode(Stamped(number, AT + number * 0.1, number * 0.1, event))
            size += file.write(line)
    return runs


def _begin() -> list[Stamped]:
    started = RunStarted(SAMPLE, "Panthera", "b", "simulated", "m", "op", True, 5, "d" * 64, "0", 1)
    step = StepStarted(4, "tune_1000", 1, "steps/04-tune_1000/log.txt", "data/04-tune_1000")
    return [Stamped(seq, AT, 0.0, event) for seq, event in enumerate((started, step), 1)]


def figures(repeats: int = REPEATS) -> list[Figure]:
    """Measure all of it."""
    with scratch_folder() as folder:
        env = environment(folder)
        source = sample(folder, env)
        print(f"  making {RUNS} run folders and two journals", file=sys.stderr)
        runs = str(archive(folder, source))
        storm, mixed = (str(large(folder, source, storm=storm)) for storm in (True, False))
        one = "rh05000"
        tab = env | {
            "_CALSEQ_COMPLETE": "complete_bash",
            "COMP_WORDS": f"calseq status --runs {runs} 20261",
            "COMP_CWORD": "4",
        }
        commands: dict[str, list[str]] = {
            "`calseq --help`, for comparison": ["--help"],
            "`calseq runs`, 10,000 runs": ["runs", "--runs", runs],
            "`calseq runs -n 10000 --format json`": [
                "runs",
                "-n",
                "10000",
                "--format",
                "json",
                "--runs",
                runs,
            ],
            "`calseq runs --failed -n 10000`": ["runs", "--failed", "-n", "10000", "--runs", runs],
            "`calseq status`, 10,000 runs": ["status", "--runs", runs],
            "a run found by a part of its name, among 10,000": ["runs", "verify", one, "--runs", runs],
            "`calseq status`, 100 MB of progress": ["status", "--runs", storm],
            "`calseq status`, 100 MB, every 50th line of another kind": ["status", "--runs", mixed],
        }
        codes = {"a run found by a part of its name, among 10,000": 1}
        arms: dict[str, Callable[[], float]] = {
            what: partial(seconds, [CALSEQ, *words], env, code=codes.get(what, 0))
            for what, words in commands.items()
        }
        arms["TAB behind `calseq status`, 10,000 runs"] = partial(seconds, [CALSEQ], tab)
        times = alternate(arms, repeats)
    limits = {
        "`calseq runs`, 10,000 runs": 0.5,
        "`calseq runs -n 10000 --format json`": 3.0,
        "`calseq status`, 10,000 runs": 0.5,
        "`calseq status`, 100 MB of progress": 1.0,
        "`calseq status`, 100 MB, every 50th line of another kind": 1.0,
        "TAB behind `calseq status`, 10,000 runs": 0.3,
    }
    return [_figure(what, each, limits.get(what)) for what, each in times.items()]


def _figure(what: str, times: Times, limit_s: float | None) -> Figure:
    if limit_s is None:
        return Figure(what, times.ms())
    return Figure(what, times.ms(), f"≤ {limit_s:g} s", judged(limit_s, times.best, times.median))


if __name__ == "__main__":
    alone(__doc__ or "", figures, REPEATS)
