"""What Felis takes: judged before anything is asked of Panthera, as the one with the real habits would."""

import json
import shutil
from itertools import combinations

import pytest
from felis.felis import _refusal
from upload_stand import (
    FELIS,
    NAMES,
    copied,
    environment,
    measured,
    replan,
    states,
    upload,
    write_bench,
)

from calseq.bench.bench import read_bench
from calseq.measurement.acceptance import acceptance, foreseen, refusal
from calseq.model.plan import Output, ResultRule
from calseq.record.seal import seal
from calseq.sequence.catalog import builtin
from calseq.sequence.schema import sequence_schema

RUN, MONITOR, CANVAS, TABLE = "Run000012_IV.root", "Run000012_MonitorDQM.root", "IV_canvas.root", "IV.csv"
LATE = "MonitorDQM_Run000012.root"
"""Felis takes this one: it looks for 'monitor' behind 'run' alone."""
ALIVE = [f"Run00000{number}_PixelAlive.root" for number in (1, 2, 3)]
ONE = "exactly 1 ROOT file with 'Run' in its name that is no monitor file"
SLDO = "00_sldo_vi_curves"


@pytest.mark.parametrize("type_", sorted(acceptance().by_type))
def test_a_result_is_refused_just_where_felis_refuses_it(type_):
    """Every choice of up to four files, below every name of a module and of a result that changes what is found."""
    files = [RUN, MONITOR, CANVAS, TABLE, LATE, *ALIVE]
    for stem in ("C2HQ0/02_IVCurve", "TRUNK7/02_IVCurve", "C2HQ0/03_monitor", "RUN/monitor"):
        for count in range(5):
            for chosen in combinations(files, count):
                for module_type in ("1x2", "2x2", "", "1X2"):
                    paths = [f"/proc/self/fd/7/2026-11-29_10-00-00/{stem}/{each}" for each in chosen]
                    theirs = _refusal(type_, paths, {"type_module": module_type})
                    ours = refusal(type_, *stem.split("/"), chosen, module_type)
                    assert bool(ours) == bool(theirs), (stem, chosen, module_type, ours, theirs)


@pytest.mark.parametrize(
    ("type_", "files", "module_type", "why"),
    [
        ("ivcurve", [RUN, TABLE, MONITOR], "1x2", ""),
        ("ivcurve", [TABLE], "1x2", f"Felis takes {ONE}, and here are none: IV.csv"),
        ("noise", [RUN, ALIVE[0]], "", f"Felis takes {ONE}, and here are 2: {RUN}, {ALIVE[0]}"),
        ("ivcurve", [RUN], "", "Felis takes 'ivcurve' of a module of type 1x2 or 2x2, and its type is none"),
        ("ivcurve", [RUN], "quad", "Felis takes 'ivcurve' of a module of type 1x2 or 2x2, and its type is 'quad'"),
        ("crosstalk", ALIVE[:2], "1x2", "Felis takes exactly 3 ROOT files with 'PixelAlive' in their names, and here are 2: "
         + ", ".join(ALIVE[:2])),
        ("crosstalk", ["1/A_PixelAlive.root", "2/A_PixelAlive.root", "B_PixelAlive.root"], "1x2",
         "Felis has the files of a result in one folder, and there is more than one A_PixelAlive.root"),
        ("ivcurves", [RUN], "1x2", "Felis does not know the type 'ivcurves'"),
    ],
)  # fmt: skip
def test_the_reason_names_what_is_wanted_and_what_is_there(type_, files, module_type, why):
    assert refusal(type_, "C2HQ0", "02_IVCurve", files, module_type) == why


@pytest.mark.parametrize(
    ("rule", "outputs", "why"),
    [
        (ResultRule(("*.csv", "*.root"), "ivcurve"), [], ""),
        (ResultRule(("*",), "sldo"), [Output("*")], ""),
        (ResultRule(("*.csv",), "xray"), [], f"its result is of *.csv, and Felis takes {ONE}"),
        (ResultRule(("*.csv", "*.root"), "sldo"), [Output("*.csv")], f"it is known to leave *.csv, and Felis takes {ONE}"),
        (ResultRule(("*.root",), "sldo"), [Output("*.csv"), Output("VI_[0-9].root")], ""),
        (ResultRule(("*.root",), "sldo"), [Output("Run*_*.root", 3)], f"it leaves at least 3 ROOT files, and Felis takes {ONE}"),
        (ResultRule(("*.root",), "crosstalk"), [Output("Run*_*.root", 3)], ""),
        (ResultRule(("*.root",), "ivcurves"), [], "Felis does not know the type 'ivcurves'"),
        (ResultRule(("*.root",), scans={"A": "scurve"}), [], ""),
        (ResultRule(("*.root",), scans={"A": "crosstalk"}), [],
         "each scan is a result of one file, and of 'crosstalk', as 'A' is, Felis takes exactly 3 ROOT files with 'PixelAlive' in their names"),
    ],
)  # fmt: skip
def test_what_can_be_known_before_the_run_is_foreseen(rule, outputs, why):
    assert foreseen(rule, outputs) == why


def test_the_words_for_sensors_are_those_of_felis():
    sensor = sequence_schema(builtin())["definitions"]["whole"]["properties"]["sensor"]
    assert list(acceptance().sensor_types) == sensor["enum"]


def test_a_result_that_felis_would_not_take_is_told_before_a_sequence_is_asked_for_and_the_others_go(
    run, panthera
):
    for path in (run / "data").glob("*/Run*_IV_*.root"):
        path.unlink()
    seal(run)
    told = upload(run)
    assert told.returncode == 5
    line = f"02_IVCurve of C2HQ0 cannot be sent: Felis takes {ONE}, and here are none: IV_C2HQ0.csv"
    assert line in told.stderr
    assert told.stderr.index(line) < told.stderr.index("Felis starts")
    ((_, sequence),) = panthera.filled.items()
    assert list(sequence["results"]) == [name for name in NAMES if name != "02_IVCurve"]
    assert "02_IVCurve" not in (run / "upload" / "felis.log").read_text()
    listed = upload(run, "--list", password=None)
    assert (listed.returncode, line in listed.stdout) == (5, True)


def test_where_felis_would_take_nothing_no_password_is_asked_for_and_nothing_is_made(run, panthera):
    for path in (run / "data").rglob("*.root"):
        path.unlink()
    seal(run)
    told = upload(run, password=None)
    assert (told.returncode, panthera.requests) == (5, [])
    assert "nothing to send" in told.stderr
    assert "password" not in told.stderr
    assert not (run / "upload" / "felis.log").exists()


def test_what_has_arrived_is_not_judged_any_more(run, panthera):
    assert upload(run).returncode == 0
    text = (run / "plan.json").read_text()
    known = json.loads(text)
    known["modules"][0]["type"] = "quad"
    replan(run, text, json.dumps(known))
    told = upload(run, password=None)
    assert told.returncode == 0, told.stderr
    assert "cannot be sent" not in told.stderr


@pytest.mark.parametrize(
    ("type_", "more", "sent"),
    [
        ("", {}, False),
        ("quad", {}, False),
        ("quad", {"module_type": "2x2"}, True),
        ("", {"module_type": {"C2HQ0": "1x2"}}, True),
        ("", {"module_type": {"other": "1x2"}}, False),
        ("1x2", {"module_type": "2x2"}, True),
    ],
)
def test_an_iv_curve_needs_the_type_of_its_module_which_a_bench_file_may_give_later(
    run, panthera, tmp_path, type_, more, sent
):
    text = (run / "plan.json").read_text()
    known = json.loads(text)
    known["modules"][0]["type"] = type_
    replan(run, text, json.dumps(known))
    bench = write_bench(tmp_path / "later", {**FELIS, "url": panthera.url, **more})
    told = upload(run, "--bench", bench)
    why = "Felis takes 'ivcurve' of a module of type 1x2 or 2x2"
    assert (told.returncode, why in told.stderr) == ((0, False) if sent else (5, True)), told.stderr
    assert ("'module_type:' in 'upload:' of a bench file" in told.stderr) is not sent
    facts = panthera.sequences[1]["about"]["facts"]
    assert facts[1] == (type_ if type_ == "1x2" or (not sent and type_) else "unspecified" if not sent else
                        more["module_type"] if isinstance(more["module_type"], str) else "1x2")  # fmt: skip


@pytest.mark.parametrize(
    ("said", "sequence", "told"),
    [
        ({}, "", "unspecified"),
        ({}, "3D", "3D"),
        ({"sensor_type": "planar"}, "", "planar"),
        ({"sensor_type": {"C2HQ0": "3D"}}, "", "3D"),
        ({"sensor_type": {"other": "planar"}}, "3D", "3D"),
    ],
)
def test_felis_is_told_the_sensors_of_the_module_or_of_the_sequence(
    run, panthera, tmp_path, said, sequence, told
):
    text = (run / "plan.json").read_text()
    replan(run, text, json.dumps({**json.loads(text), "sensor": sequence}))
    bench = write_bench(tmp_path / "later", {**FELIS, "url": panthera.url, **said})
    assert upload(run, "--bench", bench).returncode == 0
    assert panthera.sequences[1]["about"]["facts"][5] == told


@pytest.mark.parametrize(
    ("key", "said", "words"),
    [
        ("sensor_type", "planer", "did you mean 'planar'? Felis knows planar, 3D"),
        ("sensor_type", "n-in-p", "Felis knows planar, 3D"),
        ("sensor_type", {"C2HQ0": "3d"}, "did you mean '3D'?"),
        ("module_type", "quad", "Felis knows 1x2, 2x2"),
    ],
)
def test_a_word_that_felis_does_not_know_is_refused_with_those_that_it_knows(tmp_path, key, said, words):
    reading = read_bench(write_bench(tmp_path, {**FELIS, key: said}))
    (problem,) = reading.problems
    assert (problem.code.id, reading.bench) == ("CS206", None)
    assert words in problem.cure
    assert problem.place.span.line >= 1


def test_what_felis_sees_of_its_folder_has_neither_run_nor_monitor_in_it(template, tmp_path, panthera):
    """Below 'runs', in a run called monitor, every file would be one of a run, or of a monitor."""
    run = copied(template, tmp_path, url=panthera.url, name="20260101-000000-temperature-monitor")
    (folder,) = (run / "data").glob("*iv_curve")
    (folder / "IV_canvas.root").write_bytes(b"root")
    (folder / "Run000009_MonitorDQM.root").write_bytes(b"root")
    seal(run)
    told = upload(run)
    assert told.returncode == 0, told.stderr
    printed = (run / "upload" / "felis.log").read_text()
    (scratch,) = [line for line in printed.splitlines() if "scratch in" in line]
    assert "run" not in scratch.partition("scratch in")[2].lower()
    assert "monitor" not in scratch.lower()
    counts = [line.split()[1] for line in printed.splitlines() if "monitor files" in line]
    assert counts == ["0", "1", "0", "0", "0"]
    assert not (run / "upload" / "scratch").exists()


# A run in part


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    """A run of which steps were left out."""
    return measured(tmp_path_factory.mktemp("part"), arguments=("--only", "sldo_vi_curves"))


def test_a_run_in_part_is_refused_and_with_the_option_marked_as_one(part, tmp_path, panthera):
    run = copied(part, tmp_path, url=panthera.url)
    told = upload(run)
    assert told.returncode == 3
    assert "is a run in part: steps of its sequence were left out" in told.stderr
    assert panthera.requests == []
    listed = upload(run, "--list", password=None)
    assert "1 SIMULATED result, IN PART, for felis" in listed.stdout
    assert "--allow-simulated --allow-part" in listed.stdout
    told = upload(run, "--allow-part")
    assert told.returncode == 0, told.stderr
    assert panthera.sequences[1]["about"]["title"] == "Night shift, in part"
    assert states(run) == {SLDO: "sent"}
    assert upload(run, password=None).returncode == 0, "all has arrived: nothing is to be allowed any more"


def test_all_passes_over_a_run_in_part(part, tmp_path, panthera):
    """A simulated one is passed over anyway: this one says that it was measured."""
    run = copied(part, tmp_path, url=panthera.url)
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "simulated": False}))
    seal(run)
    told = upload_all(run)
    assert (told.returncode, panthera.requests) == (0, []), told.stderr
    assert "nothing is to be sent" in told.stderr


def upload_all(run):
    from upload_stand import calseq_  # noqa: PLC0415

    return calseq_(["upload", "--all", "--runs", run.parent], cwd=run.parent.parent, env=environment())


def test_a_bundle_of_a_part_says_so(part, tmp_path):
    run = copied(part, tmp_path)
    bench = write_bench(tmp_path / "later", {"to": "folder", "folder": str(tmp_path / "out")})
    assert upload(run, "--bench", bench, "--allow-part", password=None).returncode == 0
    (manifest,) = (tmp_path / "out").glob("*/manifest.json")
    said = json.loads(manifest.read_text())
    assert (said["in_part"], said["title"]) == (True, "Night shift, in part")
    assert shutil.which("sha256sum") is None or (manifest.parent / "SHA256SUMS").exists()
