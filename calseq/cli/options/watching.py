"""The commands that look at runs from any shell, and stop them: what may be typed."""

from pathlib import Path
from typing import Annotated

import typer

from calseq.cli.options import completion

Run = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="The run: its name, a part that only it has, 'latest', or its folder. Default: the one that goes on, else the latest.",
        autocompletion=completion.runs,
    ),
]
Runs = Annotated[
    Path | None,
    typer.Option("--runs", metavar="DIR", help="Where run folders are. Default: the bench's, else ./runs."),
]
Bench = Annotated[
    Path | None,
    typer.Option(
        "--bench",
        "-b",
        metavar="FILE",
        help="The bench whose runs are meant. Default: bench.yaml here or above.",
    ),
]
Format = Annotated[str, typer.Option("--format", metavar="text|json", help="How to write it.")]

app = typer.Typer(rich_markup_mode=None)
runs_app = typer.Typer(rich_markup_mode=None)
app.add_typer(runs_app, name="runs")


@runs_app.callback(invoke_without_command=True)
def runs(
    context: typer.Context,
    bench: Bench = None,
    runs: Runs = None,
    most: Annotated[int, typer.Option("-n", min=1, metavar="N", help="So many at most.")] = 20,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that did not pass.")] = False,
    module: Annotated[
        str, typer.Option("--module", "-m", metavar="NAME", help="Only those of this module.")
    ] = "",
    format_: Format = "text",
) -> None:
    """List the runs of a bench, newest first: when, of what, how they ended, and what failed."""
    if context.invoked_subcommand:
        return
    from calseq.cli.commands.runs import Choice  # noqa: PLC0415
    from calseq.cli.commands.runs import runs as command  # noqa: PLC0415
    from calseq.cli.where_runs import Where  # noqa: PLC0415

    _check(format_)
    raise typer.Exit(command(Choice(Where(runs, bench), most, failed, module), format_))


@runs_app.command(short_help="Prove that the record of a run is whole and as it was written.")
def verify(
    run: Annotated[
        str,
        typer.Argument(metavar="[RUN]", help="The run. Default: the latest.", autocompletion=completion.runs),
    ] = "latest",
    bench: Bench = None,
    runs: Runs = None,
) -> None:
    """Check every sha256 of a run folder, the digests of its plan and inputs, and the chain of its events."""
    from calseq.cli.commands.runs import verify_run  # noqa: PLC0415
    from calseq.cli.where_runs import Where  # noqa: PLC0415

    raise typer.Exit(verify_run(Where(runs, bench), run))


@app.command()
def status(run: Run = None, bench: Bench = None, runs: Runs = None, format_: Format = "text") -> None:
    """Say how a run stands: what runs and for how long, the steps, the rails as last read, and what to type next."""
    from calseq.cli.commands.status import status as command  # noqa: PLC0415
    from calseq.cli.where_runs import Where  # noqa: PLC0415

    _check(format_)
    raise typer.Exit(command(Where(runs, bench), run, format_))


@app.command()
def attach(run: Run = None, bench: Bench = None, runs: Runs = None) -> None:
    """Show a run as if it had been started here. Ctrl-C, or a lost connection, ends only the showing."""
    from calseq.cli.commands.attach import attach as command  # noqa: PLC0415
    from calseq.cli.where_runs import Where  # noqa: PLC0415

    raise typer.Exit(command(Where(runs, bench), run))


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
    bench: Bench = None,
    runs: Runs = None,
) -> None:
    """Show what a step printed: harmless on a terminal, byte by byte elsewhere."""
    from calseq.cli.commands.logs import logs as command  # noqa: PLC0415
    from calseq.cli.where_runs import Where  # noqa: PLC0415

    raise typer.Exit(command(Where(runs, bench), run, step, last, follow=follow))


@app.command()
def stop(
    run: Run = None,
    bench: Bench = None,
    runs: Runs = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show it through to its safe end.")] = True,
) -> None:
    """Ask a run to stop: its step ends first, then HV goes off, then LV. Exit code 4 if that was not confirmed."""
    from calseq.cli.commands.stop import stop as command  # noqa: PLC0415
    from calseq.cli.where_runs import Where  # noqa: PLC0415

    raise typer.Exit(command(Where(runs, bench), run, wait=wait))


def _check(format_: str) -> None:
    if format_ not in ("text", "json"):
        raise typer.BadParameter(f"'{format_}' is not one of text, json", param_hint="--format")
