"""The commands that read: their exit codes, their streams, and every problem of all files at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from calseq.planning.gather import Request, gather
from calseq.system.assets import sequences

SHIPPED = sequences()
GOOD = "calseq: 1\ntitle: T\nsteps:\n  - calibration: iv_curve\n    options: {max_voltage: -80}\n"
BAD = GOOD.replace("title", "titel") + "    retries: 9\n"


def calseq(folder, *words, expect):
    """Run the command line in a folder; give what it wrote to stdout and stderr."""
    environ = {**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "calseq", *words],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    return tmp_path


def test_validate_tells_every_problem_of_all_files_and_counts_them_last(folder):
    (folder / "worse.yaml").write_text("calseq: [")
    (folder / "other.yaml").write_text("a: 1\n")
    (folder / ".hidden.yaml").write_text("calseq: [")
    out, err = calseq(folder, "validate", expect=1)
    assert out.splitlines()[-1] == (
        "3 errors in 2 of 3 files; --fix mends 1 of them; 1 other YAML file was passed over"
    )
    assert [line.split(" ")[0] for line in out.splitlines()[:-1]] == [
        "bad.yaml:2:1:", "bad.yaml:6:14:", "worse.yaml:1:10:",
    ]  # fmt: skip
    assert err == ""


def test_validate_of_what_is_shipped_finds_nothing(folder):
    out, _ = calseq(folder, "validate", str(SHIPPED), expect=0)
    assert out.startswith("no problems in ")


def test_validate_judges_for_the_bench_that_is_named_as_plan_does(folder):
    bench = str(SHIPPED / "benches" / "double" / "bench.yaml")
    (folder / "forward.yaml").write_text(GOOD.replace("-80", "80"))
    assert calseq(folder, "validate", "forward.yaml", expect=0)[0] == "no problems in 1 file\n"
    out, _ = calseq(folder, "validate", "forward.yaml", "good.yaml", "--bench", bench, expect=1)
    told, count = out.splitlines()
    assert told.startswith("forward.yaml:5:28: CS420 ")
    assert count == "1 error in 1 of 6 files"
    _, err = calseq(folder, "plan", "forward.yaml", "--bench", bench, expect=3)
    assert "CS420" in err


def test_validate_knows_the_shipped_sequences_by_name_unless_a_file_has_it(folder):
    assert calseq(folder, "validate", "panthera", expect=0)[0] == "no problems in 1 file\n"
    (folder / "panthera").write_text("calseq: [")
    assert calseq(folder, "validate", "panthera", expect=1)[0].startswith("panthera:1:10: ")


def test_a_time_out_of_all_steps_that_is_too_short_is_one_problem(folder):
    steps = "steps:\n  - sldo_vi_curves\n  - voltage_trimming\n"
    (folder / "short.yaml").write_text("calseq: 1\ntitle: T\ndefaults: {timeout: 5s}\n" + steps)
    out, _ = calseq(folder, "validate", "short.yaml", expect=0)
    assert out.splitlines() == [
        (
            "short.yaml:3:21: CS306 warning: timeout 5s is below what 2 steps take: "
            "'sldo_vi_curves' usual 1m30s, 'voltage_trimming' usual 2m; give it more"
        ),
        "1 warning in 1 file",
    ]


def test_what_was_typed_wrongly_is_counted_in_no_file(folder):
    _, err = calseq(folder, "plan", "pantherra", "--simulate", expect=3)
    assert err.splitlines()[-1] == "1 error"


def test_validate_names_what_it_cannot_read(folder):
    os.mkfifo(folder / "pipe.yaml")
    out, _ = calseq(folder, "validate", "no.yaml", "pipe.yaml", "x" * 5000, ".", expect=1)
    assert out.count("CS101") == 3
    assert out.splitlines()[-1].startswith("5 errors")


def test_validate_shows_a_hostile_text_escaped(folder):
    (folder / "evil.yaml").write_text("calseq: 1\ntitle: 'a\x1b]0;x\x07b\u202e'\nsteps: [\"\\e[2J\"]\n")
    out, _ = calseq(folder, "validate", "evil.yaml", expect=1)
    assert all(char.isprintable() or char == "\n" for char in out)


def test_plan_tells_the_problems_of_bench_and_sequence_together(folder):
    (folder / "bench.yaml").write_text("calseq-bench: 1\nname: b\ninstruments: no.json\n")
    out, err = calseq(folder, "plan", "bad.yaml", expect=3)
    assert out == ""
    assert [code in err for code in ("CS101", "CS204", "CS206")] == [True] * 3
    assert err.splitlines()[-1] == "3 errors in 2 files"


def test_plan_without_a_bench_and_with_an_unknown_name_says_both(folder):
    _, err = calseq(folder, "plan", "panthra", expect=3)
    assert "CS407" in err
    assert "--simulate" in err
    assert "CS412" in err
    assert "did you mean 'panthera'?" in err


def test_plan_points_into_a_setting(folder):
    _, err = calseq(folder, "plan", "panthera", "--simulate", "--set", "iv_curve.max_voltge=-60", expect=3)
    assert "--> --set:1:10" in err


def test_plan_writes_json_and_a_script(folder):
    out, err = calseq(folder, "plan", "panthera", "--simulate", "--format", "json", expect=0)
    assert json.loads(out)["steps"][0]["name"] == "sldo_vi_curves"
    assert err == ""
    script, _ = calseq(folder, "plan", "panthera", "--simulate", "--format", "sh", expect=0)
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def test_a_wrong_word_is_a_usage_error(folder):
    calseq(folder, "plan", "panthera", "--format", "xml", expect=2)
    calseq(folder, "schema", "modul", expect=2)
    calseq(folder, "calibrations", "iv_curv", expect=1)


def test_a_schema_is_printed_for_an_editor(folder):
    out, _ = calseq(folder, "schema", "bench", expect=0)
    jsonschema.Draft7Validator.check_schema(json.loads(out))


def test_calibrations_and_schema_know_those_of_the_site(folder):
    site = (
        "calseq-calibrations: 1\ncalibrations:\n  noise_map: {type: general, summary: a map of the noise}\n"
    )
    (folder / "site.yaml").write_text(site)
    (folder / "bench.yaml").write_text(
        "calseq-bench: 1\nname: b\ninstruments: i.json\ncalibrations: site.yaml\n"
    )
    (folder / "i.json").write_text((SHIPPED / "benches" / "double" / "instruments.json").read_text())
    assert "noise_map *" in calseq(folder, "calibrations", expect=0)[0]
    assert "noise_map" in calseq(folder, "schema", expect=0)[0]
    (folder / "own.yaml").write_text("calseq: 1\ntitle: T\nsteps: [noise_map]\n")
    calseq(folder, "validate", "own.yaml", expect=0)
    calseq(folder, "plan", "own.yaml", expect=0)


def test_faults_and_speed_belong_to_the_simulator(folder):
    bench = SHIPPED / "benches" / "double" / "bench.yaml"
    real = folder / "real"
    real.mkdir()
    for path in bench.parent.iterdir():
        (real / path.name).write_text(path.read_text())
    text = bench.read_text().replace("simulated}", "dirigent}").replace("simulator: {speed: 200}\n", "")
    (real / "bench.yaml").write_text(text)
    request = Request("panthera", real / "bench.yaml", faults=("iv_curve=hang",))
    assert [problem.code.id for problem in gather(request).problems] == ["CS416"]
    assert [
        problem.code.id for problem in gather(Request("panthera", Path(bench), faults=("x",))).problems
    ] == ["CS416"]
    assert gather(Request("panthera", simulate=True)).plan.simulated
