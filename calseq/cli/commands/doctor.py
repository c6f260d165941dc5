"""`calseq doctor`: can this machine and this bench run, and if not, what mends it."""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from calseq.bench.bench import Bench, BenchReading, read_bench
from calseq.bench.find import bench_file
from calseq.cli.messages import tell_problems
from calseq.cli.terminal import columns, has_color, is_ascii, message, results
from calseq.console.characters import Alphabet, alphabet, pad
from calseq.console.line import Line, Span, line, sheet
from calseq.doctor import PATIENCE_S, Check, Status, examine, this_machine
from calseq.model.plan import PowerMode
from calseq.model.verdicts import EXIT_CODES, ExitCode
from calseq.planning.preflight import check_faults
from calseq.problems.plaintext import width as width_of
from calseq.problems.problem import Problem
from calseq.problems.refused import in_order
from calseq.record.facts import json_text
from calseq.record.past import State
from calseq.system.process import adopt_orphans
from calseq.system.signals import SignalStops

FORMAT = 1

_NAME_WIDTH = 16
_GLYPHS = {Status.OK: State.PASSED, Status.FAILED: State.FAILED, Status.SKIPPED: State.SKIPPED}
_STYLES = {
    Status.OK: "green",
    Status.WARNING: "bold yellow",
    Status.FAILED: "bold red",
    Status.SKIPPED: "dim",
}
_NAMED = {Status.FAILED: "failed", Status.WARNING: "warning", Status.OK: "ok", Status.SKIPPED: "skipped"}


def doctor(
    bench: Path | None,
    format_: str,
    environ: Mapping[str, str] | None = None,
    patience_s: float = PATIENCE_S,
) -> int:
    """Look at this machine, and at the bench that was named or is near; give the exit code."""
    path = bench_file(bench)
    reading = read_bench(path) if path else None
    found = reading.bench if reading else None
    refused = _tell_refusal(reading, str(path)) if reading else ""
    machine = this_machine(os.environ if environ is None else environ, sys.stdout.encoding or "ascii")
    adopt_orphans()
    with SignalStops() as stops:
        checks = examine(machine, None if refused else found, stops, refused=refused, patience_s=patience_s)
        kept = _shown(checks) if format_ == "text" else list(checks)
        if stops.level:
            message(f"calseq: stopped by {stops.who}; not everything was looked at")
            return int(EXIT_CODES[stops.cause])
    results(json_text({"format": FORMAT, "checks": kept}) if format_ == "json" else _verdict(kept, found))
    if refused:
        return int(ExitCode.REFUSED)
    return int(ExitCode.FAILED if any(check.status is Status.FAILED for check in kept) else ExitCode.GOOD)


def doctor_text(checks: Iterable[Check], width: int, *, color: bool, ascii: bool) -> Iterator[str]:  # noqa: A002
    """Give the screen piece by piece, as the checks come: a heading before each section, nothing cut."""
    letters = alphabet(ascii=ascii)
    section = ""
    for check in checks:
        lines = list(_told(check, letters, width))
        if check.section != section:
            lines = [*([()] if section else []), line(Span(check.section, "bold")), *lines]
            section = check.section
        yield sheet(lines, color=color).rstrip("\n")


def verdict_line(checks: Iterable[Check], *, bench: bool, simulated: bool) -> Line:
    """Say in one line whether the bench can run, and how many checks came to what."""
    statuses = Counter(check.status for check in checks)
    counts = ", ".join(_counted(status, statuses[status]) for status in _NAMED if statuses[status])
    failed = bool(statuses[Status.FAILED])
    if failed:
        says = Span("this bench cannot run yet" if bench else "something is to be mended", "bold red")
    else:
        says = Span(
            "this bench can run" if bench else "no bench was looked at", "bold green" if bench else "bold"
        )
    return line(says, Span(", SIMULATED" if simulated else "", "bold yellow"), f": {counts}")


def _counted(status: Status, number: int) -> str:
    plural = "s" if status is Status.WARNING and number != 1 else ""
    return f"{number} {_NAMED[status]}{plural}"


def _tell_refusal(reading: BenchReading, name: str) -> str:
    """Tell the problems of a bench file; give its name if one of them is an error."""
    problems: list[Problem] = list(reading.problems)
    if reading.bench:
        problems += check_faults(reading.bench)
    tell_problems(in_order(problems), len(reading.documents))
    return name if reading.bench is None or any(problem.is_error for problem in problems) else ""


def _shown(checks: Iterable[Check]) -> list[Check]:
    """Show every check when it is made: a slow dirigent is seen to be one."""
    kept: list[Check] = []

    def noted() -> Iterator[Check]:
        for check in checks:
            kept.append(check)
            yield check

    out = sys.stdout
    for text in doctor_text(noted(), columns(out), color=has_color(out), ascii=is_ascii(out)):
        results(text)
    return kept


def _verdict(checks: list[Check], bench: Bench | None) -> str:
    simulated = bench is not None and bench.mode is PowerMode.SIMULATED
    told = verdict_line(checks, bench=bench is not None, simulated=simulated)
    return "\n" + sheet([told], color=has_color(sys.stdout)).rstrip("\n")


def _told(check: Check, letters: Alphabet, width: int) -> Iterator[Line]:
    """Give the lines of a check: what it is and what was found, and below it what mends it."""
    glyph = Span(
        "!" if check.status is Status.WARNING else letters.glyphs[_GLYPHS[check.status]],
        _STYLES[check.status],
    )
    name = letters.text(check.name)
    indent = _NAME_WIDTH + 6
    narrow = width < indent + 24
    if narrow:
        indent = 4
    room = max(width - indent, 1)
    found = _wrapped(letters.text(check.finding), room)
    head = line("  ", glyph, " ", Span(pad(name, _NAME_WIDTH)))
    margin = " " * indent
    if narrow or width_of(name) > _NAME_WIDTH:
        yield head
    else:
        yield line(*head, "  ", Span(found.pop(0), _finding_style(check)))
    yield from (line(margin, Span(text, _finding_style(check))) for text in found)
    arrow = "-> " if letters.ascii else "→ "
    for place, text in enumerate(_wrapped(letters.text(check.cure), room - len(arrow)) if check.cure else ()):
        yield line(margin, Span(arrow if place == 0 else " " * len(arrow), "cyan"), Span(text, "cyan"))


def _finding_style(check: Check) -> str:
    if "SIMULATED" in check.finding and check.status is not Status.SKIPPED:
        return "bold yellow"
    return {Status.FAILED: "bold", Status.SKIPPED: "dim"}.get(check.status, "")


def _wrapped(text: str, room: int) -> list[str]:
    """Break text at its spaces, but no word and no `command`: what is shown can be copied, the terminal wraps it."""
    lines = [""]
    for word in re.findall(r"(?:`[^`]*`|\S)+", text):
        if lines[-1] and width_of(lines[-1]) + 1 + width_of(word) > room:
            lines.append(word)
        else:
            lines[-1] += (" " if lines[-1] else "") + word
    return lines
