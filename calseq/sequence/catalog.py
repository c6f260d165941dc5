"""The calibrations that dirigent knows: type, needs, options, flags and outputs, read from data.

The source of the built-in ones is dirigent's documentation and the files of real test stands; a site adds to
them, or overrides them, in a file of the same form named by its bench file.
"""

import json
import pathlib
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from msgspec import Struct, field

from calseq.documents.document import Document, Path
from calseq.documents.durations import seconds
from calseq.model.plan import Column, CurveTable, Output, ResultRule
from calseq.model.rails import RAIL_RULES, Role, StepType
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem

TuningForm = Literal["text", "tests", "args"]
OptionType = Literal["number", "integer", "text", "switch"]


class Option(Struct, frozen=True):
    """An option of a calibration: the name in YAML, the `flag` that dirigent reads, and what it may be."""

    name: str
    flag: str
    type: OptionType
    description: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    multiple: bool = False


class Tuning(Struct, frozen=True):
    """Form in which a tuning calibration gets its tuning: `flag` with a text or a list of tests, or its args."""

    form: TuningForm
    flag: str = ""


class Calibration(Struct, frozen=True):
    """One calibration of dirigent.

    `sweep_end` names the option that ends an IV sweep, `sweep_positive` the switch that turns it to positive
    voltages. `failures` are texts that say in its log that it failed, whatever its exit code.
    """

    name: str
    type: StepType
    summary: str
    needs: frozenset[Role] = frozenset()
    options: Mapping[str, Option] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    tuning: Tuning | None = None
    outputs: tuple[Output, ...] = ()
    curves: tuple[CurveTable, ...] = ()
    results: tuple[ResultRule, ...] = ()
    failures: tuple[str, ...] = ()
    usual_s: float | None = None
    sweep_end: str = ""
    sweep_positive: str = ""
    known: bool = True

    @property
    def roles(self) -> tuple[Role, ...]:
        """All roles without which it cannot run, those of its rails included, in the usual order."""
        rule = RAIL_RULES[self.type]
        wanted = self.needs | rule.driven | rule.powered
        return tuple(role for role in Role if role in wanted)


class Catalog(Struct, frozen=True):
    """All calibrations by name. `site` names those that the site added or changed.

    When it is `lost`, a part of the site's calibrations could not be read: a name it lacks may be one of them.
    """

    calibrations: Mapping[str, Calibration]
    site: frozenset[str] = frozenset()
    lost: bool = False

    def names(self) -> list[str]:
        """The names of all calibrations, sorted."""
        return sorted(self.calibrations)


def adhoc(name: str, type_: StepType) -> Calibration:
    """Describe a calibration that only its step tells of: its type gives the rails, the rest is taken as it comes."""
    rails = {StepType.SLDO: {Role.LV}, StepType.GENERAL: {Role.LV}}
    tuning = Tuning("args") if type_ is StepType.TUNING else None
    outputs = (Output("breakdowns.json"),) if type_ is StepType.IVCURVE else ()
    return Calibration(
        name=name,
        type=type_,
        summary="a calibration of this sequence's own",
        needs=frozenset(rails.get(type_, {Role.LV, Role.HV})),
        flags=("-w",) if type_ is StepType.IVCURVE else (),
        tuning=tuning,
        outputs=outputs,
        known=False,
    )


@cache
def builtin() -> Catalog:
    """Give the calibrations that come with calseq."""
    return Catalog({name: _calibration(name, entry) for name, entry in _builtin_entries().items()})


@cache
def _builtin_entries() -> dict[str, Any]:
    entries: dict[str, Any] = json.loads(pathlib.Path(__file__).with_name("calibrations.json").read_bytes())[
        "calibrations"
    ]
    return entries


def with_site(document: Document) -> Catalog:
    """Add a site's calibrations (a document its schema has judged) to the built-in ones.

    What an entry says replaces what the built-in one says, key by key and option by option; an option
    set to null is removed. Problems are noted in the document.
    """
    data = document.data if isinstance(document.data, dict) else {}
    entries = data.get("calibrations")
    calibrations = dict(builtin().calibrations)
    named: set[str] = set()
    flawed = {path[:2] for path in document.spoilt}
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        path: Path = ("calibrations", name)
        merged = _merged(_builtin_entries().get(name, {}), entry) if isinstance(entry, dict) else {}
        known = len(document.problems)
        if path not in flawed and not document.is_spoilt(path):
            _check_new(document, path, merged)
            _check_sweep(document, path, merged)
        named.add(name)
        if path in flawed or document.is_spoilt(path) or len(document.problems) > known:
            calibrations.pop(name, None)
        else:
            calibrations[name] = _calibration(name, merged)
    return Catalog(calibrations, frozenset(named), lost=document.is_refused)


def _check_new(document: Document, path: Path, merged: Mapping[str, Any]) -> None:
    for key in ("type", "summary"):
        if key not in merged and path not in document.incomplete:
            message = f"new calibration '{path[-1]}' has no '{key}'"
            problem = Problem(codes.MISSING_KEY, message, f"add '{key}:'", document.place(path, key=True))
            document.spoil((*path, key), problem)


def _check_sweep(document: Document, path: Path, merged: Mapping[str, Any]) -> None:
    """The options that tell how far a curve goes must be options that it has."""
    for key in ("sweep_end", "sweep_positive"):
        option = merged.get(key)
        if (
            isinstance(option, str)
            and option not in merged.get("options", {})
            and (*path, key) in document.values
        ):
            message = f"'{key}' names '{printable(option, 40)}', which is no option of it"
            document.problem_at((*path, key), codes.BAD_VALUE, message, "describe it in 'options:'")


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**old, **new}
    added = new.get("options")
    options = {**old.get("options", {}), **(added if isinstance(added, dict) else {})}
    if options:
        merged["options"] = {name: option for name, option in options.items() if option is not None}
    return merged


def _calibration(name: str, entry: Mapping[str, Any]) -> Calibration:
    usual = entry.get("usual")
    tuning = entry.get("tuning")
    type_ = StepType(entry["type"])
    options = {key: _option(key, option) for key, option in entry.get("options", {}).items()}
    return Calibration(
        name=name,
        type=type_,
        summary=entry["summary"],
        needs=frozenset(Role(role) for role in entry.get("needs", ())),
        options=options,
        flags=tuple(entry.get("flags", ())),
        tuning=Tuning(tuning["form"], tuning.get("flag", "")) if tuning else _default_tuning(type_),
        outputs=tuple(
            Output(output["files"], output.get("at_least", 1)) for output in entry.get("outputs", ())
        ),
        curves=tuple(map(_curves, entry.get("curves", ()))),
        results=tuple(
            ResultRule(
                tuple(rule["files"]), rule.get("type", ""), rule.get("name", ""), rule.get("scans", {})
            )
            for rule in entry.get("results", ())
        ),
        failures=tuple(entry.get("failures", ())),
        usual_s=seconds(usual) if usual else None,
        sweep_end=entry["sweep_end"] if entry.get("sweep_end") in options else "",
        sweep_positive=entry["sweep_positive"] if entry.get("sweep_positive") in options else "",
    )


def _curves(entry: Mapping[str, Any]) -> CurveTable:
    columns = (
        Column(quantity, tuple(column["headings"]), column.get("unit", ""))
        for quantity, column in entry["columns"].items()
    )
    return CurveTable(entry["files"], entry["kind"], tuple(columns))


def _default_tuning(type_: StepType) -> Tuning | None:
    return Tuning("args") if type_ is StepType.TUNING else None


def _option(name: str, entry: Mapping[str, Any]) -> Option:
    return Option(
        name=name,
        flag=entry.get("flag", "--" + name.replace("_", "-")),
        type=entry["type"],
        description=entry.get("description", ""),
        unit=entry.get("unit", ""),
        minimum=entry.get("minimum"),
        maximum=entry.get("maximum"),
        choices=tuple(entry.get("choices", ())),
        multiple=entry.get("multiple", False),
    )
