"""`calseq plan`: what a run would do."""

import sys
from pathlib import Path

from calseq.cli.messages import tell_bench, tell_problems
from calseq.cli.terminal import columns, has_color, is_ascii, message, results
from calseq.cli.where_runs import runs_of
from calseq.console.planscript import plan_script
from calseq.console.planview import plan_text
from calseq.model.plan import Plan, to_json
from calseq.model.request import Request
from calseq.model.verdicts import ExitCode
from calseq.planning.gather import gather
from calseq.problems.plaintext import printable
from calseq.record.history import expected


def plan(request: Request, format_: str, *, verbose: bool) -> int:
    """Show the plan of a request on stdout, or its problems on stderr."""
    gathered = gather(request)
    errors = tuple(problem for problem in gathered.problems if problem.is_error)
    if errors or gathered.plan is None or gathered.bench is None:
        tell_problems(gathered.problems, gathered.files)
        return int(ExitCode.REFUSED)
    tell_bench(request, gathered.bench)
    results(written(gathered.plan, format_, runs_of(gathered.bench), verbose=verbose))
    return int(ExitCode.GOOD)


def written(plan: Plan, format_: str, runs: Path, *, verbose: bool) -> str:
    """Give a plan as text, with the times that its steps took in earlier `runs`, or as JSON or a shell script."""
    if format_ == "json":
        return to_json(plan).decode()
    if format_ == "sh":
        return plan_script(plan).rstrip("\n")
    times, complaint = expected(plan, runs)
    if complaint:
        message(printable(complaint))
    out = sys.stdout
    text = plan_text(
        plan, columns(out), verbose=verbose, color=has_color(out), ascii=is_ascii(out), expected=times
    )
    return text.rstrip("\n")
