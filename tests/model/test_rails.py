"""The rails move in one order only: all present states, all wanted ones."""

import itertools
import math

import pytest

from calseq.model.rails import BIASED, BOTH_OFF, POWERED, Hv, Lv, Move, Rails, Reading, Readings, moves

STATES = (True, False, None)
VOLTAGES = (None, 0.0, -1.0, 2.0, -3.0, math.nan, -350.0)
PRESENT = [
    Readings(Reading(lv, lv_v), Reading(hv, hv_v))
    for lv, lv_v, hv, hv_v in itertools.product(STATES, (None, 0.0, 4.0, math.nan), STATES, VOLTAGES)
]
WANTED = (BOTH_OFF, POWERED, BIASED)


def applied(present, move):
    if move is Move.HV_OFF:
        return Readings(present.lv, Reading(on=False, voltage_v=0.0))
    if move is Move.HV_BIAS:
        return Readings(present.lv, Reading(on=True, voltage_v=-50.0))
    return Readings(Reading(on=move is Move.LV_ON), present.hv)


@pytest.mark.parametrize("wanted", WANTED)
def test_every_path_reaches_what_is_wanted_in_the_only_safe_order(wanted):
    for present in PRESENT:
        state = present
        for move in moves(present, wanted):
            if move in (Move.LV_ON, Move.LV_OFF):
                assert state.hv_gone, (present, wanted)
            if move is Move.HV_BIAS:
                assert state.lv.on is True
                assert state.hv_gone, (present, wanted)
            state = applied(state, move)
        assert state.lv.on is (wanted.lv is Lv.ON), (present, wanted)
        assert state.hv.on is (wanted.hv is Hv.BIAS), (present, wanted)
        assert moves(state, wanted) == ()
        if wanted.hv is Hv.OFF:
            assert state.hv_gone


def test_no_path_is_longer_than_it_must_be():
    for present in PRESENT:
        for wanted in WANTED:
            path = moves(present, wanted)
            assert len(path) == len(set(path)) <= 3
            assert (Move.HV_OFF in path) <= (not present.hv_gone)
    assert moves(Readings(Reading(True), Reading(False, 0.0)), POWERED) == ()
    assert moves(Readings(Reading(True), Reading(True, -50.0)), BIASED) == ()


def test_a_supply_that_is_off_but_not_yet_discharged_is_let_down_and_biased_again():
    present = Readings(Reading(True), Reading(False, -30.0))
    assert moves(present, BIASED) == (Move.HV_OFF, Move.HV_BIAS)


def test_a_bias_without_low_voltage_cannot_be_written_down():
    with pytest.raises(ValueError, match="low voltage"):
        Rails(Lv.OFF, Hv.BIAS)


def test_all_off_means_confirmed_off():
    off = [present for present in PRESENT if present.all_off]
    assert off
    for present in off:
        assert present.lv.on is False
        assert present.hv.on is False
        assert present.hv.voltage_v is None or abs(present.hv.voltage_v) <= 2
