"""`calseq fmt`: files in calseq's layout."""

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from calseq.cli.terminal import has_color, message, results
from calseq.cli.writing import write_over
from calseq.documents.document import Document, from_bytes, open_text
from calseq.documents.layout import laid_out
from calseq.documents.yaml_reader import read_yaml
from calseq.model.verdicts import ExitCode
from calseq.planning.validation import key_order_of
from calseq.problems import codes
from calseq.problems.diagnostics import count_text, problems_text
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused, in_order


class _Laid(Struct, frozen=True):
    """A file, and its text in calseq's layout unless one of the problems is an error."""

    path: Path
    document: Document
    text: str | None
    problems: tuple[Problem, ...] = ()

    @property
    def differs(self) -> bool:
        return self.text is not None and self.text.encode() != self.document.raw


def fmt(paths: list[Path], *, check: bool, diff: bool) -> int:
    """Lay files out; '-' is stdin, written to stdout. With `check` or `diff` nothing is written."""
    read = [_laid(path) for path in paths]
    problems = [problem for laid in read for problem in laid.problems]
    for laid in read:
        try:
            _finish(laid, check=check, diff=diff)
        except Refused as refused:
            problems += refused.problems
    if problems:
        shown = problems_text(in_order(problems), color=has_color(sys.stderr))
        message(f"{shown}\n\n{count_text(problems, len(read))}; nothing was changed in what has an error")
        return int(ExitCode.REFUSED)
    differing = sum(laid.differs for laid in read)
    if check and differing:
        message(f"{_files(differing)} would be laid out anew; 'calseq fmt' does it")
    return int(ExitCode.FAILED if check and differing else ExitCode.GOOD)


def _laid(path: Path) -> _Laid:
    document = read_yaml(_read(path))
    if document.is_refused or not document.readable:
        return _Laid(path, document, None, tuple(document.problems))
    order = key_order_of(document)
    if order is None:
        cure = "a sequence begins with 'calseq: 1', a bench with 'calseq-bench: 1'"
        shown = f"'{document.source.name}' is not a file of calseq's"
        return _Laid(path, document, None, (Problem(codes.NOT_OURS, shown, cure, document.top()),))
    laid = laid_out(document, order)
    if isinstance(laid, Problem):
        return _Laid(path, document, None, (laid,))
    return _Laid(path, document, laid)


def _read(path: Path) -> Document:
    if str(path) == "-":
        return from_bytes(sys.stdin.buffer.read(), "-")
    return open_text(path)


def _finish(laid: _Laid, *, check: bool, diff: bool) -> None:
    if laid.text is None:
        return
    if diff:
        shown = "\n".join(_difference(laid, laid.text))
        if shown:
            results(shown)
    elif str(laid.path) == "-" and not check:
        results(laid.text.removesuffix("\n"))
    elif check and laid.differs:
        results(printable(str(laid.path)))
    elif laid.differs:
        write_over(laid.path, laid.text)
        message(f"laid out {printable(str(laid.path))}")


def _difference(laid: _Laid, text: str) -> Iterator[str]:
    name = laid.document.source.name
    old = laid.document.source.text.split("\n")
    for line in difflib.unified_diff(old, text.split("\n"), name, name, lineterm=""):
        yield printable(line)


def _files(count: int) -> str:
    return f"{count} file" + "s" * (count != 1)
