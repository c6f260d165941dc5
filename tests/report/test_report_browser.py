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
from console_runs import a_plan, failed_run, good_run, simulated_plan, unsafe_run
from report_pages import a_run, many_steps
from test_report_hostile import a_log, hostile_run

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


@pytest.mark.parametrize("width", [390, 1440])
def test_no_part_of_it_is_wider_than_the_screen(tmp_path, width):
    """A frame of that width says how wide its content is; the page itself runs no script, the one around it does."""
    path = write_report(a_run(tmp_path / "runs", failed_run(a_plan())))
    text = re.sub(r"<meta http-equiv[^>]*>", "", path.read_text())
    probe = (
        "<script>document.title = document.documentElement.scrollWidth + ' ' + innerWidth;</script></body>"
    )
    wide = tmp_path / "probe.html"
    wide.write_text(
        "<!doctype html><title>x</title>"
        f'<iframe id="f" style="width:{width}px;height:900px;border:0" srcdoc="{quoted(text.replace("</body>", probe))}"></iframe>'
        "<script>f.onload = () => document.body.append(f.contentDocument.title);</script>"
    )
    shown, _ = browse(tmp_path, "--dump-dom", f"file://{wide}")
    needed, there = map(int, re.search(r"</script>.*?(\d+) (\d+)\s*</body>", shown, re.DOTALL).groups())
    assert there == width
    assert needed <= width


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
