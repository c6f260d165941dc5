"""dirigent.toml: how far it lets IV curves go, and settings of it that contradict a bench file."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from calseq.documents.document import Document
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Place, Problem, Span


class Sweep(Struct, frozen=True):
    """How far dirigent.toml lets an IV curve go, in volts, and whether it turns it to positive voltages."""

    end_v: float | None = None
    positive: bool = False


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

    def sweeps(self) -> dict[str, Sweep]:
        """Give how far each IV curve may go, by calibration."""
        return {name: _sweep(table) for name, table in self.tables.items() if isinstance(table, dict)}


def read_settings(document: Document) -> Settings | None:
    """Read dirigent.toml; what is wrong with it is noted in the document."""
    import tomllib  # noqa: PLC0415 - only a bench with a dirigent.toml needs it

    try:
        return Settings(document, tomllib.loads(document.source.text))
    except (ValueError, RecursionError) as error:
        document.problems.append(_toml_problem(document, error))
        return None


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


def _sweep(table: Mapping[str, Any]) -> Sweep:
    end = table.get("max_voltage", table.get("max-voltage"))
    is_number = isinstance(end, (int, float)) and not isinstance(end, bool) and math.isfinite(end)
    return Sweep(float(end) if is_number and end is not None else None, table.get("positive") is True)


def module_file(settings: Settings, cwd: Path, instruments: Path | None, modules: Path | None) -> Path | None:
    """Path for dirigent's `--module-json`, if it needs one; settings that contradict the bench are warned of."""
    if settings.get("felis") is True:
        message = "'felis = true': every calibration would upload its results by itself"
        settings.warn("felis", message, "write 'felis = false': calseq sends all of them at the end of a run")
    if _is_other(settings, "instruments", cwd, instruments):
        named = printable(settings.get("instruments"), 80)
        message = f"instruments '{named}' are not those of the bench file, which every calibration is given"
        settings.warn("instruments", message, "name the same file in both")
    if not _is_other(settings, "module_json", cwd, modules, "modules.json"):
        return None
    named = printable(str(settings.get("module_json") or cwd / "modules.json"), 80)
    message = f"module_json '{named}' is not the 'modules:' of the bench file, which dirigent is told to use"
    settings.warn("module_json", message, "name the same file in both")
    return modules


def _is_other(settings: Settings, key: str, cwd: Path, ours: Path | None, default: str = "") -> bool:
    """Tell whether dirigent's settings name another file than the bench.

    A name is looked for in dirigent's working folder, and beside the settings where it is not there; without one, the
    `default` counts if it is there.
    """
    setting = settings.get(key)
    named = setting or default
    if ours is None or not isinstance(named, str) or not named:
        return False
    there = (cwd / Path(named).expanduser()).resolve()
    if there.exists():
        return there != ours
    return bool(setting) and (Path(settings.document.path).parent / named).resolve() != ours
