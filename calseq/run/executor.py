"""The run: one loop over the steps of a plan, every ending modelled, and a safe end after all of them.

Nothing here prints, opens a file or knows a clock: attempts, power, events, clock and stops are arguments.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from msgspec import Struct, field
from msgspec.structs import replace

from calseq.measurement.witnesses import Witnesses
from calseq.model import events
from calseq.model.plan import OnFailure, Plan, Step
from calseq.model.rails import BIASED, Hv, Role, StepType
from calseq.model.verdicts import EXIT_CODES, NOT_CONTROLLED, ExitCode, RunVerdict, Verdict
from calseq.planning.bias import Decision, decide
from calseq.power.protocol import Power, PowerFault
from calseq.run.attempt import Attempt, Results
from calseq.run.progress import Progress
from calseq.run.rails import NoRig, Rig
from calseq.run.supervision import Ending, Stage, supervise
from calseq.system.clock import now_s
from calseq.system.process import NotStarted
from calseq.system.signals import Stops

LAST_LINES = 8
RESULTS_S = 1.0
HURRIED_S = 0.1
"""How long results are read for their digests, with the rails as the step had them; the second where the run is to end."""


class Outcome(Struct, frozen=True):
    """Verdict, exit code and reason of a run."""

    verdict: RunVerdict
    exit_code: ExitCode
    reason: str = ""


class Beginning(Struct, frozen=True):
    """What a run has when it begins: nothing, or kept results, by the number of a step.

    `kept` steps are not run, and of a kept IV curve the bias is as `decided`; `first_attempts` are the numbers
    at which the attempts of a step go on; `elapsed_s` is the time that the run has taken before.
    """

    kept: Mapping[int, events.StepKept] = field(default_factory=dict)
    decided: Mapping[int, events.BiasDecided] = field(default_factory=dict)
    first_attempts: Mapping[int, int] = field(default_factory=dict)
    elapsed_s: float = 0.0


def execute(
    plan: Plan,
    *,
    prepare: Callable[[Step, int], Attempt],
    power: Power | None,
    emit: Callable[[events.Event], None],
    clock: Callable[[], float] = now_s,
    stops: Stops | None = None,
    look: Callable[[], str] = lambda: "",
    beginning: Beginning | None = None,
) -> Outcome:
    """Run a plan. Whatever happens, the rails are brought to a safe end before this returns.

    `prepare` makes an attempt at a step; `power` holds the supplies, None if dirigent switches them itself;
    `emit` takes what happens and raises `RecordLost` if it cannot be recorded; `stops` says when to stop;
    `look` looks at the surroundings and says why they forbid to go on, if they do; `beginning` is what the
    run has already.
    """
    progress = Progress(emit, clock, stops or Stops(clock), look)
    rig = Rig(power, progress) if power and plan.controls_rails else NoRig(power)
    return _Run(plan, prepare, rig, progress, beginning or Beginning()).through()


def _signal_of(ending: Ending) -> str | None:
    """Give the signal that ended a child, also one that a shell in between tells as 128 and its number.

    130 is what Python programs, dirigent too, end with after they cleaned up for a SIGINT.
    """
    if ending.exit is None or ending.exit.signal:
        return ending.exit.signal if ending.exit else None
    code = ending.exit.code or 0
    return f"signal {code - 128}" if 128 < code < 192 and code != 130 else None


class _Result(Struct, frozen=True):
    """What came of one attempt."""

    verdict: Verdict
    reason: str = ""
    ending: Ending = Ending()
    outputs: tuple[str, ...] = ()
    left: Witnesses = Witnesses()


class _Run:
    def __init__(
        self,
        plan: Plan,
        prepare: Callable[[Step, int], Attempt],
        rig: Rig | NoRig,
        progress: Progress,
        beginning: Beginning,
    ) -> None:
        self.plan, self.prepare, self.rig, self.progress = plan, prepare, rig, progress
        self.beginning = beginning
        self.no_bias = ""  # why the sensors may not be biased

    def through(self) -> Outcome:
        """Run every step that may run, then the safe end, whatever was raised."""
        started_s = self.progress.clock() - self.beginning.elapsed_s
        try:
            self._steps()
        finally:
            self._surely_safe_end()
        self.progress.notice_stops()
        outcome = self._outcome()
        duration_s = self.progress.clock() - started_s
        self.progress.tell(events.RunEnded(outcome.verdict, outcome.exit_code, duration_s, outcome.reason))
        lost = outcome.verdict is RunVerdict.PASSED and self.progress.failure
        return self._outcome() if lost else outcome

    def _steps(self) -> None:
        try:
            for step in self.plan.steps:
                self._step(step)
        except BaseException as error:  # noqa: BLE001 - after a bug, too, the module must be made safe
            self.progress.caught(error)

    def _step(self, step: Step) -> None:
        self.rig.lost()  # the guard hears that calseq is there, however long the record takes
        if step.left_out:
            self.progress.tell(events.StepLeftOut(step.number, step.name, step.left_out))
        elif step.number in self.beginning.kept:
            self._keep(step)
        elif reason := self._reason_to_skip(step):
            self._skip(step, reason)
        else:
            self._try(step)

    def _keep(self, step: Step) -> None:
        self.progress.tell(self.beginning.kept[step.number])
        decided = self.beginning.decided.get(step.number)
        if decided:
            self._settle_bias(decided)

    def _try(self, step: Step) -> None:
        number, retried = self._first(step) - 1, True
        while retried:
            number += 1
            verdict, retried = self._attempt(step, number)
        if verdict not in (Verdict.PASSED, Verdict.SKIPPED):
            self.progress.fail(f"{step.name} {verdict}")
            if step.on_failure is OnFailure.STOP:
                self.progress.halt(f"{step.name} {verdict}")

    def _first(self, step: Step) -> int:
        """Give the number of a step's first attempt in this run: those before it have their own folders."""
        return self.beginning.first_attempts.get(step.number, 1)

    def _reason_to_skip(self, step: Step) -> str:
        if not self.progress.may_go_on():
            return self.progress.halted
        if step.before.hv is Hv.BIAS and self.no_bias:
            return f"no bias: {self.no_bias}"
        return ""

    def _skip(self, step: Step, reason: str) -> None:
        self.progress.fail(f"{step.name} was skipped: {reason}")
        self.progress.tell(events.StepSkipped(step.number, step.name, reason))

    def _attempt(self, step: Step, number: int) -> tuple[Verdict, bool]:
        """Bring the rails where the step wants them and try it once; tell whether another attempt follows."""
        started_s = self.progress.clock()
        with ExitStack() as held:
            attempt: Attempt | None = None
            try:
                self.rig.reach(step.before, step.number)
                if self.progress.may_go_on():
                    attempt = self._prepared(step, number)
                    held.callback(attempt.finish)
                    result = self._tried(step, number, attempt)
                elif number == self._first(step):
                    self._skip(step, self.progress.halted)
                    return Verdict.SKIPPED, False
                else:
                    result = self._held_up()
            except PowerFault as fault:
                result = _Result(Verdict.NOT_STARTED, self._power_lost(fault))
            except NotStarted as not_started:
                result = _Result(Verdict.NOT_STARTED, str(not_started))
            except BaseException as error:  # noqa: BLE001 - the attempt's end is told even after a bug
                self.progress.caught(error)
                result = self._held_up()
            failed = result.verdict is not Verdict.PASSED
            tries = number - self._first(step) + 1
            retried = failed and tries <= step.retries and self.progress.may_go_on()
            duration_s = self.progress.clock() - started_s
            self._tell_end(step, number, attempt, result, retried=retried, duration_s=duration_s)
            if step.type is StepType.IVCURVE and not retried:
                self._after_curve(step, result)
        return result.verdict, retried

    def _held_up(self) -> _Result:
        """What became of an attempt that the run's own end overtook."""
        halted = self.progress.halted
        stopped = halted == self.progress.stopped_by
        return _Result(Verdict.INTERRUPTED if stopped else Verdict.NOT_STARTED, halted)

    def _prepared(self, step: Step, number: int) -> Attempt:
        try:
            return self.prepare(step, number)
        except OSError as error:
            reason = f"the run folder cannot be written: {(error.strerror or str(error)).lower()}"
            self.progress.halt(reason)
            raise NotStarted(reason) from error

    def _tried(self, step: Step, number: int, attempt: Attempt) -> _Result:
        """Run the child, with the supplies that are its own, and look at what it left."""
        self.progress.tell(events.StepStarted(step.number, step.name, number, attempt.log, attempt.directory))
        if not self.progress.may_go_on():
            return self._held_up()
        try:
            self.rig.hand_over(step.given)
            ending = supervise(step, number, attempt, self.progress, self.rig, self.plan.log_limit_bytes)
        except NotStarted as not_started:
            ending = Ending(reason=str(not_started))
        self._distrust(step, ending)
        verdict, reason = ending.judged()
        try:
            self.rig.take_back(step.given, step.number)
        except PowerFault as fault:
            lost = self._power_lost(fault)
            if verdict is Verdict.PASSED:
                return _Result(Verdict.FAILED, lost, ending)
            return _Result(verdict, f"{reason}; {lost}", ending)
        return (
            self._looked_at(step, attempt, ending)
            if verdict is Verdict.PASSED
            else _Result(verdict, reason, ending)
        )

    def _looked_at(self, step: Step, attempt: Attempt, ending: Ending) -> _Result:
        """Judge an attempt that ended well by what it left."""
        try:
            (outputs, wrong), said = attempt.outputs(step.outputs), attempt.complaint(step.failures)
        except OSError as error:
            outputs, wrong, said = (
                (),
                f"its outputs cannot be read: {(error.strerror or str(error)).lower()}",
                "",
            )
        if wrong or said or step.type is not StepType.IVCURVE:
            verdict = Verdict.MISSING_OUTPUT if wrong else Verdict.PASSED
            return _Result(Verdict.FAILED if said else verdict, said or wrong, ending, outputs)
        self.rig.lost()
        left = attempt.witnesses(self.plan.modules)
        self.rig.lost()
        return _Result(Verdict.PASSED, "", ending, outputs, left)

    def _power_lost(self, fault: PowerFault) -> str:
        reason = f"power: {fault}"
        self.progress.halt(reason)
        self.progress.tell(events.PowerFailed(str(fault), fault.move))
        return reason

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
        left = self._results(attempt)
        exit_ = result.ending.exit
        passed = result.verdict is Verdict.PASSED
        self.progress.tell(
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
                longest_silence_s=result.ending.longest_silence_s,
                files=left.files,
                more_files=left.more_files,
                **result.left.recorded(),
            )
        )

    def _results(self, attempt: Attempt | None) -> Results:
        """Give the digests of what an attempt left, in bounded time: the rails are still as its step had them."""
        if attempt is None:
            return Results()
        try:
            return attempt.results(RESULTS_S if self.progress.may_go_on() else HURRIED_S)
        except BaseException as error:  # noqa: BLE001 - the attempt's end is told even after a bug
            self.progress.caught(error)
            return Results(more_files=None)

    def _distrust(self, step: Step, ending: Ending) -> None:
        """A child that held a supply and did not end by itself may have left it on."""
        if self.plan.controls_rails or not {Role.LV, Role.HV} & set(step.given):
            return
        by = _signal_of(ending)
        if by or ending.stage is Stage.KILLED:
            by = by or "being killed"
            self.progress.unsure = (
                f"{step.name} held the supplies and ended by {by}, without switching them off"
            )

    def _after_curve(self, step: Step, result: _Result) -> None:
        """Decide over the bias, and give it at once where the next step wants it."""
        self._settle_bias(self._decision(step, result).event(step.number, result.left))
        if not self.no_bias and step.after == BIASED:
            try:
                self.rig.reach(BIASED, step.number)
            except PowerFault as fault:
                self._power_lost(fault)

    def _settle_bias(self, decided: events.BiasDecided) -> None:
        if decided.allowed and self.plan.simulates_on_real_supplies:
            reason = "the curve is simulated, and the supplies are real"
            against = tuple(replace(each, allowed=False, reason=reason) for each in decided.supplies)
            decided = replace(decided, allowed=False, reason=reason, supplies=against)
        self.no_bias = "" if decided.allowed else decided.reason
        self.progress.tell(decided)

    def _decision(self, step: Step, result: _Result) -> Decision:
        if result.verdict is not Verdict.PASSED:
            return Decision(False, f"{step.name} did not pass: {result.verdict}, {result.reason}")
        if not self.progress.may_go_on():
            return Decision(False, self.progress.halted)
        return decide(self.plan.supplies, result.left, self.plan.bias, step.sweep_end_v)

    def _surely_safe_end(self) -> None:
        """A bug on the way to the safe end, of whatever kind, is no reason not to try once more."""
        try:
            self._safe_end()
        except BaseException as error:  # noqa: BLE001
            self.progress.caught(error)
            self._safe_end()

    def _safe_end(self) -> None:
        """Bring the rails to their safe end; while that is not confirmed, it is not believed."""
        unsure, self.progress.unsure = self.progress.unsure, "the safe end was cut short"
        self.progress.tell(events.SafeEndStarted())
        readings, reason = self.rig.safe_end()
        self.progress.unsure = unsure or reason
        self._check_interlocks()
        why = self.progress.unsure or ("" if self.plan.controls_rails else NOT_CONTROLLED)
        self.progress.tell(events.SafeEndFinished(readings.all_off, readings, why))

    def _check_interlocks(self) -> None:
        try:
            violations = self.rig.violations()
        except PowerFault as fault:
            self.progress.fail(str(fault))
            return
        except BaseException as error:  # noqa: BLE001 - the rails are safe already; the run has to be ended, too
            self.progress.fail(f"the record of interlocks cannot be read: {error}")
            return
        for violation in violations:
            self.progress.fail(f"interlock violated: {violation}")
            self.progress.tell(events.InterlockViolated(violation))

    def _outcome(self) -> Outcome:
        progress = self.progress
        if progress.unsure:
            return Outcome(RunVerdict.UNSAFE, ExitCode.UNSAFE, progress.unsure)
        if progress.bug:
            return Outcome(RunVerdict.BROKEN, ExitCode.BUG, progress.failure)
        if progress.stops.level:
            code = EXIT_CODES.get(progress.stops.cause, ExitCode.INTERRUPTED)
            return Outcome(RunVerdict.INTERRUPTED, code, progress.stopped_by)
        if progress.failure:
            return Outcome(RunVerdict.FAILED, ExitCode.FAILED, progress.failure)
        return Outcome(RunVerdict.PASSED, ExitCode.GOOD)
