"""The curves on the page: drawn and in figures, and what could not be drawn or understood is said."""

import re

import pytest
from console_runs import a_plan, failed_run, five_steps, good_run, safe_end, started, step_run
from msgspec.structs import replace
from report_pages import Page, a_run, page_of, prove_good
from test_report_page import a_png, leave

from calseq.console.runlist import runs_text
from calseq.console.statusview import Glance, status_text
from calseq.console.summary import summary
from calseq.model.events import BiasDecided, RunEnded, StepSkipped
from calseq.model.plan import BiasSupply, Module
from calseq.model.verdicts import RunVerdict, Verdict
from calseq.report import write_report
from calseq.report.attention import attention
from calseq.report.files import MOST_FILES, listed
from calseq.report.html import text as html_text
from calseq.report.markdown import text as markdown_text
from calseq.report.pictures import _drawn, drawings
from calseq.report.run_data import read_dossier
from calseq.report.verdict import headline
from calseq.sequence.catalog import builtin

IV = "Voltage (V),Current (A)\n" + "".join(f"{-volts},{-volts * 1e-9}\n" for volts in range(0, 101, 5))
SLDO = "Current (A),Voltage (V),VIN,VDDD_ROC0\n6,2.6,2.3,1.2\n1,1.3,1.2,0.9\n"


@pytest.fixture
def folder(tmp_path):
    """A run whose IV curve and SLDO curves are there, though its events do not name them."""
    return curved(tmp_path)


def curved(runs, events=good_run, module="C2HQ0", iv=IV, breakdowns=b'{"0": null}'):
    plan = curved_plan(Module("0", module, "1x2"))
    folder = a_run(runs, events(plan), plan)
    leave(folder, f"data/03-iv_curve/IV_{module}.csv", iv.encode())
    leave(folder, f"data/01-sldo_vi_curves/sldo_{module}.csv", SLDO.encode())
    if breakdowns is not None:
        leave(folder, "data/03-iv_curve/breakdowns.json", breakdowns)
    return folder


def curved_plan(module=Module("0", "C2HQ0", "1x2")):  # noqa: B008 - it is frozen
    known = builtin().calibrations
    return a_plan(
        steps=tuple(replace(step, curves=known[step.calibration].curves) for step in five_steps()),
        modules=(module,),
        supplies=(BiasSupply("hv_1", -50.0, (module,), 1e-5),),
    )


SHORT = "".join(IV.splitlines(keepends=True)[:10])
"""A sweep that ended at 40 V."""


@pytest.mark.parametrize(
    ("iv", "breakdowns", "said"),
    [
        (SHORT, b'{"0": -40.0}', "-40 V by breakdowns.json; undefined by the curve: ends at 40 V, and is judged beyond 60 V"),
        (IV, b'{"0": -40.0}', "-40 V by breakdowns.json; none up to 100 V by the curve"),
        (IV, b'{"C2HQ0": "none"}', "none by breakdowns.json; none up to 100 V by the curve"),
        (IV, b'{"0": {"0": -90, "1": -70.5}}', "-70.5 V by breakdowns.json; none up to 100 V by the curve"),
        (IV, b'{"7": -40}', "none up to 100 V"),
        (IV, b'{"0": -4', "none up to 100 V"),
        (IV, b'{"0": NaN}', "none up to 100 V"),
        (IV, None, "none up to 100 V"),
    ],
)  # fmt: skip
def test_who_says_where_the_sensor_breaks_down_is_said(tmp_path, iv, breakdowns, said):
    """They can differ, and the bias was decided from breakdowns.json."""
    dossier = read_dossier(curved(tmp_path, iv=iv, breakdowns=breakdowns))
    assert f"- `C2HQ0`, step 3 `iv_curve`: breakdown {said}\n" in markdown_text(dossier)
    shown = Page(html_text(dossier, draws=False)).section("curves")
    first, _, second = said.partition("; ")
    value, by, _ = first.partition(" by ")
    assert shown.count("breakdown") - shown.count("breakdowns") == 1
    if by:
        assert f"breakdown{value.removeprefix('-')}by breakdowns.json" in shown
        assert (second.partition(" ")[0] in shown) or "and by the curve" in shown
    else:
        assert "breakdownnoneby the curve: up to 100 V" in shown
    assert ("by breakdowns.json" in shown) is ("by breakdowns.json" in said)


def test_of_two_modules_each_has_its_own_breakdown(tmp_path):
    plan = replace(curved_plan(), modules=(Module("0", "M1", "1x2"), Module("1", "M1-2", "1x2")))
    folder = a_run(tmp_path, good_run(plan), plan)
    leave(folder, "data/03-iv_curve/IV_M1.csv", IV.encode())
    leave(folder, "data/03-iv_curve/IV_M1-2.csv", IV.encode())
    leave(folder, "data/03-iv_curve/breakdowns.json", b'{"0": -70, "M1-2": -90}')
    text = markdown_text(read_dossier(folder))
    assert "`M1`, step 3 `iv_curve`: breakdown -70 V by breakdowns.json" in text
    assert "`M1-2`, step 3 `iv_curve`: breakdown -90 V by breakdowns.json" in text


# The words for a run that was not biased


WHY = "C2HQ0 breaks down at -40 V: a bias of -50 V is not safely below that"


def test_a_reason_is_worded_the_same_on_page_and_terminal(tmp_path):
    folder = curved(tmp_path, no_bias_run, iv=SHORT, breakdowns=b'{"0": -40.0}')
    dossier, shown = read_dossier(folder), page_of(folder).words
    summed = summary(dossier.told.view, folder, 300, color=False, ascii=False)
    status = status_text(Glance(dossier.standing, dossier.told.view, 0.0), 300, color=False, ascii=False)
    for text in (summed, status, shown):
        assert "C2HQ0 breaks down at -40 V: sensors not biased, 2 steps skipped" in text
        assert f"no bias: {WHY}" in text
        assert "no bias because" not in text


def test_the_breakdown_is_told_once_in_the_headline_and_once_in_attention(tmp_path):
    dossier = read_dossier(curved(tmp_path, no_bias_run, iv=SHORT, breakdowns=b'{"0": -40.0}'))
    assert headline(dossier).reason == "C2HQ0 breaks down at -40 V: sensors not biased, 2 steps skipped"
    told = [each.text for each in attention(dossier)]
    assert [text for text in told if "-40 V" in text] == [f"bias was not allowed: {WHY}"]
    assert "steps 4 tune_1000, 5 crosstalk_method skipped: bias was not allowed" in told


def test_what_a_child_or_a_supply_said_is_not_touched(tmp_path):
    said = "exit code 1; power: hv-off: simulated failure (hv-off-fails)"
    plan = curved_plan()
    folder = a_run(
        tmp_path,
        [(0.0, started(plan)), *step_run(plan.steps[0], 1.0, 5.0, Verdict.FAILED, reason=said), *safe_end(7.0), (15.0, RunEnded(RunVerdict.FAILED, 1, 15.0, "sldo_vi_curves failed"))],
        plan,
    )  # fmt: skip
    dossier = read_dossier(folder)
    assert headline(dossier).reason == f"sldo_vi_curves failed: {said}"
    assert page_of(folder).words.count(said) >= 3


def test_where_power_failed_it_does_not_say_that_the_sensors_were_not_biased(tmp_path):
    """HV may be on: what is known is that a bias was not allowed."""
    shown = page_of(curved(tmp_path, no_bias_run)).section("attention")
    assert "bias was not allowed" in shown
    assert "the sensors were not biased" not in shown


def test_a_time_out_is_told_once(tmp_path):
    plan = curved_plan()
    said = "timed out after 5 s"
    slow = step_run(plan.steps[0], 1.0, 5.0, Verdict.TIMED_OUT, reason=said)
    ended = RunEnded(RunVerdict.FAILED, 1, 15.0, "sldo_vi_curves timed-out")
    dossier = read_dossier(
        a_run(tmp_path, [(0.0, started(plan)), *slow, *safe_end(7.0), (15.0, ended)], plan)
    )
    assert headline(dossier).reason == f"sldo_vi_curves {said}"
    assert attention(dossier)[0].text == f"step 1 sldo_vi_curves {said}"
    summed = summary(dossier.told.view, dossier.folder, 80, color=False, ascii=False)
    assert f"cause    step 1/5 sldo_vi_curves {said}\n" in summed
    assert f"timed-out: {said}" not in summed + page_of(dossier.folder).words


def test_what_is_not_known_of_a_rail_has_another_mark_than_an_attempt_that_did_not_pass(folder):
    style = Page(html_text(read_dossier(folder), draws=False)).text
    (bad,) = re.findall(r"\.chart \.bad \{ fill: url\((#[a-z-]+)\)", style)
    (lost,) = re.findall(r"\.chart \.lost \{ fill: url\((#[a-z-]+)\)", style)
    assert bad != lost
    assert "attempt that did not pass" in style


def test_a_usual_time_has_one_form(tmp_path):
    assert "~" not in page_of(a_run(tmp_path, good_run(a_plan()))).section("steps")


# The first screen


def test_the_first_screen_tells_current_and_breakdown_of_each_module_and_where_the_data_is(tmp_path):
    folder = curved(tmp_path, no_bias_run, iv=SHORT, breakdowns=b'{"0": -40.0}')
    page = page_of(folder)
    prove_good(page, folder)
    top = page.words.partition("Needs attention")[0]
    assert "C2HQ0 80 V not reached, breakdown 40 V" in top
    assert str(folder) in top
    assert "#curve-3" in page.links
    healthy = page_of(curved(tmp_path / "other")).words.partition("Needs attention")[0]
    assert "C2HQ0 0.0800 µA at 80 V, no breakdown up to 100 V" in healthy


def test_the_breakdown_that_breakdowns_json_told_is_marked_in_the_plot(tmp_path):
    (drawing,) = [
        each
        for each in drawings(read_dossier(curved(tmp_path, iv=SHORT, breakdowns=b'{"0": -40.0}')), 8, lambda: True, draws=True)
        if each.anchor
    ]  # fmt: skip
    assert "breakdown 40 V" in drawing.svg
    assert [label for label, *_ in drawing.tables[0].rows].count("breakdown") == 1


def test_bias_is_in_positive_volts_on_the_page_and_that_is_said_once(tmp_path):
    shown = page_of(curved(tmp_path, breakdowns=b'{"0": -70.0}')).section("curves")
    assert not re.search(r"-\d+ V", shown)
    assert "working point, 50 V" in shown
    assert shown.count("positive volts") == 1


def test_a_run_that_left_steps_out_passed_in_part(tmp_path):
    plan = replace(
        curved_plan(),
        steps=tuple(replace(each, left_out="--only" * (each.number != 3)) for each in curved_plan().steps),
    )
    events = [(0.0, started(plan)), *step_run(plan.steps[2], 1.0, 5.0), *safe_end(7.0), (15.0, RunEnded(RunVerdict.PASSED, 0, 15.0))]  # fmt: skip
    folder = a_run(tmp_path, events, plan)
    dossier = read_dossier(folder)
    assert "✓ Passed, in part 1 of 5 steps passed, 4 left out" in page_of(folder).words
    assert markdown_text(dossier).startswith("# ✓ Passed, in part\n")
    assert headline(dossier).word == "Passed"
    assert "PASSED, IN PART after" in summary(dossier.told.view, folder, 80, color=False, ascii=False)
    whole = read_dossier(a_run(tmp_path / "whole", good_run(a_plan())))
    assert headline(whole).title == "Passed"


def test_a_run_took_as_long_as_its_record_says_on_page_and_terminal(tmp_path):
    plan = a_plan()
    folder = a_run(tmp_path, good_run(plan), plan, duration_s=4000.0)
    dossier = read_dossier(folder)
    assert "Duration1h 06m 40s" in page_of(folder).section("about")
    summed = summary(dossier.told.view, folder, 80, color=False, ascii=False, duration_s=4000.0)
    status = status_text(Glance(dossier.standing, dossier.told.view, 0.0), 80, color=False, ascii=False)
    for text in (summed, status, runs_text([dossier.standing], 0.0, 200, color=False, ascii=False)):
        assert "1h 06m 40s" in text


def no_bias_run(plan):
    """The run of a sensor that breaks down before its bias."""
    why = WHY
    steps = plan.steps
    t, events = 1.0, [(0.0, started(plan))]
    for step in steps[:3]:
        events += step_run(step, t, 10.0)
        t += 10
    events.append((t, BiasDecided(3, False, why, "")))
    events += [(t + 1, StepSkipped(step.number, step.name, f"no bias: {why}")) for step in steps[3:]]
    ended = RunEnded(RunVerdict.FAILED, 1, t + 8, f"tune_1000 was skipped: no bias: {why}")
    return [*events, *safe_end(t + 2), (t + 8, ended)]


def test_curves_are_drawn_with_their_figures_beside(folder):
    page = Page(html_text(read_dossier(folder), draws=True))
    prove_good(page, folder)
    said = page.section("curves")
    assert "Sensor IV, step 3 iv_curve" in said
    assert "SLDO curves, step 1 sldo_vi_curves" in said
    assert "data/03-iv_curve/IV_C2HQ0.csv" in said
    assert "I at 80 V0.0800 µA0.0102 µA/cm²" in said
    assert "working point, 50 V0.0500 µA" in said
    assert "compliance10.0 µAnot reached" in said
    assert "I at 120 Vnot reached" in said
    plots = [each for each in page.elements if str(each.tag).endswith("svg") and each.get("class") == "plot"]
    assert len(plots) == 2


def test_where_nothing_can_be_drawn_the_figures_stand_alone_and_why_is_said(folder):
    page = Page(html_text(read_dossier(folder), draws=False))
    prove_good(page, folder)
    assert page.section("curves").count("not drawn: matplotlib is not installed") == 2
    assert not [each for each in page.elements if each.attrib.get("class") == "plot"]


def test_a_plot_that_fails_does_not_take_the_page_with_it():
    def fail():
        raise ValueError("no <b>such</b> font")

    assert _drawn(fail, draws=True) == ("", "not drawn: ValueError: no <b>such</b> font")


def test_a_stop_between_two_plots_leaves_no_file(folder):
    with pytest.raises(InterruptedError):
        write_report(folder, lambda: False)
    assert list(folder.glob("report.html*")) == []


def test_a_file_that_was_not_understood_is_named(folder):
    leave(folder, "data/03-iv_curve/IV_C2HQ0.csv", b"<b>not</b>,a curve\n1,2\n")
    page = page_of(folder)
    prove_good(page, folder)
    assert "Not understood: data/03-iv_curve/IV_C2HQ0.csv" in page.section("curves")
    assert "was not understood" in page.section("attention")


def test_with_plots_the_pictures_of_dirigent_are_linked(folder):
    leave(folder, "data/03-iv_curve/IV.png", a_png())
    page = Page(html_text(read_dossier(folder), draws=True))
    prove_good(page, folder)
    assert not [each for each in page.elements if each.tag == "img"]
    assert "data/03-iv_curve/IV.png" in page.links


# What was decided on


@pytest.mark.parametrize(
    ("change", "said"), [(b"", "It is the one that was decided on"), (b" ", "It is not the one")]
)
def test_it_is_said_whether_breakdowns_json_is_still_the_one_that_was_decided_on(tmp_path, change, said):
    import hashlib  # noqa: PLC0415

    from calseq.model.events import BiasDecided  # noqa: PLC0415

    content = b'{"0": null}'
    sha256 = hashlib.sha256(content).hexdigest()
    events = [
        (t, replace(event, sha256=sha256) if isinstance(event, BiasDecided) else event)
        for t, event in good_run(a_plan())
    ]
    folder = a_run(tmp_path, events)
    leave(folder, "data/03-iv_curve/sub/breakdowns.json", content + change)
    page = page_of(folder)
    prove_good(page, folder)
    assert said in page.section("bias")
    assert content.decode() in page.section("bias")
    assert ("not the one that was decided on" in page.section("attention")) is bool(change)


# Files


def test_links_and_fifos_are_no_files_and_very_many_are_counted(tmp_path):
    import os  # noqa: PLC0415

    left = tmp_path / "data" / "x"
    left.mkdir(parents=True)
    os.mkfifo(left / "fifo")
    (left / "link").symlink_to("/etc/hostname")
    (left / "above").symlink_to("/etc", target_is_directory=True)
    for number in range(MOST_FILES + 5):
        (left / f"{number:05}").touch()
    found = listed(tmp_path, "data/x")
    assert len(found.files) == MOST_FILES
    assert found.more
    assert {file.name for file in found.files} <= {f"data/x/{number:05}" for number in range(MOST_FILES + 5)}


@pytest.mark.parametrize("name", ["", "/etc", "../x", "data/../../x", "a\0b", "data/none"])
def test_nothing_is_listed_that_is_not_below_the_run(tmp_path, name):
    assert listed(tmp_path, name).files == ()


def test_sldo_figures_stand_chip_by_chip_under_the_name_of_their_module(tmp_path):
    folder = curved(tmp_path)
    text = "Current (A),VDDD_ROC10,VDDD_ROC1,VDDA_ROC10,VDDA_ROC1,VIN\n1,1,1,1,1,1\n2,1,1,1,1,1\n"
    leave(folder, "data/01-sldo_vi_curves/sldo_C2HQ0.csv", text.encode())
    drawing = next(each for each in drawings(read_dossier(folder), 9, lambda: True, draws=False))
    assert drawing.title == "SLDO curves, step 1 sldo_vi_curves, C2HQ0"
    assert [label for label, _, _ in drawing.tables[0].rows] == [
        "VIN", "VDDD chip 1", "VDDA chip 1", "VDDD chip 10", "VDDA chip 10",
    ]  # fmt: skip


def test_the_usual_time_of_a_step_that_ended_early_has_no_edge_at_the_end_of_the_axis(tmp_path):
    page = Page(html_text(read_dossier(a_run(tmp_path / "failed", failed_run(a_plan()))), draws=False))
    shown = [
        (each.tag.rpartition("}")[2], each.attrib)
        for each in page.elements
        if each.attrib.get("class") == "usual"
    ]
    assert any(tag == "line" and attrib["x2"] == "101.5%" for tag, attrib in shown)
    assert all(
        tag == "rect" or attrib["y1"] != attrib["y2"] or attrib["x2"] == "101.5%" for tag, attrib in shown
    )
