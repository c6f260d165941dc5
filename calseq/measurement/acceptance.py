"""What Felis takes, as data: files per type of result, in exact numbers, and what it must know of the module."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct, field

from calseq.model.plan import Output, ResultRule

_WILD = re.compile(r"[*?\]]")
_MOST_NAMED = 5


class Taken(Struct, frozen=True):
    """What Felis takes of some `types` of results: `exactly` so many files, whose path `files` finds; `what` in words.

    It searches the whole path: what it calls the module and the result is in it, too. `module_types` are those of which
    it takes the result, empty if it needs none.
    """

    types: tuple[str, ...]
    files: str
    exactly: int
    what: str
    module_types: tuple[str, ...] = ()

    def of(self, paths: Iterable[str]) -> list[str]:
        """Paths that it would take."""
        return [path for path in paths if re.search(self.files, path)]

    @property
    def wanted(self) -> str:
        """What it takes, in words: `exactly 1 ROOT file …`."""
        return f"exactly {self.exactly} {self.what}"


class Acceptance(Struct, frozen=True):
    """All that Felis takes: results, and the `sensor_types` of which it draws what it knows of them."""

    sensor_types: tuple[str, ...]
    takes: tuple[Taken, ...]
    format: int = field(name="calseq-felis")

    @property
    def by_type(self) -> Mapping[str, Taken]:
        """What it takes of each type of result."""
        return {type_: taken for taken in self.takes for type_ in taken.types}

    @property
    def module_types(self) -> tuple[str, ...]:
        """Every type of module of which it takes anything that needs one."""
        return tuple(dict.fromkeys(each for taken in self.takes for each in taken.module_types))


@cache
def acceptance() -> Acceptance:
    """Read what Felis takes."""
    return msgspec.json.decode(Path(__file__).with_name("felis.json").read_bytes(), type=Acceptance)


def refusal(type_: str, module: str, name: str, files: Sequence[str], module_type: str) -> str:
    """Say why Felis would not take a result of these files, paths or names, of a module; empty if it would."""
    taken = acceptance().by_type.get(type_)
    if taken is None:
        return f"Felis does not know the type '{type_}'"
    names = [path.rpartition("/")[2] for path in files]
    twice = [each for each, count in Counter(names).items() if count > 1]
    if twice:
        return f"Felis has the files of a result in one folder, and there is more than one {twice[0]}"
    found = taken.of(f"{module}/{name}/{each}" for each in names)
    if len(found) != taken.exactly:
        here = f"here {'is' if len(found) == 1 else 'are'} {len(found) or 'none'}"
        return f"Felis takes {taken.wanted}, and {here}: {_listed(found or names)}"
    return needs_module_type(type_, module_type)


def needs_module_type(type_: str, module_type: str) -> str:
    """Say why Felis would not take a result of this type of a module of such a type; empty if it would."""
    taken = acceptance().by_type.get(type_)
    if taken is None or not taken.module_types or module_type in taken.module_types:
        return ""
    known = f"'{module_type}'" if module_type else "none"
    return f"Felis takes '{type_}' of a module of type {' or '.join(taken.module_types)}, and its type is {known}"


def foreseen(rule: ResultRule, outputs: Sequence[Output]) -> str:
    """Say why Felis will take no result of a rule of the catalogue, as far as that can be known; empty if it may.

    `outputs` are what the calibration is known to leave.
    """
    known = acceptance().by_type
    if rule.type:
        taken = known.get(rule.type)
        if taken is None:
            return f"Felis does not know the type '{rule.type}'"
        return _without_root(rule, taken, outputs)
    for scan, type_ in rule.scans.items():
        if type_ not in known:
            return f"Felis does not know the type '{type_}' of '{scan}'"
        if known[type_].exactly != 1:
            return f"each scan is a result of one file, and of '{type_}', as '{scan}' is, Felis takes {known[type_].wanted}"
    return ""


def _without_root(rule: ResultRule, taken: Taken, outputs: Sequence[Output]) -> str:
    if not any(map(_may_be_root, rule.files)):
        return f"its result is of {', '.join(rule.files)}, and Felis takes {taken.wanted}"
    left = [output for output in outputs if _may_be_root(output.pattern)]
    if outputs and not left:
        patterns = ", ".join(output.pattern for output in outputs)
        return f"it is known to leave {patterns}, and Felis takes {taken.wanted}"
    most = max((output.at_least for output in left), default=0)
    if most > taken.exactly:
        return f"it leaves at least {most} ROOT files, and Felis takes {taken.wanted}"
    return ""


def _may_be_root(pattern: str) -> bool:
    """Whether a glob may find a file that ends in `.root`: by what is behind its last wildcard."""
    end = _WILD.split(pattern)[-1].lower()
    return end.endswith(".root") or (end != pattern.lower() and ".root".endswith(end))


def _listed(paths: Sequence[str]) -> str:
    names = [path.rpartition("/")[2] for path in paths]
    return ", ".join(names[:_MOST_NAMED]) + ", …" * (len(names) > _MOST_NAMED)
