"""The results of a run as the database is to have them: in order, named, typed; and what is missing, and why."""

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import sha256

from msgspec import Struct

from calseq.measurement.module_names import modules_named
from calseq.model.plan import Module, Plan, ResultRule, Step, named

SCANS = {
    "pixelalive": "pixelalive",
    "scurve": "scurve",
    "scurvescan": "scurve",
    "latency": "latency",
    "latencyscan": "latency",
    "thradj": "thradj",
    "thresholdadjustment": "thradj",
    "threqu": "threqu",
    "thresholdequalization": "threqu",
    "injdelay": "injdelay",
    "injectiondelay": "injdelay",
    "noise": "noise",
    "noisescan": "noise",
    "gain": "gain",
    "gainscan": "gain",
    "gainopt": "gainopt",
    "gainoptimization": "gainopt",
    "thrmin": "thrmin",
    "thresholdminimization": "thrmin",
    "clockdelay": "clockdelay",
    "bertest": "bertest",
    "datarbopt": "datarbopt",
    "voltagetuning": "voltagetuning",
    "gendacdac": "gendacdac",
    "physics": "physics",
}
"""The type of each scan of Ph2_ACF, by its name in small letters: dirigent's names of tests, and Felis's own."""

_SCAN_FILE = re.compile(r"Run[0-9]+_(.+)\.root")
_KEY_DIGITS = 16
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]")


class ResultFile(Struct, frozen=True):
    """A file of a result, as a path below the run folder, with its digest; of files not looked at yet it is empty."""

    path: str
    sha256: str = ""


class Result(Struct, frozen=True):
    """One result of one module. `name` is unique in the module's sequence; `step` says what measured it."""

    module: str
    name: str
    type: str
    step: str
    files: tuple[ResultFile, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """Its files below the run folder: they tell it apart from every other result of its module."""
        return tuple(file.path for file in self.files)

    def key(self, run: str) -> str:
        """Unique key of a result: run, module, name, and a digest of its files."""
        content = "".join(f"{file.sha256} {file.path}\0" for file in self.files)
        digest = sha256(content.encode(errors="surrogateescape")).hexdigest()
        return f"{run}/{self.module}/{self.name}/{digest[:_KEY_DIGITS]}"


class Gap(Struct, frozen=True):
    """Something that cannot be sent, and why. `measured`: a result is there; else there is none."""

    what: str
    why: str
    measured: bool = False


class Harvest(Struct, frozen=True):
    """What a run has for the database, in order, and what it has not."""

    results: tuple[Result, ...] = ()
    gaps: tuple[Gap, ...] = ()


class Attempts(Struct, frozen=True):
    """What became of a run's steps, by name: the files of the attempts that passed, and the fates of the others.

    `files` are paths below the run folder.
    """

    files: Mapping[str, Sequence[str]] = {}
    fates: Mapping[str, str] = {}


def modules_of(plan: Plan, module: str) -> tuple[str, ...]:
    """Name the modules that a run measured: what was typed for it is one of those of the bench, or the only name."""
    named = tuple(dict.fromkeys(each.name for each in plan.modules if each.name))
    if module in named or not named:
        return (module,) if module else ()
    return named


def module_of(plan: Plan, name: str) -> Module:
    """Module of a name: as the plan has it, else the only one of its bench, if that has no name of its own."""
    return next((each for each in named(plan, name).modules if each.name == name), Module("", name))


def harvest(plan: Plan, module: str, attempts: Attempts) -> Harvest:
    """Give the results of a run of `plan` in the order of its steps.

    Every step takes at least one number, whatever it left, so that a number tells the place in the sequence.
    `module` is what run.json says was measured. A file is of the modules that it names, and of all if it names none.
    """
    modules = modules_of(plan, module)
    if not modules:
        return Harvest((), (Gap("the run", "its module has no name: run with --module NAME", measured=True),))
    names = (*modules, *(each.name for each in plan.modules))
    results: list[Result] = []
    gaps: list[Gap] = []
    number = 0
    for step in plan.steps:
        found = list(_finds(step, attempts)) if not step.left_out else []
        for place, find in enumerate(found):
            if isinstance(find, Gap):
                gaps.append(find)
                continue
            owners = {path: modules_named(path, names) or modules for path in find.paths}
            results += _per_module(find, number + place, step, modules, owners)
            gaps += (
                _of_others(path, owners[path]) for path in find.paths if not set(modules) & set(owners[path])
            )
        number += max(len(found), 1)
    return Harvest(tuple(results), tuple(gaps))


class _Find(Struct, frozen=True):
    """A result before it has its number and its modules."""

    name: str
    type: str
    paths: tuple[str, ...]


def _finds(step: Step, attempts: Attempts) -> Iterator[_Find | Gap]:
    """Give what a step left for the database."""
    if step.name not in attempts.files:
        yield Gap(f"step {step.number}, {step.name}", attempts.fates.get(step.name, "it was not run"))
        return
    files = sorted(attempts.files[step.name], key=lambda path: (_name(path), path))
    for rule in step.results:
        matching = tuple(path for path in files if any(fnmatchcase(_name(path), each) for each in rule.files))
        if rule.type and matching:
            yield _Find(rule.name or step.calibration, rule.type, matching)
        elif not rule.type:
            yield from (_scan(path, rule) for path in matching)


def _scan(path: str, rule: ResultRule) -> _Find | Gap:
    """Give the ROOT file of one scan as a result; its type is never guessed."""
    match = _SCAN_FILE.fullmatch(_name(path))
    if match is None:
        return Gap(path, "it is not named RunNNNNNN_<scan>.root", measured=True)
    test = match[1]
    # a test is a scan with fixed settings: ThresholdAdjustment_2000
    for scan in (test, test.partition("_")[0]):
        if type_ := rule.scans.get(scan) or SCANS.get(scan.lower()):
            return _Find(_NOT_IN_A_NAME.sub("_", test), type_, (path,))
    why = f"'{test}' is no scan that is known: give its type in 'results:' of the site's calibrations"
    return Gap(path, why, measured=True)


def _per_module(
    find: _Find, number: int, step: Step, modules: tuple[str, ...], owners: Mapping[str, tuple[str, ...]]
) -> Iterator[Result]:
    """Give a result to the modules that its files are of."""
    for module in modules:
        files = [path for path in find.paths if module in owners[path]]
        if files:
            name = f"{number:02d}_{find.name}"
            yield Result(module, name, find.type, step.name, tuple(ResultFile(path) for path in files))


def _of_others(path: str, owners: Sequence[str]) -> Gap:
    """Say of a file why no module that was asked for has it."""
    return Gap(path, f"it is of {' and '.join(owners)}, and the run was for another module", measured=True)


def _name(path: str) -> str:
    return path.rpartition("/")[2]
