"""Headline of a run: its verdict or phase, whether that is good, and the reason."""

from msgspec import Struct

from calseq.console.next_steps import next_words
from calseq.model.verdicts import RunVerdict
from calseq.record.aftermath import PowerState
from calseq.record.past import State
from calseq.record.status import GOING_ON, UNSEEN, Phase
from calseq.record.words import counted, ending_said, run_reason, state_said
from calseq.report.run_data import Dossier
from calseq.system.times import spoken

_WORDS = {
    RunVerdict.PASSED: ("Passed", "good", "✓"),
    RunVerdict.FAILED: ("Failed", "bad", "✗"),
    RunVerdict.INTERRUPTED: ("Interrupted", "warn", "■"),
    RunVerdict.UNSAFE: ("Unsafe", "bad", "⚠"),
    RunVerdict.BROKEN: ("Broken off by a bug in calseq", "bad", "✗"),
}


class Headline(Struct, frozen=True):
    """A verdict in words, its tone ('good', 'warn', 'bad' or 'open'), a sign for it, and the reason.

    `in_part`: it passed, and steps of the sequence were left out.
    """

    word: str
    tone: str
    sign: str
    reason: str
    in_part: bool = False

    @property
    def title(self) -> str:
        """The word as a person reads it: a run that left steps out has passed in part."""
        return f"{self.word}, in part" if self.in_part else self.word


def headline(dossier: Dossier) -> Headline:
    """Verdict of a run, or its phase if it has none."""
    standing = dossier.standing
    unsafe = dossier.power.state is PowerState.UNKNOWN
    match standing.phase:
        case Phase.ENDED:
            word, tone, sign = _word(standing.record.verdict)
            left_out = any(each.state is State.LEFT_OUT for each in dossier.steps)
            in_part = standing.record.verdict == RunVerdict.PASSED and left_out
            return Headline(word, "bad" if unsafe else tone, sign, _reason(dossier), in_part)
        case Phase.DIED:
            why = f"the run has no end: its record stops {spoken(dossier.told.ran_s)} after its start"
            return Headline("Died", "bad" if unsafe else "warn", "■", why)
        case Phase.DYING:
            return Headline("Dying", "warn", "■", "calseq is gone, and its guard is making the bench safe")
        case Phase.ELSEWHERE:
            why = f"its record says that it goes on, on {standing.record.host}: whether it does cannot be seen from here"
            return Headline("Elsewhere", "open", "…", why)
        case Phase.UNSEEN:
            return Headline("Unseen", "open", "…", UNSEEN)
        case Phase.RUNNING:
            return Headline("Running", "open", "…", counts(dossier))


def following(dossier: Dossier) -> tuple[str, ...]:
    """Say what to type next, as `calseq status` does; nothing if the run passed."""
    passed = dossier.standing.record.verdict == RunVerdict.PASSED and dossier.standing.safe is not False
    return () if dossier.standing.phase is Phase.ENDED and passed else next_words(dossier.standing)


def counts(dossier: Dossier) -> str:
    """Count the steps by how they ended: `3 of 5 steps passed, 1 failed, 1 skipped`."""
    states = [each.state for each in dossier.steps]
    good = states.count(State.PASSED) + states.count(State.KEPT)
    kept = f"{states.count(State.KEPT)} of them before the run was resumed" * (State.KEPT in states)
    over = dossier.standing.phase not in GOING_ON
    others = [
        f"{states.count(state)} {state_said(state, over=over)}"
        for state in State
        if state not in (State.PASSED, State.KEPT) and state in states
    ]
    return ", ".join(filter(None, (f"{good} of {counted(len(states), 'step')} passed", kept, *others)))


def _word(verdict: str) -> tuple[str, str, str]:
    known = next((words for each, words in _WORDS.items() if each.value == verdict), None)
    return known or (verdict or "Ended", "bad", "✗")


def _reason(dossier: Dossier) -> str:
    reason = dossier.standing.record.reason
    failed = next((each for each in dossier.steps if each.is_bad), None)
    if failed and failed.reason and failed.step.name in reason and failed.reason not in reason:
        word = str(failed.state)
        if reason.endswith(word):
            return reason.removesuffix(word) + ending_said(word, failed.reason)
        return f"{reason}: {failed.reason}"
    return run_reason(reason, (each.state.value for each in dossier.steps)) if reason else counts(dossier)
