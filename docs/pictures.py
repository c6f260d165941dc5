"""Makes the pictures of the documents from the run in docs/sample-run: the live view, and the report in a browser.

    python docs/pictures.py          # needs chromium, and the extra 'plots'

docs/sample-run is a run of Panthera on the simulator, as it was recorded.
"""

import io
import re
import shutil
import struct
import subprocess
import tempfile
import zlib
from datetime import UTC
from hashlib import sha256
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console
from rich.text import Text

from calseq.console.characters import alphabet
from calseq.console.frame import Moment, frame
from calseq.model.events import StepProgressed
from calseq.model.plan import from_json
from calseq.record.journal import read_journal
from calseq.record.log_tail import Tail, tail_lines
from calseq.record.view import begin, fold
from calseq.report.html import text
from calseq.report.run_data import read_dossier

DOCS = Path(__file__).parent
SAMPLE = DOCS / "sample-run"
LIVE_VIEW, REPORT = DOCS / "live-view.svg", DOCS / "report.png"
COLUMNS, ROWS = 88, 24
WINDOW = "1200,1460"
MARK = b"calseq-page"
_TIMEOUT_S = 60


def live_view() -> str:
    """Give the SVG of the run in the middle of its fourth step."""
    view = begin(from_json((SAMPLE / "plan.json").read_bytes()))
    for stamped in read_journal(SAMPLE / "events.jsonl")[0]:
        view = fold(view, stamped)
        if isinstance(stamped.event, StepProgressed) and (stamped.event.step, stamped.event.part) == (4, 4):
            break
    log = (SAMPLE / "steps/04-tune_1000/log.txt").read_bytes().partition(b"===== 5/8")[0]
    tail = Tail(tail_lines(log[: log.rfind(b"\n")], False, ROWS))
    moment = Moment(view, stamped.t + 1, tail, alphabet(ascii=False))
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    for line in frame(moment, COLUMNS, ROWS):
        console.print(Text.assemble(*((span.text, span.style) for span in line)), no_wrap=True)
    svg = console.export_svg(title="calseq execute panthera.yaml --simulate", unique_id="calseq")
    return re.sub(r"\s*@font-face \{[^}]*\}", "", svg)  # no font is fetched from anywhere


def words(svg: str) -> str:
    """Give what is to be read in an SVG: how it is drawn is rich's own business."""
    return re.sub(r"<style>.*?</style>|<[^>]*>", "", svg, flags=re.DOTALL).strip()


def page() -> str:
    """Give the report, as if it had been made when the run ended, wherever these documents lie."""
    dossier = read_dossier(SAMPLE)
    html = text(replace(dossier, made_at=dossier.told.view.at), zone=UTC)
    return html.replace(str(SAMPLE), f"runs/{dossier.standing.record.run}")


def digest(html: str) -> bytes:
    """Give the digest of a page but for its plots: those are matplotlib's own business."""
    return (
        sha256(re.sub(r"<svg[^>]*class=\"plot\".*?</svg>", "", html, flags=re.DOTALL).encode())
        .hexdigest()
        .encode()
    )


def marked(png: bytes, mark: bytes) -> bytes:
    """Give a PNG picture that says of which page it is."""
    body = b"tEXt" + MARK + b"\0" + mark
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    end = png.rindex(b"IEND") - 4
    return png[:end] + chunk + png[end:]


def mark_of(png: bytes) -> bytes:
    """Give of which page a picture says that it is."""
    found = re.search(MARK + rb"\0([0-9a-f]{64})", png)
    return found[1] if found else b""


def screenshot(html: str) -> bytes:
    """Give a PNG picture of the top of a page."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("pictures: the report needs chromium")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "report.html").write_text(html, encoding="utf-8")
        taken = Path(folder) / "report.png"
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--window-size={WINDOW}",
        ]
        subprocess.run(
            [
                browser,
                *options,
                f"--user-data-dir={folder}/profile",
                f"--screenshot={taken}",
                f"file://{folder}/report.html",
            ],
            check=True,
            capture_output=True,
            timeout=_TIMEOUT_S,
        )
        return taken.read_bytes()


if __name__ == "__main__":
    LIVE_VIEW.write_text(live_view())
    made = page()
    REPORT.write_bytes(marked(screenshot(made), digest(made)))
