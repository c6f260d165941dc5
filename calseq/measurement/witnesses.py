"""What an IV curve left: breakdowns.json and the files of its curves, read, each with its digest."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TypedDict

from msgspec import Struct

from calseq.documents.document import MAX_BYTES
from calseq.measurement.curves import Measured, NotUnderstood, read_curves
from calseq.measurement.evidence import reached_v
from calseq.measurement.table import MAX_BYTES as CURVE_BYTES
from calseq.model.plan import Module, Step
from calseq.system.files import read_whole

BREAKDOWNS_BYTES = 4 << 20
"""A larger breakdowns.json is not read for showing what it says."""


class Breakdowns(Struct, frozen=True):
    """A `breakdowns.json` as it was found: its content, or None; `fresh` if this curve wrote it.

    `files` are the names of all that there are, where that is more than one.
    """

    content: bytes | None
    fresh: bool = True
    files: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """The digest of its content; empty if this curve did not write it, or which one counts is not known."""
        if self.content is None or not self.fresh or len(self.files) > 1:
            return ""
        return digest(self.content)


class Recorded(TypedDict):
    """What is recorded of what a curve left, by the names of an event's fields; volts."""

    breakdowns_sha256: str
    curves_sha256: str
    reached_v: float | None


class Witnesses(Struct, frozen=True):
    """What an IV curve left: breakdowns.json, the files of its curves as they were read, and the digest of these."""

    breakdowns: Breakdowns = Breakdowns(None)
    curves: tuple[Measured, ...] = ()
    curves_sha256: str = ""

    def recorded(self) -> Recorded:
        """Give what is recorded of it."""
        return Recorded(
            breakdowns_sha256=self.breakdowns.sha256,
            curves_sha256=self.curves_sha256,
            reached_v=reached_v(self.curves),
        )


def digest(content: bytes) -> str:
    """Sha256 of a content, as it is recorded."""

    return hashlib.sha256(content).hexdigest()


MOST_FILES = 10_000


BREAKDOWNS = "breakdowns.json"


def read_witnesses(
    folder: Path,
    directory: str,
    step: Step,
    modules: Sequence[Module],
    before: frozenset[str] = frozenset(),
) -> Witnesses:
    """Read breakdowns.json and the curves below a result directory; the names in `before` are of another time.

    `directory` is relative to the run folder. No clock is asked: that of a file server may be another.
    """
    names = [str(path.relative_to(folder)) for path in regular_files(folder / directory)]
    files = [name for name in names if name not in before]
    curves = read_curves(step, folder, files[:MOST_FILES], modules)
    if len(files) > MOST_FILES:
        curves = (
            *curves,
            NotUnderstood(directory, f"more than {MOST_FILES:,} files, not all of them looked at"),
        )
    return Witnesses(
        _breakdowns(folder, [name for name in names if PurePath(name).name == BREAKDOWNS], before),
        curves,
        _digest(folder, [each.file for each in curves]),
    )


def _breakdowns(folder: Path, names: Sequence[str], before: frozenset[str]) -> Breakdowns:
    """Read the one breakdowns.json; of several the names."""
    if len(names) != 1:
        return Breakdowns(None if not names else b"", files=tuple(names))
    path = folder / names[0]
    try:
        size = path.stat().st_size
        content = read_whole(path, MAX_BYTES) if size <= MAX_BYTES else b""
        stable = size == path.stat().st_size == len(content)
    except OSError:
        return Breakdowns(b"")
    return Breakdowns(content if stable else b"", fresh=names[0] not in before)


def _digest(folder: Path, names: Sequence[str]) -> str:
    """Sha256 over the files of the curves, each with its name; empty if one cannot be read, or there is none."""
    try:
        told = [f"{name} {digest(read_whole(folder / name, CURVE_BYTES))}" for name in sorted(names)]
    except OSError:
        return ""
    return digest("\n".join(told).encode("utf-8", "surrogateescape")) if told else ""


def regular_files(folder: Path) -> list[Path]:
    """Give the regular files below a folder; links are not followed out of it."""
    return [
        Path(root, name)
        for root, _, names in os.walk(folder)
        for name in sorted(names)
        if not os.path.islink(os.path.join(root, name))  # noqa: PTH114, PTH118 - thousands of files
    ]
