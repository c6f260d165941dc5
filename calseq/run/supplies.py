"""The supplies of a plan, opened: by which backend of the guard, and how long their ramps may take."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from calseq.bench.ramps import ramp_s
from calseq.model.plan import Plan, PowerMode, Simulation
from calseq.power.guarded import (
    MOVE_TIMEOUT_S,
    UNANSWERED_S,
    UNKNOWN_EVERY_S,
    UNKNOWN_S,
    GuardedPower,
    Setting,
    Terminal,
)
from calseq.power.protocol import Power
from calseq.record.run_folder import simulated_folder
from calseq.system.process import RUN_MARK

SETUP = "setup.json"
"""The file that makes a folder a simulated bench."""


def open_supplies(
    plan: Plan,
    folder: Path,
    keep: Sequence[int],
    terminal: Terminal | None,
    *,
    locks: Sequence[int] = (),
    resumed: bool,
) -> Power:
    """Start the guard: it holds the supplies, if calseq is to hold them, and ends the child if calseq dies.

    Locks in `keep` last as long as the guard, which writes into those in `locks` how it left the supplies; `resumed` opens
    the simulated bench that the run has already.

    Raises:
        PowerFault: the supplies cannot be opened.
        OSError, ValueError: the simulated bench cannot be made.
    """
    backend, python, config = _backend(plan, folder, resumed=resumed)
    return GuardedPower(
        Setting(
            python=python,
            backend=backend,
            config=config,
            folder=folder,
            mark=f"{RUN_MARK}={folder}",
            move_timeout_s=move_timeout_s(plan.wiring.instruments, plan.wiring.channels),
            keep=tuple(keep),
            locks=tuple(locks),
            terminal=terminal,
            environment=guard_environment(plan.environment.variables),
            unknown=_unknown(plan),
        )
    )


def guard_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Give what of a bench's `env:` the guard needs: icicle's own settings, its locks among them, and nothing else."""
    return {name: value for name, value in variables.items() if name.startswith("ICICLE_")}


def _unknown(plan: Plan) -> dict[str, float]:
    """Give for how long the guard tries on when off is not confirmed: at the simulator's pace, if it is one."""
    if not plan.all_simulated:
        return {}
    speed = (plan.simulation or Simulation()).speed
    return {"for_s": UNKNOWN_S / speed, "every_s": UNKNOWN_EVERY_S / speed}


def _backend(plan: Plan, folder: Path, *, resumed: bool) -> tuple[str, str, dict[str, Any]]:
    """Give the guard's backend, its interpreter and its configuration."""
    wiring = plan.wiring
    where = str(_simulated(plan, folder, resumed=resumed)) if plan.all_simulated else ""
    if plan.mode is PowerMode.DIRIGENT:
        return "none", sys.executable, {}
    if plan.mode is PowerMode.ICICLE:
        config = {"instruments": wiring.instruments, "channels": wiring.channels}
        return "icicle", plan.power_python or sys.executable, config
    return "simulated", sys.executable, {"folder": where, "calseq": str(Path(__file__).parents[2])}


def _simulated(plan: Plan, folder: Path, *, resumed: bool) -> Path:
    """Make the simulated bench; a resumed run has one already, and another only if its instruments changed."""
    from calseq.simulator.supplies import SimulatedBench  # noqa: PLC0415 - only simulated runs need the simulator

    wiring, simulation = plan.wiring, plan.simulation or Simulation()
    wanted = (wiring.instruments, wiring.channels, simulation.speed, simulation.faults)
    where = simulated_folder(folder)
    if resumed and (where / SETUP).exists():
        with suppress(
            OSError, ValueError, TypeError, KeyError
        ):  # a bench that was torn in its making is none
            bench = SimulatedBench.open(where)
            bench.files.read()
            if (bench.instruments, bench.channels, bench.speed, bench.faults) == wanted:
                return where
        names = (folder / f"simulated.{number}" for number in count(2))
        where = next(path for path in names if not (path / SETUP).exists())
    instruments, channels, speed, faults = wanted
    SimulatedBench.create(where, instruments, channels, speed=speed, faults=faults)
    return where


def move_timeout_s(instruments: Mapping[str, Any], channels: Mapping[str, Any]) -> float:
    """Seconds for a move: four minutes, and for each HV supply its ramp twice and one that does not answer at first."""
    names = {entry["hv"]["instrument"] for entry in channels.values() if "hv" in entry}
    entries = [instruments[name] for name in sorted(names & set(instruments))]
    return MOVE_TIMEOUT_S + sum(2 * ramp_s(entry, _furthest_v(entry)) + UNANSWERED_S for entry in entries)


def _furthest_v(entry: Mapping[str, Any]) -> float:
    """How far a supply may have been driven, in volts: its bias, or its range if that is wider."""
    values = (entry.get("default_voltage"), entry.get("default_range"))
    return max((abs(value) for value in values if isinstance(value, (int, float))), default=0.0)
