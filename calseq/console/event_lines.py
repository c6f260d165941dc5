"""What is worth saying about an event, in one line or none: the words of a run without pictures."""

# ruff: noqa: ARG001 - every event is told with all that any of them needs

from functools import singledispatch

from calseq.console.characters import Alphabet
from calseq.console.forecast import longest_silence_s, remaining, said_pace, said_usual, silence
from calseq.console.line import text_of
from calseq.console.wording import (
    ENDINGS,
    MOVES,
    attempts,
    banner,
    bias_target,
    rails_line,
    step_end,
    step_place,
)
from calseq.model.events import (
    BiasDecided,
    ChildSignalled,
    InterlockViolated,
    LeftoversEnded,
    ListenerDropped,
    PowerFailed,
    RailMoved,
    RailMoving,
    RailsRead,
    RunEnded,
    RunResumed,
    RunStarted,
    SafeEndFinished,
    SafeEndStarted,
    StepEnded,
    StepKept,
    StepLeftOut,
    StepProgressed,
    StepSkipped,
    StepStarted,
    StopAsked,
)
from calseq.model.rails import Move
from calseq.model.verdicts import NOT_CONTROLLED, UNKNOWN_HARDWARE
from calseq.record.log_tail import Tail
from calseq.record.view import RunView, StepView
from calseq.record.words import counted
from calseq.system.times import spoken


@singledispatch
def narrate(event: object, view: RunView, letters: Alphabet) -> str:
    """Give the line to say of an event, or nothing; `view` has seen it already."""
    return ""


def heartbeat(step: StepView, view: RunView, now_t: float, tail: Tail, letters: Alphabet) -> str:
    """Give the line that says that a step still runs, for how long, and whether it still prints."""
    parts = (
        f"{step_place(step, view, letters)} {said_pace(step, now_t)}",
        banner(step, letters),
        silence(tail.silent_s, longest_silence_s(step), empty=not tail.size_bytes),
    )
    return ", ".join(part for part in parts if part)


@narrate.register
def _(event: RunStarted, view: RunView, letters: Alphabet) -> str:
    simulated = "SIMULATED " if view.simulated else ""
    module = f", module {letters.text(view.module)}" if view.module else ""
    word = f"{view.plan.standing.word} " if view.plan.standing.word else ""
    where = f"on bench {letters.text(event.bench)}{module}"
    left_out = sum(bool(each.step.left_out) for each in view.steps)
    steps = f"{counted(event.steps, 'step')}{f', {left_out} of them left out' if left_out else ''}"
    said = ", ".join(filter(None, (steps, remaining(view, 0.0).words)))
    return f"{simulated}{word}run of {letters.text(event.title)} started {where}: {said}"


@narrate.register
def _(event: RunResumed, view: RunView, letters: Alphabet) -> str:
    simulated = "SIMULATED " if view.simulated else ""
    who = f" by {letters.text(event.operator)}" if event.operator else ""
    counts = f"{len(event.kept)} of {len(view.steps)} steps are kept, {len(event.again)} to run"
    return f"{simulated}run of {letters.text(view.plan.title)} resumed{who}: {counts}"


@narrate.register
def _(event: StepKept, view: RunView, letters: Alphabet) -> str:
    took = f"it passed in {spoken(event.duration_s)} before the run was resumed"
    return f"step {event.step}/{len(view.steps)} {letters.text(event.name)} kept: {took}"


@narrate.register
def _(event: StepLeftOut, view: RunView, letters: Alphabet) -> str:
    return f"step {event.step}/{len(view.steps)} {letters.text(event.name)} left out: {letters.text(event.reason)}"


@narrate.register
def _(event: StepStarted, view: RunView, letters: Alphabet) -> str:
    step = view.step(event.step)
    if step is None:
        return f"step {event.step} {letters.text(event.name)} started (attempt {event.attempt})"
    said = f"{step_place(step, view, letters)} started (attempt {event.attempt})"
    return ", ".join(filter(None, (said, said_usual(step.expected))))


@narrate.register
def _(event: StepProgressed, view: RunView, letters: Alphabet) -> str:
    step = view.step(event.step)
    return f"{step_place(step, view, letters)}: {banner(step, letters)}" if step else ""


@narrate.register
def _(event: ChildSignalled, view: RunView, letters: Alphabet) -> str:
    return f"step {event.step}: {letters.text(event.signal)} sent: {letters.text(event.why)}"


@narrate.register
def _(event: LeftoversEnded, view: RunView, letters: Alphabet) -> str:
    who = letters.text(", ".join(event.processes))
    return f"step {event.step} left processes behind, they were ended: {who}"


@narrate.register
def _(event: StepEnded, view: RunView, letters: Alphabet) -> str:
    step = view.step(event.step)
    place = step_place(step, view, letters) if step else f"step {event.step} {letters.text(event.name)}"
    again = f"; it is tried again ({attempts(step)} is over)" if step and event.retried else ""
    return f"{place} {step_end(event, letters)}{again}"


@narrate.register
def _(event: StepSkipped, view: RunView, letters: Alphabet) -> str:
    return f"step {event.step}/{len(view.steps)} {letters.text(event.name)} skipped: {letters.text(event.reason)}"


@narrate.register
def _(event: BiasDecided, view: RunView, letters: Alphabet) -> str:
    told = "; ".join((event.reason, *event.notes))
    return f"{'bias allowed' if event.allowed else 'no bias'}: {letters.text(told)}"


@narrate.register
def _(event: RailMoving, view: RunView, letters: Alphabet) -> str:
    if not view.plan.controls_rails:
        return ""
    target = f" ({bias_target(view.plan)})" if event.move is Move.HV_BIAS else ""
    return f"switching: {MOVES[event.move]}{target}"


@narrate.register
def _(event: RailMoved, view: RunView, letters: Alphabet) -> str:
    if not view.plan.controls_rails:
        return ""
    return f"switched in {spoken(event.duration_s)}, read back: {_rails(view, letters)}"


@narrate.register
def _(event: RailsRead, view: RunView, letters: Alphabet) -> str:
    return f"read back: {_rails(view, letters)}" if view.plan.controls_rails else ""


@narrate.register
def _(event: PowerFailed, view: RunView, letters: Alphabet) -> str:
    doing = f" at '{MOVES[event.move]}'" if event.move else ""
    return f"POWER FAILED{doing}: {letters.text(event.reason)}"


@narrate.register
def _(event: StopAsked, view: RunView, letters: Alphabet) -> str:
    if event.count > 1:
        return f"stop asked again by {letters.text(event.cause)}, {event.count} times by now: less gently"
    return f"stop asked by {letters.text(event.cause)}: no further step, then the safe end"


@narrate.register
def _(event: SafeEndStarted, view: RunView, letters: Alphabet) -> str:
    return "making safe: HV off, then LV off" if view.plan.controls_rails else ""


@narrate.register
def _(event: SafeEndFinished, view: RunView, letters: Alphabet) -> str:
    if not view.plan.controls_rails:
        return NOT_CONTROLLED
    if event.confirmed:
        return f"HV off, LV off: confirmed ({_rails(view, letters)})"
    return f"{UNKNOWN_HARDWARE}: {letters.text(event.reason)} ({_rails(view, letters)})"


@narrate.register
def _(event: InterlockViolated, view: RunView, letters: Alphabet) -> str:
    return f"INTERLOCK VIOLATED: {letters.text(event.violation)}"


@narrate.register
def _(event: ListenerDropped, view: RunView, letters: Alphabet) -> str:
    return f"{letters.text(event.listener)} stopped, the run goes on without it: {letters.text(event.reason)}"


@narrate.register
def _(event: RunEnded, view: RunView, letters: Alphabet) -> str:
    why = f": {letters.text(event.reason)}" if event.reason else ""
    return f"the run has {ENDINGS[event.verdict]} after {spoken(event.duration_s)}{why} (calseq exits with {event.exit_code})"


def _rails(view: RunView, letters: Alphabet) -> str:
    return ", ".join(part.strip() for part in text_of(rails_line(view, letters)).split("   "))
