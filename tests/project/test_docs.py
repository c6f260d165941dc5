"""What the documents say is what the program does."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import calseq
from calseq.assets import shipped_sequences
from calseq.catalog import builtin
from calseq.document import from_bytes
from calseq.loading import read_whole
from calseq.problem_formats import FORMATS
from calseq.rails import RAIL_RULES, Hv, StepType
from calseq.sequence_schema import sequence_schema
from calseq.simulator.faults import FAULTS, POWER_FAULTS
from calseq.verdicts import EXIT_CODE_MEANINGS, Verdict
from calseq.yaml_reader import read_yaml

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
DOCS = sorted(
    [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
    ]
)


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


def test_the_readme_lists_every_exit_code_with_its_meaning():
    listed = {row[0]: row[1] for row in rows(README) if row[0].isdigit()}
    assert listed == {str(int(code)): meaning for code, meaning in EXIT_CODE_MEANINGS.items()}


def test_the_readme_names_every_module():
    table = README.split("| module | its one job |")[1]
    named = {
        name.rstrip("/").removesuffix(".json").removesuffix(".toml")
        for row in rows(table)
        for name in re.findall(r"`([^`]+)`", row[0])
    }
    present = {path.stem for path in (ROOT / "calseq").glob("*.py")} | {
        path.name for path in (ROOT / "calseq").iterdir() if (path / "__init__.py").exists()
    }
    assert present - named == {"__init__", "__main__", "assets", "clocks", "durations"}
    assert named - present == {"calibrations", "codes"}


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


@pytest.mark.parametrize("page", ["README.md", "docs/sequences.md"])
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
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_every_command_shown_is_one_that_exists():
    known = {"validate", "plan", "execute", "calibrations", "schema", "power", "doctor", "explain"}
    known |= {"new", "init", "fmt", "convert", "digest", "lsp", "help"}
    known |= {"runs", "status", "attach", "logs", "stop", "report", "compare", "upload"}
    for page in DOCS:
        used = set(
            re.findall(
                r"(?:^|[`$\s])calseq ([a-z]+)(?=[\s`])", "\n".join(fences(page.read_text(), "(?:sh|console)"))
            )
        )
        used |= set(re.findall(r"`calseq ([a-z]+)", page.read_text()))
        assert used <= known, page.name
