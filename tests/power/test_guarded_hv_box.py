"""A bench with an HV box, through the real command line: refused, asked for, and told of as bias at the supply."""

import json
import sys

import pytest
from guarded_runs import end_all
from icicle_stand import CROSSTALK, CURVE, IcicleStand

SAID = "bias at the supply; calseq does not control HV box hb_1 (PSIHVBox)"


@pytest.fixture
def stand(tmp_path):
    stand = IcicleStand(tmp_path, sys.executable)
    path = stand.bench.parent / "instruments.json"
    listed = json.loads(path.read_text())
    listed["instruments"]["hb_1"] = {"class": "PSIHVBox", "resource": f"TCPIP::{stand.address}-hb::1::SOCKET"}
    path.write_text(json.dumps(listed))
    yield stand
    stand.end_guards()
    end_all(stand)


def state(stand, word):
    stand.bench.write_text(json.dumps(json.loads(stand.bench.read_text()) | {"hv_box": word}))


def words(run):
    return " ".join(run.told.split())


def test_a_bench_that_does_not_say_runs_nothing_with_bias(stand):
    run = stand.on(stand.bench, CURVE, CROSSTALK)
    assert run.end() == 3
    assert "CS426" in run.told
    assert stand.record() == []


def test_where_it_is_to_be_asked_for_only_the_flag_starts_a_run(stand):
    state(stand, "ask")
    refused = stand.on(stand.bench, CURVE, CROSSTALK)
    assert refused.end() == 3
    assert "look whether its channels are closed; then start with --hv-box-closed" in words(refused)
    assert stand.record() == []
    run = stand.on(stand.bench, CURVE, CROSSTALK, arguments=["--hv-box-closed"])
    assert run.end() == 0, run.told
    assert f"{SAID}: --hv-box-closed confirms that its channels are closed" in words(run)


def test_summary_and_report_say_that_bias_is_at_the_supply(stand):
    state(stand, "closed")
    run = stand.on(stand.bench, CURVE, CROSSTALK)
    assert run.end() == 0, run.told
    assert f"{SAID}: the bench file says that its channels are closed" in words(run)
    code, out, _ = stand.calseq("report", "--format", "markdown", "--runs", stand.runs)
    assert code == 0
    assert "bias at the supply; calseq does not control HV box" in " ".join(out.replace("\\", "").split())
    stand.prove_order()
