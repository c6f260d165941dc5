"""The report as one page: everything in it, no script, and nothing fetched from anywhere."""

import os
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path

from msgspec import Struct

from calseq.console.planscript import quoted
from calseq.measurement.plots import can_plot
from calseq.model.rails import Role
from calseq.model.verdicts import WHAT_TO_DO
from calseq.record.past import State
from calseq.record.status import GOING_ON
from calseq.record.words import power_words, state_word
from calseq.report.attention import attention
from calseq.report.files import is_below, link
from calseq.report.grouping import Group, folded, range_of, states_of
from calseq.report.history import LANE_STATES, LANES
from calseq.report.pages import page
from calseq.report.pictures import Drawing, Picture, drawings, not_understood, pictures, plots_of, sensors
from calseq.report.power import evidence
from calseq.report.run_data import Dossier
from calseq.report.steps import StepStory
from calseq.report.timeline import Bar, Span, Tick, bars, breaks, lane, merged, ticks, usual_bar
from calseq.report.verdict import following, headline
from calseq.system.times import about, rounded, spoken

MOST_BYTES = 300_000
"""A page is not larger than this, dirigent's own pictures aside."""

MOST_SENSORS = 8
"""The curves of so many modules have a line at the top of the page."""

SIGNS = {
    State.PASSED: "✓", State.KEPT: "✓", State.FAILED: "✗", State.TIMED_OUT: "✗", State.MISSING_OUTPUT: "✗",
    State.NOT_STARTED: "✗", State.INTERRUPTED: "■", State.SKIPPED: "–", State.LEFT_OUT: "–", State.WAITING: "·",
    State.RUNNING: "▸", State.RETRYING: "▸",
}  # fmt: skip
"""Sign of every state, beside its colour."""


class Fold(Struct, frozen=True):
    """How much is shown: steps on their own, lines of a log, files of a step, plots, matters, characters of a command."""

    steps: int
    lines: int
    files: int
    plots: int
    matters: int
    chars: int


FOLDS = (
    Fold(60, 20, 20, 8, 60, 20_000),
    Fold(40, 12, 10, 6, 40, 4_000),
    Fold(20, 8, 6, 4, 30, 2_000),
    Fold(10, 5, 4, 2, 20, 1_000),
    Fold(4, 3, 2, 1, 10, 500),
    Fold(0, 0, 0, 0, 5, 0),
)
"""From everything to very little: the first is taken of which the page is small enough."""


class Row(Struct, frozen=True):
    """A row of the timeline, of a step or of several together."""

    group: Group
    bars: tuple[Bar, ...]
    usual: Bar | None = None


class Timeline(Struct, frozen=True):
    """The timeline of a run, ready to be drawn."""

    rows: tuple[Row, ...]
    lanes: tuple[tuple[str, tuple[Bar, ...]], ...]
    ticks: tuple[Tick, ...]
    breaks: tuple[Tick, ...]
    kinds: tuple[tuple[str, str], ...]
    long: bool


def text(
    dossier: Dossier,
    *,
    zone: tzinfo | None = None,
    may_go_on: Callable[[], bool] = lambda: True,
    draws: bool | None = None,
) -> str:
    """Write the page; the more there is to tell, the more is folded, and how much is said.

    Times are of `zone`, or of this machine; `draws` tells whether curves are drawn, by default if that is possible.

    Raises:
        InterruptedError: somebody asked to stop.
    """
    draws = can_plot() if draws is None else draws
    drawn = drawings(dossier, FOLDS[0].plots, may_go_on, draws=draws)
    found = pictures(dossier, embed=not draws)
    embedded = sum(len(each.uri) for each in found)
    written = ""
    for fold in FOLDS:
        written = _page(dossier, fold, drawn, found, zone)
        if len(written.encode()) - embedded <= MOST_BYTES:
            break
    return written


def _page(
    dossier: Dossier,
    fold: Fold,
    drawn: tuple[Drawing, ...],
    found: tuple[Picture, ...],
    zone: tzinfo | None,
) -> str:
    groups = folded(dossier.steps, fold.steps)
    matters = attention(dossier)
    return page(
        "report.html.j2",
        dossier=dossier,
        record=dossier.standing.record,
        plan=dossier.plan,
        power=dossier.power,
        headline=headline(dossier),
        todo=WHAT_TO_DO,
        supplies=[
            each for role in (Role.HV, Role.LV) for each in dossier.plan.instruments if role in each.roles
        ],
        following=[text.partition("   ") for text in following(dossier)],
        matters=matters[: fold.matters],
        more_matters=len(matters) - len(matters[: fold.matters]),
        groups=groups,
        anchors={group[0].step.number for group in groups if len(group) == 1},
        fold=fold,
        timeline=timeline(dossier, groups, zone),
        drawings=drawn[: fold.plots],
        curve_anchors={each.anchor for each in drawn[: fold.plots] if each.anchor},
        sensors=sensors(dossier)[:MOST_SENSORS],
        place=str(dossier.folder.absolute()),
        more_drawings=sum(map(plots_of, dossier.steps)) - len(drawn[: fold.plots]),
        pictures=[each for each in found if each.uri],
        linked=[each for each in found if not each.uri][: fold.files],
        more_linked=sum(not each.uri for each in found) - len([e for e in found if not e.uri][: fold.files]),
        not_understood=not_understood(dossier)[: fold.matters],
        mode=power_words(dossier.plan),
        **_words(dossier, zone, fold),
    )


def _words(dossier: Dossier, zone: tzinfo | None, fold: Fold) -> dict[str, object]:
    """Give what a template calls to write a value as a person reads it."""
    over = dossier.standing.phase not in GOING_ON
    return {
        "signs": SIGNS,
        "spoken": spoken,
        "moment": lambda at: moment(at, zone),
        "clock": lambda at, long: _local(at, zone).strftime("%H:%M" if long else "%H:%M:%S"),
        "when": lambda text: moment(datetime.fromisoformat(text).timestamp(), zone) if text else "",
        "size": size,
        "link": link,
        "there": lambda name: is_below(name) and os.path.lexists(dossier.folder / name),
        "usual": lambda story: f"usually {about(story.expected.usual_s)}" if story.expected else "",
        "about": about,
        "rounded": rounded,
        "tone": tone,
        "range_of": range_of,
        "states_of": lambda group: states_of(group, over=over),
        "word": lambda state: state_word(state, over=over),
        "evidence": evidence(dossier.power, lambda at: moment(at, zone)),
        "spent": lambda group: spoken(sum(each.duration_s or 0.0 for each in group)),
        "command": lambda story: _command(story, fold.chars),
        "module_names": ", ".join(each.name or f"channel {each.channel}" for each in dossier.plan.modules),
        "input_file": lambda file: f"{_inputs(dossier)}/{file.kind}-{Path(file.path).name}",
    }


def timeline(dossier: Dossier, groups: tuple[Group, ...], zone: tzinfo | None) -> Timeline | None:
    """Give the timeline of a run; None if nothing is known of its time."""
    told = dossier.told
    if not told.sessions or told.last_t <= 0:
        return None
    span = Span(told.sessions[0].start_t, max(told.end_t, told.sessions[0].start_t + 1.0))
    rows = tuple(_row(group, span, told.last_t) for group in groups)
    lanes = tuple((role.value.upper(), lane(told.lanes[role], span)) for role in LANES)
    used = {bar.kind for _, lane_bars in lanes for bar in lane_bars}
    offset = _local(told.sessions[0].at, zone).utcoffset()
    return Timeline(
        rows=rows,
        lanes=lanes,
        ticks=ticks(told.sessions, span, offset.total_seconds() if offset else 0.0),
        breaks=breaks(told.sessions, span),
        kinds=tuple((kind, words) for kind, words in LANE_STATES.items() if kind in used),
        long=told.last_t >= 300,
    )


def _row(group: Group, span: Span, now_t: float) -> Row:
    if len(group) > 1:
        return Row(group, merged([each for story in group for each in story.tries], span, now_t))
    story = group[0]
    usual_s = story.expected.usual_s if story.expected else None
    return Row(group, bars(story.tries, span, now_t), usual_bar(story.tries, usual_s, span))


def tone(state: State) -> str:
    """Give the tone in which a state is shown."""
    if state in (State.PASSED, State.KEPT):
        return "good"
    if state in (State.SKIPPED, State.INTERRUPTED):
        return "warn"
    return "quiet" if state in (State.LEFT_OUT, State.WAITING, State.RUNNING, State.RETRYING) else "bad"


def moment(at: float, zone: tzinfo | None = None) -> str:
    """Give a POSIX time as date, time of day and offset from UTC: `2026-11-23 03:00:00 +01:00`."""
    text = _local(at, zone).isoformat(" ", "seconds")
    return f"{text[:19]} {text[19:]}"


def size(size_bytes: int) -> str:
    """Give the size of a file: `812 B`, `4.1 kB`, `13 MB`."""
    size_, unit = float(size_bytes), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if size_ < 1000 or unit == "GB":
            break
        size_ /= 1000
    return f"{size_:.0f} {unit}" if unit == "B" or size_ >= 10 else f"{size_:.1f} {unit}"


def _local(at: float, zone: tzinfo | None) -> datetime:
    moment_ = datetime.fromtimestamp(at, zone)
    return moment_ if zone else moment_.astimezone()


def _inputs(dossier: Dossier) -> str:
    name = Path(dossier.standing.record.plan).name
    return "inputs" + name.removeprefix("plan").removesuffix(".json")


def _command(story: StepStory, most_chars: int) -> list[str]:
    """Give a command as it may be typed, a group of arguments to a line; none if it is not known or too long."""
    if not story.command:
        return []
    lines = quoted(story.step, story.command)
    return lines if sum(map(len, lines)) <= most_chars else []
