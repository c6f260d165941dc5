"""What the documents say is what the program does."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

import calseq
from calseq.cli import app
from calseq.cli.table import COMMANDS
from calseq.documents.document import from_bytes
from calseq.documents.yaml_reader import read_yaml
from calseq.model.rails import RAIL_RULES, Hv, StepType
from calseq.model.verdicts import EXIT_CODE_MEANINGS, Verdict
from calseq.planning.loading import read_whole
from calseq.problems.codes import CODES
from calseq.problems.formats import FORMATS
from calseq.sequence.catalog import builtin
from calseq.sequence.schema import sequence_schema
from calseq.simulator.faults import FAULTS, POWER_FAULTS
from calseq.system.assets import shipped_sequences

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
DOCS = sorted(
    [
        ROOT / "README.md",
        ROOT / "ARCHITECTURE.md",
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
    ]
)


COMING_FROM = "docs/coming-from-calibrationsequence.md"


def rows(text: str) -> list[list[str]]:
    lines = [
        line for line in text.splitlines() if line.startswith("|") and not re.fullmatch(r"[|\- ]+", line)
    ]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def fences(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_readme_has_two_commands_and_ci_runs_the_second_word_for_word():
    first, second = (fence.strip() for fence in fences(README, "sh")[:2])
    assert first.endswith("calseq execute panthera --simulate")
    assert second in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_readme_is_short():
    assert len(README.split()) <= 1000


def test_the_page_of_commands_lists_every_exit_code_with_its_meaning():
    page = (ROOT / "docs" / "commands.md").read_text()
    listed = {row[0]: row[1] for row in rows(page) if row[0].isdigit()}
    assert listed == {str(int(code)): meaning for code, meaning in EXIT_CODE_MEANINGS.items()}


def test_the_page_of_commands_lists_every_command_with_its_help():
    page = (ROOT / "docs" / "commands.md").read_text()
    listed = {row[0]: row[1] for row in rows(page) if row[0].startswith("`calseq ")}
    assert listed == {f"`calseq {name}`": help_ for name, (_, help_) in COMMANDS.items()}


def test_the_table_of_wings_names_every_wing():
    table = (
        (ROOT / "ARCHITECTURE.md").read_text().split("| wing | its one job; imports only wings above |")[1]
    )
    named = [name.rstrip("/") for row in rows(table) for name in re.findall(r"^`([^`]+)`", row[0])]
    present = {path.name for path in (ROOT / "calseq").iterdir() if (path / "__init__.py").exists()}
    assert len(named) == len(set(named))
    assert set(named) == {*present, "api"}


def test_the_codes_page_is_made_of_the_codes(golden):
    path, script = ROOT / "docs" / "codes.md", ROOT / "docs" / "codes_page.py"
    made = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=60)
    golden(path, made.stdout)


def test_the_codes_page_names_every_format():
    page = (ROOT / "docs" / "codes.md").read_text()
    assert [row[0].strip("`") for row in rows(page) if row[0].strip("`") in FORMATS] == list(FORMATS)


def test_the_simulator_page_lists_every_fault():
    listed = {
        row[0].strip("`"): row[1]
        for row in rows((ROOT / "docs" / "simulator.md").read_text())
        if row[0] != "fault"
    }
    assert listed == FAULTS | POWER_FAULTS


def test_the_safety_page_has_the_rails_of_every_type():
    listed = {
        row[0]: row[1:3] for row in rows((ROOT / "docs" / "safety.md").read_text()) if row[0] in set(StepType)
    }
    assert listed == {
        str(type_): [str(rule.before.lv), "bias" if rule.before.hv is Hv.BIAS else "off"]
        for type_, rule in RAIL_RULES.items()
    }


def test_the_safety_page_has_every_verdict():
    listed = {row[0].strip("`") for row in rows((ROOT / "docs" / "safety.md").read_text())}
    assert set(Verdict) <= listed


@pytest.mark.parametrize("page", ["README.md", "docs/sequences.md", COMING_FROM])
def test_a_sequence_shown_in_the_documents_is_a_good_one(page):
    texts = fences((ROOT / page).read_text(), "yaml")
    shown = [text for text in texts if "\nsteps:" in text or "\nextends:" in text]
    assert shown
    for text in shown:
        documents, sequence = read_whole(read_yaml(from_bytes(text.encode(), page)), builtin())
        assert sequence is not None
        assert [str(problem.message) for each in documents for problem in each.problems] == []


def test_the_page_of_sequences_tells_how_every_key_of_a_variant_combines():
    table = (
        (ROOT / "docs" / "sequences.md").read_text().split("how base and variant combine")[1].split("\n\n")[0]
    )
    keys = set(sequence_schema(builtin())["definitions"]["variant"]["properties"])
    told = set(re.findall(r"`([a-z_]+)", table))
    assert keys - told == {"calseq", "extends", "steps", "insert", "drop"}


def test_the_readme_names_what_is_shipped():
    for path in shipped_sequences():
        assert f"`{path.stem}`" in README


def test_the_python_page_works_as_written(tmp_path):
    first, second = fences((ROOT / "docs" / "python.md").read_text(), "python")
    (tmp_path / "broken.yaml").write_text("calseq: 1\ntitle: x\nsteps: [iv_curv]\n")
    for code, expected in ((first, "passed 0 "), (second, "did you mean 'iv_curve'?")):
        ran = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            env=os.environ,
        )
        assert ran.returncode == 0, ran.stderr
        assert expected in ran.stdout


def test_the_exceptions_of_the_python_page_are_public():
    listed = {
        row[0].strip("`") for row in rows((ROOT / "docs" / "python.md").read_text()) if row[0] != "exception"
    }
    assert listed == {"InvalidCalibration", "MissingTuning", "MissingInstrument", "Refused"}
    assert all(issubclass(getattr(calseq, name), calseq.Refused) for name in listed)


@pytest.mark.parametrize("page", DOCS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        linked = page.parent / target if target else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked.read_text()), f"{target}#{anchor}"


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def test_every_code_named_is_one_that_exists():
    for page in DOCS:
        assert set(re.findall(r"\bCS[0-9]{3}\b", page.read_text())) <= set(CODES), page.name


COMMAND = re.compile(r"(?:^|[`$;]\s*|\s)calseq ([a-z]+)((?:[ ][^`|\n]*)?)", re.MULTILINE)


def shown(page: Path) -> list[tuple[str, str]]:
    """The commands in code of a page: name, and what follows it up to the next one."""
    text = page.read_text()
    code = "\n".join([*fences(text, "(?:sh|console)"), *re.findall(r"`(calseq [^`]+)`", text)])
    return [(name, rest.split(" calseq ")[0]) for name, rest in COMMAND.findall(code.replace("\\\n", " "))]


def test_every_command_shown_is_one_that_exists():
    for page in DOCS:
        assert {name for name, _ in shown(page)} <= set(COMMANDS), page.name
    assert {name for page in DOCS for name, _ in shown(page)} == set(COMMANDS)


def test_every_option_shown_is_one_of_its_command():
    group = typer.main.get_command(app)
    for page in DOCS:
        for name, rest in shown(page):
            command = group.commands[name]
            subs = getattr(command, "commands", {})
            places = [command, *subs.values()]
            known = {option for each in places for parameter in each.params for option in parameter.opts}
            used = set(re.findall(r"(?<=\s)(--[a-z-]+|-[a-z])(?=[\s=]|$)", rest.split("#")[0]))
            assert used <= known | {"--help", "-h"}, f"{page.name}: calseq {name}{rest}"


def test_no_page_has_pip_ask_a_registry_for_calseq():
    bare = re.compile(r"(?:^|[\s'\"])calseq(?=[\['\"\s`]|$)")
    for path in [*DOCS, ROOT / "calseq" / "problems" / "codes.toml"]:
        for line in re.findall(r"(?:pip|pipx|uv tool) (?:install|download|wheel)\b[^`\n]*", path.read_text()):
            assert "--no-index" in line or not bare.search(line), f"{path.name}: {line}"


def test_the_page_of_installing_has_the_extras_and_the_version():
    page = (ROOT / "docs" / "install.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    table = page.split("| extra | brings | for |")[1].split("\n\n")[0]
    assert {row[0].strip("`"): row[1] for row in rows(table)} == {
        name: re.match(r"[a-z-]+", needed[0])[0]
        for name, needed in extras.items()
        if name not in {"test", "dev"}
    }
    assert set(re.findall(r"pygls[>=0-9.]+", page)) == set(extras["editor"])
    assert set(re.findall(r"calseq-([0-9.]+)(?:-py3|\.tar)", page)) == {calseq.__version__}
    assert f"Python {project['requires-python'].removeprefix('>=')} or newer" in page


def test_the_words_are_in_order_and_once():
    words = [row[0] for row in rows((ROOT / "docs" / "glossary.md").read_text())][1:]
    assert words == sorted(set(words), key=lambda word: word.lower())


def test_the_sheet_to_print_is_made_of_the_cheat_sheet(golden):
    script = ROOT / "docs" / "cheat_sheet_page.py"
    made = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=60)
    golden(ROOT / "docs" / "cheat-sheet-a4.html", made.stdout)


def test_the_sheet_is_short_enough_for_one_page_of_paper():
    text = (ROOT / "docs" / "cheat-sheet.md").read_text()
    # printed by chromium, 2,700 characters in 41 lines take four fifths of an A4 page
    assert len(text) <= 3000
    assert len([line for line in text.splitlines() if line]) <= 50


def test_the_site_has_every_page_once():
    text = (ROOT / "mkdocs.yml").read_text()
    listed = re.findall(r"^ +- .+: (\S+\.md)$", text.split("\nnav:\n")[1], re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_ci_builds_the_site_strictly():
    assert ".venv/bin/mkdocs build --strict" in (ROOT / ".ci" / "run").read_text()
    assert "{omitted_files: warn, absolute_links: warn, unrecognized_links: warn, anchors: warn}" in (
        (ROOT / "mkdocs.yml").read_text()
    )


def test_the_bench_of_the_first_night_is_a_good_one(tmp_path):
    page = (ROOT / "docs" / "first-night.md").read_text()
    instruments, modules = fences(page, "json")
    (bench,) = fences(page, "yaml")
    ran(tmp_path, "init", "lab")
    lab = tmp_path / "lab"
    for name, text in (("instruments.json", instruments), ("modules.json", modules), ("bench.yaml", bench)):
        (lab / name).write_text(text)
    assert "no problems in 4 files" in ran(lab, "validate")
    assert "reaches module C2HQ0" in ran(lab, "plan", "panthera")


def test_the_commands_of_the_first_night_work_as_written(tmp_path):
    page = (ROOT / "docs" / "first-night.md").read_text()
    lines = [
        line.removeprefix("calseq ").split()
        for fence in fences(page, "sh")[:1]
        for line in fence.splitlines()
    ]
    assert [line[0] for line in lines] == ["init", "cd", "execute"]
    ran(tmp_path, *lines[0])
    lab = tmp_path / lines[1][1]
    assert "PASSED (SIMULATED)" in ran(lab, *lines[2], "--speed", "5000", "--no-report")


def test_a_class_of_the_page_for_those_who_come_from_it_becomes_the_sequence_shown(tmp_path):
    page = (ROOT / COMING_FROM).read_text()
    (written,), (expected,) = fences(page, "python"), fences(page, "yaml")
    (tmp_path / "module_qc.py").write_text(written)
    (tmp_path / "shown.yaml").write_text(expected)
    (command,) = (fence.split()[1:] for fence in fences(page, "sh"))
    ran(tmp_path, *command)
    assert ran(tmp_path, "digest", "module_qc.yaml") == ran(tmp_path, "digest", "shown.yaml")


def ran(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "calseq", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
