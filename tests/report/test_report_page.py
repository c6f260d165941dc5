"""The page: what stands on it, in which order, and that it is a good page in every ending of a run."""

import os
import re
import shutil
import struct
import subprocess
import zlib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from console_runs import (
    a_plan,
    failed_run,
    good_run,
    resumed_run,
    simulated_plan,
    stopped,
    unsafe_run,
    until_tuning,
)
from folder_runs import guard_says
from msgspec.structs import replace
from report_pages import Page, a_run, dirigent_run, many_steps, page_of, prove_good

from calseq.console.statusview import next_words
from calseq.console.statusview import word_of as status_word
from calseq.console.summary import _reason as summary_reason
from calseq.model.plan import Standing
from calseq.model.verdicts import UNKNOWN_HARDWARE, WHAT_TO_DO
from calseq.problems.refused import Refused
from calseq.record.run_folder import utc
from calseq.record.view import begin
from calseq.report import write_report
from calseq.report.files import PICTURE_BYTES, PICTURES_BYTES
from calseq.report.html import FOLDS, MOST_BYTES
from calseq.report.html import text as html_text
from calseq.report.markdown import text as markdown_text
from calseq.report.pictures import pictures
from calseq.report.run_data import read_dossier
from calseq.report.verdict import headline

SAMPLES = sorted((Path(__file__).parents[1] / "record" / "samples").glob("format-1-*"))
SECTIONS = ["attention", "about", "timeline", "steps", "curves", "bias", "proof"]


def a_png(size_bytes=0):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    extra = chunk(b"teXt", b"x" * size_bytes) if size_bytes else b""
    return b"\x89PNG\r\n\x1a\n" + b"".join((chunk(b"IHDR", header), extra, chunk(b"IEND", b"")))


def leave(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def endings():
    plan = a_plan()
    return {
        "passed": (plan, good_run(plan)),
        "failed": (plan, failed_run(plan)),
        "unsafe": (plan, unsafe_run(plan)),
        "resumed": (plan, resumed_run(plan)),
        "dirigent": dirigent_run(),
        "torn off": (plan, until_tuning(plan)),
        "nothing happened": (plan, []),
        "simulated": (simulated_plan(), good_run(simulated_plan())),
        "many": many_steps(150, failing=7),
    }


@pytest.mark.parametrize("ending", endings())
def test_it_is_a_good_page_in_every_ending(tmp_path, ending):
    plan, events = endings()[ending]
    folder = a_run(tmp_path, events, plan) if events else write_empty(tmp_path, plan)
    prove_good(page_of(folder), folder)


def write_empty(tmp_path, plan):
    folder = a_run(tmp_path, good_run(plan), plan, state="running", verdict="", exit_code=None)
    (folder / "events.jsonl").write_bytes(b"")
    return folder


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_a_run_folder_of_long_ago_is_told(tmp_path, sample):
    folder = Path(shutil.copytree(sample, tmp_path / sample.name))
    page = page_of(folder)
    prove_good(page, folder)
    assert "SIMULATED" in page.words


def test_the_sections_stand_in_their_order(tmp_path):
    page = page_of(a_run(tmp_path, resumed_run(a_plan())))
    found = [each.attrib["aria-labelledby"] for each in page.elements if each.tag == "section"]
    assert found == [name for name in SECTIONS if name in found]
    assert {"attention", "about", "timeline", "steps", "bias", "proof"} <= set(found)


def test_the_words_of_a_failed_run_are_these(tmp_path, golden):
    folder = a_run(tmp_path, failed_run(a_plan()), host="lab-pc")
    words = re.sub(r"(?<=Made by calseq )\S+ at \S+ \S+ \S+", "today", page_of(folder).reading)
    words = re.sub(r"sha256 [0-9a-f]{64}", "sha256 of today", words)
    golden("failed.txt", words.replace(str(tmp_path), "/runs"))


def test_a_failed_run_says_why_at_once_and_shows_the_log(tmp_path):
    folder = a_run(
        tmp_path, failed_run(a_plan()), logs={"03-iv_curve": b"all well\nthe supply did not answer\n"}
    )
    page = page_of(folder)
    assert re.search(r"✗ Failed step 3 iv_curve failed: exit code 1 HV and LV are off", page.words)
    assert "the supply did not answer" in page.section("steps")
    assert "step 3 iv_curve failed after 2 attempts: exit code 1" in page.section("attention")


@pytest.mark.parametrize("ending", endings())
def test_a_run_that_did_not_pass_says_what_to_type_next_as_the_terminal_does(tmp_path, ending):
    plan, events = endings()[ending]
    folder = a_run(tmp_path, events, plan) if events else write_empty(tmp_path, plan)
    page, dossier = page_of(folder), read_dossier(folder)
    wanted = [" ".join(each.split()) for each in next_words(dossier.standing)]
    found = re.search(r"Next: (.*?) Needs attention", page.words)
    if dossier.standing.record.verdict == "passed":
        assert found is None
        assert "Next:" not in markdown_text(dossier)
        return
    assert found[1].split() == " ".join(wanted).split()
    lines = markdown_text(dossier).replace("`", "").splitlines()
    assert {f"- {each}" for each in wanted} <= set(lines)


def test_one_fact_has_one_word_on_page_markdown_and_terminal(tmp_path):
    plan = a_plan()
    died = read_dossier(a_run(tmp_path / "died", until_tuning(plan), plan))
    assert headline(died).word.lower() == status_word(died.standing)[0] == "died"
    assert summary_reason(begin(plan)).startswith("the run has no end: its record stops")
    assert headline(died).reason.startswith("the run has no end: its record stops")
    folder = a_run(tmp_path / "failed", failed_run(plan), plan)
    shown, text = page_of(folder).words, markdown_text(read_dossier(folder), zone=UTC)
    evidence = re.search(r"Confirmed by calseq, read at [^.]*", shown)[0]
    assert evidence in text
    assert "dirigent not known" in shown
    assert "dirigent `not known`" in text
    waits = [each for each in died.steps if each.state == "waiting"]
    assert waits
    assert "not run" in page_of(died.folder).section("steps")
    assert f"| `{waits[0].step.name}` | not run |" in markdown_text(died)
    left = a_run(tmp_path / "left", resumed_run(plan), plan)
    assert "left-out" in page_of(left).section("steps")
    assert "| left-out |" in markdown_text(read_dossier(left))


def test_when_off_was_not_confirmed_it_says_what_to_do_and_where(tmp_path):
    page = page_of(a_run(tmp_path, unsafe_run(a_plan())))
    alarm = next(each for each in page.elements if each.attrib.get("role") == "alert")
    said = " ".join("".join(alarm.itertext()).split())
    assert UNKNOWN_HARDWARE in said
    assert all(each in said for each in WHAT_TO_DO)
    assert "HV: hv_1, Keithley2410 at ASRL/dev/ttyUSB0::INSTR" in said
    assert "HV and LV are off" not in page.words


def test_of_a_run_that_was_killed_the_guard_says_whether_it_is_safe(tmp_path):
    good = a_run(tmp_path / "a", until_tuning(a_plan()))
    guard_says(good, confirmed=True)
    page = page_of(good)
    assert "■ Died the run has no end: its record stops" in page.words
    assert "HV and LV are off. Confirmed by the guard, after calseq itself was gone" in page.words
    assert "interrupted" in page.section("steps")
    assert "running" not in page.section("steps")
    bad = a_run(tmp_path / "b", until_tuning(a_plan()))
    guard_says(bad, confirmed=False)
    assert UNKNOWN_HARDWARE in page_of(bad).words


def test_what_calseq_did_not_control_is_never_said_or_drawn_to_be_off(tmp_path):
    plan, events = dirigent_run()
    page = page_of(a_run(tmp_path, events, plan))
    assert "HV and LV were not controlled by calseq" in page.words
    assert "look at the supplies before you touch the module" in page.section("attention")
    drawn = {each.attrib.get("class") for each in page.elements if str(each.tag).endswith("rect")}
    assert "uncontrolled" in drawn
    assert not drawn & {"off", "on"}


def test_a_simulated_run_says_so_in_the_title_at_the_top_and_on_every_sheet(tmp_path):
    plan = simulated_plan()
    page = page_of(a_run(tmp_path, good_run(plan), plan))
    title = next(each.text for each in page.elements if each.tag == "title")
    assert title.startswith("SIMULATED Passed")
    edge = next(each for each in page.elements if each.attrib.get("class") == "edge")
    assert "SIMULATED" in "".join(edge.itertext())
    assert re.search(r"@media print.*\.edge \{[^}]*position: fixed", page.text, re.DOTALL)
    real = page_of(a_run(tmp_path / "real"))
    assert "SIMULATED" not in real.text


def test_times_are_local_and_say_their_offset(tmp_path):
    page = page_of(a_run(tmp_path), zone=timezone(timedelta(hours=5, minutes=30)))
    assert "2026-11-23 07:30:00 +05:30" in page.section("about")
    west = page_of(a_run(tmp_path / "west"), zone=timezone(timedelta(hours=-5)))
    assert "2026-11-22 21:00:00 -05:00" in west.section("about")


def test_a_resumed_run_tells_of_both_parts(tmp_path):
    folder = a_run(tmp_path, resumed_run(a_plan()), resumed=("2026-11-23T02:10:00+00:00",))
    page = page_of(folder)
    assert "4 of 5 steps passed, 3 of them before the run was resumed, 1 left out" in page.words
    assert "Passed before the run was resumed" in page.section("steps")
    assert "calseq ended while it ran" in page.section("steps")
    assert "resumed at 2026-11-23 02:10:00 +00:00" in page.section("timeline")
    assert "--skip crosstalk_method" in page.section("attention")


def test_a_command_can_be_copied_as_it_was_run(tmp_path):
    folder = a_run(tmp_path, failed_run(a_plan()))
    page = page_of(folder)
    shown = [each for each in page.elements if each.attrib.get("class") == "command"]
    text = "".join(shown[2].itertext())
    typed = f"set -- {text}\nprintf '%s\\0' \"$@\""
    said = subprocess.run(["sh", "-c", typed], capture_output=True, check=True, timeout=20).stdout
    words = a_plan().steps[2].command(str(folder / "data/03-iv_curve"))
    assert said.decode().split("\0")[:-1] == list(words)


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (Standing(), "the bench pins no official one"),
        (Standing(official="panthera", judged=True), "official: panthera"),
        (Standing(judged=True), "not an official one"),
    ],
)
def test_it_says_whether_the_sequence_is_an_official_one(tmp_path, standing, said):
    plan = a_plan(standing=standing)
    page = page_of(a_run(tmp_path, good_run(plan), plan))
    assert said in page.section("about")
    assert ("not an official sequence" in page.section("attention")) is (said == "not an official one")


# What is broken is told, too


def test_a_run_without_its_plan_is_told_from_what_is_left(tmp_path):
    folder = a_run(tmp_path, failed_run(a_plan()))
    (folder / "plan.json").unlink()
    page = page_of(folder)
    prove_good(page, folder)
    assert "plan.json cannot be read" in page.section("attention")
    assert "✗ failed" in page.section("steps")


@pytest.mark.parametrize("content", [None, b"", b"not an event\n", b"\0" * 5000])
def test_a_run_without_its_events_never_looks_better_than_it_was(tmp_path, content):
    folder = a_run(tmp_path, failed_run(a_plan()))
    path = folder / "events.jsonl"
    path.unlink() if content is None else path.write_bytes(content)
    page = page_of(folder)
    prove_good(page, folder)
    assert "✗ Failed" in page.words
    assert "Confirmed by calseq" not in page.words


def test_every_cut_of_a_journal_gives_a_page(tmp_path):
    folder = a_run(tmp_path, unsafe_run(a_plan()))
    whole = (folder / "events.jsonl").read_bytes()
    for end in range(0, len(whole), len(whole) // 25):
        (folder / "events.jsonl").write_bytes(whole[:end])
        page = page_of(folder)
        assert page.errors == []
        assert "HV and LV are off." not in page.words


def test_a_step_whose_end_is_missing_is_told_as_the_record_has_it(tmp_path):
    folder = a_run(tmp_path, good_run(a_plan()))
    path = folder / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if b'"step-started","step":4' in line)
    path.write_bytes(b"".join(lines[: place + 1]))
    states = [str(each.state) for each in read_dossier(folder).steps]
    assert states == ["passed"] * 5
    assert "as run.json says" in page_of(folder).section("steps")
    assert "running" not in page_of(folder).section("steps")


def test_only_a_folder_without_a_record_is_refused(tmp_path):
    folder = a_run(tmp_path)
    (folder / "run.json").write_text("{")
    with pytest.raises(Refused, match=r"run\.json is damaged"):
        read_dossier(folder)


def test_a_record_cannot_lead_out_of_the_run_folder(tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "log.txt").write_text("do not tell")
    plan = a_plan()
    events = [
        (t, replace(e, log=f"{secret}/log.txt", directory="../../secret") if hasattr(e, "log") else e)
        for t, e in failed_run(plan)
    ]
    folder = a_run(tmp_path / "runs", events, plan)
    (folder / "data" / "03-iv_curve").mkdir()
    (folder / "data" / "03-iv_curve" / "link.png").symlink_to(secret / "log.txt")
    page = page_of(folder)
    prove_good(page, folder)
    assert "do not tell" not in page.text


# Pictures


def test_only_real_pictures_of_a_fitting_size_are_put_into_the_page(tmp_path):
    folder = a_run(tmp_path)
    leave(folder, "data/03-iv_curve/good.png", a_png())
    leave(folder, "data/03-iv_curve/photo.JPG", b"\xff\xd8\xff\xe0 jpeg")
    leave(folder, "data/03-iv_curve/liar.png", b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>")
    leave(folder, "data/03-iv_curve/large.png", a_png(PICTURE_BYTES))
    leave(folder, "data/03-iv_curve/drawn.svg", b"<svg/>")
    found = {Path(each.file.name).name: each for each in pictures(read_dossier(folder), embed=True)}
    assert {name for name, each in found.items() if each.uri} == {"good.png", "photo.JPG"}
    assert "no PNG or JPEG picture" in found["liar.png"].note
    assert "larger than 500 kB" in found["large.png"].note
    assert "drawn.svg" not in found


def test_all_pictures_together_have_a_limit_too_and_the_rest_is_linked(tmp_path):
    folder = a_run(tmp_path)
    for number in range(10):
        leave(folder, f"data/03-iv_curve/{number}.png", a_png(PICTURE_BYTES - 200))
    found = pictures(read_dossier(folder), embed=True)
    assert sum(each.file.size_bytes for each in found if each.uri) <= PICTURES_BYTES
    assert sum(not each.uri for each in found) == 4
    assert all("only linked" in each.note for each in found if not each.uri)


def test_without_matplotlib_the_pictures_of_dirigent_stand_in_the_page(tmp_path):
    folder = a_run(tmp_path)
    leave(folder, "data/03-iv_curve/IV <C2HQ0>.png", a_png())
    page = Page(html_text(read_dossier(folder), draws=False))
    prove_good(page, folder)
    (image,) = [each for each in page.elements if each.tag == "img"]
    assert image.attrib["alt"] == "data/03-iv_curve/IV <C2HQ0>.png"


# Size


@pytest.mark.parametrize(
    ("failing", "hostile"),
    [(0, False), (2, False), (2, True), (1, True)],
    ids=["good", "half", "hostile", "all"],
)
def test_a_thousand_steps_fit_and_none_is_left_out_silently(tmp_path, failing, hostile):
    plan, events = many_steps(1000, failing=failing, hostile=hostile)
    folder = a_run(tmp_path, events, plan)
    text = html_text(read_dossier(folder))
    assert len(text.encode()) <= MOST_BYTES
    page = page_of(folder)
    prove_good(page, folder)
    told = set()
    for element in page.elements:
        if element.tag == "h3":
            words = "".join(element.itertext())
            folded = re.match(r"steps (\d+) to (\d+)", words)
            told |= set(range(int(folded[1]), int(folded[2]) + 1)) if folded else set()
        if element.tag == "article":
            told.add(int(element.attrib["id"].removeprefix("step-")))
    assert told == set(range(1, 1001))


def test_what_is_folded_least_is_tried_first():
    assert list(FOLDS) == sorted(FOLDS, key=lambda fold: -fold.steps)


def test_the_page_of_the_sequence_in_the_readme_is_small(tmp_path):
    folder = a_run(tmp_path)
    assert write_report(folder).stat().st_size < 100_000


def test_a_run_that_was_stopped_while_it_goes_on_is_not_said_to_be_over(tmp_path):
    now = utc(datetime.now().astimezone() + timedelta(seconds=5))
    page = page_of(a_run(tmp_path, stopped(a_plan()), pid=os.getpid(), started=now))
    assert "… Running" in page.words
    assert "HV and LV are in use" in page.words
