"""Where files are: those of calseq, inside the package in a wheel and beside it in a checkout, and the nearest bench."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

BENCH_FILE = "bench.yaml"


def builtin_calibrations() -> Path:
    """Give the file of the built-in calibrations."""
    return _PACKAGE / "calibrations.json"


def code_pages() -> Path:
    """Give the file of what each code means."""
    return _PACKAGE / "codes.toml"


def felis_rules() -> Path:
    """Give the file of what Felis takes."""
    return _PACKAGE / "felis.json"


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


def find_bench(start: Path) -> Path | None:
    """Look for a bench file in a folder and above it."""
    candidates = (folder / BENCH_FILE for folder in (start, *start.parents))
    return next((path for path in candidates if path.is_file()), None)


def _folder(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
