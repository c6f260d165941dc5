"""Values outside physics: what a quantity of a test stand, or a supply of a class, can be, for checks before a run and for readers after it."""

from collections.abc import Collection, Mapping
from math import isfinite

from msgspec import Struct


class Bounds(Struct, frozen=True):
    """The largest magnitude that a quantity can have, in its unit, and what may have been meant by a larger one."""

    most: float
    unit: str
    meant: str

    def has(self, value: float) -> bool:
        """Whether a value is finite and not beyond physics."""
        return isfinite(value) and abs(value) <= self.most


PHYSICS: Mapping[str, Bounds] = {
    "hv voltage": Bounds(2000.0, "V", "volts? millivolts are a thousandth of them"),
    "hv compliance": Bounds(0.01, "A", "amperes? 10 µA is 10e-6"),
    "lv voltage": Bounds(30.0, "V", "volts? a double takes about 4"),
    "lv current": Bounds(30.0, "A", "amperes?"),
    "sensor current": Bounds(0.1, "A", "amperes?"),
    "breakdown": Bounds(2000.0, "V", "volts? millivolts are a thousandth of them"),
    "sweep voltage": Bounds(2000.0, "V", "volts? millivolts are a thousandth of them"),
    "sweep step": Bounds(100.0, "V", "volts between two measurements?"),
    "sweep delay": Bounds(3600.0, "s", "seconds?"),
}
"""What no supply, sensor or sweep of a test stand exceeds. HV boxes and ramps of supplies belong here, too."""


class Supply(Struct, frozen=True):
    """What a class of icicle can: the outputs that it has, None if that is not known, and the most volts of one."""

    role: str
    outputs: Collection[int] | None = None
    most_v: float | None = None


SUPPLY_CLASSES: Mapping[str, Supply] = {
    "Keithley2410": Supply("hv", (1,), 1100.0),
    "CaenDT8033N": Supply("hv"),
    "TTI": Supply("lv"),
    "TTITSX": Supply("lv", (1,), 120.0),
    "HMP4040": Supply("lv", (1, 2, 3, 4)),
    "KeysightE3633A": Supply("lv", (1,)),
}
"""The supplies of icicle 2.1. Other versions have others."""

TAKEN = frozenset(
    [
        "role",
        "status",
        "set",
        "query",
        "measure",
        "on",
        "off",
        "reset",
        "sweep",
        "open",
        "close",
        "connected",
        "channel",
        "outputs",
        "validate_channel",
        "register",
        "registered_classes",
        "get_lockfile",
        "get_flock",
        "sweep_print_header",
        "load_instrument_class",
        "LockType",
        "LOCK_TYPE",
        "LOCK_PATH",
        "Channel",
        "PowerChannel",
        "MeasureChannel",
        "MeasureChannelWrapper",
        "TemperatureChannel",
        "SETTINGS",
        "SOURCE_TYPES",
        "MEASURE_TYPES",
        "OUTPUTS",
        "TIMEOUT",
        "BAUD_RATE",
        "COM_RESET",
    ]
)
"""Attributes of icicle's instruments: it refuses a key of such a name in instruments.json."""


def beyond(quantity: str, value: float) -> str:
    """Say why a value cannot be, with what may have been meant; empty if it can."""
    bounds = PHYSICS[quantity]
    if bounds.has(value):
        return ""
    return f"{value:g} {bounds.unit} is beyond any {quantity} (at most {bounds.most:g} {bounds.unit})"
