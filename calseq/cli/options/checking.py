"""The commands that check and explain what is written: what may be typed."""

from pathlib import Path
from typing import Annotated

import typer

from calseq.cli.options import completion
from calseq.cli.options.common import Bench, bench_file, one_of

app = typer.Typer(rich_markup_mode=None)


@app.command()
def validate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE|DIR|NAME|-]...",
            help="Files or folders to check, a sequence that comes with calseq by its name, '-' for stdin. Default: this folder.",
        ),
    ] = None,
    bench: Annotated[
        Path | None,
        bench_file(
            "Check for this bench, as 'plan' does. Default: only know the calibrations of bench.yaml here or above."
        ),
    ] = None,
    format_: Annotated[
        str,
        one_of(
            "--format",
            "full|concise|json|github|gitlab|junit|sarif",
            "How to write the problems. Default: full on a terminal, else concise.",
            or_none=True,
        ),
    ] = "",
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail, too.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what has only one possible cure.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Only show what --fix would change.")] = False,
    stdin_name: Annotated[
        str, typer.Option("--stdin-name", metavar="NAME", help="What the text from stdin is called.")
    ] = "",
) -> None:
    """Check sequence, bench and calibration files: every problem of all of them at once."""
    from calseq.cli.commands.validate import STDIN, CheckOptions  # noqa: PLC0415
    from calseq.cli.commands.validate import validate as command  # noqa: PLC0415

    if fix and not diff and Path(STDIN) in (paths or []):
        raise typer.BadParameter("stdin cannot be written back: use --diff", param_hint="--fix")
    raise typer.Exit(command(paths or [Path()], bench, CheckOptions(format_, strict, fix, diff, stdin_name)))


@app.command()
def explain(
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="[CODE]", help="Its number or its name. Default: all.", autocompletion=completion.codes
        ),
    ] = None,
) -> None:
    """Say what the code of a problem means, why it matters, and how it looks wrong and right."""
    from calseq.cli.commands.explain import explain as command  # noqa: PLC0415

    raise typer.Exit(command(code))


@app.command("help")
def help_(
    ctx: typer.Context,
    command: Annotated[
        str | None,
        typer.Argument(
            metavar="[COMMAND]", help="Which command. Default: all.", autocompletion=completion.commands
        ),
    ] = None,
) -> None:
    """Show the help of a command, as its --help does."""
    from calseq.cli.table import COMMANDS  # noqa: PLC0415
    from calseq.problems.plaintext import printable  # noqa: PLC0415
    from calseq.problems.suggestions import did_you_mean  # noqa: PLC0415

    root = ctx.find_root()
    if command is None:
        typer.echo(root.get_help())
    elif command in COMMANDS:
        found = root.command.get_command(root, command)  # type: ignore[attr-defined]
        found.main(["--help"], prog_name=command, parent=root, standalone_mode=False)
    else:
        known = did_you_mean(command, COMMANDS) or "'calseq help' lists them"
        raise typer.BadParameter(f"no command is called '{printable(command, 40)}': {known}")


@app.command()
def calibrations(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="One calibration.", autocompletion=completion.calibrations),
    ] = None,
    bench: Bench = None,
) -> None:
    """List the calibrations that a sequence may name, or tell all about one."""
    from calseq.cli.commands.calibrations import calibrations as command  # noqa: PLC0415

    raise typer.Exit(command(name, bench))


@app.command()
def schema(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="[sequence|bench|calibrations|instruments|problems|events|run|plan|report]",
            help="Which schema; the last four are of what a run writes.",
        ),
    ] = "sequence",
    bench: Bench = None,
) -> None:
    """Print a JSON schema; that of sequences knows the site's own calibrations, too."""
    from calseq.cli.commands.schema import schema as command  # noqa: PLC0415

    raise typer.Exit(command(kind, bench))


@app.command()
def digest(
    sequences: Annotated[
        list[str],
        typer.Argument(
            metavar="SEQUENCE...", help="Sequence files, or names.", autocompletion=completion.sequences
        ),
    ],
    bench: Bench = None,
    format_: Annotated[str, one_of("--format", "text|json", "The digest, or what it is made of.")] = "text",
) -> None:
    """Print the digest of what a sequence means: comments and layout do not change it."""
    from calseq.cli.commands.digest import digest as command  # noqa: PLC0415

    raise typer.Exit(command(sequences, bench, format_))


@app.command()
def lsp(
    _stdio: Annotated[bool, typer.Option("--stdio", hidden=True, help="What editors add.")] = False,
) -> None:
    """Speak the language server protocol on the standard streams, for an editor to start.

    It marks what 'calseq validate' tells, in the same words, offers the fixes, and lays files out.
    """
    from calseq.cli.commands.lsp import lsp as command  # noqa: PLC0415

    raise typer.Exit(command())
