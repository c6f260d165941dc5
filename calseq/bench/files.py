"""The files that a bench file names, read beside it."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from calseq.bench.dirigent_config import Settings, read_settings
from calseq.bench.instruments import read_wiring
from calseq.bench.modules import read_modules
from calseq.bench.wiring import Wiring
from calseq.documents.document import Document, open_text
from calseq.documents.json_reader import read_json
from calseq.documents.schema import check, stored_schema
from calseq.documents.yaml_reader import read_yaml
from calseq.model.confidential import blotted
from calseq.model.plan import InputFile, Module, PowerMode
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.sequence.catalog import Catalog, builtin, with_site
from calseq.system.addresses import names_of_device


class BenchFiles:
    """A bench file's data, the files that it names as `documents`, and what runs record of each as `inputs`."""

    def __init__(self, document: Document, data: Mapping[str, Any], path: Path) -> None:
        self.document = document
        self.data = data
        self.bench = path
        self.folder = path.parent
        self.documents = [document]
        self.instruments_json = document
        self.modules_json: Document | None = None
        self.inputs = [InputFile("bench", document.path, document.sha256(), self._stored())]

    def _stored(self) -> str:
        """Give the digest of the copy that a run folder gets, if that is without secrets of the file."""
        content = blotted(self.document.raw, self.table("env"))
        return "" if content == self.document.raw else hashlib.sha256(content).hexdigest()

    def path(self, text: str) -> Path:
        """Give the absolute path of what a bench names."""
        return (self.folder / Path(text).expanduser()).resolve()

    def place(self, text: str) -> Path:
        """Absolute path of what need not be there; nothing of it is looked at, as its disk may hang."""
        return Path(os.path.abspath(self.folder / Path(text).expanduser()))  # noqa: PTH100

    def named(self, key: str) -> Path | None:
        """Give the path of a file that the bench names by a key."""
        value = self.data.get(key)
        return self.path(value) if isinstance(value, str) and value else None

    def table(self, key: str) -> dict[str, Any]:
        """Give the mapping of a key; empty if it is none."""
        value = self.data.get(key)
        return value if isinstance(value, dict) and not self.document.is_spoilt((key,)) else {}

    def list_of(self, key: str) -> list[dict[str, Any]]:
        """Give the list of a key; empty if it is none."""
        value = self.data.get(key)
        return value if isinstance(value, list) and not self.document.is_spoilt((key,)) else []

    def catalog(self) -> Catalog:
        """Give the calibrations, with those of the site."""
        site = self._open("calibrations", self.data.get("calibrations"), ("calibrations",))
        if site is None:
            lost = "calibrations" in self.data or () in self.document.incomplete
            return replace(builtin(), lost=lost)
        check(read_yaml(site), stored_schema("calibrations"))
        return with_site(site)

    def wiring(self) -> Wiring | None:
        """Give the instruments and channels; None if there is an error in them."""
        instruments = self._open("instruments", self.data.get("instruments"), ("instruments",))
        if instruments is None:
            return None
        self.instruments_json = instruments
        return read_wiring(read_json(instruments), names_of_device)

    def modules(self) -> dict[str, Module]:
        """Give the modules by channel."""
        self.modules_json = self._open("modules", self.data.get("modules"), ("modules",))
        return read_modules(self.modules_json) if self.modules_json else {}

    def settings(self) -> Settings | None:
        """Give dirigent's own settings."""
        config = self._open("dirigent", self.table("dirigent").get("config"), ("dirigent", "config"))
        return read_settings(config) if config and config.readable else None

    def power_mode(self) -> PowerMode:
        """Give who moves the supplies."""
        return PowerMode(self.table("power").get("mode", "dirigent"))

    def _open(self, kind: str, named: object, path: tuple[str, ...]) -> Document | None:
        """Read a file that the bench names; one that cannot be read is a problem of the line that names it."""
        if not isinstance(named, str) or self.document.is_spoilt(path):
            return None
        document = open_text(self.path(named), name=_beside(self.document.source.name, named))
        for problem in document.problems:
            if problem.code is codes.UNREADABLE:
                self.document.problem_at(path, problem.code, problem.message, problem.cure)
                return None
        self.documents.append(document)
        self.inputs.append(InputFile(kind, document.path, document.sha256()))
        return document


def _beside(bench: str, named: str) -> str:
    folder = bench.rpartition("/")[0]
    return printable(named if named.startswith("/") or not folder else f"{folder}/{named}")
