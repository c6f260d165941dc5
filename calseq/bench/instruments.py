"""instruments.json: which instruments there are, and what each channel uses them for."""

import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from calseq.documents.document import Document, Path
from calseq.documents.schema import check, stored_schema
from calseq.model.physics import PHYSICS, SUPPLY_CLASSES, TAKEN, beyond
from calseq.model.plan import BiasSupply, Instrument, Module
from calseq.model.rails import SUPPLIES, Role, ramp_step_v
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Problem, Severity
from calseq.problems.suggestions import closest, did_you_mean, meant
from calseq.system.addresses import Further, shared

_KEYS = {"instruments": ("instruments", "instrument_dict"), "channels": ("channels", "channels_dict")}
_PREFIX = re.compile(r"(lv|hv|ab|cb|hb)(_|[0-9]|$)")
# icicle runs exec(f"temp_object.{key} = '{value}'") for every extra key.
_HV_BOX = re.compile(r"hv_?box", re.IGNORECASE)
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


class Wire(Struct, frozen=True):
    """One role of one channel: the instrument that has it, and that instrument's own channel."""

    instrument: str
    entry: Mapping[str, Any]


def gentle(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an instrument as a child gets them: with steps of a ramp that are no jumps, in volts."""
    if "default_step_size" not in entry:
        return dict(entry)
    size, safe = entry["default_step_size"], ramp_step_v(entry)
    return {**entry, "default_step_size": size if size == safe else safe}


class Wiring(Struct, frozen=True):
    """The instruments by name, and per channel (one module each) the wire of every role."""

    instruments: Mapping[str, Mapping[str, Any]]
    channels: Mapping[str, Mapping[Role, Wire]]

    def roles(self) -> frozenset[Role]:
        """Give the roles that some channel has an instrument for."""
        return frozenset(role for wires in self.channels.values() for role in wires)

    def reduced(self, roles: Iterable[Role]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give the instruments and channels dictionaries that show only some roles; all a child may touch."""
        wanted = set(roles)
        channels = {
            key: {str(role): dict(wire.entry) for role, wire in wires.items() if role in wanted}
            for key, wires in self.channels.items()
        }
        used = {
            wire.instrument
            for wires in self.channels.values()
            for role, wire in wires.items()
            if role in wanted
        }
        instruments = {name: gentle(entry) for name, entry in self.instruments.items() if name in used}
        return instruments, {key: wires for key, wires in channels.items() if wires}

    def hv_boxes(self) -> tuple[str, ...]:
        """Names of the boxes between HV supply and sensors: by a channel's role, by class, or by the name of an unused one."""
        used = {wire.instrument: role for wires in self.channels.values() for role, wire in wires.items()}
        return tuple(
            name
            for name, entry in self.instruments.items()
            if used.get(name) is Role.HB
            or _HV_BOX.search(str(entry["class"]))
            or (name not in used and _is_named_box(name))
        )

    def unused(self) -> dict[str, str]:
        """Instruments that no channel uses, each with the role that it may have, empty where nothing says which.

        Boxes and climate chambers are not among them: those are used by hand.
        """
        used = {wire.instrument for wires in self.channels.values() for wire in wires.values()}
        rest = {
            name: _role_of(name, entry["class"])
            for name, entry in self.instruments.items()
            if name not in used
        }
        by_hand = {*self.hv_boxes(), "climate_chamber"}
        return {name: role for name, role in rest.items() if role != Role.CB and name not in by_hand}

    def described(self) -> tuple[Instrument, ...]:
        """Give every instrument that some channel uses."""
        return tuple(self._described())

    def _described(self) -> Iterator[Instrument]:
        for name, entry in self.instruments.items():
            used = [
                (role, key)
                for key, wires in self.channels.items()
                for role, wire in wires.items()
                if wire.instrument == name
            ]
            if used:
                roles = tuple(dict.fromkeys(role for role, _ in used))
                channels = tuple(dict.fromkeys(key for _, key in used))
                yield Instrument(
                    name, entry["class"], entry["resource"], roles, channels, bool(entry.get("sim"))
                )

    def bias_supplies(self, names: Mapping[str, str]) -> tuple[BiasSupply, ...]:
        """Give every HV instrument with its target and all modules that hang on any of its outputs."""
        modules: dict[str, list[Module]] = {}
        for key, wires in self.channels.items():
            if Role.HV in wires:
                modules.setdefault(wires[Role.HV].instrument, []).append(Module(key, names.get(key, "")))
        return tuple(
            BiasSupply(
                name,
                float(self.instruments[name]["default_voltage"]),
                tuple(listed),
                _number(self.instruments[name].get("default_current")),
            )
            for name, listed in modules.items()
        )


def _role_of(name: str, kind: str) -> str:
    match = _PREFIX.match(name)
    return match.group(1) if match else SUPPLY_CLASSES[kind].role if kind in SUPPLY_CLASSES else ""


def _is_named_box(name: str) -> bool:
    match = _PREFIX.match(name)
    return match is not None and match.group(1) == Role.HB


def read_wiring(document: Document, further: Further = lambda _: ()) -> Wiring | None:
    """Judge an instruments.json; its problems are noted in the document, None if one is an error.

    `further` gives the further names of a device file, where this machine can be looked at.
    """
    check(document, stored_schema("instruments"))
    data: Any = document.data
    if not document.readable or not isinstance(data, dict):
        return None
    instruments_key = _key(document, data, "instruments")
    channels_key = _key(document, data, "channels")
    if instruments_key is None:
        _check_instruments_there(document, data)
        return None
    _check_spelling(document, data, channels_key)
    instruments = data[instruments_key]
    if not isinstance(instruments, dict):
        return None
    _check_keys(document, instruments_key, instruments)
    channels = _channels(document, channels_key, data, instruments)
    _check_channels(document, channels_key or instruments_key, channels, instruments, instruments_key)
    _check_supplies(document, instruments_key, channels, instruments)
    _check_classes(document, instruments_key, channels, instruments)
    if channels_key:
        _check_outputs(document, channels_key, channels, instruments)
    _check_addresses(document, instruments_key, channels, instruments, further)
    if any(problem.is_error for problem in document.problems):
        return None
    return Wiring(instruments, channels)


def _key(document: Document, data: Mapping[str, Any], name: str) -> str | None:
    present = [key for key in _KEYS[name] if key in data]
    if len(present) > 1:
        message = f"'{present[1]}' beside '{present[0]}'"
        document.problem_at(
            (present[1],), codes.DUPLICATE_KEY, message, "they mean the same: keep one", key=True
        )
    return present[0] if present else None


def _check_instruments_there(document: Document, data: Mapping[str, Any]) -> None:
    if () in document.incomplete:
        return
    wrong = next((key for key in data if closest(key[:64], _KEYS["instruments"])), None)
    if wrong is None:
        cure = 'it has the keys "instruments" and "channels"'
        document.problem_at(("instruments",), codes.MISSING_KEY, "'instruments' is missing", cure)
        return
    message = f"'{printable(wrong, 40)}' is not a key that belongs here"
    slip = (wrong, meant(wrong, ("instruments",)))
    cure = "did you mean 'instruments'?"
    document.problem_at((wrong,), codes.UNKNOWN_KEY, message, cure, key=True, slip=slip)


def _check_spelling(document: Document, data: Mapping[str, Any], channels_key: str | None) -> None:
    """A misspelt 'channels' must not make a bench of one channel out of many."""
    for key in data if channels_key is None else ():
        cure = did_you_mean(key, _KEYS["channels"])
        if cure and key not in _KEYS["instruments"]:
            message = f"'{printable(key, 40)}' is not a key that belongs here"
            slip = (key, meant(key, _KEYS["channels"]))
            document.problem_at((key,), codes.UNKNOWN_KEY, message, cure, key=True, slip=slip)


def _check_keys(document: Document, root: str, instruments: Mapping[str, Any]) -> None:
    """Refuse what icicle would run as code."""
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


def _channels(
    document: Document, key: str | None, data: Mapping[str, Any], instruments: Mapping[str, Any]
) -> dict[str, dict[Role, Wire]]:
    """Give the channels; of a file that has none, by the prefixes of the names on channel '0'."""
    if key is None:
        if () in document.incomplete or not instruments:
            return {}
        wires = {
            Role(match.group(1)): Wire(name, {"instrument": name, "channel": 1})
            for name in reversed(list(instruments))
            if (match := _PREFIX.match(name))
        }
        if not wires:
            cure = 'add \'channels\': {"0": {"lv": {"instrument": …, "channel": 1}, …}}'
            document.problem_at(("channels",), codes.MISSING_KEY, "'channels' is missing", cure)
        return {"0": dict(sorted(wires.items()))}
    raw = data[key]
    channels: dict[str, dict[Role, Wire]] = {}
    for channel, entries in raw.items() if isinstance(raw, dict) else ():
        path: Path = (key, channel)
        if not re.fullmatch(r"[0-9]{1,4}", channel):
            message = f"channel '{printable(channel, 40)}' is not a number"
            document.problem_at(path, codes.BAD_CHANNEL, message, 'channels are "0", "1", …', key=True)
        channels[channel] = {}
        for role, entry in entries.items() if isinstance(entries, dict) else ():
            if role not in set(Role):
                cure = did_you_mean(role, Role) or "one of " + ", ".join(Role)
                message = f"'{printable(role, 40)}' is not a role"
                slip = (role, meant(role, Role))
                document.problem_at((*path, role), codes.BAD_CHANNEL, message, cure, key=True, slip=slip)
            elif isinstance(entry, dict) and isinstance(entry.get("instrument"), str):
                channels[channel][Role(role)] = Wire(entry["instrument"], entry)
    return channels


def _check_channels(
    document: Document,
    root: str,
    channels: Mapping[str, Mapping[Role, Wire]],
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
    channels: Mapping[str, Mapping[Role, Wire]],
    instruments: Mapping[str, Any],
    further: Further,
) -> None:
    """Two instruments at one address would be one instrument that is driven twice; icicle refuses them."""
    used = {wire.instrument for wires in channels.values() for wire in wires.values()}
    addresses = {
        name: entry["resource"]
        for name, entry in instruments.items()
        if name in used and isinstance(entry, dict) and not entry.get("sim")
        if isinstance(entry.get("resource"), str) and not document.is_spoilt((root, name, "resource"))
    }
    told: set[str] = set()
    for one, other in shared(addresses, further):
        if other not in told:
            told.add(other)
            message = f"'{printable(other, 40)}' is at the address of '{printable(one, 40)}'"
            cure = "one instrument has one name: give each its own address, or use its channels by one name"
            _note(document, (root, other, "resource"), codes.SHARED_ADDRESS, message, cure)


def _check_classes(
    document: Document, root: str, channels: Mapping[str, Mapping[Role, Wire]], instruments: Mapping[str, Any]
) -> None:
    """Keys that icicle's instruments have already, and classes of supplies that icicle 2.1 has not."""
    used = {wire.instrument: role for wires in channels.values() for role, wire in wires.items()}
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


def _check_outputs(
    document: Document, root: str, channels: Mapping[str, Mapping[Role, Wire]], instruments: Mapping[str, Any]
) -> None:
    """A supply's channel is a number, and one of those that its class has."""
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
    document: Document, root: str, channels: Mapping[str, Mapping[Role, Wire]], instruments: Mapping[str, Any]
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
    """A voltage that no supply gives is refused; of a current it is told."""
    for key, quantity, code in _BOUNDED[role]:
        value = _number(entry.get(key))
        why = beyond(quantity, value) if value is not None else ""
        if why and (code.severity is Severity.ERROR or not document.is_refused):
            _note(document, (*path, key), code, f"'{key}': {why}", PHYSICS[quantity].meant)
    _check_class_limit(document, path, entry, role)


def _check_class_limit(document: Document, path: Path, entry: Mapping[str, Any], role: Role) -> None:
    has, volts = SUPPLY_CLASSES.get(str(entry.get("class"))), _number(entry.get("default_voltage"))
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
        _number(entry.get(f"default_{key}")) for key in ("voltage", "current", "range")
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
    step_v = _number(entry.get("default_step_size"))
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


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
