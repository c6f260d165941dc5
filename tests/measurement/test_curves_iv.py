"""The figures of an IV curve are what a person works out by hand."""

import pytest
from curve_texts import DOUBLE, MODULES, curve, curved_plan, rising
from msgspec.structs import replace

from calseq.measurement.curves import Hole
from calseq.measurement.iv import (
    Breakdown,
    Told,
    agree,
    area_cm2,
    figures,
    figures_in,
    find_breakdown,
    module_of,
)
from calseq.model.plan import BiasSupply, Module
from calseq.planning.bias import told_of


def sweep(*currents_na, start=0, step=5):
    """Make a sweep in negative volts from currents in nA."""
    return curve(*((-(start + step * place), -amps * 1e-9) for place, amps in enumerate(currents_na)))


def broken(made):
    return figures(made).breakdown


FLAT = [100] * 17


def test_a_flat_curve_has_no_breakdown():
    assert broken(sweep(*FLAT)) == Breakdown(None, "none up to 80 V")


@pytest.mark.parametrize(
    ("last", "found_v"), [(120.0, None), (120.1, 80), (119.9, None), (1200, 80), (80, None)]
)
def test_more_than_20_percent_is_a_breakdown_and_20_percent_exactly_is_not(last, found_v):
    assert broken(sweep(*FLAT[:-1], last)).bias_v == found_v


@pytest.mark.parametrize("base", [0.1, 0.3, 0.7, 1, 3, 7, 11, 123.456, 1e5])
def test_20_percent_exactly_is_not_more_whatever_the_last_digit(base):
    assert broken(sweep(*[base] * 16, base * 1.2)).bias_v is None


def test_nothing_counts_up_to_60_v():
    assert broken(sweep(*[100] * 12, 1000, 1000, 1000, 1000, 1000)).bias_v is None  # 55 V to 60 V


def test_the_step_from_60_v_to_65_v_counts():
    assert broken(sweep(*[100] * 13, 121, 121, 121, 121)).bias_v == 65


def test_the_first_breakdown_is_told():
    assert broken(sweep(*[100] * 14, 150, 100, 500)).bias_v == 70


def test_a_sweep_that_ends_before_says_that_it_is_not_defined():
    assert broken(rising(60)) == Breakdown(
        None, "undefined: ends at 60 V, and is judged beyond 60 V", defined=False
    )
    assert broken(curve()) == Breakdown(None, "undefined: no sweep to judge", defined=False)


def test_steps_of_2_v_are_compared_with_the_value_interpolated_5_v_before():
    # 100 nA up to 70 V, then 8 nA more per volt: at 74 V 132 nA, and 69 V has 100 nA; at 72 V 116 nA, and 67 V has 100
    currents = [100 + max(0, 8 * (2 * place - 70)) for place in range(46)]
    assert broken(sweep(*currents, step=2)).bias_v == 74


def test_steps_of_2_v_do_not_find_what_5_v_would_not():
    currents = [100 * 1.035 ** max(0, place - 30) for place in range(46)]  # 3.5 % per 2 V: 9 % per 5 V
    assert broken(sweep(*currents, step=2)).bias_v is None


@pytest.mark.parametrize("step", [10, 6, 5.3])
def test_larger_steps_are_said_and_nothing_is_guessed(step):
    made = broken(sweep(*[100] * 12, 500, step=step))
    assert made == Breakdown(None, f"undefined: steps of {step:g} V, not 5 V", defined=False)


def test_larger_steps_below_60_v_do_not_matter():
    points = [(0, 0), (-30, -1e-7), (-60, -1e-7), (-65, -1e-7), (-70, -2e-7)]
    assert broken(curve(*points)).bias_v == 70


def test_measured_voltages_need_not_be_round():
    points = [(-5.03 * place, -1e-7 if place < 16 else -2e-7) for place in range(17)]
    assert broken(curve(*points)).bias_v == pytest.approx(80.48)


def test_noise_is_judged_by_the_definition_and_said_to_be_noise():
    noisy = sweep(*[0.01] * 15, 0.02, 0.01)
    made = figures(noisy, module_type="1x2")
    assert made.breakdown.bias_v == 75
    assert made.notes == ("the breakdown is of currents below 1 nA: it may be noise",)


def test_there_are_no_percent_of_zero():
    assert broken(sweep(*[0] * 15, 5, 5)).bias_v is None


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (sweep(*[0] * 17), "the current 5 V before 65 V is zero"),
        (sweep(*[0] * 15, 5, 5), "the current 5 V before 65 V is zero"),
        (sweep(*[100] * 14, 0, 5, 5), "the current 5 V before 75 V is zero"),
        (sweep(100, start=80), "nothing was measured 5 V before 80 V"),
        (sweep(100, 100, 100, start=70), "nothing was measured 5 V before 70 V"),
        (sweep(*[100] * 4, start=62, step=1), "nothing was measured 5 V before 62 V"),
        (curve((0, 0), (-58, -1e-7), (-60, -1e-7), (-62, -1e-7)), "nothing was measured 5 V before 62 V"),
    ],
)
def test_where_nothing_could_be_compared_it_is_not_defined_and_why_is_said(made, why):
    assert broken(made) == Breakdown(None, f"undefined: {why}", defined=False)


def test_a_rise_that_was_seen_counts_whatever_could_not_be_compared_before():
    assert broken(sweep(*[0] * 14, 1, 2, 2)).bias_v == 75


@pytest.mark.parametrize("at_v", [25, 80, 100, 120])
def test_a_voltage_is_reached_though_the_supply_reads_back_a_little_less(at_v):
    def last(bias_v):
        points = [(0, 0), (-bias_v / 2, -1e-7), (-bias_v, -2e-7)]
        found = {each.bias_v: each.current_a for each in figures(curve(*points)).at}
        return found[at_v]

    assert last(at_v - 0.008) == last(at_v - 0.25) == 2e-7
    assert last(at_v - 0.26) is None


def test_the_first_point_stands_for_a_voltage_that_it_misses_by_little():
    assert figures(curve((-25.2, -1e-7), (-40, -1e-7))).at[0].current_a == 1e-7
    assert figures(curve((-25.3, -1e-7), (-40, -1e-7))).at[0].current_a is None


def test_a_working_point_is_reached_though_the_supply_reads_back_a_little_less():
    made = figures(curve((0, 0), (-40, -1e-7), (-79.992, -2e-7)), working_v=-80)
    assert made.working.current_a == 2e-7


def test_60_v_is_not_beyond_60_v_though_the_supply_reads_back_a_little_more():
    points = [(-5 * place * 60.004 / 60, -1e-7 if place < 12 else -2e-7) for place in range(13)]
    assert broken(curve(*points)).said == "undefined: ends at 60.004 V, and is judged beyond 60 V"
    assert broken(curve(*points, (-65, -2e-7), (-70, -2e-7))).said == "none up to 70 V"
    assert broken(curve(*points, (-65, -3e-7))).bias_v == 65


@pytest.mark.parametrize(
    ("content", "volts"),
    [
        ('{"0": -40.0}', -40), ('{"C2HQ0": -40}', -40), ("-40", -40), ('{"0": {"0": -90, "1": -70, "2": null}}', -70),
        ('{"0": 70}', 70), ('{"0": null}', None), ('{"0": "none"}', None), ('{"0": 999}', None), ('{"0": -999.0}', None),
    ],
)  # fmt: skip
def test_what_breakdowns_json_says_of_a_module(content, volts):
    assert told_of(content.encode(), DOUBLE, 1) == Told(volts)


@pytest.mark.parametrize(
    "content",
    ["", "{", '{"1": -40}', '{"0": "x"}', '{"0": 0}', '{"0": true}', '{"0": {}}', '{"0": -40, "C2HQ0": -50}', "[]",
     '{"0": NaN}', '{"0": [-40]}', '{"0": {"0": -40, "1": "?"}}', "\0", "{" * 5000],
)  # fmt: skip
def test_what_cannot_be_understood_in_breakdowns_json_is_not_told(content):
    assert told_of(content.encode(), DOUBLE, 1) is None
    assert told_of(b"\xff", DOUBLE, 1) is None


def test_a_bare_number_is_nobodys_where_there_are_two_modules():
    assert told_of(b"-40", DOUBLE, 2) is None


@pytest.mark.parametrize(
    ("found", "told", "same"),
    [
        (Breakdown(70), Told(-70.2), True), (Breakdown(70), Told(74), True), (Breakdown(70), Told(-75), False),
        (Breakdown(70), Told(None), False), (Breakdown(said="none up to 80 V"), Told(None), True),
        (Breakdown(said="none up to 80 V"), Told(-40), False), (Breakdown(said="undefined: x", defined=False), Told(None), False),
    ],
)  # fmt: skip
def test_they_agree_if_they_are_less_than_a_step_apart(found, told, same):
    assert agree(found, told) is same


def test_of_a_sweep_both_ways_the_way_up_counts():
    up = [(-5 * place, -1e-7) for place in range(17)]
    down = [(-5 * place, -9e-7 if place > 13 else -1e-8) for place in reversed(range(16))]
    made = figures(curve(*up, *down), module_type="1x2")
    assert made.breakdown == Breakdown(None, "none up to 80 V")
    assert [point.current_a for point in made.way_up] == [1e-7] * 17
    assert made.at[0].current_a == 1e-7
    assert made.notes == ("a sweep both ways: the figures are of the way up",)


def test_currents_are_interpolated_between_their_two_neighbours_and_never_beyond():
    made = figures(curve((0, 0), (-20, -2e-6), (-30, -4e-6), (-80, -5e-6)))
    assert [(each.bias_v, each.current_a) for each in made.at] == [
        (25, pytest.approx(3e-6)), (80, 5e-6), (100, None), (120, None),
    ]  # fmt: skip
    assert made.reached_v == 80


def test_no_current_is_told_before_the_first_point():
    assert figures(curve((-30, -1e-7), (-40, -1e-7))).at[0].current_a is None


def test_density_is_per_area_of_the_module_type():
    assert figures(rising(), module_type="1x2").density(7.85e-6) == pytest.approx(1.0)
    assert figures(rising(), module_type="2x2").density(15.41e-6) == pytest.approx(1.0)
    assert (area_cm2("1x2"), area_cm2("2x2"), area_cm2("")) == (7.85, 15.41, None)
    for type_, said in (
        ("3x3", "the area of a module of type '3x3' is not known"),
        ("", "modules.json does not tell the type of the module"),
    ):
        made = figures(rising(), module_type=type_)
        assert made.density(1e-6) is None
        assert made.notes == (f"no current per cm²: {said}",)


def test_the_working_point_and_the_compliance():
    made = figures(rising(80, base_a=1e-6, broken_from_v=70), working_v=-50, compliance_a=4e-6)
    assert (made.working.bias_v, made.working.current_a) == (50, pytest.approx(1.05e-6))
    assert made.limited_at_v == 75  # 1.075 µA doubled twice is 4.3 µA
    assert figures(rising(), working_v=-120).working.current_a is None
    assert figures(rising(), compliance_a=1e-5).limited_at_v is None


def test_a_supply_that_limits_reads_a_little_less_than_its_compliance():
    assert figures(sweep(*[100] * 16, 981), compliance_a=1e-6).limited_at_v == 80
    assert figures(sweep(*[100] * 16, 979), compliance_a=1e-6).limited_at_v is None


def test_a_forward_sweep_has_no_figures_and_says_why():
    made = figures(curve(*((5 * place, 1e-7 * place) for place in range(17))), working_v=-50)
    assert made.way_up == ()
    assert made.breakdown.defined is False
    assert all(each.current_a is None for each in made.at)
    assert made.notes[0] == (
        "no figures: it goes the other way than the bias: forward, or written without its sign"
    )


def test_where_the_bias_is_positive_so_is_reverse():
    made = figures(curve(*((5 * place, 1e-7) for place in range(17))), module_type="1x2", working_v=50)
    assert made.reached_v == 80
    assert made.notes == ()


def test_points_at_forward_bias_do_not_count_and_are_said():
    made = figures(curve((2, 1e-3), (1, 1e-4), (0, 0), (-40, -1e-7), (-80, -2e-7)), module_type="1x2")
    assert [point.bias_v for point in made.way_up] == [0, 40, 80]
    assert made.notes == ("2 of 5 points are at forward bias, and not in the figures",)


def test_a_zero_that_is_not_quite_zero_is_no_forward_bias():
    assert figures(curve((0.02, 1e-12), (-40, -1e-7)), module_type="1x2").notes == ()


def test_currents_of_the_other_sign_are_said():
    made = figures(curve((0, 0), (-40, 1e-7), (-80, -1e-7)), module_type="1x2")
    assert made.notes == ("1 of 3 currents have the other sign than their voltage",)
    assert made.at[1].current_a == 1e-7


def test_a_voltage_that_goes_back_gives_no_figures():
    made = figures(curve(*((each, -1e-7) for each in (0, -20, -10, -40))), module_type="1x2")
    assert made.way_up == ()
    assert made.notes == ("no figures: the voltage does not rise from point to point",)


@pytest.mark.parametrize(
    ("volts", "kept", "note"),
    [
        ((0, -40, -40, -80), (0, 40, 80), "measured again at the voltage before, and not in the figures: 1 of 4 points"),
        ((0, 0, -5, -5), (0, 5), "measured again at the voltage before, and not in the figures: 2 of 4 points"),
        ((0, -70, -70.1, -70.08, -70.12, -70.05), (0, 70, 70.1, 70.12), "measured again at the voltage before, and not in the figures: 2 of 6 points"),
    ],
    ids=["twice", "pairs", "compliance"],
)  # fmt: skip
def test_what_is_measured_again_at_a_voltage_is_left_out_and_said(volts, kept, note):
    made = figures(
        curve(*((each, -1e-7 * (place + 1)) for place, each in enumerate(volts))), module_type="1x2"
    )
    assert tuple(each.bias_v for each in made.way_up) == kept
    assert made.way_up[-1].current_a == 1e-7 * (volts.index(-kept[-1]) + 1)
    assert made.notes == (note,)


def test_of_several_ramps_the_figures_are_of_the_first():
    ramp = [(-5 * place, -1e-7) for place in range(17)]
    made = figures(curve(*ramp, *((volts, 3 * amps) for volts, amps in ramp)), module_type="1x2")
    assert [each.bias_v for each in made.way_up] == [5 * place for place in range(17)]
    assert {each.current_a for each in made.way_up} == {1e-7}
    assert made.notes == ("several ramps: the figures are of the first of 2",)


@pytest.mark.parametrize(
    ("made", "note"),
    [
        (curve((0, 0), (-40, -1.8e-316), (-80, 1.8e-316)), "no current at all: was HV connected?"),
        (replace(curve((0, -1e-9), (-80, -1e-7)), holes=(Hole(3, -40.0, "9.91e37"),)), "1 of 3 rows have no reading, and are left out: line 3 has '9.91e37'"),
        (replace(curve((0, -1e-9), (-80, -1e-7)), is_set=True), "the voltage is the one that was set, and was not measured"),
        (replace(curve((0, -1e-9), (-80, -1e-7)), remarks=("it was read as Latin-1",)), "it was read as Latin-1"),
        (curve((0, -1e-9), (-80, -1e-3)), "currents are above the supply's compliance: is the unit right?"),
    ],
)  # fmt: skip
def test_what_is_odd_about_a_curve_is_said(made, note):
    assert figures(made, module_type="1x2", compliance_a=1e-5).notes[0] == note


def test_a_sweep_from_its_end_back_has_no_way_up():
    made = figures(curve((-80, -2e-7), (-40, -1e-7), (0, 0)), module_type="1x2")
    assert made.notes == ("no figures: the sweep begins at its largest voltage, and has no way up",)


def test_a_curve_without_points_says_so():
    assert figures(curve(), module_type="1x2").notes == ("no points",)


def test_the_plan_knows_module_supply_and_compliance():
    made = figures_in(rising(), curved_plan())
    assert (made.area_cm2, made.working_v, made.compliance_a) == (7.85, -50.0, 1e-5)


def test_the_supply_is_the_one_of_the_curves_own_module():
    plan = curved_plan()
    one, two = MODULES
    supplies = (BiasSupply("a", -50, (Module("0"),), 1e-5), BiasSupply("b", -80, (Module("1"),), 2e-5))
    plan = type(plan)(
        **{name: getattr(plan, name) for name in plan.__struct_fields__}
        | {"modules": MODULES, "supplies": supplies}
    )
    of_two = figures_in(curve((0, 0), module=two.name), plan)
    assert (of_two.working_v, of_two.compliance_a) == (-80, 2e-5)
    of_nobody = figures_in(curve((0, 0), module=""), plan)
    assert (of_nobody.working_v, of_nobody.compliance_a, of_nobody.area_cm2) == (None, None, None)
    assert module_of(curve(module=one.name), plan) is one


def test_a_file_that_names_no_module_is_of_the_only_one():
    assert module_of(curve(module=""), curved_plan()) == DOUBLE


def test_the_definition_is_one_function_of_the_way_up():
    assert find_breakdown(figures(rising(80, broken_from_v=70)).way_up).bias_v == 70
