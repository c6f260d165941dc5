"""A text judged as what it says it is: a bench, calibrations, instruments, modules, else a sequence."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from calseq.documents.document import Document
from calseq.documents.schema import check, stored_schema
from calseq.documents.yaml_reader import read_yaml
from calseq.planning.loading import read_whole
from calseq.problems.codes import NO_MONITOR, NOT_FILLED_IN, UNREADABLE
from calseq.problems.problem import Problem, Severity
from calseq.sequence.catalog import Catalog, builtin, with_site

if TYPE_CHECKING:
    from calseq.bench.bench import Bench
    from calseq.documents.layout import KeyOrder

PLACES = r"(^|/)(sequences?|benches)/|(^|/)bench\.ya?ml$|\.calseq\.ya?ml$"
"""Where files are certainly calseq's: what the hook for pre-commit checks."""

KINDS = {"calseq-bench": "bench", "calseq-calibrations": "calibrations", "calseq": "sequence"}
"""The key by which a file says that it is calseq's, and what it then is."""


def read(document: Document, path: Path) -> Document:
    """Read a text as JSON if the file is called so, else as YAML."""
    if path.suffix != ".json":
        return read_yaml(document)
    from calseq.documents.json_reader import read_json  # noqa: PLC0415 - most files are YAML

    return read_json(document)


def judge(
    document: Document, path: Path, catalog: Catalog, bench: "Bench | None" = None
) -> Iterable[Document]:
    """Judge what was read from `path`; give it, and the documents that it names.

    A sequence is judged as `bench` would run it, if one is given.
    """
    data = document.data if isinstance(document.data, dict) else {}
    if path.suffix == ".json":
        _judge_json(document, data)
    elif "calseq-bench" in data:
        # most files are sequences: 10 ms for those that are not
        from calseq.bench.bench import read_bench  # noqa: PLC0415
        from calseq.planning.evening_check import check_evening  # noqa: PLC0415

        reading = read_bench(path, document)
        if reading.bench:
            document.problems += map(_softened, check_evening(reading.bench, os.environ))
        return reading.documents
    elif "calseq-calibrations" in data:
        check(document, stored_schema("calibrations"))
        with_site(document)
    else:
        documents, sequence = read_whole(document, catalog, folder=path.parent)
        if bench and sequence:
            from calseq.planning.compiler import compile_plan  # noqa: PLC0415 - only who names a bench pays for it
            from calseq.planning.evening_check import check_evening  # noqa: PLC0415

            compilation = compile_plan(sequence, bench)
            whole = documents[0]  # also of a variant
            whole.problems += compilation.problems
            if compilation.plan:
                whole.problems += map(_softened, check_evening(bench, os.environ, compilation.plan))
        return documents
    return [document]


def _softened(problem: Problem) -> Problem:
    """A new site is valid before it is filled in, and away from its monitors; a run of it is refused."""
    if problem.code not in (NOT_FILLED_IN, NO_MONITOR):
        return problem
    return replace(problem, code=replace(problem.code, severity=Severity.WARNING))


def _judge_json(document: Document, data: Mapping[str, object]) -> None:
    if "Hybrid" in data:
        check(document, stored_schema("modules"))
        return
    from calseq.bench.instruments import read_wiring  # noqa: PLC0415

    read_wiring(document)


def is_ours(document: Document) -> bool:
    """Whether a file has the key of one of calseq's formats, or cannot be read at all."""
    if document.readable:
        return isinstance(document.data, dict) and any(mark in document.data for mark in KINDS)
    return any(problem.code is UNREADABLE for problem in document.problems) or any(
        line.startswith(tuple(KINDS)) for line in document.source.text.splitlines()
    )


def belongs(path: Path) -> bool:
    """A file of this name is meant for calseq, whatever is in it."""
    return re.search(PLACES, path.as_posix()) is not None


def key_order_of(document: Document) -> "KeyOrder | None":
    """Give the order of keys of the kind of file that a text says it is; None if it says none."""
    from calseq.documents.layout import key_order  # noqa: PLC0415 - whoever only checks files has no use for their layout
    from calseq.sequence.schema import sequence_schema  # noqa: PLC0415

    data = document.data if isinstance(document.data, dict) else {}
    kind = next((kind for mark, kind in KINDS.items() if mark in data), None)
    if kind is None:
        return None
    return key_order(sequence_schema(builtin()) if kind == "sequence" else stored_schema(kind))
