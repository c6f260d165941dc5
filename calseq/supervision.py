"""A child from its start to its end: watched, and ended gently and then firmly when there is a reason to."""

import signal
from collections.abc import Callable, Iterator
from enum import IntEnum

from msgspec import Struct

from calseq import events
from calseq.attempt import Attempt, Look
from calseq.course import Course
from calseq.plan import Step
from calseq.process import Exit
from calseq.verdicts import Verdict

TICK_S = 1.0
TERM_GRACE_S = 30.0
LEFTOVER_GRACE_S = 2.0
MIN_FREE_BYTES = 100 << 20


class Stage(IntEnum):
    """How far the ending of a child has gone."""

    RUNNING = 0
    ASKED = 1
    TOLD = 2
    KILLED = 3


SIGNALS = {Stage.ASKED: signal.SIGINT, Stage.TOLD: signal.SIGTERM, Stage.KILLED: signal.SIGKILL}


class Ending(Struct, frozen=True):
    """How an attempt's child ended. `why` and `reason` are set when it was calseq that ended it."""

    exit: Exit | None = None
    why: Verdict | None = None
    reason: str = ""
    stage: Stage = Stage.RUNNING

    def judged(self) -> tuple[Verdict, str]:
        """Judge the ending by itself: what calseq ended has calseq's reason, whatever exit code came of it."""
        if self.why is not None:
            return self.why, self.reason
        if self.exit is None:
            return Verdict.NOT_STARTED, self.reason
        if self.exit.signal:
            hint = ": out of memory, or somebody's kill" if self.exit.signal == "SIGKILL" else ""
            return Verdict.FAILED, f"ended by {self.exit.signal}, not by calseq{hint}"
        if self.exit.code:
            hint = ": it did not understand its command line" if self.exit.code == 2 else ""
            return Verdict.FAILED, f"exit code {self.exit.code}{hint}"
        return Verdict.PASSED, ""


def supervise(step: Step, number: int, attempt: Attempt, course: Course, log_limit_bytes: int) -> Ending:
    """Start the child of an attempt and see it through to its end, with all that it leaves behind.

    Raises:
        NotStarted: it could not be started.
    """
    watch = _Watch(step, number, attempt, course, log_limit_bytes)
    pid = attempt.start()
    try:
        course.tell(events.ChildStarted(step.number, number, pid))
        watch.through()
    except BaseException:
        watch.end_at_any_price()
        raise
    watch.end_leftovers()
    return Ending(attempt.poll(), watch.why, watch.reason, watch.stage)


class _Watch:
    """Watches one child. Its stage only ever rises, and each stage sends one signal."""

    def __init__(
        self, step: Step, number: int, attempt: Attempt, course: Course, log_limit_bytes: int
    ) -> None:
        self.step, self.number, self.attempt, self.course = step, number, attempt, course
        self.log_limit_bytes = log_limit_bytes
        self.stage = Stage.RUNNING
        self.why: Verdict | None = None
        self.reason = ""
        self._due_s = float("inf")
        timeout_s = step.timeout_s if step.timeout_s is not None else float("inf")
        self._deadline_s = course.clock() + timeout_s

    def through(self) -> None:
        while self.attempt.poll() is None:
            self.course.notice_stops()
            now_s = self.course.clock()
            if self.why is None:
                self._look_for_reason(now_s)
            if self.why is not None:
                self._escalate(now_s)
            next_s = self._deadline_s if self.why is None else self._due_s
            self.course.stops.pause(max(0.0, min(TICK_S, next_s - now_s)))
        self._tell_progress(self.attempt.look())

    def _look_for_reason(self, now_s: float) -> None:
        look = self.attempt.look()
        self._tell_progress(look)
        found = next(self._reasons(look, now_s), None)
        if found:
            self.why, self.reason = found

    def _reasons(self, look: Look, now_s: float) -> Iterator[tuple[Verdict, str]]:
        if self.course.stops.level:
            yield Verdict.INTERRUPTED, f"stopped by {self.course.stops.cause}"
        if self.course.lost:
            yield Verdict.FAILED, self.course.lost
        if now_s >= self._deadline_s:
            yield Verdict.TIMED_OUT, f"timed out after {self.step.timeout_s:g} s"
        if look.size_bytes > self.log_limit_bytes:
            yield Verdict.FAILED, f"its log passed {self.log_limit_bytes >> 20} MiB"
        if look.free_bytes < MIN_FREE_BYTES:
            self.course.halt("the disk is almost full")
            yield Verdict.FAILED, f"the disk is almost full: {look.free_bytes >> 20} MiB are left"

    def _escalate(self, now_s: float) -> None:
        """Go to the stage that the operator's presses or the end of a grace ask for."""
        wanted = max(Stage.ASKED, Stage(self.course.stops.level), self.stage)
        if now_s >= self._due_s:
            wanted = Stage(max(wanted, min(self.stage + 1, Stage.KILLED)))
        if wanted is self.stage:
            return
        self.stage = wanted
        self._due_s = now_s + (self.step.stop_grace_s if wanted is Stage.ASKED else TERM_GRACE_S)
        self.attempt.send(SIGNALS[wanted])
        name = SIGNALS[wanted].name
        self.course.tell(events.ChildSignalled(self.step.number, self.number, name, self.reason))

    def _tell_progress(self, look: Look) -> None:
        for banner in look.banners:
            progress = events.StepProgressed(
                self.step.number, self.number, banner.part, banner.parts, banner.title
            )
            self.course.tell(progress)

    def end_at_any_price(self) -> None:
        """End a child that nobody watches any more: all stages with their graces, and no word to the record."""
        graces_s = {Stage.ASKED: self.step.stop_grace_s, Stage.TOLD: TERM_GRACE_S, Stage.KILLED: TERM_GRACE_S}
        for stage, grace_s in graces_s.items():
            if self.attempt.poll() is None and stage > self.stage:
                self.stage = stage
                self.attempt.send(SIGNALS[stage])
                self._wait_until(lambda: self.attempt.poll() is not None, grace_s)
        self.attempt.end_left(signal.SIGKILL)

    def end_leftovers(self) -> None:
        """End what outlived the child before anything else starts."""
        left = self.attempt.left()
        if not left:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.attempt.end_left(number)
            if self._wait_until(lambda: not self.attempt.left(), LEFTOVER_GRACE_S):
                break
        names = tuple(str(process) for process in left)
        self.course.tell(events.LeftoversEnded(self.step.number, self.number, names))

    def _wait_until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        due_s = self.course.clock() + timeout_s
        while not done() and self.course.clock() < due_s:
            self.course.stops.pause(0.02)
        return done()
