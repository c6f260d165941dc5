"""Fixes put into a text: the edits that problems carry, kept only if the text is better for them."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from calseq.documents.document import Document, from_bytes
from calseq.problems.problem import Edit, Problem

MAX_ROUNDS = 8
MAX_TRIES = 50

_BOM = b"\xef\xbb\xbf"

Judge = Callable[[Document], Document]
"""Reads and judges a text that has not been read yet."""


class Mended(Struct, frozen=True):
    """A document after its fixes, judged again, and how many there were."""

    document: Document
    fixed: int


def mend(document: Document, judge: Judge) -> Mended:
    """Put all fixes into a judged document; what they bring to light and can be fixed, too.

    Nothing is kept that leaves an error which was not there before. If all of them together do, each is tried alone.
    """
    together = _in_rounds(document, judge)
    if together.fixed == 0 or _is_better(together.document, document):
        return together
    return _one_by_one(document, judge)


def fixes(problems: Iterable[Problem], document: Document) -> list[Edit]:
    """Give the edits of a document's own text, in order; of two that touch each other only the first."""
    found = {problem.fix for problem in problems if problem.fix and problem.fix.source is document.source}
    kept: list[Edit] = []
    for edit in sorted(found, key=lambda edit: (edit.start, edit.end)):
        if not kept or edit.start > kept[-1].end or (edit.start == kept[-1].end < edit.end):
            kept.append(edit)
    return kept


def edited(document: Document, edits: Sequence[Edit]) -> bytes:
    """Give the bytes of a document with some edits in them; all others stay as they are."""
    bom = _BOM if document.raw.startswith(_BOM) else b""
    text = document.raw.removeprefix(_BOM).decode()
    ends = _crlf_ends(text)
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        start, end = (offset + bisect_left(ends, offset) for offset in (edit.start, edit.end))
        new = edit.text.replace("\n", "\r\n") if ends else edit.text
        text = text[:start] + new + text[end:]
    return bom + text.encode()


def _crlf_ends(text: str) -> list[int]:
    """Give where lines end in CR and LF, as offsets in the text that has only the LF."""
    ends: list[int] = []
    at = -2
    while (at := text.find("\r\n", at + 2)) >= 0:
        ends.append(at - len(ends))
    return ends


def _in_rounds(document: Document, judge: Judge) -> Mended:
    fixed = 0
    for _ in range(MAX_ROUNDS):
        edits = fixes(document.problems, document)
        if not edits:
            break
        document = _after(document, edits, judge)
        fixed += len(edits)
    return Mended(document, fixed)


def _one_by_one(document: Document, judge: Judge) -> Mended:
    fixed, tried = 0, 0
    edits = fixes(document.problems, document)
    while edits and tried < MAX_TRIES:
        tried += 1
        candidate = _after(document, [edits.pop(0)], judge)
        if _is_better(candidate, document):
            document, fixed = candidate, fixed + 1
            edits = fixes(document.problems, document)
    return Mended(document, fixed)


def _after(document: Document, edits: Sequence[Edit], judge: Judge) -> Document:
    after = from_bytes(edited(document, edits), document.source.name)
    after.path = document.path
    return judge(after)


def _is_better(after: Document, before: Document) -> bool:
    """No error is new, and there are fewer problems of the kind that there were.

    Warnings are only told of files without errors: new ones are no loss where an error has gone.
    """
    old, new = (Counter(_said(document, errors=True)) for document in (before, after))
    if old:
        return new <= old and new != old
    old, new = (Counter(_said(document, errors=False)) for document in (before, after))
    return not any(problem.is_error for problem in after.problems) and new <= old and new != old


def _said(document: Document, *, errors: bool) -> list[tuple[str, str]]:
    return [(problem.code.id, problem.message) for problem in document.problems if problem.is_error == errors]
