"""`calseq execute --resume`: shows what a run keeps, what it runs again and what changed; asks; and goes on."""

import os
import select
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from calseq.bench.bench import read_bench
from calseq.bench.find import BUILTIN, bench_file, is_shipped_bench
from calseq.cli.commands.execute import RunOptions, Terminal, carry_out, stopped
from calseq.cli.messages import tell_problems
from calseq.cli.terminal import columns, has_color, is_ascii, message, results
from calseq.cli.where_runs import Where
from calseq.console.resumption import resumption_text
from calseq.model.plan import Plan
from calseq.model.verdicts import ExitCode
from calseq.planning.evening_check import check_evening
from calseq.planning.gather import gather
from calseq.planning.preflight import check_machine, dirigent_version
from calseq.planning.resumption import Resumption
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused, refuse_errors
from calseq.record.find import LATEST, find_run
from calseq.run.resume import EndedRun, go_on, gone_files, open_ended, reckon, settle, stored_plan
from calseq.run.run import Run
from calseq.system.signals import Stops


def resume(text: str, bench: Path | None, options: RunOptions, *, yes: bool) -> int:
    """Go on with a run that ended early; give the exit code."""
    terminal = Terminal()
    with terminal.stops(options.on_hangup) as stops:
        try:
            run = _agreed(text, bench, options, stops, yes=yes)
        except Refused as refused:
            if stops.level:
                return stopped(stops)
            tell_problems(refused.problems, 1)
            return int(ExitCode.REFUSED)
        return run if isinstance(run, int) else carry_out(run, terminal, options, stops)


def _agreed(text: str, bench: Path | None, options: RunOptions, stops: Stops, *, yes: bool) -> Run | int:
    """Give the run, ready to go on, if somebody agrees to what is shown; else the exit code.

    Raises:
        Refused: it cannot be gone on with.
    """
    ended = open_ended(_found(text, _places(bench, options)), stops, message)
    agreed = False
    try:
        if options.module and options.module != ended.record.module:
            measured = printable(ended.record.module, 60) or "one without a name"
            message_ = f"the run measures module {measured}, not '{printable(options.module, 60)}'"
            raise Refused([Problem(codes.NOT_RESUMABLE, message_, "leave --module away, or start a new run")])
        plan, dirigent, warnings = _today(ended, stops)
        resumption = reckon(ended, plan, dirigent)
        if stops.level:
            return stopped(stops)
        if resumption.is_over:
            settle(ended)
            results(f"nothing to do: every step of {printable(ended.folder.name)} passed{_but(resumption)}")
            return int(ExitCode.GOOD)
        tell_problems(warnings, 1)
        _show(ended, resumption, dry_run=options.dry_run)
        if options.dry_run:
            return int(ExitCode.GOOD)
        refusal = None if yes else _asked(stops)
        if refusal is not None:
            return refusal
        run = go_on(
            ended,
            resumption,
            operator=options.operator,
            acknowledge=options.acknowledge,
            hv_box_closed=options.hv_box_closed,
            dirigent=dirigent,
        )
        agreed = True
        return run
    finally:
        if not agreed:
            ended.mine.release()


def _places(bench: Path | None, options: RunOptions) -> list[Path]:
    """Give the folders in which a run may be: --runs, else that of the bench, else ./runs."""
    if options.runs is not None:
        return [options.runs.expanduser()]
    near = bench_file(bench)
    if near is None or is_shipped_bench(near):
        return [Where(bench=bench).folder]
    reading = read_bench(near)
    if reading.bench is None and bench:
        raise Refused(reading.problems)
    return [reading.bench.runs, Path("runs")] if reading.bench else [Path("runs")]


def _found(text: str, places: Iterable[Path]) -> Path:
    """Find a run in the first of these folders that has it, the latest in all of them.

    Raises:
        Refused: it is in none of them.
    """
    found: list[Path] = []
    refusals: list[Refused] = []
    for place in places:
        try:
            found.append(find_run(place, text))
        except Refused as refused:
            refusals.append(refused)
    if not found:
        raise refusals[0]
    return max(found, key=lambda path: path.name) if text == LATEST else found[0]


def _but(resumption: Resumption) -> str:
    left_out = sum(bool(row.step.left_out) for row in resumption.rows)
    return f"; {left_out} of {len(resumption.rows)} are left out" if left_out else ""


def _today(ended: EndedRun, stops: Stops) -> tuple[Plan, str, tuple[Problem, ...]]:
    """Give the plan as the files make it today, or the stored one where they cannot; which dirigent is there; warnings.

    Raises:
        Refused: the files do not make a plan, or this machine cannot run it.
    """
    request = ended.record.request
    gone = ", ".join(printable(file.path) for file in gone_files(ended.plan))
    if request is None or gone:
        why = f"{gone} is gone" if gone else "the record does not say what was typed"
        plan = stored_plan(ended, why)
        message(f"{why}: the plan that was stored is used")
        return plan, "", ()
    # a record without a bench is of a time when --simulate alone meant the bundled one
    gathered = gather(msgspec.structs.replace(request, bench=request.bench or BUILTIN))
    if gathered.plan is None or gathered.bench is None:
        raise Refused(gathered.problems)
    about = [
        *check_machine(gathered.bench, stops, os.environ),
        *check_evening(gathered.bench, os.environ, gathered.plan),
    ]
    refuse_errors(about)
    warnings = tuple(problem for problem in (*gathered.problems, *about) if not problem.is_error)
    return gathered.plan, dirigent_version(gathered.bench, stops, os.environ), warnings


def _show(ended: EndedRun, resumption: Resumption, *, dry_run: bool) -> None:
    stream, tell = (sys.stdout, results) if dry_run else (sys.stderr, message)
    folder = ended.folder
    with suppress(ValueError, OSError):
        folder = folder.relative_to(Path.cwd())
    tell(
        resumption_text(
            resumption,
            ended.record.module,
            folder,
            columns(stream),
            color=has_color(stream),
            ascii=is_ascii(stream),
        ).rstrip("\n")
    )


def _asked(stops: Stops) -> int | None:
    """Ask whether to go on; give the exit code if not."""
    if not (sys.stdin and sys.stdin.isatty()):
        message(
            "nobody is here to be asked: add --yes to go on, or --dry-run only to look; nothing was touched"
        )
        return int(ExitCode.REFUSED)
    sys.stderr.write("go on? [y/N] ")
    sys.stderr.flush()
    while not stops.level:
        if select.select([0], [], [], 0.2)[0]:
            answer = os.read(0, 1024).decode(errors="replace").strip().lower()
            if answer in ("y", "yes"):
                return None
            message("not resumed: nothing was touched")
            return int(ExitCode.REFUSED)
    message("")
    return stopped(stops)
