"""Any bytes in the place of a file: problems with a place inside it, in every form, mended or not, and never an exception.

    pip install atheris
    python benchmarks/fuzz.py [-max_total_time=600] [-artifact_prefix=findings/] [folder of inputs]

Coverage-guided, by atheris, from the corpus and the shipped files; the first byte says what the rest is judged as.
Other options are libFuzzer's. It is not part of the tests: those have the same checks with hypothesis.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["calseq"]):
    from calseq.documents.document import Document, from_bytes
    from calseq.documents.fixes import mend
    from calseq.planning.validation import judge, read
    from calseq.problems.diagnostics import count_text, problems_text
    from calseq.problems.formats import FORMATS, Report, report_text
    from calseq.problems.plaintext import printable
    from calseq.problems.refused import in_order
    from calseq.sequence.catalog import builtin

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("f.yaml", "instruments.json", "site.yaml", "f.yaml")


def judged(document: Document) -> Document:
    path = Path(document.source.name)
    return next(iter(judge(read(document, path), path, builtin())))


def once(data: bytes) -> None:
    """Judge, fix and report one input."""
    if not data:
        return
    document = from_bytes(data[1:], NAMES[data[0] % len(NAMES)])
    if b"calseq-bench" in data:
        return  # it would read the files that it names
    document = judged(document)
    problems = tuple(in_order(document.problems))
    for problem in problems:
        place = problem.place
        assert place is not None
        assert 1 <= place.span.line <= place.source.text.count("\n") + 1
        assert 1 <= place.span.column <= len(place.source.line(place.span.line)) + 1
        assert problem.message == printable(problem.message)
    problems_text(problems)
    count_text(problems, 1)
    for form in FORMATS[1:]:
        report_text(Report(problems, (document.source.name,)), form)
    if any(problem.fix for problem in problems):
        mended = mend(document, judged)
        assert (
            mended.fixed == 0
            or len(mended.document.problems) < len(problems)
            or not any(problem.is_error for problem in mended.document.problems)
        )


def seeds(folder: Path) -> None:
    corpus = ROOT / "tests" / "sequence" / "corpus"
    files = [*corpus.rglob("*.yaml"), *corpus.rglob("*.json"), *(ROOT / "sequences").rglob("*.*")]
    for number, path in enumerate(files):
        kind = {"instruments": 1, "site": 2}.get(path.parent.name, 1 if path.suffix == ".json" else 0)
        (folder / str(number)).write_bytes(bytes([kind]) + path.read_bytes())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="calseq-fuzz-") as where:
        seeds(Path(where))
        options = sys.argv[1:] or ["-max_total_time=600"]
        atheris.Setup([sys.argv[0], "-timeout=20", "-max_len=4000", *options, where], once)
        atheris.Fuzz()
