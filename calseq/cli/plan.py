"""`calseq plan`: what a run would do."""

import sys

from calseq.cli.inputs import Request, gather, tell_problems
from calseq.cli.terminal import columns, has_color, is_ascii, results
from calseq.console.planview import plan_script, plan_text
from calseq.plan import Plan, to_json
from calseq.verdicts import ExitCode


def plan(request: Request, format_: str, *, verbose: bool) -> int:
    """Show the plan of a request on stdout, or its problems on stderr."""
    gathered = gather(request)
    errors = tuple(problem for problem in gathered.problems if problem.is_error)
    if errors or gathered.plan is None:
        tell_problems(gathered.problems, gathered.files)
        return int(ExitCode.REFUSED)
    results(written(gathered.plan, format_, verbose=verbose))
    return int(ExitCode.GOOD)


def written(plan: Plan, format_: str, *, verbose: bool) -> str:
    """Give a plan as text, JSON or a shell script."""
    if format_ == "json":
        return to_json(plan).decode()
    if format_ == "sh":
        return plan_script(plan).rstrip("\n")
    out = sys.stdout
    return plan_text(plan, columns(out), verbose=verbose, color=has_color(out), ascii=is_ascii(out)).rstrip(
        "\n"
    )
