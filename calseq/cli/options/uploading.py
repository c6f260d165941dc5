"""The command that sends results to their database: what may be typed."""

from pathlib import Path
from typing import Annotated

import typer

from calseq.cli.options.common import Runs, bench_file, run_argument, where

app = typer.Typer(rich_markup_mode=None)


@app.command()
def upload(
    run: Annotated[
        str | None,
        run_argument(
            "The run: its name, a part that only it has, 'latest', or its folder. Default: the latest."
        ),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="All runs of which something is queued and not sent.")
    ] = False,
    look: Annotated[
        bool, typer.Option("--list", "--dry-run", "-n", help="Only show how the results stand; send nothing.")
    ] = False,
    allow_simulated: Annotated[
        bool, typer.Option("--allow-simulated", help="Send it though nothing of it was measured.")
    ] = False,
    allow_part: Annotated[
        bool,
        typer.Option("--allow-part", help="Send it, marked, though steps of its sequence were left out."),
    ] = False,
    password_fd: Annotated[
        int | None,
        typer.Option(
            "--password-fd",
            min=0,
            metavar="N",
            help="Read the password from this descriptor. Default: the keyring, else it is asked for.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="What is unclear has not arrived: send it again.")
    ] = False,
    arrived: Annotated[bool, typer.Option("--arrived", help="What is unclear has arrived.")] = False,
    bench: Annotated[
        Path | None,
        bench_file(
            "Whose runs, and whose 'upload:'. Default: bench.yaml here or above; what the run's own said."
        ),
    ] = None,
    runs: Runs = None,
) -> None:
    """Send what is queued of a run. What has arrived is never sent again; Ctrl-C loses nothing.

    Exit code 5: something is not sent; the same command goes on with it.
    """
    from calseq.cli.commands.upload import UploadOptions  # noqa: PLC0415
    from calseq.cli.commands.upload import upload as command  # noqa: PLC0415

    if all_ and (run or again or arrived):
        raise typer.BadParameter(
            "it is for all runs: name none, and decide about each alone", param_hint="--all"
        )
    if again and arrived:
        raise typer.BadParameter("give one of --again and --arrived", param_hint="--again")
    options = UploadOptions(look, allow_simulated, allow_part, password_fd, again, arrived)
    raise typer.Exit(command(where(runs, bench), run, options, everything=all_))
