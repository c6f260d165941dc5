"""`calseq runs`: the runs of a bench in a table, and whether the record of one is what was written."""

import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from msgspec import Struct

from calseq.cli.terminal import columns, has_color, is_ascii, message, results
from calseq.cli.where_runs import Where
from calseq.console.characters import Alphabet, alphabet
from calseq.console.line import Line, Span, line, sheet
from calseq.console.runlist import duration_s, failed_steps, runs_text
from calseq.model.verdicts import ExitCode, RunVerdict
from calseq.problems.plaintext import printable
from calseq.record.facts import facts, json_text
from calseq.record.find import find_run
from calseq.record.past import State
from calseq.record.seal import Finding, verify
from calseq.record.status import Damaged, Phase, Standing, standings

FORMAT = 1
UNCUT = 10_000
"""The width for who reads a table from a pipe: a program, or a person through one."""

_GLYPHS = {True: State.PASSED, False: State.FAILED}
_STYLES = {True: "green", False: "bold red", None: "bold yellow"}


class Choice(Struct, frozen=True):
    """Which runs are to be listed, as it was typed."""

    where: Where = Where()
    most: int = 20
    failed: bool = False
    module: str = ""


def runs(choice: Choice, format_: str) -> int:
    """List runs, newest first; give the exit code."""
    folder = choice.where.folder
    found = list(islice(_matching(choice, folder), choice.most + 1))
    shown, more = found[: choice.most], len(found) > choice.most
    if format_ == "json":
        results(runs_json(shown, time.time()))
        return int(ExitCode.GOOD)
    out = sys.stdout
    if shown:
        width = columns(out) if out.isatty() else UNCUT
        text = runs_text(shown, time.time(), width, color=has_color(out), ascii=is_ascii(out))
        results(text.rstrip("\n"))
    message(_footer(choice, folder, len(shown), more=more))
    if any(isinstance(each, Standing) and each.phase is Phase.DIED for each in shown):
        message("a run that died goes on with: calseq execute --resume RUN")
    return int(ExitCode.GOOD)


def verify_run(where: Where, text: str) -> int:
    """Hold a run folder against its own record; give the exit code."""
    folder = find_run(where.folder, text)
    out = sys.stdout
    letters = alphabet(ascii=is_ascii(out))
    results(sheet([line(Span(letters.text(folder.name, 300), "bold"))], color=has_color(out)).rstrip("\n"))
    kept = []
    for finding in verify(folder):
        kept.append(finding)
        results(sheet([_told(finding, letters)], color=has_color(out)).rstrip("\n"))
    results(sheet([verdict(kept)], color=has_color(out)).rstrip("\n"))
    good = all(finding.good for finding in kept if finding.what == "seal" or finding.good is False)
    return int(ExitCode.GOOD if good else ExitCode.FAILED)


def verdict(findings: Iterable[Finding]) -> Line:
    """Say in one line what all findings come to."""
    findings = list(findings)
    differing = len({finding.what for finding in findings if finding.good is False})
    if differing:
        return line(
            Span(f"{differing} {'differs' if differing == 1 else 'differ'} from the record", "bold red")
        )
    if any(finding.what == "seal" and finding.good is None for finding in findings):
        return line(Span("not sealed", "bold yellow"), ": what could be checked is as recorded")
    return line(Span("as it was recorded", "bold green"))


def runs_json(found: Iterable[Standing | Damaged], now_s: float) -> str:
    """Give runs as JSON, for programs."""
    listed = [_damaged_entry(each) if isinstance(each, Damaged) else _entry(each, now_s) for each in found]
    return json_text({"format": FORMAT, "runs": listed})


def _matching(choice: Choice, folder: Path) -> Iterator[Standing | Damaged]:
    return (each for each in standings(folder) if _matches(choice, each))


def _matches(choice: Choice, standing: Standing | Damaged) -> bool:
    if isinstance(standing, Damaged):
        return not choice.module
    bad = standing.phase is Phase.DIED or (
        standing.phase is Phase.ENDED and standing.record.verdict != RunVerdict.PASSED
    )
    return (bad or not choice.failed) and choice.module.lower() in standing.record.module.lower()


def _footer(choice: Choice, folder: Path, shown: int, *, more: bool) -> str:
    where = printable(str(folder))
    which = "such run" if choice.failed or choice.module else "run"
    if not shown:
        there = "" if folder.is_dir() else ": there is no such folder; give --runs DIR, or --bench FILE"
        return f"no {which} in {where}{there}"
    return (
        f"the latest {shown} in {where}; -n {10 * choice.most} shows more"
        if more
        else f"all {which}s in {where}"
    )


def _entry(standing: Standing, now_s: float) -> dict[str, object]:
    own = {
        "duration_s": duration_s(standing, now_s),
        "failed": failed_steps(standing),
        "steps": standing.record.steps,
    }
    return {**facts(standing), **own}


def _damaged_entry(damaged: Damaged) -> dict[str, object]:
    return {
        "run": printable(damaged.folder.name),
        "folder": printable(str(damaged.folder)),
        "state": "damaged",
        "reason": damaged.reason,
    }


def _told(finding: Finding, letters: Alphabet) -> Line:
    glyph = "!" if finding.good is None else letters.glyphs[_GLYPHS[finding.good]]
    what = letters.text(finding.what)
    return line("  ", Span(glyph, _STYLES[finding.good]), f" {what}: {letters.text(finding.found)}")
