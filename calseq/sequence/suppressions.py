"""Suppressions of warnings in comments, `# calseq: ignore[CS302]`."""

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from calseq.documents.document import Document
from calseq.documents.yaml_reader import scalar_stretches
from calseq.problems import codes
from calseq.problems.codes import CODES
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Edit, Place, Problem, Severity
from calseq.problems.suggestions import did_you_mean

OF_A_BENCH = frozenset({codes.SWEEP_END_UNKNOWN, codes.SWEEP_BEYOND_RANGE, codes.UNREACHABLE_LIMIT})
"""Warnings that only a bench can give: a file alone cannot tell whether one of them is silenced for nothing."""

_COMMENT = re.compile(r"(?<![^\s])#[ \t]*calseq:[ \t]*ignore\b[^\n]*")
_LIST = re.compile(r"#[ \t]*calseq:[ \t]*ignore[ \t]*\[([^\]]*)\]")
_WORD = re.compile(r"[^\s,]+")
_BY_NAME = {code.name: code for code in CODES.values()}


class Ignore(Struct, frozen=True):
    """One code of one comment: the line whose warnings it silences, and its own place. `code` None is no code."""

    line: int
    place: Place
    code: Code | None
    comment: Place
    is_alone: bool


def not_suppressed(document: Document, warnings: Iterable[Problem]) -> list[Problem]:
    """Warnings that no comment of the document suppresses, and one for every comment that suppresses none.

    Suppressed codes are noted in the document by line, for the warnings that its bench will give.
    """
    listed = list(warnings)
    may_ignore = "calseq:" in document.source.text and "ignore" in document.source.text
    ignores = list(_ignores(document)) if may_ignore else []
    document.ignored.update((ignore.line, ignore.code) for ignore in ignores if ignore.code)
    warned = set(_lines_warned(document, listed))
    needless = (_needless(ignore) for ignore in ignores if not _silences(ignore, warned))
    return [*(problem for problem in listed if not document.ignores(problem)), *needless]


def _lines_warned(document: Document, problems: Iterable[Problem]) -> Iterator[tuple[int, Code]]:
    """Give the lines of this file that have a warning, and which; some may be of a variant's base."""
    for problem in problems:
        if problem.place and problem.place.source is document.source:
            yield problem.place.span.line, problem.code


def _silences(ignore: Ignore, warned: set[tuple[int, Code]]) -> bool:
    return ignore.code is not None and (ignore.code in OF_A_BENCH or (ignore.line, ignore.code) in warned)


def _ignores(document: Document) -> Iterator[Ignore]:
    """Give every code of every comment; a comment that names none is one without a code."""
    stretches: list[tuple[int, int]] | None = None
    for match in _COMMENT.finditer(document.source.text):
        stretches = scalar_stretches(document) if stretches is None else stretches
        if not any(start <= match.start() < end for start, end in stretches):
            yield from _ignores_of(document, match)


def _ignores_of(document: Document, match: "re.Match[str]") -> Iterator[Ignore]:
    source, start = document.source, match.start()
    comment = source.place(start, match.end() - start)
    line = comment.span.line
    is_alone = not source.line(line)[: comment.span.column - 1].strip()
    line = _next_line(document, line) if is_alone else line
    listed = _LIST.match(match.group())
    words = list(_WORD.finditer(match.group(), *listed.span(1))) if listed else []
    for word in words:
        place = source.place(start + word.start(), len(word.group()))
        code = CODES.get(word.group()) or _BY_NAME.get(word.group())
        yield Ignore(line, place, code, comment, is_alone and len(words) == 1)
    if not words:
        yield Ignore(line, comment, None, comment, is_alone)


def _next_line(document: Document, line: int) -> int:
    """A comment of its own is about the next line that is none."""
    lines = document.source.text.splitlines()
    later = (
        number for number, text in enumerate(lines[line:], line + 1) if text.strip()[:1] not in ("", "#")
    )
    return next(later, line)


def _needless(ignore: Ignore) -> Problem:
    shown = printable(ignore.place.text, 40)
    if ignore.place is ignore.comment:
        message, cure = (
            "it is not said what to ignore",
            "write '# calseq: ignore[CS302]', with the code of the warning",
        )
        return Problem(codes.NEEDLESS_IGNORE, message, cure, ignore.place)
    if ignore.code is None:
        cure = did_you_mean(shown, _BY_NAME) or "'calseq explain' lists all codes"
        return Problem(codes.NEEDLESS_IGNORE, f"'{shown}' is no code", cure, ignore.place)
    if ignore.code.severity is Severity.ERROR:
        message = f"{ignore.code.id} is an error, and errors cannot be silenced"
        return Problem(
            codes.NEEDLESS_IGNORE, message, "mend it, and delete this", ignore.place, fix=_without(ignore)
        )
    message = f"there is no {ignore.code} here to silence"
    return Problem(codes.NEEDLESS_IGNORE, message, "delete it", ignore.place, fix=_without(ignore))


def _without(ignore: Ignore) -> Edit | None:
    """Give the edit that takes a comment out, if it says nothing else."""
    comment, source = ignore.comment, ignore.comment.source
    if _LIST.sub("", comment.text) != "" or len(_WORD.findall(comment.text.partition("[")[2])) != 1:
        return None
    if ignore.is_alone:
        return comment.line_removed(comment.text)
    line = source.line(comment.span.line)[: comment.span.column - 1]
    start = comment.start - (len(line) - len(line.rstrip()))
    return Edit(source, start, comment.start + comment.span.length, "")
