"""Which instruments there are, and what each channel uses them for."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from calseq.model.physics import SUPPLY_CLASSES
from calseq.model.plan import BiasSupply, Instrument, Module
from calseq.model.rails import Role, ramp_step_v

PREFIX = re.compile(r"(lv|hv|ab|cb|hb)(_|[0-9]|$)")
_HV_BOX = re.compile(r"hv_?box", re.IGNORECASE)


class Wire(Struct, frozen=True):
    """One role of one channel: the instrument that has it, and that instrument's own channel."""

    instrument: str
    entry: Mapping[str, Any]


def roles_by_instrument(channels: Mapping[str, Mapping[Role, Wire]]) -> dict[str, Role]:
    """Role of every instrument that a channel uses, the last one of several."""
    return {wire.instrument: role for wires in channels.values() for role, wire in wires.items()}


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
        used = roles_by_instrument(self.channels)
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
        used = roles_by_instrument(self.channels)
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
                number(self.instruments[name].get("default_current")),
            )
            for name, listed in modules.items()
        )


def _role_of(name: str, kind: str) -> str:
    match = PREFIX.match(name)
    return match.group(1) if match else SUPPLY_CLASSES[kind].role if kind in SUPPLY_CLASSES else ""


def _is_named_box(name: str) -> bool:
    match = PREFIX.match(name)
    return match is not None and match.group(1) == Role.HB


def number(value: object) -> float | None:
    """Give a value as a number; None if it is none, such as true."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
