"""Variants with the rest of calseq: fixes, ignores, selection, official sequences, the layout, and resuming."""

import hashlib
import json
import os
import subprocess
import sys

import pytest

from calseq.documents.document import from_bytes
from calseq.documents.yaml_reader import read_yaml
from calseq.model.request import Selection
from calseq.planning.loading import load_sequence, read_whole
from calseq.sequence.catalog import builtin
from calseq.sequence.digest import digest
from calseq.sequence.selection import select

BASE = """\
calseq: 1
title: Base
defaults: {timeout: 2h}
steps:
  - voltage_trimming
  - calibration: iv_curve
    options: {max_voltage: -60, step_size: 5}
    timeout: 1m  # calseq: ignore[CS306]
  - name: open_bumps
    calibration: crosstalk_method
"""

VARIANT = """\
calseq: 1
extends: base.yaml
title: Own
change: {open_bumps: {retries: 1}}
"""

WHOLE = BASE.replace("Base", "Own") + "    retries: 1\n"


@pytest.fixture
def site(tmp_path):
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "own.yaml").write_text(VARIANT)
    return tmp_path


def run(folder, *words, expect=0):
    environ = {**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1", "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-m", "calseq", *words], cwd=folder, env=environ, capture_output=True, text=True
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def loaded(site):
    documents, sequence = load_sequence(site / "own.yaml", builtin())
    return [problem for each in documents for problem in each.problems], sequence


def test_fix_mends_the_variant_and_leaves_its_base_alone(site):
    wrong = BASE.replace("max_voltage", "max_voltag")
    (site / "base.yaml").write_text(wrong)
    (site / "own.yaml").write_text(VARIANT.replace("title", "titel"))
    told = run(site, "validate", "--fix", "own.yaml", expect=1)
    assert "base.yaml:7:15: CS205" in told
    assert "--fix mends" not in told
    assert (site / "own.yaml").read_text() == VARIANT
    assert (site / "base.yaml").read_text() == wrong


def test_fix_mends_a_base_that_is_given_too_and_judges_the_variant_anew(site):
    (site / "base.yaml").write_text(BASE.replace("max_voltage", "max_voltag"))
    (site / "own.yaml").write_text(VARIANT + "drop: [open_bump]\n")
    told = run(site, "validate", "--fix", "own.yaml", "base.yaml", expect=1)
    assert (site / "base.yaml").read_text() == BASE
    assert "own.yaml:5:8: CS307" in told


def test_what_the_base_silences_is_silent_in_a_variant(site):
    assert loaded(site)[0] == []


def test_a_warning_that_only_the_variant_brings_about_is_silenced_where_it_is_told(site):
    text = VARIANT + "drop: [iv_curve]\n"
    (site / "own.yaml").write_text(text)
    [problem] = loaded(site)[0]
    assert (problem.code.id, problem.place.span.line) == ("CS302", 2)
    (site / "own.yaml").write_text(text.replace("base.yaml", "base.yaml  # calseq: ignore[CS302]"))
    assert loaded(site)[0] == []


def test_an_ignore_comment_is_not_needed_for_a_line_of_the_base_with_the_same_number(site):
    (site / "base.yaml").write_text(BASE.replace("  # calseq: ignore[CS306]", ""))
    (site / "own.yaml").write_text(VARIANT + "x-a: 1\nx-b: 2\nx-c: 3\nx-d: 4  # calseq: ignore[CS306]\n")
    told = {(problem.place.source.name.rpartition("/")[2], problem.code.id) for problem in loaded(site)[0]}
    assert told == {("base.yaml", "CS306"), ("own.yaml", "CS311")}


def test_an_anchor_that_a_variant_does_not_use_is_told_and_one_of_its_base_is_the_bases_own(site):
    (site / "base.yaml").write_text(BASE + "x-spare: &spare 1\n")
    (site / "own.yaml").write_text(VARIANT + "x-own: &own 1\n")
    assert [problem.place.text for problem in loaded(site)[0]] == ["&own"]


def test_steps_of_a_variant_are_selected_by_name_and_advice_is_about_what_remains(site):
    _, sequence = loaded(site)
    chosen, wrong = select(sequence, Selection(skip=("iv_curve",)))
    assert wrong == ()
    assert [step.left_out for step in chosen.steps] == ["", "--skip iv_curve", ""]
    assert [problem.code.id for problem in chosen.warnings] == ["CS302"]
    assert [problem.place.span.line for problem in chosen.warnings] == [2]
    assert "left out: --skip iv_curve" in run(site, "plan", "own.yaml", "--simulate", "--skip", "iv_curve")


def test_the_digest_of_a_variant_is_that_of_the_sequence_written_out(site):
    documents, whole = read_whole(read_yaml(from_bytes(WHOLE.encode(), "whole.yaml")), builtin())
    assert [problem.message for each in documents for problem in each.problems] == []
    assert digest(loaded(site)[1]) == digest(whole)


def test_a_setting_of_an_official_variant_is_told_by_what_differs(site):
    own = run(site, "digest", "own.yaml").strip()
    run(site, "init", "stand")
    bench = site / "stand" / "bench.yaml"
    bench.write_text(bench.read_text() + f"\nofficial: {{own: '{own}'}}\n")
    words = ("plan", "own.yaml", "--bench", str(bench), "--simulate")
    assert "official: own" in run(site, *words)
    told = run(site, *words, "--set", "iv_curve.max_voltage=-70")
    assert "not the official 'own'" in told
    assert "--max-voltage -70" in told


def test_a_new_sequence_from_a_variant_is_a_variant(site):
    run(site, "new", "mine", "--template", "panthera-3d", "--title", "Mine")
    text = (site / "mine.yaml").read_text()
    assert "extends: panthera\ntitle: Mine\n" in text
    assert run(site, "validate", "mine.yaml") == "no problems in 2 files\n"


def test_the_layout_of_a_variant_has_its_keys_in_order(site):
    (site / "own.yaml").write_text(
        "drop: [open_bumps]\nset: {iv_curve.max_voltage: -50}\ninsert:\n- steps: [get_module_info]\n"
        "  after: iv_curve\nchange:\n  iv_curve:\n    retries: 1\n    options: {step_size: 4}\ntitle: Own\n"
        "limits: {hv: -80}\nextends: base.yaml\ncalseq: 1\n"
    )
    run(site, "fmt", "own.yaml")
    assert (site / "own.yaml").read_text() == (
        "calseq: 1\nextends: base.yaml\ntitle: Own\n\nlimits: {hv: -80}\n\n"
        "set: {iv_curve.max_voltage: -50}\nchange:\n  iv_curve:\n    options: {step_size: 4}\n    retries: 1\n"
        "insert:\n  - after: iv_curve\n    steps: [get_module_info]\ndrop: [open_bumps]\n"
    )


def test_options_that_a_variant_sets_are_not_lost_in_a_class(site):
    (site / "base.yaml").write_text(BASE.replace("    options: {max_voltage: -60, step_size: 5}\n", ""))
    (site / "own.yaml").write_text("calseq: 1\nextends: base.yaml\nset: {iv_curve.max_voltage: -60}\n")
    told = run(site, "convert", "own.yaml", "--to", "class", expect=3)
    assert "dirigent's class cannot say options of step 2, iv_curve" in told


def test_a_run_of_a_variant_is_resumed_and_a_step_that_its_base_changed_runs_again(site):
    run(site, "execute", "own.yaml", "--simulate", "--fault", "open_bumps=exit:3", expect=1)
    [folder] = [path for path in (site / "runs").iterdir() if path.is_dir() and not path.is_symlink()]
    inputs = {each["kind"]: each for each in json.loads((folder / "plan.json").read_text())["inputs"]}
    for kind, name in (("sequence", "own.yaml"), ("base", "base.yaml")):
        assert inputs[kind]["sha256"] == hashlib.sha256((site / name).read_bytes()).hexdigest()
    (site / "base.yaml").write_text(BASE.replace("step_size: 5", "step_size: 4"))
    told = run(site, "execute", "--resume", str(folder), "--yes", expect=1)  # the fault is resumed, too
    assert "base base.yaml changed" in told
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    resumed = next(index for index, event in enumerate(events) if event["event"] == "run-resumed")
    begun = {event["step"] for event in events[resumed:] if event["event"] == "step-started"}
    assert begun == {2, 3}
    assert (folder / "inputs.2" / "base-base.yaml").read_bytes() == (site / "base.yaml").read_bytes()
