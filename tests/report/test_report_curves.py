"""The curves on the page: drawn and in figures, and what could not be drawn or understood is said."""

import pytest
from console_runs import a_plan, five_steps, good_run
from msgspec.structs import replace
from report_pages import Page, a_run, page_of, prove_good
from test_report_page import a_png, leave

from calseq.catalog import builtin
from calseq.plan import BiasSupply, Module
from calseq.report import write_report
from calseq.report.dossier import read_dossier
from calseq.report.files import MOST_FILES, listed
from calseq.report.html import text as html_text
from calseq.report.pictures import _drawn

IV = "Voltage (V),Current (A)\n" + "".join(f"{-volts},{-volts * 1e-9}\n" for volts in range(0, 101, 5))
SLDO = "Current (A),Voltage (V),VIN,VDDD_ROC0\n6,2.6,2.3,1.2\n1,1.3,1.2,0.9\n"


@pytest.fixture
def folder(tmp_path):
    """A run whose IV curve and SLDO curves are there, though its events do not name them."""
    known = builtin().calibrations
    module = Module("0", "C2HQ0", "1x2")
    plan = a_plan(
        steps=tuple(replace(step, curves=known[step.calibration].curves) for step in five_steps()),
        modules=(module,),
        supplies=(BiasSupply("hv_1", -50.0, (module,), 1e-5),),
    )
    folder = a_run(tmp_path, good_run(plan), plan)
    leave(folder, "data/03-iv_curve/IV_C2HQ0.csv", IV.encode())
    leave(folder, "data/01-sldo_vi_curves/sldo_C2HQ0.csv", SLDO.encode())
    return folder


def test_curves_are_drawn_with_their_figures_beside(folder):
    page = Page(html_text(read_dossier(folder), draws=True))
    prove_good(page, folder)
    said = page.section("curves")
    assert "Sensor IV, step 3 iv_curve" in said
    assert "SLDO curves, step 1 sldo_vi_curves" in said
    assert "data/03-iv_curve/IV_C2HQ0.csv" in said
    assert "I at 80 V0.0800 µA0.0102 µA/cm²" in said
    assert "working point, -50 V0.0500 µA" in said
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

    from calseq.events import BiasDecided  # noqa: PLC0415

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
