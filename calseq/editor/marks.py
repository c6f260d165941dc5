"""What an editor marks: problems as stretches of a text, and edits of it. Lines and columns are from 0, in characters."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import TypeAlias

from msgspec import Struct

from calseq.documents.document import Document
from calseq.problems.formats.report import message_and_cure
from calseq.problems.plaintext import printable
from calseq.problems.problem import Edit, Problem, Source
from calseq.problems.refused import in_order

Point: TypeAlias = tuple[int, int]


class Change(Struct, frozen=True):
    """What is written in the place of a stretch."""

    start: Point
    end: Point
    text: str


class Mark(Struct, frozen=True):
    """A problem at a stretch of one line; `fix` mends it for certain, in words `cure`."""

    start: Point
    end: Point
    code: str
    words: str
    is_error: bool
    cure: str = ""
    fix: Change | None = None


def marks(document: Document) -> list[Mark]:
    """Give the marks of a judged text, in order. What is wrong as a whole is marked on its first line."""
    problems = in_order(document.problems)
    return [_mark(problem, document.source) for problem in problems if _stands_in(problem, document)]


def change(edit: Edit) -> Change:
    """Give an edit as a change."""
    start, end = (_point(edit.source, offset) for offset in (edit.start, edit.end))
    return Change(start, end, edit.text)


def changes(before: str, after: str) -> list[Change]:
    """Give what makes one text into another, by whole lines: what is equal stays, with the cursor that is in it.

    Line ends are the editor's own business.
    """
    old, new = (re.split(r"(?<=\n)", text.replace("\r\n", "\n")) for text in (before, after))
    return [
        Change((start, 0), (end, 0), "".join(new[first:last]))
        for kind, start, end, first, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if kind != "equal"
    ]


def at(found: Iterable[Mark], point: Point) -> list[Mark]:
    """Give the marks that a point is in, its end included."""
    return [mark for mark in found if mark.start <= point <= mark.end]


def _mark(problem: Problem, source: Source) -> Mark:
    line, column, length = 0, 0, len(source.line(1))
    if problem.place:
        span = problem.place.span
        line, column, length = span.line - 1, span.column - 1, span.length
    fix = change(problem.fix) if problem.fix and problem.fix.source is source else None
    stretch = (line, column), (line, column + length)
    return Mark(
        *stretch,
        problem.code.id,
        message_and_cure(problem),
        problem.is_error,
        printable(problem.cure, 300),
        fix,
    )


def _stands_in(problem: Problem, document: Document) -> bool:
    return problem.place is None or problem.place.source is document.source


def _point(source: Source, offset: int) -> Point:
    line, column = source.at(offset)
    return line - 1, column - 1
