"""The report in Markdown, for a merge request, a wiki or a log book: every text from outside stands as code."""

import re
from datetime import datetime, tzinfo

from calseq.measurement.curves import IvCurve
from calseq.measurement.iv import breakdown_words, figures_in
from calseq.model.verdicts import WHAT_TO_DO
from calseq.problems.plaintext import printable, word
from calseq.record.aftermath import PowerState
from calseq.record.status import GOING_ON
from calseq.record.words import state_word, usual
from calseq.report.attention import attention
from calseq.report.html import SIGNS, moment
from calseq.report.power import evidence
from calseq.report.run_data import Dossier
from calseq.report.steps import StepStory, told_in
from calseq.report.verdict import following, headline
from calseq.system.times import spoken

MOST_ROWS = 200
"""So many steps have a row of their own."""

_MOST_MATTERS = 40


def text(dossier: Dossier, *, zone: tzinfo | None = None) -> str:
    """Write the page. Times are of `zone`, or of this machine."""
    blocks = (
        _head(dossier),
        _power(dossier, zone),
        _next(dossier),
        _matters(dossier),
        _facts(dossier, zone),
        _steps(dossier),
        *(_log(each) for each in dossier.steps if each.last_lines),
        _curves(dossier),
        _proof(dossier),
    )
    return "\n\n".join(block for block in blocks if block)


def code(value: str) -> str:
    """Give a text as a code span: nothing in it means anything to Markdown, HTML or a forge."""
    shown = printable(value) or "-"
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    edge = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{fence}{edge}{shown}{edge}{fence}"


def _cell(value: str) -> str:
    return code(value).replace("|", "\\|") if value else ""


def _head(dossier: Dossier) -> str:
    head = headline(dossier)
    simulated = "**SIMULATED: nothing real was measured**\n\n" if dossier.simulated else ""
    where = " · ".join(
        code(each) for each in (dossier.plan.title, dossier.module, dossier.standing.record.bench) if each
    )
    return f"{simulated}# {head.sign} {_plain(head.title)}\n\n{where}\n\n{code(head.reason)}"


def _plain(word: str) -> str:
    """Give one of calseq's own words as it is, and what a record has in their place as code."""
    return word if re.fullmatch(r"[A-Za-z, ]+", word) else code(word)


def _power(dossier: Dossier, zone: tzinfo | None) -> str:
    power = dossier.power
    lines = [f"**{power.said}.** {evidence(power, lambda at: moment(at, zone))}".rstrip()]
    if power.state is PowerState.UNKNOWN:
        lines += ["", *(f"{number}. {each}" for number, each in enumerate(WHAT_TO_DO, 1))]
    return "\n".join(lines)


def _next(dossier: Dossier) -> str:
    """Give what to type next."""
    said = [text.partition("   ") for text in following(dossier)]
    lines = [
        f"- {code(command) if gap else command} {_plain(words) if words else ''}".rstrip()
        for command, gap, words in said
    ]
    return "\n".join(["Next:", "", *lines]) if lines else ""


def _matters(dossier: Dossier) -> str:
    found = attention(dossier)
    lines = [f"- {'⚠ ' * each.grave}{code(each.text)}" for each in found[:_MOST_MATTERS]]
    if len(found) > _MOST_MATTERS:
        lines.append(f"- and {len(found) - _MOST_MATTERS} more")
    return "\n".join(["## Needs attention", "", *(lines or ["Nothing."])])


def _facts(dossier: Dossier, zone: tzinfo | None) -> str:
    record = dossier.standing.record
    ended = (
        moment(datetime.fromisoformat(record.ended).timestamp(), zone) if record.ended else "it has no end"
    )
    facts = (
        ("Run", code(record.run)),
        ("Operator", f"{code(record.operator)} on {code(record.host)}"),
        ("Started", moment(datetime.fromisoformat(record.started).timestamp(), zone)),
        ("Ended", ended),
        ("Duration", spoken(dossier.duration_s)),
        ("Versions", f"calseq {code(record.calseq)}, Python {code(record.python)}, dirigent {code(dossier.told.past.dirigent or 'not known')}"),
    )  # fmt: skip
    return "\n".join(["## The run", "", *(f"- {label}: {value}" for label, value in facts)])


def _steps(dossier: Dossier) -> str:
    head = [
        "## Steps",
        "",
        "| | # | step | verdict | time | usual | tries | why |",
        "|---|--:|---|---|--:|--:|--:|---|",
    ]
    more = len(dossier.steps) - MOST_ROWS
    over = dossier.standing.phase not in GOING_ON
    rest = [f"\n{more} more steps: `calseq report --format json` tells of each."] if more > 0 else []
    return "\n".join([*head, *(_row(each, over=over) for each in dossier.steps[:MOST_ROWS]), *rest])


def _row(story: StepStory, *, over: bool) -> str:
    took = "" if story.duration_s is None else spoken(story.duration_s)
    tries = str(len(story.tries)) if len(story.tries) > 1 else ""
    cells = (
        SIGNS[story.state], str(story.step.number), _cell(story.step.name), state_word(story.state, over=over), took,
        usual(story.expected, ""), tries, _cell(story.reason),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |".replace("| ~", "| \\~")


def _log(story: StepStory) -> str:
    """Give the end of a log as a block that no line of it can end."""
    lines = [printable(line) for line in story.last_lines]
    fence = "`" * max(3, 1 + max((len(run) for line in lines for run in re.findall("`+", line)), default=0))
    return "\n".join([f"### Last lines of {code(story.step.name)}", "", f"{fence}text", *lines, fence])


def _curves(dossier: Dossier) -> str:
    """Give a line for every IV curve: where the sensor breaks down, and who says so."""
    lines = [
        f"- {code(curve.module or curve.file.rpartition('/')[2])}, step {story.step.number}"
        f" {code(story.step.name)}: breakdown"
        f" {breakdown_words(figures_in(curve, dossier.plan).breakdown, told_in(story, curve, dossier.plan))}"
        for story in dossier.steps
        for curve in story.curves
        if isinstance(curve, IvCurve)
    ]
    more = [f"- and {len(lines) - MOST_ROWS} more"] if len(lines) > MOST_ROWS else []
    return "\n".join(["## Sensor IV", "", *lines[:MOST_ROWS], *more]) if lines else ""


def _proof(dossier: Dossier) -> str:
    record = dossier.standing.record
    seal = code(dossier.seal_sha256) if dossier.seal_sha256 else "not sealed"
    return "\n".join(
        [
            "## Proof",
            "",
            f"- plan: {code(record.digest)}",
            f"- sequence: {code(record.sequence_digest or 'not recorded')}",
            f"- seal: {seal}",
            f"- to check it: {code(f'calseq runs verify {word(dossier.standing.name)}')}",
        ]
    )
