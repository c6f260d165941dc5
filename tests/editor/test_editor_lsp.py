"""`calseq lsp`, driven as an editor drives it: the words of `calseq validate`, its fixes, its layout."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from editor_agreement import SEQUENCES, VARIANTS, agreement
from language_server import serving

from calseq.bench.site import TASKS
from calseq.documents.document import open_text
from calseq.documents.yaml_reader import read_yaml
from calseq.editor.marks import at, changes, marks
from calseq.editor.sheet import judged, mended, tidy
from calseq.planning.loading import read_whole
from calseq.planning.validation import PLACES
from calseq.problems.codes import CODES
from calseq.problems.formats.report import message_and_cure
from calseq.problems.refused import in_order
from calseq.sequence.catalog import builtin
from calseq.system.assets import shipped_sequences

CALSEQ = [sys.executable, "-m", "calseq", "lsp"]
HEAD = "calseq: 1\ntitle: T\nsteps:\n"
MISSPELT = HEAD + "  - sldo_vi_curves\n  - calibration: iv_curv\n"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server():
    with serving(CALSEQ) as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("site") / "sequences"
    made.mkdir()
    return made


@pytest.fixture(params=[SEQUENCES, VARIANTS], ids=["sequences", "variants"])
def corpus(request, tmp_path):
    """A corpus where a site has its sequences."""
    return Path(shutil.copytree(request.param, tmp_path / "sequences"))


def test_it_marks_the_line_of_calseq_in_every_file_of_the_corpora(server, corpus):
    found = agreement(server, corpus, in_place=True)
    assert sum(found.files.values()) > 45
    assert (found.share(), found.others) == (1.0, [])
    assert found.alone == found.files, "another line is marked, too"


def test_it_says_the_words_of_calseq_validate_and_nothing_else(server, corpus):
    for path in sorted(corpus.glob("*.yaml")):
        document = read_yaml(open_text(path))
        documents, _ = read_whole(document, builtin(), folder=corpus)
        own = [each for each in in_order(documents[0].problems) if each.place.source is documents[0].source]
        said = server.marks(server.open(path.read_bytes().decode(errors="replace"), path))
        assert sorted((mark["code"], mark["message"]) for mark in said) == sorted(
            (each.code.id, message_and_cure(each)) for each in own
        )


def test_warnings_are_warnings(server, folder):
    text = HEAD + "  - calibration: calibrate_module\n    tuning: T\n"
    [mark] = server.marks(server.open(text, folder / "warned.yaml"))
    assert (mark["code"], mark["severity"], mark["source"]) == ("CS302", 2, "calseq")


def test_it_marks_the_very_word_in_units_of_the_editor(server, folder):
    text = HEAD + '  - {name: "\U0001f600", calibration: iv_curv}\n'
    found = server.marks(server.open(text, folder / "wide.yaml"))
    [mark] = [each for each in found if each["code"] == "CS203"]
    line = text.split("\n")[3]
    column = line.index("iv_curv") + 1  # the face takes two units of UTF-16
    assert mark["range"] == {
        "start": {"line": 3, "character": column},
        "end": {"line": 3, "character": column + len("iv_curv")},
    }


@pytest.mark.parametrize("path", shipped_sequences(), ids=lambda path: path.stem)
def test_it_marks_nothing_in_a_shipped_sequence(server, path):
    assert server.problems(path.read_text(), path) == []


def test_it_says_nothing_of_files_that_are_none_of_calseqs(server, tmp_path):
    assert server.problems("services: {web: {image: x}}\n", tmp_path / "compose.yaml") == []
    assert server.problems("{", tmp_path / "package.json") == []


def change(server, address, text):
    document = {"uri": address, "version": 2}
    server.tell("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})
    return server.marks(address)


def test_a_mark_goes_when_its_mistake_goes_and_when_the_file_is_closed(server, folder):
    address = server.open(MISSPELT, folder / "changed.yaml")
    assert server.marks(address)
    assert change(server, address, MISSPELT.replace("iv_curv\n", "iv_curve\n")) == []
    assert change(server, address, MISSPELT)
    server.tell("textDocument/didClose", {"textDocument": {"uri": address}})
    assert server.marks(address) == []


def actions(server, address, mark, only=None):
    context = {"diagnostics": [mark], **({"only": only} if only else {})}
    asked = {"textDocument": {"uri": address}, "range": mark["range"], "context": context}
    return server.ask("textDocument/codeAction", asked)


def edited(text, edits):
    lines = text.split("\n")

    def offset(position):
        return sum(len(line) + 1 for line in lines[: position["line"]]) + position["character"]

    for edit in sorted(edits, key=lambda each: offset(each["range"]["start"]), reverse=True):
        start, end = (offset(edit["range"][side]) for side in ("start", "end"))
        text = text[:start] + edit["newText"] + text[end:]
    return text


def test_it_offers_the_fix_of_a_mark_and_the_fix_of_all(server, folder):
    text = MISSPELT + "  - crosstalk_metod  # the last\n"
    address = server.open(text, folder / "fixed.yaml")
    first = server.marks(address)[0]
    one, every = actions(server, address, first)
    assert (one["kind"], one["isPreferred"]) == ("quickfix", True)
    assert "did you mean 'iv_curve'?" in one["title"]
    assert edited(text, one["edit"]["changes"][address]) == text.replace("iv_curv\n", "iv_curve\n")
    whole = edited(text, every["edit"]["changes"][address])
    assert whole == text.replace("iv_curv\n", "iv_curve\n").replace("metod", "method")
    assert [each["kind"] for each in actions(server, address, first, ["source"])] == ["source.fixAll"]


def test_it_offers_nothing_where_nothing_is_certain(server, folder):
    address = server.open(HEAD + "  - no_such_thing_at_all\n", folder / "doubt.yaml")
    [mark] = server.marks(address)
    assert actions(server, address, mark) == []


def test_it_lays_a_file_out_and_leaves_one_with_an_error_alone(server, folder):
    messy = "calseq:   1\ntitle: 'T'\nsteps:\n- iv_curve   # the curve\n"

    def formatted(text, name):
        address = server.open(text, folder / name)
        options = {"tabSize": 2, "insertSpaces": True}
        found = server.ask("textDocument/formatting", {"textDocument": {"uri": address}, "options": options})
        return edited(text, found)

    laid = formatted(messy, "messy.yaml")
    assert laid != messy
    assert laid == tidy(folder / "messy.yaml", messy)
    assert formatted(laid, "laid.yaml") == laid
    assert formatted("calseq: 1\ntitle: [\n", "torn.yaml") == "calseq: 1\ntitle: [\n"


def test_it_explains_a_mark_on_hovering(server, folder):
    text = MISSPELT
    address = server.open(text, folder / "hover.yaml")
    [mark] = server.marks(address)
    place = {"textDocument": {"uri": address}, "position": mark["range"]["start"]}
    said = server.ask("textDocument/hover", place)["contents"]["value"]
    assert said.startswith("**CS203 unknown-calibration**")
    place["position"] = {"line": 0, "character": 0}
    assert server.ask("textDocument/hover", place) is None


def test_a_base_is_marked_where_its_mistake_is_and_the_variant_judged_anew_once_it_is_mended(
    server, tmp_path
):
    base, variant = tmp_path / "base.yaml", tmp_path / "variant.yaml"
    base.write_text(MISSPELT)
    text = "calseq: 1\nextends: base.yaml\ntitle: V\n"
    server.open(text, variant)
    [mark] = server.marks(base.as_uri())
    assert mark["code"] == "CS203"
    base.write_text(MISSPELT.replace("iv_curv\n", "iv_curve\n"))
    server.tell("textDocument/didSave", {"textDocument": {"uri": base.as_uri()}})
    assert server.marks(base.as_uri()) == []


def test_the_calibrations_of_the_bench_beside_it_are_known(server, tmp_path):
    text = HEAD + "  - own_check\n"
    (tmp_path / "sequences").mkdir()
    [mark] = server.marks(server.open(text, tmp_path / "sequences" / "a.yaml"))
    assert mark["code"] == "CS203"
    shutil.copytree(ROOT / "sequences" / "benches" / "double", tmp_path, dirs_exist_ok=True)
    bench = tmp_path / "bench.yaml"
    bench.write_text(bench.read_text() + "calibrations: own.yaml\n")
    (tmp_path / "own.yaml").write_text(
        "calseq-calibrations: 1\ncalibrations:\n  own_check: {type: general, summary: ours}\n"
    )
    assert server.marks(server.open(text, tmp_path / "sequences" / "b.yaml")) == []


@pytest.mark.parametrize("path", sorted(SEQUENCES.glob("*.yaml")), ids=lambda path: path.stem)
def test_whatever_is_typed_nothing_breaks(path):
    """Every prefix of a line-wise typed file is judged, mended and laid out without an exception."""
    text = path.read_bytes().decode(errors="replace")
    if len(text) > 4000:
        text = text[:4000]
    for end in {len(text) * part // 5 for part in range(6)}:
        place = Path("/nowhere/sequences/typed.yaml")
        documents = judged(place, text[:end])
        assert documents
        for mark in marks(documents[0]):
            assert mark in at(marks(documents[0]), mark.start)
            assert mark.code in CODES
        mended(place, text[:end])
        tidy(place, text[:end])


def test_changes_make_one_text_of_another():
    before, after = "a\r\nb\r\nc", "a\nx\nc\nd"
    lines = before.replace("\r\n", "\n").split("\n")
    for each in reversed(changes(before, after)):
        lines[each.start[0] : each.end[0]] = each.text.split("\n")[
            : each.text.count("\n") + (not each.text.endswith("\n"))
        ]
    assert "\n".join(lines) == after
    assert changes("a\nb\n", "a\nb\n") == []


def test_without_pygls_it_says_what_to_install(tmp_path):
    script = (
        "import sys; sys.modules['pygls'] = None; from calseq.cli import main; sys.argv[1:] = ['lsp']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 3
    assert "CS443" in done.stderr
    assert "pip install 'pygls>=2'" in done.stderr


def test_it_ends_when_the_editor_is_gone():
    done = subprocess.run(CALSEQ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_the_task_of_the_docs_reads_what_validate_prints(tmp_path):
    [task] = re.findall(r"```json\n(\{\n.*?\n\})\n```", (ROOT / "docs" / "editor.md").read_text(), re.DOTALL)
    assert json.loads(task) == TASKS
    [task] = TASKS["tasks"]
    pattern = task["problemMatcher"]["pattern"]
    (tmp_path / "a.yaml").write_text(MISSPELT)
    words = [sys.executable, "-m", task["command"], *task["args"]]
    [line, _] = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=60
    ).stdout.splitlines()
    found = re.match(pattern["regexp"], line)
    parts = {name: found[pattern[name]] for name in ("file", "line", "column", "code")}
    assert parts == {"file": "a.yaml", "line": "5", "column": "18", "code": "CS203"}
    assert found[pattern["message"]].startswith("'iv_curv' is not a known calibration")


def test_the_places_of_files_are_those_of_the_hook():
    hook = (ROOT / ".pre-commit-hooks.yaml").read_text()
    assert f"files: {PLACES}\n" in hook
