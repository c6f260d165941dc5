"""What a variant says of the steps of its base: which it changes, sets, drops, and beside which it inserts others."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from calseq.documents.document import Document, Path
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.suggestions import did_you_mean
from calseq.sequence.settings import step_names, steps_named

_SETTING = re.compile(r"(.+)\.([^.]+)", re.DOTALL)


class Setting(Struct, frozen=True):
    """One option of a step of the base; its value is at `path` of the variant."""

    step: str
    option: str
    path: Path


class Insertion(Struct, frozen=True):
    """Steps beside one of the base, `side` "before" or "after" it; they are at `path` of the variant."""

    side: str
    step: str
    path: Path


class Overrides(Struct, frozen=True):
    """All that a variant says of its base's steps, as far as it makes sense. `changed` gives the route of a change."""

    dropped: frozenset[str]
    changed: Mapping[str, Path]
    set: tuple[Setting, ...]
    inserted: tuple[Insertion, ...]


def read_overrides(variant: Document, base: Document) -> Overrides:
    """Read what a variant, which its schema has judged, says of a base; what does not fit is noted in the variant."""
    return _Reader(variant, base).read()


class _Reader:
    def __init__(self, variant: Document, base: Document) -> None:
        self.variant = variant
        self.data: dict[str, Any] = mapping(variant.data)
        self.base = printable(base.source.name.rpartition("/")[2], 60)
        self.names = tuple(step_names(base).values())
        self.dropped: frozenset[str] = frozenset()

    def read(self) -> Overrides:
        self.dropped = frozenset(self._drops())
        changed = {name: ("change", name) for name in mapping(self.data.get("change")) if self._changes(name)}
        settings, inserted = tuple(self._settings()), tuple(self._insertions())
        self._check_names()
        return Overrides(self.dropped, changed, settings, inserted)

    def _drops(self) -> Iterator[str]:
        for index, name in enumerate(entries(self.data.get("drop"))):
            if self._is_step(name, ("drop", index)):
                yield name

    def _changes(self, name: str) -> bool:
        path = ("change", name)
        return self._is_step(name, path, key=True) and self._is_kept(name, path)

    def _settings(self) -> Iterator[Setting]:
        for key in mapping(self.data.get("set")):
            path: Path = ("set", key)
            match = _SETTING.fullmatch(key)
            if match is None or not self._is_step(match.group(1), path, key=True):
                continue
            setting = Setting(match.group(1), match.group(2), path)
            if self._is_kept(setting.step, path) and self._is_alone(setting):
                yield setting

    def _insertions(self) -> Iterator[Insertion]:
        for index, entry in enumerate(entries(self.data.get("insert"))):
            path: Path = ("insert", index)
            for side in ("before", "after"):
                name = mapping(entry).get(side)
                if self._is_step(name, (*path, side)) and "steps" in entry:
                    yield Insertion(side, str(name), (*path, "steps"))

    def _is_step(self, name: object, path: Path, *, key: bool = False) -> bool:
        """It is a step of the base; if not, that is noted."""
        if not isinstance(name, str) or self.variant.is_spoilt(path):
            return False
        if name not in self.names:
            cure = did_you_mean(name, self.names) or steps_named(self.names)
            message = f"{self.base} has no step '{printable(name, 40)}'"
            self.variant.problem_at(path, codes.UNKNOWN_STEP, message, cure, key=key)
        return name in self.names

    def _is_kept(self, name: str, path: Path) -> bool:
        if name in self.dropped:
            message = f"step '{printable(name, 40)}' is changed here, and dropped"
            cure = "delete this, or the name in 'drop:'"
            self.variant.problem_at(path, codes.CHANGED_AND_DROPPED, message, cure, key=True)
        return name not in self.dropped

    def _is_alone(self, setting: Setting) -> bool:
        """It is not given in `change`, too."""
        change = mapping(mapping(self.data.get("change")).get(setting.step))
        twice = setting.option in mapping(change.get("options"))
        if twice:
            message = (
                f"'{printable(setting.option, 40)}' of {printable(setting.step, 40)} is in 'change:', too"
            )
            self.variant.problem_at(setting.path, codes.SET_TWICE, message, "keep one of the two", key=True)
        return not twice

    def _check_names(self) -> None:
        """A duplicate name is a problem of the inserted step, whichever of the two comes first in the run."""
        taken = {name.lower() for name in self.names if name not in self.dropped}
        for path, step in self._inserted_steps():
            name = step.get("name") or step.get("calibration") if isinstance(step, dict) else step
            if isinstance(name, str) and name.lower() in taken and not self.variant.is_spoilt(path):
                self._name_taken(path, name)
            taken.add(str(name).lower())

    def _inserted_steps(self) -> Iterator[tuple[Path, Any]]:
        for index, entry in enumerate(entries(self.data.get("insert"))):
            for number, step in enumerate(entries(mapping(entry).get("steps"))):
                yield ("insert", index, "steps", number), step

    def _name_taken(self, path: Path, name: str) -> None:
        named = (*path, "name") in self.variant.values
        place = self.variant.place((*path, "name" if named else "calibration"))
        cure = f"choose another than those of {self.base}" if named else "add a 'name:'"
        message = f"a second step named '{printable(name, 40)}'"
        self.variant.spoil(path, Problem(codes.DUPLICATE_NAME, message, cure, place))


def mapping(data: Any) -> dict[str, Any]:
    """Give a mapping; an empty one in the place of anything else."""
    return data if isinstance(data, dict) else {}


def entries(data: Any) -> list[Any]:
    """Give a list; an empty one in the place of anything else."""
    return data if isinstance(data, list) else []
