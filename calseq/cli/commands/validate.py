"""`calseq validate`: every problem of many files."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from calseq.bench.find import bench_file
from calseq.cli.terminal import has_color, is_terminal, message, results
from calseq.documents.document import MAX_BYTES, Document, from_bytes, open_text
from calseq.model.verdicts import ExitCode
from calseq.planning.validation import is_ours, judge, read
from calseq.problems.codes import NOTHING_TO_CHECK
from calseq.problems.diagnostics import count_text, plural, problems_text
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import in_order
from calseq.sequence.catalog import Catalog, builtin
from calseq.system.assets import shipped_sequence

if TYPE_CHECKING:
    from calseq.bench.bench import Bench

STDIN = "-"


class CheckOptions(Struct, frozen=True):
    """How to check: the form of the report, what counts as bad, and what happens to what can be fixed."""

    format: str = ""
    strict: bool = False
    fix: bool = False
    diff: bool = False
    stdin_name: str = ""


class _Ground(NamedTuple):
    """What sequences are judged by."""

    catalog: Catalog
    bench: "Bench | None" = None


class _Checked(Struct):
    """All files that were looked at, by path, and what came of fixing them.

    `bases` are those of variants: what is wrong with them is told, and left to whoever gives them as files. `others` are
    problems of no file.
    """

    documents: dict[str, Document]
    paths: dict[str, Path]
    bases: dict[str, Document] = {}
    others: list[Problem] = []
    skipped: int = 0
    fixed: int = 0
    refusals: list[str] = []
    differences: list[str] = []

    def problems(self) -> list[Problem]:
        found = (problem for document in self.all() for problem in document.problems)
        return in_order([*self.others, *found])

    def all(self) -> list[Document]:
        return list({**self.bases, **self.documents}.values())


def validate(paths: list[Path], bench: Path | None, options: CheckOptions) -> int:
    """Check files and all YAML files below folders; print the problems and how many there are."""
    checked = _Checked({}, {})
    ground = _ground(bench, checked.documents)
    for path, listed in _files(paths):
        document = read(_opened(path, options), _shown(path, options))
        if listed and not is_ours(document):
            checked.skipped += 1
            continue
        checked.paths.setdefault(_key(document), _shown(path, options))
        first, *others = judge(document, _shown(path, options), *ground)
        for judged in (first, *others):
            known = checked.bases if judged is first.base else checked.documents
            known.setdefault(_key(judged), judged)
    if not checked.documents:
        checked.others.append(_nothing(paths, checked.skipped))
    if options.fix or options.diff:
        _mend(checked, ground, options)
    _print(checked, options)
    bad = [problem for problem in checked.problems() if problem.is_error or options.strict]
    return int(ExitCode.FAILED if bad or checked.differences else ExitCode.GOOD)


def _nothing(paths: list[Path], skipped: int) -> Problem:
    """No file is no good file."""
    shown = ", ".join("this folder" if path == Path() else printable(str(path), 80) for path in paths[:5])
    message = f"nothing to check in {shown}"
    cure = "give a file or a folder with some, or begin one with 'calseq new'"
    if skipped:
        cure = "none of its YAML files says that it is calseq's ('calseq: 1'): give the file that should"
    return Problem(NOTHING_TO_CHECK, message, cure)


def _key(document: Document) -> str:
    """One file may be given twice, and be named by a bench, too."""
    return document.path or document.source.name


def _opened(path: Path, options: CheckOptions) -> Document:
    if str(path) != STDIN:
        return open_text(path)
    return from_bytes(sys.stdin.buffer.read(MAX_BYTES + 1), printable(options.stdin_name or "<stdin>"))


def _shown(path: Path, options: CheckOptions) -> Path:
    """Give where a text belongs: its kind and the files beside it depend on that."""
    return Path(options.stdin_name or "stdin.yaml") if str(path) == STDIN else path


def _mend(checked: _Checked, ground: _Ground, options: CheckOptions) -> None:
    """Fix every file that can be fixed; `--diff` only shows what would be done."""
    from calseq.cli.fix import difference, replace_file  # noqa: PLC0415 - only --fix and --diff pay for it
    from calseq.documents.fixes import mend  # noqa: PLC0415

    for name, document in checked.documents.items():
        if not any(problem.fix for problem in document.problems):
            continue
        path = checked.paths.get(name) or Path(name)

        def again(text: Document, path: Path = path) -> Document:
            return next(iter(judge(read(text, path), path, *ground)))

        mended = mend(document, again)
        if mended.fixed and options.diff:
            checked.differences.append(difference(document, mended.document))
        elif mended.fixed:
            reason = replace_file(path, document, mended.document)
            if reason:
                checked.refusals.append(reason)
            else:
                checked.documents[name] = mended.document
                checked.fixed += mended.fixed
    if checked.fixed:
        _judge_variants(checked, ground)


def _judge_variants(checked: _Checked, ground: _Ground) -> None:
    """A variant may have been judged with a base that is mended now."""
    for name, document in checked.documents.items():
        base = document.base
        if base and _key(base) in checked.documents and checked.documents[_key(base)].raw != base.raw:
            path = checked.paths[name]
            checked.documents[name] = next(iter(judge(read(open_text(path), path), path, *ground)))


def _print(checked: _Checked, options: CheckOptions) -> None:
    """Write the report to stdout; where that is for a program to read, the last words go to stderr."""
    problems = checked.problems()
    last = "\n".join([*checked.refusals, _last_line(checked, problems, options)])
    form = options.format or ("full" if is_terminal(sys.stdout) else "concise")
    if options.diff:
        _write_differences(checked.differences)
        message(last)
    elif form == "full":
        color = has_color(sys.stdout)
        results("\n\n".join(filter(None, (problems_text(problems, color=color), last))))
    else:
        from calseq.problems.formats import Report, report_text  # noqa: PLC0415 - only who asks for one pays for it

        names = tuple(dict.fromkeys(document.source.name for document in checked.all()))
        text = report_text(Report(tuple(problems), names, checked.fixed), form)
        if form == "concise":
            results("\n".join(filter(None, (text, last))))
        else:
            results(text) if text else None
            message("\n".join(checked.refusals)) if checked.refusals else None


def _write_differences(differences: list[str]) -> None:
    """What goes to `patch` must be whole; a terminal is shown no character that it could obey."""
    for text in differences:
        shown = "\n".join(map(printable, text.splitlines())) if is_terminal(sys.stdout) else text.rstrip("\n")
        results(shown)


def _last_line(checked: _Checked, problems: list[Problem], options: CheckOptions) -> str:
    count = count_text(problems, len(checked.all()))
    given = {document.source.name for document in checked.documents.values()}
    fixable = sum(problem.fix is not None and problem.fix.source.name in given for problem in problems)
    if checked.fixed:
        left = f": {count}" if problems else ""
        count = f"{plural(checked.fixed, 'problem')} fixed, {len(problems)} left{left}"
    elif fixable and not options.fix:
        count += "; --fix mends " + ("it" if fixable == len(problems) == 1 else f"{fixable} of them")
    if checked.skipped:
        were = "file was" if checked.skipped == 1 else "files were"
        count += f"; {checked.skipped} other YAML {were} passed over"
    return count


def _ground(bench: Path | None, documents: dict[str, Document]) -> _Ground:
    """Give what sequences are judged by: of the bench that was named all, of one that is near its calibrations."""
    path = bench_file(bench)
    if path is None:
        return _Ground(builtin())
    from calseq.bench.bench import read_bench  # noqa: PLC0415 - most files are sequences: 10 ms for those that are not

    reading = read_bench(path)
    if bench is None:
        return _Ground(reading.catalog)
    documents.update({_key(document): document for document in reading.documents})
    return _Ground(reading.catalog, reading.bench)


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Give every file, and whether it was only listed by a folder."""
    for path in paths:
        if _is_folder(path):
            found = (each for each in sorted(path.rglob("*.y*ml")) if each.suffix in (".yaml", ".yml"))
            yield from ((each, True) for each in found if not _hidden(each.relative_to(path)))
        else:
            yield _shipped(path) or path, False


def _shipped(path: Path) -> Path | None:
    """Give the sequence that comes with calseq by that name, unless a file has it."""
    return None if os.path.lexists(path) else shipped_sequence(str(path))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _hidden(path: Path) -> bool:
    """Below a hidden folder, or in the inputs of a finished run."""
    return any(part.startswith(".") for part in path.parts) or "inputs" in path.parts
