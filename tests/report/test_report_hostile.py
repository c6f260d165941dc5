"""Nothing that a log, a file, a name or a record says is more than text, in any form of the report."""

import json
import os
import random
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from console_runs import a_plan, a_step, failed_run
from markdown_it import MarkdownIt
from msgspec.structs import replace
from report_pages import Page, a_run, page_of, prove_good

from calseq.report.as_json import text as json_text
from calseq.report.html import text as html_text
from calseq.report.junit import text as junit_text
from calseq.report.markdown import code
from calseq.report.markdown import text as markdown_text
from calseq.report.run_data import read_dossier

HARMFUL = (
    b"<script>alert(1)</script>", b"</pre></style></title><img src=x onerror=alert(1)>", b"<!-- ", b"-->", b"]]>", b"<![CDATA[",
    b"{{ 7*7 }}", b"{% raw %}", b"{# no", b"&lt;b&gt;", b"&#60;", b"&amp", b'" onmouseover="x', b"' style='x", b"`", b"``` ", b"~~~",
    b"\x1b[31mred\x1b[0m", b"\x1b]8;;https://example.org\x07here\x1b]8;;\x07", b"\x1b]0;title\x07", b"\x00", b"\xff\xfe", b"\xc3\x28",
    b"\xed\xa0\x80", "\u202egnp.exe\u202c".encode(), "\u2066\u2069\u200b\ufeff".encode(), "\ufffe\uffff".encode(), b"\r", b"\x0b\x0c\x85",
    "\u2028\u2029".encode(), b"[link](https://example.org)", b"![img](x)", b"| a | b |", b"\\|", b"# head", b"<details open>", b"@all #1 !2",
    b"</svg><svg onload=alert(1)>", b"javascript:alert(1)", b"$(reboot)", b"</testsuite>", b"url(//example.org)", b"x" * 5000,
    "\U0001f4a9\U000e0001".encode(), b"</textarea></noscript></template>", b"&NotExist;", b"<math><mtext></table>",
)  # fmt: skip


def a_log(seed):
    chance = random.Random(seed)
    lines = [b"".join(chance.choices(HARMFUL, k=chance.randint(1, 4))) for _ in range(chance.randint(1, 30))]
    return b"\n".join([*lines, b"the end"])


def harmful_text(seed):
    """A text as a record may have it: valid JSON, and everything but harmless."""
    chance = random.Random(seed)
    found = b" ".join(chance.choices(HARMFUL[:-1], k=3)).decode("utf-8", "replace")
    return found[:300]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return a_run(
        tmp_path_factory.mktemp("runs"), failed_run(a_plan()), logs={"03-iv_curve": b"good\nthe end"}
    )


def elements(page):
    return [(depth, tag, names) for depth, tag, names in page.structure]


class Outline(HTMLParser):
    """The elements of a page as Python's own parser sees them: twenty times faster than the strict one."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, [name for name, _ in attrs]))

    def handle_endtag(self, tag):
        self.found.append(("/", tag))

    def handle_comment(self, data):
        self.found.append(("comment",))

    def unknown_decl(self, data):
        self.found.append(("declaration",))


def test_500_hostile_logs_are_text_and_nothing_else(folder):
    log = folder / "steps" / "03-iv_curve" / "log.txt"
    log.write_bytes(b"good\nthe end")
    text = html_text(read_dossier(folder))
    harmless, outline = elements(Page(text)), Outline(text).found
    for seed in range(500):
        log.write_bytes(a_log(seed))
        text = html_text(read_dossier(folder))
        assert Outline(text).found == outline, seed
        assert visible(text), seed
        assert "the end" in text
        if seed % 20 == 0:
            page = Page(text)
            assert page.errors == [], seed
            assert elements(page) == harmless, seed


def visible(text):
    """Nothing in it is invisible, turns its line round, or is a control character."""
    return all(char.isprintable() or char in "\n\u00a0" for char in text)


def test_hostile_titles_names_and_reasons_are_text_and_nothing_else(tmp_path):
    harmless = None
    for seed in range(-1, 60):
        text = "plain" if seed < 0 else harmful_text(seed)
        page = page_of(hostile_run(tmp_path / str(seed), text))
        prove_good(page)
        assert visible(page.text), seed
        harmless = harmless or elements(page)
        assert elements(page) == harmless, seed


def hostile_run(runs, text):
    """A run in which whatever may be said by somebody else says `text`."""
    steps = tuple(replace(each, calibration=text, argv=("dirigent", text)) for each in a_plan().steps)
    instruments = tuple(
        replace(each, name=text, instrument_class=text, resource=text) for each in a_plan().instruments
    )
    plan = a_plan(
        steps, title=text, description=text, bench=text, instruments=instruments, warnings=(text, f"{text}2")
    )
    events = [
        (t, replace(e, reason=text, last_lines=(text,)) if hasattr(e, "last_lines") else e)
        for t, e in failed_run(plan)
    ]
    return a_run(
        runs, events, plan, module=text, operator=text, host=text, reason=text, python=text, calseq=text
    )


def test_hostile_names_of_steps_and_files_are_text_and_links_that_lead_to_them(tmp_path):
    for seed in range(25):
        name = (
            harmful_text(seed)
            .replace("/", "∕")
            .replace("\0", "")[:60]
            .encode()[:180]
            .decode("utf-8", "ignore")
        )
        folder = a_run(tmp_path / str(seed))
        left = folder / "data" / "03-iv_curve"
        left.mkdir()
        (left / name).write_bytes(b"x")
        with open(os.fsencode(left) + b"/\xff\xfe <b>.png", "wb") as file:  # noqa: PTH123 - a name of bytes
            file.write(b"x")
        page = page_of(folder)
        prove_good(page, folder)
        assert visible(page.text)


def test_a_step_of_a_hostile_name_is_text(tmp_path):
    names = [f"<b>{each}</b>&'\"" for each in ("one", "two")]
    plan = a_plan(tuple(a_step(n, "voltage_trimming", name=name) for n, name in enumerate(names, 1)))
    page = page_of(a_run(tmp_path, [], plan, state="ended", verdict="failed", exit_code=1))
    prove_good(page)
    assert "<b>one</b>&'\"" in page.words


# The other forms


def test_junit_is_well_formed_whatever_a_log_says(folder):
    log = folder / "steps" / "03-iv_curve" / "log.txt"
    harmless = None
    for seed in range(200):
        log.write_bytes(a_log(seed))
        root = ElementTree.fromstring(junit_text(read_dossier(folder)))
        found = [each.tag for each in root.iter()]
        harmless = harmless or found
        assert found == harmless


def test_json_can_be_read_whatever_a_log_says(folder):
    log = folder / "steps" / "03-iv_curve" / "log.txt"
    for seed in range(100):
        log.write_bytes(a_log(seed))
        assert json.loads(json_text(read_dossier(folder)))["steps"][2]["last_lines"][-1] == "the end"


def test_json_has_nothing_that_a_terminal_obeys_and_the_same_values(tmp_path):
    for seed in range(40):
        text = harmful_text(seed) + "\x1b[31m\x9b\u202e\x7f\u2028\U000e0001"
        dossier = read_dossier(hostile_run(tmp_path / str(seed), text))
        written = json_text(dossier)
        assert all(char.isprintable() or char == "\n" for char in written), seed
        assert json.loads(written)["record"]["title"] == dossier.standing.record.title
        assert "\x9b\u202e\x7f\u2028\U000e0001" in json.loads(written)["record"]["module"]
        assert written.startswith('{\n  "format": 1,')


def rendered(text):
    """Markdown as a forge renders it: tables and HTML are on. Gives the kinds of its parts, and the HTML."""
    markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = markdown.parse(text)
    kinds = [inner.type for token in tokens for inner in (token, *(token.children or ()))]
    return kinds, markdown.render(text)


def test_markdown_has_no_markup_but_its_own(tmp_path):
    active = {"html_block", "html_inline", "link_open", "image", "em_open", "s_open"}
    plain, _ = rendered(markdown_text(read_dossier(hostile_run(tmp_path / "plain", "plain"))))
    for seed in range(150):
        kinds, _ = rendered(
            markdown_text(read_dossier(hostile_run(tmp_path / str(seed), harmful_text(seed))))
        )
        assert not set(kinds) & active, seed
        assert [kind for kind in kinds if kind != "text"] == [kind for kind in plain if kind != "text"], seed


def test_a_log_cannot_end_its_block_in_markdown(folder):
    (folder / "steps" / "03-iv_curve" / "log.txt").write_bytes(b"```\n````\n# head\n<b>\n~~~~\n")
    kinds, html = rendered(markdown_text(read_dossier(folder)))
    assert kinds.count("fence") == 1
    assert "html_block" not in kinds
    assert "&lt;b&gt;" in html


@pytest.mark.parametrize(
    "text", ["", "`", "``", "` a", "a `` b", " x ", "a|b", "a\\|b", "<b>", "\n# x", "&amp;"]
)
def test_a_code_span_shows_the_very_text(text):
    found = MarkdownIt("commonmark").render(code(text)).strip()
    assert re.fullmatch(r"<p><code>.*</code></p>", found)


# A record that is itself an attack


@pytest.mark.parametrize(
    "value", ["javascript:alert(1)", "//example.org/x", "/etc/passwd", "../../../etc/passwd", "a\0b"]
)
def test_a_record_cannot_make_a_link_of_its_own(tmp_path, value):
    folder = a_run(tmp_path)
    path = folder / "run.json"
    record = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**record, "plan": value, "run": value}))
    page = page_of(folder)
    prove_good(page, folder)
    assert not [link for link in page.links if "passwd" in link or "example" in link]


def test_the_templates_trust_the_plots_only():
    texts = [
        path.read_text() for path in Path(html_text.__code__.co_filename).parent.glob("templates/**/*.j2")
    ]
    trusted = [each for text in texts for each in re.findall(r"\{\{ *(\S+?) *\| *safe *\}\}", text)]
    assert sorted(trusted) == ["drawing.svg", "plot"]
    assert sum(len(re.findall(r"\|\s*safe\b", text)) for text in texts) == len(trusted)
    assert not any("autoescape" in text for text in texts)
    assert all(len(text.splitlines()) <= 150 for text in texts)
