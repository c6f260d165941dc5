"""The run: one loop over the steps of a plan, every ending modelled, and a safe end after all of them.

Nothing here prints, opens a file or knows a clock: attempts, power, events, clock and stops are arguments.
"""

from collections.abc import Callable

from msgspec import Struct

from calseq import events
from calseq.attempt import Attempt
from calseq.bias import Decision, decide
from calseq.clocks import now_s
from calseq.course import Course
from calseq.plan import OnFailure, Plan, Step
from calseq.power.protocol import Power, PowerFault
from calseq.power.rig import NoRig, Rig
from calseq.process import NotStarted
from calseq.rails import BIASED, Hv, Readings, Role, StepType
from calseq.stops import EXIT_CODES, Stops
from calseq.supervision import Ending, Stage, supervise
from calseq.verdicts import ExitCode, RunVerdict, Verdict

LAST_LINES = 8
NOT_CONTROLLED = "not controlled by calseq: dirigent switches the supplies itself"


class Outcome(Struct, frozen=True):
    """How a run ended, and what the shell is told."""

    verdict: RunVerdict
    exit_code: ExitCode
    reason: str = ""


def execute(
    plan: Plan,
    *,
    prepare: Callable[[Step, int], Attempt],
    power: Power | None,
    emit: Callable[[events.Event], None],
    clock: Callable[[], float] = now_s,
    stops: Stops | None = None,
) -> Outcome:
    """Run a plan. Whatever happens, the rails are brought to a safe end before this returns.

    `prepare` makes an attempt at a step; `power` holds the supplies, None if dirigent switches them itself;
    `emit` takes what happens and raises `RecordLost` if it cannot be recorded; `stops` says when to stop.
    """
    course = Course(emit, clock, stops or Stops(clock))
    return _Run(plan, prepare, Rig(power, course) if power else NoRig(), course).through()


class _Result(Struct, frozen=True):
    """What came of one attempt."""

    verdict: Verdict
    reason: str = ""
    ending: Ending = Ending()
    outputs: tuple[str, ...] = ()


class _Run:
    def __init__(
        self, plan: Plan, prepare: Callable[[Step, int], Attempt], rig: Rig | NoRig, course: Course
    ) -> None:
        self.plan, self.prepare, self.rig, self.course = plan, prepare, rig, course
        self.no_bias = ""  # why the sensors may not be biased

    def through(self) -> Outcome:
        """Run every step that may run, then the safe end, whatever was raised."""
        started_s = self.course.clock()
        try:
            for step in self.plan.steps:
                self._step(step)
        except Exception as error:  # noqa: BLE001 - after a bug, too, the module must be made safe
            self.course.bug = True
            self.course.halt(f"a bug in calseq: {type(error).__name__}: {error}")
        finally:
            self._safe_end()
        outcome = self._outcome()
        duration_s = self.course.clock() - started_s
        self.course.tell(events.RunEnded(outcome.verdict, outcome.exit_code, duration_s, outcome.reason))
        return outcome

    def _step(self, step: Step) -> None:
        reason = self._reason_to_skip(step)
        if reason:
            self._skip(step, reason)
            return
        for number in range(1, step.retries + 2):
            verdict = self._attempt(step, number)
            if verdict is Verdict.PASSED or not self.course.may_go_on():
                break
        if verdict is not Verdict.PASSED:
            self.course.fail(f"{step.name} {verdict}")
            if step.on_failure is OnFailure.STOP:
                self.course.halt(f"{step.name} {verdict}")

    def _reason_to_skip(self, step: Step) -> str:
        if not self.course.may_go_on():
            return self.course.halted
        if step.before.hv is Hv.BIAS and self.no_bias and self.plan.controls_rails:
            return f"no bias: {self.no_bias}"
        return ""

    def _skip(self, step: Step, reason: str) -> None:
        self.course.fail(f"{step.name} was skipped: {reason}")
        self.course.tell(events.StepSkipped(step.number, step.name, reason))

    def _attempt(self, step: Step, number: int) -> Verdict:
        """Bring the rails where the step wants them, and try it once."""
        started_s = self.course.clock()
        attempt: Attempt | None = None
        try:
            self.rig.reach(step.before, step.number)
            if not self.course.may_go_on():
                if number == 1:
                    self._skip(step, self.course.halted)
                return Verdict.SKIPPED
            attempt = self.prepare(step, number)
            result = self._tried(step, number, attempt)
        except PowerFault as fault:
            result = self._power_lost(fault)
        except OSError as error:
            reason = f"the run folder cannot be written: {(error.strerror or str(error)).lower()}"
            self.course.halt(reason)
            result = _Result(Verdict.NOT_STARTED, reason)
        retried = result.verdict is not Verdict.PASSED and number <= step.retries and self.course.may_go_on()
        self._tell_end(
            step, number, attempt, result, retried=retried, duration_s=self.course.clock() - started_s
        )
        if step.type is StepType.IVCURVE and not retried:
            self._after_curve(step, result, attempt)
        if attempt:
            attempt.finish()
        return result.verdict

    def _tried(self, step: Step, number: int, attempt: Attempt) -> _Result:
        """Run the child, with the supplies that are its own, and look at what it left."""
        self.course.tell(events.StepStarted(step.number, step.name, number, attempt.log, attempt.directory))
        ending = Ending(reason=self.course.lost)
        try:
            if self.course.lost:
                return _Result(Verdict.NOT_STARTED, self.course.lost)
            self.rig.hand_over(step.given)
            ending = supervise(step, number, attempt, self.course, self.plan.log_limit_bytes)
        except NotStarted as not_started:
            ending = Ending(reason=str(not_started))
        self._distrust(step, ending)
        try:
            self.rig.take_back(step.given, step.number)
        except PowerFault as fault:
            return _Result(Verdict.FAILED, self._power_lost(fault).reason, ending)
        verdict, reason = ending.judged()
        if verdict is not Verdict.PASSED:
            return _Result(verdict, reason, ending)
        outputs, wrong = attempt.outputs(step.outputs)
        return _Result(Verdict.MISSING_OUTPUT if wrong else verdict, wrong, ending, outputs)

    def _power_lost(self, fault: PowerFault) -> _Result:
        self.course.halt(f"power: {fault}")
        self.course.tell(events.PowerFailed(str(fault)))
        return _Result(Verdict.NOT_STARTED, f"power: {fault}")

    def _tell_end(
        self,
        step: Step,
        number: int,
        attempt: Attempt | None,
        result: _Result,
        *,
        retried: bool,
        duration_s: float,
    ) -> None:
        exit_ = result.ending.exit
        passed = result.verdict is Verdict.PASSED
        self.course.tell(
            events.StepEnded(
                step=step.number,
                name=step.name,
                attempt=number,
                verdict=result.verdict,
                duration_s=duration_s,
                exit_code=exit_.code if exit_ else None,
                signal=exit_.signal if exit_ else None,
                reason=result.reason,
                retried=retried,
                outputs=result.outputs,
                last_lines=() if passed or attempt is None else attempt.last_lines(LAST_LINES),
            )
        )

    def _distrust(self, step: Step, ending: Ending) -> None:
        """A child that held a supply and did not end by itself may have left it on."""
        if self.plan.controls_rails or not {Role.LV, Role.HV} & set(step.given) or ending.exit is None:
            return
        if ending.exit.signal or ending.stage is Stage.KILLED:
            by = ending.exit.signal or "being killed"
            self.course.unsure = (
                f"{step.name} held the supplies and ended by {by}, without switching them off"
            )

    def _after_curve(self, step: Step, result: _Result, attempt: Attempt | None) -> None:
        """Decide over the bias, and give it at once where the next step wants it."""
        decision = self._decision(step, result, attempt)
        self.no_bias = "" if decision.allowed else decision.reason
        self.course.tell(events.BiasDecided(step.number, decision.allowed, decision.reason))
        if decision.allowed and step.after == BIASED:
            try:
                self.rig.reach(BIASED, step.number)
            except PowerFault as fault:
                self._power_lost(fault)

    def _decision(self, step: Step, result: _Result, attempt: Attempt | None) -> Decision:
        if result.verdict is not Verdict.PASSED or attempt is None:
            return Decision(False, f"{step.name} did not pass: {result.verdict}, {result.reason}")
        if not self.course.may_go_on():
            return Decision(False, self.course.halted)
        reached_v = step.sweep_end_v if step.sweep_end_v is not None else attempt.reached_v()
        return decide(self.plan.supplies, attempt.breakdowns(), reached_v, self.plan.bias)

    def _safe_end(self) -> None:
        self.course.tell(events.SafeEndStarted())
        readings: Readings = self.rig.safe_end()
        for violation in self.rig.violations():
            self.course.fail(f"interlock violated: {violation}")
            self.course.tell(events.InterlockViolated(violation))
        reason = self.course.unsure or ("" if self.plan.controls_rails else NOT_CONTROLLED)
        self.course.tell(events.SafeEndFinished(readings.all_off, readings, reason))

    def _outcome(self) -> Outcome:
        course = self.course
        if course.unsure:
            return Outcome(RunVerdict.UNSAFE, ExitCode.UNSAFE, course.unsure)
        if course.bug:
            return Outcome(RunVerdict.BROKEN, ExitCode.BUG, course.failure)
        if course.stops.level:
            code = EXIT_CODES.get(course.stops.cause, ExitCode.INTERRUPTED)
            return Outcome(RunVerdict.INTERRUPTED, code, f"stopped by {course.stops.cause}")
        if course.failure:
            return Outcome(RunVerdict.FAILED, ExitCode.FAILED, course.failure)
        return Outcome(RunVerdict.PASSED, ExitCode.GOOD)
