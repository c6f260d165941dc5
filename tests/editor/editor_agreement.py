"""How far an editor that has nothing but the schema agrees with `calseq validate` on a corpus of files."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from language_server import LanguageServer

from calseq.documents.document import Document, open_text
from calseq.documents.schema import check
from calseq.documents.yaml_reader import read_yaml
from calseq.planning.loading import read_whole
from calseq.problems.problem import Problem
from calseq.sequence.catalog import builtin
from calseq.sequence.reader import is_variant
from calseq.sequence.schema import sequence_schema

TESTS = Path(__file__).parents[1]
SEQUENCES = TESTS / "sequence" / "corpus"
VARIANTS = TESTS / "sequence" / "variant_corpus"

IN_THE_SCHEMA = "what a schema can say"
IN_THE_YAML = "YAML itself"
BEYOND = "names, order, warnings, the base"
GROUPS = (IN_THE_SCHEMA, IN_THE_YAML, BEYOND)


class Agreement:
    """What came of a corpus: per group how many files there are, and on how many of them the same line is marked."""

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()
        self.agreed: Counter[str] = Counter()
        self.alone: Counter[str] = Counter()
        self.others: list[str] = []

    def share(self, groups: Iterable[str] = GROUPS) -> float:
        listed = list(groups)
        return sum(self.agreed[group] for group in listed) / sum(self.files[group] for group in listed)

    def told(self, group: str) -> str:
        return f"{self.agreed[group]} of {self.files[group]}"


def agreement(server: LanguageServer, folder: Path, *, in_place: bool = False) -> Agreement:
    """Show every file of a corpus to a server; the same line is marked if one of its marks is where calseq's is.

    With `in_place` it is told where the file is, and can find what that names; else it is somewhere in 'sequences'.
    """
    found = Agreement()
    for path in sorted(folder.glob("*.yaml")):
        document = read_yaml(open_text(path))
        own = [
            problem
            for problem in _problems(document)
            if problem.place and problem.place.source.name == str(path)
        ]
        if not own:
            continue  # a sound base, or a mistake that stands in another file
        group = _group(path, own[0])
        marks = server.problems(path.read_bytes().decode(errors="replace"), path if in_place else None)
        lines = {line for line, _ in marks}
        line = own[0].place.span.line if own[0].place else 0
        found.files[group] += 1
        found.agreed[group] += line in lines
        found.alone[group] += lines == {line}
        if line not in lines:
            found.others.append(
                f"{path.stem}: {own[0].code} on line {line}, the editor's {sorted(lines) or 'none'}"
            )
    return found


def _problems(document: Document) -> list[Problem]:
    documents, _ = read_whole(document, builtin())
    return [problem for each in documents for problem in each.problems]


def _group(path: Path, problem: Problem) -> str:
    if problem.code.id.startswith("CS1"):
        return IN_THE_YAML
    sayable = problem.code.id.startswith("CS2") or problem.code.id in {"CS303", "CS304"}
    return IN_THE_SCHEMA if sayable and _is_told_alone(path, problem) else BEYOND


def _is_told_alone(path: Path, problem: Problem) -> bool:
    """Of a variant, what is wrong with the file whatever its base is."""
    document = read_yaml(open_text(path))
    if not is_variant(document):
        return True
    check(document, sequence_schema(builtin()))
    return any(each.place == problem.place for each in document.problems)
