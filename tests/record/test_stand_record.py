"""The record of a run: for whose eyes it is, what of it is a secret, and in which order runs are told."""

import grp
import json
import os
import stat
import time

import pytest
from stands import IS_ROOT, NOBODY, as_user, until

from calseq.model.confidential import STARS, blotted, hidden, is_secret, told
from calseq.record.find import run_folders
from calseq.record.seal import seal

SECRET = 'hunter2 of "the" bench'


@pytest.mark.parametrize(
    "name", ["DB_PASSWORD", "TOKEN", "PANTHERA_TOKEN", "api_key", "MY_SECRETS", "AWS_SECRET_ID"]
)
def test_a_name_that_says_so_is_of_a_secret(name):
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["PATH", "PWD", "OLDPWD", "KEYBOARD", "MONKEY", "PASSES", "TOKENISER", "HOME"]
)
def test_a_name_that_only_sounds_like_one_is_not(name):
    assert not is_secret(name)


def test_secrets_are_stars_and_what_only_stars_are_known_of_is_not_given():
    variables = {"A": "a", "DB_PASSWORD": "hunter2"}
    assert hidden(variables) == {"A": "a", "DB_PASSWORD": STARS}
    assert told(hidden(variables)) == {"A": "a"}
    assert told(variables) == variables


def test_a_file_is_told_without_its_secrets_however_they_are_written():
    text = b"env: {K_KEY: \"7\", DB_PASSWORD: 'it''s long', N: 77}\nx-note: it''s long\n"
    variables = {"K_KEY": "7", "DB_PASSWORD": "it's long", "N": "77"}
    assert blotted(text, variables) == b"env: {K_KEY: \"***\", DB_PASSWORD: '***', N: 77}\nx-note: ***\n"
    assert blotted(b"a: b", variables) == b"a: b"


def everything(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_secret_of_the_bench_is_in_no_file_and_on_no_screen_and_the_child_has_it(stand):
    stand.bench(env={"DB_PASSWORD": SECRET, "PLAIN": "seen"})
    act = f'printf %s "$DB_PASSWORD" > {stand.folder}/given'
    code, shown = stand.execute(act=act)
    assert code == 0, shown
    assert (stand.folder / "given").read_text() == SECRET
    for words in (("--format", "sh"), ("--format", "json"), ("-v",)):
        shown += stand.calseq("plan", "one.yaml", "--bench", "bench.yaml", *words)[1]
    assert "hunter2" not in shown
    assert "seen" in shown
    (folder,) = stand.folders()
    assert [path for path in everything(folder) if b"hunter2" in path.read_bytes()] == []
    assert json.loads((folder / "plan.json").read_text())["environment"]["variables"]["DB_PASSWORD"] == STARS
    code, proof = stand.calseq("runs", "verify", folder.name)
    assert (code, "as it was recorded" in proof) == (0, True), proof


def test_a_resumed_run_gives_its_children_the_secret_too(stand):
    stand.bench(env={"DB_PASSWORD": SECRET})
    assert stand.execute(act="exit 1")[0] == 1
    act = f'printf %s "$DB_PASSWORD" > {stand.folder}/given'
    code, shown = stand.calseq(
        "execute", "--resume", "--yes", "--runs", "runs", "--screen", "none", "--no-report", act=act
    )
    assert code == 0, shown
    assert (stand.folder / "given").read_text() == SECRET


def modes(folder):
    return {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir()) if path.is_dir()}, {
        stat.S_IMODE(path.stat().st_mode) for path in everything(folder) if "data" not in path.parts
    }


def test_a_run_folder_is_for_who_runs_it(stand):
    assert stand.execute()[0] == 0
    (folder,) = stand.folders()
    folders, files = modes(folder)
    assert (folders, files) == ({0o700}, {0o600})


def test_a_run_folder_is_for_the_group_that_the_bench_names(stand):
    group = grp.getgrgid(os.getegid()).gr_name
    stand.bench(group=group)
    assert stand.execute()[0] == 0
    folders, files = modes(stand.folders()[0])
    assert (folders, files) == ({0o2750}, {0o640})
    stand.bench(group="no-such-group")
    code, told_ = stand.execute()
    assert (code, "CS409" in told_, "no-such-group" in told_) == (3, True, True)
    assert len(stand.folders()) == 1


def test_another_user_is_told_that_a_run_cannot_be_seen(stand):
    assert stand.execute()[0] == 0
    (folder,) = stand.folders()
    code, shown = stand.calseq("status", before=as_user(NOBODY), HOME="/nonexistent")
    code_, listed = stand.calseq("runs", before=as_user(NOBODY), HOME="/nonexistent")
    assert (code_, folder.name[:15] in listed) == (0, True), listed
    if IS_ROOT:
        assert (code, "cannot be seen from here" in shown) == (3, True), shown
        assert "cannot be seen from here" in listed


def test_runs_are_in_the_order_in_which_they_began_also_in_the_hour_that_comes_twice(stand):
    """Two time zones one hour apart: the clock of the second run is behind that of the first."""
    assert stand.execute(TZ="CEST-2")[0] == 0
    second = int(time.time())
    until(lambda: int(time.time()) > second)  # a record tells when a run began to the second
    assert stand.execute("--job", "second", TZ="CET-1")[0] == 0
    first, second = run_folders(stand.runs)[::-1]
    assert first.name > second.name, "by its name it is the later one"
    assert json.loads((second / "run.json").read_text())["job"] == "second"
    status = json.loads(stand.calseq("status", "--format", "json", TZ="CET-1")[1])
    assert status["job"] == "second"
    listed = json.loads(stand.calseq("runs", "--format", "json", TZ="CET-1")[1])
    assert [each["job"] for each in listed["runs"]] == ["second", ""]


def test_a_folder_whose_record_tells_no_time_is_where_its_name_puts_it(tmp_path):
    for name in ("20261129-120000-a", "20261129-130000-b", "20261128-120000-c", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "20261129-130000-b" / "run.json").write_text('{"started": "yesterday"}')
    names = [folder.name for folder in run_folders(tmp_path)]
    assert names == ["20261129-130000-b", "20261129-120000-a", "20261128-120000-c"]
    assert run_folders(tmp_path / "none") == []


def test_a_seal_that_was_made_anew_is_found(stand):
    assert stand.execute()[0] == 0
    (folder,) = stand.folders()
    assert stand.calseq("runs", "verify", folder.name)[0] == 0
    log = next(folder.glob("steps/*/log.txt"))
    log.chmod(0o600)
    log.write_text("all was well\n")
    assert stand.calseq("runs", "verify", folder.name)[0] == 1
    seal(folder)
    code, found = stand.calseq("runs", "verify", folder.name)
    assert (code, "not the one that was made at the end" in found) == (1, True), found
