"""Parts of a sequence are parts, and another module is another one whatever its name."""

import json

from stands import MODULES

TWO = """calseq: 1
title: two
required_instruments: [lv, hv]
defaults: {timeout: 60s, stop_grace: 30s}
steps:
  - {name: a, calibration: calibrate_module, tuning: T}
  - {name: b, calibration: calibrate_module, tuning: U}
"""


def test_a_run_of_parts_has_passed_in_part_and_is_not_queued_as_the_whole(stand):
    (stand.folder / "one.yaml").write_text(TWO)
    stand.bench(upload={"to": "folder", "folder": "outbox"})
    code, told = stand.execute("--only", "a")
    assert (code, "not queued for folder: passed in part" in told) == (0, True), told
    (folder,) = stand.folders()
    assert not (folder / "upload.jsonl").exists()
    assert "passed, in part" in stand.calseq("runs")[1]
    assert "PASSED, IN PART" in stand.calseq("status")[1]
    for words in (("runs",), ("status",)):
        facts = json.loads(stand.calseq(*words, "--format", "json")[1])
        assert (facts["runs"][0] if "runs" in facts else facts)["in_part"] is True
    code, told = stand.execute()
    assert (code, "are queued for folder" in told) == (0, True), told


def resumed(stand):
    return stand.calseq("execute", "--resume", "--yes", "--runs", "runs", "--screen", "none", "--no-report")


def test_a_module_with_other_chips_is_another_one_by_the_same_name(stand):
    assert stand.execute(act="exit 1")[0] == 1
    other = json.dumps(MODULES).replace("46721", "50001")
    (stand.folder / "modules.json").write_text(other)
    code, told = resumed(stand)
    assert (code, "another module by the same name" in " ".join(told.split()), "50001" in told) == (
        3,
        True,
        True,
    ), told
    (stand.folder / "modules.json").write_text(json.dumps(MODULES))
    assert resumed(stand)[0] == 0
