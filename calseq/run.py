"""One run of a plan: its folder, record, supplies, screen and signals brought together around the executor."""

import getpass
import os
import platform
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from shutil import rmtree

from msgspec import Struct
from msgspec.structs import replace

from calseq import __version__
from calseq.attempt import Attempt, FolderAttempt
from calseq.clocks import now_s
from calseq.events import (
    Bus,
    Listener,
    RecordLost,
    RunEnded,
    RunStarted,
    SafeEndFinished,
    Stamped,
    StepEnded,
    StepSkipped,
)
from calseq.executor import Outcome, execute
from calseq.journal import Journal
from calseq.plan import Plan, PowerMode, Step
from calseq.power.protocol import Power, PowerFault
from calseq.power.rig import shown
from calseq.problems import NO_BACKEND, Problem, Refused
from calseq.process import adopt_orphans
from calseq.rails import Readings
from calseq.runs import RunRecord, make_folder, no_folder, utc, write_marker, write_plan, write_record
from calseq.stops import Stops
from calseq.verdicts import ExitCode, RunVerdict

CHILD_VARIABLES = {"PYTHONUNBUFFERED": "1", "TERM": "dumb", "NO_COLOR": "1"}
"""Set for every child: lines at once, and no colours in its log."""


class RunResult(Struct, frozen=True):
    """How a run ended, and where its record is."""

    folder: Path
    outcome: Outcome


class Run(Struct):
    """A run that has its folder and has not begun. `listeners` hear every event, as a courtesy."""

    plan: Plan
    folder: Path
    record: RunRecord
    listeners: dict[str, Listener]

    def go(self, stops: Stops) -> RunResult:
        """Run the plan to its end, whatever that is."""
        started_s = now_s()
        notes = _Notes()
        with ExitStack() as held:
            try:
                bus, power = self._opened(held, notes)
            except (PowerFault, RecordLost, OSError, ValueError) as error:
                outcome = Outcome(RunVerdict.FAILED, ExitCode.REFUSED, f"nothing was touched: {error}")
            else:
                outcome = self._executed(bus, power, stops)
        self._close(outcome, notes, now_s() - started_s)
        return RunResult(self.folder, outcome)

    def _opened(self, held: ExitStack, notes: "_Notes") -> tuple[Bus, Power | None]:
        """Open the journal and the supplies; nothing is touched yet."""
        journal = held.enter_context(Journal(self.folder / "events.jsonl"))
        bus = Bus(vital=[journal, notes], courtesy=dict(self.listeners))
        bus.emit(self._started())
        try:
            power = _power(self.plan, self.folder)
        except (PowerFault, OSError, ValueError) as error:
            bus.emit(RunEnded(RunVerdict.FAILED, ExitCode.REFUSED, 0.0, f"nothing was touched: {error}"))
            raise
        if power:
            held.callback(_let_go, power)
        adopt_orphans()
        return bus, power

    def _executed(self, bus: Bus, power: Power | None, stops: Stops) -> Outcome:
        try:
            return execute(
                self.plan, prepare=self._preparer(), power=power, emit=bus.emit, clock=now_s, stops=stops
            )
        except BaseException as error:  # noqa: BLE001 - the executor lets nothing through: what did come is believed in nothing
            reason = f"the run was torn off: {type(error).__name__}: {error}"
            return Outcome(RunVerdict.UNSAFE, ExitCode.UNSAFE, reason)

    def _started(self) -> RunStarted:
        record = self.record
        return RunStarted(
            run=record.run,
            title=record.title,
            bench=record.bench,
            mode=record.mode,
            module=record.module,
            operator=record.operator,
            simulated=record.simulated,
            steps=len(self.plan.steps),
            digest=record.digest,
            calseq=record.calseq,
            pid=record.pid,
        )

    def _preparer(self) -> Callable[[Step, int], Attempt]:
        variables = {**os.environ, **self.plan.environment.variables, **CHILD_VARIABLES}
        if self.plan.mode is PowerMode.SIMULATED:
            variables["CALSEQ_SIMULATION"] = str(self.folder / "simulated")
        cwd, run = self.plan.environment.cwd, self.folder.name

        def prepare(step: Step, number: int) -> Attempt:
            return FolderAttempt(step, number, folder=self.folder, environment=variables, cwd=cwd, run=run)

        return prepare

    def _close(self, outcome: Outcome, notes: "_Notes", duration_s: float) -> None:
        closed = replace(
            self.record,
            state="ended",
            ended=utc(datetime.now().astimezone()),
            duration_s=round(duration_s, 3),
            verdict=str(outcome.verdict),
            exit_code=int(outcome.exit_code),
            reason=outcome.reason,
            steps=notes.verdicts,
        )
        if outcome.verdict is RunVerdict.UNSAFE:
            with suppress(OSError):  # the summary says the same
                write_marker(self.folder, self.plan, shown(notes.readings), outcome.reason)
        with suppress(OSError):  # events.jsonl has it all; a full disk must not hide how the run ended
            write_record(self.folder, closed)


def prepare_run(plan: Plan, runs: Path, *, module: str = "", operator: str = "") -> Run:
    """Make a run folder below `runs` with the plan, its inputs and the beginning of its record.

    Raises:
        Refused: the folder cannot be made, or a file changed since the plan was made of it.
    """
    began = datetime.now().astimezone()
    folder = make_folder(runs.absolute(), plan.title, module, began)
    record = RunRecord(
        run=folder.name,
        title=plan.title,
        bench=plan.bench,
        mode=str(plan.mode),
        module=module,
        operator=operator or _user(),
        simulated=plan.simulated,
        digest=plan.digest(),
        calseq=__version__,
        python=platform.python_version(),
        host=socket.gethostname(),
        pid=os.getpid(),
        started=utc(began),
    )
    try:
        write_plan(folder, plan)
        write_record(folder, record)
    except (Refused, OSError) as error:
        rmtree(folder, ignore_errors=True)  # what was refused leaves nothing that looks like a run
        if isinstance(error, Refused):
            raise
        raise no_folder(folder, error.strerror or str(error)) from error
    return Run(plan, folder, record, {})


def check_backend(plan: Plan) -> None:
    """See that this calseq can drive the plan's supplies.

    Raises:
        Refused: it cannot.
    """
    if plan.mode is PowerMode.ICICLE:
        cure = "use 'mode: dirigent', where dirigent switches the supplies itself"
        raise Refused([Problem(NO_BACKEND, "power mode 'icicle' is not in this version of calseq", cure)])


def _power(plan: Plan, folder: Path) -> Power | None:
    if plan.mode is PowerMode.DIRIGENT:
        return None
    from calseq.power.simulated import SimulatedPower  # noqa: PLC0415 - only simulated runs need the simulator
    from calseq.simulator.supplies import SimulatedBench  # noqa: PLC0415

    if plan.simulation is None:
        raise PowerFault(f"power mode '{plan.mode}' is not in this version of calseq")
    SimulatedBench.create(
        folder / "simulated",
        plan.wiring.instruments,
        plan.wiring.channels,
        speed=plan.simulation.speed,
        faults=plan.simulation.faults,
    )
    return SimulatedPower(folder / "simulated")


def _let_go(power: Power) -> None:
    """Close the supplies. Their state is known and told by now: nothing here may change how the run ended."""
    with suppress(Exception):
        power.close()


class _Notes:
    """Keeps the last verdict of every step, and the rails as they were read last."""

    def __init__(self) -> None:
        self.verdicts: dict[str, str] = {}
        self.readings = Readings()

    def __call__(self, stamped: Stamped) -> None:
        event = stamped.event
        if isinstance(event, StepEnded):
            self.verdicts[event.name] = str(event.verdict)
        elif isinstance(event, StepSkipped):
            self.verdicts[event.name] = "skipped"
        elif isinstance(event, SafeEndFinished):
            self.readings = event.readings


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
