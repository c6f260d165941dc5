"""`calseq validate`: every problem of many files."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from calseq.assets import find_bench
from calseq.catalog import Catalog, builtin, with_site
from calseq.cli.terminal import has_color, results
from calseq.diagnostics import count_text, problems_text
from calseq.document import Document, open_text
from calseq.problems import UNREADABLE, Problem, in_order
from calseq.schema import check, stored_schema
from calseq.sequence_reader import read_sequence
from calseq.verdicts import ExitCode
from calseq.yaml_reader import read_yaml

MARKS = ("calseq", "calseq-bench", "calseq-calibrations")


def validate(paths: list[Path], bench: Path | None) -> int:
    """Check files and all YAML files below folders; print the problems and how many there are."""
    documents: dict[str, Document] = {}
    catalog = _catalog(bench, documents)
    skipped = 0
    for path, listed in _files(paths):
        document = read_yaml(open_text(path))
        if listed and not _is_ours(document):
            skipped += 1
            continue
        for read in _checked(document, path, catalog):
            documents.setdefault(read.path or read.source.name, read)
    problems = in_order(problem for document in documents.values() for problem in document.problems)
    _print(problems, len(documents), skipped)
    return int(ExitCode.FAILED if any(problem.is_error for problem in problems) else ExitCode.GOOD)


def _print(problems: list[Problem], files: int, skipped: int) -> None:
    color = has_color(sys.stdout)
    count = count_text(problems, files)
    if skipped:
        count += f"; {skipped} other YAML file" + (" was" if skipped == 1 else "s were") + " passed over"
    results("\n\n".join(filter(None, (problems_text(problems, color=color), count))))


def _catalog(bench: Path | None, documents: dict[str, Document]) -> Catalog:
    """Give the catalogue of the bench that was named, or of the one that is near."""
    path = bench or find_bench(Path.cwd())
    if path is None:
        return builtin()
    from calseq.bench import read_bench  # noqa: PLC0415 - most files are sequences: 10 ms for those that are not

    reading = read_bench(path)
    if bench:
        documents.update({document.path or document.source.name: document for document in reading.documents})
    return reading.catalog


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Give every file, and whether it was only listed by a folder."""
    for path in paths:
        if _is_folder(path):
            found = (each for each in sorted(path.rglob("*.y*ml")) if each.suffix in (".yaml", ".yml"))
            yield from ((each, True) for each in found if not _hidden(each.relative_to(path)))
        else:
            yield path, False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _hidden(path: Path) -> bool:
    """Below a hidden folder, or in the inputs of a finished run."""
    return any(part.startswith(".") for part in path.parts) or "inputs" in path.parts


def _is_ours(document: Document) -> bool:
    """It says that it is calseq's, or nobody can tell."""
    if document.readable:
        return isinstance(document.data, dict) and any(mark in document.data for mark in MARKS)
    return any(problem.code is UNREADABLE for problem in document.problems) or any(
        line.startswith(MARKS) for line in document.source.text.splitlines()
    )


def _checked(document: Document, path: Path, catalog: Catalog) -> Iterable[Document]:
    """Check a document as what it says it is: a bench, calibrations, else a sequence."""
    data = document.data if isinstance(document.data, dict) else {}
    if "calseq-bench" in data:
        from calseq.bench import read_bench  # noqa: PLC0415

        return read_bench(path).documents
    if "calseq-calibrations" in data:
        check(document, stored_schema("calibrations"))
        with_site(document)
    else:
        read_sequence(document, catalog)
    return [document]
