"""A variant and its base put together: one whole sequence, with the place of every value."""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from calseq.documents.document import Data, Document, Path, routes
from calseq.documents.schema import check
from calseq.model.plan import Origin
from calseq.problems import codes
from calseq.sequence.catalog import Catalog
from calseq.sequence.lint import at_home
from calseq.sequence.overrides import Overrides, Setting, entries, mapping, read_overrides
from calseq.sequence.reader import read_sequence
from calseq.sequence.schema import sequence_schema
from calseq.sequence.sequence import Sequence
from calseq.sequence.settings import apply_settings, put_option, step_names


def read_variant(
    variant: Document, base: Document | None, catalog: Catalog, settings: Iterable[str] = ()
) -> tuple[Document, Sequence | None]:
    """Judge a variant and its base, and type what they make together with `step.option=value` settings in it.

    Gives the whole as a document, too, with all problems but those of the base, which stay in the base. Of the
    base only errors are kept: what is seldom meant in it matters only as far as it is in the whole.
    """
    check(variant, sequence_schema(catalog))
    if base is None:
        return variant, None
    alone = read_sequence(base, catalog)
    base.problems = [problem for problem in base.problems if problem.is_error]
    if alone is None:
        return replace(variant, base=base), None
    whole, origins = put_together(variant, base, read_overrides(variant, base))
    if not origins:
        whole.problem_at(("steps",), codes.BAD_VALUE, "'drop' leaves no step", "keep one, or insert one")
    apply_settings(whole, settings)
    sequence = read_sequence(whole, catalog, alone.advice)
    whole.problems = [at_home(problem, whole, alone.advice) for problem in whole.problems]
    if sequence is None:
        return whole, None
    steps = tuple(replace(step, origin=origin) for step, origin in zip(sequence.steps, origins, strict=True))
    return whole, replace(sequence, steps=steps, warnings=tuple(whole.problems))


def put_together(variant: Document, base: Document, overrides: Overrides) -> tuple[Document, list[Origin]]:
    """Give the whole sequence as a document, and where each of its steps comes from."""
    joining = _Joining(variant, base)
    joining.head()
    joining.steps(overrides)
    return joining.whole, joining.origins


class _Joining:
    """Fills `whole` from a variant and its base, with the place of everything."""

    def __init__(self, variant: Document, base: Document) -> None:
        self.variant = variant
        self.base = base
        self.listed: list[Data] = []
        self.data: dict[str, Data] = {}
        self.origins: list[Origin] = []
        self.whole = Document(
            variant.source,
            self.data,
            values={path: variant.values[path] for path in ((), ("extends",))},
            problems=list(variant.problems),
            unused=variant.unused,
            raw=variant.raw,
            path=variant.path,
            base=base,
        )

    def head(self) -> None:
        """One value each: the variant's, else the base's. `defaults` key by key. Of two limits the stricter."""
        for key in ("calseq", "title", "description", "sensor", "required_instruments"):
            self._give(self.variant if key in mapping(self.variant.data) else self.base, key)
        self._merge("defaults")
        self._merge("limits")

    def steps(self, overrides: Overrides) -> None:
        """The base's steps in their order, without those that are dropped, the inserted ones beside theirs."""
        self.data["steps"] = self.listed
        self.whole.values["steps",] = (self.variant if overrides.dropped else self.base).place(
            ("drop",) if overrides.dropped else ("steps",)
        )
        for index, name in step_names(self.base).items():
            self._insert(overrides, "before", name)
            if name not in overrides.dropped:
                self._keep(("steps", index), overrides.changed.get(name))
                self._set(each for each in overrides.set if each.step == name)
            self._insert(overrides, "after", name)

    def _give(self, origin: Document, key: str) -> None:
        if (key,) in origin.values:
            self.data[key] = self._take(origin, (key,), (key,))

    def _merge(self, key: str) -> None:
        own, given = (mapping(mapping(each.data).get(key)) for each in (self.variant, self.base))
        self._give(self.variant if own else self.base, key)
        merged: dict[str, Data] = {}
        for name in {**given, **own}:
            of_base = name not in own or (key == "limits" and not _is_stricter(own[name], given.get(name)))
            merged[name] = self._take(self.base if of_base else self.variant, (key, name), (key, name))
        if merged:
            self.data[key] = merged

    def _keep(self, source: Path, change: Path | None) -> None:
        target: Path = ("steps", len(self.listed))
        step = self._take(self.base, source, target)
        if change is not None:
            step = self._changed(step, change, target)
        self._append(step, "base" if change is None else "changed")

    def _changed(self, step: Data, change: Path, target: Path) -> Data:
        """A step with the keys of a change in the place of its own; options are merged one by one."""
        if isinstance(step, str):
            self.whole.values[(*target, "calibration")] = self.whole.values[target]
        merged: dict[str, Data] = dict(step) if isinstance(step, dict) else {"calibration": step}
        for key, value in mapping(at(self.variant.data, change)).items():
            options = mapping(merged.get("options"))
            if key == "options" and options and isinstance(value, dict):
                merged[key] = {**options, **value}
                for name in value:
                    self._take(self.variant, (*change, key, name), (*target, key, name))
            else:
                merged[key] = self._take(self.variant, (*change, key), (*target, key))
        return merged

    def _set(self, settings: Iterable[Setting]) -> None:
        index = len(self.listed) - 1
        for setting in settings:
            places = (self.variant.keys[setting.path], self.variant.values[setting.path])
            put_option(self.whole, index, setting.option, at(self.variant.data, setting.path), *places)
            if self.variant.is_spoilt(setting.path):
                self.whole.spoilt.add(("steps", index, "options", setting.option))
            self.origins[index] = "changed"

    def _insert(self, overrides: Overrides, side: str, name: str) -> None:
        for each in overrides.inserted:
            if (each.side, each.step) == (side, name):
                for index, _ in enumerate(entries(at(self.variant.data, each.path))):
                    target: Path = ("steps", len(self.listed))
                    self._append(self._take(self.variant, (*each.path, index), target), "inserted")

    def _append(self, step: Data, origin: Origin) -> None:
        self.listed.append(step)
        self.origins.append(origin)

    def _take(self, origin: Document, source: Path, target: Path) -> Data:
        """Give a value, and note in the whole its place, the places of all below it, and what is spoilt of it."""
        data: Data = at(origin.data, source)
        for below in ((), *routes(data)):
            self._note_place(origin, (*source, *below), (*target, *below))
        return data

    def _note_place(self, origin: Document, source: Path, target: Path) -> None:
        whole = self.whole
        if source in origin.keys:
            whole.keys[target] = origin.keys[source]
        if source in origin.values:
            whole.values[target] = origin.values[source]
        if source in origin.aliases:
            whole.aliases[target] = origin.aliases[source]
        if source in origin.spoilt:
            whole.spoilt.add(target)
        if source in origin.incomplete:
            whole.incomplete.add(target)


def at(data: Any, path: Path) -> Any:
    """Value at a route that is there."""
    for key in path:
        data = data[key]
    return data


def _is_stricter(own: Any, given: Any) -> bool:
    """Only a limit that is a number can be looser than another."""
    numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (own, given))
    return not numbers or abs(own) <= abs(given)
