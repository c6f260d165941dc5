"""The wings of calseq import one way; each says its job in a sentence; readers cannot act; the core is pure.

A list that is called `still` names what does not keep a rule yet. It is exact: what is mended is taken off it.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import calseq

PACKAGE = Path(calseq.__file__).parent
TESTS = Path(__file__).parents[1]
FILES = sorted(PACKAGE.rglob("*.py"))

# A wing imports only those before it. `api` and the face are not wings: they use all up to `report`.
WINGS = [
    "model", "problems", "system", "documents", "record", "sequence", "measurement", "simulator", "power", "bench",
    "upload", "planning", "run", "console", "report", "doctor", "editor", "cli",
]  # fmt: skip
TOP = {"__init__", "__main__", "api"}
_AFTER_REPORT = WINGS.index("report") + 1
ORDER = [*WINGS[:_AFTER_REPORT], "api", "__init__", *WINGS[_AFTER_REPORT:], "__main__"]
PLACE = {each: at for at, each in enumerate(ORDER)}

READERS = {"record", "measurement", "upload", "console", "report"}
ACTORS = {"run", "power", "simulator"}

# Modules that may use a wing that acts, by the wing; the wing itself may.
USERS = {
    "power": {"run/*", "cli/commands/power", "cli/commands/execute", "doctor/icicle"},
    "simulator": {"power/*", "run/*", "planning/*", "cli/options/completion"},
}

# What a page takes from the terminal: what to type; no screen.
OF_CONSOLE = {"next_steps.next_words", "planscript.quoted"}

DOORS = {
    "ruamel": {"documents/yaml_reader"},
    "jsonschema": {"documents/schema"},
    "referencing": {"documents/schema"},
    "rich": {"console/*"},
    "typer": {"cli/*"},
    "click": {"simulator/*"},
    "jinja2": {"report/pages"},
    "matplotlib": {"measurement/plots/*"},
    "keyring": {"upload/password"},
    "tomllib": {"bench/dirigent_config", "doctor/*", "problems/explanations", "simulator/*"},
    "pygls": {"editor/*"},
    "lsprotocol": {"editor/*"},
    "msgspec": {"*"},
}

PURE = {
    "model/*", "problems/*", "sequence/*", "planning/checks", "planning/child_supplies", "planning/compiler", "planning/limits", "planning/resumption", "planning/bias",
    "documents/corrections", "documents/durations", "documents/fast_check", "documents/fixes", "documents/json_reader",
    "documents/layout", "documents/mismatch", "documents/scalars", "documents/yaml_reader", "documents/yaml_text", "documents/yaml_tree", "documents/yaml_writer",
    "measurement/comparison", "measurement/evidence", "measurement/headings", "measurement/iv", "measurement/module_names", "measurement/table",
    "bench/instrument_checks", "bench/instruments", "bench/modules", "bench/ramps", "bench/site", "bench/upload_settings", "bench/wiring", "record/past", "record/view", "record/words", "run/executor",
    "report/attention", "report/grouping", "report/history", "report/power", "report/timeline", "report/verdict",
    "upload/entries", "upload/ledger", "upload/redact", "upload/results",
}  # fmt: skip
NOT_PURE = {
    "problems/explanations": "reads the pages of the codes, which lie beside it",
    "sequence/catalog": "reads the built-in calibrations, which lie beside it",
    "sequence/schema": "reads the fixed part of the schema, which lies beside it",
}
IMPURE = {
    "os", "pathlib", "time", "subprocess", "socket", "threading", "datetime", "shutil", "tempfile", "signal", "io",
}  # fmt: skip
# Text has to look like a file for ruamel.
IMPURE_ALL_THE_SAME = {("documents/yaml_reader", "io")}

# Names of what is in a run folder. The guard runs under another Python, and the simulator is another program.
RECORDED = {
    "run.json", "plan.json", "events.jsonl", "guard.jsonl", "guard.log", "settled.json", "HARDWARE-STATE-UNKNOWN.txt",
    "report.html", "upload.jsonl", "on_finish.log", "log.txt",
}  # fmt: skip
SPELT = {"record", "simulator"}
MOST_LINES = {"file": 450, "function": 60}
LONG = {
    "cli/options/running: execute": "one parameter and its help for each option of the command",
    "power/guard": "one file: another interpreter starts it by its path, with the standard library alone",
    "power/guard: __init__": "the state of the guard, each part with its reason",
    "power/icicle": "one file beside the guard, for the same reason",
}

# Folders of tests that are called after no wing.
NO_WING = {"project"}


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE).with_suffix(""))


def wing_of(name: str) -> str:
    return name.partition("/")[0]


def among(name: str, patterns: set[str]) -> bool:
    return any(
        name == each or (each.endswith("*") and name.startswith(each.removesuffix("*"))) for each in patterns
    )


MODULES = {name_of(path): path for path in FILES}
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}


def imported(name: str) -> Iterator[str]:
    """Every module or name that a module imports, at its top or inside a function, with its dots."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(dotted: str) -> str:
    """The module of calseq that an import names, as `wing/module`; empty if it is of another package."""
    parts = dotted.split(".")
    if parts[0] != "calseq":
        return ""
    for many in range(len(parts), 1, -1):
        at = "/".join(parts[1:many])
        for known in (at, f"{at}/__init__"):
            if known in MODULES:
                return known
    return "__init__"


USES = {name: {other for each in imported(name) if (other := module_of(each))} - {name} for name in MODULES}


def test_every_module_is_in_a_wing():
    wings = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert wings - {"schemas", "sequences"} == set(WINGS)
    assert {name for name in MODULES if "/" not in name} == TOP


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_one_way(name):
    own = wing_of(name)
    wrong = [each for each in USES[name] if wing_of(each) != own and PLACE[wing_of(each)] >= PLACE[own]]
    assert wrong == []


@pytest.mark.parametrize("name", [name for name in MODULES if wing_of(name) in READERS])
def test_readers_cannot_act(name):
    assert [each for each in USES[name] if wing_of(each) in ACTORS] == []


@pytest.mark.parametrize("wing", USERS)
def test_few_move_rails_or_simulate(wing):
    users = {name for name, uses in USES.items() if wing in map(wing_of, uses) and wing_of(name) != wing}
    assert {name for name in users if not among(name, USERS[wing])} == set()


def test_a_sequence_knows_no_bench_and_the_model_nothing():
    of = {
        wing: {wing_of(each) for name in MODULES if wing_of(name) == wing for each in USES[name]}
        for wing in WINGS
    }
    assert of["model"] <= {"model"}
    assert "bench" not in of["sequence"]
    assert not of["run"] & {"console", "report", "upload", "cli"}


def test_a_page_takes_words_from_the_terminal_and_no_screen():
    taken = {
        each.removeprefix("calseq.console.")
        for name in MODULES if wing_of(name) == "report"
        for each in imported(name) if each.startswith("calseq.console")
    }  # fmt: skip
    assert taken == OF_CONSOLE


def circles() -> set[tuple[str, ...]]:
    """Modules that need each other, as sorted groups."""
    reach = {name: set(uses) for name, uses in USES.items()}
    for through, further in reach.items():
        for found in reach.values():
            if through in found:
                found.update(further)
    return {
        tuple(sorted(other for other in reach[name] if name in reach[other]))
        for name in MODULES if name in reach[name] and name != "__init__"
    }  # fmt: skip


def test_no_modules_need_each_other():
    assert circles() == set()


@pytest.mark.parametrize("name", MODULES)
def test_a_third_party_library_has_one_door(name):
    for each in imported(name):
        library = each.partition(".")[0]
        if library not in sys.stdlib_module_names and library != "calseq":
            assert library in DOORS, f"{library} needs a door"
        if library in DOORS:
            assert among(name, DOORS[library]), f"{library} is imported beside its door"


@pytest.mark.parametrize("name", [name for name in MODULES if among(name, PURE) and name not in NOT_PURE])
def test_the_core_has_no_files_no_clock_and_no_output(name):
    libraries = {each.partition(".")[0] for each in imported(name) if not each.startswith("pathlib.Pure")}
    assert {each for each in libraries & IMPURE if (name, each) not in IMPURE_ALL_THE_SAME} == set()
    calls = {
        node.func.id
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"print", "open", "input"}


def test_what_is_pure_or_not_is_there():
    assert {each for each in PURE if not each.endswith("*")} | set(NOT_PURE) <= set(MODULES)
    assert {
        each for each in NOT_PURE if not IMPURE & {name.partition(".")[0] for name in imported(each)}
    } == set()


def test_the_names_of_a_run_folder_are_spelt_in_one_wing():
    spelt = {
        (name, node.value)
        for name, tree in TREES.items() if wing_of(name) not in SPELT and name != "power/guard"
        for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in RECORDED
    }  # fmt: skip
    assert spelt == set()


def long_ones() -> Iterator[str]:
    for name, path in MODULES.items():
        if len(path.read_text().splitlines()) > MOST_LINES["file"]:
            yield name
        for node in ast.walk(TREES[name]):
            if (
                isinstance(node, ast.FunctionDef)
                and (node.end_lineno or 0) - node.lineno >= MOST_LINES["function"]
            ):
                yield f"{name}: {node.name}"


def test_what_is_long_has_a_reason():
    assert set(long_ones()) == set(LONG)


def test_the_tests_are_in_folders_of_the_wings():
    folders = {
        path.name for path in TESTS.iterdir()
        if path.is_dir() and any(each.name != "__pycache__" for each in path.iterdir())
    }  # fmt: skip
    assert folders - {"__pycache__"} - set(WINGS) == NO_WING


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_its_job_in_one_sentence(name):
    said = ast.get_docstring(TREES[name])
    assert said
    first = said.partition("\n")[0]
    assert first.endswith((".", ":")), first


def test_class_creation_stays_cheap():
    assert [
        name for name in MODULES if "dataclasses" in {each.partition(".")[0] for each in imported(name)}
    ] == []
