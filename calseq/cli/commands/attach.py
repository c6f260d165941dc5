"""`calseq attach`: the live view of a run that somebody else started; leaving it ends nothing."""

import os
import signal
import sys

from calseq.cli.ending import Relayed
from calseq.cli.terminal import columns, has_color, is_ascii, message, results
from calseq.cli.where_runs import Where
from calseq.cli.which_run import chosen, look, now_in
from calseq.console.next_steps import next_words
from calseq.console.screen import Screen, ScreenLostError, open_screen, suits_live
from calseq.console.statusview import Glance, status_text
from calseq.console.summary import summary
from calseq.model.verdicts import ExitCode
from calseq.problems.plaintext import printable
from calseq.record.follow import Skim
from calseq.record.status import GOING_ON, Damaged, stand
from calseq.record.view import RunView, fold
from calseq.record.watch import happenings
from calseq.system.clock import now_s
from calseq.system.signals import SignalStops


def attach(where: Where, text: str | None) -> int:
    """Show a run until it ends, or until whoever watches has seen enough; give the run's exit code."""
    glance, skimmed = look(chosen(where, text))
    if glance.standing.phase not in GOING_ON:
        return _told_end(glance)
    viewer = _Viewer()
    try:
        if not suits_live(sys.stdout, os.environ):
            results(_block(glance))  # what was before is not told as if it happened now
        with SignalStops(on_hangup="stop", suspended=viewer.suspend) as stops:
            view = _watched(glance, skimmed, viewer, stops)
    except KeyboardInterrupt:
        return _left(glance)
    if stops.level:
        return _left(glance)
    standing = stand(glance.standing.folder)
    if isinstance(standing, Damaged):
        message(f"{printable(standing.folder.name)}: {printable(standing.reason)}")
        return int(ExitCode.REFUSED)
    return _told_end(Glance(standing, view, view.t, damage=glance.damage))


def _watched(glance: Glance, skimmed: Skim, viewer: "_Viewer", stops: SignalStops) -> RunView:
    """Show a run while it goes on; give how it looked at last."""
    view, folder = glance.view, glance.standing.folder
    started = now_s() - now_in(view)
    screen = open_screen(
        sys.stdout, view.plan, folder, environ=os.environ, clock=now_s, started=started, watched=view
    )
    try:
        viewer.opened(screen)
        for news in happenings(folder, skimmed, stops):
            for stamped in news:
                view = fold(view, stamped)
                screen(stamped)
    except ScreenLostError:
        stops.ask("SIGHUP")  # nobody sees it any more
    finally:
        screen.close()
    return view


def _left(glance: Glance) -> int:
    message("\n".join(["the run goes on", *map(printable, next_words(glance.standing))]))
    return int(ExitCode.INTERRUPTED)


def _told_end(glance: Glance) -> int:
    """Show how a run ended, as it was shown where it ran; of one without an end, how it stands."""
    view, folder, out = glance.view, glance.standing.folder, sys.stdout
    if view.ended is None:
        results(_block(glance))
        return int(ExitCode.UNSAFE if glance.standing.safe is False else ExitCode.FAILED)
    text = summary(view, folder, columns(out), color=has_color(out), ascii=is_ascii(out))
    results(text.rstrip("\n"))
    return Relayed(view.ended.exit_code)  # a signal that ended the run is none that came here


def _block(glance: Glance) -> str:
    out = sys.stdout
    return status_text(glance, columns(out), color=has_color(out), ascii=is_ascii(out)).rstrip("\n")


class _Viewer:
    """The screen of who watches, once it is open: Ctrl-Z gives the terminal back, and stops only the watching."""

    def __init__(self) -> None:
        self._screen: Screen | None = None
        self._is_due = False

    def opened(self, screen: Screen) -> None:
        """Take the screen; a Ctrl-Z that came while it was opened counts now."""
        self._screen = screen
        if self._is_due:
            self.suspend()

    def suspend(self) -> None:
        if self._screen is None:  # it may have the terminal already, and only it can give it back
            self._is_due = True
            return
        self._is_due = False
        self._screen.suspend()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._screen.resume()
