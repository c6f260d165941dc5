"""What TAB offers: names that are known without reading any YAML."""

from pathlib import Path

FAULT_STEPS = ("sldo_vi_curves", "voltage_trimming", "iv_curve", "tune_1000", "open_bumps", "power")


def sequences(incomplete: str) -> list[str]:
    """Give the shipped sequences and the YAML files here that begin so."""
    from calseq.assets import shipped_sequences  # noqa: PLC0415

    folder = Path(incomplete).parent if "/" in incomplete else Path()
    files = [str(path) for path in sorted(folder.glob("*.y*ml"))]
    folders = [f"{path}/" for path in sorted(folder.glob("*/")) if not path.name.startswith(".")]
    names = [path.stem for path in shipped_sequences()]
    return [word for word in (*names, *files, *folders) if word.startswith(incomplete)]


def calibrations(incomplete: str) -> list[tuple[str, str]]:
    """Give the calibrations that begin so, each with what it is."""
    from calseq.catalog import builtin  # noqa: PLC0415

    entries = builtin().calibrations.values()
    return [(entry.name, entry.summary) for entry in entries if entry.name.startswith(incomplete)]


def faults(incomplete: str) -> list[str]:
    """Give the simulator's faults for the step that is typed already."""
    from calseq.simulator.faults import FAULTS, POWER_FAULTS  # noqa: PLC0415

    step, equals, start = incomplete.partition("=")
    if not equals:
        return [f"{name}=" for name in FAULT_STEPS if name.startswith(incomplete)]
    known = POWER_FAULTS if step == "power" else FAULTS
    return [f"{step}={name}" for name in known if name.startswith(start)]
