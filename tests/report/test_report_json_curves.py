"""The figures of curves in the JSON of a run: as numbers, none of them longer than a measurement is exact."""

import json
import re

import pytest
from test_report_curves import folder, leave

from calseq.report.as_json import text
from calseq.report.run_data import read_dossier

assert folder  # a fixture


def curves_of(place):
    data = json.loads(text(read_dossier(place)))
    return [curve for step in data["steps"] for curve in step["curves"]]


def test_the_figures_of_a_curve_stand_in_the_json(folder):
    (curve,) = curves_of(folder)
    assert curve["file"] == "data/03-iv_curve/IV_C2HQ0.csv"
    currents = {each["bias_v"]: each["current_a"] for each in curve["at"]}
    assert currents[80.0] == pytest.approx(8e-8)
    assert currents[25.0] == pytest.approx(2.5e-8)
    assert currents[120.0] is None
    assert curve["working"]["bias_v"] == 50.0
    assert curve["compliance_a"] == pytest.approx(1e-5)


def test_a_file_that_was_not_understood_is_named_in_the_json(folder):
    leave(folder, "data/03-iv_curve/IV_C2HQ0.csv", b"not,a curve\n1,2\n")
    data = json.loads(text(read_dossier(folder)))
    (unread,) = [each for step in data["steps"] for each in step["not_understood"]]
    assert unread["file"] == "data/03-iv_curve/IV_C2HQ0.csv"
    assert unread["reason"]


def test_no_number_is_written_with_more_digits_than_a_double_has(folder):
    rows = "".join(f"{-v},{-9.91e37 if v == 50 else -1e-9 * v}\n" for v in range(0, 85, 5))
    leave(folder, "data/03-iv_curve/IV_C2HQ0.csv", f"Voltage (V),Current (A)\n{rows}".encode())
    written = text(read_dossier(folder))
    assert max(map(len, re.findall(r"\d+", re.sub(r'"[^"]*"', "", written)))) <= 20
    assert "9910000000" not in written
