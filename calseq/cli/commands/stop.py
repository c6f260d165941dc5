"""`calseq stop`: asks a run to stop, from any shell, and shows its safe end until it has let go."""

import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from calseq.cli.terminal import message, results
from calseq.cli.where_runs import Where
from calseq.cli.which_run import look, now_in
from calseq.console.next_steps import next_words
from calseq.console.plain import Plain
from calseq.console.statusview import word_of
from calseq.console.writer import outlet
from calseq.model.events import Stamped
from calseq.model.rails import Role
from calseq.model.verdicts import ExitCode
from calseq.problems.plaintext import printable, word
from calseq.problems.refused import Refused
from calseq.record.find import find_run
from calseq.record.follow import Skim
from calseq.record.processes import ask_to_stop
from calseq.record.run_folder import read_plan
from calseq.record.status import UNSEEN, Damaged, Phase, Standing, going_on, stand
from calseq.record.watch import goes_on, happenings
from calseq.system.signals import Stops


def stop(where: Where, text: str | None, *, wait: bool) -> int:
    """Ask a run to stop and see it through to its end; give the exit code."""
    folder = where.folder
    meant = [stand(find_run(folder, text))] if text else list(going_on(folder))
    if not meant:
        _say(f"nothing runs in {printable(str(folder))}")
        _after(_latest(folder))
        return int(ExitCode.GOOD)
    if len(meant) > 1:
        message(f"{len(meant)} runs go on: say which")
        _say("\n".join(f"calseq stop {word(each.folder.name)}{_mark(each)}" for each in meant))
        return int(ExitCode.REFUSED)
    return _stopped(meant[0], wait=wait)


def _mark(standing: Standing | Damaged) -> str:
    return "  # SIMULATED" if isinstance(standing, Standing) and standing.record.simulated else ""


def _stopped(standing: Standing | Damaged, *, wait: bool) -> int:
    name = printable(standing.folder.name)
    if isinstance(standing, Damaged):
        message(
            f"{name}: {printable(standing.reason)}: who runs it cannot be read; 'calseq power off' stops it"
        )
        return int(ExitCode.REFUSED)
    if standing.phase is Phase.ELSEWHERE:
        host = printable(standing.record.host)
        message(
            f"{name} runs on {host}: it can only be stopped there; type there: calseq stop {word(standing.folder.name)}"
        )
        return int(ExitCode.REFUSED)
    if standing.phase is Phase.UNSEEN:
        message(
            f"{name} belongs to {_owner(standing)}: {UNSEEN}; ask them, or root, to type: calseq stop {word(standing.folder.name)}"
        )
        return int(ExitCode.REFUSED)
    if standing.phase in (Phase.ENDED, Phase.DIED):
        _say(f"{name} does not run")
        return _after(standing)
    return _asked(standing, wait=wait)


def _asked(standing: Standing, *, wait: bool) -> int:
    record, name = standing.record, printable(standing.name)
    shown = _Shown(standing)
    try:
        ask_to_stop(standing.folder, record.pid, record.since)
        _say(f"{name} is asked to stop: its step ends first, then comes its safe end")
        if not wait:
            return int(ExitCode.GOOD)
        shown.until_let_go(Stops())
    except PermissionError:
        message(
            f"{name} belongs to {_owner(standing)}: ask them, or root, to type: calseq stop {word(standing.folder.name)}"
        )
        return int(ExitCode.REFUSED)
    except KeyboardInterrupt:  # whether it was asked by then, only its record says
        message(
            f"no longer watched: 'calseq status {word(standing.folder.name)}' says how far its stopping is"
        )
        return int(ExitCode.INTERRUPTED)
    return _after(stand(standing.folder), told=True)


def _after(standing: Standing | Damaged | None, *, told: bool = False) -> int:
    """Say how a run that is over left the bench; give the exit code."""
    if not isinstance(standing, Standing):
        return int(ExitCode.GOOD)
    name = printable(standing.name)
    if standing.safe is False:
        message(f"{name}: {standing.power.words}")
        message("\n".join(map(printable, [*_supplies(standing), *next_words(standing)])))
        return int(ExitCode.UNSAFE)
    if told or standing.phase is Phase.DIED:
        _say(f"{name} {printable(word_of(standing)[0])}: {printable(standing.power.words, 500)}")
    return int(ExitCode.GOOD)


def _supplies(standing: Standing) -> list[str]:
    """Give where the supplies of a run are, HV first, as far as its plan can be read."""
    try:
        plan, _ = read_plan(standing.folder, standing.record.plan)
    except (OSError, msgspec.MsgspecError, ValueError):
        return []
    return [
        f"{role.upper()}: {each.name}, {each.instrument_class} at {each.resource}"
        for role in (Role.HV, Role.LV)
        for each in plan.instruments
        if role in each.roles
    ]


def _say(text: str) -> None:
    """Write a line; a closed pipe is passed over, as its exit code would be taken for a safe end."""
    with suppress(OSError):
        results(text)


def _latest(folder: Path) -> Standing | Damaged | None:
    try:
        return stand(find_run(folder))
    except Refused:
        return None


def _owner(standing: Standing) -> str:
    try:
        return printable(standing.folder.owner())
    except (OSError, KeyError):
        return printable(standing.record.operator)


class _Shown:
    """Tells what happens in a run from now on, in lines, as far as its record can be read."""

    def __init__(self, standing: Standing) -> None:
        self._folder = standing.folder
        self._skim = Skim()
        self._plain: Plain | None = None
        try:
            glance, self._skim = look(standing)
        except Refused:
            return
        self._plain = Plain(outlet(sys.stdout), glance.view, standing.folder, _beat_t=now_in(glance.view))

    def until_let_go(self, stops: Stops) -> None:
        """Show the events of a run until its processes have ended."""
        for news in happenings(self._folder, self._skim, stops):
            for stamped in news:
                self._tell(stamped)
        while goes_on(self._folder):
            stops.pause(0.1)

    def _tell(self, stamped: Stamped) -> None:
        if self._plain:
            with suppress(OSError, ValueError):
                self._plain.see(stamped)
