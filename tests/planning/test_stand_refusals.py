"""What would end badly on a real stand is refused before it."""

import json

from stands import ONE


def test_a_calibration_is_never_given_the_cold_box(stand):
    path = stand.folder / "bench-instruments.json"
    data = json.loads(path.read_text())
    data["instruments"]["cb_1"] = {"class": "PSIColdbox", "resource": stand.lv("cb")}
    data["channels"]["0"]["cb"] = {"instrument": "cb_1", "channel": 1}
    path.write_text(json.dumps(data))
    assert stand.execute()[0] == 0
    (stand.folder / "one.yaml").write_text(
        ONE.replace("timeout: 60s", "required_instruments: [cb], timeout: 60s")
    )
    code, told = stand.execute()
    assert (code, "CS477" in told) == (3, True), told


def test_a_simulated_instrument_is_refused_where_calseq_holds_real_ones(stand):
    path = stand.folder / "bench-instruments.json"
    data = json.loads(path.read_text())
    data["instruments"]["hv_1"]["sim"] = True
    for mode, code in (("icicle", 1), ("dirigent", 0)):
        stand.bench(power={"mode": mode})
        path.write_text(json.dumps(data))
        found, told = stand.calseq("validate", "bench.yaml")
        assert (found, "CS478" in told) == (code, bool(code)), told
