"""A double of icicle's cluster as it is built: what it refuses, in its words, and what it does beside.

ICICLE_DOUBLE_IMPORT is run when it is imported. Whatever is entered or asked leaves a file `opened` in the folder
ICICLE_DOUBLE.
"""

import os
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ.get("ICICLE_DOUBLE", "."))
LOCKS = Path(os.environ.get("ICICLE_LOCK_PATH") or FOLDER / "default-locks")
LOCKS.mkdir(exist_ok=True)
exec(os.environ.get("ICICLE_DOUBLE_IMPORT", ""))
print("icicle looks for its locks", end="")


class ChannelError(Exception):
    pass


class Lock:
    """Takes the file of its lock away when it ends, though another process may hold it by then."""

    def __init__(self, resource):
        self._path = LOCKS / resource.replace("::INSTR", "").replace("/", "__").replace(":", "--")
        if self._path.exists() and not os.access(self._path, os.W_OK):
            raise RuntimeError(f"{self._path} not writable")
        self._touched = not self._path.exists()

    def __del__(self):
        if self._touched and self._path.exists():
            self._path.unlink()


class Channel:
    @property
    def state(self):
        return opened()

    @state.setter
    def state(self, value):
        opened()

    @property
    def voltage(self):
        return opened()

    @voltage.setter
    def voltage(self, value):
        opened()


class Mute:
    """An output of a class that cannot be switched."""

    voltage = 0.0


def opened(*args, **kwargs):
    (FOLDER / "opened").touch()


class Instrument:
    """One object for each address in a process, whatever class is asked for."""

    made = {}  # noqa: RUF012
    PARITY = None
    OUTPUTS = 1
    role = None
    Channel = Channel

    def __new__(cls, resource):
        resource = "one" if os.environ.get("ICICLE_DOUBLE_ONE") else resource
        if resource not in Instrument.made:
            Instrument.made[resource] = new = super().__new__(cls)
            new.lock = Lock(resource)
        return Instrument.made[resource]

    __enter__ = __exit__ = query = set = status = opened

    def connected(self):
        return False

    def channel(self, number):
        if number != 1:
            raise ChannelError(f"Channel {number} does not exist or is not enabled on this device.")
        return self.Channel()


class Keithley2410(Instrument):
    pass


class Keithley2470(Instrument):
    """Of a version that calseq does not know."""


class TTITSX(Instrument):
    outputs = range(1, 2)


class AdcBoard(Instrument):
    pass


class Exits(Instrument):
    def __init__(self, resource):
        sys.exit("no licence")


class Crashes(Instrument):
    def __init__(self, resource):
        os.abort()


class Leaves(Instrument):
    def __init__(self, resource):
        os._exit(7)


class Hangs(Instrument):
    def __init__(self, resource):
        time.sleep(600)


class Asks(Instrument):
    def __init__(self, resource):
        input("[Y] to continue ")


class Unswitchable(Instrument):
    Channel = Mute


class NeedsVisa(Instrument):
    def __init__(self, resource):
        import pyvisa_that_is_not_there  # noqa: F401, PLC0415 - as icicle loads a class


class InstrumentCluster:
    package_map = {  # noqa: RUF012
        each.__name__: each.__name__.lower() for each in (Keithley2410, TTITSX, AdcBoard)
    }
    kinds = (
        Keithley2410,
        Keithley2470,
        TTITSX,
        AdcBoard,
        Exits,
        Crashes,
        Leaves,
        Hangs,
        Asks,
        Unswitchable,
        NeedsVisa,
    )

    def __init__(self, instrument_dict=None, channels_dict=None, resource="cluster1"):
        self.lock = Lock(resource)
        self._instruments = {}
        for name, device in instrument_dict.items():
            made = {each.__name__: each for each in self.kinds}[device["class"]](device["resource"])
            made.role = None
            for key, value in device.items():
                if key not in ("class", "resource", "sim"):
                    if hasattr(made, key):
                        raise ValueError(
                            f"The provided variable {key} to the object {type(made)} does already exist. "
                            "Please use another name"
                        )
                    setattr(made, key, value)
            self._instruments[name] = made
        self._modules = {
            number: {
                role: self._instruments[wire["instrument"]].channel(wire["channel"])
                for role, wire in entry.items()
                if role in ("lv", "hv")
            }
            for number, entry in channels_dict.items()
        }
        print(f"cluster of {len(self._instruments)}", end="")

    __enter__ = __exit__ = opened

    def get_modules(self):
        return self._modules

    def get_instruments(self):
        return self._instruments

    def lv_on_module(self, module, voltage=None, current=None):
        opened()

    def lv_off_module(self, module):
        opened()


exec(globals().get("at_the_end", ""))
