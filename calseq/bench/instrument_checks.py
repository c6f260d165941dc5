"""Checks of instruments.json that its schema cannot make: most are what icicle would refuse, or run as code."""

import keyword
import re
from collections.abc import Mapping
from typing import Any

from calseq.bench.wiring import Wire, number, roles_by_instrument
from calseq.documents.document import Document, Path
from calseq.model.physics import PHYSICS, SUPPLY_CLASSES, TAKEN, beyond
from calseq.model.rails import SUPPLIES, Role
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Problem, Severity
from calseq.problems.suggestions import did_you_mean, meant
from calseq.system.addresses import Further, shared

# icicle runs exec(f"temp_object.{key} = '{value}'") for every extra key.
_UNSAFE_TEXT = re.compile(r"['\"\\\n\r{}]")
COARSE_STEP_V = 25.0
"""A step of an HV ramp beyond this is a jump for a sensor."""

_BOUNDED = {
    Role.LV: (
        ("default_voltage", "lv voltage", codes.BAD_DEFAULT),
        ("default_current", "lv current", codes.IMPLAUSIBLE_VALUE),
    ),
    Role.HV: (
        ("default_voltage", "hv voltage", codes.BAD_DEFAULT),
        ("default_current", "hv compliance", codes.IMPLAUSIBLE_VALUE),
        ("default_range", "hv voltage", codes.IMPLAUSIBLE_VALUE),
    ),
}
"""What of a supply is held against the table of physics."""

Channels = Mapping[str, Mapping[Role, Wire]]


def check_instruments(
    document: Document,
    root: str,
    instruments: Mapping[str, Any],
    channels_key: str | None,
    channels: Channels,
    further: Further,
) -> None:
    """Note what is wrong with instruments, which are at `root`, and with their use by channels."""
    _check_channels(document, channels_key or root, channels, instruments, root)
    _check_supplies(document, root, channels, instruments)
    _check_classes(document, root, channels, instruments)
    if channels_key:
        _check_outputs(document, channels_key, channels, instruments)
    _check_addresses(document, root, channels, instruments, further)


def check_keys(document: Document, root: str, instruments: Mapping[str, Any]) -> None:
    """Keys and values that icicle would run as code."""
    for name, entry in instruments.items():
        for key, value in entry.items() if isinstance(entry, dict) else ():
            path: Path = (root, name, key)
            if key != "class" and (not key.isidentifier() or keyword.iskeyword(key) or key.startswith("_")):
                cure = "icicle executes it: use letters, digits and '_' only, a letter first"
                document.problem_at(
                    path, codes.UNSAFE_KEY, f"key '{printable(key, 40)}' is no name", cure, key=True
                )
            elif isinstance(value, str) and _UNSAFE_TEXT.search(value):
                cure = "icicle executes it: no quotes, backslashes or braces here"
                document.problem_at(path, codes.UNSAFE_KEY, f"'{key}' has a quote, backslash or brace", cure)


def _check_channels(
    document: Document,
    root: str,
    channels: Channels,
    instruments: Mapping[str, Any],
    instruments_key: str,
) -> None:
    roles: dict[str, Role] = {}
    for channel, wires in channels.items():
        for role, wire in wires.items():
            path: Path = (root, channel, str(role), "instrument")
            if wire.instrument not in instruments:
                cure = did_you_mean(wire.instrument, instruments) or f"add it to '{instruments_key}'"
                message = f"there is no instrument '{printable(wire.instrument, 40)}'"
                slip = (wire.instrument, meant(wire.instrument, instruments))
                document.problem_at(path, codes.BAD_CHANNEL, message, cure, slip=slip)
            elif (
                roles.setdefault(wire.instrument, role) != role and {role, roles[wire.instrument]} & SUPPLIES
            ):
                message = f"'{printable(wire.instrument, 40)}' is {roles[wire.instrument]} and {role} at once"
                document.problem_at(path, codes.BAD_CHANNEL, message, "a supply has one role")
        if Role.HV in wires and Role.LV not in wires:
            message = f"channel '{printable(channel, 40)}' has hv but no lv"
            cure = "a module is never biased without low voltage: add its lv"
            document.problem_at((root, channel), codes.BAD_CHANNEL, message, cure, key=True)


def _check_addresses(
    document: Document,
    root: str,
    channels: Channels,
    instruments: Mapping[str, Any],
    further: Further,
) -> None:
    """Instruments that share an address: one instrument would be driven twice, and icicle refuses that."""
    used = roles_by_instrument(channels)
    addresses = {
        name: entry["resource"]
        for name, entry in instruments.items()
        if name in used and isinstance(entry, dict) and not entry.get("sim")
        if isinstance(entry.get("resource"), str) and not document.is_spoilt((root, name, "resource"))
    }
    noted: set[str] = set()
    for one, other in shared(addresses, further):
        if other not in noted:
            noted.add(other)
            message = f"'{printable(other, 40)}' is at the address of '{printable(one, 40)}'"
            cure = "one instrument has one name: give each its own address, or use its channels by one name"
            _note(document, (root, other, "resource"), codes.SHARED_ADDRESS, message, cure)


def _check_classes(document: Document, root: str, channels: Channels, instruments: Mapping[str, Any]) -> None:
    """Keys that icicle's instruments have already, and classes of supplies that icicle 2.1 has not."""
    used = roles_by_instrument(channels)
    for name, entry in instruments.items():
        path: Path = (root, name)
        if name not in used or not isinstance(entry, dict) or document.is_spoilt(path):
            continue
        for key in TAKEN.intersection(entry):
            message = f"icicle refuses '{key}' of '{printable(name, 40)}': its instruments have an attribute of that name"
            _note(
                document,
                (*path, key),
                codes.TAKEN_KEY,
                message,
                "delete it, or choose another name",
                key=True,
            )
        kind = entry.get("class")
        if used[name] in SUPPLIES and isinstance(kind, str) and kind not in SUPPLY_CLASSES:
            known = [each for each, supply in SUPPLY_CLASSES.items() if supply.role == used[name]]
            cure = (
                did_you_mean(kind, known) or f"icicle 2.1 has {', '.join(known)}; 'calseq doctor' asks yours"
            )
            message = f"'{printable(kind, 40)}' is no class of icicle that calseq knows"
            _note(document, (*path, "class"), codes.UNKNOWN_CLASS, message, cure)


def _check_outputs(document: Document, root: str, channels: Channels, instruments: Mapping[str, Any]) -> None:
    """Channels of supplies that are no numbers, or none of those that the class has."""
    for channel, wires in channels.items():
        for role in SUPPLIES & wires.keys():
            wire, path = wires[role], (root, channel, str(role))
            entry = instruments.get(wire.instrument)
            if document.is_spoilt(path) or not isinstance(entry, dict):
                continue
            number, shown = wire.entry.get("channel"), printable(wire.instrument, 40)
            has = SUPPLY_CLASSES.get(str(entry.get("class")))
            if number is None and has:
                message, cure = (
                    f"{role} of channel '{printable(channel, 20)}' has no 'channel'",
                    'add "channel": 1',
                )
                _note(document, path, codes.BAD_CHANNEL, message, cure, key=True)
            elif number is not None and (not isinstance(number, int) or isinstance(number, bool)):
                message = f"'channel' of '{shown}' is a text, which icicle refuses"
                _note(document, (*path, "channel"), codes.BAD_CHANNEL, message, "write a number, such as 1")
            elif has and has.outputs and number not in has.outputs:
                listed = ", ".join(map(str, has.outputs))
                message = f"a {entry['class']} has no channel {number}"
                _note(document, (*path, "channel"), codes.BAD_CHANNEL, message, f"it has {listed}")


def _check_supplies(
    document: Document, root: str, channels: Channels, instruments: Mapping[str, Any]
) -> None:
    supplies = {
        wire.instrument: role
        for wires in channels.values()
        for role, wire in wires.items()
        if role in SUPPLIES
    }
    for name, role in supplies.items():
        entry = instruments.get(name)
        path: Path = (root, name)
        if not isinstance(entry, dict) or document.is_spoilt(path):
            continue
        for key in ("default_voltage", "default_current"):
            if key not in entry:
                cure = f'add "{key}": … ({"A, the compliance" if role is Role.HV and key.endswith("current") else key[-7:]})'
                _note(
                    document,
                    path,
                    codes.BAD_DEFAULT,
                    f"{role} instrument '{name}' has no '{key}'",
                    cure,
                    key=True,
                )
        _check_values(document, path, entry, role)
        _check_physics(document, path, entry, role)


def _check_physics(document: Document, path: Path, entry: Mapping[str, Any], role: Role) -> None:
    """Values beyond the table of physics: an error for a voltage, a warning for a current."""
    for key, quantity, code in _BOUNDED[role]:
        value = number(entry.get(key))
        why = beyond(quantity, value) if value is not None else ""
        if why and (code.severity is Severity.ERROR or not document.is_refused):
            _note(document, (*path, key), code, f"'{key}': {why}", PHYSICS[quantity].meant)
    _check_class_limit(document, path, entry, role)


def _check_class_limit(document: Document, path: Path, entry: Mapping[str, Any], role: Role) -> None:
    has, volts = SUPPLY_CLASSES.get(str(entry.get("class"))), number(entry.get("default_voltage"))
    if (
        has
        and has.most_v
        and volts is not None
        and has.most_v < abs(volts) <= PHYSICS[f"{role} voltage"].most
    ):
        message = f"'default_voltage': {volts:g} V is beyond a {entry['class']} (at most {has.most_v:g} V)"
        where = (*path, "default_voltage")
        _note(document, where, codes.BAD_DEFAULT, message, PHYSICS[f"{role} voltage"].meant)


def _check_values(document: Document, path: Path, entry: Mapping[str, Any], role: Role) -> None:
    voltage, current, range_v = (
        number(entry.get(f"default_{key}")) for key in ("voltage", "current", "range")
    )
    if current is not None and current <= 0:
        _note(
            document,
            (*path, "default_current"),
            codes.BAD_DEFAULT,
            "'default_current' must be above 0",
            "write amperes",
        )
    if role is Role.LV and voltage is not None and voltage <= 0:
        _note(
            document,
            (*path, "default_voltage"),
            codes.BAD_DEFAULT,
            "a low voltage must be above 0",
            "write volts",
        )
    if role is Role.HV:
        _check_ramp(document, path, entry)
    if role is Role.HV and voltage is not None and range_v is not None and abs(voltage) > abs(range_v):
        message = f"'default_voltage' {voltage:g} V is beyond 'default_range' {range_v:g} V"
        _note(
            document, (*path, "default_voltage"), codes.BAD_DEFAULT, message, "lower it, or widen the range"
        )


def _check_ramp(document: Document, path: Path, entry: Mapping[str, Any]) -> None:
    """Judge the steps of an HV ramp: without any the output is cut, and one large step is no ramp."""
    step_v = number(entry.get("default_step_size"))
    where = (*path, "default_step_size")
    if step_v is not None and step_v <= 0:
        message = f"'default_step_size' is {step_v:g} V: a ramp of no steps cuts HV, or never ends"
        _note(document, where, codes.BAD_DEFAULT, message, "write volts above 0, such as 5")
    elif step_v is not None and step_v > COARSE_STEP_V:
        message = f"'default_step_size' is {step_v:g} V: a ramp in steps that large is a jump"
        cure = "write 10 or less: calseq, and the dirigent that it starts, take steps of at most 10 V whatever this says"
        _note(document, where, codes.COARSE_RAMP, message, cure)


def _note(document: Document, path: Path, code: Code, message: str, cure: str, *, key: bool = False) -> None:
    """Note a problem beside others of the same instrument."""
    if not document.is_spoilt(path):
        document.problems.append(Problem(code, message, cure, document.place(path, key=key)))
