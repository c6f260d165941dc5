"""A test stand as its files describe it: dirigent, the instruments by role, and who moves the supplies."""

import hashlib
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, convert
from msgspec.structs import replace

from calseq.bench.instruments import Wiring, read_wiring
from calseq.bench.upload_settings import read_upload
from calseq.documents.document import Document, open_text
from calseq.documents.document import Path as Route
from calseq.documents.durations import seconds
from calseq.documents.json_reader import read_json
from calseq.documents.schema import check, stored_schema
from calseq.documents.yaml_reader import read_yaml
from calseq.model.confidential import blotted
from calseq.model.destinations import KEYS, Upload
from calseq.model.plan import BiasRule, HvBox, InputFile, Module, Monitor, Notice, PowerMode, Simulation
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Place, Problem, Span
from calseq.problems.suggestions import did_you_mean
from calseq.sequence.catalog import Catalog, builtin, with_site
from calseq.system.addresses import names_of_device

FLAGS = ("-p", "-l", "-m", "--no-monitoring")
"""dirigent's flags in the class that calseq replaces; what the letters mean is nowhere written."""

_LONGEST_WORD = 32
_VARIABLE = re.compile(r"\$(\{|[A-Za-z_])")
_OWNED_FLAGS = {"-C", "--module-json", "--directory", "--instruments-dict", "--channels-dict"}


class Sweep(Struct, frozen=True):
    """How far dirigent.toml lets an IV curve go, in volts, and whether it turns it to positive voltages."""

    end_v: float | None = None
    positive: bool = False


class Bench(Struct, frozen=True):
    """A test stand. Paths are absolute; `sweeps` are dirigent.toml's own, by calibration.

    `official` are the digests of the official sequences, by name; `locks` is the folder of the locks, if it is named.
    `module_json` is the file of modules that dirigent is told of, where its own settings name another; `group` may read run folders.
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


class Settings(Struct, frozen=True):
    """dirigent's own settings: the document, and its tables. A key may be written with `_` or `-`."""

    document: Document
    tables: Mapping[str, Any]

    def get(self, key: str) -> Any:
        """Give a setting that holds for all calibrations."""
        return self.tables.get(key, self.tables.get(key.replace("_", "-")))

    def warn(self, key: str, message: str, cure: str) -> None:
        """Note a problem at the line of a setting."""
        lines = self.document.source.text.splitlines()
        pattern = re.compile(rf"\s*[\"']?{key.replace('_', '[_-]')}[\"']?\s*=")
        number = next((number for number, line in enumerate(lines, 1) if pattern.match(line)), 1)
        place = Place(self.document.source, Span(number, 1, max(1, len(lines[number - 1]) if lines else 1)))
        self.document.problems.append(Problem(codes.OTHER_SETTINGS, message, cure, place))


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
    data = document.data
    if not document.readable or not isinstance(data, dict):
        return BenchReading(None, replace(builtin(), lost=True), (document,))
    files = _Files(document, data, path.resolve())
    catalog = files.catalog()
    instruments, wiring = files.wiring()
    described = files.modules()
    config, sweeps, settings = files.dirigent_config()
    named = _module_file(files, settings)
    if wiring is not None and files.described is not None:
        _check_modules(files.described, wiring, described, instruments)
    _check_simulator(document, data)
    _check_paths(document, files)
    _check_monitors(document, data)
    _check_upload(document, files.table("upload"))
    _check_flags(document, files.table("dirigent").get("flags"))
    documents = tuple(files.documents)
    if wiring is None or any(read.is_refused for read in documents):
        return BenchReading(None, catalog, documents)
    dirigent, power = files.table("dirigent"), files.table("power")
    mode = PowerMode(power.get("mode", "dirigent"))
    if mode is PowerMode.ICICLE:
        _check_sim(instruments, wiring)
        if instruments.is_refused:
            return BenchReading(None, catalog, documents)
    bench = Bench(
        name=str(data["name"]),
        command=_words(dirigent.get("command", "dirigent")),
        config=config,
        flags=tuple(dirigent.get("flags", FLAGS)),
        cwd=files.path(dirigent.get("cwd", ".")),
        variables=files.table("env"),
        wiring=wiring,
        modules=tuple(described.get(channel, Module(channel)) for channel in wiring.channels),
        mode=mode,
        power_python=_words(power.get("python", ""))[0],
        bias=convert(files.table("bias"), BiasRule),
        simulation=convert(files.table("simulator"), Simulation) if mode is PowerMode.SIMULATED else None,
        runs=files.place(str(data.get("runs", "runs"))),
        module_json=named,
        group=str(data.get("group", "")),
        locks=files.path(str(data["locks"])) if "locks" in data else None,
        log_limit_bytes=int(str(data.get("log_limit_mb", 4096))) << 20,
        monitors=tuple(map(_monitor, files.list_of("monitors"))),
        on_finish=_notice(files.table("on_finish")),
        catalog=catalog,
        sweeps=sweeps,
        inputs=tuple(files.inputs),
        document=document,
        instruments=instruments,
        official=files.table("official"),
        documents=documents,
        upload=read_upload(
            _with_home(files.table("upload")),
            lambda text: str(files.path(text)),
            _words(power.get("python", ""))[0],
            str(path.resolve()),
        ),
        hv_box=_hv_box(wiring, data.get("hv_box", "")),
    )
    return BenchReading(bench, catalog, documents)


def runs_of(path: Path) -> Path:
    """Give where the runs of a bench are, whatever else is wrong with its file: they must be found to be stopped."""
    data = read_yaml(open_text(path)).data
    named = data.get("runs") if isinstance(data, dict) else None
    return (path.resolve().parent / Path(named if isinstance(named, str) else "runs").expanduser()).resolve()


class _Files:
    """Reads the files that a bench file names, beside it."""

    def __init__(self, document: Document, data: Mapping[str, Any], path: Path) -> None:
        self.document = document
        self.data = data
        self.folder = path.parent
        self.documents = [document]
        self.described: Document | None = None
        self.inputs = [InputFile("bench", document.path, document.sha256(), self._stored())]

    def _stored(self) -> str:
        """Give the digest of the copy that a run folder gets, if that is without secrets of the file."""
        content = blotted(self.document.raw, self.table("env"))
        return "" if content == self.document.raw else hashlib.sha256(content).hexdigest()

    def path(self, text: str) -> Path:
        return (self.folder / Path(text).expanduser()).resolve()

    def place(self, text: str) -> Path:
        """Absolute path of what need not be there; nothing of it is looked at, as its disk may hang."""
        return Path(os.path.abspath(self.folder / Path(text).expanduser()))  # noqa: PTH100

    def named(self, key: str) -> Path | None:
        """Give the path of a file that the bench names by a key."""
        value = self.data.get(key)
        return self.path(value) if isinstance(value, str) and value else None

    def table(self, key: str) -> dict[str, Any]:
        value = self.data.get(key)
        return value if isinstance(value, dict) and not self.document.is_spoilt((key,)) else {}

    def list_of(self, key: str) -> list[dict[str, Any]]:
        value = self.data.get(key)
        return value if isinstance(value, list) and not self.document.is_spoilt((key,)) else []

    def catalog(self) -> Catalog:
        site = self._open("calibrations", self.data.get("calibrations"), ("calibrations",))
        if site is None:
            lost = "calibrations" in self.data or () in self.document.incomplete
            return replace(builtin(), lost=lost)
        check(read_yaml(site), stored_schema("calibrations"))
        return with_site(site)

    def wiring(self) -> tuple[Document, Wiring | None]:
        instruments = self._open("instruments", self.data.get("instruments"), ("instruments",))
        if instruments is None:
            return self.document, None
        return instruments, read_wiring(read_json(instruments), names_of_device)

    def modules(self) -> dict[str, Module]:
        """Give what is told of the module per channel: the key below 'Hybrid' is the channel's."""
        modules = self._open("modules", self.data.get("modules"), ("modules",))
        if modules is None:
            return {}
        self.described = modules
        check(read_json(modules), stored_schema("modules"))
        data: Any = {} if modules.is_refused else modules.data
        return {channel: _module(channel, chips) for channel, chips in data.get("Hybrid", {}).items()}

    def dirigent_config(self) -> tuple[Path | None, dict[str, Sweep], Settings | None]:
        """Give dirigent.toml, how far it lets each IV curve go, and its settings."""
        named = self.table("dirigent").get("config")
        config = self._open("dirigent", named, ("dirigent", "config"))
        if config is None or not config.readable:
            return None, {}, None
        import tomllib  # noqa: PLC0415 - only a bench with a dirigent.toml needs it

        try:
            tables = tomllib.loads(config.source.text)
        except (ValueError, RecursionError) as error:
            config.problems.append(_toml_problem(config, error))
            return None, {}, None
        sweeps = {name: _sweep(table) for name, table in tables.items() if isinstance(table, dict)}
        return self.path(str(named)), sweeps, Settings(config, tables)

    def _open(self, kind: str, named: object, path: tuple[str, ...]) -> Document | None:
        """Read a file that the bench names; one that cannot be read is a problem of the line that names it."""
        if not isinstance(named, str) or self.document.is_spoilt(path):
            return None
        document = open_text(self.path(named), name=_beside(self.document.source.name, named))
        for problem in document.problems:
            if problem.code is codes.UNREADABLE:
                self.document.problem_at(path, problem.code, problem.message, problem.cure)
                return None
        self.documents.append(document)
        self.inputs.append(InputFile(kind, document.path, document.sha256()))
        return document


def _module_file(files: _Files, settings: Settings | None) -> Path | None:
    """Path for dirigent's `--module-json`, if it needs one; settings that contradict the bench are warned of."""
    if settings is None:
        return None
    if settings.get("felis") is True:
        message = "'felis = true': every calibration would upload its results by itself"
        settings.warn("felis", message, "write 'felis = false': calseq sends all of them at the end of a run")
    cwd = files.path(files.table("dirigent").get("cwd", "."))
    if _is_other(settings, "instruments", cwd, files.named("instruments")):
        named = printable(settings.get("instruments"), 80)
        message = f"instruments '{named}' are not those of the bench file, which every calibration is given"
        settings.warn("instruments", message, "name the same file in both")
    ours = files.named("modules")
    if not _is_other(settings, "module_json", cwd, ours, "modules.json"):
        return None
    named = printable(str(settings.get("module_json") or cwd / "modules.json"), 80)
    message = f"module_json '{named}' is not the 'modules:' of the bench file, which dirigent is told to use"
    settings.warn("module_json", message, "name the same file in both")
    return ours


def _is_other(settings: Settings, key: str, cwd: Path, ours: Path | None, default: str = "") -> bool:
    """Tell whether dirigent's settings name another file than the bench.

    A name is looked for in dirigent's working folder, and beside the settings where it is not there; without one, the
    `default` counts if it is there.
    """
    told = settings.get(key)
    named = told or default
    if ours is None or not isinstance(named, str) or not named:
        return False
    there = (cwd / Path(named).expanduser()).resolve()
    if there.exists():
        return there != ours
    return bool(told) and (Path(settings.document.path).parent / named).resolve() != ours


def _beside(bench: str, named: str) -> str:
    folder = bench.rpartition("/")[0]
    return printable(named if named.startswith("/") or not folder else f"{folder}/{named}")


def _module(channel: str, chips: Mapping[str, Any]) -> Module:
    """Find what a hybrid tells of its module: below its chip type and 'info'."""
    infos = [chip.get("info", {}) for chip in chips.values() if isinstance(chip, dict)]
    name = next((str(info["module_name"]) for info in infos if "module_name" in info), "")
    sensor = next((info["sensor"] for info in infos if isinstance(info.get("sensor"), bool)), None)
    return Module(
        channel, name, _told(infos, "type"), _told(infos, "subdetector"), sensor, tuple(_efuses(chips))
    )


def _efuses(chips: Mapping[str, Any]) -> Iterable[str]:
    """Give the codes of the chips of a hybrid, as they are written."""
    for group in chips.values():
        for chip in group.values() if isinstance(group, dict) else ():
            code = chip.get("eFuseCode") if isinstance(chip, dict) else None
            if isinstance(code, (int, str)) and not isinstance(code, bool) and str(code) not in ("", "0"):
                yield printable(str(code), 40)


def _file_of(document: Document) -> str:
    return printable(document.source.name.rpartition("/")[2])


def _check_modules(
    document: Document, wiring: Wiring, described: Mapping[str, Module], instruments: Document
) -> None:
    """Tell what of modules.json and of the channels does not fit each other."""
    if document.is_refused or not described:
        return
    names: dict[str, str] = {}
    for channel, module in described.items():
        place = document.place(("Hybrid", channel), key=True)
        shown = f"hybrid '{printable(channel, 20)}'" + (
            f" ({printable(module.name, 40)})" if module.name else ""
        )
        if channel not in wiring.channels:
            cure = f'add channel "{printable(channel, 20)}" there, or take the hybrid out'
            message = f"{shown} has no channel in {_file_of(instruments)}, and takes no part"
            document.problems.append(Problem(codes.UNFIT_BENCH, message, cure, place))
        if module.name and names.setdefault(module.name, channel) != channel:
            message = f"{shown} has the name of hybrid '{printable(names[module.name], 20)}'"
            document.problems.append(
                Problem(codes.UNFIT_BENCH, message, "a module has one name: correct one of them", place)
            )
    root = "channels" if ("channels",) in instruments.values else "channels_dict"
    for channel in wiring.channels:
        if channel not in described:
            message = f"channel '{printable(channel, 20)}' has no module in {_file_of(document)}"
            cure = "take the empty slot out of the channels, or add its module: without one nothing on its supply is biased"
            place = instruments.place((root, channel), key=True)
            instruments.problems.append(Problem(codes.UNFIT_BENCH, message, cure, place))


def _told(infos: Iterable[Mapping[str, Any]], key: str) -> str:
    """Give a word that the infos have; whatever else stands there is nobody's word, and refuses no bench."""
    words = (info.get(key) for info in infos)
    return next((word for word in words if isinstance(word, str) and 0 < len(word) <= _LONGEST_WORD), "")


def _sweep(table: Mapping[str, Any]) -> Sweep:
    end = table.get("max_voltage", table.get("max-voltage"))
    is_number = isinstance(end, (int, float)) and not isinstance(end, bool) and math.isfinite(end)
    return Sweep(float(end) if is_number and end is not None else None, table.get("positive") is True)


def _toml_problem(document: Document, error: Exception) -> Problem:
    text = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    match = re.search(r" \(at line (\d+), column (\d+)\)$", text)
    place = document.top()
    if match:
        place = Place(document.source, Span(int(match.group(1)), int(match.group(2))))
    elif text.endswith("(at end of document)"):
        place = document.source.place(len(document.source.text.rstrip()))
    message = f"not valid TOML: {printable(text.partition(' (at ')[0], 80).lower()}"
    return Problem(codes.BAD_SYNTAX, message, "dirigent could not read it either", place)


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


def _programs(files: _Files) -> Iterable[tuple[Route, str]]:
    """Give the program of every command of a bench file, with the route to it."""
    routes: list[Route] = [("dirigent", "command"), ("power", "python"), ("on_finish", "command")]
    routes += [("upload", "command"), ("upload", "python")]
    found = [(route, files.table(str(route[0])).get(str(route[1]))) for route in routes]
    listed = [
        entry.get("command") if isinstance(entry, dict) else None for entry in files.list_of("monitors")
    ]
    found += [(("monitors", index, "command"), command) for index, command in enumerate(listed)]
    for route, command in found:
        first = command[0] if isinstance(command, list) and command else command
        if isinstance(first, str):
            yield route, first


def _check_paths(document: Document, files: _Files) -> None:
    """A shell's variables are not put into paths and programs: a folder of such a name would be made."""
    for path, program in _programs(files):
        if _VARIABLE.search(program):
            message = f"'{printable(program, 60)}' has a variable, which is not put in"
            cure = "write the whole path, or '~' for your home at its beginning"
            document.problem_at(path, codes.BAD_VALUE, message, cure)
    dirigent = ("config", "cwd")
    routes: list[tuple[str, ...]] = [
        (key,) for key in ("instruments", "modules", "calibrations", "runs", "locks")
    ]
    routes += [("dirigent", key) for key in dirigent] + [("upload", key) for key in ("folder", "ca_file")]
    for route in routes:
        value = files.data.get(route[0]) if len(route) == 1 else files.table(route[0]).get(route[1])
        if isinstance(value, str) and _VARIABLE.search(value) and not files.path(value).exists():
            message = f"'{printable(value, 60)}' has a variable, which is not put in"
            cure = "write the whole path, or '~' for your home at its beginning"
            document.problem_at(route, codes.BAD_VALUE, message, cure)


def _check_monitors(document: Document, data: Mapping[str, Any]) -> None:
    """Two monitors of one name could not be told apart in a record."""
    listed = data.get("monitors")
    names: set[str] = set()
    for index, entry in enumerate(listed if isinstance(listed, list) else ()):
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and name in names:
            path = ("monitors", index, "name")
            message = f"a second monitor named '{printable(name, 40)}'"
            document.problem_at(path, codes.DUPLICATE_NAME, message, "choose another")
        names.add(str(name))


def _check_upload(document: Document, table: Mapping[str, Any]) -> None:
    """What belongs to another receiver would have no effect."""
    to = str(table.get("to"))
    for key in table if to in KEYS else ():
        if any(key in others for others in KEYS.values()) and key not in KEYS[to]:
            message = f"'{key}' has no meaning with 'to: {to}'"
            document.problem_at(("upload", key), codes.UNKNOWN_KEY, message, "delete it", key=True)
    if to == "felis" and ("sensor_type" in table or "module_type" in table):
        from calseq.measurement.acceptance import acceptance  # noqa: PLC0415 - of no use to any other bench

        _check_words(document, table, "sensor_type", acceptance().sensor_types)
        _check_words(document, table, "module_type", acceptance().module_types)


def _check_words(document: Document, table: Mapping[str, Any], key: str, known: tuple[str, ...]) -> None:
    """What Felis is told of all modules, or of each by its name, is a word that it knows."""
    said = table.get(key)
    named = said.items() if isinstance(said, dict) else ((None, said),)
    for name, word in named:
        route: tuple[str, ...] = ("upload", key) if name is None else ("upload", key, str(name))
        if isinstance(word, str) and word not in known and not document.is_spoilt(route):
            of = f" of {printable(str(name), 40)}" if name is not None else ""
            cure = " ".join(filter(None, (did_you_mean(word, known), f"Felis knows {', '.join(known)}")))
            message = f"'{key}'{of} cannot be '{printable(word, 40)}'"
            document.problem_at(route, codes.BAD_VALUE, message, cure)


def _check_sim(instruments: Document, wiring: Wiring) -> None:
    """icicle's simulated supplies begin with their output on and always measure 1 V: no bias can be reached."""
    data = instruments.data if isinstance(instruments.data, dict) else {}
    root = "instrument_dict" if "instrument_dict" in data else "instruments"
    for each in wiring.described():
        if each.sim:
            message = (
                f"'{printable(each.name, 40)}' is simulated by icicle, where calseq is to hold real supplies"
            )
            cure = "delete \"sim\", or rehearse with 'power: {mode: simulated}'"
            instruments.problem_at((root, each.name, "sim"), codes.SIM_BESIDE_REAL, message, cure)


def _check_simulator(document: Document, data: Mapping[str, Any]) -> None:
    power = data.get("power", {})
    doubtful = any(path[:1] == ("power",) for path in document.spoilt)
    if "simulator" in data and not doubtful and power.get("mode") != "simulated":
        cure = "delete it, or set 'power: {mode: simulated}'"
        document.problem_at(("simulator",), codes.BAD_VALUE, "'simulator' on a real bench", cure, key=True)


def _check_flags(document: Document, flags: object) -> None:
    """What calseq itself gives to dirigent is not given twice."""
    for index, flag in enumerate(flags if isinstance(flags, list) else ()):
        if isinstance(flag, str) and flag.partition("=")[0] in _OWNED_FLAGS:
            message = f"'{printable(flag, 40)}' is calseq's own argument"
            path = ("dirigent", "flags", index)
            document.problem_at(path, codes.OWNED_ARGUMENT, message, "delete it: calseq gives it itself")
