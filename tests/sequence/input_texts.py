"""Texts to sequences, benches and their problems, for the tests of the input side."""

import json
from pathlib import Path

from calseq.bench.bench import Bench, BenchReading, read_bench
from calseq.documents.document import Document, from_bytes
from calseq.documents.json_reader import read_json
from calseq.documents.yaml_reader import read_yaml
from calseq.planning.compiler import compile_plan
from calseq.planning.loading import read_whole
from calseq.planning.validation import judge, read
from calseq.problems.problem import Problem
from calseq.problems.refused import in_order
from calseq.sequence.catalog import Catalog, builtin
from calseq.sequence.sequence import Sequence
from calseq.system.assets import sequences, shipped_sequences

CORPUS = Path(__file__).parent / "corpus"
SHIPPED = shipped_sequences()
SHIPPED_FOLDER = sequences()
BENCHES = sorted((sequences() / "benches").glob("*/bench.yaml"))

HEAD = "calseq: 1\ntitle: T\n"
CURVE = "  - calibration: iv_curve\n    options: {max_voltage: -80}\n"
SOUND = HEAD + "steps:\n" + CURVE


def yaml_of(text: str | bytes) -> Document:
    """Read YAML, with no judgement of what it says."""
    return read_yaml(from_bytes(text if isinstance(text, bytes) else text.encode(), "f.yaml"))


def json_of(text: str | bytes) -> Document:
    """Read JSON, with no judgement of what it says."""
    return read_json(from_bytes(text if isinstance(text, bytes) else text.encode(), "f.json"))


def sequence_of(
    text: str | bytes, *settings: str, catalog: Catalog | None = None
) -> tuple[Sequence | None, list[Problem]]:
    """Read a sequence; give it, and its problems in order."""
    documents, sequence = read_whole(yaml_of(text), catalog or builtin(), settings)
    return sequence, in_order(problem for document in documents for problem in document.problems)


def problems_of(text: str | bytes, *settings: str, catalog: Catalog | None = None) -> list[Problem]:
    """Give the problems of a sequence, in order."""
    return sequence_of(text, *settings, catalog=catalog)[1]


def told(problems: list[Problem]) -> list[str]:
    """Give problems as 'CS204 5:7'."""
    return [f"{problem.code.id} {at(problem)}" for problem in problems]


def at(problem: Problem) -> str:
    """Give a problem's place as '5:7'."""
    assert problem.place is not None
    return f"{problem.place.span.line}:{problem.place.span.column}"


INSTRUMENTS = {
    "instruments": {
        "lv_1": {"class": "TTITSX", "resource": "R1", "default_voltage": 4.0, "default_current": 3.7},
        "hv_1": {"class": "Keithley2410", "resource": "R2", "default_voltage": -50, "default_current": 1e-5},
        "ab_1": {"class": "ETHProbecard", "resource": "R3"},
    },
    "channels": {
        "0": {
            "lv": {"instrument": "lv_1", "channel": 1},
            "hv": {"instrument": "hv_1", "channel": 1},
            "ab": {"instrument": "ab_1"},
        }
    },
}
BENCH = "calseq-bench: 1\nname: b\ninstruments: instruments.json\npower: {mode: icicle}\n"


def bench_in(
    folder: Path, bench: str = BENCH, instruments: object = INSTRUMENTS, **files: str | bytes
) -> BenchReading:
    """Write a bench with its files, a '.' in a name as '_', and read it."""
    folder.mkdir(exist_ok=True)
    text = instruments if isinstance(instruments, str) else json.dumps(instruments, indent=1)
    (folder / "instruments.json").write_text(text, encoding="utf-8")
    (folder / "bench.yaml").write_text(bench, encoding="utf-8")
    for name, content in files.items():
        raw = content if isinstance(content, bytes) else content.encode()
        (folder / name.replace("_", ".")).write_bytes(raw)
    return read_bench(folder / "bench.yaml")


def sound_bench(folder: Path, bench: str = BENCH, instruments: object = INSTRUMENTS, **files: str) -> Bench:
    """Write a bench that nothing is wrong with, and read it."""
    reading = bench_in(folder, bench, instruments, **files)
    assert not reading.problems, reading.problems
    assert reading.bench is not None
    return reading.bench


def corpus_files() -> list[Path]:
    """Give every file of the corpus: sequences, and in folders what is read with a bench or is one."""
    return sorted(path for path in CORPUS.rglob("*.*") if path.suffix in (".yaml", ".json"))


def corpus_problems(path: Path, folder: Path) -> list[Problem]:
    """Judge a file of the corpus as what its folder says; `folder` takes the files that a bench needs."""
    kind = path.parent.name
    raw = path.read_bytes()
    if kind == "bench":
        return in_order(bench_in(folder, raw.decode()).problems)
    if kind == "onbench":
        sequence, problems = sequence_of(raw)
        bench = read_bench(BENCHES[0]).bench
        assert bench is not None
        return in_order([*problems, *(compile_plan(sequence, bench).problems if sequence else ())])
    document = from_bytes(raw, {"instruments": "instruments.json", "site": "site.yaml"}.get(kind, "f.yaml"))
    name = Path(document.source.name)
    return in_order(
        problem for read_one in judge(read(document, name), name, builtin()) for problem in read_one.problems
    )
