"""One run of a plan: its folder, record, supplies, screen and signals brought together around the executor."""

import os
import platform
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from shutil import rmtree

from msgspec import Struct
from msgspec.structs import replace

from calseq.model.events import (
    EVENT_FORMAT,
    MonitorRead,
    RunEnded,
    RunResumed,
    RunStarted,
    Stamped,
)
from calseq.model.expectations import Expectation
from calseq.model.plan import STAND_IN_SAYS, Monitor, Plan, Step
from calseq.model.rails import Readings
from calseq.model.request import Request
from calseq.model.verdicts import ExitCode, RunVerdict
from calseq.model.version import __version__
from calseq.power.guarded import Terminal
from calseq.power.protocol import Power, PowerFault
from calseq.problems.codes import BENCH_BUSY
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.record.aftermath import Settled, settle
from calseq.record.history import expected, taken
from calseq.record.journal import Journal
from calseq.record.memory import is_met
from calseq.record.past import Past, after
from calseq.record.run_folder import (
    JOURNAL,
    RunRecord,
    make_folder,
    no_folder,
    share,
    simulated_folder,
    stored_input,
    utc,
    write_marker,
    write_plan,
    write_record,
)
from calseq.record.seal import digest_of, seal, sums
from calseq.run.attempt import Attempt, FolderAttempt
from calseq.run.bus import Bus, Listener, RecordLost
from calseq.run.clearance import Unknown, check_before, check_hv_box, lock_bench, refuse_unknown
from calseq.run.executor import Beginning, Outcome, execute
from calseq.run.monitors import Probe, Watchers
from calseq.run.on_finish import announce
from calseq.run.supplies import open_supplies
from calseq.system.clock import now_s
from calseq.system.locks import BenchLock, Ended, FolderLock
from calseq.system.process import adopt_orphans, user
from calseq.system.signals import Stops

CHILD_VARIABLES = {"PYTHONUNBUFFERED": "1", "TERM": "dumb", "NO_COLOR": "1"}
"""Set for every child: lines at once, and no colours in its log."""


class RunResult(Struct, frozen=True):
    """How a run ended, and its record and where that is."""

    folder: Path
    outcome: Outcome
    record: RunRecord


class ResumePoint(Struct, frozen=True):
    """Where a resumed run goes on: its first event, the results it has, and the end of its journal."""

    resumed: RunResumed
    beginning: Beginning
    seq: int
    t: float
    verdicts: Mapping[str, str]


class Run(Struct):
    """A run that has its folder and has not begun. `listeners` hear every event, as a courtesy.

    `terminal` is where its guard tells what it did if calseq itself is killed.
    `expected` is how long its steps should take; `complaint` says what of earlier runs could not be used for that.
    `mine` is the lock of the folder, None on a file system that locks no folders. `keeps`: the files of its locks are
    kept after its end, as they know more than the run folders.
    """

    plan: Plan
    folder: Path
    record: RunRecord
    listeners: dict[str, Listener]
    lock: BenchLock
    terminal: Terminal | None = None
    expected: tuple[Expectation, ...] = ()
    complaint: str = ""
    mine: FolderLock | None = None
    resume_point: ResumePoint | None = None
    dirigent: str = ""
    keeps: bool = False

    @property
    def _keep(self) -> tuple[int, ...]:
        """The locks, which last as long as anything that this run starts."""
        return (*self.lock.descriptors, *(self.mine.descriptors if self.mine else ()))

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
                outcome = self._executed(bus, power, self._watchers(bus, held), stops)
        before_s = self.resume_point.t if self.resume_point else 0.0
        place = self.mine.path(self.folder) if self.mine else self.folder
        record = self._close(place, outcome, notes.past, before_s + now_s() - started_s)
        safe = outcome.verdict is not RunVerdict.UNSAFE
        with suppress(OSError):  # then the run's folder says it
            keep = self.keeps or is_met(place or self.folder, self.plan.runs)
            self.lock.conclude(Ended.SAFE if safe else Ended.UNKNOWN, keep=keep)
        self.release()
        return RunResult(place or self.folder, outcome, record)

    def announce(self, result: RunResult, stops: Stops, report: str = "") -> str:
        """Run the site's `on_finish`, if it has one, and say what went wrong with it; the run is over by now.

        `report` is the path of the page that tells of the run, if there is one.
        """
        notice, surroundings = self.plan.on_finish, self.plan.environment
        if notice is None:
            return ""
        stops.renew()
        environment = {**os.environ, **surroundings.variables}
        return announce(
            notice,
            result.record,
            self.folder,
            report=report,
            cwd=surroundings.cwd,
            environment=environment,
            stops=stops,
        )

    def release(self) -> None:
        """Let go of the bench and of the folder."""
        self.lock.release()
        if self.mine:
            self.mine.release()

    def _opened(self, held: ExitStack, notes: "_Notes") -> tuple[Bus, Power]:
        """Open the journal and the supplies; nothing is touched yet."""
        resume_point = self.resume_point
        journal = held.enter_context(Journal(self.folder / JOURNAL, resumed=resume_point is not None))
        with suppress(Refused, OSError):
            share(self.folder, self.plan.group)
        bus = Bus(vital=[journal, notes], courtesy=dict(self.listeners))
        if resume_point:
            bus.seq, bus.t = resume_point.seq, resume_point.t
        if not bus.seq:  # else it was told when the run began
            bus.emit(self._started())
        if resume_point:
            bus.emit(resume_point.resumed)
        try:
            power = open_supplies(
                self.plan,
                self.folder,
                self._keep,
                self.terminal,
                locks=self.lock.files,
                resumed=resume_point is not None,
            )
        except (PowerFault, OSError, ValueError) as error:
            bus.emit(RunEnded(RunVerdict.FAILED, ExitCode.REFUSED, 0.0, f"nothing was touched: {error}"))
            raise
        held.callback(_let_go, power)
        adopt_orphans()
        return bus, power

    def _executed(self, bus: Bus, power: Power, watchers: Watchers, stops: Stops) -> Outcome:
        try:
            watchers.first(lambda duration_s: self._pause(power, stops, duration_s))
            plan = replace(self.plan, stand_in=True) if STAND_IN_SAYS in self.dirigent else self.plan
            return execute(
                plan,
                prepare=self._preparer(),
                power=power,
                emit=bus.emit,
                clock=now_s,
                stops=stops,
                look=watchers.look,
                beginning=self.resume_point.beginning if self.resume_point else None,
            )
        except BaseException as error:  # noqa: BLE001 - the executor lets nothing through: what did come is believed in nothing
            reason = f"the run was torn off: {type(error).__name__}: {error}"
            return Outcome(RunVerdict.UNSAFE, ExitCode.UNSAFE, reason)

    @staticmethod
    def _pause(power: Power, stops: Stops, duration_s: float) -> None:
        """Wait a little; the guard hears meanwhile that calseq is there."""
        power.lost()
        stops.pause(duration_s)

    def _watchers(self, bus: Bus, held: ExitStack) -> Watchers:
        environment = {**os.environ, **self.plan.environment.variables}
        cwd = self.plan.environment.cwd

        def start(monitor: Monitor, at_s: float) -> Probe:
            return Probe(monitor, cwd=cwd, environment=environment, at_s=at_s)

        def tell(read: MonitorRead) -> None:
            try:
                bus.emit(read)
            except RecordLost as lost:
                watchers.stop(str(lost))

        watchers = Watchers(self.plan.monitors, start=start, tell=tell, clock=now_s)
        held.callback(watchers.close)
        return watchers

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
            dirigent=self.dirigent,
            expected=self.expected,
            format=EVENT_FORMAT,
        )

    def _preparer(self) -> Callable[[Step, int], Attempt]:
        variables = {**os.environ, **self._variables(), **CHILD_VARIABLES}
        cwd, run, keep = self.plan.environment.cwd, self.folder.name, self._keep

        def prepare(step: Step, number: int) -> Attempt:
            environment = {**variables, **({"CALSEQ_TYPE": str(step.type)} if self.record.simulated else {})}
            return FolderAttempt(
                step, number, folder=self.folder, environment=environment, cwd=cwd, run=run, keep=keep
            )

        return prepare

    def _variables(self) -> dict[str, str]:
        """Give the variables of the bench, and for the stand-in those by which it knows supplies and calibrations.

        Where it is calseq's own interpreter that plays dirigent, what the bench says to dirigent's Python does not count.
        """
        variables = dict(self.plan.environment.variables)
        if self.plan.all_simulated:
            variables = {
                name: value for name, value in variables.items() if not name.startswith(("PYTHON", "LD_"))
            }
            variables["CALSEQ_SIMULATION"] = str(simulated_folder(self.folder))
        site = next((file for file in self.plan.inputs if file.kind == "calibrations"), None)
        if site and self.record.simulated:
            variables["CALSEQ_CALIBRATIONS"] = str(stored_input(self.folder, self.record.plan, site))
        return variables

    def _close(self, place: Path | None, outcome: Outcome, past: Past, duration_s: float) -> RunRecord:
        verdicts = {**(self.resume_point.verdicts if self.resume_point else {}), **past.verdicts}
        closed = replace(
            self.record,
            state="ended",
            ended=utc(datetime.now().astimezone()),
            duration_s=round(duration_s, 3),
            verdict=str(outcome.verdict),
            exit_code=int(outcome.exit_code),
            reason=outcome.reason,
            steps={step.name: verdicts[step.name] for step in self.plan.steps if step.name in verdicts},
            timings=(*self.record.timings, *taken(past, self.plan)),
        )
        if place is None:
            return closed
        if outcome.verdict is RunVerdict.UNSAFE:
            with suppress(OSError):  # the summary says the same
                readings = past.safe_end.readings if past.safe_end else Readings()
                write_marker(place, self.plan, readings.words, outcome.reason)
        lines = None
        with suppress(OSError):
            lines = sums(place)
            closed = replace(closed, sums_sha256=digest_of(lines))
        with suppress(OSError):  # events.jsonl has it all; a full disk must not hide how the run ended
            write_record(place, closed)
        with suppress(OSError):  # without it 'runs verify' says that the run is not sealed
            seal(place, lines)
        with suppress(Refused, OSError):  # logs are for the group, too, once they are whole
            share(place, self.plan.group)
        return closed


def prepare_run(
    plan: Plan,
    runs: Path,
    *,
    module: str = "",
    operator: str = "",
    acknowledge: bool = False,
    hv_box_closed: bool = False,
    request: Request | None = None,
    dirigent: str = "",
    job: str = "",
) -> Run:
    """Lock the bench and make a run folder below `runs` with the plan, its inputs and the beginning of its record.

    `acknowledge` starts though the last run on this bench left the rails in an unknown state; `hv_box_closed` confirms
    the channels of an HV box where the bench asks for that; `request` is what was typed, `dirigent` which one it is, for a
    resumed run; `job` is another program's name for it.

    Raises:
        Refused: somebody else has the bench, nobody knows the state of its rails, the folder cannot be made,
            or a file changed since the plan was made of it.
    """
    check_hv_box(plan, closed=hv_box_closed)
    lock = lock_bench(plan)
    places = (runs, *([Path(plan.runs)] if plan.runs else []))
    try:
        unknown = check_before(lock, plan, places)
        if not acknowledge:
            refuse_unknown(unknown, plan)
        run = _prepared(
            plan, runs, lock, module=module, operator=operator, request=request, dirigent=dirigent, job=job
        )
    except BaseException:
        lock.release()
        raise
    try:
        take_over(run, unknown)
    except BaseException:
        run.release()
        rmtree(run.folder, ignore_errors=True)  # what was refused leaves nothing that looks like a run
        raise
    return run


def claim(run: Run) -> None:
    """Write into the locks of the bench that this run has it.

    Raises:
        Refused: they cannot be written.
    """
    record = run.record
    try:
        run.lock.claim(
            run=record.run, user=user(), pid=record.pid, since=record.since, folder=str(run.folder)
        )
    except OSError as error:
        message = f"the locks of the bench cannot be written: {(error.strerror or str(error)).lower()}"
        raise Refused([Problem(BENCH_BUSY, message, "see 'calseq doctor' for their folder")]) from error


def take_over(run: Run, unknown: Sequence[Unknown]) -> None:
    """Write into the locks of the bench that this run has it, and into the unsafe runs before it who started it.

    Raises:
        Refused: the locks cannot be written.
    """
    now = utc(datetime.now().astimezone())
    settled = Settled(now, run.record.operator or user(), confirmed=False, run=run.record.run)
    others = [each for each in unknown if each.folder != run.folder]
    noted = [each.folder is not None and settle(each.folder, settled) for each in others]
    run.keeps = not all(noted)
    claim(run)


def _prepared(
    plan: Plan,
    runs: Path,
    lock: BenchLock,
    *,
    module: str,
    operator: str,
    request: Request | None,
    dirigent: str,
    job: str,
) -> Run:
    began = datetime.now().astimezone()
    folder = make_folder(runs.absolute(), plan.title, module, began)
    record = RunRecord(
        run=folder.name,
        title=plan.title,
        bench=plan.bench,
        mode=str(plan.mode),
        module=module,
        operator=operator or user(),
        simulated=plan.simulated or STAND_IN_SAYS in dirigent,
        digest=plan.digest(),
        calseq=__version__,
        python=platform.python_version(),
        host=socket.gethostname(),
        pid=os.getpid(),
        started=utc(began),
        request=request,
        job=job,
        official=plan.standing.official,
        sequence_digest=plan.standing.digest,
    )
    mine = None
    with suppress(OSError):  # such a folder cannot be locked, and so not be resumed
        mine = FolderLock(folder)
    try:
        write_plan(folder, plan)
        write_record(folder, record)
        share(folder, plan.group)
    except (Refused, OSError) as error:
        rmtree(folder, ignore_errors=True)  # what was refused leaves nothing that looks like a run
        if mine:
            mine.release()
        if isinstance(error, Refused):
            raise
        raise no_folder(folder, error.strerror or str(error)) from error
    times, complaint = expected(plan, runs.absolute())
    return Run(
        plan, folder, record, {}, lock, mine=mine, expected=times, complaint=complaint, dirigent=dirigent
    )


def _let_go(power: Power) -> None:
    """Close the supplies. Their state is known and told by now: nothing here may change how the run ended."""
    with suppress(Exception):
        power.close()


class _Notes(Struct):
    """Keeps what the run did, for its record."""

    past: Past = Past()

    def __call__(self, stamped: Stamped) -> None:
        self.past = after(self.past, stamped)
