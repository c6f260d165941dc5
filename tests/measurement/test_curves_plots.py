"""A plot is one harmless element of a page: small, the same every time, with colours that the page decides."""

import logging
import os
import re
import subprocess
import sys
from xml.etree import ElementTree as XmlTree

import matplotlib as mpl
import pytest
from curve_texts import curve, rising

from calseq.measurement.curves import Trace, ViCurve
from calseq.measurement.plots import can_plot, iv_svg, vi_svg
from calseq.measurement.plots.colours import DASHES, LINES, MARKERS, VARIABLES, line_style
from calseq.measurement.plots.figure import thinned
from calseq.measurement.plots.iv import is_logarithmic

HOSTILE = '$\\frac{a}{b}$ <script>alert("1")</script> &amp; ]]> \x00\x1b[2J\u202e\ud800 漢字 _'


def iv(*curves, title="C2HQ0", **marks):
    known = {"area_cm2": 7.85, "working_v": -50.0, "compliance_a": 1e-5, "breakdown_v": None}
    return iv_svg(list(curves), title=title, **(known | marks))


def traces(chips=4, points=25):
    names = [
        ("VIN", ""),
        ("VOFS", ""),
        *((name, str(chip)) for chip in range(chips) for name in ("VDDD", "VDDA")),
    ]
    made = (
        Trace(name, chip, "V", tuple((place * 0.2, 1.0 + place * 0.01) for place in range(points)))
        for name, chip in names
    )
    return ViCurve("f.csv", "C2HQ0", tuple(made))


def plots():
    broken = rising(80, broken_from_v=70)
    return {
        "iv": iv(("run 1", rising())),
        "iv-many": iv(*((f"run {number}", broken) for number in range(20)), breakdown_v=70.0),
        "iv-hostile": iv((HOSTILE, broken), title=HOSTILE * 9),
        "iv-bare": iv(("", rising()), area_cm2=None, working_v=None, compliance_a=None),
        "iv-empty": iv(("run 1", curve())),
        "iv-none": iv(),
        "iv-zero": iv(("run 1", curve((0, 0), (-5, 0)))),
        "iv-one": iv(("run 1", curve((-5, -1e-7)))),
        "iv-log": iv(("run 1", rising(120, broken_from_v=70))),
        "iv-forward": iv(("run 1", curve((0, 0), (5, 1e-6), (10, 2e-6)))),
        "vi": vi_svg(traces(), title="SLDO"),
        "vi-hostile": vi_svg(
            ViCurve("f", "m", (Trace(HOSTILE, "", HOSTILE, ((0.0, 1.0), (1.0, 2.0))),)), title=HOSTILE
        ),
        "vi-empty": vi_svg(ViCurve("f", "m", ()), title="SLDO"),
    }


PLOTS = plots()


def words(svg):
    return [element.text for element in XmlTree.fromstring(svg).iter() if element.tag in ("text", "tspan")]


@pytest.mark.parametrize("name", PLOTS)
def test_it_is_one_element_that_needs_nothing_else_and_does_nothing(name):
    svg = PLOTS[name]
    assert svg.startswith("<svg ")
    root = XmlTree.fromstring(svg)
    assert {element.tag for element in root.iter()} <= {"svg", "title", "g", "defs", "path", "use", "text", "clipPath", "rect"}  # fmt: skip
    attributes = [(key, value) for element in root.iter() for key, value in element.attrib.items()]
    assert not [key for key, _ in attributes if key.startswith("on") or "}" in key]
    assert all(value.startswith("#") for key, value in attributes if key == "href")
    assert all(value.startswith("url(#") for _, value in attributes if "url(" in value)
    for word in ("<?xml", "<!DOCTYPE", "http", "data:", "<script", "\x00", "\x1b", "\u202e"):
        assert word not in svg


@pytest.mark.parametrize("name", PLOTS)
def test_it_is_small_and_named(name):
    root = XmlTree.fromstring(PLOTS[name])
    assert len(PLOTS[name].encode()) <= 60_000
    assert root.get("role") == "img"
    assert root[0].tag == "title"
    assert root[0].text


@pytest.mark.parametrize("name", PLOTS)
def test_every_colour_is_a_variable_of_the_page(name):
    used = re.findall(r"(?:fill|stroke): ?([^;\"]+)", PLOTS[name])
    assert set(used) <= {"none", *VARIABLES.values()}
    assert "#0101" not in PLOTS[name]
    assert "#0102" not in PLOTS[name]


def test_the_bytes_are_the_same_every_time():
    assert plots() == PLOTS


def test_the_bytes_are_the_same_in_another_process(tmp_path):
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from curve_texts import rising\nfrom calseq.measurement.plots import iv_svg\n"
        "sys.stdout.buffer.write(iv_svg([('run 1', rising())], title='C2HQ0', area_cm2=7.85, working_v=-50.0,"
        " compliance_a=1e-5, breakdown_v=None).encode())"
    )
    there = [path for path in sys.path if "tests" in path]
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *there], capture_output=True, timeout=120, cwd=tmp_path,
        env={**os.environ, "HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null", "XDG_CONFIG_HOME": "/dev/null",
             "MPLCONFIGDIR": "/dev/null/there", "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"},
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.decode() == PLOTS["iv"]
    assert list(tmp_path.iterdir()) == []


def test_two_plots_share_no_id_and_refer_to_their_own():
    seen = {}
    for name, svg in PLOTS.items():
        root = XmlTree.fromstring(svg)
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) <= set(ids)
        for each in ids:
            assert seen.setdefault(each, name) == name


def test_hostile_names_stand_there_as_text():
    said = words(PLOTS["iv-hostile"])
    assert any(
        text.startswith('$\\frac{a}{b}$ <script>alert("1")</script> &amp; ]]> \\x00\\e[2J')
        for text in said
        if text
    )
    assert "<script" not in PLOTS["iv-hostile"]


def test_a_label_that_begins_with_an_underscore_is_shown():
    assert "_run" in words(iv(("_run", rising())))


def test_all_marks_are_named():
    said = words(iv(("run 1", rising(80, broken_from_v=70)), breakdown_v=70.0, compliance_a=2e-6))
    for text in ("run 1", "25 V and 80 V", "working point 50 V", "breakdown 70 V", "compliance 2 µA"):
        assert text in said
    for text in ("reverse bias (V)", "µA/cm² (of 7.85 cm²)"):
        assert text in said


def test_what_lies_beyond_the_plot_is_said_and_not_drawn():
    said = words(iv(("run 1", rising(40)), working_v=-50, compliance_a=1e-3))
    assert {"25 V", "working point 50 V, not reached", "compliance 1000 µA, above the plot"} <= set(said)


def test_without_an_area_there_is_one_axis():
    assert not [text for text in words(PLOTS["iv-bare"]) if "cm²" in text]


@pytest.mark.parametrize("name", ["iv-empty", "iv-none", "vi-empty"])
def test_no_points_are_said(name):
    assert "no points" in words(PLOTS[name])


def test_the_axis_is_logarithmic_beyond_two_decades_and_zero_volts_do_not_count():
    assert is_logarithmic([[(5, 1.0), (10, 101.0)]])
    assert not is_logarithmic([[(5, 1.0), (10, 100.0)]])
    assert not is_logarithmic([[(0, 1e-9), (0.9, 1e-6), (5, 1.0), (10, 0.0)]])
    assert is_logarithmic([[(5, 1.0)], [(5, 1000.0)]])
    assert not is_logarithmic([[]])
    assert "current (µA), logarithmic" in words(PLOTS["iv-log"])
    assert "current (µA)" in words(PLOTS["iv"])


def test_more_curves_than_can_be_told_apart_are_said_not_to_be_drawn():
    assert "and 4 more that are not drawn" in words(PLOTS["iv-many"])


def test_the_largest_files_give_small_plots():
    long = curve(*((-0.001 * place, -1e-7 * (1 + place % 7)) for place in range(100_000)))
    assert len(iv(*((f"run {n}", long) for n in range(16))).encode()) <= 60_000
    assert len(vi_svg(traces(chips=16, points=3000), title="x").encode()) <= 60_000


def test_a_spike_survives_when_points_are_thinned():
    points = [(float(place), 1.0) for place in range(10_000)]
    points[4321] = (4321.0, 99.0)
    kept = thinned(points, 100)
    assert len(kept) <= 110
    assert (4321.0, 99.0) in kept
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert set(kept) <= set(points)


def test_lines_differ_without_their_colours():
    styles = [line_style(place) for place in range(16)]
    assert len({str((style["linestyle"], style["marker"])) for style in styles}) == 16
    assert len(LINES) == len(DASHES) == len(MARKERS) == 8


def test_nothing_of_matplotlib_is_changed_and_pyplot_is_not_there():
    # asking matplotlib itself for its backend would import pyplot
    before = dict(dict.items(mpl.rcParams))
    levels = logging.getLogger("matplotlib").level
    iv(("run 1", rising()))
    assert dict(dict.items(mpl.rcParams)) == before
    assert logging.getLogger("matplotlib").level == levels
    assert "matplotlib.pyplot" not in sys.modules


def test_asking_whether_plots_can_be_drawn_costs_nothing():
    assert can_plot()
    code = (
        "import sys, calseq.measurement.plots; assert calseq.measurement.plots.can_plot(); assert 'matplotlib' not in sys.modules\n"
        "sys.modules['matplotlib'] = None; assert not calseq.measurement.plots.can_plot()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_matplotlibrc_of_the_users_own_does_not_count(tmp_path):
    (tmp_path / "matplotlibrc").write_text(
        "lines.linewidth: 9\nfont.size: 30\ntext.usetex: True\naxes.linewidth: 9\nxtick.direction: in\n"
    )
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\nfrom test_curves_plots import PLOTS\n"
        "sys.stdout.buffer.write(PLOTS['iv'].encode())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *(path for path in sys.path if "tests" in path)],
        capture_output=True, timeout=120, cwd=tmp_path,
    )  # fmt: skip
    assert ran.stdout.decode() == PLOTS["iv"], ran.stderr.decode()


def test_what_every_chip_has_stands_in_panels_of_their_own():
    """VDDD and VDDA of four chips are within a few per cent: on one axis they hide each other."""
    traces = [
        Trace(name, str(chip), "V", tuple((amps / 2, 1.2 + chip / 100) for amps in range(2, 12)))
        for name in ("VDDD", "VDDA")
        for chip in range(4)
    ]
    vin = Trace("VIN", "", "V", ((1.0, 1.3), (6.0, 2.6)))
    drawn = vi_svg(ViCurve("f.csv", "C2HQ0", (vin, *traces)), title="SLDO")
    assert [name in drawn for name in ("voltage (V)", "VDDD (V)", "VDDA (V)")] == [True] * 3
    assert drawn.count("input current (A)") == 3
    alone = vi_svg(ViCurve("f.csv", "C2HQ0", (vin, traces[0], traces[4])), title="SLDO")
    assert alone.count("input current (A)") == 1
