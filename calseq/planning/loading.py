"""Files to typed values: sequences by path or name, benches, and the bundled bench in place of a real one."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from calseq.documents.document import Document, open_text
from calseq.documents.yaml_reader import read_yaml
from calseq.model.plan import Plan, PowerMode, Simulation, rehearsed
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Place, Problem, Source, Span
from calseq.problems.refused import Refused
from calseq.problems.suggestions import did_you_mean
from calseq.sequence.catalog import Catalog
from calseq.sequence.digest import differences, digest
from calseq.sequence.reader import is_variant, read_sequence
from calseq.sequence.sequence import Sequence
from calseq.sequence.settings import apply_settings
from calseq.system.assets import shipped_sequence, shipped_sequences

if TYPE_CHECKING:
    from calseq.bench.bench import Bench  # 10 ms that a check of a sequence does not need


def find_sequence(name: str) -> Path:
    """Find a sequence by path, or one that comes with calseq by name.

    Raises:
        Refused: there is none.
    """
    path = Path(name)
    if _is_path(name) or _is_there(path):
        return path
    shipped = shipped_sequence(name)
    if shipped is None:
        known = [path.stem for path in shipped_sequences()]
        cure = did_you_mean(name, known) or "give a file, or one of " + ", ".join(known)
        source = Source("SEQUENCE", printable(name), typed=True)
        place = Place(source, Span(1, 1, max(1, len(name))))
        message = f"there is no file and no shipped sequence '{printable(name, 60)}'"
        raise Refused([Problem(codes.NO_SEQUENCE, message, cure, place)])
    return shipped


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith((".yaml", ".yml"))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def load_sequence(
    path: Path, catalog: Catalog, settings: Iterable[str] = ()
) -> tuple[tuple[Document, ...], Sequence | None]:
    """Read a sequence file and put `step.option=value` settings into it.

    Gives its documents, a variant's base last; the sequence is None if one of them has an error.
    """
    return read_whole(read_yaml(open_text(path)), catalog, settings)


def read_whole(
    document: Document, catalog: Catalog, settings: Iterable[str] = (), folder: Path | None = None
) -> tuple[tuple[Document, ...], Sequence | None]:
    """Type a sequence; a variant together with its base, which is looked for in `folder`, else where the variant is."""
    typed = tuple(settings)
    documents, sequence = _whole(document, catalog, typed, folder)
    return documents, sequence and replace(sequence, departures=tuple(f"--set {each}" for each in typed))


def _whole(
    document: Document, catalog: Catalog, settings: Iterable[str], folder: Path | None
) -> tuple[tuple[Document, ...], Sequence | None]:
    if is_variant(document):
        from calseq.sequence.variant import read_variant  # noqa: PLC0415 - most files are no variants

        beside = folder or Path(document.path).parent
        whole, sequence = read_variant(document, _base_of(document, beside), catalog, settings)
        return (whole, whole.base) if whole.base else (whole,), sequence
    if document.readable:
        apply_settings(document, settings)
    return (document,), read_sequence(document, catalog)


def _base_of(variant: Document, folder: Path) -> Document | None:
    """Open what a variant extends, or note in it why that is not possible."""
    route = ("extends",)
    name = variant.data["extends"] if isinstance(variant.data, dict) else None
    if not isinstance(name, str) or not name or variant.is_spoilt(route):
        return None
    base = read_yaml(open_text(*_base_path(variant, name, folder)))
    shown = printable(name, 60)
    unreadable = next((each for each in base.problems if each.code is codes.UNREADABLE), None)
    if unreadable:
        variant.problem_at(route, codes.NO_BASE, unreadable.message, _base_cure(name, folder))
    elif base.path == variant.path:
        cure = "name the sequence that it changes, or delete the line"
        variant.problem_at(route, codes.BASE_IS_VARIANT, f"'{shown}' extends itself", cure)
    elif is_variant(base):
        cure = "extend the one that it extends, and repeat its changes here"
        variant.problem_at(route, codes.BASE_IS_VARIANT, f"'{shown}' is itself a variant", cure)
    return None if variant.is_spoilt(route) else base


def _base_path(variant: Document, name: str, folder: Path) -> tuple[Path, str]:
    """Give the path of a base, from the folder of the variant or that of the shipped sequences, and its name to show."""
    path = folder / name if _is_path(name) else shipped_sequence(name) or folder / name
    if path.parent != folder and not _is_path(name):
        return path, str(path)
    return path, str(Path(variant.source.name).parent / (name if _is_path(name) else path.name))


def _base_cure(name: str, folder: Path) -> str:
    shipped = [path.stem for path in shipped_sequences()]
    stem = Path(name).stem
    if stem in shipped and stem != name:
        return f"'extends: {stem}' is the one that comes with calseq"
    beside = [path.name for path in folder.glob("*.y*ml")]
    known = ", ".join(shipped)
    return did_you_mean(name, [*beside, *shipped]) or f"give its path from here, or one of {known}"


def compared(plan: Plan, sequence: Sequence, bench: "Bench") -> Plan:
    """Give the plan of a sequence that goes by an official one's name with all in which the two differ."""
    like = plan.standing.like
    official = _official_text(like, sequence, bench) if like else None
    if not like:
        return plan
    unknown = f"its digest is {plan.standing.digest}, not {bench.official[like]}"
    found = tuple(differences(official, sequence)) if official else (unknown,)
    return replace(plan, standing=replace(plan.standing, differences=(*plan.standing.differences, *found)))


def _official_text(name: str, sequence: Sequence, bench: "Bench") -> Sequence | None:
    """Look for the text that a pinned digest is of: the file itself, beside the bench, or among those shipped."""
    folder = Path(bench.document.path).parent
    shipped = shipped_sequence(name)
    paths = [Path(sequence.document.path), folder / f"{name}.yaml", folder / "sequences" / f"{name}.yaml"]
    for path in [*paths, *([shipped] if shipped else [])]:
        if not path.is_file():
            continue
        found = load_sequence(path, bench.catalog)[1]
        if found and digest(found) == bench.official[name]:
            return found
    return None


def simulated(bench: "Bench", speed: float | None = None, faults: Mapping[str, str] | None = None) -> "Bench":
    """Give the bench with the bundled simulator in the place of everything real; dirigent's stand-in moves the
    simulated supplies itself where dirigent moves the real ones.
    """
    present = bench.simulation or Simulation()
    simulation = Simulation(speed or present.speed, {**present.faults, **(faults or {})})
    instead = "" if bench.mode is PowerMode.SIMULATED else str(bench.mode)
    rehearses = bench.rehearses or instead
    return replace(bench, mode=rehearsed(bench.mode), simulation=simulation, rehearses=rehearses)
