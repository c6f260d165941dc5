"""Parts of a sequence are parts, and another module is another one whatever its name."""

import json

import pytest
from stands import MODULES

from calseq.bench.bench import read_bench
from calseq.model.plan import Environment, Plan, PowerMode
from calseq.run.resume import swapped

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


def chips(*codes):
    """Write modules.json with chips of these codes, None for one that has none."""
    told = {
        str(place): {"Lane": place, **({} if code is None else {"eFuseCode": code})}
        for place, code in enumerate(codes)
    }
    info = MODULES["Hybrid"]["0"]["RD53Bv2"]["info"]
    return json.dumps({"Hybrid": {"0": {"RD53Bv2": {"info": info, **told}}}})


BOTH = (46721, 46722)


@pytest.mark.parametrize(
    ("was", "now", "is_other"),
    [
        (BOTH, (46722, 46721), False),
        (BOTH, ("46721", "0xB682"), False),
        (("0xb681", "0XB682"), BOTH, False),
        (BOTH, ("046721", " 46722 "), False),
        (BOTH, (46721, None), False),
        (BOTH, (0, "0x0"), False),
        (BOTH, (None, None), False),
        ((None, 46722), BOTH, False),
        ((0, 0), (50001, 50002), False),
        (BOTH, (46721, 50002), True),
        (BOTH, (50001, None), True),
        ((None, 46722), ("0xB681", None), True),
        (BOTH, ("0xB681", "0xB683"), True),
        (("A17", "B4"), ("a17", "b4"), False),
        (("A17", "B4"), ("A17", "B5"), True),
    ],
)
def test_a_module_is_known_by_its_chips_however_their_codes_are_written(stand, was, now, is_other):
    (stand.folder / "modules.json").write_text(chips(*was))
    reading = read_bench(stand.folder / "bench.yaml")
    assert reading.bench, reading.problems
    old = plan_with(reading.bench.modules)
    (stand.folder / "modules.json").write_text(chips(*now))
    new = plan_with(read_bench(stand.folder / "bench.yaml").bench.modules)
    told = swapped(old, new)
    assert bool(told) is is_other, told
    assert ("had the eFuse codes" in told) is is_other


def plan_with(modules):
    return Plan("t", "", "b", PowerMode.DIRIGENT, (), (), modules, (), Environment("."))
