"""The commands that tell of runs that are over: what may be typed."""

from pathlib import Path
from typing import Annotated

import typer

from calseq.cli.options import completion
from calseq.cli.options.common import BenchOfRuns, Run, Runs, one_of, where
from calseq.cli.options.common import module as module_name
from calseq.cli.options.common import output as output_file

app = typer.Typer(rich_markup_mode=None)


@app.command()
def report(
    run: Run = None,
    bench: BenchOfRuns = None,
    runs: Runs = None,
    format_: Annotated[
        str,
        one_of("--format", "html|json|junit|markdown", "How to write it."),
    ] = "html",
    output: Annotated[
        str,
        output_file(
            "Where to; '-' is stdout. Default: report.html in the run folder, for the others stdout."
        ),
    ] = "",
) -> None:
    """Write the report of a run, whatever state it is in. The page needs no network and no script."""
    from calseq.cli.commands.report import report as command  # noqa: PLC0415

    raise typer.Exit(command(where(runs, bench), run, format_, output))


@app.command()
def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN...",
            help="Two or more runs: names, parts that only one has, 'latest', or folders. The first is what the others are held against.",
            autocompletion=completion.runs,
        ),
    ] = None,
    module: Annotated[
        str,
        module_name("Instead: the latest runs of this module."),
    ] = "",
    most: Annotated[
        int, typer.Option("-n", min=2, max=16, metavar="N", help="With --module: so many at most.")
    ] = 5,
    format_: Annotated[
        str,
        one_of("--format", "text|json|html", "How to write it; html draws the curves."),
    ] = "text",
    output: Annotated[Path | None, output_file("A new file. Default: stdout.")] = None,
    bench: BenchOfRuns = None,
    runs: Runs = None,
) -> None:
    """Compare runs, before and after: verdicts and times of their steps, currents and breakdown of every module."""
    from calseq.cli.commands.compare import compare as command  # noqa: PLC0415

    if bool(names) == bool(module):
        raise typer.BadParameter("name two runs or more, or give --module NAME", param_hint="RUN")
    if names and not 2 <= len(names) <= 16:
        raise typer.BadParameter(f"it takes 2 to 16 runs, and here are {len(names)}", param_hint="RUN")
    raise typer.Exit(command(where(runs, bench), tuple(names or ()), module, most, format_, output))
