"""The runs below a folder: newest first, and found by what a person types."""

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.problems.suggestions import did_you_mean
from calseq.record.run_folder import RECORD
from calseq.system.files import RECORD_BYTES, read_regular

LATEST = "latest"
_LOOKED_AT = 200
"""Of so many runs, the newest by name, the records are asked; older ones are where their names put them."""

_SHIFT_S = 2 * 3600.0
"""So far a clock is set back at most, and as far apart are the containers of one site."""


def run_folders(runs: Path) -> list[Path]:
    """Give the folders that may be runs, newest first; none if there is no such folder.

    Their names begin with the time of the clock on the wall, which is set back once a year, and is another one in another
    container. Where two may have changed places so, their records tell which began first.
    """
    try:
        with os.scandir(runs) as entries:
            names = [each.name for each in entries if each.name[:8].isdigit() and each.is_dir()]
    except OSError:
        return []
    names.sort(reverse=True)
    return [runs / name for name in (*_in_order(runs, names[:_LOOKED_AT]), *names[_LOOKED_AT:])]


def _in_order(runs: Path, names: Sequence[str]) -> list[str]:
    """Put into the order of time what is in that of its names, latest first."""
    times = {name: _wall_s(name) for name in names}
    began: dict[str, float | None] = {}
    ordered = list(names)
    for place in range(1, len(ordered)):
        at = place
        # only neighbours whose clocks may differ are looked at more closely
        while at and times[ordered[at - 1]] - times[ordered[at]] <= _SHIFT_S:
            pair = ordered[at - 1 : at + 1]
            for name in pair:
                if name not in began:
                    began[name] = _began_s(runs / name)
            before_s, after_s = (began[name] for name in pair)
            if before_s is None or after_s is None or before_s >= after_s:
                break
            ordered[at - 1 : at + 1] = reversed(pair)
            at -= 1
    return ordered


def _wall_s(name: str) -> float:
    """Give the time in a name, in seconds of a clock without zones; 0 if there is none."""
    try:
        return datetime.strptime(name[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def _began_s(folder: Path) -> float | None:
    """Give when a run began, in POSIX seconds, by its record."""
    content = read_regular(folder / RECORD, RECORD_BYTES)
    with suppress(msgspec.MsgspecError, ValueError):
        return datetime.fromisoformat(msgspec.json.decode(content or b"", type=_Named).started).timestamp()
    return None


def find_run(runs: Path, text: str = LATEST) -> Path:
    """Give the run that is meant: 'latest', its name, a part that only its name has, the job that it is of, or its path.

    Raises:
        Refused: there is none, or there are several.
    """
    if "/" in text or (text in (".", "..")):
        path = Path(text).expanduser()
        if os.access(path / RECORD, os.F_OK):
            return path.resolve()
        raise _none(f"{printable(text)} is not the folder of a run", "'calseq runs' lists the runs")
    if text == LATEST:
        folders = run_folders(runs)
        latest = next((path for path in folders if os.access(path / RECORD, os.F_OK)), None)
        latest = latest or next((path for path in folders if not os.access(path, os.X_OK)), None)
        if latest is None:
            raise _none(f"there is no run in {printable(str(runs))}", "give --runs DIR, or --bench FILE")
        return latest
    found = [path for path in run_folders(runs) if text in path.name and _may_be_run(path)]
    exact = [path for path in found if path.name == text]
    if exact or len(found) == 1:
        return (exact or found)[0]
    if found:
        names = ", ".join(path.name for path in found[:3]) + (", …" if len(found) > 3 else "")
        raise _none(f"'{printable(text, 60)}' is part of {len(found)} runs: {names}", "type more of its name")
    if named := _of_job(runs, text):
        return named
    near = did_you_mean(text, [path.name for path in run_folders(runs)[:1000]])
    raise _none(f"no run is named '{printable(text, 60)}'", near or "'calseq runs' lists the runs")


def _may_be_run(path: Path) -> bool:
    """It has a record, or may not be looked into."""
    return os.access(path / RECORD, os.F_OK) or not os.access(path, os.X_OK)


def _of_job(runs: Path, job: str) -> Path | None:
    """Give the newest run that another program gave this name."""
    mark = job.encode()
    for folder in run_folders(runs):
        content = read_regular(folder / RECORD, RECORD_BYTES)
        if content and mark in content and _job(content) == job:
            return folder
    return None


def _job(content: bytes) -> str:
    with suppress(msgspec.MsgspecError):
        return msgspec.json.decode(content, type=_Named).job
    return ""


class _Named(Struct, frozen=True):
    """All of a record that matters here."""

    job: str = ""
    started: str = ""


def _none(message: str, cure: str) -> Refused:
    return Refused([Problem(codes.NO_RUN, message, cure)])
