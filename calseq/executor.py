"""The run: one loop over the steps of a plan, every ending modelled, and a safe end after all of them.

Nothing here prints, opens a file or knows a clock: attempts, power, events, clock and stops are arguments.
"""

import signal
from collections.abc import Callable
from enum import IntEnum

from msgspec import Struct

from calseq import events
from calseq.attempt import Attempt, Look
from calseq.bias import Breakdowns, Decision, decide
from calseq.clocks import now_s
from calseq.plan import OnFailure, Plan, Step
from calseq.power.protocol import Power, PowerFault
from calseq.process import Exit, NotStarted
from calseq.rails import BIASED, BOTH_OFF, Hv, Move, Rails, Readings, Role, StepType, moves
from calseq.stops import EXIT_CODES, Stops
from calseq.verdicts import ExitCode, RunVerdict, Verdict

Prepare = Callable[[Step, int], Attempt]

TICK_S = 1.0
TERM_GRACE_S = 30.0
LEFTOVER_GRACE_S = 2.0
MIN_FREE_BYTES = 100 << 20
SAFE_END_WAITS_S = (0.0, 1.0, 3.0)
LAST_LINES = 8


class Stage(IntEnum):
    """How far the ending of a child has gone."""

    RUNNING = 0
    ASKED = 1
    TOLD = 2
    KILLED = 3


_SIGNALS = {Stage.ASKED: signal.SIGINT, Stage.TOLD: signal.SIGTERM, Stage.KILLED: signal.SIGKILL}


class Ending(Struct, frozen=True):
    """How an attempt ended, before its outputs were looked at. `why` is set when calseq ended it."""

    exit: Exit | None
    why: Verdict | None = None
    reason: str = ""


class Outcome(Struct, frozen=True):
    """How a run ended, and what the shell is told."""

    verdict: RunVerdict
    exit_code: ExitCode
    reason: str


def execute(
    plan: Plan,
    *,
    prepare: Prepare,
    power: Power,
    emit: Callable[[events.Event], None],
    clock: Callable[[], float] = now_s,
    stops: Stops | None = None,
) -> Outcome:
    """Run a plan. Whatever happens, the rails are brought to a safe end before this returns.

    `prepare` makes an attempt at a step, `emit` takes what happens and raises if the record of it is lost,
    `stops` says when to stop.
    """
    run = _Run(plan, prepare, power, emit, clock, stops or Stops(clock))
    return run.through()


class _Run:
    def __init__(
        self,
        plan: Plan,
        prepare: Prepare,
        power: Power,
        emit: Callable[[events.Event], None],
        clock: Callable[[], float],
        stops: Stops,
    ) -> None:
        self.plan, self.prepare, self.power, self.clock, self.stops = plan, prepare, power, clock, stops
        self._emit = emit
        self.failure = ""  # why the run did not pass
        self.halted = ""  # why no further step may start
        self.refused_bias = ""  # why the sensors may not be biased
        self.unsure = ""  # why the rails cannot be trusted to be off
        self.told_stop = 0
        self.lost = ""  # why the record is lost
        self.bug = False

    def through(self) -> Outcome:
        """Run every step that may run, then the safe end, whatever was raised."""
        started_s = self.clock()
        try:
            for step in self.plan.steps:
                self._step(step)
        except Exception as error:  # noqa: BLE001 - the module must be made safe after a bug, too
            self.bug = True
            self._break(f"a bug in calseq: {type(error).__name__}: {error}")
        finally:
            self._safe_end()
        outcome = self._outcome()
        self.tell(
            events.RunEnded(outcome.verdict, outcome.exit_code, self.clock() - started_s, outcome.reason)
        )
        return outcome

    # one step

    def _step(self, step: Step) -> None:
        reason = self._reason_to_skip(step)
        if reason:
            self.failure = self.failure or f"{step.name} was skipped: {reason}"
            self.tell(events.StepSkipped(step.number, step.name, reason))
            return
        verdict = Verdict.NOT_STARTED
        for attempt in range(1, step.retries + 2):
            verdict = self._attempt(step, attempt)
            if verdict is Verdict.PASSED or self._no_more():
                break
        if verdict is not Verdict.PASSED:
            self.failure = self.failure or f"{step.name} {verdict}"
            if step.on_failure is OnFailure.STOP:
                self.halted = self.halted or f"{step.name} {verdict}"

    def _reason_to_skip(self, step: Step) -> str:
        if self._no_more():
            return self.halted
        if step.before.hv is Hv.BIAS and self.refused_bias and self.plan.controls_rails:
            return f"no bias: {self.refused_bias}"
        return ""

    def _no_more(self) -> bool:
        """Nothing more may start: somebody wants to stop, or power or record is lost."""
        self._notice_stops()
        return bool(self.halted)

    def _notice_stops(self) -> None:
        if self.stops.level > self.told_stop:
            self.told_stop = self.stops.level
            self.halted = self.halted or f"stopped by {self.stops.cause}"
            self.tell(events.StopAsked(self.stops.cause, self.stops.level))

    def _attempt(self, step: Step, number: int) -> Verdict:
        started_s = self.clock()
        verdict, reason, ending = Verdict.NOT_STARTED, "", Ending(None)
        outputs: tuple[str, ...] = ()
        attempt: Attempt | None = None
        try:
            self._reach(step.before, step)
            if self._no_more():
                return self._not_begun(step, number)
            attempt = self.prepare(step, number)
            self.tell(events.StepStarted(step.number, step.name, number, attempt.log, attempt.directory))
            if self.lost:
                raise NotStarted(self.lost)
            self.power.hand_over(step.given)
            ending = self._supervised(step, number, attempt)
            self._take_back(step)
            verdict, reason = _judged(ending)
            if verdict is Verdict.PASSED:
                outputs, wrong = attempt.outputs(step.outputs)
                verdict, reason = (Verdict.MISSING_OUTPUT, wrong) if wrong else (verdict, "")
        except PowerFault as fault:
            reason = self._power_lost(str(fault))
            verdict = Verdict.NOT_STARTED if ending.exit is None else Verdict.FAILED
        except NotStarted as not_started:
            reason = str(not_started)
        except OSError as error:
            reason = f"the run folder cannot be written: {error.strerror or error}"
            self.halted = self.halted or reason
        retried = verdict is not Verdict.PASSED and number <= step.retries and not self._no_more()
        lines = attempt.last_lines(LAST_LINES) if attempt and verdict is not Verdict.PASSED else ()
        code, by = (ending.exit.code, ending.exit.signal) if ending.exit else (None, None)
        self.tell(
            events.StepEnded(
                step=step.number,
                name=step.name,
                attempt=number,
                verdict=verdict,
                duration_s=self.clock() - started_s,
                exit_code=code,
                signal=by,
                reason=reason,
                retried=retried,
                outputs=outputs,
                last_lines=lines,
            )
        )
        if step.type is StepType.IVCURVE and not retried:
            self._after_curve(step, verdict, reason, attempt)
        if attempt:
            attempt.finish()
        return verdict

    def _not_begun(self, step: Step, number: int) -> Verdict:
        if number == 1:
            self.tell(events.StepSkipped(step.number, step.name, self.halted))
        return Verdict.SKIPPED

    def _take_back(self, step: Step) -> None:
        if not step.given or not self.plan.controls_rails:
            return
        readings = self.power.take_back(step.given)
        self.tell(events.RailsRead(readings, step.number))
        if Role.HV in step.given and not readings.hv_gone:
            # A curve ends at 0 V. At whatever voltage it was left, that is not the bias.
            self._move(Move.HV_OFF, step.number)

    def _power_lost(self, reason: str) -> str:
        self.halted = self.halted or f"power: {reason}"
        self.failure = self.failure or self.halted
        self.tell(events.PowerFailed(reason))
        return reason

    # the child

    def _supervised(self, step: Step, number: int, attempt: Attempt) -> Ending:
        """Start the child and see it through to its end; on any exception it is ended first."""
        pid = attempt.start()
        stage, due_s, why, reason = Stage.RUNNING, float("inf"), None, ""
        deadline_s = self.clock() + step.timeout_s if step.timeout_s is not None else float("inf")
        try:
            self.tell(events.ChildStarted(step.number, number, pid))
            while attempt.poll() is None:
                self._notice_stops()
                now_s = self.clock()
                if why is None:
                    why, reason = self._reason_to_end(step, number, attempt, now_s >= deadline_s)
                wanted = stage if why is None else max(stage, Stage.ASKED, Stage(self.stops.level))
                if now_s >= due_s and stage < Stage.KILLED:
                    wanted = Stage(max(wanted, stage + 1))
                if wanted > stage:
                    stage = wanted
                    due_s = now_s + (step.stop_grace_s if stage is Stage.ASKED else TERM_GRACE_S)
                    attempt.send(_SIGNALS[stage])
                    self.tell(events.ChildSignalled(step.number, number, _SIGNALS[stage].name, reason))
                self.stops.pause(
                    max(0.0, min(TICK_S, due_s - now_s, deadline_s - now_s if why is None else TICK_S))
                )
            self._progress(step, number, attempt.look())
        except BaseException:
            self._end_at_any_price(step, attempt)
            raise
        finally:
            self._distrust(step, attempt.poll(), stage)
        self._end_leftovers(step, number, attempt)
        return Ending(attempt.poll(), why, reason)

    def _reason_to_end(
        self, step: Step, number: int, attempt: Attempt, late: bool
    ) -> tuple[Verdict | None, str]:
        look = attempt.look()
        self._progress(step, number, look)
        if self.stops.level:
            return Verdict.INTERRUPTED, f"stopped by {self.stops.cause}"
        if late:
            return Verdict.TIMED_OUT, f"not done after its timeout of {step.timeout_s:g} s"
        if self.lost:
            return Verdict.FAILED, self.lost
        if look.size_bytes > self.plan.log_limit_bytes:
            return Verdict.FAILED, f"its log passed {self.plan.log_limit_bytes >> 20} MiB"
        if look.free_bytes < MIN_FREE_BYTES:
            self.halted = self.halted or "the disk is almost full"
            return Verdict.FAILED, f"the disk is almost full: {look.free_bytes >> 20} MiB are left"
        return None, ""

    def _progress(self, step: Step, number: int, look: Look) -> None:
        for banner in look.banners:
            self.tell(events.StepProgressed(step.number, number, banner.part, banner.parts, banner.title))

    def _end_at_any_price(self, step: Step, attempt: Attempt) -> None:
        """End a child that nobody supervises any more: the ladder, without a word to the record."""
        for stage, grace_s in (
            (Stage.ASKED, step.stop_grace_s),
            (Stage.TOLD, TERM_GRACE_S),
            (Stage.KILLED, TERM_GRACE_S),
        ):
            attempt.send(_SIGNALS[stage])
            due_s = self.clock() + grace_s
            while attempt.poll() is None and self.clock() < due_s and self.stops.level <= stage:
                self.stops.pause(TICK_S)
            if attempt.poll() is not None:
                break
        attempt.end_left(signal.SIGKILL)

    def _end_leftovers(self, step: Step, number: int, attempt: Attempt) -> None:
        left = attempt.left()
        if not left:
            return
        for number_, grace_s in ((signal.SIGTERM, LEFTOVER_GRACE_S), (signal.SIGKILL, LEFTOVER_GRACE_S)):
            attempt.end_left(number_)
            due_s = self.clock() + grace_s
            while attempt.left() and self.clock() < due_s:
                self.stops.pause(0.02)
            if not attempt.left():
                break
        self.tell(events.LeftoversEnded(step.number, number, tuple(str(process) for process in left)))

    def _distrust(self, step: Step, ended: Exit | None, stage: Stage) -> None:
        """A child that held a supply and died without its own clean-up may have left it on."""
        held = {Role.LV, Role.HV} & set(step.given)
        if held and not self.plan.controls_rails and (ended is None or ended.signal or stage is Stage.KILLED):
            by = ended.signal if ended and ended.signal else "being killed"
            self.unsure = self.unsure or f"{step.name} held the supplies and ended by {by}, not by itself"

    # after an IV curve

    def _after_curve(self, step: Step, verdict: Verdict, reason: str, attempt: Attempt | None) -> None:
        decision = self._decision(step, verdict, reason, attempt)
        self.refused_bias = "" if decision.allowed else decision.reason
        self.tell(events.BiasDecided(step.number, decision.allowed, decision.reason))
        if decision.allowed and step.after == BIASED and self.plan.controls_rails and not self._no_more():
            try:
                self._reach(BIASED, step)
            except PowerFault as fault:
                self._power_lost(str(fault))

    def _decision(self, step: Step, verdict: Verdict, reason: str, attempt: Attempt | None) -> Decision:
        if verdict is not Verdict.PASSED or attempt is None:
            return Decision(False, f"the IV curve did not pass ({verdict}: {reason})")
        if self.halted:
            return Decision(False, self.halted)
        found: Breakdowns = attempt.breakdowns()
        end_v = step.sweep_end_v if step.sweep_end_v is not None else attempt.reached_v()
        return decide(self.plan.supplies, found, end_v, self.plan.bias)

    # the rails

    def _reach(self, wanted: Rails, step: Step) -> None:
        """Bring the rails to where they are wanted, one confirmed move at a time."""
        if not self.plan.controls_rails:
            return
        readings = self.power.read()
        while path := moves(readings, wanted):
            move = path[0]
            if move is Move.HV_BIAS and (self.refused_bias or self._no_more()):
                return
            readings = self._move(move, step.number)
            if moves(readings, wanted)[:1] == (move,):
                raise PowerFault(f"{move} had no effect: {_shown(readings)}")

    def _move(self, move: Move, step: int = 0) -> Readings:
        started_s = self.clock()
        self.tell(events.RailMoving(move, step))
        readings = self.power.move(move)
        self.tell(events.RailMoved(move, readings, self.clock() - started_s, step))
        return readings

    def _safe_end(self) -> None:
        """HV off, then LV off, read back. LV stays on under an HV that cannot be confirmed to be gone."""
        self.tell(events.SafeEndStarted())
        readings, reason = Readings(), ""
        if self.plan.controls_rails:
            for wait_s in SAFE_END_WAITS_S:
                self._wait(wait_s)
                readings, reason = self._make_safe()
                if readings.all_off:
                    break
            if not readings.all_off:
                self.unsure = reason or f"off could not be confirmed: {_shown(readings)}"
            self._count_violations()
        else:
            reason = "not controlled by calseq: dirigent switches the supplies itself"
        self.tell(events.SafeEndFinished(readings.all_off, readings, self.unsure or reason))

    def _make_safe(self) -> tuple[Readings, str]:
        readings = Readings()
        try:
            readings = self.power.take_back((Role.LV, Role.HV))
            for move in moves(readings, BOTH_OFF):
                if move is Move.LV_OFF and not readings.hv_gone:
                    return readings, f"HV is not confirmed off, so LV stays on: {_shown(readings)}"
                readings = self._move(move)
        except PowerFault as fault:
            self.tell(events.PowerFailed(str(fault)))
            return readings, str(fault)
        except Exception as error:  # noqa: BLE001 - the next try may succeed
            return readings, f"{type(error).__name__}: {error}"
        return readings, ""

    def _wait(self, duration_s: float) -> None:
        due_s = self.clock() + duration_s
        while (left_s := due_s - self.clock()) > 0:
            self.stops.pause(left_s)

    def _count_violations(self) -> None:
        for violation in self.power.violations():
            self.failure = self.failure or f"interlock violated: {violation}"
            self.tell(events.InterlockViolated(violation))

    # the end

    def tell(self, event: events.Event) -> None:
        """Emit an event. A lost record ends what runs, and nothing further starts."""
        try:
            self._emit(event)
        except events.RecordLost as lost:
            self.lost = str(lost)
            self._break(self.lost)

    def _break(self, reason: str) -> None:
        self.failure = self.failure or reason
        self.halted = self.halted or reason

    def _outcome(self) -> Outcome:
        if self.unsure:
            return Outcome(RunVerdict.UNSAFE, ExitCode.UNSAFE, self.unsure)
        if self.bug:
            return Outcome(RunVerdict.BROKEN, ExitCode.BUG, self.failure)
        if self.stops.level:
            code = EXIT_CODES.get(self.stops.cause, ExitCode.INTERRUPTED)
            return Outcome(RunVerdict.INTERRUPTED, code, f"stopped by {self.stops.cause}")
        if self.failure:
            return Outcome(RunVerdict.FAILED, ExitCode.FAILED, self.failure)
        return Outcome(RunVerdict.PASSED, ExitCode.GOOD, "")


def _judged(ending: Ending) -> tuple[Verdict, str]:
    """Judge an ending by itself: what calseq ended has calseq's reason, whatever code came of it."""
    if ending.why is not None:
        return ending.why, ending.reason
    if ending.exit is None:
        return Verdict.NOT_STARTED, ending.reason
    if ending.exit.signal:
        hint = ": out of memory, or somebody's kill" if ending.exit.signal == "SIGKILL" else ""
        return Verdict.FAILED, f"ended by {ending.exit.signal} from outside{hint}"
    if ending.exit.code:
        hint = ": it did not understand its command line" if ending.exit.code == 2 else ""
        return Verdict.FAILED, f"exit code {ending.exit.code}{hint}"
    return Verdict.PASSED, ""


def _shown(readings: Readings) -> str:
    rails = (("HV", readings.hv), ("LV", readings.lv))
    return ", ".join(
        f"{name} reads {'unknown' if rail.on is None else 'on' if rail.on else 'off'}"
        + (f" at {rail.voltage_v:g} V" if rail.voltage_v is not None else "")
        for name, rail in rails
    )
