"""Where the results of a run go after its end: what `upload:` of a bench file says."""

import json
import re
import shlex
from collections.abc import Container, Mapping
from typing import Literal

import msgspec
from msgspec import Struct

KEYS = {
    "felis": {
        *("user", "python", "url", "ca_file", "croc_version", "module_type", "sensor_type"),
        *("link_production_db", "ph2_acf_version", "timeout"),
    },
    "command": {"command", "timeout"},
    "folder": {"folder"},
}
"""The keys of `upload:` that only one receiver has; all others are for each of them."""

_PLAIN = re.compile(r"(?!(?i:y|n|yes|no|on|off|true|false|null)$)(--?|\.{0,2}/)?[A-Za-z_][A-Za-z0-9_./=-]*")
"""A word that certainly needs no quotes in YAML."""


class _Receiver(Struct, frozen=True, tag_field="to", tag=lambda name: name.removesuffix("Receiver").lower()):
    @property
    def to(self) -> str:
        """The name that `to:` calls it by."""
        return str(self.__struct_config__.tag)

    @property
    def place(self) -> str:
        """Where that is: an address, a command line or a folder; empty if only Felis knows."""
        return ""


class FelisReceiver(_Receiver, frozen=True):
    """Panthera, through dirigent's Felis, by the interpreter `python` (empty: this one).

    An empty `url` is Felis's own. `timeout_s` is how long the database may take for one answer; Felis itself
    waits for 240 s. What is empty or None is not told to Felis, which then has a default. `module_type` and
    `sensor_type` are for every module, or for each by its name.
    """

    user: str
    python: str = ""
    url: str = ""
    ca_file: str = ""
    croc_version: str = ""
    sensor_type: str | dict[str, str] = ""
    link_production_db: bool | None = None
    ph2_acf_version: str = ""
    timeout_s: float = 180.0
    module_type: str | dict[str, str] = ""

    @property
    def place(self) -> str:
        """Its address."""
        return self.url

    def module_type_of(self, module: str, described: str, known: Container[str]) -> str:
        """Type of a module: as modules.json describes it, unless that is none that is `known` and one is given here."""
        return described if described in known else _said_of(self.module_type, module) or described

    def sensor_type_of(self, module: str) -> str:
        """Type of the sensor of a module; empty if none is given here."""
        return _said_of(self.sensor_type, module)


class CommandReceiver(_Receiver, frozen=True):
    """A command of the site, called once per result in the folder of its bench file, for `timeout_s` at most."""

    command: tuple[str, ...]
    timeout_s: float = 600.0

    @property
    def place(self) -> str:
        """Its command line."""
        return shlex.join(self.command)

    @property
    def as_list(self) -> str:
        """What was meant, as it is written in YAML, if a program and its arguments are one text; else empty."""
        if len(self.command) > 1:
            return ""
        try:
            words = shlex.split(self.command[0])
        except ValueError:
            return ""
        shown = (word if _PLAIN.fullmatch(word) else json.dumps(word, ensure_ascii=False) for word in words)
        return f"[{', '.join(shown)}]" if len(words) > 1 else ""


class FolderReceiver(_Receiver, frozen=True):
    """A folder, absolute, into which a bundle is put per run and module."""

    folder: str

    @property
    def place(self) -> str:
        """The folder."""
        return self.folder


Receiver = FelisReceiver | CommandReceiver | FolderReceiver


class Upload(Struct, frozen=True):
    """Where results go, whether that is tried at a run's end, and which runs are queued by themselves.

    What fails for the moment is tried again for `retry_for_s`, each result for itself. `bench` is the file that says
    all this, absolute: what is relative in it is found from there. Plans of earlier versions do not name it.
    """

    receiver: Receiver
    at_end: bool = False
    runs: Literal["passed", "all"] = "passed"
    retry_for_s: float = 120.0
    bench: str = ""

    @property
    def destination(self) -> str:
        """Where that is, for people: `folder /data/outbox`."""
        return f"{self.receiver.to} {self.receiver.place}".rstrip()

    def is_at(self, other: "Upload") -> bool:
        """Tell whether both send to one place; a command is found from the folder of its bench file."""
        if not isinstance(self.receiver, CommandReceiver):
            return self.destination == other.destination
        return self.destination == other.destination and _folder(self.bench) == _folder(other.bench)

    def differs(self, other: "Upload") -> list[str]:
        """Give the keys of a bench file in which the way of sending differs; those of another receiver are not told."""
        mine, its = msgspec.structs.asdict(self.receiver), msgspec.structs.asdict(other.receiver)
        mine["retry_for"], its["retry_for"] = self.retry_for_s, other.retry_for_s
        if self.receiver.to != other.receiver.to:
            return ["to"]
        return [key.removesuffix("_s") for key in mine if mine[key] != its[key]]


def _said_of(said: str | Mapping[str, str], module: str) -> str:
    return said if isinstance(said, str) else said.get(module, "")


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
