"""Runs side by side: what differs from the first is marked, and what cannot be compared is said."""

import json
import re

import pytest
from curve_texts import curve, rising
from msgspec.structs import replace

from calseq.cli.commands.compare import comparison_json, comparison_page
from calseq.console.comparisonview import comparison_text
from calseq.measurement.comparison import CurveFact, RunFacts, StepFact, compare
from calseq.measurement.curves import NotUnderstood
from calseq.measurement.iv import Told, figures, microamperes
from calseq.problems.plaintext import width as columns_of

STEPS = (
    StepFact("sldo_vi_curves", "passed", 92.4),
    StepFact("iv_curve", "passed", 181.0),
    StepFact("tune_1000", "passed", 2400.0),
)
BEFORE = RunFacts(
    "20261121-020000-panthera-c2hq0", "2026-11-21T02:00:00+00:00", "Panthera", "C2HQ0", "passed",
    over=True, simulated=False, duration_s=3160.0, steps=STEPS,
)  # fmt: skip


def fact(made, step="iv_curve", module="C2HQ0", type_="1x2"):
    return CurveFact(step, module, made, figures(made, module_type=type_, working_v=-50, compliance_a=5e-6))


def run(number=0, *curves, **fields):
    named = {"name": f"2026112{number + 1}-020000-panthera-c2hq0"}
    return replace(BEFORE, curves=tuple(map(fact, curves)), **(named | fields))


HEALTHY = rising(120)
WORSE = rising(120, base_a=7e-7)
BROKEN = rising(80, broken_from_v=70)

COMPARISONS = {
    "before-after": (run(0, HEALTHY), run(1, WORSE), run(2, BROKEN)),
    "same": (run(0, HEALTHY), run(1, HEALTHY)),
    "simulated": (
        run(0, HEALTHY),
        run(1, HEALTHY, simulated=True, steps=(*STEPS[:1], StepFact("iv_curve", "kept", 181.0), StepFact("tune_1000", "left-out"))),
    ),
    "odd": (
        run(0, why_no_curve="no step of it measures one", title="SLDO", steps=STEPS[:1]),
        run(1, HEALTHY, module="RH0007", state="running", over=False,
            steps=(*STEPS[:1], StepFact("iv_curve", "running", 12.0), StepFact("tune_1000", "waiting"))),
        run(2, state="died", duration_s=None, damage=("line 3 cannot be used",), why_no_curve="its files are not understood",
            unread=(NotUnderstood("data/03-iv_curve/IV.csv", "line 7, 'Current (A)': 'x' is no number"),)),
    ),
    "two-modules": (
        replace(run(0), curves=(fact(HEALTHY, module="R1Q17", type_="2x2"), fact(WORSE, module="R1Q18", type_="2x2"))),
        replace(run(1), curves=(fact(HEALTHY, module="R1Q17", type_="2x2"), fact(HEALTHY, module="R1Q18", type_="2x2"))),
    ),
    "two-curves": (
        replace(run(0), curves=(fact(HEALTHY), fact(WORSE, step="iv_after"))),
        replace(run(1), curves=(fact(HEALTHY), fact(WORSE, step="iv_after"))),
    ),
    "nameless": (run(0, HEALTHY), replace(run(1), curves=(fact(HEALTHY, module="", type_=""),))),
    "none": (run(0, why_no_curve="iv_curve left no file"), run(1, why_no_curve="iv_curve left no file")),
}  # fmt: skip


def text(name, width=120, *, color=False, ascii=False):  # noqa: A002
    return comparison_text(compare(COMPARISONS[name]), width, color=color, ascii=ascii)


@pytest.mark.parametrize("name", COMPARISONS)
def test_what_a_person_reads(golden, name):
    golden(f"compare-{name}.txt", text(name))


def test_the_table_in_colour_and_narrow(golden):
    golden("compare-before-after-colour.txt", text("before-after", color=True))
    golden("compare-before-after-80.txt", text("before-after", 80))
    golden("compare-before-after-40.txt", text("before-after", 40))


@pytest.mark.parametrize("name", COMPARISONS)
def test_it_is_never_wider_than_asked_and_no_run_is_left_out(name):
    for width in range(30, 130):
        told = text(name, width)
        assert all(columns_of(line) <= max(width, 62) for line in told.splitlines())
        heads = [line for line in told.splitlines() if line.startswith("step ")]
        assert re.findall(r"[0-9]+", " ".join(heads)) == [
            str(n) for n in range(1, len(COMPARISONS[name]) + 1)
        ]


@pytest.mark.parametrize("name", COMPARISONS)
def test_ascii_is_ascii(name):
    assert text(name, ascii=True).isascii()


def test_json_is_whole_and_golden(golden):
    golden("compare-before-after.json", comparison_json(compare(COMPARISONS["before-after"])))
    for runs in COMPARISONS.values():
        assert json.loads(comparison_json(compare(runs)))["format"] == 1


def test_the_first_run_has_no_ratio_and_the_others_have():
    made = compare(COMPARISONS["before-after"])
    first, worse, broken = made.modules[0].rows
    assert (first.is_first, worse.is_first) == (True, False)
    assert [round(value.ratio, 3) for value in worse.at] == [1.381, 1.345, 1.333, 1.323]
    assert [value.differs for value in worse.at] == [True] * 4
    assert [value.ratio is None for value in broken.at] == [False, False, True, True]
    assert [value.differs for value in broken.at][2:] == [True, True]


def of(amps):
    return curve(*((-5 * place, -amps) for place in range(25)))


@pytest.mark.parametrize(
    ("now", "differs"),
    [(1.0e-6, False), (1.19e-6, False), (1.21e-6, True), (0.84e-6, False), (0.82e-6, True)],
)
def test_more_than_20_percent_up_or_down_is_notable(now, differs):
    made = compare([run(0, of(1e-6)), run(1, of(now))])
    assert made.modules[0].rows[1].at[0].differs is differs


def test_a_first_current_of_zero_has_no_ratio():
    row = compare([run(0, of(0.0)), run(1, of(1e-6))]).modules[0].rows[1]
    assert row.at[0].ratio is None


@pytest.mark.parametrize(
    ("then", "now", "differs"),
    [
        (rising(120), rising(120), False),
        (rising(120), rising(120, broken_from_v=70), True),
        (rising(120, broken_from_v=70), rising(120, broken_from_v=75), True),
        (rising(120, broken_from_v=70), rising(90, broken_from_v=70), False),
        (rising(120), rising(60), True),
        (rising(60), rising(55), False),
    ],
)
def test_a_breakdown_that_moved_or_came_or_went_is_marked(then, now, differs):
    assert compare([run(0, then), run(1, now)]).modules[0].rows[1].breakdown_differs is differs


def test_a_step_that_was_kept_is_as_good_as_one_that_passed():
    rows = {row.name: row.differs for row in compare(COMPARISONS["simulated"]).steps}
    assert rows == {"sldo_vi_curves": (False, False), "iv_curve": (False, False), "tune_1000": (False, True)}


def test_a_run_without_the_step_is_marked():
    [row] = compare([run(0, steps=STEPS[:1]), run(1, steps=())]).steps
    assert (row.facts[1], row.differs) == (None, (False, True))


@pytest.mark.parametrize(
    ("current_a", "said"),
    [(0.0, "0"), (1e-10, "1.00e-04"), (1.234e-9, "0.00123"), (5.6789e-7, "0.568"), (8e-7, "0.800"), (9.999e-5, "100"), (9.994e-5, "99.9"), (1.2345e-5, "12.3"), (1.2345e-3, "1234")],
)  # fmt: skip
def test_currents_have_three_digits(current_a, said):
    assert microamperes(current_a) == microamperes(-current_a) == said


@pytest.mark.parametrize("name", COMPARISONS)
def test_the_page_stands_alone(name):
    page = comparison_page(compare(COMPARISONS[name]))
    assert page.startswith("<!doctype html>")
    for word in (
        "http:",
        "https:",
        "//",
        "<script",
        "<link",
        "src=",
        "@import",
        "<iframe",
        "url(http",
        "{{",
        "{%",
    ):
        assert word not in page
    assert "default-src 'none'" in page
    assert page.count("<svg ") == len(compare(COMPARISONS[name]).modules)
    assert "prefers-color-scheme: dark" in page
    assert ("SIMULATED" in page) is (name == "simulated")


def test_the_page_says_what_the_table_says(golden):
    page = comparison_page(compare(COMPARISONS["before-after"]))
    for said in ("not reached *", "70 V *", "×1.38", "none up to 120 V", "C2HQ0: sensor IV"):
        assert said in page
    golden("compare-before-after.html", re.sub(r"<svg .*?</svg>", "<svg/>", page, flags=re.DOTALL))


def test_hostile_names_are_text_on_the_page():
    hostile = "</title><script>alert(1)</script>\"'{{ 7*7 }}"
    made = run(0, HEALTHY, title=hostile, module=hostile, steps=(StepFact(hostile, "passed"),))
    page = comparison_page(compare([made, replace(made, curves=(fact(HEALTHY, module=hostile),))]))
    assert "<script" not in page
    assert "7*7" in page


def test_the_plot_marks_only_what_all_its_curves_have():
    one = comparison_page(compare([run(0, BROKEN), run(1, BROKEN)]))
    two = comparison_page(compare([run(0, HEALTHY), run(1, BROKEN)]))
    assert "breakdown 70 V" in one
    assert "breakdown 70 V" not in two


def test_the_breakdown_of_breakdowns_json_comes_first_and_is_marked():
    """The bias was decided by that; the curve's own word stands behind it."""
    broken = replace(fact(rising(45)), told=Told(-40.0))
    made = compare([replace(run(0), curves=(broken,)), replace(run(1), curves=(broken,))])
    for shown in (comparison_text(made, 200, color=False, ascii=False), comparison_page(made)):
        assert "-40 V (breakdowns.json); curve: undefined" in shown
    assert "breakdown 40 V" in comparison_page(made)
    assert not any(row.breakdown_differs for row in made.modules[0].rows)
    healthy = replace(fact(rising(45)), told=Told())
    made = compare([replace(run(0), curves=(healthy,)), replace(run(1), curves=(broken,))])
    assert [row.breakdown_differs for row in made.modules[0].rows] == [False, True]


def test_the_page_has_the_time_in_the_form_of_the_report():
    assert "2026-11-21 02:00:00 +00:00" in comparison_page(compare(COMPARISONS["same"]))
