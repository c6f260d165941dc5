"""`--set step.option=value`: put into a sequence as if its author had written it."""

import re
from collections.abc import Iterable

from calseq.documents.document import BAD_CHARACTERS, Data, Document
from calseq.documents.scalars import Doubt, plain_scalar
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Place, Problem, Source
from calseq.problems.suggestions import did_you_mean

_SETTING = re.compile(r"([^=]+)\.([^.=]+)=(.*)", re.DOTALL)


def apply_settings(document: Document, settings: Iterable[str]) -> None:
    """Put options into a document that no schema has judged yet; each keeps its own place, the command line."""
    for setting in settings:
        _Setting(document, setting).apply()


class _Setting:
    """One `--set`: what it is to change, and its text to point into."""

    def __init__(self, document: Document, text: str) -> None:
        self.document = document
        self.source = Source("--set", text, typed=True)

    def apply(self) -> None:
        text = self.source.text
        bad = BAD_CHARACTERS.search(text)
        if bad:
            message = f"invisible character {printable(bad.group(), 20)}"
            return self._note(codes.BAD_CHARACTER, message, "delete it", *bad.span())
        match = _SETTING.fullmatch(text)
        if match is None:
            cure = "write it as step.option=value, for instance iv_curve.max_voltage=-350"
            message = f"'{printable(text, 60)}' sets nothing"
            return self._note(codes.BAD_SETTING, message, cure, 0, len(text))
        names = step_names(self.document)
        index = next((index for index, name in names.items() if name == match.group(1)), None)
        if index is None:
            cure = did_you_mean(match.group(1), names.values()) or steps_named(names.values())
            message = f"no step is named '{printable(match.group(1), 40)}'"
            return self._note(codes.UNKNOWN_STEP, message, cure, *match.span(1))
        value = _value(match.group(3))
        if isinstance(value, Doubt):
            return self._note(value.code, value.message, value.cure, *match.span(3))
        places = (self._place(*match.span(2)), self._place(*match.span(3)))
        return put_option(self.document, index, match.group(2), value, *places)

    def _place(self, start: int, end: int) -> Place:
        return self.source.place(start, max(1, end - start))

    def _note(self, code: Code, message: str, cure: str, start: int, end: int) -> None:
        self.document.problems.append(Problem(code, message, cure, self._place(start, end)))


def put_option(document: Document, index: int, option: str, value: Data, key: Place, at: Place) -> None:
    """Put an option into a step; its key and its value keep their places.

    New mappings are written: an alias may show the old ones in other steps.
    """
    data = document.data if isinstance(document.data, dict) else {}
    steps = data.get("steps")
    step = steps[index] if isinstance(steps, list) else None
    path = ("steps", index)
    if isinstance(step, str):
        document.values[(*path, "calibration")] = document.values[path]
        step = {"calibration": step}
    options = step.get("options", {}) if isinstance(step, dict) else None
    if not isinstance(steps, list) or not isinstance(step, dict) or not isinstance(options, dict):
        return
    steps[index] = {**step, "options": {**options, option: value}}
    below = (*path, "options", option)
    document.spoilt.discard(below)
    document.keys[below], document.values[below] = key, at
    document.values.setdefault(below[:-1], at)


def _value(text: str) -> "Data | Doubt":
    """Read a value as YAML would; in quotes it is a text."""
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else plain_scalar(text)


def steps_named(names: Iterable[str]) -> str:
    """Name the steps that there are: what to do about a name that none has."""
    listed = list(names)
    return "steps: " + printable(", ".join(listed[:12]), 200) if listed else "the sequence has no steps"


def step_names(document: Document) -> dict[int, str]:
    """Give the names of the steps that have one, by their place, in a document that no schema has judged."""
    steps = document.data.get("steps") if isinstance(document.data, dict) else None
    names = {}
    for index, step in enumerate(steps if isinstance(steps, list) else ()):
        name = step.get("name") or step.get("calibration") if isinstance(step, dict) else step
        if isinstance(name, str):
            names[index] = name
    return names
