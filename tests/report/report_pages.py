"""Pages as a browser takes them apart: strictly parsed, with their elements, links and texts."""

import re
from datetime import UTC
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import html5lib
from console_runs import (
    OFF,
    RailMoved,
    RailMoving,
    RailsRead,
    RunEnded,
    SafeEndFinished,
    SafeEndStarted,
    Verdict,
    a_plan,
    a_step,
    good_run,
    move,
    safe_end,
    started,
    step_run,
)
from folder_runs import write_run

from calseq.model.plan import PowerMode
from calseq.model.rails import Move, Readings
from calseq.model.verdicts import NOT_CONTROLLED, RunVerdict
from calseq.report.html import text as html_text
from calseq.report.run_data import read_dossier

BLOCKS = {"p", "h1", "h2", "h3", "li", "dt", "tr", "pre", "summary", "caption", "header", "div", "strong"}
CELLS = {"td", "th", "dd", "span"}


class Page:
    """A page, parsed by the rules of HTML; whatever a validator would complain of raises."""

    def __init__(self, text):
        self.text = text
        parser = html5lib.HTMLParser(tree=html5lib.getTreeBuilder("etree"), namespaceHTMLElements=False)
        self.root = parser.parse(text)
        self.errors = [(where, name) for where, name, _ in parser.errors]

    @property
    def elements(self):
        return list(self.root.iter())

    @property
    def structure(self):
        """Every element with the names of its attributes, and how deep it stands."""

        def walk(element, depth):
            yield depth, str(element.tag), tuple(sorted(map(str, element.attrib)))
            for child in element:
                yield from walk(child, depth + 1)

        return list(walk(self.root, 0))

    @property
    def words(self):
        """All that can be read on it, as one line."""
        body = next(each for each in self.elements if each.tag == "body")
        return re.sub(r"\s+", " ", "".join(body.itertext()))

    @property
    def reading(self):
        """All that can be read on it, a line for every block, as somebody reads it out."""

        def walk(element):
            if str(element.tag).endswith(("title", "style")):
                return
            yield "\n" if element.tag in BLOCKS else " " if element.tag in CELLS else ""
            yield element.text or ""
            for child in element:
                yield from walk(child)
                yield child.tail or ""

        body = next(each for each in self.elements if each.tag == "body")
        lines = "".join(walk(body)).split("\n")
        return "\n".join(line for line in (" ".join(line.split()) for line in lines) if line) + "\n"

    @property
    def links(self):
        return [each.attrib["href"] for each in self.elements if each.tag == "a"]

    def section(self, name):
        """The words of the section of that heading."""
        found = [
            each
            for each in self.elements
            if each.tag == "section" and each.attrib.get("aria-labelledby") == name
        ]
        return re.sub(r"\s+", " ", "".join(found[0].itertext())) if found else ""


def page_of(folder, zone=UTC):
    return Page(html_text(read_dossier(folder), zone=zone))


def prove_good(page, folder=None):
    """Prove what holds of every page: valid, unique ids, nothing active, nothing from elsewhere, links that lead somewhere."""
    assert page.errors == []
    ids = [each.attrib["id"] for each in page.elements if "id" in each.attrib]
    assert len(ids) == len(set(ids))
    assert not {"script", "iframe", "object", "embed", "form", "base", "link", "template"} & {
        each.tag for each in page.elements
    }
    for each in page.elements:
        for name, value in each.attrib.items():
            assert not str(name).lower().startswith("on"), name
            if name in ("href", "src", "action", "data", "{http://www.w3.org/1999/xlink}href"):
                prove_near(value, ids, folder, each.tag)
    csp = next(e.attrib["content"] for e in page.elements if e.attrib.get("http-equiv"))
    assert csp == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    styles = [each.text or "" for each in page.elements if str(each.tag).endswith("style")]
    drawn = [str(each.attrib.get(name, "")) for each in page.elements for name in ("style", "fill", "class")]
    assert not re.findall(r"url\((?!#)|@import|expression\(", "\n".join([*styles, *drawn]))


def prove_near(value, ids, folder, tag):
    if tag == "img":
        assert re.match(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+$", value)
        return
    if value.startswith("#"):
        assert value[1:] in ids, value
        return
    parts = urlsplit(value)
    assert (parts.scheme, parts.netloc) == ("", ""), value
    assert not parts.path.startswith("/"), value
    assert ".." not in Path(parts.path).parts, value
    if folder is not None:
        assert (folder / unquote_to_bytes(parts.path).decode("utf-8", "surrogateescape")).exists(), value


def dirigent_run():
    """A run in which dirigent switches the supplies itself."""
    plan = a_plan(mode=PowerMode.DIRIGENT)
    rails = (RailMoving, RailMoved, RailsRead, SafeEndStarted, SafeEndFinished)
    *told, end = [each for each in good_run(plan) if not isinstance(each[1], rails)]
    return plan, [*told, (3155.0, SafeEndFinished(False, Readings(), NOT_CONTROLLED)), end]


def many_steps(count, *, failing=0, hostile=False):
    """A run of many steps, of which every `failing`th fails; with texts that grow when they are escaped."""
    name = "x<&\"'" * 20 if hostile else "step"
    steps = tuple(a_step(n, "voltage_trimming", name=f"{name}_{n}", usual_s=30) for n in range(1, count + 1))
    plan = a_plan(steps)
    t, events = 3.0, [(0.0, started(plan)), (0.5, RailsRead(OFF)), *move(0.5, Move.LV_ON, OFF, 1)]
    for step in steps:
        bad = failing and step.number % failing == 0
        fields = {"reason": f"exit code 1 {name}", "last_lines": ("<&\"'" * 50,) * 20} if bad else {}
        events += step_run(step, t, 30.0, Verdict.FAILED if bad else Verdict.PASSED, **fields)
        t += 31
    verdict = RunVerdict.FAILED if failing else RunVerdict.PASSED
    return plan, [*events, *safe_end(t), (t + 8, ended(verdict, t + 8))]


def ended(verdict, t):
    return RunEnded(verdict, 0 if verdict is RunVerdict.PASSED else 1, t)


def a_run(runs, events=None, plan=None, **fields):
    plan = plan or a_plan()
    folder = write_run(runs, good_run(plan) if events is None else events, plan=plan, **fields)
    for part in ("steps", "data"):
        (folder / part).mkdir(exist_ok=True)
    return folder
