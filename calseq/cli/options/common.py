"""Options and arguments that several commands have, each declared once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from calseq.cli.options import completion

if TYPE_CHECKING:
    from calseq.cli.where_runs import Where


def bench_file(help_: str) -> Any:
    """Declare `--bench`."""
    return typer.Option("--bench", "-b", metavar="FILE", help=help_)


def runs_folder(help_: str) -> Any:
    """Declare `--runs`."""
    return typer.Option("--runs", metavar="DIR", help=help_)


def module(help_: str) -> Any:
    """Declare `--module`."""
    return typer.Option("--module", "-m", metavar="NAME", help=help_)


def output(help_: str, metavar: str = "FILE") -> Any:
    """Declare `--output`."""
    return typer.Option("--output", "-o", metavar=metavar, help=help_)


def sequence(metavar: str) -> Any:
    """Declare the sequence that is planned or run."""
    help_ = "A sequence file, or the name of one that comes with calseq."
    return typer.Argument(metavar=metavar, help=help_, autocompletion=completion.sequences)


def run_argument(help_: str) -> Any:
    """Declare the run that is meant."""
    return typer.Argument(metavar="[RUN]", help=help_, autocompletion=completion.runs)


def one_of(flag: str, words: str, help_: str, *, or_none: bool = False) -> Any:
    """Declare an option that takes one of `a|b|c`: any other word is refused, and TAB offers them."""
    known = words.split("|")

    def check(value: str) -> str:
        if value not in known and not (or_none and not value):
            raise typer.BadParameter(f"'{value}' is not one of {', '.join(known)}", param_hint=flag)
        return value

    def offered(incomplete: str) -> list[str]:
        return [word for word in known if word.startswith(incomplete)]

    return typer.Option(flag, metavar=words, help=help_, callback=check, autocompletion=offered)


Bench = Annotated[Path | None, bench_file("The bench file, or 'builtin'. Default: bench.yaml here or above.")]
BenchOfRuns = Annotated[
    Path | None, bench_file("The bench whose runs are meant. Default: bench.yaml here or above.")
]
Runs = Annotated[Path | None, runs_folder("Where run folders are. Default: the bench's, else ./runs.")]
Run = Annotated[
    str | None,
    run_argument(
        "The run: its name, a part that only it has, 'latest', or its folder. Default: the one that goes on, else the latest."
    ),
]
TextOrJson = Annotated[str, one_of("--format", "text|json", "How to write it.")]


def where(runs: Path | None, bench: Path | None) -> "Where":
    """Where runs are to be looked for, as it was typed."""
    from calseq.cli.where_runs import Where  # noqa: PLC0415 - only a command that runs needs it

    return Where(runs, bench)
