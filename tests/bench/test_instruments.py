"""instruments.json: one problem per defect, at its place; nothing that icicle would run as code."""

import copy
import json

import pytest
from input_texts import INSTRUMENTS, json_of, told

from calseq.bench.instruments import read_wiring
from calseq.model.rails import Role


def judged(data):
    document = json_of(data if isinstance(data, str) else json.dumps(data, indent=1))
    wiring = read_wiring(document)
    assert (wiring is None) == document.is_refused
    return wiring, document.problems


def changed(*changes):
    """Give the instruments with (path, value) changed; `...` removes."""
    data = copy.deepcopy(INSTRUMENTS)
    for path, value in changes:
        at = data
        for key in path[:-1]:
            at = at[key]
        if value is ...:
            del at[path[-1]]
        else:
            at[path[-1]] = value
    return data


HV, LV = ("instruments", "hv_1"), ("instruments", "lv_1")
CASES = {
    "unsafe key": ([((*HV, "a b"), 1)], "CS403", "'a b'"),
    "keyword": ([((*HV, "import"), 1)], "CS403", "'import'"),
    "dunder key": ([((*HV, "__class__"), 1)], "CS403", "'__class__'"),
    "unicode key": ([((*HV, "x\u00e9;"), 1)], "CS403", "x\u00e9;"),
    "quote in a value": ([((*HV, "note"), "a' + x + '")], "CS403", "'note'"),
    "backslash in a value": ([((*HV, "resource"), "a\\")], "CS403", "'resource'"),
    "newline in a value": ([((*HV, "note"), "a\nb")], "CS403", "'note'"),
    "class with a dot": ([((*HV, "class"), "os.system")], "CS206", "'class'"),
    "class missing": ([((*HV, "class"), ...)], "CS202", "'class'"),
    "resource missing": ([((*HV, "resource"), ...)], "CS202", "'resource'"),
    "null value": ([((*HV, "note"), None)], "CS201", "'note'"),
    "instrument is a text": ([(HV, "Keithley")], "CS201", "'hv_1'"),
    "voltage a text": ([((*HV, "default_voltage"), "-50")], "CS201", "'default_voltage'"),
    "voltage true": ([((*HV, "default_voltage"), True)], "CS201", "'default_voltage'"),
    "voltage null": ([((*HV, "default_voltage"), None)], "CS201", "'default_voltage'"),
    "voltage missing": ([((*HV, "default_voltage"), ...)], "CS404", "'default_voltage'"),
    "current missing": ([((*LV, "default_current"), ...)], "CS404", "'default_current'"),
    "current zero": ([((*HV, "default_current"), 0)], "CS404", "'default_current'"),
    "low voltage negative": ([((*LV, "default_voltage"), -4)], "CS404", "low voltage"),
    "voltage beyond the range": ([((*HV, "default_range"), -20)], "CS404", "'default_range'"),
    "step of a ramp zero": ([((*HV, "default_step_size"), 0)], "CS404", "'default_step_size'"),
    "step of a ramp negative": ([((*HV, "default_step_size"), -5)], "CS404", "'default_step_size'"),
    "wait of a ramp negative": ([((*HV, "default_delay"), -0.5)], "CS206", "'default_delay'"),
    "key that icicle has": ([((*LV, "outputs"), 1)], "CS479", "'outputs'"),
    "role of an instrument": ([((*HV, "role"), "hv")], "CS479", "'role'"),
    "status of an instrument": ([((*HV, "status"), "ok")], "CS479", "'status'"),
    "beyond its class": ([((*HV, "default_voltage"), -2000)], "CS404", "beyond a Keithley2410 (at most 1100 V)"),
    "channel a text": ([(("channels", "0", "hv", "channel"), "1")], "CS402", "'channel' of 'hv_1' is a text"),
    "channel that its class lacks": ([(("channels", "0", "hv", "channel"), 2)], "CS402", "Keithley2410 has no channel 2"),
    "channel missing": ([(("channels", "0", "lv", "channel"), ...)], "CS402", "lv of channel '0' has no 'channel'"),
    "unknown role": ([(("channels", "0", "hw"), {"instrument": "hv_1"})], "CS402", "'hw'"),
    "unknown instrument": ([(("channels", "0", "ab", "instrument"), "ab_2")], "CS402", "'ab_2'"),
    "hv without lv": ([(("channels", "0", "lv"), ...)], "CS402", "no lv"),
    "one supply, two roles": ([(("channels", "0", "hv", "instrument"), "lv_1")], "CS402", "at once"),
    "channel no number": ([(("channels", "a"), {"ab": {"instrument": "ab_1"}})], "CS402", "'a'"),
    "channel empty": ([(("channels", "1"), {})], "CS206", "'1'"),
    "channels empty": ([(("channels",), {})], "CS206", "'channels'"),
    "channels misspelt": ([(("chanels",), INSTRUMENTS["channels"]), (("channels",), ...)], "CS204", "'chanels'"),
    "instruments misspelt": ([(("instrumnts",), INSTRUMENTS["instruments"]), (("instruments",), ...)], "CS204", "'instrumnts'"),
    "instruments missing": ([(("instruments",), ...)], "CS202", "'instruments'"),
    "instruments empty": ([(("instruments",), {}), (("channels",), ...)], "CS206", "'instruments'"),
    "both spellings": ([(("instrument_dict",), INSTRUMENTS["instruments"])], "CS105", "'instrument_dict'"),
    "a wire without instrument": ([(("channels", "0", "ab"), {"channel": 1})], "CS202", "'instrument'"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "code", "said"), CASES.values(), ids=CASES)
def test_one_defect_is_one_problem(changes, code, said):
    wiring, problems = judged(changed(*changes))
    assert wiring is None
    assert [problem.code.id for problem in problems] == [code]
    assert said in problems[0].message
    assert problems[0].cure
    assert problems[0].place.span.line > 1 or code in ("CS202", "CS206")


def test_several_defects_of_one_instrument_are_told_each():
    _, problems = judged(
        changed(((*HV, "default_voltage"), ...), ((*HV, "default_current"), -1), ((*HV, "a b"), 1))
    )
    assert sorted(problem.code.id for problem in problems) == ["CS403", "CS404", "CS404"]


@pytest.mark.parametrize(("step_v", "codes"), [(0.5, []), (25, []), (25.1, ["CS425"]), (500, ["CS425"])])
def test_a_coarse_ramp_is_a_warning(step_v, codes):
    wiring, problems = judged(changed(((*HV, "default_step_size"), step_v)))
    assert wiring is not None
    assert [problem.code.id for problem in problems] == codes


def test_a_ramp_of_low_voltage_is_not_judged():
    wiring, problems = judged(changed(((*LV, "default_step_size"), 0)))
    assert (wiring is None, problems) == (False, [])


@pytest.mark.parametrize("text", ["[]", "5", '"x"', "null", "{"])
def test_a_file_of_another_shape_is_one_problem(text):
    assert len(judged(text)[1]) == 1


def test_duplicate_keys_are_told_and_the_rest_is_judged():
    text = json.dumps(INSTRUMENTS)[:-1] + ', "channels": {"0": {"lv": 5, "lv": 6}}}'
    assert [code.split()[0] for code in told(judged(text)[1])] == ["CS105", "CS105"]


def test_both_spellings_of_the_keys_mean_the_same():
    data = {"instrument_dict": INSTRUMENTS["instruments"], "channels_dict": INSTRUMENTS["channels"]}
    assert judged(data) == judged(INSTRUMENTS)


def test_roles_come_from_prefixes_when_there_are_no_channels():
    wiring, problems = judged({"instruments": INSTRUMENTS["instruments"]})
    assert problems == []
    assert {role: wire.instrument for role, wire in wiring.channels["0"].items()} == {
        Role.LV: "lv_1", Role.HV: "hv_1", Role.AB: "ab_1",
    }  # fmt: skip


def test_the_first_instrument_of_a_prefix_has_the_role():
    instruments = {
        **INSTRUMENTS["instruments"],
        "hv_2": {**INSTRUMENTS["instruments"]["hv_1"], "default_voltage": -9},
    }
    wiring, _ = judged({"instruments": instruments})
    assert wiring.channels["0"][Role.HV].instrument == "hv_1"


def test_names_without_a_prefix_and_without_channels_are_one_problem():
    assert told(judged({"instruments": {"supply": INSTRUMENTS["instruments"]["lv_1"]}})[1]) == ["CS202 1:1"]


def test_one_supply_serves_several_channels():
    data = changed((("channels", "1"), INSTRUMENTS["channels"]["0"]))
    wiring, problems = judged(data)
    assert problems == []
    [supply] = wiring.bias_supplies({"0": "A", "1": "B"})
    assert [module.name for module in supply.modules] == ["A", "B"]
    assert supply.target_v == -50


@pytest.mark.parametrize("roles", [(), (Role.LV,), (Role.LV, Role.HV), (Role.AB,), tuple(Role)])
def test_reduced_dictionaries_hold_only_what_was_given(roles):
    instruments, channels = judged(INSTRUMENTS)[0].reduced(roles)
    assert {role for wires in channels.values() for role in wires} == {str(role) for role in roles} & {
        "lv",
        "hv",
        "ab",
    }
    assert set(instruments) == {wire["instrument"] for wires in channels.values() for wire in wires.values()}


@pytest.mark.parametrize(
    ("changes", "code", "said", "refused"),
    [
        ([((*HV, "default_current"), 10)], "CS430", "10 A is beyond any hv compliance", False),
        ([((*HV, "default_voltage"), -5000)], "CS404", "-5000 V is beyond any hv voltage", True),
        ([((*HV, "default_range"), -8000)], "CS430", "-8000 V is beyond any hv voltage", False),
        ([((*LV, "default_voltage"), 40)], "CS404", "40 V is beyond any lv voltage", True),
        ([((*LV, "default_current"), 3700)], "CS430", "3700 A is beyond any lv current", False),
    ],
)  # fmt: skip
def test_what_is_beyond_physics_is_told_before_the_run(changes, code, said, refused):
    wiring, problems = judged(changed(*changes))
    assert [problem.code.id for problem in problems] == [code]
    assert said in problems[0].message
    assert problems[0].cure
    assert (wiring is None) is refused


@pytest.mark.parametrize(
    ("resource", "more", "found"),
    [
        ("R1", {}, ["CS470"]),
        ("r1", {}, ["CS470"]),
        ("R1", {"sim": True}, []),
        ("R4", {}, []),
    ],
)
def test_two_instruments_at_one_address_are_refused_where_both_are_real(resource, more, found):
    changes = [((*HV, "resource"), resource), *(((*HV, key), more[key]) for key in more)]
    assert [problem.code.id for problem in judged(changed(*changes))[1]] == found


def test_an_instrument_that_no_channel_uses_may_have_any_address():
    spare = {"class": "Keithley2410", "resource": "R1"}
    assert judged(changed((("instruments", "spare"), spare)))[1] == []


@pytest.mark.parametrize(
    ("kind", "cure"), [("Keithley2400", "did you mean 'Keithley2410'?"), ("Iseg", "icicle 2.1 has ")]
)
def test_a_class_that_icicle_is_not_known_to_have_is_a_doubt(kind, cure):
    """Its versions differ: doctor asks the one that is there."""
    wiring, problems = judged(changed(((*HV, "class"), kind)))
    assert wiring is not None
    assert [(problem.code.id, problem.is_error) for problem in problems] == [("CS480", False)]
    assert problems[0].cure.startswith(cure)


def test_unused_instruments_come_with_the_role_that_they_may_have():
    spare = {"class": "Keithley2410", "resource": "R9"}
    more = {
        "spare": spare,
        "lv_9": {**spare, "class": "X"},
        "cb_1": spare,
        "hb_1": spare,
        "meter": {**spare, "class": "X"},
    }
    wiring, _ = judged(changed(*((("instruments", name), entry) for name, entry in more.items())))
    assert wiring.unused() == {"spare": "hv", "lv_9": "lv", "meter": ""}
