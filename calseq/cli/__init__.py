"""The command line: what was typed to what calseq does, and verdicts to exit codes.

Only typer is imported here; each command imports its own module when it runs, so that `--help` is fast.
"""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from calseq import __version__
from calseq.cli import completion, watching

if TYPE_CHECKING:
    from calseq import request as requests
    from calseq import selection as selecting

app = typer.Typer(
    name="calseq",
    help="Run calibration sequences on detector modules: declarative, checked, and safe in every ending.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Sequence = Annotated[
    str,
    typer.Argument(
        metavar="SEQUENCE",
        help="A sequence file, or the name of one that comes with calseq.",
        autocompletion=completion.sequences,
    ),
]
Bench = Annotated[
    Path | None,
    typer.Option("--bench", "-b", metavar="FILE", help="The bench file. Default: bench.yaml here or above."),
]
Simulate = Annotated[
    bool, typer.Option("--simulate", help="Put the bundled simulator in the place of everything real.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="STEP.OPTION=VALUE", help="Override an option of a step. May be repeated."),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only", metavar="STEP", help="Run only this step. May be repeated.", autocompletion=completion.steps
    ),
]
Skip = Annotated[
    list[str] | None,
    typer.Option(
        "--skip",
        metavar="STEP",
        help="Leave this step out. May be repeated.",
        autocompletion=completion.steps,
    ),
]
Start = Annotated[
    str,
    typer.Option(
        "--from", metavar="STEP", help="Leave out the steps before this one.", autocompletion=completion.steps
    ),
]
Until = Annotated[
    str,
    typer.Option(
        "--until", metavar="STEP", help="Leave out the steps after this one.", autocompletion=completion.steps
    ),
]
Speed = Annotated[
    float | None,
    typer.Option("--speed", min=1, max=100_000, help="How many times faster than life the simulator is."),
]
Faults = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="STEP=FAULT",
        help="A misbehaviour of the simulator, such as iv_curve=breakdown:-40. May be repeated.",
        autocompletion=completion.faults,
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"calseq {__version__}")
        raise typer.Exit


@app.callback()
def _calseq(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(short_help="Check files: every problem of all of them at once.")
def validate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE|DIR|-]...", help="Files or folders to check, '-' for stdin. Default: this folder."
        ),
    ] = None,
    bench: Bench = None,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="full|concise|json|github|gitlab|junit|sarif",
            help="How to write the problems. Default: full on a terminal, else concise.",
            autocompletion=completion.formats,
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
    from calseq.cli.validate import STDIN, Manner  # noqa: PLC0415
    from calseq.cli.validate import validate as command  # noqa: PLC0415

    if format_ and format_ not in completion.formats(""):
        known = ", ".join(completion.formats(""))
        raise typer.BadParameter(f"'{format_}' is not one of {known}", param_hint="--format")
    if fix and not diff and Path(STDIN) in (paths or []):
        raise typer.BadParameter("stdin cannot be written back: use --diff", param_hint="--fix")
    _exit(command(paths or [Path()], bench, Manner(format_, strict, fix, diff, stdin_name)))


@app.command(short_help="Say what the code of a problem means, with an example.")
def explain(
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="[CODE]", help="Its number or its name. Default: all.", autocompletion=completion.codes
        ),
    ] = None,
) -> None:
    """Say what the code of a problem means, why it matters, and how it looks wrong and right."""
    from calseq.cli.explain import explain as command  # noqa: PLC0415

    _exit(command(code))


@app.command(short_help="Show what a run would do; touches nothing.")
def plan(
    sequence: Sequence,
    bench: Bench = None,
    simulate: Simulate = False,
    settings: Settings = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="text|json|sh", help="How to write the plan.")
    ] = "text",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every command in full.")] = False,
    only: Only = None,
    skip: Skip = None,
    start: Start = "",
    until: Until = "",
    speed: Speed = None,
    faults: Faults = None,
) -> None:
    """Show what a run would do: steps, rails, instruments, times. Touches nothing."""
    from calseq.cli.plan import plan as command  # noqa: PLC0415

    if format_ not in ("text", "json", "sh"):
        raise typer.BadParameter(f"'{format_}' is not one of text, json, sh", param_hint="--format")
    request = _request(
        sequence, bench, simulate, settings, speed, faults, _selection(only, skip, start, until)
    )
    _exit(command(request, format_, verbose=verbose))


class _Execute(TyperCommand):
    """`calseq execute`, whose --resume means the latest run if none is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _with_latest(args))


def _with_latest(args: list[str]) -> list[str]:
    """Name the run where --resume names none."""
    for place, word in enumerate(args):
        following = args[place + 1 : place + 2]
        if word == "--":
            break
        if word == "--resume" and (not following or following[0].startswith("-")):
            return [*args[: place + 1], "latest", *args[place + 1 :]]
    return args


@app.command(cls=_Execute, short_help="Run a sequence, or go on with a run; safe in every ending.")
def execute(
    sequence: Annotated[
        str,
        typer.Argument(
            metavar="[SEQUENCE]",
            help="A sequence file, or the name of one that comes with calseq.",
            autocompletion=completion.sequences,
        ),
    ] = "",
    bench: Bench = None,
    simulate: Simulate = False,
    settings: Settings = None,
    module: Annotated[
        str,
        typer.Option("--module", "-m", metavar="NAME", help="The module measured. Default: modules.json's."),
    ] = "",
    operator: Annotated[
        str, typer.Option("--operator", metavar="NAME", help="Who runs it. Default: you.")
    ] = "",
    runs: Annotated[
        Path | None, typer.Option("--runs", metavar="DIR", help="Where run folders go. Default: the bench's.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Check everything, show the plan, run nothing.")
    ] = False,
    screen: Annotated[
        str, typer.Option("--screen", metavar="auto|live|plain|none", help="How to show the run.")
    ] = "auto",
    acknowledge: Annotated[
        bool,
        typer.Option(
            "--acknowledge", help="Start though the last run here left the rails in an unknown state."
        ),
    ] = False,
    on_hangup: Annotated[
        str,
        typer.Option("--on-hangup", metavar="continue|stop", help="What a lost terminal does to the run."),
    ] = "continue",
    official: Annotated[
        bool, typer.Option("--official", help="Refuse a sequence that the bench does not pin as official.")
    ] = False,
    only: Only = None,
    skip: Skip = None,
    start: Start = "",
    until: Until = "",
    resume: Annotated[
        str,
        typer.Option(
            "--resume",
            metavar="[RUN]",
            help="Go on with a run that ended early, in its folder: its name, a part of it, or the latest.",
            autocompletion=completion.runs,
            show_default=False,
        ),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Resume without asking.")] = False,
    speed: Speed = None,
    faults: Faults = None,
) -> None:
    """Run a sequence, or go on with a run. In every ending HV goes off, then LV, and both are read back."""
    from calseq.cli.execute import Manner  # noqa: PLC0415

    for name, value, known in (
        ("--screen", screen, ("auto", "live", "plain", "none")),
        ("--on-hangup", on_hangup, ("continue", "stop")),
    ):
        if value not in known:
            raise typer.BadParameter(f"'{value}' is not one of {', '.join(known)}", param_hint=name)
    manner = Manner(module, operator, runs, dry_run, screen, on_hangup, acknowledge)
    selection = _selection(only, skip, start, until)
    if resume:
        told = {
            "--simulate": simulate,
            "--set": settings,
            "--speed": speed,
            "--fault": faults,
            "--official": official,
            "a SEQUENCE": sequence,
        }
        _refuse_beside_resume({**told, "--only, --skip, --from and --until": selection})
        from calseq.cli.resume import resume as go_on  # noqa: PLC0415

        _exit(go_on(resume, bench, manner, yes=yes))
    if not sequence:
        raise typer.BadParameter("name a sequence to run, or --resume a run", param_hint="SEQUENCE")
    from calseq.cli.execute import execute as command  # noqa: PLC0415

    _exit(
        command(
            _request(sequence, bench, simulate, settings, speed, faults, selection, official=official), manner
        )
    )


def _refuse_beside_resume(told: dict[str, Any]) -> None:
    """A resumed run is the one that was asked for then: what would make it another one is a mistake."""
    for name, value in told.items():
        if value:
            message = f"it goes on with what the run was asked for: leave {name} away, or start a new run"
            raise typer.BadParameter(message, param_hint="--resume")


def _selection(
    only: list[str] | None, skip: list[str] | None, start: str, until: str
) -> "selecting.Selection":
    from calseq.selection import Selection  # noqa: PLC0415

    return Selection(tuple(only or ()), tuple(skip or ()), start, until)


def _request(
    sequence: str,
    bench: Path | None,
    simulate: bool,
    settings: list[str] | None,
    speed: float | None,
    faults: list[str] | None,
    selection: "selecting.Selection",
    *,
    official: bool = False,
) -> "requests.Request":
    from calseq.request import Request  # noqa: PLC0415

    where = str(bench) if bench else ""
    changes = (tuple(settings or ()), speed, tuple(faults or ()), selection)
    return Request(sequence, where, simulate, *changes, official=official)


watching.add_to(app)


@app.command(short_help="List the calibrations, or tell all about one.")
def calibrations(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="One calibration.", autocompletion=completion.calibrations),
    ] = None,
    bench: Bench = None,
) -> None:
    """List the calibrations that a sequence may name, or tell all about one."""
    from calseq.cli.calibrations import calibrations as command  # noqa: PLC0415

    _exit(command(name, bench))


@app.command(short_help="Read the rails of a bench, or switch them off, from any shell.")
def power(
    action: Annotated[
        str, typer.Argument(metavar="status|off", help="Read the rails, or make the bench safe.")
    ],
    bench: Bench = None,
) -> None:
    """Read the rails of a bench, or switch HV and then LV off.

    A run that is there is asked to stop first; its own safe end is then the one that counts.
    """
    from calseq.cli.power import power as command  # noqa: PLC0415

    if action not in ("status", "off"):
        raise typer.BadParameter(f"'{action}' is not one of status, off", param_hint="ACTION")
    _exit(command(action, bench))


@app.command(short_help="Say whether this machine and this bench can run.")
def doctor(
    bench: Bench = None,
    format_: Annotated[str, typer.Option("--format", metavar="text|json", help="How to write it.")] = "text",
) -> None:
    """Look at everything that a run needs, and say what mends what is missing. Touches no supply."""
    from calseq.cli.doctor import doctor as command  # noqa: PLC0415

    if format_ not in ("text", "json"):
        raise typer.BadParameter(f"'{format_}' is not one of text, json", param_hint="--format")
    _exit(command(bench, format_))


@app.command(short_help="Print a JSON schema, for editors and programs.")
def schema(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="[sequence|bench|calibrations|instruments|problems|events|run|plan]",
            help="Which schema; the last three are of what a run writes.",
        ),
    ] = "sequence",
    bench: Bench = None,
) -> None:
    """Print a JSON schema; that of sequences knows the site's own calibrations, too."""
    from calseq.cli.schema import schema as command  # noqa: PLC0415

    _exit(command(kind, bench))


@app.command(short_help="Write a new sequence file, valid at once.")
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
    from calseq.cli.new import new as command  # noqa: PLC0415

    if from_list is not None and template is not None:
        raise typer.BadParameter("give one of --from-list and --template", param_hint="--template")
    _exit(command(name, from_list, template, title))


@app.command(short_help="Make a folder to start a site with.")
def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The folder. Default: this one.")] = Path(),
) -> None:
    """Write a bench file, a first sequence, the schemas, and settings for editor, pre-commit and GitLab.

    A file that is there already is left as it is.
    """
    from calseq.cli.init import init as command  # noqa: PLC0415

    _exit(command(folder))


@app.command(short_help="Lay files out: key order, indentation, empty lines, quotes.")
def fmt(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="The files; '-' is stdin.")],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 if a file would change.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; show what would change.")] = False,
) -> None:
    """Lay files out. Comments stay, and so does what a file says: that is proven before it is written."""
    from calseq.cli.fmt import fmt as command  # noqa: PLC0415

    _exit(command(paths, check=check, diff=diff))


@app.command(short_help="Serve an editor: problems while you type, fixes, layout.")
def lsp(
    _stdio: Annotated[bool, typer.Option("--stdio", hidden=True, help="What editors add.")] = False,
) -> None:
    """Speak the language server protocol on the standard streams, for an editor to start.

    It marks what 'calseq validate' tells, in the same words, offers the fixes, and lays files out.
    """
    from calseq.cli.lsp import lsp as command  # noqa: PLC0415

    _exit(command())


@app.command(short_help="Turn dirigent's Python lists into a sequence file, and back.")
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A .py, YAML or JSON file.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="A new file. Default: stdout.")
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="yaml|class", help="Into what. Default: into the other.")
    ] = "",
    class_: Annotated[
        str, typer.Option("--class", metavar="NAME", help="Which class, if the file has several.")
    ] = "",
) -> None:
    """Turn dirigent's CalibrationSequence into a sequence file, or a sequence file into such a class.

    The Python is read and never run. What the other side cannot say is refused, or kept as a comment.
    """
    from calseq.cli.convert import convert as command  # noqa: PLC0415

    if to not in ("", "yaml", "class"):
        raise typer.BadParameter(f"'{to}' is not one of yaml, class", param_hint="--to")
    _exit(command(source, output, to, class_))


@app.command(short_help="Print the digest that pins a sequence as an official one.")
def digest(
    sequences: Annotated[
        list[str],
        typer.Argument(
            metavar="SEQUENCE...", help="Sequence files, or names.", autocompletion=completion.sequences
        ),
    ],
    bench: Bench = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="text|json", help="The digest, or what it is made of.")
    ] = "text",
) -> None:
    """Print the digest of what a sequence means: comments and layout do not change it."""
    from calseq.cli.digest import digest as command  # noqa: PLC0415

    if format_ not in ("text", "json"):
        raise typer.BadParameter(f"'{format_}' is not one of text, json", param_hint="--format")
    _exit(command(sequences, bench, format_))


def main() -> None:
    """Run the command line; whatever goes wrong ends in words and an exit code."""
    fill_standard_streams()
    raise SystemExit(guarded(lambda: app(standalone_mode=True)))


def fill_standard_streams() -> None:
    """Give the descriptors 0 to 2 something, if calseq was started without: else a file of a run may become one."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - a descriptor, for as long as calseq runs
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def guarded(call: Callable[[], Any]) -> int:
    """Call something and give the exit code; a bug is told in words, with its traceback where it can be reported."""
    try:
        call()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read this has gone, as after `| head -1`. Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the last door: never a traceback for an operator
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.stderr.write(f"calseq: cannot write: {(error.strerror or str(error)).lower()}\n")
            return 1
        from calseq.cli.crash import report_crash  # noqa: PLC0415

        return report_crash(error)
    return 0


def _exit(code: int) -> None:
    raise typer.Exit(code)
