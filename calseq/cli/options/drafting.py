"""The commands that write files: what may be typed."""

from pathlib import Path
from typing import Annotated

import typer

from calseq.cli.options import completion
from calseq.cli.options.common import one_of
from calseq.cli.options.common import output as output_file

app = typer.Typer(rich_markup_mode=None)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new file; .yaml is added.")],
    from_list: Annotated[
        str | None,
        typer.Option(
            "--from-list",
            metavar="NAME,NAME",
            help="The calibrations, in their order.",
            autocompletion=completion.listed_calibrations,
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            metavar="NAME",
            help="A copy of a sequence that comes with calseq.",
            autocompletion=completion.templates,
        ),
    ] = None,
    title: Annotated[
        str, typer.Option("--title", metavar="TEXT", help="Its title. Default: made of NAME.")
    ] = "",
) -> None:
    """Write a new sequence file: valid at once, with comments on what you may want to change."""
    from calseq.cli.commands.new import new as command  # noqa: PLC0415

    if from_list is not None and template is not None:
        raise typer.BadParameter("give one of --from-list and --template", param_hint="--template")
    raise typer.Exit(command(name, from_list, template, title))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The folder. Default: this one.")] = Path(),
) -> None:
    """Write a bench file, a first sequence, the schemas, and settings for editor, pre-commit and GitLab.

    A file that is there already is left as it is.
    """
    from calseq.cli.commands.init import init as command  # noqa: PLC0415

    raise typer.Exit(command(folder))


@app.command()
def fmt(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="The files; '-' is stdin.")],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 if a file would change.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; show what would change.")] = False,
) -> None:
    """Lay files out. Comments stay, and so does what a file says: that is proven before it is written."""
    from calseq.cli.commands.fmt import fmt as command  # noqa: PLC0415

    raise typer.Exit(command(paths, check=check, diff=diff))


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A .py, YAML or JSON file.")],
    output: Annotated[Path | None, output_file("A new file. Default: stdout.", "OUT")] = None,
    to: Annotated[
        str, one_of("--to", "yaml|class", "Into what. Default: into the other.", or_none=True)
    ] = "",
    class_: Annotated[
        str, typer.Option("--class", metavar="NAME", help="Which class, if the file has several.")
    ] = "",
) -> None:
    """Turn dirigent's CalibrationSequence into a sequence file, or a sequence file into such a class.

    The Python is read and never run. What the other side cannot say is refused, or kept as a comment.
    """
    from calseq.cli.commands.convert import convert as command  # noqa: PLC0415

    raise typer.Exit(command(source, output, to, class_))
