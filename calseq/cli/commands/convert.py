"""`calseq convert`: dirigent's Python lists to a sequence file, and back."""

import sys
from pathlib import Path

from calseq.bench.bench import read_bench
from calseq.bench.find import find_bench
from calseq.cli.commands.new import schema_for
from calseq.cli.messages import tell_problems
from calseq.cli.terminal import message, results
from calseq.cli.writing import write_new
from calseq.documents.document import Document, from_bytes, open_text
from calseq.documents.json_reader import read_json
from calseq.documents.yaml_reader import read_yaml
from calseq.model.verdicts import ExitCode
from calseq.planning.loading import find_sequence, load_sequence
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused, in_order, refuse_errors
from calseq.sequence.catalog import Catalog, builtin
from calseq.sequence.conversion import class_text, sequence_text
from calseq.sequence.dirigent_source import read_lists, read_python
from calseq.sequence.reader import read_sequence


def convert(source: Path, output: Path | None, to: str, class_: str) -> int:
    """Convert a file into the other form, or into `to`; give the exit code."""
    path = find_bench(Path.cwd())
    catalog = read_bench(path).catalog if path else builtin()
    try:
        text = _converted(source, output, to, class_, catalog)
        if output is None:
            results(text.removesuffix("\n"))
        else:
            write_new(output, text)
            message(f"wrote {printable(str(output))}")
    except Refused as refused:
        tell_problems(in_order(refused.problems), 1)
        return int(ExitCode.REFUSED)
    for line in text.splitlines():
        if line.startswith("# not carried over"):
            message(line.removeprefix("# "))
    return int(ExitCode.GOOD)


def _converted(source: Path, output: Path | None, to: str, class_: str, catalog: Catalog) -> str:
    if source.suffix != ".py" and _is_sequence(source):
        if to == "yaml":
            shown = f"'{printable(str(source))}' is a sequence file already"
            raise Refused([Problem(codes.NO_CLASS, shown, "give dirigent's lists, or --to class")])
        return _to_class(source, catalog)
    if to == "class":
        shown = f"'{printable(str(source))}' is not a sequence file"
        raise Refused([Problem(codes.NOT_OURS, shown, "give one, or leave out --to class")])
    return _to_yaml(source, output, class_, catalog)


def _is_sequence(source: Path) -> bool:
    """It says so itself, or it is the name of one that comes with calseq."""
    if not source.suffix and not source.exists():
        return True
    document = read_yaml(open_text(source))
    return isinstance(document.data, dict) and "calseq" in document.data


def _to_class(source: Path, catalog: Catalog) -> str:
    documents, sequence = load_sequence(find_sequence(str(source)), catalog)
    refuse_errors([problem for document in documents for problem in document.problems])
    problems: list[Problem] = []
    text = class_text(sequence, problems) if sequence else ""
    refuse_errors(problems)
    return text


def _to_yaml(source: Path, output: Path | None, class_: str, catalog: Catalog) -> str:
    document = _opened(source)
    if source.suffix == ".py":
        lists = read_python(document, class_)
    else:
        lists = read_lists(read_json(document) if source.suffix == ".json" else read_yaml(document))
    refuse_errors(document.problems)
    problems: list[Problem] = []
    schema = schema_for(output or Path("x.yaml"))
    text = sequence_text(lists, catalog, schema, problems) if lists else ""
    refuse_errors(problems)
    written = read_yaml(from_bytes(text.encode(errors="surrogatepass"), "the sequence file of it"))
    read_sequence(written, catalog)
    refuse_errors(written.problems)
    return text


def _opened(source: Path) -> Document:
    if str(source) == "-":
        return from_bytes(sys.stdin.buffer.read(), "-")
    return open_text(source)
