"""Draws docs/live-view.svg: the live view of a recorded run, at a moment in the middle of it.

calseq execute panthera --simulate --runs /tmp/runs
python docs/live_view.py /tmp/runs/<run>
"""

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from calseq.console.alphabet import alphabet
from calseq.console.frame import Moment, frame
from calseq.console.logtail import Tail, tail_lines
from calseq.console.view import begin, fold
from calseq.events import StepProgressed
from calseq.journal import read_journal
from calseq.plan import from_json

COLUMNS, ROWS = 88, 24


def picture(folder: Path) -> str:
    """Give the SVG of a run in the middle of its fourth step."""
    view = begin(from_json((folder / "plan.json").read_bytes()))
    for stamped in read_journal(folder / "events.jsonl")[0]:
        view = fold(view, stamped)
        if isinstance(stamped.event, StepProgressed) and (stamped.event.step, stamped.event.part) == (4, 4):
            break
    log = (folder / "steps/04-tune_1000/log.txt").read_bytes().partition(b"===== 5/8")[0]
    tail = Tail(tail_lines(log[: log.rfind(b"\n")], False, ROWS))
    moment = Moment(view, stamped.t + 1, tail, alphabet(ascii=False))
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    for line in frame(moment, COLUMNS, ROWS):
        console.print(Text.assemble(*((span.text, span.style) for span in line)), no_wrap=True)
    svg = console.export_svg(title="calseq execute panthera --simulate", unique_id="calseq")
    return re.sub(r"\s*@font-face \{[^}]*\}", "", svg)  # no font is fetched from anywhere


if __name__ == "__main__":
    Path(__file__).with_name("live-view.svg").write_text(picture(Path(sys.argv[1])))
