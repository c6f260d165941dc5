"""What a run was, as a page and for programs, with the page's templates."""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

_MODULES = {"html": "html", "json": "as_json", "junit": "junit", "markdown": "markdown"}
FORMATS = tuple(_MODULES)


def report_text(folder: Path, format_: str, may_go_on: Callable[[], bool] = lambda: True) -> str:
    """Write the report of a run in one of `FORMATS`.

    Raises:
        Refused: the folder has no run.json that can be read.
        InterruptedError: `may_go_on` said no.
    """
    from calseq.report.run_data import read_dossier  # noqa: PLC0415 - a run that writes no report pays nothing

    dossier = read_dossier(folder)
    module = import_module(f"calseq.report.{_MODULES[format_]}")
    return str(module.text(dossier, may_go_on=may_go_on) if format_ == "html" else module.text(dossier))


def write_report(folder: Path, may_go_on: Callable[[], bool] = lambda: True) -> Path:
    """Write `report.html` into a run folder, in one piece or not at all; give its path.

    Raises:
        Refused: the folder has no run.json that can be read.
        InterruptedError: `may_go_on` said no.
        OSError: it cannot be written.
    """
    from calseq.record.run_folder import REPORT  # noqa: PLC0415

    content = report_text(folder, "html", may_go_on).encode("utf-8", "backslashreplace")
    return place_report(folder / REPORT, content)


def place_report(path: Path, content: bytes) -> Path:
    """Put a report in its place at once; what of it could not be written does not stay.

    Raises:
        OSError: it cannot be written.
    """
    from calseq.record.run_folder import replace_file  # noqa: PLC0415

    clear_drafts(path)
    draft = f".{os.getpid()}.new"  # two may write the report of one run
    try:
        replace_file(path, content, draft)
    except BaseException:
        path.with_name(path.name + draft).unlink(missing_ok=True)
        raise
    return path


def clear_drafts(path: Path) -> None:
    """Remove drafts of a report whose writer was killed."""
    with suppress(OSError):
        for draft in path.parent.iterdir():
            found = re.fullmatch(re.escape(path.name) + r"\.([1-9][0-9]{0,9})\.new", draft.name)
            if found and not os.path.lexists(f"/proc/{found[1]}"):
                draft.unlink(missing_ok=True)
