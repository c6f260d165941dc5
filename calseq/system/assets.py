"""Where calseq's own files are: inside the package in a wheel, beside it in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

GUARD = Path(__file__).parents[1] / "power" / "guard.py"
"""The program that holds the supplies; a guard that runs is known by this path in its command line."""


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


def _folder(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
