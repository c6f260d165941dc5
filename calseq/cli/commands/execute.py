"""`calseq execute`: preflight, the run with its screen, and the summary that stays."""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from calseq.bench.bench import Bench
from calseq.cli.messages import tell_bench, tell_problems
from calseq.cli.terminal import columns, has_color, is_ascii, message, results
from calseq.cli.where_runs import near, runs_of
from calseq.console.next_steps import dead_end
from calseq.console.screen import Screen, open_screen, restoring
from calseq.console.summary import summary
from calseq.model.events import Stamped
from calseq.model.plan import Plan, named
from calseq.model.request import Request
from calseq.model.verdicts import EXIT_CODES, ExitCode
from calseq.planning.evening_check import check_evening
from calseq.planning.gather import gather, lasting
from calseq.planning.preflight import check_machine, choose_module, dirigent_version
from calseq.power.guarded import Terminal as LastTerminal
from calseq.problems.plaintext import printable
from calseq.record.aftermath import aftermath
from calseq.record.status import Phase, Standing
from calseq.record.view import RunView, begin, fold
from calseq.report.after_run import forget_report, leave_report
from calseq.run.run import Run, RunResult, prepare_run
from calseq.system.clock import now_s
from calseq.system.signals import SignalStops, Stops

if TYPE_CHECKING:
    from calseq.console.screen import Mode


class RunOptions(Struct, frozen=True):
    """How a plan is to be run, as it was typed."""

    module: str = ""
    operator: str = ""
    runs: Path | None = None
    dry_run: bool = False
    screen: str = "auto"
    on_hangup: str = "continue"
    acknowledge: bool = False
    report: bool = True
    hv_box_closed: bool = False
    job: str = ""


def execute(request: Request, options: RunOptions) -> int:
    """Run a sequence; give the exit code."""
    gathered = gather(request)
    plan, bench = gathered.plan, gathered.bench
    if plan is None or bench is None:
        tell_problems(gathered.problems, gathered.files)
        return int(ExitCode.REFUSED)
    terminal = Terminal()
    with terminal.stops(options.on_hangup) as stops:
        module, problems = choose_module(bench, options.module)
        problems = [*gathered.problems, *problems, *check_machine(bench, stops, os.environ)]
        problems += check_evening(bench, os.environ, plan)
        if stops.level:
            return stopped(stops)
        tell_problems(problems, gathered.files)
        if any(problem.is_error for problem in problems):
            return int(ExitCode.REFUSED)
        tell_bench(request, bench)
        if options.dry_run:
            return _dry_run(named(plan, module), _runs(bench, options))
        run = prepare_run(
            plan,
            _runs(bench, options),
            module=module,
            operator=options.operator,
            acknowledge=options.acknowledge,
            hv_box_closed=options.hv_box_closed,
            request=lasting(request),
            job=options.job,
            dirigent=dirigent_version(bench, stops, os.environ),
        )
        return carry_out(run, terminal, options, stops)


def stopped(stops: Stops) -> int:
    """Message and exit code of a stop before anything was touched."""
    message(f"stopped by {stops.who}: nothing was touched")
    return int(EXIT_CODES.get(stops.cause, ExitCode.INTERRUPTED))


def carry_out(run: Run, terminal: "Terminal", options: RunOptions, stops: SignalStops) -> int:
    """Run what is ready, with its screen and its summary; give the exit code."""
    if run.complaint:
        message(printable(run.complaint))
    forget_report(run.folder)
    result, view = _shown(run, terminal, options, stops)
    stops.deaf_after = True
    _summarise(view, result)
    is_queued = _queue(run, result)
    report = _report(result, stops) if options.report else ""
    _announce(run, result, stops, report)
    if is_queued:
        _upload(run, stops)
    return int(result.outcome.exit_code)


def _dry_run(plan: Plan, runs: Path) -> int:
    from calseq.cli.commands.plan import written  # noqa: PLC0415

    results(written(plan, "text", runs, verbose=False))
    return int(ExitCode.GOOD)


def _runs(bench: Bench, options: RunOptions) -> Path:
    return options.runs.expanduser() if options.runs is not None else runs_of(bench)


def _shown(
    run: Run, terminal: "Terminal", options: RunOptions, stops: SignalStops
) -> tuple[RunResult, RunView]:
    """Run with a screen that can neither stop nor delay it."""
    fold_ = _Fold(begin(run.plan))
    with ExitStack() as held:
        mode = cast("Mode", options.screen)
        screen = open_screen(sys.stderr, run.plan, run.folder, mode=mode, environ=os.environ, clock=now_s)
        terminal.screen, terminal.status = screen, lambda: _status(run, fold_)
        held.callback(screen.close)
        run.listeners |= {"screen": screen, "summary": fold_}
        restore = restoring(sys.stderr, mode, os.environ)
        if restore is not None:  # a descriptor of its own: in the guard, 2 is its log
            run.terminal = LastTerminal(os.dup(sys.stderr.fileno()), restore)
        result = run.go(stops)
    return result, fold_.view


def _summarise(view: RunView, result: RunResult) -> None:
    err = sys.stderr
    folder = near(result.folder)
    try:
        text = summary(
            view,
            folder,
            columns(err),
            color=has_color(err),
            ascii=is_ascii(err),
            duration_s=result.record.duration_s,
            instead=dead_end(
                Standing(result.folder, result.record, Phase.ENDED, aftermath(result.folder, result.record))
            ),
        ).rstrip("\n")
    except Exception as error:  # noqa: BLE001 - a bug in the words must not hide how the run ended
        told = f"{result.outcome.verdict}: {printable(result.outcome.reason)}\nrun: {printable(str(folder))}"
        text = f"{told}\n(a bug in calseq's summary: {type(error).__name__}: {printable(str(error), 200)})"
    message(text)


def _report(result: RunResult, stops: SignalStops) -> str:
    """Write the page that tells the run, and say where it is; give its path, empty if there is none."""
    left = leave_report(result.folder, stops, tell=message)
    if left.path is None:
        message(left.complaint)
        return ""
    message(f"report   {printable(str(near(left.path)))}")
    return str(left.path)


def _announce(run: Run, result: RunResult, stops: SignalStops, report: str) -> None:
    """Run the site's own command; the run is over, and nothing about it changes any more."""
    notice = run.plan.on_finish
    if notice is None:
        return
    message(f"on_finish: {printable(notice.command[0])} (at most {notice.timeout_s:g} s, Ctrl-C ends it)")
    wrong = run.announce(result, stops, report)
    if wrong:
        message(wrong)


def _queue(run: Run, result: RunResult) -> bool:
    """Queue the results, if the bench says where they go; that it fails changes nothing of the run."""
    upload = run.plan.upload
    if upload is None:
        return False
    from calseq.cli.upload_after_run import queue_run  # noqa: PLC0415 - only a bench with a database pays

    return queue_run(run.plan, result.record, run.folder)


def _upload(run: Run, stops: Stops) -> None:
    """Upload the queued results after the summary, where the bench says `at_end`."""
    if run.plan.upload and run.plan.upload.at_end:
        from calseq.cli.upload_after_run import upload_run  # noqa: PLC0415

        upload_run(run.folder, stops)


def _status(run: Run, noted: "_Fold") -> str:
    """Give the same block as `calseq status` does, from inside the run."""
    from calseq.console.statusview import glance_at, status_text  # noqa: PLC0415 - only who asks for it pays

    err = sys.stderr
    standing = Standing(
        run.folder, run.record, Phase.RUNNING, aftermath(run.folder, run.record, goes_on=True)
    )
    glance = glance_at(standing, noted.view, noted.now_t())
    return status_text(glance, columns(err), color=has_color(err), ascii=is_ascii(err))


class _Fold:
    """Keeps the view that the summary is made of, and the run's clock."""

    def __init__(self, view: RunView) -> None:
        self.view = view
        self._began_s = now_s()

    def __call__(self, stamped: Stamped) -> None:
        self.view = fold(self.view, stamped)
        self._began_s = now_s() - stamped.t

    def now_t(self) -> float:
        return now_s() - self._began_s


class Terminal:
    """What signals about the terminal do: they reach the screen, never the run."""

    def __init__(self) -> None:
        self.screen: Screen | None = None
        self.status: Callable[[], str] | None = None
        self._hidden = False

    def stops(self, on_hangup: str) -> SignalStops:
        """Give the stops that signals ask for, of which those about the terminal come here."""
        return SignalStops(
            on_hangup=on_hangup, hung_up=self.hang_up, suspended=self.toggle, queried=self.tell_status
        )

    def tell_status(self) -> None:
        """SIGUSR1 is answered with one block."""
        if self.screen and self.status:
            self.screen.aside(self.status())

    def hang_up(self) -> None:
        """Take the screen off a terminal that is lost."""
        if self.screen:
            self.screen.hang_up()

    def toggle(self) -> None:
        """Ctrl-Z hides the screen and brings it back; the run goes on."""
        if self.screen is None:
            return
        if self._hidden:
            self.screen.resume()
        else:
            self.screen.suspend(0.0)
        self._hidden = not self._hidden
