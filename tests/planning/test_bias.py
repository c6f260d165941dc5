"""Every row of the decision table: bias only if both witnesses, breakdowns.json and the measured curve, allow it."""

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from calseq.measurement.curves import Hole, IvCurve, IvPoint, NotUnderstood
from calseq.measurement.witnesses import Breakdowns, Witnesses
from calseq.model.plan import BiasRule, BiasSupply, Module
from calseq.planning.bias import decide

SAME, MAGNITUDE, FORWARD = BiasRule(), BiasRule(sign="magnitude"), BiasRule(allow_forward=True)
FILE_ALONE = BiasRule(witnesses="breakdowns")
ONE = (Module("0", "C2HQ0"),)
TWO = (Module("0", "R1Q17"), Module("1", "R1Q18"))
LIMIT_A = 1e-5


def sweep(
    end_v=-150.0, step_v=5.0, amps=lambda volts: 1e-7 * math.sqrt(abs(volts)) + 1e-9, module="C2HQ0", **fields
):
    """Make the curve of a sweep from 0 V; `amps` gives the magnitude of its current."""
    way = math.copysign(1.0, end_v)
    volts = [place * step_v * way for place in range(int(abs(end_v) / step_v + 1e-9) + 1)]
    points = tuple(IvPoint(each, way * amps(each)) for each in volts)
    return IvCurve(f"data/03-iv_curve/IV_{module}.csv", module, points, **fields)


def limited(from_v, end_v=-150.0, **fields):
    """Make the curve of a sweep that is at its compliance from a voltage on."""
    return sweep(end_v, amps=lambda volts: LIMIT_A if abs(volts) >= abs(from_v) else 1e-7, **fields)


def rising(from_v, factor, end_v=-80.0, step_v=5.0):
    """Make the curve of a sweep whose current rises by a factor in every step from a voltage on."""

    def amps(volts):
        steps = max(0.0, (abs(volts) - abs(from_v)) / step_v + 1.0)
        return 1e-7 * factor ** math.floor(steps + 1e-9)

    return sweep(end_v, step_v, amps)


def sag(at_v):
    """Make the curve of a supply that limits: whatever is set, the voltage stays where it is."""
    up = sweep(at_v, module="C2HQ0")
    return replace(up, points=(*up.points, *(IvPoint(at_v * 1.002, -LIMIT_A),) * 5))


def forward(end_v):
    return sweep(abs(end_v))


def decided(
    target,
    content,
    *,
    curves=None,
    rule=SAME,
    modules=ONE,
    fresh=True,
    files=(),
    ordered=None,
    limit_a=LIMIT_A,
):
    raw = content if isinstance(content, bytes) or content is None else json.dumps(content).encode()
    if curves is None:
        end = math.copysign(450.0 if abs(target) > 100 else 150.0, target or -1.0)
        curves = tuple(sweep(end, module=each.name) for each in modules)
    left = Witnesses(Breakdowns(raw, fresh, files), curves)
    return decide((BiasSupply("hv_1", target, modules, limit_a),), left, rule, ordered)


NONE = {"0": None}
ROWS = {
    "-50 below -120": (True, -50, {"0": -120}, {}),
    "equal": (False, -50, {"0": -50}, {}),
    "beyond the breakdown": (False, -50, {"0": -30}, {}),
    "the numeric trap -350 < -80": (False, -350, {"0": -80}, {}),
    "-80 below -350": (True, -80, {"0": -350}, {"curves": (sweep(-350),)}),
    "signs differ": (False, -50, {"0": 120}, {}),
    "signs differ, magnitudes": (True, -50, {"0": 120}, {"rule": MAGNITUDE}),
    "forward bias": (False, 50, {"0": 120}, {}),
    "forward bias, allowed": (True, 50, {"0": 120}, {"rule": FORWARD}),
    "forward bias, allowed, signs differ": (False, 50, {"0": -120}, {"rule": FORWARD}),
    "zero target": (False, 0, {"0": -120}, {}),
    "no breakdown, swept": (True, -50, NONE, {"curves": (sweep(-80),)}),
    "no breakdown 999, swept": (True, -50, {"0": 999}, {"curves": (sweep(-80),)}),
    "no breakdown -999, swept": (True, -50, {"0": -999}, {"curves": (sweep(-80),)}),
    "no breakdown 'none', swept": (True, -50, {"0": "none"}, {"curves": (sweep(-80),)}),
    "no breakdown, swept to the target": (False, -50, NONE, {"curves": (sweep(-50),)}),
    "no breakdown, swept one step beyond": (True, -50, NONE, {"curves": (sweep(-55),)}),
    "no breakdown, swept short": (False, -50, NONE, {"curves": (sweep(-40),)}),
    "no breakdown -999, swept short": (False, -50, {"0": -999}, {"curves": (sweep(-40),)}),
    "no breakdown, swept the other way": (False, -50, NONE, {"curves": (sweep(80),)}),
    "no breakdown, ordered is not measured": (False, -50, NONE, {"curves": (sweep(-30),), "ordered": -80.0}),
    "no breakdown, no curve": (False, -50, NONE, {"curves": (), "ordered": -80.0}),
    "no breakdown, no point": (False, -50, NONE, {"curves": (sweep(-80), replace(sweep(-80), points=()))}),
    "breakdown 0": (False, -50, {"0": 0}, {}),
    "breakdown ''": (False, -50, {"0": ""}, {}),
    "missing key": (False, -50, {"1": -120}, {}),
    "breakdown []": (False, -50, {"0": []}, {}),
    "breakdown {}": (False, -50, {"0": {}}, {}),
    "file []": (False, -50, [], {}),
    "file {}": (False, -50, {}, {}),
    "file null": (False, -50, b"null", {}),
    "NaN": (False, -50, b'{"0": NaN}', {}),
    "infinite": (False, -50, b'{"0": -Infinity}', {}),
    "1e999": (False, -50, b'{"0": -1e999}', {}),
    "true": (False, -50, {"0": True}, {}),
    "a text": (False, -50, {"0": "-120"}, {}),
    "'None' is not 'none'": (False, -50, {"0": "None"}, {}),
    "target NaN": (False, math.nan, {"0": -120}, {}),
    "target infinite": (False, -math.inf, {"0": -120}, {}),
    "target beyond physics": (False, -5000, NONE, {"curves": (sweep(-1900),)}),
    "file missing": (False, -50, None, {}),
    "file empty": (False, -50, b"", {}),
    "file truncated": (False, -50, b'{"0": -1', {}),
    "file of NUL bytes": (False, -50, b"\0\0\0\0", {}),
    "duplicate keys": (False, -50, b'{"0": -120, "0": -120}', {}),
    "not JSON": (False, -50, b"0: -120", {}),
    "there before": (False, -50, {"0": -120}, {"fresh": False}),
    "there before, no breakdown": (False, -50, NONE, {"fresh": False}),
    "two files": (False, -50, NONE, {"files": ("data/a/breakdowns.json", "data/b/breakdowns.json")}),
    "another module's key": (False, -50, {"C2HQ1": -120}, {}),
    "the module's name": (True, -50, {"C2HQ0": -120}, {}),
    "channel and name agree": (True, -50, {"0": -120, "C2HQ0": -120}, {}),
    "channel and name disagree": (False, -50, {"0": -120, "C2HQ0": -130}, {}),
    "a bare number, one module": (True, -50, b"-120", {}),
    "a bare number, two modules": (False, -50, b"-120", {"modules": TWO}),
    "the weakest chip counts": (False, -50, {"0": {"chip0": -120, "chip1": -40}}, {}),
    "all chips are good": (True, -50, {"0": {"chip0": -120, "chip1": -100}}, {}),
    "one chip without breakdown": (True, -50, {"0": {"chip0": -120, "chip1": None}}, {}),
    "nested chips": (False, -50, {"0": {"chip0": {"x": -120}}}, {}),
    "no margin": (False, -50, {"0": -50.0000001}, {}),
    "a margin of a step": (True, -50, {"0": -55}, {}),
    "less than a step": (False, -50, {"0": -54.9}, {}),
    "a margin of 1 V, in small steps": (True, -50, {"0": -51.1}, {"curves": (sweep(step_v=0.5),)}),
    "less than 1 V, in small steps": (False, -50, {"0": -50.9}, {"curves": (sweep(step_v=0.5),)}),
    "margin of 2 %": (False, -390, {"0": -395}, {"curves": (sweep(-450, 1.0),)}),
    "two modules, both good": (True, -50, {"0": -120, "1": -100}, {"modules": TWO}),
    "two modules, one weak": (False, -50, {"0": -120, "1": -40}, {"modules": TWO}),
    "two modules, one not told": (False, -50, {"0": -120}, {"modules": TWO}),
    "two modules, one without breakdown": (True, -50, {"0": -120, "1": None}, {"modules": TWO}),
    "two modules, one curve": (False, -50, {"0": -120, "1": None}, {"modules": TWO, "curves": (sweep(module="R1Q17"),)}),
    "two modules, a curve of neither": (False, -50, {"0": None, "1": None}, {"modules": TWO, "curves": (sweep(module=""),)}),
    "two modules, and a curve of one of them that ends early": (
        False, -50, {"0": None, "1": None}, {"modules": TWO, "curves": (*(sweep(module=each.name) for each in TWO), sweep(-30, module=""))},
    ),
    # what the curve says against it
    "a breakdown beyond the end of the curve": (False, -50, {"0": -120}, {"curves": (sweep(-80),)}),
    "a breakdown one step beyond the end": (True, -50, {"0": -85}, {"curves": (sweep(-80),)}),
    "-45000 V": (False, -50, {"0": -45000}, {}),
    "-1e6 V": (False, -50, {"0": -1e6}, {}),
    "at its compliance from -45 V on": (False, -50, NONE, {"curves": (limited(-45),)}),
    "at its compliance one step beyond": (False, -50, NONE, {"curves": (limited(-55),)}),
    "at its compliance two steps beyond": (True, -50, NONE, {"curves": (limited(-60),)}),
    "ended at -30 V, at its compliance": (False, -50, NONE, {"curves": (limited(-30, -30),)}),
    "the voltage stays at -30 V, at its compliance": (False, -50, NONE, {"curves": (sag(-30),)}),
    "at its compliance on the way back": (
        False, -50, NONE, {"curves": (replace(sweep(-80), points=(*sweep(-80).points, IvPoint(-40.0, -LIMIT_A), IvPoint(0.0, -1e-9))),)},
    ),
    "current more than doubles at -40 V": (False, -50, {"0": -65}, {"curves": (rising(-40, 2.01),)}),
    "current doubles, and not more": (True, -50, {"0": -65}, {"curves": (rising(-40, 2.0),)}),
    "current rises by 60 % a step from -40 V on": (True, -50, {"0": -65}, {"curves": (rising(-40, 1.6),)}),
    "current more than doubles beyond the bias and one step": (True, -50, {"0": -80}, {"curves": (rising(-60, 3.0),)}),
    "current more than doubles below 20 V": (True, -50, NONE, {"curves": (sweep(-80, amps=lambda volts: 1e-9 if abs(volts) < 15 else 1e-7),)}),
    "current doubles within 5 V, in steps of 1 V": (False, -50, {"0": -65}, {"curves": (rising(-40, 1.2, step_v=1.0),)}),
    "current more than doubles in a step of 10 V": (False, -40, NONE, {"curves": (rising(-40, 2.5, step_v=10.0),)}),
    "a step of 80 V": (False, -50, NONE, {"curves": (sweep(-80, 80.0),)}),
    "a first step to -60 V": (False, -50, NONE, {"curves": (replace(sweep(-80), points=sweep(-80).points[12:]),)}),
    "no reading at -50 V": (False, -50, NONE, {"curves": (sweep(-80, holes=(Hole(12, -50.0, "9.91e37"),)),)}),
    "no reading far beyond": (True, -50, NONE, {"curves": (sweep(-80, holes=(Hole(18, -80.0, "9.91e37"),)),)}),
    "no reading, nobody knows where": (False, -50, NONE, {"curves": (sweep(-80, holes=(Hole(18, None, "-999"),)),)}),
    "the voltage that was set": (False, -50, NONE, {"curves": (sweep(-80, is_set=True),)}),
    "a second ramp that ended at -30 V": (
        False, -50, NONE, {"curves": (replace(sweep(-80), points=(*sweep(-80).points, *sweep(-30).points)),)},
    ),
    "two ramps": (True, -50, NONE, {"curves": (replace(sweep(-80), points=(*sweep(-80).points, *sweep(-80).points)),)}),
    "both ways": (True, -50, NONE, {"curves": (replace(sweep(-80), points=(*sweep(-80).points, *sweep(-80).points[::-1])),)}),
    "two curves, one at its compliance": (False, -50, NONE, {"curves": (sweep(-80), limited(-30))}),
    "a curve that cannot be read": (False, -50, NONE, {"curves": (NotUnderstood("IV_C2HQ0.csv", "line 3: …", "C2HQ0"),)}),
    "one that is read beside one that cannot be": (False, -50, NONE, {"curves": (sweep(-80), NotUnderstood("b.csv", "line 3: …"))}),
    "one that is read beside what may be no curve": (
        True, -50, NONE, {"curves": (sweep(-80), NotUnderstood("temperatures.csv", "no heading is known", foreign=True))},
    ),
    "only what may be no curve": (False, -50, NONE, {"curves": (NotUnderstood("a.csv", "no heading", foreign=True),)}),
    "ten times as far as it was ordered": (False, -50, NONE, {"curves": (sweep(-800),), "ordered": -80.0}),
    "as far as it was ordered": (True, -50, NONE, {"curves": (sweep(-80),), "ordered": -80.0}),
    "no current at all": (True, -50, NONE, {"curves": (sweep(-80, amps=lambda _: 1.8e-316),)}),
    "noise below 1 nA": (True, -50, NONE, {"curves": (sweep(-80, amps=lambda volts: 1e-10 if abs(volts) % 10 else 5e-10),)}),
    "below 1 nA, and no noise": (False, -50, NONE, {"curves": (sweep(-80, amps=lambda volts: 1e-12 if abs(volts) < 40 else 9e-10),)}),
    "beyond its noise": (
        False, -50, NONE, {"curves": (sweep(-80, amps=lambda volts: (1e-11 if abs(volts) % 10 else 5e-11) if abs(volts) < 40 else 5e-10),)},
    ),
    "noise of too few readings": (False, -50, NONE, {"curves": (sweep(-80, 10.0, lambda volts: 1e-10 if abs(volts) % 20 else 5e-10),)}),
    "noise, and one large reading below 20 V": (
        False, -50, NONE, {"curves": (sweep(-80, amps=lambda volts: {0.0: 1e-12, 5.0: 8e-10}.get(abs(volts), 1e-12 if abs(volts) < 40 else 9e-10)),)},
    ),
    "a slope below 20 V is no noise": (False, -50, NONE, {"curves": (sweep(-80, amps=lambda volts: 1e-12 * abs(volts) * (1 if abs(volts) < 40 else 3)),)}),
    "no current from -40 V on": (False, -50, NONE, {"curves": (sweep(-80, amps=lambda volts: 1e-7 if abs(volts) < 40 else 0.0),)}),
    "no current from -10 V on": (False, -50, NONE, {"curves": (sweep(-80, amps=lambda volts: 1e-7 if abs(volts) < 10 else 0.0),)}),
    "an offset is left from -40 V on": (False, -50, NONE, {"curves": (sweep(-80, amps=lambda volts: 1e-7 if abs(volts) < 40 else 9e-9),)}),
    "no current from -60 V on": (True, -50, NONE, {"curves": (sweep(-80, amps=lambda volts: 1e-7 if abs(volts) < 60 else 0.0),)}),
    "forward first": (True, -50, NONE, {"curves": (replace(sweep(-80), points=(*sweep(3, 1.0).points, *sweep(-80).points)),)}),
    "first a reading at an old bias": (
        True, -50, NONE, {"curves": (replace(sweep(-80), points=(IvPoint(-50.0, -7e-7), *sweep(-80).points)),)},
    ),
    "brought down in steps of 40 V": (
        True, -50, NONE, {"curves": (replace(sweep(-80), points=(*sweep(-80).points, *sweep(-80).points[-6::-8], IvPoint(0.0, -1e-9))),)},
    ),
    "brought down in steps of 5 V, and it doubles": (
        False, -50, NONE, {"curves": (replace(sweep(-80, amps=lambda _: 1e-7), points=(*sweep(-80, amps=lambda _: 1e-7).points, *rising(-40, 2.5).points[::-1])),)},
    ),
    "a compliance that is not known": (False, -50, NONE, {"limit_a": None}),
    "a compliance of 10 A": (False, -50, NONE, {"limit_a": 10.0}),
    # where a site says that the file alone decides
    "the file alone": (True, -50, {"0": -120}, {"curves": (), "rule": FILE_ALONE}),
    "the file alone, ordered beyond": (True, -50, NONE, {"curves": (), "rule": FILE_ALONE, "ordered": -80.0}),
    "the file alone, ordered short": (False, -50, NONE, {"curves": (), "rule": FILE_ALONE, "ordered": -40.0}),
    "the file alone, ordered the other way": (False, -50, NONE, {"curves": (), "rule": FILE_ALONE, "ordered": 80.0}),
    "the file alone, end unknown": (False, -50, NONE, {"curves": (), "rule": FILE_ALONE}),
    "the file alone, end not a number": (False, -50, NONE, {"curves": (), "rule": FILE_ALONE, "ordered": math.nan}),
    "the file alone, too near": (False, -50, {"0": -50.9}, {"curves": (), "rule": FILE_ALONE}),
    "the file alone, beyond what was ordered": (False, -50, {"0": -450}, {"curves": (), "rule": FILE_ALONE, "ordered": -80.0}),
    "the file alone, -45000 V": (False, -50, {"0": -45000}, {"curves": (), "rule": FILE_ALONE}),
}  # fmt: skip


@pytest.mark.parametrize(("allowed", "target", "content", "more"), ROWS.values(), ids=ROWS)
def test_the_decision_table(allowed, target, content, more):
    decision = decided(target, content, **more)
    assert decision.allowed is allowed, decision.reason
    assert decision.reason
    assert decision.reason.isprintable()


SAID = {
    "both witnesses": (
        NONE, {"curves": (limited(-30),)},
        "curve of C2HQ0 at its compliance (10 µA) from 30 V on; breakdowns.json says none",
    ),
    "the curve ended": (
        NONE, {"curves": (sweep(-30),)},
        "curve of C2HQ0 ended at 30 V, short of -50 V and one step (5 V); breakdowns.json says none",
    ),
    "a curve that is read back a little short": (
        NONE, {"curves": (sweep(-54.9, 5.49),)},
        "curve of C2HQ0 ended at 54.9 V, short of -50 V and one step (5.49 V); sweep a step further; breakdowns.json says none",
    ),
    "a supply that tripped": (
        NONE, {"curves": (sweep(-80, amps=lambda volts: 1e-7 if abs(volts) < 40 else 0.0),)},
        "curve of C2HQ0 loses its current at 40 V: did the supply trip?; breakdowns.json says none",
    ),
    "a rise that may be noise": (
        NONE, {"curves": (sweep(-80, amps=lambda volts: 1e-12 if abs(volts) < 40 else 9e-10),)},
        ("curve of C2HQ0 more than doubles in 5 V at 40 V; if that is noise, measure it in a finer range; "
        "breakdowns.json says none"),
    ),
    "the file": (
        {"0": -40}, {},
        "C2HQ0 breaks down at -40 V: a bias of -50 V is not safely below that; curve of C2HQ0 reached 150 V",
    ),
    "both against it": (
        {"0": -40}, {"curves": (limited(-30),)},
        ("C2HQ0 breaks down at -40 V: a bias of -50 V is not safely below that; "
        "curve of C2HQ0 at its compliance (10 µA) from 30 V on"),
    ),
    "unread": (
        NONE, {"curves": (NotUnderstood("data/03-iv/IV.csv", "line 3: a quote is not closed"),)},
        "curve of C2HQ0 cannot be read: IV.csv, line 3: a quote is not closed; breakdowns.json says none",
    ),
    "two files": (
        NONE, {"files": ("data/03-iv/breakdowns.json", "data/03-iv/later/breakdowns.json")},
        ("there are 2 files breakdowns.json, data/03-iv/breakdowns.json and data/03-iv/later/breakdowns.json; "
        "curve of C2HQ0 reached 150 V"),
    ),
    "allowed": (
        {"0": -120}, {}, "breakdown at -120 V, bias is -50 V; curve of C2HQ0 reached 150 V",
    ),
    "allowed by the file alone": (
        NONE, {"curves": (), "rule": FILE_ALONE, "ordered": -80.0},
        ("no breakdown found up to -80 V, as ordered, bias is -50 V; "
        "breakdowns.json alone decided, as 'bias: {witnesses: breakdowns}' has it"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "more", "reason"), SAID.values(), ids=SAID)
def test_the_reason_names_both_witnesses(content, more, reason):
    assert decided(-50, content, **more).reason == reason


def test_a_sign_that_differs_names_the_setting():
    assert "bias: {sign: magnitude}" in decided(-50, {"0": 120}).reason


def test_an_unknown_end_names_the_option_where_the_file_alone_decides():
    assert "max_voltage" in decided(-50, NONE, curves=(), rule=FILE_ALONE).reason


def test_a_bench_without_high_voltage_is_not_biased():
    assert not decide((), Witnesses(Breakdowns(b"{}")), SAME).allowed


def test_what_a_curve_shows_below_the_bias_is_told_where_it_is_allowed():
    told = decided(-50, {"0": -65}, curves=(rising(-40, 1.6),))
    assert told.allowed
    assert told.notes == (
        "curve of C2HQ0 rises by 60 % in 5 V from 40 V on, below the bias of -50 V and one step",
    )
    silent = decided(-50, NONE, curves=(sweep(-80, amps=lambda _: 0.0),))
    assert silent.notes == ("curve of C2HQ0 has no current at all: was HV connected?",)
    assert decided(-50, NONE).notes == ()


def test_each_supply_is_decided_for_itself_and_one_that_may_not_keeps_the_bench_unbiased():
    supplies = tuple(
        BiasSupply(name, -50, (module,), LIMIT_A) for name, module in zip("ab", TWO, strict=True)
    )
    good = tuple(sweep(module=each.name) for each in TWO)
    assert decide(supplies, Witnesses(Breakdowns(b'{"0": -120, "1": -120}'), good), SAME).allowed
    for left, weak in (
        (Witnesses(Breakdowns(b'{"0": -120, "1": -40}'), good), "R1Q18 breaks down at -40 V"),
        (
            Witnesses(Breakdowns(b'{"0": null, "1": null}'), (good[0], limited(-30, module="R1Q18"))),
            "curve of R1Q18",
        ),
    ):
        told = decide(supplies, left, SAME)
        assert [each.allowed for each in told.supplies] == [True, False]
        assert not told.allowed
        assert told.reason.startswith(weak)
        assert "(supply b)" in told.reason


# The search for holes: curves and files of every shape, judged by a rule that is written a second time


VOLTS = st.floats(-1500, 1500) | st.integers(-1500, 1500)
JUNK = (
    st.none() | st.booleans() | st.text(max_size=4) | st.lists(VOLTS, max_size=2)
    | st.sampled_from([999, "none", 9.91e37, -45000, 1e-320])
)  # fmt: skip
ENTRIES = VOLTS | JUNK | st.dictionaries(st.sampled_from(["chip0", "chip1"]), VOLTS | JUNK)
AMPS = st.sampled_from(
    [0.0, 1e-9, 1e-7, 1.15e-7, 1.3e-7, 1.9e-7, 2.5e-7, 5e-7, 3e-6, 9.7e-6, 9.81e-6, 1e-5, -1e-7]
)


@st.composite
def any_curves(draw):
    """Make curves: sweeps in any steps, forth and back, with wavering voltages, jumps of the current, and an end anywhere."""
    made = []
    for _ in range(draw(st.integers(0, 2))):
        points, volts = [], draw(st.sampled_from([0.0, 0.0, 0.0, -5.0, -60.0, 5.0]))
        base = draw(AMPS)
        for _ in range(draw(st.integers(0, 3))):
            step = draw(st.sampled_from([-5.0, -5.0, -2.0, -10.0, -40.0, 5.0]))
            jump = draw(st.integers(0, 30))
            for place in range(draw(st.integers(1, 24))):
                base = draw(AMPS) if place == jump else base
                points.append(IvPoint(volts + draw(st.sampled_from([0.0, 0.0, 0.02])), -base))
                volts += step
        module = draw(st.sampled_from(["C2HQ0", ""]))
        made.append(IvCurve("IV.csv", module, tuple(points)))
    if draw(st.integers(0, 9)) == 0:
        made.append(NotUnderstood("b.csv", "line 3", foreign=draw(st.booleans())))
    return tuple(made)


def least_of_all_evidence(target, content, curves, rule):
    """Give the voltage up to which every witness vouches; 0 if one of them does not, written without the code that decides."""
    along = -1 if target < 0 else 1
    entry = content.get("0", content.get("C2HQ0", "missing"))
    values = list(entry.values()) if isinstance(entry, dict) else [entry]
    if not values or ("0" in content and "C2HQ0" in content and content["0"] != content["C2HQ0"]):
        return 0.0
    known = []
    for value in values:
        if value is None or value in ("none", 999, -999):
            continue
        if type(value) not in (int, float) or value == 0 or (rule.sign == "same" and value * along < 0):
            return 0.0
        known.append(abs(value))
    if not any(isinstance(each, IvCurve) for each in curves):
        return 0.0
    vouched = [each - max(1.0, 0.02 * each) for each in known]
    for curve in curves:
        if isinstance(curve, NotUnderstood):
            if not curve.foreign:
                return 0.0
            continue
        read = [
            (abs(p.voltage_v) if rule.sign == "magnitude" else along * p.voltage_v, abs(p.current_a))
            for p in curve.points
        ]
        reached = max((volts for volts, _ in read), default=0.0)
        vouched.append(reached)
        vouched += [volts for volts, amps in read if amps >= 0.98 * LIMIT_A]
        for one, other in pairwise(read):
            (low_v, low_a), (high_v, high_a) = sorted((one, other))
            if (
                low_v >= 20.0
                and 0 < high_v - low_v <= 5.0
                and high_a > 1e-12
                and high_a > 2.0 * low_a * (1 + 1e-6)
            ):
                vouched.append(high_v)
        if any(each > reached + 40.0 for each in known):
            return 0.0  # seen where nothing was measured, in steps of 40 V at most
    return max(min(vouched), 0.0)


@given(
    st.sampled_from([-50.0, -80.0, -20.0, -100.0, 50.0]) | VOLTS,
    st.dictionaries(st.sampled_from(["0", "C2HQ0", "x"]), ENTRIES) | st.sampled_from([{"0": None}, {"0": -65}, {"0": -200}]),
    any_curves(),
    st.sampled_from([SAME, MAGNITUDE, FORWARD]),
)  # fmt: skip
def test_no_bias_is_above_the_least_of_all_evidence(target, content, curves, rule):
    decision = decided(target, content, curves=curves, rule=rule)
    if decision.allowed:
        assert target < 0 or rule.allow_forward
        assert abs(target) < least_of_all_evidence(target, content, curves, rule)


@given(
    st.sampled_from([(-50.0, -80.0), (-20.0, -80.0), (-120.0, -350.0), (-80.0, -350.0), (-300.0, -350.0)]),
    st.sampled_from([1.0, 2.0, 5.0, 10.0]),
    st.floats(1e-9, 1e-6),
    st.sampled_from([60.0, 5.0, 30.0]),
    st.sampled_from([None, 999, "none", "beyond"]),
    st.booleans(),
)
def test_a_healthy_sensor_of_either_kind_is_biased(volts, step_v, base_a, depleted_v, said, both_ways):
    target, end = volts

    def amps(at):
        return 1e-10 + base_a * (math.sqrt(min(abs(at), depleted_v) / depleted_v) + 0.002 * abs(at))

    curve = sweep(end, step_v, amps)
    if both_ways:
        curve = replace(curve, points=(*curve.points, *curve.points[-2::-1]))
    content = {"0": end if said == "beyond" else said}
    decision = decided(target, content, curves=(curve,), ordered=end)
    assert decision.allowed, decision.reason
    assert decision.notes == ()


@given(
    st.sampled_from([(-50.0, -80.0), (-120.0, -350.0)]),
    st.floats(0.05, 0.9),
    st.sampled_from([1.0, 2.0, 5.0]),
)
def test_a_sensor_that_breaks_down_below_its_bias_is_never_biased_though_the_file_says_none(
    volts, share, step_v
):
    """dirigent judges beyond 60 V only: of a breakdown before that its file knows nothing."""
    target, end = volts
    breakdown = max(abs(target) * share, 20.0)

    def amps(at):
        return min(LIMIT_A, 1e-7 * (1 + 0.5 * math.exp(min((abs(at) - breakdown) / 2.0, 60.0))))

    assert not decided(target, NONE, curves=(sweep(end, step_v, amps),)).allowed


PICOAMPERES = st.lists(st.floats(0.0, 60e-12), min_size=17, max_size=17)


@given(PICOAMPERES, st.integers(5, 11), st.floats(13.0, 20.0), st.booleans())
def test_a_breakdown_that_is_larger_than_the_noise_of_its_curve_is_never_biased(noise, place, factor, stays):
    """However small it is: a sensor that is cold and dry has some pA, and breaks down from there."""
    largest = max(*noise, 2e-12)

    def amps(volts):
        at = round(abs(volts) / 5.0)
        return largest * factor if at == place or (stays and at > place) else noise[at]

    if largest * factor < 1e-9:
        assert not decided(-50, NONE, curves=(sweep(-80, amps=amps),)).allowed


@given(st.floats(0.0, 9e-10), st.floats(0.0, 9e-10))
def test_a_healthy_sensor_of_which_only_noise_is_read_is_biased(one, other):
    def amps(volts):
        return other if round(abs(volts) / 5.0) % 2 else one

    assert decided(-50, NONE, curves=(sweep(-80, amps=amps),)).allowed


@given(st.floats(1e-9, 1e-6), st.integers(2, 11), st.floats(0.0, 0.09), st.booleans())
def test_a_supply_that_tripped_on_the_way_is_never_biased(base, place, left, nothing):
    def amps(volts):
        at = round(abs(volts) / 5.0)
        return base if at < place else 0.0 if nothing or place <= 4 else base * left

    assert not decided(-50, NONE, curves=(sweep(-80, amps=amps),)).allowed


@given(st.binary(max_size=60), VOLTS)
def test_no_content_is_an_exception(raw, target):
    assert decided(target, raw).reason
