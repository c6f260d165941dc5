"""A sequence as its author wrote it, typed; after this no step is a dict."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from calseq import problems as codes
from calseq.catalog import Calibration, Catalog, adhoc
from calseq.document import Document, Path
from calseq.durations import seconds, spelled
from calseq.plaintext import printable
from calseq.plan import OnFailure
from calseq.problems import Place, Problem
from calseq.rails import BIASED, RAIL_RULES, Role, StepType
from calseq.schema import check, within
from calseq.sequence_schema import NAME_PATTERN, sequence_schema

STOP_GRACE_S = 180.0
"""Time a child gets to ramp down: 350 V at 5 V/s need 70 s, and the data acquisition its own."""

MIN_STOP_GRACE_S = 30.0

OWNED_ARGUMENTS = {
    "--directory": "the run folder decides it",
    "--instruments-dict": "the bench decides it",
    "--channels-dict": "the bench decides it",
    "--no-monitoring": "set 'dirigent: {flags: …}' in the bench file",
    "-p": "write the option by its long name",
    "-l": "write the option by its long name",
    "-m": "write the option by its long name",
}
"""Arguments that calseq itself gives to dirigent, and who decides over them."""


class SequenceStep(Struct, frozen=True):
    """One step as written. `words` are its arguments for dirigent after the calibration's name."""

    number: int
    name: str
    calibration: Calibration
    words: tuple[str, ...]
    needs: frozenset[Role]
    timeout_s: float | None
    retries: int
    on_failure: OnFailure
    stop_grace_s: float
    sweep_end_v: float | None
    place: Place


class Sequence(Struct, frozen=True):
    """A calibration sequence: its steps in order, and what it needs of a bench."""

    title: str
    description: str
    required: frozenset[Role]
    steps: tuple[SequenceStep, ...]
    document: Document
    warnings: tuple[Problem, ...] = ()


def read_sequence(document: Document, catalog: Catalog) -> Sequence | None:
    """Judge a document and type it; every problem is noted in the document, None if one is an error."""
    check(document, sequence_schema(catalog))
    data = document.data
    if not document.readable or not isinstance(data, dict):
        return None
    steps = _Reader(document, catalog, data).steps()
    _check_names(document, steps)
    _advise(document, steps)
    if any(problem.is_error for problem in document.problems):
        return None
    return Sequence(
        title=str(data["title"]),
        description=str(data.get("description", "")).strip(),
        required=_roles(data.get("required_instruments")),
        steps=tuple(steps),
        document=document,
        warnings=tuple(problem for problem in document.problems if not problem.is_error),
    )


class _Reader:
    """Reads what is sound of every step, whatever is wrong with the others."""

    def __init__(self, document: Document, catalog: Catalog, data: Mapping[str, Any]) -> None:
        self.document = document
        self.catalog = catalog
        self.data = data

    def steps(self) -> list[SequenceStep]:
        raw = self.data.get("steps")
        listed = raw if isinstance(raw, list) and not self.document.is_spoilt(("steps",)) else []
        steps = (self._step(index, entry) for index, entry in enumerate(listed))
        return [step for step in steps if step is not None]

    def _step(self, index: int, entry: object) -> SequenceStep | None:
        path: Path = ("steps", index)
        if self.document.is_spoilt(path):
            return None
        if isinstance(entry, str):
            entry, calibration_path = {"calibration": entry}, path
        else:
            calibration_path = (*path, "calibration")
        if not isinstance(entry, dict) or self.document.is_spoilt(calibration_path):
            return None
        calibration = self._calibration(entry, path)
        if calibration is None:
            return None
        options = self._sound(entry, path, "options", {})
        return SequenceStep(
            number=index + 1,
            name=self._name(entry, path, calibration),
            calibration=calibration,
            words=tuple(self._words(entry, path, calibration, options)),
            needs=calibration.needs | _roles(self._sound(entry, path, "required_instruments", [])),
            timeout_s=self._duration(entry, path, "timeout", None),
            retries=self._policy(entry, path, "retries", 0),
            on_failure=OnFailure(self._policy(entry, path, "on_failure", "stop")),
            stop_grace_s=self._grace(entry, path),
            sweep_end_v=_number(options.get(calibration.sweep_end)) if isinstance(options, dict) else None,
            place=self.document.place(calibration_path),
        )

    def _calibration(self, entry: Mapping[str, Any], path: Path) -> Calibration | None:
        name = entry.get("calibration")
        known = self.catalog.calibrations.get(name) if isinstance(name, str) else None
        if known is not None:
            return known
        type_ = self._sound(entry, path, "type", None)
        return adhoc(name, StepType(type_)) if isinstance(name, str) and type_ else None

    def _name(self, entry: Mapping[str, Any], path: Path, calibration: Calibration) -> str:
        name = self._sound(entry, path, "name", calibration.name)
        if not re.fullmatch(NAME_PATTERN[1:-1], name):
            message = f"'name' '{printable(name, 40)}' is not of the right form"
            self._note((*path, "name"), codes.BAD_VALUE, message, "write it on one line")
        return str(name)

    def _words(
        self, entry: Mapping[str, Any], path: Path, calibration: Calibration, options: object
    ) -> Iterator[str]:
        if isinstance(options, dict):
            for name, value in options.items():
                if not self.document.is_spoilt((*path, "options", name)):
                    yield from option_words(_flag(calibration, name), value)
        yield from calibration.flags
        for index, word in enumerate(self._sound(entry, path, "args", [])):
            self._check_argument((*path, "args", index), str(word))
            yield _spelt(word)
        tuning = self._sound(entry, path, "tuning", None)
        if tuning is not None and calibration.tuning:
            yield from (calibration.tuning.flag, tuning_text(tuning))

    def _check_argument(self, path: Path, word: str) -> None:
        owner = OWNED_ARGUMENTS.get(word.partition("=")[0])
        if owner:
            message = f"'{printable(word, 40)}' is calseq's own argument"
            self._note(path, codes.OWNED_ARGUMENT, message, f"delete it: {owner}")

    def _grace(self, entry: Mapping[str, Any], path: Path) -> float:
        grace = self._duration(entry, path, "stop_grace", STOP_GRACE_S)
        if grace is None or grace < MIN_STOP_GRACE_S:
            where = (*path, "stop_grace") if "stop_grace" in entry else ("defaults", "stop_grace")
            message = "a child must get at least 30 s to ramp down, and cannot be given for ever"
            self._note(where, codes.BAD_VALUE, message, "write 30s or more")
        return grace or STOP_GRACE_S

    def _duration(
        self, entry: Mapping[str, Any], path: Path, key: str, default: float | None
    ) -> float | None:
        text = self._policy(entry, path, key, None)
        if text is None:
            return default
        try:
            return seconds(text)
        except ValueError:
            where = (*path, key) if key in entry else ("defaults", key)
            message = f"'{printable(str(text), 40)}' is not a duration"
            self._note(where, codes.BAD_DURATION, message, "write 45s, 90m or 1h30m, or none")
            return default

    def _policy(self, entry: Mapping[str, Any], path: Path, key: str, default: Any) -> Any:
        """Give a step's own setting, else the file's default, else ours; unsound ones count as not there."""
        value = self._sound(entry, path, key, None)
        if value is not None:
            return value
        defaults = self.data.get("defaults")
        if isinstance(defaults, dict) and not self.document.is_spoilt(("defaults",)):
            value = self._sound(defaults, ("defaults",), key, None)
        return default if value is None else value

    def _sound(self, entry: Mapping[str, Any], path: Path, key: str, default: Any) -> Any:
        """Give a value that nothing is wrong with, nor with anything below it."""
        below = (*path, key)
        if key not in entry or self.document.is_spoilt(below):
            return default
        return entry[key]

    def _note(self, path: Path, code: codes.Code, message: str, cure: str) -> None:
        if not self.document.is_spoilt(path):
            place = self.document.place(path)
            self.document.spoil(path, Problem(code, message, cure, place, within(self.document, path)))


def option_words(flag: str, value: object) -> Iterator[str]:
    """Write an option for dirigent: true is a bare switch, false is left out, a list repeats the option."""
    if isinstance(value, list):
        for item in value:
            yield from option_words(flag, item)
    elif value is True:
        yield flag
    elif value is not False and value is not None:
        yield from (flag, _spelt(value))


def tuning_text(tuning: object) -> str:
    """Write a tuning for dirigent: a text as it is, a list as JSON, all dicts when one of them is."""
    if isinstance(tuning, list):
        if any(isinstance(test, dict) for test in tuning):
            tuning = [test if isinstance(test, dict) else {"name": test} for test in tuning]
        return json.dumps(tuning, ensure_ascii=False)
    return str(tuning)


def _flag(calibration: Calibration, name: str) -> str:
    option = calibration.options.get(name)
    return option.flag if option else "--" + name.replace("_", "-")


def _spelt(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _roles(names: object) -> frozenset[Role]:
    listed: Iterable[Any] = names if isinstance(names, list) else ()
    return frozenset(Role(name) for name in listed if name in set(Role))


def _check_names(document: Document, steps: Iterable[SequenceStep]) -> None:
    """Two steps of one name cannot be told apart in a run folder, not even by case."""
    first: dict[str, SequenceStep] = {}
    for step in steps:
        other = first.setdefault(step.name.lower(), step)
        if other is step:
            continue
        path: Path = ("steps", step.number - 1)
        named = (*path, "name") in document.values
        cure = f"step {other.number} has that name: " + ("choose another" if named else "add a 'name:'")
        place = document.place((*path, "name")) if named else step.place
        message = f"a second step named '{printable(step.name, 40)}'"
        document.problems.append(Problem(codes.DUPLICATE_NAME, message, cure, place, within(document, path)))


def _advise(document: Document, steps: Iterable[SequenceStep]) -> None:
    """Warn of what is allowed and seldom meant; each kind once."""
    curve: SequenceStep | None = None
    tuned = False
    said: set[codes.Code] = set()

    def advise(code: codes.Code, step: SequenceStep, message: str, cure: str) -> None:
        if code not in said:
            said.add(code)
            _warn(document, step, code, message, cure)

    for step in steps:
        type_ = step.calibration.type
        if type_ is StepType.IVCURVE:
            curve = step
            if tuned:
                cure = "put it before the tunings: a damaged sensor should show before hours are spent"
                advise(codes.CURVE_AFTER_TUNING, step, "an IV curve after a tuning", cure)
        elif RAIL_RULES[type_].before == BIASED:
            if curve is None:
                cure = (
                    "add an iv_curve before it, or be sure that the sensor takes the bench's default_voltage"
                )
                advise(codes.BIAS_WITHOUT_CURVE, step, "biases the sensor with no IV curve before it", cure)
            elif curve.calibration.sweep_end and curve.sweep_end_v is None:
                option = curve.calibration.sweep_end
                cure = f"add 'options: {{{option}: …}}': a curve with no breakdown allows bias only up to its end"
                advise(codes.SWEEP_END_UNKNOWN, curve, f"does not state '{option}'", cure)
        tuned = tuned or type_ is StepType.TUNING
        _advise_timeout(document, step)


def _advise_timeout(document: Document, step: SequenceStep) -> None:
    usual = step.calibration.usual_s
    if step.timeout_s is not None and usual is not None and step.timeout_s < usual:
        message = f"timeout {spelled(step.timeout_s)} is below the usual {spelled(usual)}"
        path: Path = ("steps", step.number - 1, "timeout")
        if path not in document.values:
            path = ("defaults", "timeout")
        _warn(document, step, codes.SHORT_TIMEOUT, message, "give it more", document.place(path))


def _warn(
    document: Document,
    step: SequenceStep,
    code: codes.Code,
    message: str,
    cure: str,
    place: Place | None = None,
) -> None:
    where = within(document, ("steps", step.number - 1))
    document.problems.append(Problem(code, message, cure, place or step.place, where))
