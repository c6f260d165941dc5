"""The report after a run: a courtesy, which nothing that goes wrong with it may turn into anything else."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from calseq.plaintext import printable
from calseq.report import REPORT, write_report
from calseq.stops import Stops


class Left(Struct, frozen=True):
    """Where the report is, or what went wrong with it."""

    path: Path | None = None
    complaint: str = ""


Write = Callable[[Path, Callable[[], bool]], Path]


def leave_report(folder: Path, stops: Stops, write: Write = write_report) -> Left:
    """Write the report of a run that is over. Whatever goes wrong is said in one line; a stop ends it."""
    stops.renew()
    try:
        return Left(write(folder, lambda: not stops.level))
    except InterruptedError:
        why = f"stopped by {stops.who}"
    except OSError as error:
        why = (error.strerror or str(error)).lower()
    except Exception as error:  # noqa: BLE001 - a bug in a page must not change how a run ended
        why = f"{type(error).__name__}: {error}"
    again = f"'calseq report {printable(folder.name)}' makes it"
    return Left(complaint=f"no report: {printable(why, 200)}; {again}")


def forget_report(folder: Path) -> None:
    """Take an earlier report away: a run that goes on has not ended as it says."""
    with suppress(OSError):
        (folder / REPORT).unlink(missing_ok=True)
