"""Where files are: those of calseq, inside the package in a wheel and beside it in a checkout, and the nearest bench."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

BENCH_FILE = "bench.yaml"

GUARD = Path(__file__).parents[1] / "power" / "guard.py"
"""The program that holds the supplies; a guard that runs is known by this path in its command line."""
BUILTIN = "builtin"
"""Name of the bundled bench, where a bench file may be given: `./builtin` is a file."""


def schemas() -> Path:
    """Give the folder of the JSON schemas."""
    return _folder("schemas")


def sequences() -> Path:
    """Give the folder of the shipped sequences and the simulated benches."""
    return _folder("sequences")


def shipped_sequence(name: str) -> Path | None:
    """Give the shipped sequence called `name`, such as 'panthera'."""
    return {path.stem: path for path in shipped_sequences()}.get(name)


def shipped_sequences() -> list[Path]:
    """Give all shipped sequences, sorted by name."""
    return sorted(sequences().glob("*.yaml"))


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


def _folder(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
