"""What a run was and how it ended, on one page and for programs: one module per form, all written from one dossier."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

REPORT = "report.html"
"""The page's name in a run folder."""

_MODULES = {"html": "html", "json": "facts", "junit": "junit", "markdown": "markdown"}
FORMATS = tuple(_MODULES)


def report_text(folder: Path, format_: str, may_go_on: Callable[[], bool] = lambda: True) -> str:
    """Write the report of a run in one of `FORMATS`.

    Raises:
        Refused: the folder has no run.json that can be read.
        InterruptedError: `may_go_on` said no.
    """
    from calseq.report.dossier import read_dossier  # noqa: PLC0415 - a run that writes no report pays nothing

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
    content = report_text(folder, "html", may_go_on).encode("utf-8", "backslashreplace")
    return place_report(folder / REPORT, content)


def place_report(path: Path, content: bytes) -> Path:
    """Put a report in its place at once; what of it could not be written does not stay.

    Raises:
        OSError: it cannot be written.
    """
    from calseq.runs import replace_file  # noqa: PLC0415

    try:
        replace_file(path, content)
    except BaseException:
        path.with_name(path.name + ".new").unlink(missing_ok=True)
        raise
    return path
