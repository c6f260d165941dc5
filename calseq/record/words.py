"""Words for a run's power mode, the states of its steps, its reason and its expected times, for terminals and pages."""

import re
from collections.abc import Iterable

from calseq.model.expectations import Expectation
from calseq.model.plan import Plan, PowerMode
from calseq.record.past import State
from calseq.system.times import about

MODES = {
    PowerMode.ICICLE: "power by icicle",
    PowerMode.DIRIGENT: "power by dirigent",
    PowerMode.SIMULATED: "simulated bench",
}


def power_words(plan: Plan) -> str:
    """Say who moves the rails, and whether that is only rehearsed."""
    if plan.rehearses == plan.mode:
        return f"{MODES[plan.mode]}, rehearsed on the simulator"
    return MODES[plan.mode] + (f" in the place of {plan.rehearses}" if plan.rehearses else "")


def state_word(state: State, *, over: bool) -> str:
    """Give the one word for a step's state: what waits in a run that is over was not run."""
    return "not run" if over and state is State.WAITING else state.value


def state_said(state: State, *, over: bool) -> str:
    """Give that word as it stands in a sentence: `left out`, and every verdict as it is."""
    return "left out" if state is State.LEFT_OUT else state_word(state, over=over)


_UNBIASED = re.compile(r".+? was skipped: no bias: (.+)", re.DOTALL)


def run_reason(reason: str, endings: Iterable[str]) -> str:
    """Give why a run did not pass, the same in every headline; `endings` are the words for how its steps ended.

    Of sensors that were not biased it says that, and how many steps were skipped, in the place of the first of them.
    """
    found = _UNBIASED.fullmatch(reason)
    if not found:
        return reason
    skipped = list(endings).count(State.SKIPPED.value)
    return f"{first_clause(found[1])}: sensors not biased, {counted(skipped, 'step')} skipped"


def first_clause(reason: str) -> str:
    """Give what a reason says up to its first colon or semicolon."""
    return re.split(r"[:;] ", reason, maxsplit=1)[0]


def counted(number: int, noun: str) -> str:
    """Give a number of things: `1 step`, `2 steps`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def ending_said(word: str, reason: str) -> str:
    """Give how a step ended, and why; a time-out says that in its reason already."""
    if not reason or reason.startswith(word.replace("-", " ")):
        return reason or word
    return f"{word}: {reason}"


def hv_box_words(plan: Plan) -> str:
    """What a plan's HV box means for its bias; empty without one."""
    box = plan.hv_box
    if box is None:
        return ""
    how = {
        "closed": "the bench file says that its channels are closed",
        "ask": "--hv-box-closed confirms that its channels are closed" if plan.needs_bias else "",
    }.get(box.stated, "")
    told = f"calseq does not control {box.shown}{f': {how}' if how else ''}"
    return f"bias at the supply; {told}" if plan.needs_bias else told


def usual(expected: Expectation | None, mark: str = "usual ") -> str:
    """Give how long a step is expected to take: `~10m` by earlier runs, `usual 45m` by the catalogue."""
    if expected is None:
        return ""
    return f"{'~' if expected.is_measured else mark}{about(expected.usual_s)}"
