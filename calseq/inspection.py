"""A text judged as what it says it is: a bench, calibrations, instruments, modules, else a sequence."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from calseq.catalog import Catalog, with_site
from calseq.document import Document
from calseq.loading import read_whole
from calseq.problems import UNREADABLE
from calseq.schema import check, stored_schema
from calseq.yaml_reader import read_yaml

MARKS = ("calseq", "calseq-bench", "calseq-calibrations")


def read(document: Document, path: Path) -> Document:
    """Read a text as JSON if the file is called so, else as YAML."""
    if path.suffix != ".json":
        return read_yaml(document)
    from calseq.json_reader import read_json  # noqa: PLC0415 - most files are YAML

    return read_json(document)


def judge(document: Document, path: Path, catalog: Catalog) -> Iterable[Document]:
    """Judge what was read from `path`; give it, and the documents that it names."""
    data = document.data if isinstance(document.data, dict) else {}
    if path.suffix == ".json":
        _judge_json(document, data)
    elif "calseq-bench" in data:
        from calseq.bench import read_bench  # noqa: PLC0415 - most files are sequences: 10 ms for those that are not

        return read_bench(path, document).documents
    elif "calseq-calibrations" in data:
        check(document, stored_schema("calibrations"))
        with_site(document)
    else:
        return read_whole(document, catalog, folder=path.parent)[0]
    return [document]


def _judge_json(document: Document, data: Mapping[str, object]) -> None:
    if "Hybrid" in data:
        check(document, stored_schema("modules"))
        return
    from calseq.instruments import read_wiring  # noqa: PLC0415

    read_wiring(document)


def is_ours(document: Document) -> bool:
    """It says that it is calseq's, or nobody can tell."""
    if document.readable:
        return isinstance(document.data, dict) and any(mark in document.data for mark in MARKS)
    return any(problem.code is UNREADABLE for problem in document.problems) or any(
        line.startswith(MARKS) for line in document.source.text.splitlines()
    )
