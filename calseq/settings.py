"""`--set step.option=value`: put into a sequence as if its author had written it."""

import re
from collections.abc import Iterable
from typing import Any

from calseq import problems as codes
from calseq.document import Document, Path
from calseq.plaintext import printable
from calseq.problems import Place, Problem, Source, Span
from calseq.schema import did_you_mean
from calseq.yaml_reader import Doubt, plain_scalar

_SETTING = re.compile(r"([^=]+)\.([^.=]+)=(.*)", re.DOTALL)


def apply_settings(document: Document, settings: Iterable[str]) -> None:
    """Put options into a document that no schema has judged yet; each keeps its own place, the command line."""
    for setting in settings:
        source = Source("--set", printable(setting))
        match = _SETTING.fullmatch(setting)
        if match is None:
            cure = "write it as step.option=value, for instance iv_curve.max_voltage=-350"
            _note(
                document,
                codes.BAD_SETTING,
                f"'{printable(setting, 60)}' sets nothing",
                cure,
                source,
                0,
                len(setting),
            )
            continue
        step, option, text = match.groups()
        path = _step_path(document, step)
        if path is None:
            cure = did_you_mean(step, _names(document).values()) or "steps: " + ", ".join(
                _names(document).values()
            )
            _note(
                document,
                codes.UNKNOWN_STEP,
                f"no step is named '{printable(step, 40)}'",
                cure,
                source,
                0,
                len(step),
            )
            continue
        value = plain_scalar(text)
        if isinstance(value, Doubt):
            _note(document, value.code, value.message, value.cure, source, match.start(3), len(text))
            continue
        _put(document, path, option, value, source, match)


def _note(
    document: Document, code: codes.Code, message: str, cure: str, source: Source, start: int, length: int
) -> None:
    place = Place(source, Span(1, start + 1, max(1, length)))
    document.problems.append(Problem(code, message, cure, place))


def _put(
    document: Document, path: Path, option: str, value: Any, source: Source, match: re.Match[str]
) -> None:
    steps = document.data["steps"] if isinstance(document.data, dict) else None
    if not isinstance(steps, list) or not isinstance(path[1], int):
        return
    step = steps[path[1]]
    if isinstance(step, str):
        document.values[(*path, "calibration")] = document.values[path]
        step = {"calibration": step}
    options = step.get("options", {}) if isinstance(step, dict) else None
    if isinstance(step, dict) and isinstance(options, dict):
        # A new mapping: an alias may show the same one in other steps.
        steps[path[1]] = {**step, "options": {**options, option: value}}
        below = (*path, "options", option)
        document.keys[below] = Place(source, Span(1, match.start(2) + 1, len(option)))
        document.values[below] = Place(source, Span(1, match.start(3) + 1, max(1, len(match.group(3)))))


def _step_path(document: Document, name: str) -> Path | None:
    return next((("steps", index) for index, known in _names(document).items() if known == name), None)


def _names(document: Document) -> dict[int, str]:
    steps = document.data.get("steps") if isinstance(document.data, dict) else None
    names = {}
    for index, step in enumerate(steps if isinstance(steps, list) else ()):
        name = step.get("name") or step.get("calibration") if isinstance(step, dict) else step
        if isinstance(name, str):
            names[index] = name
    return names
