"""What of a run needs attention, in words: everything that did not go as it should, the gravest first."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from calseq.measurement.curves import NotUnderstood
from calseq.model.expectations import SLOW
from calseq.model.verdicts import NOT_READ
from calseq.record.aftermath import PowerState
from calseq.record.past import State
from calseq.record.words import ending_said, hv_box_words, state_said
from calseq.report.run_data import Dossier
from calseq.report.steps import StepStory
from calseq.system.times import spoken

MOST_NAMED = 8
"""So many steps are named in one sentence."""


_NO_BIAS = "no bias: "
_NOT_RUN = (State.SKIPPED, State.LEFT_OUT, State.WAITING)


class Matter(Struct, frozen=True):
    """Something to look at; a grave one is about the hardware or the record. `step` is the number it is about."""

    text: str
    grave: bool = False
    step: int = 0


def attention(dossier: Dossier) -> tuple[Matter, ...]:
    """Give what needs attention, the gravest first."""
    found = (
        *_damaged(dossier),
        *_unread(dossier),
        *_endings(dossier.steps, lambda each: each.is_bad),
        *_unbiased(dossier),
        *_noted(dossier),
        *_endings(dossier.steps, lambda each: each.state in _NOT_RUN),
        *_odd(dossier.steps),
        *_strayed(dossier),
    )
    once: dict[str, Matter] = {}
    for matter in found:
        once.setdefault(matter.text, matter)
    return tuple(sorted(once.values(), key=lambda matter: not matter.grave))


def named(stories: Iterable[StepStory]) -> str:
    """Name steps: `step 4 tune_1000`, `steps 4 a, 5 b`, and of many how many more there are."""
    steps = [f"{each.step.number} {each.step.name}" for each in stories]
    more = len(steps) - MOST_NAMED
    said = ", ".join(steps[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"step{'s' * (len(steps) > 1)} {said}"


def _damaged(dossier: Dossier) -> Iterator[Matter]:
    yield from (Matter(f"the record is damaged: {text}", grave=True) for text in dossier.damage)


def _unread(dossier: Dossier) -> Iterator[Matter]:
    if dossier.power.state is PowerState.UNCONTROLLED:
        yield Matter(f"{NOT_READ} before you touch the module")


def _unbiased(dossier: Dossier) -> Iterator[Matter]:
    for each in dossier.judged:
        if not each.decision.allowed:
            text = f"bias was not allowed: {each.decision.reason}"
            yield Matter(text, step=each.decision.step)
        if each.same is False:
            yield Matter(f"the breakdowns.json of {each.step} is not the one that was decided on", grave=True)


def _noted(dossier: Dossier) -> Iterator[Matter]:
    # the bias decisions are told on their own
    decided = {
        f"{'bias allowed' if each.decision.allowed else 'no bias'}: {each.decision.reason}"
        for each in dossier.judged
    }
    for note in dossier.told.view.notes:
        if note.text not in decided:
            yield Matter(note.text, note.grave)


def _endings(stories: Iterable[StepStory], wanted: Callable[[StepStory], bool]) -> Iterator[Matter]:
    """Matters of the steps without a good end, those of one ending and reason together."""
    groups: dict[tuple[State, int, str], list[StepStory]] = {}
    for each in filter(wanted, stories):
        # why there is no bias is told on its own, and not once more for every step that wants it
        reason = "bias was not allowed" if each.reason.startswith(_NO_BIAS) else each.reason
        groups.setdefault((each.state, len(each.tries), reason), []).append(each)
    for (state, tries, reason), members in groups.items():
        after = f" after {tries} attempts" if tries > 1 else ""
        said = ending_said(f"{state_said(state, over=True)}{after}", reason)
        text = f"{named(members)} {said}"
        yield Matter(text, step=members[0].step.number)


def _odd(stories: Sequence[StepStory]) -> Iterator[Matter]:
    """Matters of retries that passed, of slow steps, and of curves that were not understood."""
    for each in stories:
        if len(each.tries) > 1 and not each.is_bad and each.kept_at is None:
            reasons = dict.fromkeys(one.reason or str(one.state) for one in each.tries[:-1])
            text = f"passed at attempt {each.tries[-1].number}, before that: {'; '.join(reasons)}"
            yield Matter(f"{named([each])} {text}", step=each.step.number)
    yield from _slow([each for each in stories if each.lateness and not each.is_bad])
    for each in stories:
        for curve in each.curves:
            if isinstance(curve, NotUnderstood):
                text = f"{curve.file} of {named([each])} was not understood: {curve.reason}"
                yield Matter(text, step=each.step.number)


def _slow(stories: Sequence[StepStory]) -> Iterator[Matter]:
    if len(stories) > MOST_NAMED:
        yield Matter(f"{named(stories)} were slow: at least {SLOW:g} times as long as usual")
        return
    for each in stories:
        if each.duration_s is not None and each.expected:
            text = f"was slow: {spoken(each.duration_s)}, usually {spoken(each.expected.usual_s)}"
            yield Matter(f"{named([each])} {text}", step=each.step.number)


def _strayed(dossier: Dossier) -> Iterator[Matter]:
    standing = dossier.plan.standing
    if standing.judged and not standing.official:
        like = (
            f": it differs from '{standing.like}' in {'; '.join(standing.differences)}"
            if standing.like
            else ""
        )
        yield Matter(f"this is not an official sequence{like}")
    box = hv_box_words(dossier.plan)
    if box:
        yield Matter(box)
    yield from (Matter(f"warned before the run: {text}") for text in dossier.plan.warnings)
