"""The commands that look after a bench: what may be typed."""

from typing import Annotated

import typer

from calseq.cli.options.common import Bench, TextOrJson

app = typer.Typer(rich_markup_mode=None)


@app.command()
def power(
    action: Annotated[
        str, typer.Argument(metavar="status|off", help="Read the rails, or make the bench safe.")
    ],
    bench: Bench = None,
) -> None:
    """Read the rails of a bench, or switch HV and then LV off.

    A run that is there is asked to stop first; its own safe end is then the one that counts. In power mode icicle,
    status opens the instruments, which sets compliance and range of HV as instruments.json has them.
    """
    from calseq.cli.commands.power import power as command  # noqa: PLC0415

    if action not in ("status", "off"):
        raise typer.BadParameter(f"'{action}' is not one of status, off", param_hint="ACTION")
    raise typer.Exit(command(action, bench))


@app.command()
def doctor(
    bench: Bench = None,
    format_: TextOrJson = "text",
) -> None:
    """Look at everything that a run needs, and say what mends what is missing. Touches no supply."""
    from calseq.cli.commands.doctor import doctor as command  # noqa: PLC0415

    raise typer.Exit(command(bench, format_))
