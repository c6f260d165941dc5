"""`calseq new` and `calseq init`: files that are good at once, and that nothing is written over for."""

import contextlib
import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calseq.bench.bench import read_bench
from calseq.bench.find import shipped_bench
from calseq.cli.commands.new import new
from calseq.cli.options.completion import listed_calibrations, templates
from calseq.documents.document import from_bytes
from calseq.documents.layout import key_order, laid_out
from calseq.documents.schema import stored_schema
from calseq.documents.yaml_reader import read_yaml
from calseq.planning.compiler import compile_plan
from calseq.planning.loading import simulated
from calseq.sequence.catalog import builtin
from calseq.sequence.reader import read_sequence
from calseq.sequence.schema import sequence_schema
from calseq.sequence.template import new_sequence, titled
from calseq.system.assets import schemas, shipped_sequences

NAMES = builtin().names()
BENCH = simulated(read_bench(shipped_bench()).bench)
ORDER = key_order(sequence_schema(builtin()))


def warned(text: str) -> list[str]:
    """Give the codes of the warnings of a sequence that has no error, that compiles, and that has the layout."""
    document = read_yaml(from_bytes(text.encode(), "f.yaml"))
    sequence = read_sequence(document, builtin())
    assert sequence is not None, document.problems
    compiled = compile_plan(sequence, BENCH)
    assert compiled.plan is not None, compiled.problems
    assert laid_out(document, ORDER) == text
    return [problem.code.id for problem in [*document.problems, *compiled.problems]]


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=12), st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=60))  # fmt: skip
@settings(max_examples=60)
def test_any_list_of_calibrations_makes_a_sequence_without_errors(names, title):
    text = new_sequence([builtin().calibrations[name] for name in names], title, "s.json")
    assert set(warned(text)) <= {"CS302", "CS305", "CS340"}
    assert [step["calibration"] if isinstance(step, dict) else step for step in read_yaml(from_bytes(text.encode(), "f")).data["steps"]] == names  # fmt: skip
    assert read_yaml(from_bytes(text.encode(), "f")).data["title"] == title


@pytest.mark.parametrize("name", NAMES)
def test_every_calibration_alone_passes_validate_and_plan(tmp_path, name, capsys):
    with contextlib.chdir(tmp_path):
        assert new("one", name, None, "") == 0
        told = capsys.readouterr().err
    codes = warned((tmp_path / "one.yaml").read_text())
    assert set(codes) <= {"CS302", "CS340"}
    assert ("CS340" in codes) == ("FILL_ME_IN" in told) == bool(builtin().calibrations[name].tuning)


def test_a_list_by_hand(calseq, golden, tmp_path):
    out, err = calseq("new", "night", "--from-list", "sldo_vi_curves, iv_curve,calibrate_module,iv_curve")
    assert out == ""
    golden("new-list.txt", err + "----\n" + (tmp_path / "night.yaml").read_text())
    calseq("validate", "night.yaml")
    calseq("plan", "night.yaml", "--simulate")


def test_without_a_list_it_is_a_short_sequence_with_nothing_to_fill_in(calseq, golden, tmp_path):
    _, err = calseq("new", "first", "--title", "My first: one")
    golden("new.txt", err + "----\n" + (tmp_path / "first.yaml").read_text())
    assert warned((tmp_path / "first.yaml").read_text()) == []


@pytest.mark.parametrize("path", shipped_sequences(), ids=lambda path: path.stem)
def test_a_template_is_a_shipped_sequence_with_a_title_of_its_own(calseq, tmp_path, path):
    calseq("new", "mine.yaml", "--template", path.stem, "--title", "Mine: it")
    text = (tmp_path / "mine.yaml").read_text()
    calseq("validate", "mine.yaml")
    assert 'title: "Mine: it"\n' in text
    assert text.splitlines()[0] == "# yaml-language-server: $schema=sequence.schema.json"
    ours, theirs = (read_yaml(from_bytes(each.encode(), "f")).data for each in (text, path.read_text()))
    assert {**ours, "title": ""} == {**theirs, "title": ""}


def test_what_is_unknown_is_told_with_what_was_meant(calseq, tmp_path):
    _, err = calseq("new", "a", "--from-list", "iv_curv, sldo_vi_curves,x\x1b", expect=3)
    assert err.count("CS203") == 2
    assert "did you mean 'iv_curve'?" in err
    _, err = calseq("new", "a", "--template", "panther", expect=3)
    assert "CS412" in err
    assert "did you mean 'panthera'?" in err
    assert "CS206" in calseq("new", "a", "--from-list", " , ", expect=3)[1]
    calseq("new", "a", "--from-list", "iv_curve", "--template", "panthera", expect=2)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_nothing_is_written_over_and_no_folder_is_made(calseq, tmp_path):
    (tmp_path / "a.yaml").write_text("mine\n")
    (tmp_path / "b.yaml").symlink_to("nowhere")
    assert "CS441" in calseq("new", "a", expect=3)[1]
    assert "CS441" in calseq("new", "b.yaml", expect=3)[1]
    assert "CS442" in calseq("new", "no/such/c", expect=3)[1]
    assert "CS442" in calseq("new", "x" * 300, expect=3)[1]
    assert (tmp_path / "a.yaml").read_text() == "mine\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.yaml", "b.yaml"]


def test_a_title_that_no_database_can_take_is_refused(calseq, tmp_path):
    assert "CS206" in calseq("new", "a", "--title", "x" * 121, expect=3)[1]
    assert "error" in calseq("new", "a", "--title", "a\nb", expect=3)[1]
    assert [path.name for path in tmp_path.iterdir()] == []


def test_the_sites_own_calibrations_can_be_listed(calseq, tmp_path):
    calseq("init", ".")
    (tmp_path / "calibrations.yaml").write_text(
        "calseq-calibrations: 1\ncalibrations:\n  source_scan: {type: general, summary: hits, usual: 5h}\n"
    )
    bench = tmp_path / "bench.yaml"
    bench.write_text(bench.read_text().replace("# calibrations:", "calibrations:"))
    calseq("new", "sequences/own", "--from-list", "source_scan")
    assert "defaults: {timeout: 10h}" in (tmp_path / "sequences/own.yaml").read_text()
    calseq("validate")
    assert '"source_scan"' in calseq("schema")[0]
    assert '"source_scan"' not in calseq("schema", cwd=tmp_path.parent)[0]


def test_tab_completes_the_last_of_a_list():
    assert listed_calibrations("sldo_vi_curves,iv_") == [
        ("sldo_vi_curves,iv_curve", builtin().calibrations["iv_curve"].summary)
    ]
    assert [name for name, _ in listed_calibrations("")] == list(builtin().calibrations)
    assert templates("pan") == [path.stem for path in shipped_sequences() if path.stem.startswith("pan")]


@pytest.mark.parametrize(("stem", "title"), [("my_iv-curve", "My iv curve"), ("_", "Sequence"), ("a", "A")])
def test_a_title_is_made_of_the_name(stem, title):
    assert titled(stem) == title


def test_init_makes_a_folder_in_which_everything_is_good(calseq, tmp_path, golden):
    out, err = calseq("init", "site")
    golden("init.txt", out)
    assert err == ""
    site = tmp_path / "site"
    *told, count = calseq("validate", cwd=site)[0].splitlines()
    assert [line.split(": ")[1] for line in told] == ["CS475 warning"] * 3, (
        "its addresses are to be filled in"
    )
    assert count == "3 warnings in 1 of 3 files"
    calseq("plan", "sequences/first.yaml", "--simulate", cwd=site)
    calseq("plan", "sequences/first.yaml", "--simulate", "--bench", "bench.yaml", cwd=site)
    calseq("fmt", "--check", "bench.yaml", "sequences/first.yaml", cwd=site)
    golden("init-bench.yaml", (site / "bench.yaml").read_text())
    for path in (site / "schemas").iterdir():
        assert path.read_text() == (schemas() / path.name).read_text()
    assert json.loads((site / ".vscode/settings.json").read_text())["yaml.schemas"]
    for name in (".pre-commit-config.yaml", ".gitlab-ci.yml"):
        assert not read_yaml(from_bytes((site / name).read_bytes(), name)).problems


def test_the_bench_of_init_tells_of_every_key_that_there_is(calseq, tmp_path):
    calseq("init", ".")
    text = (tmp_path / "bench.yaml").read_text()
    keys = [key for key in stored_schema("bench")["properties"] if key != "simulator"]
    assert [key for key in keys if f"\n{key}:" not in text and f"\n# {key}:" not in text] == []
    assert [key for key in stored_schema("bench")["properties"]["dirigent"]["properties"] if f"{key}:" not in text] == []  # fmt: skip


def test_what_init_shows_as_a_comment_is_right_once_the_mark_is_taken_away(calseq, tmp_path):
    calseq("init", ".")
    bench = tmp_path / "bench.yaml"
    lines = bench.read_text().split("\n")
    shown = [line.removeprefix("# ") if line[:3] in ("# e", "# l", "# m", "#  ") and ("{" in line or line == "# monitors:") else line for line in lines]  # fmt: skip
    bench.write_text("\n".join(shown))
    data = read_yaml(from_bytes(bench.read_bytes(), "bench.yaml")).data
    assert {"env", "limits", "monitors"} <= set(data)
    calseq("validate", "bench.yaml")


def test_init_points_to_what_is_there_already(calseq, tmp_path):
    source = shipped_bench().parent
    for name in ("instruments.json", "modules.json"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    site = tmp_path / "site 1"
    site.mkdir()
    (site / "dirigent.toml").write_bytes((source / "dirigent.toml").read_bytes())
    out, _ = calseq("init", site)
    bench = read_bench(site / "bench.yaml").bench
    assert bench is not None
    assert bench.name == "site-1"
    assert bench.config == site / "dirigent.toml"
    assert [module.name for module in bench.modules] == ["C2HQ0"]
    assert not (site / "instruments.json").exists()
    assert "which points to ../instruments.json" in out
    calseq("validate", site)


def test_init_leaves_every_file_that_is_there(calseq, tmp_path):
    calseq("init", ".")
    kept = {path: path.read_bytes() for path in files(tmp_path)}
    random = Random(1)
    for path in kept:
        if random.random() < 0.5:
            path.write_bytes(b"mine\n")
            kept[path] = b"mine\n"
    out, _ = calseq("init", ".")
    assert {path: path.read_bytes() for path in files(tmp_path)} == kept
    assert "wrote" not in out
    assert out.count("which is there already") == len(kept) - 1  # instruments.json: pointed to


def test_init_in_a_place_that_is_no_folder_is_refused(calseq, tmp_path):
    (tmp_path / "file").write_text("")
    assert "CS442" in calseq("init", "file", expect=3)[1]


def files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]
