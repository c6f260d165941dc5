"""How a run stands in a few words: its verdict, whether that is good, and the reason."""

from msgspec import Struct

from calseq.console.times import spoken
from calseq.console.view import State
from calseq.report.dossier import Dossier
from calseq.report.power import PowerState
from calseq.standing import Phase
from calseq.verdicts import RunVerdict

_WORDS = {
    RunVerdict.PASSED: ("Passed", "good", "✓"),
    RunVerdict.FAILED: ("Failed", "bad", "✗"),
    RunVerdict.INTERRUPTED: ("Interrupted", "warn", "■"),
    RunVerdict.UNSAFE: ("Unsafe", "bad", "⚠"),
    RunVerdict.BROKEN: ("Broken off by a bug in calseq", "bad", "✗"),
}


class Headline(Struct, frozen=True):
    """A verdict in words, its tone ('good', 'warn', 'bad' or 'open'), a sign for it, and the reason."""

    word: str
    tone: str
    sign: str
    reason: str


def headline(dossier: Dossier) -> Headline:
    """Give the verdict of a run, or how it stands if it has none."""
    standing, view = dossier.standing, dossier.told.view
    unsafe = dossier.power.state is PowerState.UNKNOWN
    match standing.phase:
        case Phase.ENDED:
            word, tone, sign = _word(standing.record.verdict)
            return Headline(word, "bad" if unsafe else tone, sign, _reason(dossier))
        case Phase.DIED:
            why = f"calseq ended before the run did: its record stops {spoken(view.t)} after its start"
            return Headline("Torn off", "bad" if unsafe else "warn", "■", why)
        case Phase.DYING:
            return Headline(
                "Being torn off", "warn", "■", "calseq is gone, and its guard is making the bench safe"
            )
        case Phase.ELSEWHERE:
            why = f"its record says that it goes on, on {standing.record.host}: whether it does cannot be seen from here"
            return Headline("Not ended", "open", "…", why)
        case Phase.RUNNING:
            return Headline("Still running", "open", "…", counts(dossier))


def counts(dossier: Dossier) -> str:
    """Count the steps by how they ended: `3 of 5 steps passed, 1 failed, 1 skipped`."""
    states = [each.state for each in dossier.steps]
    good = states.count(State.PASSED) + states.count(State.KEPT)
    kept = f"{states.count(State.KEPT)} of them before the run was resumed" * (State.KEPT in states)
    words = {State.WAITING: "not run", State.LEFT_OUT: "left out"}
    others = [
        f"{states.count(state)} {words.get(state, state.value)}"
        for state in State
        if state not in (State.PASSED, State.KEPT) and state in states
    ]
    return ", ".join(filter(None, (f"{good} of {len(states)} steps passed", kept, *others)))


def _word(verdict: str) -> tuple[str, str, str]:
    known = next((words for each, words in _WORDS.items() if each.value == verdict), None)
    return known or (verdict or "Ended", "bad", "✗")


def _reason(dossier: Dossier) -> str:
    reason = dossier.standing.record.reason
    failed = next((each for each in dossier.steps if each.is_bad), None)
    if failed and failed.reason and failed.step.name in reason and failed.reason not in reason:
        return f"{reason}: {failed.reason}"
    return reason or counts(dossier)
