"""Checks of a bench file that its schema cannot make."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from calseq.bench.files import BenchFiles
from calseq.bench.wiring import Wiring
from calseq.documents.document import Document
from calseq.documents.document import Path as Route
from calseq.model.destinations import KEYS
from calseq.model.plan import PowerMode
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.suggestions import did_you_mean

_VARIABLE = re.compile(r"\$(\{|[A-Za-z_])")
_OWNED_FLAGS = {"-C", "--module-json", "--directory", "--instruments-dict", "--channels-dict"}


def check_bench(files: BenchFiles) -> None:
    """Note what the schema of a bench file cannot tell."""
    _check_simulator(files)
    _check_paths(files)
    _check_monitors(files)
    _check_upload(files.document, files.table("upload"))
    _check_flags(files)


def _programs(files: BenchFiles) -> Iterable[tuple[Route, str]]:
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


def _check_paths(files: BenchFiles) -> None:
    """Shell variables in paths and programs: they are not expanded, and a folder of such a name would be made."""
    for path, program in _programs(files):
        if _VARIABLE.search(program):
            message = f"'{printable(program, 60)}' has a variable, which is not put in"
            cure = "write the whole path, or '~' for your home at its beginning"
            files.document.problem_at(path, codes.BAD_VALUE, message, cure)
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
            files.document.problem_at(route, codes.BAD_VALUE, message, cure)


def _check_monitors(files: BenchFiles) -> None:
    """Duplicate names of monitors: a record names them."""
    listed = files.data.get("monitors")
    names: set[str] = set()
    for index, entry in enumerate(listed if isinstance(listed, list) else ()):
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and name in names:
            path = ("monitors", index, "name")
            message = f"a second monitor named '{printable(name, 40)}'"
            files.document.problem_at(path, codes.DUPLICATE_NAME, message, "choose another")
        names.add(str(name))


def _check_upload(document: Document, table: Mapping[str, Any]) -> None:
    """Keys of `upload:` that belong to another receiver."""
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
    """Words for all modules, or for each by its name, that Felis does not know."""
    said = table.get(key)
    named = said.items() if isinstance(said, dict) else ((None, said),)
    for name, word in named:
        route: tuple[str, ...] = ("upload", key) if name is None else ("upload", key, str(name))
        if isinstance(word, str) and word not in known and not document.is_spoilt(route):
            of = f" of {printable(str(name), 40)}" if name is not None else ""
            cure = " ".join(filter(None, (did_you_mean(word, known), f"Felis knows {', '.join(known)}")))
            message = f"'{key}'{of} cannot be '{printable(word, 40)}'"
            document.problem_at(route, codes.BAD_VALUE, message, cure)


def check_real_supplies(files: BenchFiles, wiring: Wiring) -> None:
    """Instruments that icicle simulates, on a bench of real supplies: their output is on, and they measure 1 V."""
    if files.power_mode() is not PowerMode.ICICLE:
        return
    instruments = files.instruments_json
    root = "instrument_dict" if ("instrument_dict",) in instruments.values else "instruments"
    for each in wiring.described():
        if each.sim:
            message = (
                f"'{printable(each.name, 40)}' is simulated by icicle, where calseq is to hold real supplies"
            )
            cure = "delete \"sim\", or rehearse with 'power: {mode: simulated}'"
            instruments.problem_at((root, each.name, "sim"), codes.SIM_BESIDE_REAL, message, cure)


def _check_simulator(files: BenchFiles) -> None:
    document, data = files.document, files.data
    power = data.get("power", {})
    doubtful = any(path[:1] == ("power",) for path in document.spoilt)
    if "simulator" in data and not doubtful and power.get("mode") != "simulated":
        cure = "delete it, or set 'power: {mode: simulated}'"
        document.problem_at(("simulator",), codes.BAD_VALUE, "'simulator' on a real bench", cure, key=True)


def _check_flags(files: BenchFiles) -> None:
    """Flags that calseq itself gives to dirigent."""
    flags = files.table("dirigent").get("flags")
    for index, flag in enumerate(flags if isinstance(flags, list) else ()):
        if isinstance(flag, str) and flag.partition("=")[0] in _OWNED_FLAGS:
            message = f"'{printable(flag, 40)}' is calseq's own argument"
            path = ("dirigent", "flags", index)
            files.document.problem_at(
                path, codes.OWNED_ARGUMENT, message, "delete it: calseq gives it itself"
            )
