"""The calibrations that dirigent knows: type, needs, options, flags and outputs, read from data.

The source of the built-in ones is dirigent's documentation and the files of real test stands; a site adds to
them, or overrides them, in a file of the same form named by its bench file.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from msgspec import Struct, field

from calseq import problems as codes
from calseq.assets import builtin_calibrations
from calseq.document import Document
from calseq.durations import seconds
from calseq.plan import Output
from calseq.rails import Role, StepType

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
    """How a tuning calibration is told what to do: with `flag` and a text or a list of tests, or by its args."""

    form: TuningForm
    flag: str = ""


class Calibration(Struct, frozen=True):
    """One calibration of dirigent. `sweep_end` names the option that ends an IV sweep."""

    name: str
    type: StepType
    summary: str
    needs: frozenset[Role] = frozenset()
    options: Mapping[str, Option] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    tuning: Tuning | None = None
    outputs: tuple[Output, ...] = ()
    usual_s: float | None = None
    sweep_end: str = ""
    known: bool = True


class Catalog(Struct, frozen=True):
    """All calibrations by name. `site` names those that the site added or changed."""

    calibrations: Mapping[str, Calibration]
    site: frozenset[str] = frozenset()

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
    entries = json.loads(builtin_calibrations().read_bytes())["calibrations"]
    return Catalog({name: _calibration(name, entry) for name, entry in entries.items()})


def with_site(document: Document, base: Catalog | None = None) -> Catalog:
    """Add a site's calibrations (a document its schema has judged) to the built-in ones.

    What an entry says replaces what the built-in one says, key by key and option by option; an option
    set to null is removed. Problems are noted in the document.
    """
    base = base or builtin()
    raw = json.loads(builtin_calibrations().read_bytes())["calibrations"]
    data = document.data if isinstance(document.data, dict) else {}
    entries = data.get("calibrations")
    calibrations = dict(base.calibrations)
    named: set[str] = set()
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        path = ("calibrations", name)
        if not isinstance(entry, dict) or _any_spoilt(document, path):
            continue
        merged = _merged(raw.get(name, {}), entry)
        missing = [key for key in ("type", "summary") if key not in merged]
        if missing:
            cure = "it is a new calibration: say what it is"
            document.problem_at(path, codes.MISSING_KEY, f"'{missing[0]}' is missing", cure, key=True)
            continue
        calibrations[name] = _calibration(name, merged)
        named.add(name)
    return Catalog(calibrations, frozenset(named))


def _any_spoilt(document: Document, path: tuple[str | int, ...]) -> bool:
    return document.is_spoilt(path) or any(spoilt[: len(path)] == path for spoilt in document.spoilt)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**old, **new}
    options = {**old.get("options", {}), **new.get("options", {})}
    if options:
        merged["options"] = {name: option for name, option in options.items() if option is not None}
    return merged


def _calibration(name: str, entry: Mapping[str, Any]) -> Calibration:
    usual = entry.get("usual")
    tuning = entry.get("tuning")
    type_ = StepType(entry["type"])
    return Calibration(
        name=name,
        type=type_,
        summary=entry["summary"],
        needs=frozenset(Role(role) for role in entry.get("needs", ())),
        options={key: _option(key, option) for key, option in entry.get("options", {}).items()},
        flags=tuple(entry.get("flags", ())),
        tuning=Tuning(tuning["form"], tuning.get("flag", "")) if tuning else _default_tuning(type_),
        outputs=tuple(
            Output(output["files"], output.get("at_least", 1)) for output in entry.get("outputs", ())
        ),
        usual_s=seconds(usual) if usual else None,
        sweep_end=entry.get("sweep_end", ""),
    )


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
