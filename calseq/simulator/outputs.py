"""The files that a calibration leaves, as names and bytes."""

import json
import math
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from calseq.simulator import sweep
from calseq.simulator.faults import Misbehaviour
from calseq.simulator.script import voltages
from calseq.simulator.sensor import COLD_C, individuality
from calseq.simulator.sweep import Measured

BREAKDOWNS = "breakdowns.json"
NOTHING = b"simulated by calseq: nothing was measured\n"
PICTURE = Path(__file__).with_name("picture.png")
"""A PNG that says the same, 480 by 320 pixels."""

_ROOT_TEXT = b"simulated by calseq: this is not a ROOT file, nothing was measured\n"
CHIPS = 4
USUAL_BREAKDOWN_V = -200.0
COMPLIANCE_A = 1e-5


def iv_curve(module: str, readings: Sequence[Measured], faults: Misbehaviour) -> dict[str, bytes]:
    """Files of a module's IV curve: its table, and the one picture that every simulated curve has."""
    written = sweep.written(readings, faults)
    rows = [_iv_row(index, each, both="drift" in faults) for index, each in enumerate(written)]
    volts = "Voltage set (V),Voltage measured (V)" if "drift" in faults else "Voltage (V)"
    table = "\n".join([f"{volts},Current (A),Temperature (C)", *rows, ""])
    return {f"IV_{safe(module)}.csv": table.encode(), f"IV_{safe(module)}.png": PICTURE.read_bytes()}


def _iv_row(index: int, each: Measured, *, both: bool) -> str:
    volts = f"{each.set_v:.2f},{each.read_v:.2f}" if both else f"{each.read_v:.2f}"
    return f"{volts},{each.amps:.4e},{COLD_C + 0.1 * math.sin(index):.2f}"


def sldo_curve(module: str, currents: Sequence[float], test: str) -> dict[str, bytes]:
    """Give a module's VI curve of the shunt regulators as a table."""
    chips = [f"{rail}_ROC{chip}" for chip in range(CHIPS) for rail in ("VDDD", "VDDA")]
    header = ",".join(["Current (A)", "Voltage (V)", "VIN", "VOFS", *chips])
    rows = [_sldo_row(module, amps) for amps in currents]
    return {f"{test}_{safe(module)}.csv": "\n".join([header, *rows, ""]).encode()}


def runs(scans: Sequence[str], directory: Path) -> dict[str, bytes]:
    """Give a placeholder for the ROOT file of each scan, numbered after those that are there."""
    taken = [int(path.name[3:9]) for path in directory.glob("Run[0-9][0-9][0-9][0-9][0-9][0-9]_*.root")]
    first = max(taken, default=0) + 1
    return {
        f"Run{first + index:06d}_{safe(scan)}.root": _ROOT_TEXT + f"{scan}\n".encode()
        for index, scan in enumerate(scans)
    }


def breakdowns(found: Mapping[str, float | None], faults: Misbehaviour) -> dict[str, bytes]:
    """Give `breakdowns.json`: per channel the first voltage at breakdown, or null when dirigent found none."""
    if "breakdowns-missing" in faults:
        return {}
    if "breakdowns-nan" in faults:
        found = dict.fromkeys(found, math.nan)
    if "breakdowns-magnitude" in faults:
        found = {channel: None if volts is None else abs(volts) for channel, volts in found.items()}
    if "breakdowns-other" in faults:
        found = {"97": next(iter(found.values()), None)}
    text = json.dumps(found).encode()
    files = {BREAKDOWNS: text[: len(text) // 2] if "breakdowns-malformed" in faults else text}
    if "two-files" in faults:
        files[f"later/{BREAKDOWNS}"] = json.dumps(dict.fromkeys(found, -30.0)).encode()
    return files


def write(files: Mapping[str, bytes], directory: Path, faults: Misbehaviour) -> list[str]:
    """Write the files, as far as the faults let it; give the names of those written."""
    if "no-output" in faults:
        return []
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(b"" if "empty-output" in faults else content)
    if "breakdowns-stale" in faults and BREAKDOWNS in files:
        hour_ago = time.time() - 3600
        os.utime(directory / BREAKDOWNS, (hour_ago, hour_ago))
    return list(files)


def _sldo_row(module: str, amps: float) -> str:
    """Give a row: above the offset VIN rises along the shunt's resistance, and the rails settle at 1.2 V."""
    vin = regulator_v("VIN", module, amps)
    rails = [min(1.2 + 0.004 * index, 0.85 * vin) for index in range(2 * CHIPS)]
    return ",".join(f"{value:.4f}" for value in (amps, vin + 0.05 * amps, vin, 0.5, *rails))


def regulator_v(quantity: str, module: str, amps: float, chip: int = 0) -> float:
    """Give a voltage of a shunt regulator, by the name that a catalogue has for it."""
    vin = 1.0 + 0.25 * amps * individuality(module)
    if quantity in ("VDDD", "VDDA"):
        return float(min(1.2 + 0.004 * (2 * chip + (quantity == "VDDA")), 0.85 * vin))
    return {"VOFS": 0.5, "supply": vin + 0.05 * amps}.get(quantity, vin)


def usual_readings(module: str) -> list[Measured]:
    """Give the IV curve of a good sensor, for a calibration that only says that it leaves one."""
    return sweep.measure(voltages(0.0, -80.0, 5.0), USUAL_BREAKDOWN_V, module, COMPLIANCE_A, Misbehaviour())


def safe(name: str) -> str:
    """Give a name as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:80]
