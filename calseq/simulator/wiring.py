"""Which output of which supply serves which modules, read from the two dictionaries of instruments.json."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from calseq.model.rails import Role

Instruments = Mapping[str, Mapping[str, object]]
Channels = Mapping[str, Mapping[str, Mapping[str, object]]]

_ROLES = {role.value: role for role in Role}


class Output(Struct, frozen=True):
    """An output of an LV or HV supply, what it gives by default, and the modules that hang on it."""

    name: str
    role: Role
    instrument: str
    modules: tuple[str, ...]
    volts: float
    amps: float
    step_v: float = 5.0
    delay_s: float = 1.0


class Wiring(Struct, frozen=True):
    """All outputs of a bench, and the roles of all its instruments."""

    outputs: tuple[Output, ...]
    roles: Mapping[str, frozenset[Role]]

    def of(self, role: Role) -> tuple[Output, ...]:
        """Give the outputs of a role."""
        return tuple(output for output in self.outputs if output.role is role)

    def instruments(self, roles: Iterable[Role]) -> tuple[str, ...]:
        """Give the names of the instruments that have one of these roles."""
        wanted = set(roles)
        return tuple(name for name, own in self.roles.items() if own & wanted)

    def sharing(self, output: Output, role: Role) -> tuple[Output, ...]:
        """Give the outputs of a role that serve a module which this output serves too."""
        modules = set(output.modules)
        return tuple(other for other in self.of(role) if modules & set(other.modules))


def wire(instruments: Instruments, channels: Channels) -> Wiring:
    """Read the wiring of a bench.

    Raises:
        ValueError: a channel names an instrument that is not there, or a supply lacks a default.
    """
    served: dict[tuple[str, Role, str], list[str]] = {}
    roles: dict[str, set[Role]] = {name: set() for name in instruments}
    for module, entries in channels.items():
        for key, entry in entries.items():
            if key not in _ROLES:
                continue
            instrument = str(entry.get("instrument"))
            if instrument not in roles:
                raise ValueError(f"channel {module!r} names {instrument!r}, which is not an instrument")
            roles[instrument].add(_ROLES[key])
            name = f"{instrument}:{entry.get('channel', 1)}"
            served.setdefault((name, _ROLES[key], instrument), []).append(module)
    return Wiring(
        tuple(
            _output(name, role, instrument, tuple(modules), instruments[instrument])
            for (name, role, instrument), modules in served.items()
            if role in (Role.LV, Role.HV)
        ),
        {name: frozenset(own) for name, own in roles.items()},
    )


def _output(
    name: str, role: Role, instrument: str, modules: tuple[str, ...], settings: Mapping[str, object]
) -> Output:
    return Output(
        name=name,
        role=role,
        instrument=instrument,
        modules=modules,
        volts=_number(settings, instrument, "default_voltage"),
        amps=_number(settings, instrument, "default_current"),
        step_v=max(abs(_number(settings, instrument, "default_step_size", 5.0)), 0.1),
        delay_s=max(_number(settings, instrument, "default_delay", 1.0), 0.0),
    )


def _number(settings: Mapping[str, object], instrument: str, key: str, default: float | None = None) -> float:
    value = settings.get(key, default)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"instrument {instrument!r} has no number as {key}")
