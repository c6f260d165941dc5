"""`calseq power`: read the rails of a bench, or make it safe, from any shell."""

import os
import sys
import tempfile
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from calseq.bench.bench import Bench, read_bench
from calseq.bench.find import bench_file
from calseq.cli.messages import tell_problems
from calseq.cli.terminal import message, results
from calseq.cli.where_runs import runs_of
from calseq.model.plan import PowerMode
from calseq.model.rails import Readings, Role
from calseq.model.verdicts import TRIES_ON, UNKNOWN_HARDWARE, WHAT_TO_DO, ExitCode
from calseq.power.guarded import MOVE_TIMEOUT_S, GuardedPower, Setting
from calseq.power.protocol import PowerFault
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.record.aftermath import Settled
from calseq.record.find import run_folders
from calseq.record.memory import note_settled
from calseq.record.processes import ask_to_stop, guard_of, is_present, last_try
from calseq.record.run_folder import read_record, simulated_folder, utc
from calseq.run.supplies import guard_environment, move_timeout_s
from calseq.system.locks import BenchLock, Ended, Holder, holders_now
from calseq.system.timelimit import within

STOP_WAIT_S = 900.0
"""How long a run gets to stop: the grace of its step, the ramps, and something on top."""

DISK_WAIT_S = 10.0
"""How long a disk gets for what can be done without it."""

OPENING = (
    "opening the instruments: icicle sets compliance and range of HV as instruments.json has them; "
    "outputs and set voltages stay as they are"
)


def power(action: str, named: Path | None) -> int:
    """Read the rails of a bench, or switch them off; give the exit code."""
    path = bench_file(named)
    if path is None:
        tell_problems(
            [Problem(codes.NO_BENCH, "there is no bench.yaml here or above", "give --bench FILE")], 1
        )
        return int(ExitCode.REFUSED)
    reading = read_bench(path)
    if reading.bench is None:
        tell_problems(reading.problems, len(reading.documents))
        return int(ExitCode.REFUSED)
    bench = reading.bench
    try:
        if bench.mode is PowerMode.DIRIGENT:
            return _not_controlled(bench, action)
        return _status(bench) if action == "status" else _off(bench)
    except TimeoutError:
        return _unknown(bench, f"the disk of {bench.runs} does not answer")
    except KeyboardInterrupt:
        message("stopped by Ctrl-C: no rail was moved; a run that was asked to stop goes on stopping")
        return int(ExitCode.INTERRUPTED)


def _not_controlled(bench: Bench, action: str) -> int:
    """Say what there is to say of a bench whose supplies calseq does not hold."""
    running = _running(bench)
    if running and action == "off":
        _stopped(bench, running)
    elif running:
        results(f"{_whose(running)} has this bench")
    results(f"bench {bench.name} is in power mode dirigent: calseq holds no supply and cannot read any")
    if action == "status":
        return int(ExitCode.GOOD)
    _tell_by_hand(bench, "read the supplies, and switch off by hand what is on:")
    return int(ExitCode.UNSAFE)


def _status(bench: Bench) -> int:
    running = _running(bench)
    if running:
        results(
            f"{_whose(running)} has this bench: it holds the supplies, 'calseq power off' asks it to stop"
        )
        return int(ExitCode.GOOD)
    try:
        if bench.mode is PowerMode.ICICLE:
            message(OPENING)
        supplies = _open(bench, "status")
    except PowerFault as fault:
        return _unknown(bench, str(fault))
    if supplies is None:
        results(f"no run on the simulated bench {bench.name} yet: HV off, LV off")
        return int(ExitCode.GOOD)
    try:
        readings = supplies.read()
    except PowerFault as fault:
        return _unknown(bench, str(fault))
    finally:
        supplies.abandon()
    results(f"bench {bench.name}: {readings.words}")
    if not readings.all_off:
        message("no run is there: 'calseq power off' switches HV off, then LV off")
    return int(ExitCode.GOOD)


def _off(bench: Bench) -> int:
    running = _running(bench)
    if running and not _stopped(bench, running):
        return _unknown(bench, f"{_whose(running)} has not stopped")
    lock = BenchLock(_resources(bench), bench.locks)
    try:
        supplies = _open(bench, "off", lock)
        if supplies is None:
            results(f"no run on the simulated bench {bench.name} yet: HV off, LV off")
            return int(ExitCode.GOOD)
        # as long as off is not confirmed, it is this guard that tries on, and whose word counts
        with suppress(OSError):
            _claim(lock, str(supplies.folder))
        readings, reason = supplies.finish()
        supplies.close()
        if reason:
            return _unknown(bench, f"{reason}\n{TRIES_ON}", readings)
        with suppress(OSError):  # both are off, whatever can be written about it
            now = _claim(lock, "")
            settled = Settled(now, "calseq power off", confirmed=True)
            lock.conclude(Ended.SAFE, keep=not note_settled([bench.runs], _resources(bench), settled))
    except PowerFault as fault:
        return _unknown(bench, str(fault))
    except KeyboardInterrupt:
        return _unknown(bench, "stopped by Ctrl-C before off was confirmed; the guard goes on by itself")
    finally:
        lock.release()
    results(f"bench {bench.name}: {readings.words}: confirmed")
    return int(ExitCode.GOOD)


def _claim(lock: BenchLock, folder: str) -> str:
    """Write into the locks that a 'power off' has the bench; give since when (UTC)."""
    now = utc(datetime.now().astimezone())
    lock.claim(run="power off", user=str(os.getuid()), pid=os.getpid(), since=now, folder=folder)
    return now


def _stopped(bench: Bench, running: Holder) -> bool:
    """Ask a run to stop, and wait until it has let go of the bench."""
    folder = Path(running.folder)
    tried = _last_try(folder)
    try:
        within(DISK_WAIT_S, lambda: ask_to_stop(folder, running.pid, running.since))
    except PermissionError:
        message(f"{_whose(running)} belongs to {printable(running.user)}: ask them, or root")
        return False
    except TimeoutError:
        message(
            f"whether its guard lives cannot be seen: the disk of {printable(running.folder)} does not answer"
        )
    message(
        f"asking {_whose(running)} to stop; its own safe end comes first, "
        f"and is waited for at most {STOP_WAIT_S / 60:.0f} min"
    )
    due_s = time.monotonic() + STOP_WAIT_S
    while _running(bench) and time.monotonic() < due_s:
        time.sleep(0.2)
        again = _last_try(folder)
        if again != tried and again[1]:
            message(f"its guard has tried again: {printable(again[1], 300)}\n{TRIES_ON}")
            return False
    return _running(bench) is None


def _last_try(folder: Path) -> tuple[str, str]:
    try:
        return within(DISK_WAIT_S, lambda: last_try(folder))
    except TimeoutError:
        return "", ""


def _open(bench: Bench, action: str, lock: BenchLock | None = None) -> GuardedPower | None:
    """Start a guard on the bench's supplies; None for a simulated bench on which nothing ever ran."""
    if bench.mode is PowerMode.SIMULATED:
        last = _last_simulated(bench)
        if last is None:
            return None
        folder = last.folder
        config: dict[str, object] = {
            "folder": str(simulated_folder(Path(folder))),
            "calseq": str(Path(__file__).parents[3]),
        }
        return _guard(bench, "simulated", sys.executable, config, action, lock)
    instruments, channels = bench.wiring.reduced(Role)
    config = {"instruments": instruments, "channels": channels}
    timeout_s = move_timeout_s(instruments, channels)
    return _guard(bench, "icicle", bench.power_python or sys.executable, config, action, lock, timeout_s)


def _guard(
    bench: Bench,
    backend: str,
    python: str,
    config: dict[str, object],
    action: str,
    lock: BenchLock | None,
    timeout_s: float = MOVE_TIMEOUT_S,
) -> GuardedPower:
    folder = _record_folder(bench, action)
    environment = guard_environment(bench.variables)
    mark = f"CALSEQ_POWER={folder}"
    return GuardedPower(
        Setting(
            python,
            backend,
            config,
            folder,
            mark,
            timeout_s,
            keep=lock.descriptors if lock else (),
            locks=lock.files if lock else (),
            environment=environment,
            looks=action == "status",
        )
    )


def _record_folder(bench: Bench, action: str) -> Path:
    """New folder for what the guard records; elsewhere if the runs' disk is full, away or hangs: rails come first.

    Raises:
        PowerFault: there is no place for it at all.
    """
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S-%f")
    folder = bench.runs / f"{stamp}-power-{action}"
    try:
        within(DISK_WAIT_S, lambda: folder.mkdir(parents=True))
    except OSError as error:
        why = error.strerror or str(error)
        try:
            other = Path(tempfile.mkdtemp(prefix=f"calseq-power-{action}-"))
        except OSError as none:
            raise PowerFault(f"{folder} cannot be made: {why}; no other folder either: {none}") from error
        message(f"{printable(str(folder))} cannot be made ({why.lower()}): the record goes to {other}")
        return other
    return folder


def _resources(bench: Bench) -> tuple[str, ...]:
    if bench.mode is PowerMode.SIMULATED:
        return ()
    return tuple(each.resource for each in bench.wiring.described() if not each.sim)


def _running(bench: Bench) -> Holder | None:
    """Give who has the bench at this moment."""
    if bench.mode is PowerMode.SIMULATED:
        last = _last_simulated(bench)
        return last if last and _is_alive(last) else None
    return next(iter(holders_now(_resources(bench), bench.locks)), None)


def _last_simulated(bench: Bench) -> Holder | None:
    """Give the latest run on a simulated bench, whose folder has the supplies.

    Raises:
        TimeoutError: the disk does not answer.
    """
    return within(DISK_WAIT_S, lambda: _latest_with_supplies(bench))


def _latest_with_supplies(bench: Bench) -> Holder | None:
    for run in run_folders(runs_of(bench)):
        if not os.path.lexists(run / "simulated" / "bench.json"):
            continue
        with suppress(OSError, ValueError):
            record = read_record(run)
            if record.bench != bench.name:
                continue  # of another bench that was simulated here
            pid = record.pid if record.state == "running" else 0
            return Holder(bench.name, record.run, record.operator, pid, record.since, str(run))
    return None


def _is_alive(holder: Holder) -> bool:
    """The run goes on, or its guard, or a child of it."""
    folder = Path(holder.folder)
    if not holder.pid:  # it has ended, and its guard may try on
        return within(DISK_WAIT_S, lambda: bool(guard_of(folder)))
    return within(DISK_WAIT_S, lambda: is_present(folder, holder.pid, holder.since))


def _whose(holder: Holder) -> str:
    return f"run {printable(holder.run)} of {printable(holder.user)} (pid {holder.pid}, since {printable(holder.since)})"


def _unknown(bench: Bench, reason: str, readings: Readings | None = None) -> int:
    message("\n".join([UNKNOWN_HARDWARE, *map(printable, reason.splitlines())]))
    if readings:
        message(readings.words)
    _tell_by_hand(bench, "")
    return int(ExitCode.UNSAFE)


def _tell_by_hand(bench: Bench, head: str) -> None:
    lines = [head] if head else []
    lines += [f"{number}. {each}" for number, each in enumerate(WHAT_TO_DO, 1)]
    lines += [
        f"   {role.upper()}: {printable(each.name)}, {printable(each.instrument_class)} at {printable(each.resource)}"
        for role in ("hv", "lv")
        for each in bench.wiring.described()
        if role in each.roles
    ]
    message("\n".join(lines))
