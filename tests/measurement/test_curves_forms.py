"""The table of forms in docs/curves.md: each example is read as it says, or refused in its words."""

import re
from pathlib import Path

import pytest
from curve_texts import iv

from calseq.measurement.curves import IvCurve, IvPoint, NotUnderstood
from calseq.measurement.iv import figures

PAGE = (Path(__file__).parents[2] / "docs" / "curves.md").read_text()
TABLE = PAGE.partition("## Forms of files")[2]
FORMS = {
    row[0]: (row[1].strip("`"), row[2])
    for line in TABLE.splitlines()
    if line.startswith("| ") and "`" in line
    for row in [[cell.strip() for cell in line.strip("|").split(" | ")]]
}
MEASURED = (IvPoint(0.0, -1e-9), IvPoint(-5.0, -1.5e-7), IvPoint(-10.0, -2e-7))
MARKS = {"⏎": "\n", "⇥": "\t", "'": '"', "\\r": "\r", "\\ufeff": "\ufeff", "\\x03": "\x03", "\\x04": "\x04"}


def content(example):
    """Give the bytes of an example."""
    encoding, text = re.fullmatch(r"(?:\((utf-16|latin-1)\))?(.*)", example).groups()
    for mark, meant in MARKS.items():
        text = text.replace(mark, meant)
    return text.encode(encoding or "utf-8")


def test_there_are_fifty_forms_and_more_and_most_are_read():
    assert len(FORMS) >= 50
    assert sum(said.startswith("read") for _, said in FORMS.values()) >= 42


@pytest.mark.parametrize(("example", "said"), FORMS.values(), ids=FORMS)
def test_each_form_is_read_as_it_is_said(example, said):
    found = iv(content(example))
    verdict, _, note = said.partition("told: ")
    if note:
        assert note in figures(found, module_type="1x2", compliance_a=1e-5).notes
    if verdict.startswith("read"):
        assert isinstance(found, IvCurve), found
        assert found.points[:3] == MEASURED
    elif not note:
        assert isinstance(found, NotUnderstood)
        assert found.reason == said
