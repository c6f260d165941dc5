"""A test stand as its files describe it: dirigent, the instruments by role, and who moves the supplies."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from calseq import problems as codes
from calseq.catalog import Catalog, builtin, with_site
from calseq.document import Document, open_text
from calseq.instruments import Wiring, read_wiring
from calseq.json_reader import read_json
from calseq.plaintext import printable
from calseq.plan import BiasRule, InputFile, Module, PowerMode, Simulation
from calseq.problems import Place, Problem, Span
from calseq.schema import check, stored_schema
from calseq.yaml_reader import read_yaml

FLAGS = ("-p", "-l", "-m", "--no-monitoring")
"""dirigent's flags in the class that calseq replaces; what the letters mean is nowhere written."""

BENCH_FILE = "bench.yaml"


class Bench(Struct, frozen=True):
    """A test stand. Paths are absolute; `sweep_end_v` is dirigent.toml's own end of an IV sweep, in volts."""

    name: str
    command: tuple[str, ...]
    config: Path | None
    flags: tuple[str, ...]
    cwd: Path
    variables: Mapping[str, str]
    wiring: Wiring
    modules: tuple[Module, ...]
    mode: PowerMode
    power_python: str
    bias: BiasRule
    simulation: Simulation | None
    runs: Path
    log_limit_bytes: int
    catalog: Catalog
    sweep_end_v: float | None
    inputs: tuple[InputFile, ...]
    document: Document
    instruments: Document


class BenchReading(Struct, frozen=True):
    """What came of reading a bench: the bench, unless one of its `documents` has an error."""

    bench: Bench | None
    catalog: Catalog
    documents: tuple[Document, ...]

    @property
    def problems(self) -> list[Problem]:
        """The problems of all its files."""
        return [problem for document in self.documents for problem in document.problems]


def find_bench(start: Path) -> Path | None:
    """Look for a bench file in a folder and above it."""
    candidates = (folder / BENCH_FILE for folder in (start, *start.parents))
    return next((path for path in candidates if path.is_file()), None)


def read_bench(path: Path) -> BenchReading:
    """Read a bench file and every file that it names; all problems of all of them at once."""
    document = read_yaml(open_text(path))
    check(document, stored_schema("bench"))
    data = document.data
    if not document.readable or not isinstance(data, dict):
        return BenchReading(None, builtin(), (document,))
    files = _Files(document, data, path.resolve())
    catalog = files.catalog()
    instruments, wiring = files.wiring()
    names = files.module_names()
    config, sweep_end_v = files.dirigent_config()
    _check_simulator(document, data)
    documents = tuple(files.documents)
    if wiring is None or any(problem.is_error for read in documents for problem in read.problems):
        return BenchReading(None, catalog, documents)
    dirigent, power, command = (
        files.table("dirigent"),
        files.table("power"),
        files.table("dirigent").get("command"),
    )
    mode = PowerMode(power.get("mode", "dirigent"))
    bench = Bench(
        name=str(data["name"]),
        command=tuple(command) if isinstance(command, list) else (command or "dirigent",),
        config=config,
        flags=tuple(dirigent.get("flags", FLAGS)),
        cwd=files.path(dirigent.get("cwd", ".")),
        variables=files.table("env"),
        wiring=wiring,
        modules=tuple(Module(channel, names.get(channel, "")) for channel in wiring.channels),
        mode=mode,
        power_python=power.get("python", ""),
        bias=BiasRule(**files.table("bias")),
        simulation=Simulation(**files.table("simulator")) if mode is PowerMode.SIMULATED else None,
        runs=files.path(str(data.get("runs", "runs"))),
        log_limit_bytes=int(str(data.get("log_limit_mb", 4096))) << 20,
        catalog=catalog,
        sweep_end_v=sweep_end_v,
        inputs=tuple(files.inputs),
        document=document,
        instruments=instruments,
    )
    return BenchReading(bench, catalog, documents)


class _Files:
    """Reads the files that a bench file names, beside it."""

    def __init__(self, document: Document, data: Mapping[str, Any], path: Path) -> None:
        self.document = document
        self.data = data
        self.folder = path.parent
        self.documents = [document]
        self.inputs = [InputFile("bench", document.path, document.sha256())]

    def path(self, text: str) -> Path:
        return (self.folder / text).resolve()

    def table(self, key: str) -> dict[str, Any]:
        value = self.data.get(key)
        return value if isinstance(value, dict) and not self.document.is_spoilt((key,)) else {}

    def catalog(self) -> Catalog:
        site = self._open("calibrations", self.data.get("calibrations"), ("calibrations",))
        if site is None:
            return builtin()
        check(read_yaml(site), stored_schema("calibrations"))
        return with_site(site) if site.readable else builtin()

    def wiring(self) -> tuple[Document, Wiring | None]:
        instruments = self._open("instruments", self.data.get("instruments"), ("instruments",))
        if instruments is None:
            return self.document, None
        return instruments, read_wiring(read_json(instruments))

    def module_names(self) -> dict[str, str]:
        """Give the module's name per channel: the key below 'Hybrid' is the channel's."""
        modules = self._open("modules", self.data.get("modules"), ("modules",))
        if modules is None:
            return {}
        data = read_json(modules).data
        hybrids = data.get("Hybrid") if isinstance(data, dict) else None
        names = {}
        for channel, chips in hybrids.items() if isinstance(hybrids, dict) else ():
            name = _module_name(chips)
            if name:
                names[channel] = name
        return names

    def dirigent_config(self) -> tuple[Path | None, float | None]:
        """Give dirigent.toml, and how far it lets an IV curve go."""
        named = self.table("dirigent").get("config")
        config = self._open("dirigent", named, ("dirigent", "config"))
        if config is None or not config.readable:
            return None, None
        try:
            tables = tomllib.loads(config.source.text)
        except tomllib.TOMLDecodeError as error:
            config.problems.append(_toml_problem(config, error))
            return None, None
        curve = tables.get("iv_curve")
        end = curve.get("max_voltage", curve.get("max-voltage")) if isinstance(curve, dict) else None
        number = isinstance(end, (int, float)) and not isinstance(end, bool)
        return self.path(str(named)), float(end) if number and end is not None else None

    def _open(self, kind: str, named: object, path: tuple[str, ...]) -> Document | None:
        """Read a file that the bench names; one that cannot be read is a problem of the line that names it."""
        if not isinstance(named, str) or self.document.is_spoilt(path):
            return None
        document = open_text(self.path(named), name=_beside(self.document.source.name, named))
        unreadable = [problem for problem in document.problems if problem.code is codes.UNREADABLE]
        if unreadable:
            problem = unreadable[0]
            self.document.problem_at(path, problem.code, problem.message, problem.cure)
            return None
        self.documents.append(document)
        self.inputs.append(InputFile(kind, document.path, document.sha256()))
        return document


def _beside(bench: str, named: str) -> str:
    folder = bench.rpartition("/")[0]
    return printable(named if named.startswith("/") or not folder else f"{folder}/{named}")


def _module_name(chips: object) -> str:
    """Find `module_name` in a hybrid: below its chip type and 'info'."""
    for chip in chips.values() if isinstance(chips, dict) else ():
        info = chip.get("info") if isinstance(chip, dict) else None
        name = info.get("module_name") if isinstance(info, dict) else None
        if isinstance(name, str) and name:
            return name
    return ""


def _toml_problem(document: Document, error: tomllib.TOMLDecodeError) -> Problem:
    text = str(error)
    match = re.search(r" \(at line (\d+), column (\d+)\)$", text)
    span = Span(int(match.group(1)), int(match.group(2))) if match else Span(1, 1)
    message = f"not valid TOML: {printable(text[: match.start()] if match else text, 80).lower()}"
    return Problem(
        codes.BAD_SYNTAX, message, "dirigent could not read it either", Place(document.source, span)
    )


def _check_simulator(document: Document, data: Mapping[str, Any]) -> None:
    power = data.get("power")
    mode = power.get("mode") if isinstance(power, dict) else None
    if "simulator" in data and mode != "simulated":
        cure = "delete it, or set 'power: {mode: simulated}'"
        document.problem_at(("simulator",), codes.BAD_VALUE, "'simulator' on a real bench", cure, key=True)
