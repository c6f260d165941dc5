"""Files to typed values: sequences by path or name, benches, and the bundled bench in place of a real one."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec.structs import replace

from calseq import problems as codes
from calseq.assets import sequences, shipped_sequence, shipped_sequences
from calseq.bench import Bench
from calseq.catalog import Catalog
from calseq.document import Document, open_text
from calseq.likeness import did_you_mean
from calseq.official import differences, digest
from calseq.plaintext import printable
from calseq.plan import Plan, PowerMode, Simulation
from calseq.problems import Place, Problem, Refused, Source, Span
from calseq.sequence import Sequence
from calseq.sequence_reader import read_sequence
from calseq.settings import apply_settings
from calseq.yaml_reader import read_yaml


def find_sequence(name: str) -> Path:
    """Find a sequence by path, or one that comes with calseq by name.

    Raises:
        Refused: there is none.
    """
    path = Path(name)
    if "/" in name or path.suffix in (".yaml", ".yml") or _is_there(path):
        return path
    shipped = shipped_sequence(name)
    if shipped is None:
        known = [path.stem for path in shipped_sequences()]
        cure = did_you_mean(name, known) or "give a file, or one of " + ", ".join(known)
        source = Source("SEQUENCE", printable(name))
        place = Place(source, Span(1, 1, max(1, len(name))))
        message = f"there is no file and no shipped sequence '{printable(name, 60)}'"
        raise Refused([Problem(codes.NO_SEQUENCE, message, cure, place)])
    return shipped


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def load_sequence(
    path: Path, catalog: Catalog, settings: Iterable[str] = ()
) -> tuple[Document, Sequence | None]:
    """Read a sequence file and put `step.option=value` settings into it.

    The sequence is None if the document has an error.
    """
    typed = tuple(settings)
    document = read_yaml(open_text(path))
    if document.readable:
        apply_settings(document, typed)
    sequence = read_sequence(document, catalog)
    return document, sequence and replace(sequence, departures=tuple(f"--set {each}" for each in typed))


def compared(plan: Plan, sequence: Sequence, bench: Bench) -> Plan:
    """Give the plan of a sequence that goes by an official one's name with all in which the two differ."""
    like = plan.standing.like
    official = _official_text(like, sequence, bench) if like else None
    if not like:
        return plan
    unknown = f"its digest is {plan.standing.digest}, not {bench.official[like]}"
    found = tuple(differences(official, sequence)) if official else (unknown,)
    return replace(plan, standing=replace(plan.standing, differences=(*plan.standing.differences, *found)))


def _official_text(name: str, sequence: Sequence, bench: Bench) -> Sequence | None:
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


def shipped_bench() -> Path:
    """Give the bench file of the bundled simulated bench: a double module."""
    return sequences() / "benches" / "double" / "bench.yaml"


def simulated(bench: Bench, speed: float | None = None, faults: Mapping[str, str] | None = None) -> Bench:
    """Give the bench with the bundled simulator in the place of everything real."""
    present = bench.simulation or Simulation()
    simulation = Simulation(speed or present.speed, {**present.faults, **(faults or {})})
    return replace(bench, mode=PowerMode.SIMULATED, simulation=simulation)
