"""Every row of the decision table: bias only if it is known to be safe."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calseq.bias import Breakdowns, decide
from calseq.plan import BiasRule, BiasSupply, Module

SAME, MAGNITUDE, FORWARD = BiasRule(), BiasRule(sign="magnitude"), BiasRule(allow_forward=True)
ONE = (Module("0", "C2HQ0"),)
TWO = (Module("0", "R1Q17"), Module("1", "R1Q18"))


def decided(target, content, *, sweep=None, rule=SAME, modules=ONE, fresh=True):
    raw = content if isinstance(content, bytes) or content is None else json.dumps(content).encode()
    return decide((BiasSupply("hv_1", target, modules),), Breakdowns(raw, fresh), sweep, rule)


ROWS = {
    "-50 below -120": (True, -50, {"0": -120}, {}),
    "equal": (False, -50, {"0": -50}, {}),
    "beyond the breakdown": (False, -50, {"0": -30}, {}),
    "the numeric trap -350 < -80": (False, -350, {"0": -80}, {}),
    "-80 below -350": (True, -80, {"0": -350}, {}),
    "signs differ": (False, -50, {"0": 120}, {}),
    "signs differ, magnitudes": (True, -50, {"0": 120}, {"rule": MAGNITUDE}),
    "forward bias": (False, 50, {"0": 120}, {}),
    "forward bias, allowed": (True, 50, {"0": 120}, {"rule": FORWARD}),
    "forward bias, allowed, signs differ": (False, 50, {"0": -120}, {"rule": FORWARD}),
    "zero target": (False, 0, {"0": -120}, {}),
    "no breakdown, swept": (True, -50, {"0": None}, {"sweep": -80}),
    "no breakdown 999, swept": (True, -50, {"0": 999}, {"sweep": -80}),
    "no breakdown -999, swept": (True, -50, {"0": -999}, {"sweep": -80}),
    "no breakdown 'none', swept": (True, -50, {"0": "none"}, {"sweep": -80}),
    "no breakdown, swept to the target": (True, -50, {"0": None}, {"sweep": -50}),
    "no breakdown, swept short": (False, -50, {"0": None}, {"sweep": -40}),
    "no breakdown -999, swept short": (False, -50, {"0": -999}, {"sweep": -40}),
    "no breakdown, swept the other way": (False, -50, {"0": None}, {"sweep": 80}),
    "no breakdown, end unknown": (False, -50, {"0": None}, {}),
    "no breakdown, end not finite": (False, -50, {"0": None}, {"sweep": math.inf}),
    "no breakdown, end not a number": (False, -50, {"0": None}, {"sweep": math.nan}),
    "breakdown 0": (False, -50, {"0": 0}, {"sweep": -80}),
    "breakdown ''": (False, -50, {"0": ""}, {"sweep": -80}),
    "missing key": (False, -50, {"1": -120}, {"sweep": -80}),
    "breakdown []": (False, -50, {"0": []}, {"sweep": -80}),
    "breakdown {}": (False, -50, {"0": {}}, {"sweep": -80}),
    "file []": (False, -50, [], {"sweep": -80}),
    "file {}": (False, -50, {}, {"sweep": -80}),
    "file null": (False, -50, b"null", {"sweep": -80}),
    "NaN": (False, -50, b'{"0": NaN}', {"sweep": -80}),
    "infinite": (False, -50, b'{"0": -Infinity}', {"sweep": -80}),
    "1e999": (False, -50, b'{"0": -1e999}', {"sweep": -80}),
    "true": (False, -50, {"0": True}, {"sweep": -80}),
    "a text": (False, -50, {"0": "-120"}, {"sweep": -80}),
    "'None' is not 'none'": (False, -50, {"0": "None"}, {"sweep": -80}),
    "target NaN": (False, math.nan, {"0": -120}, {}),
    "target infinite": (False, -math.inf, {"0": -120}, {}),
    "file missing": (False, -50, None, {"sweep": -80}),
    "file empty": (False, -50, b"", {"sweep": -80}),
    "file truncated": (False, -50, b'{"0": -1', {"sweep": -80}),
    "file of NUL bytes": (False, -50, b"\0\0\0\0", {"sweep": -80}),
    "duplicate keys": (False, -50, b'{"0": -120, "0": -120}', {"sweep": -80}),
    "not JSON": (False, -50, b"0: -120", {"sweep": -80}),
    "stale": (False, -50, {"0": -120}, {"fresh": False}),
    "stale, no breakdown": (False, -50, {"0": None}, {"fresh": False, "sweep": -80}),
    "another module's key": (False, -50, {"C2HQ1": -120}, {}),
    "the module's name": (True, -50, {"C2HQ0": -120}, {}),
    "channel and name agree": (True, -50, {"0": -120, "C2HQ0": -120}, {}),
    "channel and name disagree": (False, -50, {"0": -120, "C2HQ0": -130}, {}),
    "a bare number, one module": (True, -50, b"-120", {}),
    "a bare number, two modules": (False, -50, b"-120", {"modules": TWO}),
    "the weakest chip counts": (False, -50, {"0": {"chip0": -120, "chip1": -40}}, {}),
    "all chips are good": (True, -50, {"0": {"chip0": -120, "chip1": -100}}, {}),
    # The other chip's breakdown tells how far the curve went.
    "one chip without breakdown, unswept": (True, -50, {"0": {"chip0": -120, "chip1": None}}, {}),
    "nested chips": (False, -50, {"0": {"chip0": {"x": -120}}}, {}),
    "no margin": (False, -50, {"0": -50.0000001}, {}),
    "a margin of more than 1 V": (True, -50, {"0": -51.1}, {}),
    "less than 1 V": (False, -50, {"0": -50.9}, {}),
    "margin of 2 %": (False, -390, {"0": -395}, {}),
    "two modules, both good": (True, -50, {"0": -120, "1": -100}, {"modules": TWO}),
    "two modules, one weak": (False, -50, {"0": -120, "1": -40}, {"modules": TWO}),
    "two modules, one not told": (False, -50, {"0": -120}, {"modules": TWO}),
    "two modules, one without breakdown, unswept": (False, -50, {"0": -120, "1": None}, {"modules": TWO}),
    "two modules, one without breakdown, swept": (True, -50, {"0": -120, "1": None}, {"modules": TWO, "sweep": -60}),
}  # fmt: skip


@pytest.mark.parametrize(("allowed", "target", "content", "more"), ROWS.values(), ids=ROWS)
def test_the_decision_table(allowed, target, content, more):
    decision = decided(target, content, **more)
    assert decision.allowed is allowed
    assert decision.reason
    assert decision.reason.isprintable()


def test_a_sign_that_differs_names_the_setting():
    assert "bias: {sign: magnitude}" in decided(-50, {"0": 120}).reason


def test_an_unknown_end_names_the_option():
    assert "max_voltage" in decided(-50, {"0": None}).reason


def test_a_bench_without_high_voltage_is_not_biased():
    assert not decide((), Breakdowns(b"{}"), -80, SAME).allowed


def test_one_supply_that_may_not_be_biased_keeps_all_off():
    supplies = (BiasSupply("a", -50, (Module("0"),)), BiasSupply("b", -50, (Module("1"),)))
    assert decide(supplies, Breakdowns(b'{"0": -120, "1": -120}'), None, SAME).allowed
    assert not decide(supplies, Breakdowns(b'{"0": -120, "1": -40}'), None, SAME).allowed


VOLTS = st.floats(-1500, 1500) | st.integers(-1500, 1500)
JUNK = (
    st.none()
    | st.booleans()
    | st.text(max_size=4)
    | st.lists(VOLTS, max_size=2)
    | st.just(999)
    | st.just("none")
)
ENTRIES = VOLTS | JUNK | st.dictionaries(st.sampled_from(["chip0", "chip1"]), VOLTS | JUNK)


@given(
    VOLTS,
    st.dictionaries(st.sampled_from(["0", "1", "R1Q17", "R1Q18", "x"]), ENTRIES),
    st.none() | VOLTS,
    st.sampled_from([SAME, MAGNITUDE, FORWARD]),
)
def test_bias_is_never_allowed_at_or_beyond_any_breakdown(target, content, sweep, rule):
    decision = decided(target, content, sweep=sweep, rule=rule, modules=TWO)
    if not decision.allowed:
        return
    assert target < 0 or rule.allow_forward
    for module in TWO:
        entry = content[module.channel] if module.channel in content else content[module.name]
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            if value is None or value in ("none", 999, -999):
                continue
            assert type(value) in (int, float)
            assert abs(target) < abs(value)
            assert rule.sign == "magnitude" or value * target > 0


@given(st.binary(max_size=60), VOLTS, st.none() | VOLTS)
def test_no_content_is_an_exception(raw, target, sweep):
    assert decided(target, raw, sweep=sweep).reason
