"""Which bench file is meant: the one that was named, the nearest, or the bundled bench. Reads none."""

from pathlib import Path

from calseq.system.assets import sequences

BENCH_FILE = "bench.yaml"
BUILTIN = "builtin"
"""Name of the bundled bench, where a bench file may be given: `./builtin` is a file."""


def shipped_bench() -> Path:
    """Give the bench file of the bundled simulated bench: a double module."""
    return sequences() / "benches" / "double" / "bench.yaml"


def is_shipped_bench(path: Path) -> bool:
    """Tell whether a bench file is that of the bundled bench."""
    return path.resolve() == shipped_bench().resolve()


def bench_file(named: str | Path | None) -> Path | None:
    """Bench file that is meant: the one that was named, `builtin` the bundled one, else the nearest here or above."""
    if not named:
        return find_bench(Path.cwd())
    return shipped_bench() if str(named) == BUILTIN else Path(named)


def find_bench(start: Path) -> Path | None:
    """Look for a bench file in a folder and above it."""
    candidates = (folder / BENCH_FILE for folder in (start, *start.parents))
    return next((path for path in candidates if path.is_file()), None)
