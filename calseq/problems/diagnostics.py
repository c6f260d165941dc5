"""Problems as a person reads them: the place, the quoted line, a caret and the cure."""

from collections.abc import Iterable

from calseq.problems.plaintext import printable, width
from calseq.problems.problem import Place, Problem, Severity, capped

_MAX_LINE = 160
_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33"}


def problem_text(problem: Problem, *, color: bool = False) -> str:
    """Give one problem as several lines of text, without a final newline."""
    tint = _tinter(color)
    severity = problem.code.severity
    head = tint(f"{severity}[{problem.code}]", "1;" + _COLOURS[severity])
    lines = [f"{head}: {tint(printable(problem.message, 300), '1')}"]
    if problem.place is None:
        return "\n".join([*lines, *([f"   = {printable(problem.cure, 300)}"] if problem.cure else [])])
    return "\n".join([*lines, *_quote(problem, problem.place, tint)])


def problems_text(problems: Iterable[Problem], *, color: bool = False) -> str:
    """Give several problems, a blank line between them; of many of one kind in one file the first, and how many more."""
    shown, more = capped(problems)
    return "\n\n".join([*(problem_text(problem, color=color) for problem in shown), *more])


def count_text(problems: Iterable[Problem], files: int) -> str:
    """Say how many problems there are, in how many of the files that were looked at: the last line of a check."""
    listed = list(problems)
    errors = sum(problem.is_error for problem in listed)
    warnings = len(listed) - errors
    if not listed:
        return f"no problems in {plural(files, 'file')}"
    parts = [plural(number, word) for number, word in ((errors, "error"), (warnings, "warning")) if number]
    places = [problem.place for problem in listed if problem.place and not problem.place.source.typed]
    bad = len({place.source.name for place in places})
    where = f" in {bad} of {files} files" if 0 < bad < files else f" in {plural(bad, 'file')}" * bool(bad)
    return " and ".join(parts) + where


def plural(number: int, word: str) -> str:
    """Give a number of things in words."""
    return f"{number} {word}" + ("" if number == 1 else "s")


def _quote(problem: Problem, place: Place, tint: "Tinter") -> list[str]:
    span = place.span
    within = f"  ({printable(problem.within, 60)})" if problem.within else ""
    number = str(span.line)
    margin = " " * len(number)
    bar = tint("|", "34")
    lines = [f"{margin}{tint('-->', '34')} {place.source.name}:{span.line}:{span.column}{within}"]
    line = place.source.line(span.line)
    caret = "^" * max(1, min(span.length, _MAX_LINE))
    if not line.strip():
        return [
            *lines,
            *([f"{margin} {tint('=', '34')} {printable(problem.cure, 300)}"] if problem.cure else []),
        ]
    shown, indent, length = _window(line, span.column - 1, len(caret))
    pointer = " " * indent + tint("^" * length, "1;" + _COLOURS[problem.code.severity])
    cure = f" {printable(problem.cure, 300)}" if problem.cure else ""
    return [
        *lines,
        f"{margin} {bar}",
        f"{tint(number, '34')} {bar} {shown}",
        f"{margin} {bar} {pointer}{cure}",
    ]


def _window(line: str, start: int, length: int) -> tuple[str, int, int]:
    """Cut a long line around the caret; give it printable, with the caret's column and length in it."""
    first = max(0, start - 100) if len(line) > _MAX_LINE else 0
    cut = line[first : first + _MAX_LINE]
    before, at, after = (
        cut[: start - first],
        cut[start - first : start - first + length],
        cut[start - first + length :],
    )
    before, at, after = (_untabbed(part) for part in (before, at, after))
    head, tail = ("…" if first else ""), ("…" if first + _MAX_LINE < len(line) else "")
    shown = f"{head}{before}{at}{after}{tail}"
    return shown, width(head + before), max(1, width(at))


def _untabbed(text: str) -> str:
    return printable(text.replace("\t", " "))


class Tinter:
    """Wraps text in ANSI colours, or leaves it as it is."""

    def __init__(self, on: bool) -> None:
        self.on = on

    def __call__(self, text: str, style: str) -> str:
        """Give `text` in an SGR `style` such as '1;31'."""
        return f"\x1b[{style}m{text}\x1b[0m" if self.on else text


def _tinter(color: bool) -> Tinter:
    return Tinter(color)
