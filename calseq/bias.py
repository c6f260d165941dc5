"""The decision to bias after an IV curve, from what the curve left behind (invariant I3).

Every doubt means no. The rows of the decision table are the tests of this file.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import TypeGuard

from msgspec import Struct

from calseq.document import from_bytes
from calseq.iv import Told
from calseq.json_reader import read_json
from calseq.plaintext import printable
from calseq.plan import BiasRule, BiasSupply, Module

NO_BREAKDOWN_V = 999
"""What dirigent is taken to write, besides null and 'none', for a sensor that did not break down."""


BREAKDOWNS_BYTES = 4 << 20
"""A larger breakdowns.json is not read for showing what it says."""


class Breakdowns(Struct, frozen=True):
    """A `breakdowns.json` as it was found: its content, or None; `fresh` if this curve wrote it."""

    content: bytes | None
    fresh: bool = True

    @property
    def sha256(self) -> str:
        """The digest of its content; empty if this curve did not write it."""
        import hashlib  # noqa: PLC0415 - OpenSSL takes 3 ms that only a run needs

        return hashlib.sha256(self.content).hexdigest() if self.content is not None and self.fresh else ""


class Decision(Struct, frozen=True):
    """May the sensors be biased, and the reason for an operator."""

    allowed: bool
    reason: str


class _No(Exception):
    """The reason why not."""


def decide(
    supplies: tuple[BiasSupply, ...], found: Breakdowns, sweep_end_v: float | None, rule: BiasRule
) -> Decision:
    """Decide over the bias of a whole bench: one supply that may not be biased keeps all of them off.

    `sweep_end_v` is the voltage that the curve is known to have reached, in volts.
    """
    try:
        data = _data(found)
        reasons = [_check_supply(supply, data, sweep_end_v, rule, supplies) for supply in supplies]
    except _No as no:
        return Decision(False, str(no))
    return Decision(True, "; ".join(reasons)) if reasons else Decision(False, "the bench has no high voltage")


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


def _data(found: Breakdowns) -> object:
    if found.content is None:
        raise _No("the curve left no breakdowns.json")
    if not found.fresh:
        raise _No("breakdowns.json is older than the curve")
    document = read_json(from_bytes(found.content, "breakdowns.json"))
    if document.problems:
        raise _No(f"breakdowns.json cannot be read: {document.problems[0].message}")
    return document.data


def _check_supply(
    supply: BiasSupply,
    data: object,
    sweep_end_v: float | None,
    rule: BiasRule,
    supplies: tuple[BiasSupply, ...],
) -> str:
    target = supply.target_v
    if not math.isfinite(target):
        raise _No(f"the bias of {supply.instrument} is not a number")
    if target == 0:
        raise _No(f"the bias of {supply.instrument} is 0 V: nothing to do")
    if target > 0 and not rule.allow_forward:
        raise _No(f"{target:g} V would be a forward bias; 'bias: {{allow_forward: true}}' allows it")
    modules = sum(len(other.modules) for other in supplies)
    limits = [
        _limit(module, _entry(module, data, modules), target, sweep_end_v, rule) for module in supply.modules
    ]
    weakest = min((limit for limit in limits if limit is not None), key=abs, default=None)
    if weakest is None:
        return f"no breakdown found up to {sweep_end_v:g} V, bias is {target:g} V"
    return f"breakdown at {weakest:g} V, bias is {target:g} V"


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


def _limit(
    module: Module, entry: object, target: float, sweep_end_v: float | None, rule: BiasRule
) -> float | None:
    """Give a module's breakdown voltage if `target` is safely below it; None if it has none."""
    values = [
        limit
        for value in _flat(module, entry)
        if (limit := _voltage(module, value, target, rule)) is not None
    ]
    if not values:
        _check_sweep(target, sweep_end_v, rule)
        return None
    weakest = min(values, key=abs)
    if abs(target) > abs(weakest) - max(1.0, 0.02 * abs(weakest)):
        raise _No(
            f"{_named(module)} breaks down at {weakest:g} V: a bias of {target:g} V is not safely below that"
        )
    return weakest


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
    if rule.sign == "magnitude":
        return math.copysign(volts, target)
    if (volts > 0) != (target > 0):
        cure = "'bias: {sign: magnitude}' in the bench file is for a dirigent that writes magnitudes"
        raise _No(
            f"the breakdown of {_named(module)} at {volts:g} V has not the sign of the bias {target:g} V; {cure}"
        )
    return volts


def _check_sweep(target: float, sweep_end_v: float | None, rule: BiasRule) -> None:
    if sweep_end_v is None or not math.isfinite(sweep_end_v):
        raise _No("no breakdown was found, but it is not known how far the curve went: state 'max_voltage'")
    other_way = rule.sign == "same" and (sweep_end_v > 0) != (target > 0)
    if abs(sweep_end_v) < abs(target) or other_way:
        raise _No(f"no breakdown was found, but the curve ended at {sweep_end_v:g} V, short of {target:g} V")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _named(module: Module) -> str:
    return printable(module.name) if module.name else f"channel {module.channel}"
