"""What TAB offers: names that are known without reading any YAML."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from calseq.documents.document import Document
    from calseq.sequence.sequence import Sequence

FAULT_STEPS = ("sldo_vi_curves", "voltage_trimming", "iv_curve", "tune_1000", "open_bumps", "power")


def sequences(incomplete: str) -> list[str]:
    """Give the shipped sequences and the YAML files here that begin so."""
    folder = Path(incomplete).parent if "/" in incomplete else Path()
    files = [str(path) for path in sorted(folder.glob("*.y*ml"))]
    folders = [f"{path}/" for path in sorted(folder.glob("*/")) if not path.name.startswith(".")]
    return [*templates(incomplete), *(word for word in (*files, *folders) if word.startswith(incomplete))]


def calibrations(incomplete: str) -> list[tuple[str, str]]:
    """Give the calibrations that begin so, each with what it is."""
    from calseq.sequence.catalog import builtin  # noqa: PLC0415

    entries = builtin().calibrations.values()
    return [(entry.name, entry.summary) for entry in entries if entry.name.startswith(incomplete)]


def steps(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give the steps of the sequence that is typed already."""
    from calseq.sequence.settings import step_names  # noqa: PLC0415

    documents, _ = _typed(ctx)
    return [
        name for each in documents[:1] for name in step_names(each).values() if name.startswith(incomplete)
    ]


def settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give what may follow `--set`: the steps of the sequence that is typed already, behind a '.' the options of one."""
    _, sequence = _typed(ctx)
    steps = {step.name: step.calibration for step in sequence.steps} if sequence else {}
    name, dot, _ = incomplete.rpartition(".")
    if not dot:
        return [f"{step}." for step, known in steps.items() if known.options and step.startswith(incomplete)]
    words = [f"{name}.{option}=" for option in steps[name].options] if name in steps else []
    return [text for text in words if text.startswith(incomplete)]


def _typed(ctx: typer.Context) -> "tuple[tuple[Document, ...], Sequence | None]":
    """Sequence that is typed: behind an option that still waits for its value click has parsed no argument."""
    from calseq.planning.loading import find_sequence, load_sequence  # noqa: PLC0415
    from calseq.problems.refused import Refused  # noqa: PLC0415
    from calseq.sequence.catalog import builtin  # noqa: PLC0415

    name = str(ctx.params.get("sequence") or next(iter(ctx.args), ""))
    try:
        return load_sequence(find_sequence(name), builtin())
    except Refused:
        return (), None


def commands(incomplete: str) -> list[tuple[str, str]]:
    """Give the commands that begin so, each with its line of help."""
    from calseq.cli.table import COMMANDS  # noqa: PLC0415

    return [(name, told) for name, (_, told) in COMMANDS.items() if name.startswith(incomplete)]


def codes(incomplete: str) -> list[tuple[str, str]]:
    """Give the codes that begin so, by number or by name, each with what it means."""
    from calseq.problems.codes import CODES  # noqa: PLC0415

    words = [(word, code.meaning) for code in CODES.values() for word in (code.id, code.name)]
    return [(word, meaning) for word, meaning in words if word.lower().startswith(incomplete.lower())]


def listed_calibrations(incomplete: str) -> list[tuple[str, str]]:
    """Give what may stand behind the last comma of a list of calibrations."""
    before, comma, start = incomplete.rpartition(",")
    return [(before + comma + name, summary) for name, summary in calibrations(start)]


def templates(incomplete: str) -> list[str]:
    """Give the shipped sequences that begin so."""
    from calseq.system.assets import shipped_sequences  # noqa: PLC0415

    return [path.stem for path in shipped_sequences() if path.stem.startswith(incomplete)]


def faults(incomplete: str) -> list[str]:
    """Give the simulator's faults for the step that is typed already."""
    from calseq.simulator.faults import FAULTS, POWER_FAULTS  # noqa: PLC0415

    step, equals, start = incomplete.partition("=")
    if not equals:
        return [f"{name}=" for name in FAULT_STEPS if name.startswith(incomplete)]
    known = POWER_FAULTS if step == "power" else FAULTS
    return [f"{step}={name}" for name in known if name.startswith(start)]


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give the runs that begin so, newest first; only their names are looked at."""
    from calseq.record.find import LATEST, run_folders  # noqa: PLC0415

    names = (LATEST, *(path.name for path in run_folders(_where(ctx))))
    return [name for name in names if name.startswith(incomplete)]


def run_steps(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give the steps of the run that is meant that have a log and begin so."""
    from calseq.problems.refused import Refused  # noqa: PLC0415
    from calseq.record.find import LATEST, find_run  # noqa: PLC0415
    from calseq.record.steplogs import step_logs  # noqa: PLC0415

    try:
        folder = find_run(_where(ctx), str(ctx.params.get("run") or LATEST))
    except Refused:
        return []
    names = dict.fromkeys(log.name for log in step_logs(folder))
    return [name for name in names if name.startswith(incomplete)]


def _where(ctx: typer.Context) -> Path:
    from calseq.cli.where_runs import Where  # noqa: PLC0415

    typed = (ctx.params.get("runs"), ctx.params.get("bench"))  # as text: nothing is converted yet
    return Where(*(Path(each) if each else None for each in typed)).folder
