"""Programs that a bench file names, looked for as a child would be started with them."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


def missing(program: str, folder: Path, environ: Mapping[str, str]) -> str:
    """Say why a program cannot be started from a folder; empty if it is there and may be executed.

    One with a slash in its name lies there, or below; others are looked for in PATH.
    """
    path = str(folder / program) if "/" in program else program
    if shutil.which(path, path=environ.get("PATH", os.defpath)):
        return ""
    if "/" not in program:
        return "it is nowhere in PATH"
    if Path(path).is_dir():
        return f"{path} is a folder"
    return f"{path} may not be executed" if Path(path).exists() else f"there is no {path}"
