"""What the files of a curve vouch for, read without calseq's own readers: no bias may be above it."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harm.judge import raised

from calseq.model.rails import V_SAFE
from calseq.simulator.supplies import SimulatedBench


def biased_beyond(folder: Path, bench: SimulatedBench, actions: list[dict[str, Any]]) -> Iterator[str]:
    """Say where calseq drove HV beyond what breakdowns.json and the table of the curve before it both vouch for."""
    up = {id(action) for action in raised(actions)}
    curve, told = "", set()
    for action in actions:
        who = str(action["who"])
        if who.startswith("dirigent ") and action["action"] == "hv-step":
            curve = who.removeprefix("dirigent ")
        elif id(action) in up and curve and curve not in told:
            most_v = vouched(folder, curve, bench)
            if abs(action["volts"]) > max(most_v, V_SAFE):
                told.add(curve)
                yield f"biased beyond the {most_v:g} V that both witnesses of {curve} vouch for"


def vouched(folder: Path, step: str, bench: SimulatedBench) -> float:
    """Give the least voltage that the files of a curve's last attempt vouch for; written without calseq's own readers."""
    places = [
        path for path in (folder / "data").glob("*") if path.name.partition("-")[2].partition(".")[0] == step
    ]
    place = max(places, key=lambda path: path.stat().st_mtime_ns, default=folder / "none")
    limit_a = min(
        abs(each["default_current"]) for name, each in bench.instruments.items() if name.startswith("hv")
    )
    files, tables = list(place.rglob("breakdowns.json")), list(place.rglob("*.csv"))
    if len(files) != 1 or not tables:
        return 0.0
    try:
        told = json.loads(files[0].read_bytes())
    except ValueError:
        return 0.0
    if set(told) != set(bench.channels) or any(
        volts is not None and not volts < 0 for volts in told.values()
    ):
        return 0.0
    least = [abs(volts) for volts in told.values() if volts is not None]
    return min([*least, *(volts for table in tables for volts in _measured(table, limit_a))], default=0.0)


def _measured(table: Path, limit_a: float) -> list[float]:
    """Give every voltage that a table of the stand-in speaks against: its end, its compliance, a current that doubles."""
    head, *lines = table.read_text().splitlines()
    at = 1 if head.startswith("Voltage set") else 0
    rows = [
        (abs(float(cells[at])), abs(float(cells[at + 1]))) for cells in (line.split(",") for line in lines)
    ]
    against = [max((volts for volts, _ in rows), default=0.0)]
    if against[0] > 2000.0:
        return [0.0]
    against += [volts for volts, amps in rows if amps >= 0.98 * limit_a]
    for (low_v, low_a), (high_v, high_a) in itertools.pairwise(rows):
        if low_v >= 20.0 and 0 < high_v - low_v <= 5.0 and high_a > 2.0 * low_a:
            against.append(high_v)
    return against
