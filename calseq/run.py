"""One run of a plan: its folder, record, supplies, screen and signals brought together around the executor."""

import getpass
import os
import platform
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from calseq import __version__
from calseq.attempt import Attempt, FolderAttempt
from calseq.clocks import now_s
from calseq.events import Bus, Listener, RecordLost, RunStarted, Stamped, StepEnded, StepSkipped
from calseq.executor import Outcome, execute
from calseq.journal import Journal
from calseq.plan import Plan, PowerMode, Step
from calseq.power.protocol import Power, PowerFault
from calseq.problems import NO_BACKEND, Problem, Refused
from calseq.process import adopt_orphans
from calseq.runs import RunRecord, make_folder, utc, write_plan, write_record
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
        steps = _StepVerdicts()
        with ExitStack() as held:
            journal = held.enter_context(Journal(self.folder / "events.jsonl"))
            bus = Bus(vital=[journal, steps], courtesy=dict(self.listeners))
            try:
                bus.emit(self._started())
                power = _power(self.plan, self.folder)
                if power:
                    held.callback(power.close)
                adopt_orphans()
                outcome = execute(
                    self.plan, prepare=self._preparer(), power=power, emit=bus.emit, clock=now_s, stops=stops
                )
            except (PowerFault, RecordLost, OSError) as error:
                # Nothing has been touched yet: the executor itself lets nothing through.
                outcome = Outcome(RunVerdict.FAILED, ExitCode.REFUSED, str(error))
        self._close(outcome, steps.verdicts, now_s() - started_s)
        return RunResult(self.folder, outcome)

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

    def _close(self, outcome: Outcome, steps: Mapping[str, str], duration_s: float) -> None:
        closed = replace(
            self.record,
            state="ended",
            ended=utc(datetime.now().astimezone()),
            duration_s=round(duration_s, 3),
            verdict=str(outcome.verdict),
            exit_code=int(outcome.exit_code),
            reason=outcome.reason,
            steps=steps,
        )
        with suppress(OSError):  # events.jsonl has it all; a full disk must not hide how the run ended
            write_record(self.folder, closed)


def prepare_run(plan: Plan, runs: Path, *, module: str = "", operator: str = "") -> Run:
    """Make a run folder below `runs` with the plan, its inputs and the beginning of its record.

    Raises:
        Refused: the folder cannot be made, or a file changed since the plan was made of it.
    """
    began = datetime.now().astimezone()
    folder = make_folder(runs.absolute(), plan.title, module, began)
    write_plan(folder, plan)
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
    write_record(folder, record)
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


class _StepVerdicts:
    """Keeps the last verdict of every step."""

    def __init__(self) -> None:
        self.verdicts: dict[str, str] = {}

    def __call__(self, stamped: Stamped) -> None:
        event = stamped.event
        if isinstance(event, StepEnded):
            self.verdicts[event.name] = str(event.verdict)
        elif isinstance(event, StepSkipped):
            self.verdicts[event.name] = "skipped"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
