"""dirigent.toml against the bench file: one set of modules, one way of uploading."""

import json

import pytest
from stands import MODULES


def toml(stand, text, **keys):
    (stand.folder / "dirigent.toml").write_text(text)
    return stand.bench(dirigent={"command": ["./dirigent"], "config": "dirigent.toml", **keys.pop("dirigent", {})}, **keys)  # fmt: skip


def argv(stand):
    return next(stand.folder.glob("runs/*/data/*/argv.txt")).read_text().splitlines()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('verbosity = "INFO"\nmodule_json = "other.json"\n', 2),
        ('module-json = "/elsewhere/modules.json"\n', 1),
    ],
)
def test_another_file_of_modules_is_told_and_overridden(stand, text, line):
    (stand.folder / "other.json").write_text(json.dumps(MODULES).replace("C2HQ0", "X"))
    toml(stand, text)
    code, told = stand.calseq("validate", "bench.yaml")
    assert (code, f"dirigent.toml:{line}:1" in told, "CS472" in told) == (0, True, True), told
    code, told = stand.execute()
    assert (code, "CS472" in told) == (0, True), told
    words = argv(stand)
    assert words[words.index("--module-json") + 1] == str((stand.folder / "modules.json").resolve())


@pytest.mark.parametrize("text", ['module_json = "modules.json"\n', 'module_json = "./modules.json"\n', ""])
def test_the_same_file_is_neither_told_nor_given(stand, text):
    toml(stand, text + "felis = false\n")
    assert stand.calseq("validate", "bench.yaml") == (0, "no problems in 4 files\n")
    assert stand.execute()[0] == 0
    assert "--module-json" not in argv(stand)


def test_without_the_setting_dirigent_reads_what_is_in_its_working_folder_and_is_given_the_file(stand):
    (stand.folder / "work").mkdir()
    (stand.folder / "work" / "modules.json").write_text("{}")
    toml(stand, "felis = false\n", dirigent={"command": [str(stand.folder / "dirigent")], "cwd": "work"})
    assert stand.calseq("validate", "bench.yaml")[0] == 0
    assert stand.execute()[0] == 0
    assert "--module-json" in argv(stand)


def test_a_dirigent_without_the_option_is_refused_where_it_is_needed(stand):
    path = stand.folder / "dirigent"
    path.write_text(path.read_text().replace("--module-json", "--opto-dict"))
    toml(stand, 'module_json = "other.json"\n')
    code, told = stand.execute()
    assert (code, "CS406" in told, "--module-json" in told) == (3, True, True), told
    toml(stand, 'module_json = "modules.json"\n')
    assert stand.execute()[0] == 0


def test_an_upload_by_every_calibration_and_other_instruments_are_told_before_the_run(stand):
    toml(stand, 'felis = true\ninstruments = "others.json"\n')
    code, told = stand.calseq("validate", "bench.yaml")
    assert (code, told.count("CS472")) == (0, 2), told
    assert "every calibration would upload" in told
    assert "'others.json'" in told
