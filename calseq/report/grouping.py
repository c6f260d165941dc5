"""Grouping of many steps in few rows: important steps have a row each, the others are folded and counted."""

from collections import Counter
from collections.abc import Sequence

from calseq.record.past import State
from calseq.record.words import state_word
from calseq.report.steps import StepStory

Group = tuple[StepStory, ...]
"""Consecutive steps in one row; mostly it is one."""


def folded(stories: Sequence[StepStory], most: int) -> tuple[Group, ...]:
    """Give all steps in their order, at most `most` of them on their own: those that matter most."""
    ranked = sorted(range(len(stories)), key=lambda place: (-_weight(stories[place]), place))
    alone = set(ranked[:most])
    groups: list[list[StepStory]] = []
    for place, story in enumerate(stories):
        if place in alone or place - 1 in alone or not groups:
            groups.append([story])
        else:
            groups[-1].append(story)
    return tuple(map(tuple, groups))


def _weight(story: StepStory) -> int:
    if story.is_bad or story.state is State.RUNNING:
        return 3
    return 2 if len(story.tries) > 1 or story.lateness else bool(story.curves)


def range_of(group: Group) -> str:
    """Name the steps of a group by their numbers: `steps 12 to 45`."""
    first, last = group[0].step.number, group[-1].step.number
    return f"step {first}" if len(group) == 1 else f"steps {first} to {last}"


def states_of(group: Group, *, over: bool) -> str:
    """Count a group's steps by their states: `33 passed, 1 skipped`."""
    counts = Counter(state_word(each.state, over=over) for each in group)
    return ", ".join(f"{count} {word}" for word, count in counts.items())
