"""Unsaved text of an editor, judged as the file that it will be."""

from pathlib import Path

from calseq.bench.bench import read_bench
from calseq.bench.find import find_bench
from calseq.documents.document import Document, from_bytes, open_text
from calseq.documents.fixes import mend
from calseq.documents.layout import laid_out
from calseq.planning.validation import belongs, is_ours, judge, key_order_of, read
from calseq.problems.problem import Problem
from calseq.sequence.catalog import Catalog, builtin


def judged(path: Path, text: str) -> list[Document]:
    """Judge a text that stands at `path`, with the calibrations of the bench near it; first it, then what it names.

    Nothing at all is said of a file that is none of calseq's.
    """
    document = _read(path, text)
    return list(judge(document, path, _catalog(path))) if _is_ours(document, path) else []


def mended(path: Path, text: str) -> str:
    """Give a text with everything mended that has only one possible cure."""
    document = _read(path, text)
    catalog = _catalog(path)

    def again(fresh: Document) -> Document:
        return next(iter(judge(read(fresh, path), path, catalog)))

    first = next(iter(judge(document, path, catalog)))
    return mend(first, again).document.source.text


def tidy(path: Path, text: str) -> str | None:
    """Give a text in calseq's layout; None if it has an error, or is no YAML of calseq's."""
    document = _read(path, text)
    order = key_order_of(document) if path.suffix != ".json" else None
    if order is None or document.is_refused or not document.readable:
        return None
    laid = laid_out(document, order)
    return None if isinstance(laid, Problem) else laid


def _read(path: Path, text: str) -> Document:
    document = read(from_bytes(_bytes(path, text), str(path)), path)
    document.path = str(path.resolve())
    return document


def _bytes(path: Path, text: str) -> bytes:
    """Give the bytes behind a text: an editor shows what is not UTF-8 as if it were."""
    if "\ufffd" in text:
        stored = open_text(path).raw
        if stored.decode(errors="replace") == text:
            return stored
    return text.encode(errors="surrogatepass")


def _is_ours(document: Document, path: Path) -> bool:
    if path.suffix == ".json":
        return path.name in ("instruments.json", "modules.json")
    return belongs(path) or is_ours(document)


def _catalog(path: Path) -> Catalog:
    bench = find_bench(path.parent)
    return read_bench(bench).catalog if bench else builtin()
