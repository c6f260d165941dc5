"""kill -9 of calseq under bias, at the pace of real supplies: how long until HV and then LV are off.

    python benchmarks/mid_bias.py

The bench is the double of icicle of the tests, at the speed of life: 50 V in steps of 5 V, one a second, and
2 s of icicle's own before and after HV goes off. Killed are calseq alone, and calseq with its child, at full
bias; and calseq in the middle of the ramp up. Wanted: safe within the ramp down plus 5 s.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measure import ROOT, scratch_folder

sys.path[:0] = [
    str(ROOT / "tests" / "power"),
    str(ROOT / "tests" / "cli"),
]

from guarded_runs import child_of, guard_pid, kill, until  # noqa: E402
from icicle_stand import CROSSTALK, CURVE, IcicleStand  # noqa: E402

from calseq.simulator.state import born  # noqa: E402

STEP_V, STEP_S, SETTLE_S = 5.0, 1.0, 4.0
MOMENTS = ("at bias, calseq", "at bias, calseq and child", "in mid-ramp, calseq")


def volts(stand: IcicleStand) -> float:
    """Give what the HV is set to, by the double's own word; 0 when it is off."""
    state = json.loads((stand.double / "bench.json").read_text())["hv_1:1"]
    return abs(state["set"]) if state["on"] else 0.0


def measure(moment: str, place: Path) -> str:
    """Kill at a moment; give a line of the table."""
    place.mkdir()
    stand = IcicleStand(place, speed=1.0)
    run = stand.on(stand.bench, CURVE, CROSSTALK, env={**os.environ, "PAUSE_S": "3"})
    until(
        lambda: (stand.double / "bench.json").exists() and volts(stand) >= (25 if "ramp" in moment else 50),
        120,
    )
    if "at bias" in moment:
        until(lambda: run.logs.count(b"measuring") == 2, 60)
    victims = [run.process.pid, *([child_of(run)] if "child" in moment else [])]
    at_v, killed_s = volts(stand), time.monotonic()
    kill(*victims)
    until(lambda: stand.on_now() == [], 120)
    took_s = time.monotonic() - killed_s
    until(lambda: not born(guard_pid(run)), 60)
    run.process.wait()
    stand.prove_order()
    wanted_s = at_v / STEP_V * STEP_S + SETTLE_S + 5.0
    return f"| {moment} | {at_v:g} V | {took_s:.1f} s | {wanted_s:.0f} s | {'met' if took_s <= wanted_s else 'not met'} |"


def main() -> None:
    """Measure all moments at once: they mostly wait."""
    with scratch_folder() as scratch, ThreadPoolExecutor(len(MOMENTS)) as pool:
        rows = list(pool.map(lambda moment: measure(moment, scratch / moment.replace(" ", "-")), MOMENTS))
    print("| killed | HV then | HV and LV off after | ramp + 5 s | |\n|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
