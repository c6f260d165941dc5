"""How long a step or a run still takes, in words and as a bar: never more is said than is known."""

from msgspec import Struct

from calseq.console.characters import Alphabet
from calseq.model.expectations import SLOW, Expectation
from calseq.record.past import State
from calseq.record.view import RunView, StepView
from calseq.record.words import usual
from calseq.system.times import about, clocked, spoken

_CELLS = 8
_QUIET_S = 5.0
_LONG_SILENCE_S = 600.0
_SHORT_SILENCE_S = 60.0
_TO_COME = frozenset({State.WAITING, State.RUNNING, State.RETRYING})


class Remaining(Struct, frozen=True):
    """What a run still has to do: `known_s` of it, and whether that is `all`, and all of it `measured`."""

    known_s: float
    all: bool
    measured: bool

    @property
    def words(self) -> str:
        """The time in words: `~49m` if it was measured, `usually 49m`, `at least 30m`; empty if nothing is known."""
        if self.known_s <= 0:
            return ""
        if not self.all:
            return f"at least {about(self.known_s)}"
        return f"{'~' if self.measured else 'usually '}{about(self.known_s)}"


def lateness(each: StepView, now_t: float) -> str:
    """Say that a step takes longer than expected: `late`, then `SLOW`; empty as long as it does not."""
    if each.expected is None:
        return ""
    share = each.elapsed_s(now_t) / each.expected.usual_s
    return "SLOW" if share >= SLOW else "late" if share > 1 else ""


def pace(each: StepView, now_t: float, *, brief: bool = False) -> str:
    """Give the time that a step has taken against the expected: `03:12 / ~30m`, `50:03 / ~30m, SLOW`."""
    measured = each.expected is not None and each.expected.is_measured
    expected = usual(each.expected) if measured or not brief else ""
    against = ("/" if brief else " / ").join(filter(None, (clocked(each.elapsed_s(now_t)), expected)))
    return (" " if brief else ", ").join(filter(None, (against, lateness(each, now_t))))


def said_pace(each: StepView, now_t: float) -> str:
    """Give the same in a sentence: `has run for 3m 12s, ~30m expected`, `has run for 50m, SLOW: usually 30m`."""
    words = [f"has run for {spoken(each.elapsed_s(now_t))}", said_usual(each.expected)]
    if late := lateness(each, now_t):
        words[1] = f"{late}: {words[1]}"
    return ", ".join(filter(None, words))


def said_usual(expected: Expectation | None) -> str:
    """Give in a sentence how long a step is expected to take: `~10m expected`, `usually 45m`."""
    words = usual(expected, "usually ")
    return f"{words} expected" if words.startswith("~") else words


def bar(each: StepView, now_t: float, letters: Alphabet) -> str:
    """Draw how far a step is, where earlier runs tell it; until it has ended the bar is not full."""
    if each.expected is None or not each.expected.is_measured:
        return ""
    full = min(int(_CELLS * each.elapsed_s(now_t) / each.expected.usual_s), _CELLS - 1)
    done, ahead = letters.bar
    return done * full + ahead * (_CELLS - full)


def remaining(view: RunView, now_t: float) -> Remaining:
    """Give what a run still has to do. Nobody knows how long a step still takes that is late."""
    if view.ended or view.stop or view.making_safe:
        return Remaining(0.0, all=False, measured=False)
    ahead = [each for each in view.steps if each.state in _TO_COME]
    known = [each for each in ahead if each.expected and not (_runs(each) and lateness(each, now_t))]
    return Remaining(
        sum(_left_s(each, now_t) for each in known),
        all=len(known) == len(ahead),
        measured=all(each.expected and each.expected.is_measured for each in known),
    )


def silence(silent_s: float, longest_s: float | None, *, empty: bool) -> str:
    """Give for how long nothing was printed, beside the longest silence seen; a few seconds are not worth saying."""
    if silent_s < _QUIET_S:
        return ""
    said = f"no output yet for {spoken(silent_s)}" if empty else f"silent for {spoken(silent_s)}"
    if longest_s is None:
        return said
    if silent_s > longest_s:
        return f"{said}, longer than ever seen ({about(longest_s)})"
    return f"{said} (longest seen {about(longest_s)})"


def is_long(silent_s: float, longest_s: float | None) -> bool:
    """Whether a silence is suspicious: longer than any seen before, or long by itself."""
    return silent_s >= (_LONG_SILENCE_S if longest_s is None else max(longest_s, _SHORT_SILENCE_S))


def longest_silence_s(each: StepView) -> float | None:
    """Give the longest silence of a step in earlier runs, if there were enough of them."""
    return each.expected.longest_silence_s if each.expected else None


def _runs(each: StepView) -> bool:
    return each.state is State.RUNNING


def _left_s(each: StepView, now_t: float) -> float:
    if each.expected is None:
        return 0.0
    spent_s = each.elapsed_s(now_t) if _runs(each) else 0.0
    return max(each.expected.usual_s - spent_s, 0.0)
