"""The pictures in the documents show what the program shows: `python docs/pictures.py` makes them anew."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
STALE = "stale: 'python docs/pictures.py' makes it anew"


@pytest.fixture(scope="module")
def pictures():
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_live_view_is_the_one_that_is_drawn(pictures):
    assert pictures.words(pictures.LIVE_VIEW.read_text()) == pictures.words(pictures.live_view()), STALE


def test_the_report_is_the_page_that_is_written(pictures):
    page = pictures.page()
    assert pictures.mark_of(pictures.REPORT.read_bytes()).decode() == pictures.digest(page).decode(), STALE
    assert pictures.digest(page) != pictures.digest(page.replace("Timeline", "Time line"))


def test_the_sample_is_a_whole_run_and_names_no_folder_of_whoever_recorded_it(pictures):
    from calseq.record.seal import verify  # noqa: PLC0415

    assert all(finding.good is not False for finding in verify(pictures.SAMPLE))
    texts = b"".join(path.read_bytes() for path in pictures.SAMPLE.rglob("*") if path.is_file())
    for word in (b"/root/", b"/home/", b"/work/", b"/tmp/"):
        assert word not in texts
