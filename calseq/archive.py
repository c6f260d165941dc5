"""The runs below a folder: newest first, and found by what a person types."""

import os
from pathlib import Path

from calseq import problems as codes
from calseq.likeness import did_you_mean
from calseq.plaintext import printable
from calseq.problems import Problem, Refused

LATEST = "latest"


def run_folders(runs: Path) -> list[Path]:
    """Give the folders that may be runs, newest first: their names begin with the time; none if there is no such folder."""
    try:
        with os.scandir(runs) as entries:
            names = [each.name for each in entries if each.name[:8].isdigit() and each.is_dir()]
    except OSError:
        return []
    return [runs / name for name in sorted(names, reverse=True)]


def find_run(runs: Path, text: str = LATEST) -> Path:
    """Give the run that is meant: 'latest', its name, a part that only its name has, or the path of its folder.

    Raises:
        Refused: there is none, or there are several.
    """
    if "/" in text or (text in (".", "..")):
        path = Path(text).expanduser()
        if (path / "run.json").exists():
            return path.resolve()
        raise _none(f"{printable(text)} is not the folder of a run", "'calseq runs' lists the runs")
    if text == LATEST:
        latest = next((path for path in run_folders(runs) if (path / "run.json").exists()), None)
        if latest is None:
            raise _none(f"there is no run in {printable(str(runs))}", "give --runs DIR, or --bench FILE")
        return latest
    found = [path for path in run_folders(runs) if text in path.name and (path / "run.json").exists()]
    exact = [path for path in found if path.name == text]
    if exact or len(found) == 1:
        return (exact or found)[0]
    if found:
        names = ", ".join(path.name for path in found[:3]) + (", …" if len(found) > 3 else "")
        raise _none(f"'{printable(text, 60)}' is part of {len(found)} runs: {names}", "type more of its name")
    near = did_you_mean(text, [path.name for path in run_folders(runs)[:1000]])
    raise _none(f"no run is named '{printable(text, 60)}'", near or "'calseq runs' lists the runs")


def _none(message: str, cure: str) -> Refused:
    return Refused([Problem(codes.NO_RUN, message, cure)])
