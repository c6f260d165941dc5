"""A test stand as its files describe it: dirigent, the instruments by role, and who moves the supplies."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, convert
from msgspec.structs import replace

from calseq.bench.checks import check_bench, check_real_supplies
from calseq.bench.dirigent_config import Settings, Sweep, module_file
from calseq.bench.files import BenchFiles
from calseq.bench.modules import check_modules
from calseq.bench.upload_settings import read_upload
from calseq.bench.wiring import Wiring
from calseq.documents.document import Document, open_text
from calseq.documents.durations import seconds
from calseq.documents.schema import check, stored_schema
from calseq.documents.yaml_reader import read_yaml
from calseq.model.destinations import Upload
from calseq.model.plan import BiasRule, HvBox, InputFile, Module, Monitor, Notice, PowerMode, Simulation
from calseq.problems.problem import Problem
from calseq.sequence.catalog import Catalog, builtin

FLAGS = ("-p", "-l", "-m", "--no-monitoring")
"""dirigent's flags in the class that calseq replaces; what the letters mean is nowhere written."""


class Bench(Struct, frozen=True):
    """A test stand. Paths are absolute; `sweeps` are dirigent.toml's own, by calibration.

    `official` are the digests of the official sequences, by name; `locks` is the folder of the locks, if it is named.
    `module_json` is the file of modules for dirigent, where its own settings name another; `group` may read run folders.
    `stand_in`: the dirigent that it names is the simulator's; `rehearses` is its own power mode, where it is simulated.
    `documents` are the texts of all its files.
    """

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
    monitors: tuple[Monitor, ...]
    on_finish: Notice | None
    catalog: Catalog
    sweeps: Mapping[str, Sweep]
    inputs: tuple[InputFile, ...]
    document: Document
    instruments: Document
    official: Mapping[str, str] = {}
    upload: Upload | None = None
    hv_box: HvBox | None = None
    locks: Path | None = None
    module_json: Path | None = None
    group: str = ""
    stand_in: bool = False
    rehearses: str = ""
    documents: tuple[Document, ...] = ()

    @property
    def all_simulated(self) -> bool:
        """The simulator is in the place of everything real, in any power mode."""
        return self.mode is PowerMode.SIMULATED or bool(self.rehearses)


class BenchReading(Struct, frozen=True):
    """What came of reading a bench: the bench, unless one of its `documents` has an error."""

    bench: Bench | None
    catalog: Catalog
    documents: tuple[Document, ...]

    @property
    def problems(self) -> list[Problem]:
        """The problems of all its files."""
        return [problem for document in self.documents for problem in document.problems]


def read_bench(path: Path, document: Document | None = None) -> BenchReading:
    """Read a bench file and every file that it names; all problems of all of them at once.

    `document` is its text where that was read already.
    """
    document = document or read_yaml(open_text(path))
    check(document, stored_schema("bench"))
    if not document.readable or not isinstance(document.data, dict):
        return BenchReading(None, replace(builtin(), lost=True), (document,))
    files = BenchFiles(document, document.data, path.resolve())
    catalog, wiring, modules, settings = files.catalog(), files.wiring(), files.modules(), files.settings()
    module_json = _module_json(files, settings)
    if wiring is not None and files.modules_json is not None:
        check_modules(files.modules_json, wiring, modules, files.instruments_json)
    check_bench(files)
    documents = tuple(files.documents)
    if wiring is not None and not any(read.is_refused for read in documents):
        check_real_supplies(files, wiring)
    if wiring is None or any(read.is_refused for read in documents):
        return BenchReading(None, catalog, documents)
    return BenchReading(_bench(files, catalog, wiring, modules, settings, module_json), catalog, documents)


def _module_json(files: BenchFiles, settings: Settings | None) -> Path | None:
    if settings is None:
        return None
    cwd = files.table("dirigent").get("cwd")
    cwd = files.path(cwd if isinstance(cwd, str) else ".")
    return module_file(settings, cwd, files.named("instruments"), files.named("modules"))


def _bench(
    files: BenchFiles,
    catalog: Catalog,
    wiring: Wiring,
    modules: Mapping[str, Module],
    settings: Settings | None,
    module_json: Path | None,
) -> Bench:
    """Type a bench of whose files none has an error."""
    data, dirigent = files.data, files.table("dirigent")
    mode = files.power_mode()
    power_python = _words(files.table("power").get("python", ""))[0]
    return Bench(
        name=str(data["name"]),
        command=_words(dirigent.get("command", "dirigent")),
        config=Path(settings.document.path) if settings else None,
        flags=tuple(dirigent.get("flags", FLAGS)),
        cwd=files.path(dirigent.get("cwd", ".")),
        variables=files.table("env"),
        wiring=wiring,
        modules=tuple(modules.get(channel, Module(channel)) for channel in wiring.channels),
        mode=mode,
        power_python=power_python,
        bias=convert(files.table("bias"), BiasRule),
        simulation=convert(files.table("simulator"), Simulation) if mode is PowerMode.SIMULATED else None,
        runs=files.place(str(data.get("runs", "runs"))),
        module_json=module_json,
        group=str(data.get("group", "")),
        locks=files.path(str(data["locks"])) if "locks" in data else None,
        log_limit_bytes=int(str(data.get("log_limit_mb", 4096))) << 20,
        monitors=tuple(map(_monitor, files.list_of("monitors"))),
        on_finish=_notice(files.table("on_finish")),
        catalog=catalog,
        sweeps=settings.sweeps() if settings else {},
        inputs=tuple(files.inputs),
        document=files.document,
        instruments=files.instruments_json,
        official=files.table("official"),
        documents=tuple(files.documents),
        upload=read_upload(
            _with_home(files.table("upload")),
            lambda text: str(files.path(text)),
            power_python,
            str(files.bench),
        ),
        hv_box=_hv_box(wiring, data.get("hv_box", "")),
    )


def runs_of(path: Path) -> Path:
    """Give where the runs of a bench are, whatever else is wrong with its file: they must be found to be stopped."""
    data = read_yaml(open_text(path)).data
    named = data.get("runs") if isinstance(data, dict) else None
    return (path.resolve().parent / Path(named if isinstance(named, str) else "runs").expanduser()).resolve()


def _monitor(entry: Mapping[str, Any]) -> Monitor:
    return Monitor(
        name=entry["name"],
        command=_words(entry["command"]),
        every_s=seconds(entry.get("every", "10s")) or 1.0,
        timeout_s=seconds(entry.get("timeout", "5s")) or 1.0,
        on_failure=entry.get("on_failure", "stop"),
    )


def _notice(table: Mapping[str, Any]) -> Notice | None:
    if not table:
        return None
    return Notice(_words(table["command"]), seconds(table.get("timeout", "30s")) or 1.0)


def _hv_box(wiring: Wiring, stated: Any) -> HvBox | None:
    """The HV box of a bench: one that instruments.json lists, or that the bench file alone speaks of."""
    names = tuple(f"{name} ({wiring.instruments[name]['class']})" for name in wiring.hv_boxes())
    return HvBox(names, stated) if names or stated else None


def _words(command: str | list[str]) -> tuple[str, ...]:
    """Give a command as words; `~` at the beginning of its program is a home, as in every path of a bench."""
    first, *others = command if isinstance(command, list) else [command]
    return (str(Path(first).expanduser()) if first.startswith("~") else first, *others)


def _with_home(upload: Mapping[str, Any]) -> dict[str, Any]:
    """Give the settings of `upload:` with a home in the place of `~` in its programs."""
    home = {"command": list(_words(upload["command"]))} if "command" in upload else {}
    if "python" in upload:
        home["python"] = _words(upload["python"])[0]  # type: ignore[assignment]
    return {**upload, **home}
