"""Official sequences: a digest of what is meant, and runs that say whether they are the official ones."""

import json

import pytest

from calseq.bench.bench import read_bench
from calseq.documents.document import from_bytes
from calseq.documents.yaml_reader import read_yaml
from calseq.model.plan import Standing
from calseq.planning.compiler import compile_plan
from calseq.planning.loading import load_sequence
from calseq.sequence.catalog import builtin, with_site
from calseq.sequence.digest import digest, standing
from calseq.sequence.reader import read_sequence
from calseq.system.assets import sequences, shipped_sequences

PANTHERA = (sequences() / "panthera.yaml").read_text()
DOUBLE = sequences() / "benches" / "double"


def read(text: str, catalog=None):
    """Read a sequence."""
    document = read_yaml(from_bytes(text.encode(), "f.yaml"))
    sequence = read_sequence(document, catalog or builtin())
    assert sequence is not None, document.problems
    return sequence


OWN = digest(read(PANTHERA))


@pytest.fixture
def bench(tmp_path):
    """A simulated bench that pins Panthera."""
    for name in ("instruments.json", "modules.json", "dirigent.toml"):
        (tmp_path / name).write_bytes((DOUBLE / name).read_bytes())
    text = (DOUBLE / "bench.yaml").read_text() + f"official:\n  panthera: {OWN}\n"
    (tmp_path / "bench.yaml").write_text(text.replace("speed: 200", "speed: 20000"))
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("calseq: 1\n", "# a comment\n\ncalseq: 1   # one\n"),
        ("description: >-\n", "description: >-\n  Another prose.\n"),
        ("options: {max_voltage: -80, step_size: 5}", "options:\n      step_size: 5\n      max_voltage: -80"),
        ("  - voltage_trimming\n", "  - calibration: 'voltage_trimming'\n"),
        (
            "  - voltage_trimming\n",
            "  - calibration: voltage_trimming\n    name: voltage_trimming\n    type: general\n",
        ),
        ("defaults: {timeout: 2h}\n", "x-mine: 5\ndefaults: {timeout: 120m, on_failure: stop, retries: 0}\n"),
        ("[lv, hv, ab]", "[ab, hv, lv]"),
        ("    timeout: 45m\n    retries: 1\n", "    retries: 1\n    timeout: 2700s\n"),
    ],
)
def test_comments_layout_and_defaults_written_out_do_not_change_a_digest(old, new):
    assert old in PANTHERA
    assert digest(read(PANTHERA.replace(old, new))) == OWN


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: Panthera", "title: Panthera 2"),
        ("max_voltage: -80", "max_voltage: -85"),
        ("step_size: 5", "step_size: 5, plot: true"),
        ("[lv, hv, ab]", "[lv, hv]"),
        ("defaults: {timeout: 2h}", "defaults: {timeout: 3h}"),
        ("retries: 1", "retries: 2"),
        ("retries: 1", "retries: 1\n    on_failure: continue"),
        ("retries: 1", "retries: 1\n    stop_grace: 4m"),
        ("name: tune_1000", "name: tune"),
        ("Tuning_1000", "Tuning_1200"),
        ("  - voltage_trimming\n", ""),
        ("calseq: 1\n", "calseq: 1\nlimits: {hv: -100}\n"),
    ],
)
def test_whatever_a_run_would_do_differently_changes_the_digest(old, new):
    assert old in PANTHERA
    assert digest(read(PANTHERA.replace(old, new))) != OWN


def test_what_the_site_says_of_a_calibration_counts_if_a_run_would_differ():
    def site(text):
        head = "calseq-calibrations: 1\ncalibrations:\n  iv_curve: "
        return with_site(read_yaml(from_bytes((head + text).encode(), "c.yaml")))

    assert digest(read(PANTHERA, site("{usual: 6m, summary: ours}"))) == OWN
    assert digest(read(PANTHERA, site("{flags: [-w, --quick]}"))) != OWN
    assert digest(read(PANTHERA, site("{outputs: [{files: '*.csv'}]}"))) != OWN


def test_digests_of_what_is_shipped_are_pinned(golden):
    """A change here changes what is official at every site: it belongs in the change log."""
    found = {path.stem: digest(load_sequence(path, builtin())[1]) for path in shipped_sequences()}
    golden("digests.txt", "".join(f"{name} {each}\n" for name, each in sorted(found.items())))


def test_a_sequence_is_official_by_its_meaning_and_unofficial_by_what_was_typed():
    sequence = read(PANTHERA)
    pins = {"qc": OWN, "panthera": "sha256:" + "0" * 64}
    assert standing(sequence, {}) == Standing(OWN)
    assert standing(sequence, pins) == Standing(OWN, "qc", judged=True)
    other = read(PANTHERA.replace("-80", "-85"))
    assert standing(other, pins).like == "panthera"
    assert standing(other, {"else": OWN}) == Standing(digest(other), judged=True)


def test_a_setting_makes_a_run_unofficial_though_it_sets_what_is_there(bench):
    path = sequences() / "panthera.yaml"
    sequence = load_sequence(path, builtin(), ["iv_curve.max_voltage=-80"])[1]
    plan = compile_plan(sequence, read_bench(bench / "bench.yaml").bench).plan
    assert digest(sequence) == OWN
    assert plan.standing == Standing(OWN, "", True, "panthera", ("--set iv_curve.max_voltage=-80",))


def test_digest_prints_what_pins_a_sequence(calseq, tmp_path):
    (tmp_path / "a.yaml").write_text(PANTHERA)
    assert calseq("digest", "a.yaml")[0] == f"{OWN}\n"
    assert calseq("digest", "panthera", "a.yaml")[0] == f"{OWN}  panthera\n{OWN}  a.yaml\n"
    meant = json.loads(calseq("digest", "a.yaml", "--format", "json")[0])
    assert [step["name"] for step in meant["steps"]][:2] == ["sldo_vi_curves", "voltage_trimming"]
    (tmp_path / "b.yaml").write_text("calseq: 1\n")
    out, err = calseq("digest", "b.yaml", "nothing", expect=3)
    assert out == ""
    assert "CS202" in err
    assert "CS412" in err
    calseq("digest", "a.yaml", "--format", "x", expect=2)


def test_a_plan_says_that_it_is_official_or_what_differs(calseq, bench, golden):
    out, _ = calseq("plan", "panthera")
    assert "official: panthera" in out
    (bench / "panthera.yaml").write_text(
        PANTHERA.replace("-80, step", "-85, step")
        .replace("  - voltage_trimming\n", "")
        .replace("45m", "50m", 1)
    )
    out, _ = calseq("plan", "panthera.yaml", "--set", "iv_curve.delay=2")
    told = out[out.index("not the official") : out.index("HV LV")]
    golden("official-plan.txt", told)
    assert "unofficial" in calseq("plan", "sldo")[0]
    assert "official" not in calseq("plan", "panthera", "--simulate", "--bench", DOUBLE / "bench.yaml")[0]


def test_without_the_official_text_the_digests_are_told(calseq, bench):
    path = bench / "bench.yaml"
    path.write_text(path.read_text().replace(OWN, "sha256:" + "1" * 64))
    out, _ = calseq("plan", "panthera")
    assert "not the official 'panthera':" in out
    assert "1111" in out


def test_a_run_that_must_be_official_is_refused_if_it_is_not(calseq, bench):
    assert "CS440" in calseq("execute", "sldo", "--official", expect=3)[1]
    _, err = calseq("execute", "panthera", "--official", "--set", "iv_curve.max_voltage=-85", expect=3)
    assert "CS440" in err
    assert "--set iv_curve.max_voltage=-85" in err
    calseq("execute", "panthera", "--official", "--dry-run")
    _, err = calseq("execute", "panthera", "--official", "--bench", DOUBLE / "bench.yaml", expect=3)
    assert "the bench pins no official sequence" in err
    assert not (bench / "runs").exists()


@pytest.mark.parametrize(("more", "name", "word"), [([], "panthera", "official"), (["--set", "iv_curve.step_size=10"], "", "unofficial")])  # fmt: skip
def test_a_run_records_and_says_what_it_is(calseq, bench, more, name, word):
    _, err = calseq("execute", "panthera", "--screen", "plain", *more)
    assert f"SIMULATED {word} run of Panthera started" in err
    assert f"Panthera · C2HQ0 · simulated-double {word}" in err
    (run,) = (bench / "runs").iterdir()
    record = json.loads((run / "run.json").read_text())
    assert record["official"] == name
    assert (record["sequence_digest"] == OWN) == (not more)
    plan = json.loads((run / "plan.json").read_text())
    assert plan["standing"]["digest"] == record["sequence_digest"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [("[]", "CS201 10:11"), ("{a b: x}", "CS206 10:12"), ("{a: x}", "CS206 10:15"), ("{a: 5}", "CS201 10:15"), (f"{{a: {OWN}0}}", "CS206 10:15")],
)  # fmt: skip
def test_what_is_wrong_with_a_pin_is_told_where_it_stands(bench, text, problem):
    path = bench / "bench.yaml"
    path.write_text((DOUBLE / "bench.yaml").read_text() + f"official: {text}\n")
    (found,) = read_bench(path).problems
    assert f"{found.code.id} {found.place.span.line}:{found.place.span.column}" == problem


def test_laying_a_file_out_leaves_its_digest(calseq, tmp_path):
    (tmp_path / "a.yaml").write_text(
        "# mine\n" + PANTHERA.replace(", ", " ,  ").replace("steps:", "steps: # all\n\n")
    )
    assert digest(read((tmp_path / "a.yaml").read_text())) == OWN
    assert "laid out a.yaml" in calseq("fmt", "a.yaml")[1]
    assert calseq("digest", "a.yaml")[0] == f"{OWN}\n"
