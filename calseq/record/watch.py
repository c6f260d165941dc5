"""New events of a run of another process, until it has ended or no process of it lives."""

from collections.abc import Iterator
from pathlib import Path

from calseq.model.events import RunEnded, Stamped
from calseq.record.follow import Follower, Skim
from calseq.record.run_folder import JOURNAL
from calseq.record.status import GOING_ON, Standing, stand
from calseq.system.signals import Stops

LOOK_EVERY_S = 0.2

_WHO_EVERY = 5
"""After so many looks without news it is seen whether anybody of the run is still there."""


def happenings(folder: Path, skimmed: Skim, stops: Stops) -> Iterator[list[Stamped]]:
    """Give what is new in a run's journal, again and again, also when nothing is, until `stops` says to leave."""
    follower = Follower(folder / JOURNAL, skimmed)
    quiet = 0
    while not stops.level:
        news = list(follower.more())
        yield news
        if any(isinstance(stamped.event, RunEnded) for stamped in news):
            return
        quiet = 0 if news else quiet + 1
        if quiet % _WHO_EVERY == _WHO_EVERY - 1 and not goes_on(folder):
            yield list(follower.more())
            return
        stops.pause(LOOK_EVERY_S)


def goes_on(folder: Path) -> bool:
    """Tell whether a run goes on, as far as can be seen."""
    standing = stand(folder)
    return isinstance(standing, Standing) and standing.phase in GOING_ON
