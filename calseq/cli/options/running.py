"""The commands that plan and run: what may be typed."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from calseq.cli.options import completion
from calseq.cli.options.common import Bench, one_of, runs_folder
from calseq.cli.options.common import module as module_name
from calseq.cli.options.common import sequence as sequence_argument

if TYPE_CHECKING:
    from calseq.model import request as requests


Simulate = Annotated[
    bool, typer.Option("--simulate", help="Put the simulator in the place of everything real on the bench.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="STEP.OPTION=VALUE",
        help="Override an option of a step. May be repeated.",
        autocompletion=completion.settings,
    ),
]


def _step(flag: str, help_: str) -> Any:
    return typer.Option(flag, metavar="STEP", help=help_, autocompletion=completion.steps)


Only = Annotated[list[str] | None, _step("--only", "Run only this step. May be repeated.")]
Skip = Annotated[list[str] | None, _step("--skip", "Leave this step out. May be repeated.")]
Start = Annotated[str, _step("--from", "Leave out the steps before this one.")]
Until = Annotated[str, _step("--until", "Leave out the steps after this one.")]
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

app = typer.Typer(rich_markup_mode=None)


@app.command()
def plan(
    sequence: Annotated[str, sequence_argument("SEQUENCE")],
    bench: Bench = None,
    simulate: Simulate = False,
    settings: Settings = None,
    format_: Annotated[str, one_of("--format", "text|json|sh", "How to write the plan.")] = "text",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every command in full.")] = False,
    only: Only = None,
    skip: Skip = None,
    start: Start = "",
    until: Until = "",
    speed: Speed = None,
    faults: Faults = None,
) -> None:
    """Show what a run would do: steps, rails, instruments, times. Touches nothing."""
    from calseq.cli.commands.plan import plan as command  # noqa: PLC0415

    request = _request(
        sequence, bench, simulate, settings, speed, faults, _selection(only, skip, start, until)
    )
    raise typer.Exit(command(request, format_, verbose=verbose))


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


@app.command(cls=_Execute)
def execute(
    sequence: Annotated[str, sequence_argument("[SEQUENCE]")] = "",
    bench: Bench = None,
    simulate: Simulate = False,
    settings: Settings = None,
    module: Annotated[
        str,
        module_name("The module measured. Default: modules.json's."),
    ] = "",
    operator: Annotated[
        str, typer.Option("--operator", metavar="NAME", help="Who runs it. Default: you.")
    ] = "",
    runs: Annotated[Path | None, runs_folder("Where run folders go. Default: the bench's.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Check everything, show the plan, run nothing.")
    ] = False,
    screen: Annotated[str, one_of("--screen", "auto|live|plain|none", "How to show the run.")] = "auto",
    acknowledge: Annotated[
        bool,
        typer.Option(
            "--acknowledge", help="Start though the last run here left the rails in an unknown state."
        ),
    ] = False,
    hv_box_closed: Annotated[
        bool,
        typer.Option(
            "--hv-box-closed",
            help="You have looked: the channels of the HV box are closed. For benches with 'hv_box: ask'.",
        ),
    ] = False,
    on_hangup: Annotated[
        str,
        one_of("--on-hangup", "continue|stop", "What a lost terminal does to the run."),
    ] = "continue",
    job: Annotated[
        str,
        typer.Option(
            "--job", metavar="ID", help="Your own name for the run: it is recorded, and finds the run."
        ),
    ] = "",
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
    no_report: Annotated[
        bool, typer.Option("--no-report", help="Write no report.html; 'calseq report' makes one at any time.")
    ] = False,
    speed: Speed = None,
    faults: Faults = None,
) -> None:
    """Run a sequence, or go on with a run. In every ending HV goes off, then LV, and both are read back."""
    from calseq.cli.commands.execute import RunOptions  # noqa: PLC0415

    if job and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:@#+-]{0,127}", job):
        raise typer.BadParameter("use letters, digits and _.:@#+-, 128 at most", param_hint="--job")
    options = RunOptions(
        module, operator, runs, dry_run, screen, on_hangup, acknowledge, not no_report, hv_box_closed, job
    )
    selection = _selection(only, skip, start, until)
    if resume:
        told = {
            "--simulate": simulate,
            "--set": settings,
            "--speed": speed,
            "--fault": faults,
            "--official": official,
            "--job": job,
            "a SEQUENCE": sequence,
        }
        _refuse_beside_resume({**told, "--only, --skip, --from and --until": selection})
        from calseq.cli.commands.resume import resume as go_on  # noqa: PLC0415

        raise typer.Exit(go_on(resume, bench, options, yes=yes))
    if not sequence:
        raise typer.BadParameter("name a sequence to run, or --resume a run", param_hint="SEQUENCE")
    from calseq.cli.commands.execute import execute as command  # noqa: PLC0415

    raise typer.Exit(
        command(
            _request(sequence, bench, simulate, settings, speed, faults, selection, official=official),
            options,
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
) -> "requests.Selection":
    from calseq.model.request import Selection  # noqa: PLC0415

    return Selection(tuple(only or ()), tuple(skip or ()), start, until)


def _request(
    sequence: str,
    bench: Path | None,
    simulate: bool,
    settings: list[str] | None,
    speed: float | None,
    faults: list[str] | None,
    selection: "requests.Selection",
    *,
    official: bool = False,
) -> "requests.Request":
    from calseq.model.request import Request  # noqa: PLC0415

    where = str(bench) if bench else ""
    changes = (tuple(settings or ()), speed, tuple(faults or ()), selection)
    return Request(sequence, where, simulate, *changes, official=official)
