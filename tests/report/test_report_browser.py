"""The page in a real browser with no network: nothing is asked for, nothing complains, and it fits each medium.

Runs where chromium is installed.
"""

import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from console_runs import a_plan, failed_run, good_run, simulated_plan, unsafe_run, until_tuning
from report_pages import a_run, dirigent_run, many_steps
from test_report_curves import SHORT, curved, no_bias_run
from test_report_hostile import a_log, hostile_run

from calseq.cli.commands.compare import comparison_page
from calseq.cli.compared import gather
from calseq.measurement.comparison import compare
from calseq.record.status import stand
from calseq.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_S = 90
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")


def runs():
    plan = a_plan()
    return {
        "passed": lambda runs_: a_run(runs_, good_run(plan)),
        "unsafe": lambda runs_: a_run(runs_, unsafe_run(plan)),
        "simulated": lambda runs_: a_run(runs_, good_run(simulated_plan()), simulated_plan()),
        "many": lambda runs_: a_run(runs_, many_steps(200, failing=5)[1], many_steps(200, failing=5)[0]),
        "hostile": lambda runs_: hostile_run(
            runs_, "<img src=x onerror=alert(1)> </style> {{ 7*7 }} https://example.org"
        ),
        "hostile log": lambda runs_: a_run(runs_, failed_run(plan), logs={"03-iv_curve": a_log(1)}),
    }


def browse(place, *words):
    """Start chromium without a network, bounded in time; give what it printed and what it complained of."""
    argv = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", f"--user-data-dir={place / 'profile'}",
        f"--log-net-log={place / 'net.json'}", *words,
    ]  # fmt: skip
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, errors="replace")  # fmt: skip
    try:
        return process.communicate(timeout=PATIENCE_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("run", runs())
def test_nothing_is_asked_for_and_nothing_complains(tmp_path, run):
    path = write_report(runs()[run](tmp_path / "runs"))
    shown, complaints = browse(tmp_path, "--dump-dom", f"file://{path}")
    assert "</html>" in shown
    assert not re.findall(r"CONSOLE.*|.*Content Security Policy.*", complaints)
    assert not asked(tmp_path)


def asked(place):
    """Give the addresses on the network that a page asked for; the browser's own are none of its."""
    text = (place / "net.json").read_text(errors="replace")
    found = set(re.findall(r'"url":"((?:https?|ftp|wss?)://[^"]*)"', text))
    own = r"https?://(?:[a-z0-9-]+\.)*(?:google|googleapis|gstatic|gvt1)\.com/"
    return {url for url in found if not re.match(own, url)}


def test_these_witnesses_see_what_they_look_for(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(
        '<!doctype html><img src="http://example.org/x.png"><script>console.error("here")</script>'
    )
    _, complaints = browse(tmp_path, "--dump-dom", f"file://{page}")
    assert asked(tmp_path) == {"http://example.org/x.png"}
    assert "CONSOLE" in complaints
    page.write_text(
        f"<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\">{page.read_text()}"
    )
    _, complaints = browse(tmp_path, "--dump-dom", f"file://{page}")
    assert "Content Security Policy" in complaints


def pages(place):
    """Give pages of runs of many kinds, by name: reports and a comparison, with curves and names of all lengths."""
    long = "M" + "1234567890" * 4
    folders = {
        **{name: run(place / name) for name, run in runs().items()},
        "failed": a_run(place / "failed", failed_run(a_plan())),
        "dirigent": a_run(place / "dirigent", *dirigent_run()[::-1]),
        "died": a_run(place / "died", until_tuning(a_plan())),
        "curves": curved(place / "curves"),
        "breakdown": curved(place / "breakdown", no_bias_run, iv=SHORT, breakdowns=b'{"0": -40}'),
        "long name": curved(place / "long", module=long, iv=SHORT, breakdowns=b'{"0": -40}'),
        "not understood": curved(place / "odd", iv="x" * 300),
    }
    told = {name: write_report(folder).read_text() for name, folder in folders.items()}
    drawn = [gather(stand(folders[name])) for name in ("curves", "breakdown", "long name")]
    told["compared"] = comparison_page(compare(drawn))
    told["nothing to compare"] = comparison_page(compare([gather(stand(folders["failed"]))] * 2))
    return told


def test_no_part_of_any_page_is_wider_than_the_screen(tmp_path):
    """Frames of that width say how wide their content is; the pages run no script, the one around them does."""
    probe = "<script>document.title = document.documentElement.scrollWidth + ' ' + innerWidth</script></body>"
    told = pages(tmp_path / "runs")
    frames, widths = [], (360, 390, 768, 1280)
    for text in told.values():
        content = quoted(re.sub(r"<meta http-equiv[^>]*>", "", text).replace("</body>", probe))
        frames += [f'<iframe style="width:{wide}px;border:0" srcdoc="{content}"></iframe>' for wide in widths]
    wide = tmp_path / "probe.html"
    wide.write_text(
        "<!doctype html><title>x</title>" + "".join(frames) + "<script>onload = () => document.body.append("
        "'found:' + [...document.querySelectorAll('iframe')].map(f => f.contentDocument.title) + ';')</script>"
    )
    shown, _ = browse(tmp_path, "--dump-dom", f"file://{wide}")
    found = [tuple(map(int, each.split())) for each in re.search(r"found:(\d[^;]*);", shown)[1].split(",")]
    of = [f"{name} at {width}" for name in told for width in widths]
    assert len(found) == len(of)
    assert [there for _, there in found] == list(widths) * len(told)
    assert {name: needed for name, (needed, there) in zip(of, found, strict=True) if needed > there} == {}


def quoted(text):
    return text.replace("&", "&amp;").replace('"', "&quot;")


@pytest.mark.parametrize("run", ["passed", "simulated", "many"])
def test_it_prints(tmp_path, run):
    path = write_report(runs()[run](tmp_path / "runs"))
    paper = tmp_path / "page.pdf"
    browse(tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={paper}", f"file://{path}")
    content = paper.read_bytes()
    assert content.startswith(b"%PDF-")
    pages = len(re.findall(rb"/Type\s*/Page\b", content))
    assert 2 <= pages <= (30 if run == "many" else 4)
    boxes = {
        tuple(round(float(each)) for each in box.split())
        for box in re.findall(rb"/MediaBox\s*\[([^\]]*)\]", content)
    }
    assert all(abs(box[2] - 595) <= 1 and abs(box[3] - 842) <= 1 for box in boxes), "not A4"


def test_no_browser_is_left(tmp_path):
    browse(tmp_path, "--dump-dom", "about:blank")
    mark = f"--user-data-dir={tmp_path / 'profile'}".encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert mark not in path.read_bytes()
        except OSError:
            continue
