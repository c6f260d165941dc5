"""Imports point one way, each third-party library has one door, and the core is pure."""

import ast
import sys
from pathlib import Path

import pytest

import calseq

PACKAGE = Path(calseq.__file__).parent

# A module may import those before it. Packages count as one.
ORDER = [
    "plaintext", "regular", "problems", "assets", "clocks", "timelimit", "verdicts", "rails", "durations", "formats", "receiver", "confidential", "plan", "acceptance", "expectations", "physics",
    "grid", "headings", "modulename", "curves", "evidence", "iv", "comparison", "plots", "pages",
    "document", "slips", "scalars", "likeness", "yaml_writer", "yaml_text", "yaml_reader", "yaml_tree", "layout", "json_reader", "diagnostics", "quick", "spellings", "schema",
    "catalog", "sequence_schema", "sequence", "voltages", "ignores", "advice", "sequence_reader", "selection", "request", "settings",
    "overrides", "variant", "template", "python_literals", "dirigent_class", "conversion", "site", "official",
    "addresses", "instruments", "ramps", "bench", "reachable", "stand_in", "limits", "compiler", "evening", "loading", "inspection", "fixes", "explanations", "problem_formats", "editor",
    "events", "bias", "stops", "process", "locks", "containers", "monitors", "complaints", "attempt", "course",
    "simulator", "power", "presence", "supervision", "journal", "runs", "aftermath", "archive", "standing", "memory", "clearance", "replay", "steplogs", "seal", "history", "notice", "executor", "resumption", "preflight", "supply", "run", "upload", "sequel", "prospect", "doctor", "console", "report", "record_schema", "api", "cli",
]  # fmt: skip
DOORS = {
    "ruamel": {"yaml_reader"},
    "jsonschema": {"schema"},
    "referencing": {"schema"},
    "rich": {"console"},
    "typer": {"cli"},
    "click": {"simulator"},
    "jinja2": {"pages"},
    "matplotlib": {"plots"},
    "keyring": {"upload"},
    "tomllib": {"bench", "doctor", "explanations", "simulator"},
    "pygls": {"editor"},
    "lsprotocol": {"editor"},
    "msgspec": set(ORDER),
}
PURE = [
    "plaintext", "problems", "verdicts", "rails", "durations", "formats", "receiver", "plan", "expectations", "scalars", "likeness", "slips", "yaml_text", "yaml_reader", "json_reader",
    "diagnostics", "quick", "spellings", "ignores", "fixes", "sequence_schema", "sequence", "voltages", "advice", "sequence_reader", "selection", "request", "settings", "overrides", "variant", "instruments", "ramps", "confidential",
    "compiler", "bias", "executor", "resumption", "yaml_writer", "yaml_tree", "layout", "template", "python_literals", "dirigent_class", "conversion", "site",
    "official", "physics", "grid", "headings", "modulename", "evidence", "iv", "comparison",
    "report/timeline", "report/chronicle", "report/folding", "report/attention", "report/power", "report/verdict",
    "official", "upload/results", "upload/entries", "upload/ledger", "upload/scrubbing",
]  # fmt: skip
IMPURE = {
    "os",
    "pathlib",
    "time",
    "subprocess",
    "socket",
    "threading",
    "datetime",
    "shutil",
    "tempfile",
    "signal",
    "io",
}
# The interpreter's path is a constant of the plan; text has to look like a file for ruamel.
EXCEPTIONS = {("yaml_reader", "io")}
FILES = sorted(PACKAGE.rglob("*.py"))


def layer(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    """Give every module a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_module_has_its_place_in_the_order():
    layers = {layer(path) for path in FILES} - {"__init__", "__main__"}
    assert layers <= set(ORDER), "give a new module its place in ORDER"
    assert set(ORDER) <= layers, "ORDER names a module that is gone"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    own = layer(path)
    if own in ("__init__", "__main__"):
        return
    for name in imported(path):
        first, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if first == "calseq" and other in ORDER and other != own:
            assert ORDER.index(other) < ORDER.index(own), f"{own} imports {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_third_party_library_has_one_door(path):
    for name in imported(path):
        library = name.partition(".")[0]
        if library not in sys.stdlib_module_names and library != "calseq":
            assert library in DOORS, f"{library} needs a door"
        if library in DOORS:
            assert layer(path) in DOORS[library], f"{library} is imported beside its door"


@pytest.mark.parametrize("name", PURE)
def test_the_core_has_no_files_no_clock_and_no_output(name):
    tree = ast.parse((PACKAGE / f"{name}.py").read_text())
    for module in imported(PACKAGE / f"{name}.py"):
        assert module.partition(".")[0] not in IMPURE or (name, module.partition(".")[0]) in EXCEPTIONS, (
            module
        )
    calls = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"print", "open", "input"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_says_its_job_in_one_sentence(path):
    said = ast.get_docstring(ast.parse(path.read_text()))
    assert said
    first = said.partition("\n")[0]
    assert first.endswith((".", ":")), first


def test_class_creation_stays_cheap():
    assert not [
        path.name for path in FILES if "dataclasses" in {name.partition(".")[0] for name in imported(path)}
    ]
