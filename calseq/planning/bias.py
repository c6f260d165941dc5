"""The decision to bias after an IV curve, from what the curve left behind (invariant I3).

Two witnesses have to agree: breakdowns.json, and the curve as it was measured. Every doubt means no. The rows of the
decision table are the tests of this file.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import TypeGuard

from msgspec import Struct

from calseq.documents.document import from_bytes
from calseq.documents.json_reader import read_json
from calseq.measurement.curves import IvCurve, NotUnderstood
from calseq.measurement.evidence import NOISE_A, Evidence, evidence
from calseq.measurement.iv import Told
from calseq.measurement.witnesses import Breakdowns, Witnesses
from calseq.model.events import BiasDecided, SupplyDecided
from calseq.model.physics import PHYSICS, beyond
from calseq.model.plan import BiasRule, BiasSupply, Module
from calseq.problems.plaintext import printable

NO_BREAKDOWN_V = 999
"""What dirigent is taken to write, besides null and 'none', for a sensor that did not break down."""


LEAST_MARGIN_V = 1.0
MARGIN = 0.02
"""A bias stays below a breakdown by a step of the sweep, by 1 V, and by 2 % of it."""

_BEYOND_ORDER = 2.0
"""A voltage that was measured and is more than so much larger than the one that was ordered is in another unit."""

_EXACT = 1e-9
_FILE_ALONE = "breakdowns.json alone decided, as 'bias: {witnesses: breakdowns}' has it"


class Decision(Struct, frozen=True):
    """May the sensors be biased, and the reason for an operator; `supplies` has it for each of them.

    `notes` are what is to be told whether it is allowed or not.
    """

    allowed: bool
    reason: str
    supplies: tuple[SupplyDecided, ...] = ()
    notes: tuple[str, ...] = ()

    def event(self, step: int, left: Witnesses) -> BiasDecided:
        """Give it as what happened after a step, with the witnesses that were heard."""
        sha256 = left.breakdowns.sha256
        return BiasDecided(step, self.allowed, self.reason, sha256, self.supplies, self.notes)


class _No(Exception):
    """The reason why not."""


def decide(
    supplies: tuple[BiasSupply, ...], left: Witnesses, rule: BiasRule, ordered_v: float | None = None
) -> Decision:
    """Decide over the bias, of each supply by its own modules; one that may not be biased keeps the bench unbiased.

    `ordered_v` is how far the curve was told to go, in volts: it is no measurement, and only ever a reason against.
    """
    if not supplies:
        return Decision(False, "the bench has no high voltage")
    court = _Court(supplies, left, rule, ordered_v)
    decided = tuple(court.decide(supply) for supply in supplies)
    notes = tuple(dict.fromkeys(court.notes))
    against = [each for each in decided if not each.allowed]
    if not against:
        return Decision(True, "; ".join(dict.fromkeys(each.reason for each in decided)), decided, notes)
    reasons = [_of_supply(each, of=len(supplies)) for each in against]
    return Decision(False, "; ".join(dict.fromkeys(reasons)), decided, notes)


def _of_supply(decided: SupplyDecided, *, of: int) -> str:
    if of == 1:
        return decided.reason
    first, semicolon, rest = decided.reason.partition("; ")
    return f"{first} (supply {printable(decided.instrument, 40)}){semicolon}{rest}"


def told_of(content: bytes, module: Module, modules: int) -> Told | None:
    """Give what a breakdowns.json says of one of the bench's `modules`; None if it says nothing that can be read.

    This is for people to read; `decide` looks closer.
    """
    try:
        values = list(_flat(module, _entry(module, _data(Breakdowns(content)), modules)))
    except _No:
        return None
    volts = [float(each) for each in values if _is_number(each) and math.isfinite(each) and each != 0]
    if len(volts) + sum(each is None or each == "none" for each in values) < len(values):
        return None
    return Told(min((each for each in volts if abs(each) != NO_BREAKDOWN_V), key=abs, default=None))


class _Court(Struct):
    """Both witnesses, heard for one supply and module after the other; `notes` grow meanwhile."""

    supplies: tuple[BiasSupply, ...]
    left: Witnesses
    rule: BiasRule
    ordered_v: float | None
    notes: list[str] = []

    @property
    def modules(self) -> int:
        """How many modules the bench has."""
        return sum(len(supply.modules) for supply in self.supplies)

    @property
    def hears_curves(self) -> bool:
        """The curve is a witness, too."""
        return self.rule.witnesses == "both"

    def decide(self, supply: BiasSupply) -> SupplyDecided:
        try:
            return SupplyDecided(supply.instrument, True, self._reason(supply))
        except _No as no:
            return SupplyDecided(supply.instrument, False, str(no))

    def _reason(self, supply: BiasSupply) -> str:
        target = supply.target_v
        _check_target(supply, self.rule)
        if self.hears_curves:
            _check_compliance(supply)
        limits: list[float] = []
        words: list[str] = []
        for module in supply.modules:
            limit, word = self._module(supply, module)
            words += [word] if word else []
            limits += [limit] if limit is not None else []
        weakest = min(limits, key=abs, default=None)
        said = "no breakdown found" if weakest is None else f"breakdown at {weakest:g} V"
        if not self.hears_curves:
            upto = f" up to {self.ordered_v:g} V, as ordered" if weakest is None and self.ordered_v else ""
            return f"{said}{upto}, bias is {target:g} V; {_FILE_ALONE}"
        return f"{said}, bias is {target:g} V; {'; '.join(words)}"

    def _module(self, supply: BiasSupply, module: Module) -> tuple[float | None, str]:
        """Give a module's breakdown voltage, None if it has none, and its curve in words, if both allow the bias."""
        try:
            limit = self._by_file(module, supply.target_v)
            word = _told_word(limit)
            against = ""
        except _No as no:
            limit, against, word = None, str(no), ""
        if not self.hears_curves:
            if against:
                raise _No(f"{against}; {_FILE_ALONE}")
            _check_file_alone(module, supply.target_v, limit, self.ordered_v, self.rule)
            return limit, ""
        try:
            found, said = self._by_curves(supply, module)
        except _No as no:
            raise _No(f"{against}; {no}" if against else f"{no}; {word}") from None
        if against:
            raise _No(f"{against}; {said}")
        if limit is not None:
            _check_both(module, supply.target_v, limit, found, said)
        return limit, said

    def _by_file(self, module: Module, target: float) -> float | None:
        entry = _entry(module, _data(self.left.breakdowns), self.modules)
        values = [
            limit
            for value in _flat(module, entry)
            if (limit := _voltage(module, value, target, self.rule)) is not None
        ]
        weakest = min(values, key=abs, default=None)
        if weakest is not None and abs(target) > abs(weakest) - max(LEAST_MARGIN_V, MARGIN * abs(weakest)):
            raise _No(_too_near(module, weakest, target))
        return weakest

    def _by_curves(self, supply: BiasSupply, module: Module) -> tuple[Evidence, str]:
        """Hear every curve of a module; give the least of what they say, and it in words."""
        heard: list[Evidence] = []
        for curve in self._curves_of(module):
            found = evidence(
                curve,
                supply.target_v,
                abs(supply.compliance_a or 0.0),
                any_sign=self.rule.sign == "magnitude",
            )
            name = f"curve of {_named(module)}"
            if found is None:
                raise _No(f"{name} goes the other way than the bias of {supply.target_v:g} V, or nowhere")
            self._note(name, found, supply)
            self._check_curve(name, curve, found, supply)
            heard.append(found)
        least = min(heard, key=lambda each: each.reached_v)
        step_v, between_v = max(each.step_v for each in heard), min(each.between_v for each in heard)
        joined = Evidence(least.reached_v, step_v, between_v)
        return joined, f"curve of {_named(module)} reached {least.reached_v:.4g} V"

    def _note(self, name: str, found: Evidence, supply: BiasSupply) -> None:
        if not found.has_current:
            self.notes.append(f"{name} has no current at all: was HV connected?")
        if found.risen:
            rise = "without end" if math.isinf(found.risen.factor) else f"by {found.risen.factor - 1:.0%}"
            where = f"from {found.risen.at_v:.4g} V on, below the bias of {supply.target_v:g} V and one step"
            self.notes.append(f"{name} rises {rise.replace('%', ' %')} in 5 V {where}")

    def _check_curve(self, name: str, curve: IvCurve, found: Evidence, supply: BiasSupply) -> None:
        """Raise the first evidence in a curve against the bias."""
        target = supply.target_v
        if curve.is_set:
            raise _No(f"{name} has the voltage that was set, and none that was measured")
        if self.ordered_v and found.reached_v > _BEYOND_ORDER * abs(self.ordered_v) + LEAST_MARGIN_V:
            raise _No(f"{name} goes to {found.reached_v:.4g} V, and {self.ordered_v:g} V were ordered")
        if found.limited_v is not None:
            limit = f"{abs(supply.compliance_a or 0.0) * 1e6:.4g} µA"
            raise _No(f"{name} at its compliance ({limit}) from {found.limited_v:.4g} V on")
        if found.hole_v is not None:
            hole = next(each for each in curve.holes if abs(each.voltage_v or 0.0) == found.hole_v)
            raise _No(f"{name} has no reading in line {hole.line} ('{hole.text}')")
        if found.short_v is not None:
            further = "; sweep a step further" if found.short_v >= abs(target) else ""
            raise _No(
                f"{name} ended at {found.short_v:.4g} V, short of {target:g} V and one step ({found.step_v:.3g} V){further}"
            )
        if found.lost_v is not None:
            raise _No(f"{name} loses its current at {found.lost_v:.4g} V: did the supply trip?")
        if found.doubled:
            noise = (
                "; if that is noise, measure it in a finer range" if found.doubled.amperes < NOISE_A else ""
            )
            raise _No(f"{name} more than doubles in 5 V at {found.doubled.at_v:.4g} V{noise}")

    def _curves_of(self, module: Module) -> list[IvCurve]:
        """Give the curves of a module, and those whose file names none: they may be of it, too.

        Raises:
            _No: it has none, or a file that may be one cannot be read.
        """
        one = self.modules == 1
        mine = [each for each in self.left.curves if one or each.module in ("", module.name)]
        damaged = [each for each in mine if isinstance(each, NotUnderstood)]
        curves = [each for each in mine if isinstance(each, IvCurve)]
        own = [each for each in curves if one or (module.name and each.module == module.name)]
        bad = next((each for each in damaged if not each.foreign or not own), None)
        if bad is not None:
            raise _No(f"curve of {_named(module)} cannot be read: {_file(bad.file)}, {bad.reason}")
        if not own:
            seen = f"no file names it, as {_file(curves[0].file)}" if curves else "no file is known as one"
            raise _No(f"there is no curve of {_named(module)}: {seen}")
        return curves


def _check_target(supply: BiasSupply, rule: BiasRule) -> None:
    target, name = supply.target_v, printable(supply.instrument, 40)
    if not math.isfinite(target):
        raise _No(f"the bias of {name} is not a number")
    if target == 0:
        raise _No(f"the bias of {name} is 0 V: nothing to do")
    if why := beyond("hv voltage", target):
        raise _No(f"the bias of {name} cannot be: {why}")
    if target > 0 and not rule.allow_forward:
        raise _No(f"{target:g} V would be a forward bias; 'bias: {{allow_forward: true}}' allows it")


def _check_compliance(supply: BiasSupply) -> None:
    limit, name = supply.compliance_a, printable(supply.instrument, 40)
    if not limit or not math.isfinite(limit):
        raise _No(f"the compliance of {name} is not known, and so not where the curve reached it")
    if why := beyond("hv compliance", limit):
        raise _No(f"no curve can reach the compliance of {name}: {why}")


def _check_both(module: Module, target: float, limit: float, found: Evidence, said: str) -> None:
    """The breakdown of the file has to lie a step beyond the bias, and where the curve can have seen it."""
    margin = max(found.step_v, LEAST_MARGIN_V, MARGIN * abs(limit))
    if abs(target) + margin > abs(limit) + _EXACT:
        raise _No(
            f"{_too_near(module, limit, target)} by one step of the sweep ({found.step_v:.3g} V); {said}"
        )
    if abs(limit) > found.reached_v + found.between_v + _EXACT:
        raise _No(
            f"breakdowns.json has {_named(module)} break down at {limit:g} V, where nothing was measured; {said}"
        )


def _check_file_alone(
    module: Module, target: float, limit: float | None, ordered_v: float | None, rule: BiasRule
) -> None:
    if limit is not None:
        if ordered_v and abs(limit) > abs(ordered_v) + PHYSICS["sweep step"].most:
            raise _No(
                f"{_named(module)} cannot have broken down at {limit:g} V: {ordered_v:g} V were ordered"
            )
        return
    if ordered_v is None or not math.isfinite(ordered_v):
        raise _No("no breakdown was found, but it is not known how far the curve went: state 'max_voltage'")
    other_way = rule.sign == "same" and (ordered_v > 0) != (target > 0)
    if abs(ordered_v) < abs(target) or other_way:
        raise _No(f"no breakdown was found, but the curve ended at {ordered_v:g} V, short of {target:g} V")


def _data(found: Breakdowns) -> object:
    if len(found.files) > 1:
        named = " and ".join(printable(each, 60) for each in found.files[:3])
        raise _No(f"there are {len(found.files)} files breakdowns.json, {named}")
    if found.content is None:
        raise _No("the curve left no breakdowns.json")
    if not found.fresh:
        raise _No("breakdowns.json is older than the curve: it was there before")
    document = read_json(from_bytes(found.content, "breakdowns.json"))
    if document.problems:
        raise _No(f"breakdowns.json cannot be read: {document.problems[0].message}")
    return document.data


def _entry(module: Module, data: object, modules: int) -> object:
    """Give what the file says of a module, by its channel or its name."""
    if isinstance(data, dict):
        keys = [key for key in (module.channel, module.name) if key and key in data]
        if not keys:
            raise _No(f"breakdowns.json says nothing of {_named(module)}")
        if len(keys) == 2 and data[keys[0]] != data[keys[1]]:
            raise _No(f"breakdowns.json says two things of {_named(module)}")
        return data[keys[0]]
    if modules == 1 and _is_number(data):
        return data
    raise _No("breakdowns.json is not a mapping from modules to volts")


def _flat(module: Module, entry: object) -> Iterator[object]:
    """Give an entry's values: its own, or one per chip, of which the weakest will count."""
    if not isinstance(entry, Mapping):
        yield entry
    elif not entry:
        raise _No(f"breakdowns.json has no value for {_named(module)}")
    else:
        yield from entry.values()


def _voltage(module: Module, value: object, target: float, rule: BiasRule) -> float | None:
    if value is None or value == "none":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        shown = printable(json.dumps(value, ensure_ascii=False), 40)
        raise _No(f"the breakdown voltage of {_named(module)} is {shown}: not a number of volts")
    volts = float(value)
    if abs(volts) == NO_BREAKDOWN_V:
        return None
    if volts == 0:
        raise _No(f"the breakdown voltage of {_named(module)} is 0 V: not determined is not infinite")
    if why := beyond("breakdown", volts):
        raise _No(f"the breakdown voltage of {_named(module)} cannot be: {why}; {PHYSICS['breakdown'].meant}")
    if rule.sign == "magnitude":
        return math.copysign(volts, target)
    if (volts > 0) != (target > 0):
        cure = "'bias: {sign: magnitude}' in the bench file is for a dirigent that writes magnitudes"
        raise _No(
            f"the breakdown of {_named(module)} at {volts:g} V has not the sign of the bias {target:g} V; {cure}"
        )
    return volts


def _too_near(module: Module, limit: float, target: float) -> str:
    return f"{_named(module)} breaks down at {limit:g} V: a bias of {target:g} V is not safely below that"


def _told_word(limit: float | None) -> str:
    return "breakdowns.json says none" if limit is None else f"breakdowns.json says {limit:g} V"


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _file(path: str) -> str:
    return printable(path.rpartition("/")[2], 60)


def _named(module: Module) -> str:
    return printable(module.name) if module.name else f"channel {module.channel}"
