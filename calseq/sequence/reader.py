"""A document to a sequence, or every problem of it at once."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from calseq.documents.document import Document, Path
from calseq.documents.durations import seconds
from calseq.documents.schema import check, within
from calseq.documents.slips import DASHES, lookalike_message
from calseq.model.plan import OnFailure
from calseq.model.rails import Role, StepType
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Place, Problem
from calseq.sequence.catalog import Calibration, Catalog, Option, adhoc
from calseq.sequence.lint import advise
from calseq.sequence.schema import OWNED_ARGUMENTS, sequence_schema
from calseq.sequence.sequence import Policies, Sequence, SequenceStep
from calseq.sequence.suppressions import not_suppressed
from calseq.sequence.voltages import hv_limit, options_beyond

MIN_STOP_GRACE_S = 30.0


def read_sequence(document: Document, catalog: Catalog, of_base: tuple[Problem, ...] = ()) -> Sequence | None:
    """Judge a document and type it; every problem is noted in the document, None if one is an error.

    A variant is not whole without its base: `variant.read_variant` reads both, and gives the advice `of_base` alone.
    """
    check(document, sequence_schema(catalog))
    data = document.data
    if not document.readable or not isinstance(data, dict):
        return None
    if is_variant(document):
        message, cure = "a variant, and its base is not known here", "give it as a file"
        document.problem_at(("extends",), codes.NO_BASE, message, cure)
        return None
    steps = _Reader(document, catalog, data).steps()
    _check_names(document, steps)
    _check_limit(document, steps)
    if document.is_refused or catalog.lost:
        return None
    advice = tuple(advise(document, steps, of_base))
    document.problems += not_suppressed(document, advice)
    return Sequence(
        title=str(data["title"]),
        description=str(data.get("description", "")).strip(),
        required=_roles(data.get("required_instruments")),
        steps=tuple(steps),
        document=document,
        warnings=tuple(document.problems),
        advice=advice,
        base_advice=of_base,
        sensor=str(data.get("sensor", "")),
    )


def is_variant(document: Document) -> bool:
    """It names a base."""
    return isinstance(document.data, dict) and "extends" in document.data


class _Reader:
    """Reads what is sound of every step, whatever is wrong with the others."""

    def __init__(self, document: Document, catalog: Catalog, data: Mapping[str, Any]) -> None:
        self.document = document
        self.catalog = catalog
        self.data = data
        self.defaults = self._policies(data.get("defaults"), ("defaults",), Policies())

    def steps(self) -> list[SequenceStep]:
        raw = self.data.get("steps")
        listed = raw if isinstance(raw, list) and not self.document.is_spoilt(("steps",)) else []
        steps = (self._step(index, entry) for index, entry in enumerate(listed))
        return [step for step in steps if step is not None]

    def _step(self, index: int, entry: object) -> SequenceStep | None:
        path: Path = ("steps", index)
        named = path if isinstance(entry, str) else (*path, "calibration")
        entry = {"calibration": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, dict) or self.document.is_spoilt(named):
            return None
        policies = self._policies(entry, path, self.defaults)
        calibration = self._calibration(entry, path)
        if calibration is None:
            return None
        options = self._mapping(entry, path, "options")
        args = self._args(entry, path, calibration)
        return SequenceStep(
            number=index + 1,
            name=str(self._sound(entry, path, "name", calibration.name)),
            calibration=calibration,
            words=tuple(self._words(entry, path, calibration, options, args)),
            args=tuple(args),
            needs=frozenset(calibration.roles) | _roles(self._sound(entry, path, "required_instruments", [])),
            policies=policies,
            sweep_end_v=_sweep_end(calibration, options),
            sweep_is_open=any(_is_short_option(word) for word in args),
            waits_s=_waits_s(calibration, options),
            sweep_place=self._sweep_place(path, calibration) or self.document.place(named),
            place=self.document.place(named),
            grace_place=self._grace_place(path),
        )

    def _grace_place(self, path: Path) -> Place | None:
        values = self.document.values
        return values.get((*path, "stop_grace")) or values.get(("defaults", "stop_grace"))

    def _sweep_place(self, path: Path, calibration: Calibration) -> Place | None:
        return self.document.values.get((*path, "options", calibration.sweep_end))

    def _calibration(self, entry: Mapping[str, Any], path: Path) -> Calibration | None:
        name = entry.get("calibration")
        known = self.catalog.calibrations.get(name) if isinstance(name, str) else None
        if known is not None:
            return known
        type_ = self._sound(entry, path, "type", None)
        return adhoc(name, StepType(type_)) if isinstance(name, str) and type_ else None

    def _words(
        self,
        entry: Mapping[str, Any],
        path: Path,
        calibration: Calibration,
        options: Mapping[str, Any],
        args: Iterable[str],
    ) -> Iterator[str]:
        for name, value in options.items():
            yield from option_words(option_named(calibration, name), value)
        yield from calibration.flags
        yield from args
        tuning = self._sound(entry, path, "tuning", None)
        if tuning is not None and calibration.tuning:
            yield from (calibration.tuning.flag, tuning_text(tuning))

    def _args(self, entry: Mapping[str, Any], path: Path, calibration: Calibration) -> list[str]:
        """Give the arguments as they are; those that something else decides are problems."""
        words = [_spelt(word) for word in self._sound(entry, path, "args", [])]
        for index, word in enumerate(words):
            flag = word.partition("=")[0]
            option = next((option for option in calibration.options.values() if option.flag == flag), None)
            below = (*path, "args", index)
            shown = printable(word, 40)
            if flag[:1] and flag[:1] in DASHES:
                meant = re.sub(f"^[{DASHES}]+", "--", word)
                message = lookalike_message(word)
                self._note(below, codes.BAD_CHARACTER, message, f"an option? write {printable(meant, 40)}")
            elif flag == "--":
                message = "'--' ends the options, and calseq's own come after it"
                self._note(below, codes.OWNED_ARGUMENT, message, "delete it")
            elif flag in OWNED_ARGUMENTS:
                message = f"'{shown}' is calseq's own argument"
                self._note(below, codes.OWNED_ARGUMENT, message, f"delete it: {OWNED_ARGUMENTS[flag]}")
            elif option:
                message = f"'{shown}' is an option of {calibration.name}"
                self._note(below, codes.OWNED_ARGUMENT, message, f"write it in 'options:', as {option.name}")
            elif calibration.tuning and flag == calibration.tuning.flag:
                message = f"'{shown}' is how calseq gives the tuning"
                self._note(below, codes.OWNED_ARGUMENT, message, "write the tuning in 'tuning:'")
        return words

    def _policies(self, entry: object, path: Path, given: Policies) -> Policies:
        """Give an entry's own settings in the place of those `given`; unsound ones count as not there."""
        if not isinstance(entry, dict) or self.document.is_spoilt(path):
            return given
        timeout_s = self._duration(entry, path, "timeout", given.timeout_s)
        if timeout_s == 0:
            self._note(
                (*path, "timeout"), codes.BAD_VALUE, "'timeout' gives no time at all", "write a time, or none"
            )
        grace_s = self._duration(entry, path, "stop_grace", given.stop_grace_s)
        if grace_s is None or grace_s < MIN_STOP_GRACE_S:
            message = "a child gets at least 30 s to ramp down, and not for ever"
            self._note((*path, "stop_grace"), codes.BAD_VALUE, message, "write 30s or more")
            grace_s = given.stop_grace_s
        return Policies(
            timeout_s=timeout_s,
            retries=int(self._sound(entry, path, "retries", given.retries)),
            on_failure=OnFailure(self._sound(entry, path, "on_failure", given.on_failure)),
            stop_grace_s=grace_s,
        )

    def _duration(self, entry: Mapping[str, Any], path: Path, key: str, given: float | None) -> float | None:
        text = self._sound(entry, path, key, None)
        return given if text is None else seconds(text)

    def _mapping(self, entry: Mapping[str, Any], path: Path, key: str) -> dict[str, Any]:
        """Give what is sound of a mapping."""
        value = self._sound(entry, path, key, {})
        sound = value.items() if isinstance(value, dict) else ()
        return {name: each for name, each in sound if not self.document.is_spoilt((*path, key, name))}

    def _sound(self, entry: Mapping[str, Any], path: Path, key: str, default: Any) -> Any:
        """Give a value that nothing is wrong with."""
        return default if self.document.is_spoilt((*path, key)) else entry.get(key, default)

    def _note(self, path: Path, code: Code, message: str, cure: str) -> None:
        if not self.document.is_spoilt(path):
            place = self.document.place(path)
            self.document.spoil(path, Problem(code, message, cure, place, within(self.document, path)))


def option_named(calibration: Calibration, name: str) -> Option:
    """Give an option of a calibration; one that the catalogue does not tell of is taken as it is written."""
    return calibration.options.get(name) or Option(name, "--" + name.replace("_", "-"), "text")


def option_words(option: Option, value: object) -> Iterator[str]:
    """Write an option for dirigent: true is a bare switch, false is left out, a list repeats the option."""
    if isinstance(value, list):
        for item in value:
            yield from option_words(option, item)
    elif value is True:
        yield option.flag
    elif value is not False and value is not None:
        whole = option.type == "integer" and isinstance(value, float)
        yield from (option.flag, _spelt(int(value) if whole and isinstance(value, float) else value))


def tuning_text(tuning: object) -> str:
    """Write a tuning for dirigent: a text as it is, a list as JSON, all dicts when one of them is."""
    if isinstance(tuning, list):
        if any(isinstance(test, dict) for test in tuning):
            tuning = [test if isinstance(test, dict) else {"name": test} for test in tuning]
        return json.dumps(tuning, ensure_ascii=False)
    return str(tuning)


def _spelt(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _sweep_end(calibration: Calibration, options: Mapping[str, Any]) -> float | None:
    """Give the last voltage of an IV curve as its options tell it."""
    end = options.get(calibration.sweep_end)
    if not isinstance(end, (int, float)) or isinstance(end, bool):
        return None
    return float(abs(end) if options.get(calibration.sweep_positive) is True else end)


def _waits_s(calibration: Calibration, options: Mapping[str, Any]) -> float | None:
    """Sum of the delays of a sweep from its start voltage, else 0 V, in seconds; None if an option that decides it is missing."""
    end_v, step_v, delay_s = (options.get(name) for name in (calibration.sweep_end, "step_size", "delay"))
    if not (end_v and step_v and delay_s):
        return None
    times = 2 if options.get("both_ways") is True else 1
    return float(times * delay_s * (abs(end_v - options.get("start_voltage", 0)) // step_v))


def _is_short_option(word: str) -> bool:
    """It is an option of one letter: what it means changes with dirigent's version."""
    return word[:1] == "-" and word[1:2].isalpha()


def _roles(names: object) -> frozenset[Role]:
    listed: Iterable[Any] = names if isinstance(names, list) else ()
    return frozenset(Role(name) for name in listed if isinstance(name, str) and name in set(Role))


def _check_limit(document: Document, steps: Iterable[SequenceStep]) -> None:
    """What is beyond the sequence's own limit is beyond it on whatever bench."""
    limit_v = hv_limit(document)
    if limit_v is not None:
        for step in steps:
            document.problems += options_beyond(document, step, limit_v)


def _check_names(document: Document, steps: Iterable[SequenceStep]) -> None:
    """Duplicate names of steps, whatever their case: a run folder has one folder for each."""
    first: dict[str, SequenceStep] = {}
    for step in steps:
        other = first.setdefault(step.name.lower(), step)
        if other is step:
            continue
        path: Path = ("steps", step.number - 1)
        named = (*path, "name") in document.values
        cure = f"step {other.number} has that name: " + ("choose another" if named else "add a 'name:'")
        place = document.aliases.get(path) or (document.place((*path, "name")) if named else step.place)
        message = f"a second step named '{printable(step.name, 40)}'"
        document.problems.append(Problem(codes.DUPLICATE_NAME, message, cure, place, within(document, path)))
