"""Which run is meant, by what was typed, by the bench that is near and by what goes on; and a look at it."""

import time
from pathlib import Path

import msgspec

from calseq.cli.where_runs import Where
from calseq.console.statusview import Glance, glance_at
from calseq.problems import codes
from calseq.problems.plaintext import printable, word
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.record.find import LATEST, find_run
from calseq.record.follow import Skim, skim
from calseq.record.run_folder import JOURNAL, read_plan
from calseq.record.status import Damaged, Phase, Standing, going_on, stand
from calseq.record.view import RunView, begin, fold


def chosen(where: Where, text: str | None) -> Standing:
    """Status of the run that was named, else of the one that goes on, else of the latest.

    Raises:
        Refused: there is none, there are several, or its record cannot be read.
    """
    folder = where.folder
    ahead = going_on(folder) if text is None else []
    standing = ahead[0] if ahead else stand(find_run(folder, text or LATEST))
    if isinstance(standing, Damaged):
        raise _damaged(standing.folder, standing.reason)
    return standing


def look(standing: Standing) -> tuple[Glance, Skim]:
    """Look at a run: its journal folded into a view, and the end of the log that matters.

    Raises:
        Refused: its plan or its journal cannot be read.
    """
    skimmed = _skim(standing.folder)
    view = _begin(standing)
    for stamped in skimmed.stamped:
        view = fold(view, stamped)
    torn = skimmed.torn and standing.phase is not Phase.RUNNING
    damage = (*skimmed.damage, *(["its last line is torn"] if torn else []))
    now_t = now_in(view) if standing.phase in (Phase.RUNNING, Phase.DYING) else view.t
    return glance_at(standing, view, now_t, damage), skimmed


def now_in(view: RunView) -> float:
    """Give the run's clock at this moment: what it was at the latest event, and the time of day since then."""
    return view.t + max(time.time() - view.at, 0.0) if view.at else 0.0


def _skim(folder: Path) -> Skim:
    try:
        return skim(folder / JOURNAL)
    except FileNotFoundError:
        return Skim()  # it has just begun
    except OSError as error:
        raise _damaged(
            folder, f"events.jsonl cannot be read: {(error.strerror or str(error)).lower()}"
        ) from error


def _begin(standing: Standing) -> RunView:
    folder, plan = standing.folder, standing.record.plan
    try:
        return begin(read_plan(folder, plan)[0])
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _damaged(folder, f"{plan} cannot be read: {why.lower()}") from error


def _damaged(folder: Path, reason: str) -> Refused:
    message = f"{printable(folder.name)}: {printable(reason, 300)}"
    cure = f"'calseq runs verify {word(folder.name)}' says what of it is good"
    return Refused([Problem(codes.DAMAGED_RUN, message, cure)])
