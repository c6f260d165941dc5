"""The commands that look at runs from any shell, and stop them: what may be typed."""

from typing import Annotated

import typer

from calseq.cli.options import completion
from calseq.cli.options.common import BenchOfRuns, Run, Runs, TextOrJson, run_argument, where
from calseq.cli.options.common import module as module_name

app = typer.Typer(rich_markup_mode=None)
runs_app = typer.Typer(rich_markup_mode=None)
app.add_typer(runs_app, name="runs")


@runs_app.callback(invoke_without_command=True)
def runs(
    context: typer.Context,
    bench: BenchOfRuns = None,
    runs: Runs = None,
    most: Annotated[int, typer.Option("-n", min=1, metavar="N", help="So many at most.")] = 20,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that did not pass.")] = False,
    module: Annotated[str, module_name("Only those of this module.")] = "",
    format_: TextOrJson = "text",
) -> None:
    """List the runs of a bench, newest first: when, of what, how they ended, and what failed."""
    if context.invoked_subcommand:
        return
    from calseq.cli.commands.runs import Choice  # noqa: PLC0415
    from calseq.cli.commands.runs import runs as command  # noqa: PLC0415

    raise typer.Exit(command(Choice(where(runs, bench), most, failed, module), format_))


@runs_app.command(short_help="Prove that the record of a run is whole and as it was written.")
def verify(
    run: Annotated[
        str,
        run_argument("The run. Default: the latest."),
    ] = "latest",
    bench: BenchOfRuns = None,
    runs: Runs = None,
) -> None:
    """Check every sha256 of a run folder, the digests of its plan and inputs, and the chain of its events."""
    from calseq.cli.commands.runs import verify_run  # noqa: PLC0415

    raise typer.Exit(verify_run(where(runs, bench), run))


@app.command()
def status(
    run: Run = None, bench: BenchOfRuns = None, runs: Runs = None, format_: TextOrJson = "text"
) -> None:
    """Say how a run stands: what runs and for how long, the steps, the rails as last read, and what to type next."""
    from calseq.cli.commands.status import status as command  # noqa: PLC0415

    raise typer.Exit(command(where(runs, bench), run, format_))


@app.command()
def attach(run: Run = None, bench: BenchOfRuns = None, runs: Runs = None) -> None:
    """Show a run as if it had been started here. Ctrl-C, or a lost connection, ends only the showing."""
    from calseq.cli.commands.attach import attach as command  # noqa: PLC0415

    raise typer.Exit(command(where(runs, bench), run))


@app.command()
def logs(
    step: Annotated[
        str | None,
        typer.Argument(
            metavar="[STEP]",
            help="A step, by name or number. Default: the running one, else the failed one, else the last.",
            autocompletion=completion.run_steps,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            "-r",
            metavar="RUN",
            help="The run. Default: as for status.",
            autocompletion=completion.runs,
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the step ends, through all its attempts.")
    ] = False,
    last: Annotated[
        int | None,
        typer.Option(
            "-n", min=0, metavar="LINES", help="The last lines. Default: 100 on a terminal, else all."
        ),
    ] = None,
    bench: BenchOfRuns = None,
    runs: Runs = None,
) -> None:
    """Show what a step printed: harmless on a terminal, byte by byte elsewhere."""
    from calseq.cli.commands.logs import logs as command  # noqa: PLC0415

    raise typer.Exit(command(where(runs, bench), run, step, last, follow=follow))


@app.command()
def stop(
    run: Run = None,
    bench: BenchOfRuns = None,
    runs: Runs = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show it through to its safe end.")] = True,
) -> None:
    """Ask a run to stop: its step ends first, then HV goes off, then LV. Exit code 4 if that was not confirmed."""
    from calseq.cli.commands.stop import stop as command  # noqa: PLC0415

    raise typer.Exit(command(where(runs, bench), run, wait=wait))
