"""The words for rails, moves, steps and stops: the same on every screen and in every record."""

from msgspec.structs import replace

from calseq.console.characters import Alphabet
from calseq.console.line import Line, Span
from calseq.model.events import StepEnded
from calseq.model.plan import Plan
from calseq.model.rails import Move, Reading, Role
from calseq.model.verdicts import UNKNOWN_HARDWARE, RunVerdict
from calseq.record.past import State
from calseq.record.view import RunView, StepView
from calseq.system.times import rounded, spoken

STYLES = {
    State.WAITING: "dim",
    State.RUNNING: "bold",
    State.RETRYING: "yellow",
    State.PASSED: "green",
    State.FAILED: "red",
    State.TIMED_OUT: "red",
    State.MISSING_OUTPUT: "red",
    State.NOT_STARTED: "red",
    State.INTERRUPTED: "yellow",
    State.SKIPPED: "yellow",
    State.KEPT: "green",
    State.LEFT_OUT: "dim",
}

VERDICT_STYLES = {
    RunVerdict.PASSED: "bold green",
    RunVerdict.FAILED: "bold red",
    RunVerdict.INTERRUPTED: "bold yellow",
    RunVerdict.UNSAFE: "bold reverse red",
    RunVerdict.BROKEN: "bold red",
}

MOVES = {
    Move.HV_OFF: "HV off",
    Move.LV_OFF: "LV off",
    Move.LV_ON: "LV on",
    Move.HV_BIAS: "HV to bias",
}

STANDINGS = {"official": "green", "unofficial": "bold yellow"}
"""The styles of the one word for whether a sequence is an official one."""


def volts(voltage_v: float) -> str:
    """Give a voltage as it is read: `4.0 V`, `-80 V`, `0 V`."""
    if abs(voltage_v) < 0.05:
        return "0 V"
    return f"{voltage_v:.1f} V" if abs(voltage_v) < 10 else f"{voltage_v:.0f} V"


def bias_target(plan: Plan) -> str:
    """Give the bias voltage that a plan goes to: `-80 V`, or `-80 V / -50 V` over several supplies."""
    targets = dict.fromkeys(volts(supply.target_v) for supply in plan.supplies)
    return " / ".join(targets) or "bias"


def rail(view: RunView, role: Role, letters: Alphabet, *, brief: bool = False) -> Span:
    """Give one rail as it is known to be: `HV off 0 V`, `LV driven by the step`, `HV unknown`.

    `brief` leaves out what can be missed where there is no room.
    """
    name = role.value.upper()
    rails = view.rails
    if not view.plan.controls_rails:
        return Span(f"{name} not controlled", "dim")
    if role in rails.driven:
        return Span(f"{name} driven" + " by the step" * (not brief), "yellow")
    if rails.readings is None:
        return Span(f"{name} not read yet", "dim")
    reading = rails.readings.hv if role is Role.HV else rails.readings.lv
    return _read_rail(name, replace(reading, current_a=None) if brief else reading, letters)


def rails_line(view: RunView, letters: Alphabet, *, brief: bool = False) -> Line:
    """Give both rails and the move that is under way."""
    pieces = [
        rail(view, Role.LV, letters, brief=brief),
        Span("   "),
        rail(view, Role.HV, letters, brief=brief),
    ]
    if view.rails.moving:
        pieces += [Span("   "), Span(f"now: {MOVES[view.rails.moving]}", "bold cyan")]
    return tuple(pieces)


def step_place(each: StepView, view: RunView, letters: Alphabet) -> str:
    """Give which step it is: `step 3/5 iv_curve`."""
    return f"step {each.step.number}/{len(view.steps)} {letters.text(each.step.name)}"


def window_title(view: RunView, letters: Alphabet) -> str:
    """Give what a terminal's title says: `calseq Panthera 3/6 iv_curve`."""
    focus = view.focus
    where = f"{focus.step.number}/{len(view.steps)} {focus.step.name}" if focus else ""
    what = "making safe" if view.making_safe else where
    return letters.text(f"calseq {view.plan.title} {what}", 120).rstrip()


def attempts(each: StepView) -> str:
    """Give which attempt it is, once there can be more than one: `attempt 2 of 3`."""
    return f"attempt {each.attempt} of {max(each.step.retries + 1, each.attempt)}"


def banner(each: StepView, letters: Alphabet) -> str:
    """Give the part of a step that has begun, as the child's own banner says: `2/3 Ramp down`."""
    return f"{each.part}/{each.parts} {letters.text(each.title)}".strip() if each.parts else ""


def step_end(event: StepEnded, letters: Alphabet) -> str:
    """Give how an attempt ended: `failed after 3m 12s: exit code 1`."""
    if event.reason.startswith("timed out"):
        return letters.text(event.reason)
    word = "in" if event.verdict.value == State.PASSED.value else "after"
    why = f": {letters.text(event.reason)}" if event.reason else ""
    return f"{event.verdict.value} {word} {spoken(event.duration_s)}{why}"


def stop_hints(view: RunView, now_t: float, *, watched: bool = False) -> tuple[str, ...]:
    """Give what Ctrl-C does right now, from the longest wording to the shortest; for who only watches, nothing much."""
    if view.ended:
        if view.ended.verdict is RunVerdict.UNSAFE:
            return (UNKNOWN_HARDWARE, "HV may be on")
        return (f"the run has {ENDINGS[view.ended.verdict]}", view.ended.verdict.value)
    if view.making_safe:
        return (
            f"making safe: {_safely(view, ', then ')} (please wait)",
            f"making safe: {_safely(view, ', then ')}",
        )
    return _hints_for_watchers(view) if watched else _hints_while_running(view, now_t)


def _hints_for_watchers(view: RunView) -> tuple[str, ...]:
    leave = f"Ctrl-C: stop watching, the run {'is stopping' if view.stop else 'goes on'}"
    return (f"{leave}; 'calseq stop': stop it safely", leave, "Ctrl-C: stop watching")


def _hints_while_running(view: RunView, now_t: float) -> tuple[str, ...]:
    running = view.running
    if running is None or running.pid is None:
        return _hints_between_steps(view)
    if running.signalled or view.stop:
        return _hints_while_stopping(view, running, now_t)
    gently = f"Ctrl-C: stop gently, then {_safely(view, ', ')}"
    return (gently, gently.replace("stop gently, then", "stop,"), "Ctrl-C: stop gently")


ENDINGS = {
    RunVerdict.PASSED: "passed",
    RunVerdict.FAILED: "failed",
    RunVerdict.INTERRUPTED: "been interrupted",
    RunVerdict.UNSAFE: "ended unsafe",
    RunVerdict.BROKEN: "broken off: a bug in calseq",
}


def _read_rail(name: str, reading: Reading, letters: Alphabet) -> Span:
    if reading.on is None:
        return Span(f"{name} unknown", "bold red")
    words = [name, reading.word]
    if reading.voltage_v is not None:
        words.append(volts(reading.voltage_v))
    if reading.current_a is not None and reading.on:
        words.append(_amperes(reading.current_a, letters))
    return Span(" ".join(words), ("bold yellow" if name == "HV" else "green") if reading.on else "")


def _amperes(current_a: float, letters: Alphabet) -> str:
    if abs(current_a) < 1e-3:
        return f"{current_a * 1e6:.2f} {letters.micro}A"
    return f"{current_a:.2f} A"


def _safely(view: RunView, between: str) -> str:
    if not view.plan.controls_rails:
        return "dirigent switches its supplies off itself"
    return f"HV off{between}LV off"


def _hints_between_steps(view: RunView) -> tuple[str, ...]:
    if view.stop:
        return (f"stopping: no further step, then {_safely(view, ', ')}", "stopping: no further step")
    return (f"Ctrl-C: no further step, then {_safely(view, ', ')}", "Ctrl-C: no further step")


def _hints_while_stopping(view: RunView, running: StepView, now_t: float) -> tuple[str, ...]:
    sent = running.signalled.signal if running.signalled else ""
    why = "stopping" if view.stop else _why(running)
    done = f"{why}: {sent} sent" if sent else f"{why}: signal on its way"
    if sent == "SIGKILL":
        return (f"{done}, then {_safely(view, ', ')}", done)
    count = view.stop.count if view.stop else 0
    # after a time-out the first Ctrl-C only asks for the run's stop: it moves the child no further
    following = {0: "stop the run too", 1: "SIGTERM now"}.get(count, "SIGKILL")
    again = f"Ctrl-C again: {following}" if count else f"Ctrl-C: {following}"
    waits = _countdown(running, now_t)
    return (
        f"{done}{waits}, {again}",
        f"{done}, {again}",
        f"{sent} sent; {again}".removesuffix(" now") if sent else again,
        again,
    )


def _why(running: StepView) -> str:
    return (running.signalled.why if running.signalled else "") or "stopping"


def _countdown(running: StepView, now_t: float) -> str:
    signalled = running.signalled
    if signalled is None or signalled.signal != "SIGINT":
        return ""
    left_s = signalled.t + running.step.stop_grace_s - now_t
    return f" (SIGTERM in {rounded(left_s)})" if left_s > 0 else ""
