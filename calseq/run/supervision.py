"""A child from its start to its end: watched, and ended gently and then firmly when there is a reason to."""

import signal
from collections.abc import Callable, Iterator
from enum import IntEnum

from msgspec import Struct

from calseq.model import events
from calseq.model.plan import Step
from calseq.model.verdicts import Verdict
from calseq.power.protocol import Watched
from calseq.run.attempt import Attempt, Look
from calseq.run.progress import Progress
from calseq.run.rails import NoRig, Rig
from calseq.system.process import Exit, NotStarted

TICK_S = 1.0
TERM_GRACE_S = 30.0
LEFTOVER_GRACE_S = 2.0
MIN_FREE_BYTES = 100 << 20


class Stage(IntEnum):
    """Stage of the ending of a child."""

    RUNNING = 0
    ASKED = 1
    TOLD = 2
    KILLED = 3


SIGNALS = {Stage.ASKED: signal.SIGINT, Stage.TOLD: signal.SIGTERM, Stage.KILLED: signal.SIGKILL}


class Ending(Struct, frozen=True):
    """How an attempt's child ended. `why` and `reason` are set when it was calseq that ended it.

    `longest_silence_s` is for how long its log did not grow at most.
    """

    exit: Exit | None = None
    why: Verdict | None = None
    reason: str = ""
    stage: Stage = Stage.RUNNING
    longest_silence_s: float = 0.0

    def judged(self) -> tuple[Verdict, str]:
        """Judge the ending by itself: what calseq ended has calseq's reason, whatever exit code came of it."""
        if self.why is not None:
            return self.why, self.reason
        if self.exit is None:
            return Verdict.NOT_STARTED, self.reason
        if self.exit.signal:
            hint = ": out of memory, or somebody's kill" if self.exit.signal == "SIGKILL" else ""
            return Verdict.FAILED, f"ended by {self.exit.signal}, not by calseq{hint}"
        if self.exit.code is None:
            return Verdict.FAILED, "it has ended, but somebody else took its exit code"
        if self.exit.code:
            hint = ": it did not understand its command line" if self.exit.code == 2 else ""
            return Verdict.FAILED, f"exit code {self.exit.code}{hint}"
        return Verdict.PASSED, ""


def supervise(
    step: Step, number: int, attempt: Attempt, progress: Progress, rig: Rig | NoRig, log_limit_bytes: int
) -> Ending:
    """Start the child of an attempt and see it through to its end, with all that it leaves behind.

    What goes wrong with the supplies meanwhile ends it, too.

    Raises:
        NotStarted: it could not be started.
    """
    watch = _Watch(step, number, attempt, progress, rig, log_limit_bytes)
    try:
        pid = attempt.start()
        rig.watch(Watched(pid, step.stop_grace_s, step.timeout_s, attempt.limit))
        progress.tell(events.ChildStarted(step.number, number, pid))
        watch.through()
        watch.end_leftovers()
    except NotStarted:
        raise
    except BaseException as error:  # noqa: BLE001 - no child is left running unwatched
        progress.caught(error)
        watch.end_at_any_price()
    finally:
        rig.watch(None)
    return Ending(watch.exit, watch.why, watch.reason, watch.stage, watch.silence.longest_s)


class _Silence:
    """For how long a log did not grow at most, as far as that was looked at."""

    def __init__(self, now_s: float) -> None:
        self.longest_s = 0.0
        self._size_bytes = 0
        self._grown_s = now_s

    def note(self, size_bytes: int, now_s: float) -> None:
        """Take in the log's size at a moment. What came since the last look may have come at its end."""
        self.longest_s = max(self.longest_s, now_s - self._grown_s)
        if size_bytes != self._size_bytes:
            self._size_bytes, self._grown_s = size_bytes, now_s


class _Watch:
    """Watches one child. Its stage only ever rises, and each stage sends one signal."""

    def __init__(
        self,
        step: Step,
        number: int,
        attempt: Attempt,
        progress: Progress,
        rig: Rig | NoRig,
        log_limit_bytes: int,
    ) -> None:
        self.step, self.number, self.attempt, self.progress, self.rig = step, number, attempt, progress, rig
        self.log_limit_bytes = log_limit_bytes
        self.stage = Stage.RUNNING
        self.exit: Exit | None = None
        self.why: Verdict | None = None
        self.reason = ""
        self.silence = _Silence(progress.clock())
        self._due_s = float("inf")
        timeout_s = step.timeout_s if step.timeout_s is not None else float("inf")
        self._deadline_s = progress.clock() + timeout_s

    def through(self) -> None:
        """Watch until the child has ended, or even SIGKILL did not end it."""
        while not self._ended():
            self.progress.notice_stops()
            now_s = self.progress.clock()
            if self.why is None:
                self._look_for_reason(now_s)
            if self.why is not None:
                self.rig.lost()  # else the guard takes calseq for silent, and interrupts the child a second time
                if self.stage is Stage.KILLED and now_s >= self._due_s:
                    self._give_up()
                    return
                self._escalate(now_s)
            next_s = self._deadline_s if self.why is None else self._due_s
            self.progress.stops.pause(max(0.0, min(TICK_S, next_s - now_s)))
        self._look()

    def _ended(self) -> bool:
        self.exit = self.exit or self.attempt.poll()
        return self.exit is not None

    def _give_up(self) -> None:
        """A child that hangs in the kernel cannot be waited for while the module may be under HV."""
        self.reason += f"; even SIGKILL did not end it within {TERM_GRACE_S:g} s"
        self.progress.halt(f"{self.step.name}: {self.reason}")

    def _look_for_reason(self, now_s: float) -> None:
        look = self._look()
        found = next(self._reasons(look, now_s), None)
        if found:
            self.why, self.reason = found

    def _look(self) -> Look:
        look = self.attempt.look()
        self.silence.note(look.size_bytes, self.progress.clock())
        self._tell_progress(look)
        return look

    def _reasons(self, look: Look, now_s: float) -> Iterator[tuple[Verdict, str]]:
        if self.progress.stops.level:
            yield Verdict.INTERRUPTED, f"stopped by {self.progress.stops.who}"
        if self.progress.lost:
            yield Verdict.FAILED, self.progress.lost
        alarm = self.progress.alarm()
        if alarm:
            yield Verdict.FAILED, alarm
        lost = self.rig.lost()
        if lost:
            self.progress.halt(f"power lost: {lost}")
            self.progress.tell(events.PowerFailed(lost))
            yield Verdict.FAILED, f"power lost: {lost}"
        if now_s >= self._deadline_s:
            yield Verdict.TIMED_OUT, f"timed out after {self.step.timeout_s:g} s"
        if look.size_bytes > self.log_limit_bytes:
            yield Verdict.FAILED, f"its log passed {self.log_limit_bytes >> 20} MiB"
        if look.free_bytes < MIN_FREE_BYTES:
            self.progress.halt("the disk is almost full")
            yield Verdict.FAILED, f"the disk is almost full: {look.free_bytes >> 20} MiB are left"

    def _escalate(self, now_s: float) -> None:
        """Go to the stage that the operator's presses or the end of a grace ask for."""
        wanted = max(Stage.ASKED, Stage(self.progress.stops.level), self.stage)
        if now_s >= self._due_s:
            wanted = Stage(max(wanted, min(self.stage + 1, Stage.KILLED)))
        if wanted is self.stage:
            return
        self.stage = wanted
        self._due_s = now_s + (self.step.stop_grace_s if wanted is Stage.ASKED else TERM_GRACE_S)
        self.attempt.send(SIGNALS[wanted])
        name = SIGNALS[wanted].name
        self.progress.tell(events.ChildSignalled(self.step.number, self.number, name, self.reason))

    def _tell_progress(self, look: Look) -> None:
        for banner in look.banners:
            progress = events.StepProgressed(
                self.step.number, self.number, banner.part, banner.parts, banner.title
            )
            self.progress.tell(progress)

    def end_at_any_price(self) -> None:
        """End a child that a bug left unwatched: all stages with their graces, and no word to the record."""
        progress = self.progress
        self.reason = "; ".join(filter(None, (self.reason, progress.halted)))
        if self.why is None:
            self.why = Verdict.INTERRUPTED if progress.halted == progress.stopped_by else Verdict.FAILED
        if self.stage is not Stage.RUNNING:
            # a bug may have come between a stage and its time limit: no stage is waited for without end
            left_s = min(max(0.0, self._due_s - progress.clock()), self.step.stop_grace_s)
            self._safely(lambda: self._wait_until(self._ended, left_s))
        for stage, number in SIGNALS.items():
            if stage > self.stage and not self._safely(self._ended):
                self.stage = stage
                grace_s = self.step.stop_grace_s if stage is Stage.ASKED else TERM_GRACE_S
                self._safely(lambda number=number: self.attempt.send(number))  # type: ignore[misc]
                self._safely(lambda grace_s=grace_s: self._wait_until(self._ended, grace_s))  # type: ignore[misc]
        self._safely(self.end_leftovers)

    def _safely(self, do: Callable[[], object]) -> bool:
        """Do it; what it raises must not keep the child from the next stage."""
        try:
            return bool(do())
        except BaseException as error:  # noqa: BLE001
            self.progress.caught(error)
            return False

    def end_leftovers(self) -> None:
        """End what outlived the child before anything else starts."""
        left = self.attempt.left()
        if not left:
            return
        names = tuple(str(process) for process in left)
        self.attempt.end_left(signal.SIGTERM)
        if not self._wait_until(lambda: not self.attempt.left(), LEFTOVER_GRACE_S):
            self._wait_until(self._none_left_after_kill, LEFTOVER_GRACE_S)
        still = self.attempt.left()
        if still:
            self.progress.halt(f"{self.step.name} left {still[0]} behind, and it could not be ended")
        else:
            self.progress.tell(events.LeftoversEnded(self.step.number, self.number, names))

    def _none_left_after_kill(self) -> bool:
        """Kill again each time: what forks while it is killed leaves others."""
        self.attempt.end_left(signal.SIGKILL)
        return not self.attempt.left()

    def _wait_until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        due_s = self.progress.clock() + timeout_s
        while not done() and self.progress.clock() < due_s:
            self.rig.lost()
            self.progress.stops.pause(0.02)
        return done()
