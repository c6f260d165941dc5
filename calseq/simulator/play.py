"""How the stand-in plays a calibration: what it measures, how long that takes, and the files that it leaves."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from calseq.model.plan import CurveKind, CurveTable
from calseq.model.rails import Role, StepType
from calseq.sequence.catalog import Calibration
from calseq.simulator import declared, faults, outputs, script, site, sweep
from calseq.simulator.faults import Misbehaviour
from calseq.simulator.script import SCRIPTS, Script
from calseq.simulator.session import Session
from calseq.simulator.supplies import SimulatedBench, SupplyError

BENCH_VARIABLE = "CALSEQ_SIMULATION"
STEP_VARIABLE = "CALSEQ_STEP"
ATTEMPT_VARIABLE = "CALSEQ_ATTEMPT"
_DEFAULT_SPEED = 200.0


class Globals(Struct, frozen=True):
    """What the global options say."""

    directory: Path
    instruments: Mapping[str, Any] | None
    channels: Mapping[str, Any] | None
    modules: Mapping[str, str]


def described_by_site(name: str) -> Calibration | None:
    """Give a calibration as the site's catalogue describes it, None if it has none of that name."""
    try:
        return site.described(name)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None


def open_session(calibration: str, settings: Globals) -> Session:
    """Give a calibration its bench and its faults, as the environment names them."""
    step = os.environ.get(STEP_VARIABLE) or calibration
    who = f"dirigent {step}"
    folder = os.environ.get(BENCH_VARIABLE)
    if not folder:
        return Session(calibration, who, None, Misbehaviour(), _DEFAULT_SPEED)
    bench = _bench(Path(folder), settings)
    attempt = int(os.environ.get(ATTEMPT_VARIABLE) or 1)
    misbehaviour = faults.of_step(bench.faults, step, calibration, attempt)
    return Session(calibration, who, bench, misbehaviour, bench.speed)


def _bench(folder: Path, settings: Globals) -> SimulatedBench:
    """Open the bench; what no option restricts is given whole, as the real one reads instruments.json."""
    try:
        bench = SimulatedBench.open(folder)
        instruments = bench.instruments if settings.instruments is None else settings.instruments
        channels = bench.channels if settings.channels is None else settings.channels
        return bench.given(instruments, channels)
    except (OSError, ValueError, AttributeError, SupplyError) as error:
        raise click.ClickException(f"{type(error).__name__}: {error}") from None


def play_of_site(described: Calibration, settings: Globals, options: Mapping[str, Any]) -> None:
    """Play a calibration of the site by its type: curves are swept, the rest takes its time."""
    session = open_session(described.name, settings)
    tuning = options.get("_tuning")
    what = site.script(described, tuning if isinstance(tuning, list) else ())
    if isinstance(tuning, str):
        session.say(f"tuning: {tuning}")
    if described.type is StepType.IVCURVE:
        start_v, end_v, step_v = site.sweep(described, options)
        extra = {*described.flags, *click.get_current_context().args}
        wanted = "-w" in extra or any(each.pattern == outputs.BREAKDOWNS for each in described.outputs)
        planned = script.voltages(start_v, end_v, step_v)
        play_curve(session, settings, what, planned, both_ways=False, breakdowns=wanted)
    elif described.type is StepType.SLDO:
        _sldo(session, settings, what, script.currents(6.0, 1.0))
    else:
        play(session, what, list)


def play_sldo(calibration: str, settings: Globals, options: Mapping[str, Any]) -> None:
    """Play a sweep of the currents of the chips' regulators, in A."""
    currents = script.currents(options["start_current"], options["final_current"])
    _sldo(open_session(calibration, settings), settings, SCRIPTS[calibration], currents)


def play_curve(
    session: Session,
    settings: Globals,
    what: Script,
    planned: list[float],
    *,
    both_ways: bool,
    breakdowns: bool,
) -> None:
    """Play an IV curve over the `planned` voltages, in V."""
    breakdown_v, names, limit_a = _breakdown_v(session), _names(session, settings), _limit_a(session)
    tables = _tables(session, "iv")
    swept = {
        channel: sweep.measure(planned, breakdown_v, name, limit_a, session.faults)
        for channel, name in names.items()
    }
    found = {channel: sweep.first_breakdown(readings) for channel, readings in swept.items()}
    if both_ways:
        swept = {channel: [*readings, *readings[-2::-1]] for channel, readings in swept.items()}
    longest = max(swept.values(), key=len)

    def leave() -> list[str]:
        files: dict[str, bytes] = {}
        for channel, name in names.items():
            told = sweep.written(swept[channel], session.faults)
            for table in tables:
                files |= declared.iv_curve(table, session.calibration, name, told)
            if not tables:
                files |= outputs.iv_curve(name, swept[channel], session.faults)
        if breakdowns:
            files |= outputs.breakdowns(found, session.faults)
        return outputs.write(files, settings.directory, session.faults)

    play(session, what.with_points([each.set_v for each in longest]), leave)


def _tables(session: Session, kind: CurveKind) -> list[CurveTable]:
    """Give how the site's catalogue reads the curves of a calibration, if it says that."""
    described = described_by_site(session.calibration)
    return [table for table in described.curves if table.kind == kind] if described else []


def _sldo(session: Session, settings: Globals, what: Script, currents: list[float]) -> None:
    tables = _tables(session, "vi")

    def leave() -> list[str]:
        files: dict[str, bytes] = {}
        for name in _names(session, settings).values():
            for table in tables:
                files |= declared.vi_curve(table, session.calibration, name, currents)
            if not tables:
                files |= outputs.sldo_curve(name, currents, session.calibration)
        return outputs.write(files, settings.directory, session.faults)

    play(session, what.with_points(currents), leave)


def play_scan(session: Session, settings: Globals, what: Script) -> None:
    """Play a scan of the pixels, which leaves the files of each of its parts."""

    def leave() -> list[str]:
        return outputs.write(outputs.runs(what.parts, settings.directory), settings.directory, session.faults)

    play(session, what, leave)


def play(session: Session, what: Script, leave: Callable[[], list[str]]) -> None:
    """Run a calibration, which leaves besides what the site's catalogue wants of it."""
    described, settings = described_by_site(session.calibration), click.get_current_context().obj

    def leave_all() -> list[str]:
        written = leave()
        if described is None:
            return written
        lacking = declared.missing(described, written, list(_names(session, settings).values()))
        return [*written, *outputs.write(lacking, settings.directory, session.faults)]

    raise SystemExit(session.run(what, leave_all))


def _breakdown_v(session: Session) -> float:
    """Give the breakdown voltage of this IV curve, which the sensors then keep."""
    fault = session.faults.value("breakdown")
    if session.bench is None:
        return outputs.USUAL_BREAKDOWN_V
    breakdown_v = session.bench.breakdown_v if fault is None else fault
    session.bench.set_breakdown(breakdown_v)
    return breakdown_v


def _limit_a(session: Session) -> float:
    """Give the compliance of the HV supply that a sweep drives, the least of several; in amperes."""
    outputs_ = session.bench.whole.of(Role.HV) if session.bench else ()
    return min((abs(output.amps) for output in outputs_ if output.amps), default=outputs.COMPLIANCE_A)


def _names(session: Session, settings: Globals) -> dict[str, str]:
    """Give the modules that are measured: names by channel, a channel's number where no name is known."""
    channels = list(session.bench.channels) if session.bench else list(settings.channels or {})
    return {channel: settings.modules.get(channel, channel) for channel in channels or ["0"]}
