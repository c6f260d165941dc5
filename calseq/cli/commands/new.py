"""`calseq new`: a new sequence file, valid at once."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from calseq.bench.find import find_bench
from calseq.cli.messages import tell_problems
from calseq.cli.terminal import message
from calseq.cli.writing import exists, write_new
from calseq.documents.document import from_bytes
from calseq.documents.yaml_reader import read_yaml
from calseq.documents.yaml_tree import MODELINE
from calseq.documents.yaml_writer import scalar
from calseq.model.verdicts import ExitCode
from calseq.planning.loading import read_whole
from calseq.problems import codes
from calseq.problems.plaintext import printable, word
from calseq.problems.problem import Place, Problem, Source, Span
from calseq.problems.refused import Refused, in_order, refuse_errors
from calseq.problems.suggestions import did_you_mean
from calseq.sequence.catalog import Calibration, Catalog, builtin
from calseq.sequence.lint import PLACEHOLDER
from calseq.sequence.template import STARTING, new_sequence, starting_sequence, titled
from calseq.system.assets import shipped_sequence, shipped_sequences

SCHEMA = "sequence.schema.json"


def new(name: str, listed: str | None, template: str | None, title: str) -> int:
    """Write a new sequence; give the exit code."""
    path = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    try:
        if os.path.lexists(path):
            raise exists(path)
        catalog = _catalog()
        schema = schema_for(path)
        if template is not None:
            text = _from_template(template, title, schema)
        elif listed is not None:
            text = new_sequence(list(_chosen(listed, catalog)), title or titled(path.stem), schema)
        else:
            chosen = [builtin().calibrations[each] for each in STARTING]
            text = starting_sequence(chosen, title or titled(path.stem), schema)
        refuse_errors(in_order(_problems(text, str(path), catalog)))
        write_new(path, text)
    except (Refused, ValueError) as error:
        tell_problems((error if isinstance(error, Refused) else _bad_name(name, error)).problems)
        return int(ExitCode.REFUSED)
    _say(path, schema, text)
    return int(ExitCode.GOOD)


def schema_for(path: Path) -> str:
    """Give where an editor finds the schema, seen from a file: in the nearest folder 'schemas', else beside it."""
    folder = path.absolute().parent
    for above in (folder, *folder.parents):
        if (above / "schemas" / SCHEMA).is_file():
            return os.path.relpath(above / "schemas" / SCHEMA, folder)
    return SCHEMA


def _say(path: Path, schema: str, text: str) -> None:
    shown = printable(str(path))
    message(f"wrote {shown}")
    if PLACEHOLDER in text:
        message(f"fill in what says {PLACEHOLDER}")
    if not (path.parent / schema).is_file():
        message(f"for help in the editor: calseq schema > {word(str(path.parent / schema))}")
    message(f"next: calseq plan {word(str(path))} --simulate")


def _catalog() -> Catalog:
    bench = find_bench(Path.cwd())
    if bench is None:
        return builtin()
    from calseq.bench.bench import read_bench  # noqa: PLC0415 - only where there is one

    return read_bench(bench).catalog


def _chosen(listed: str, catalog: Catalog) -> Iterator[Calibration]:
    """Give the calibrations of a list with commas; all that are unknown are problems of it.

    Raises:
        InvalidCalibration: one or more are unknown.
        Refused: the list is empty.
    """
    source = Source("--from-list", listed, typed=True)
    problems: list[Problem] = []
    found: list[Calibration] = []
    for match in re.finditer(r"[^,]+", listed):
        name = match.group().strip()
        if not name:
            continue
        calibration = catalog.calibrations.get(name)
        if calibration:
            found.append(calibration)
            continue
        at = match.start() + len(match.group()) - len(match.group().lstrip())
        place = Place(source, Span(1, at + 1, len(name)))
        cure = did_you_mean(name, catalog.calibrations) or "'calseq calibrations' lists them"
        known = f"'{printable(name, 40)}' is not a known calibration"
        problems.append(Problem(codes.UNKNOWN_CALIBRATION, known, cure, place))
    if not found and not problems:
        cure = "write names with commas between them: sldo_vi_curves,iv_curve"
        problems.append(Problem(codes.BAD_VALUE, "'--from-list' names no calibration", cure))
    refuse_errors(problems)
    yield from found


def _from_template(template: str, title: str, schema: str) -> str:
    """Give a shipped sequence with its own editor's line and, if there is one, a new title."""
    shipped = shipped_sequence(template)
    if shipped is None:
        known = [path.stem for path in shipped_sequences()]
        cure = did_you_mean(template, known) or "one of " + ", ".join(known)
        place = Place(
            Source("--template", printable(template), typed=True), Span(1, 1, max(1, len(template)))
        )
        message_ = f"no sequence that comes with calseq is named '{printable(template, 60)}'"
        raise Refused([Problem(codes.NO_SEQUENCE, message_, cure, place)])
    lines = shipped.read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not line.startswith(MODELINE)]
    if title:
        lines = [f"title: {scalar(title)}" if line.startswith("title:") else line for line in lines]
    return "\n".join([f"{MODELINE} $schema={schema}", *lines]) + "\n"


def _problems(text: str, name: str, catalog: Catalog) -> list[Problem]:
    document = read_yaml(from_bytes(text.encode(errors="surrogatepass"), printable(name)))
    documents, _ = read_whole(document, catalog, folder=Path(name).parent)
    return [problem for each in documents for problem in each.problems]


def _bad_name(name: str, error: ValueError) -> Refused:
    text = f"'{printable(name, 60)}' cannot be the name of a file: {error}"
    return Refused([Problem(codes.CANNOT_WRITE, text, "use letters, digits, '_' and '-'")])
