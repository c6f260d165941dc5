"""The table of commands is what the files of the command line declare."""

import shlex
from importlib import import_module

import pytest
import typer
from typer.testing import CliRunner

from calseq import report
from calseq.cli import app
from calseq.cli.table import COMMANDS
from calseq.problems import formats as problem_formats


@pytest.mark.parametrize("file", sorted({file for file, _ in COMMANDS.values()}))
def test_every_command_that_a_file_declares_is_in_the_table(file):
    declared = typer.main.get_group(import_module(f"calseq.cli.options.{file}").app).commands
    assert {name for name, (where, _) in COMMANDS.items() if where == file} == set(declared)


def test_the_help_tells_every_command_in_its_line():
    told = CliRunner().invoke(app, ["--help"], terminal_width=100).output.split("Commands:")[1].splitlines()
    lines = [line.split(maxsplit=1) for line in told if line.strip()]
    assert [(name, help_) for name, help_ in lines] == [
        (name, help_) for name, (_, help_) in COMMANDS.items()
    ]
    assert all(len(line) <= 80 for line in told)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    done = CliRunner().invoke(app, [name, "-h"])
    assert done.exit_code == 0
    assert f"calseq {name}" in done.output.splitlines()[0]


def test_a_misspelt_command_is_told_what_was_meant():
    done = CliRunner().invoke(app, ["exectue"])
    assert done.exit_code == 2
    assert "Did you mean 'execute'?" in done.output


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_is_its_own_help(name):
    runner = CliRunner()
    told = runner.invoke(app, ["help", name])
    assert told.exit_code == 0
    assert told.output == runner.invoke(app, [name, "--help"]).output


def test_help_alone_is_that_of_calseq_and_an_unknown_command_is_told_what_was_meant():
    runner = CliRunner()
    assert runner.invoke(app, ["help"]).output == runner.invoke(app, ["--help"]).output
    done = runner.invoke(app, ["help", "exectue"])
    assert done.exit_code == 2
    assert "no command is called 'exectue': did you mean 'execute'?" in done.output


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["explain", "CS2O3"], "did you mean 'CS203'?"),
        (["explain", "203"], "did you mean 'CS203'?"),
        (["explain", "unkown-option"], "did you mean 'unknown-option'?"),
        (["calibrations", "iv_curv"], "did you mean 'iv_curve'?"),
        (["calibrations", "OpenBumps"], "it is a class in dirigent, of crosstalk_method"),
        (["calibrations", "a\x1b[2Jb"], "'a\\e[2Jb'"),
    ],
)
def test_a_name_that_is_none_is_told_what_was_meant(words, hint):
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert hint in done.output


@pytest.mark.parametrize("name", ["a b.yaml", "it's.yaml", "$(x).yaml", "plain.yaml"])
def test_a_command_that_is_shown_can_be_typed(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["new", name, "--from-list", "iv_curve"])
    assert done.exit_code == 0, done.output
    [shown] = [line.partition("next: ")[2] for line in done.output.splitlines() if line.startswith("next: ")]
    assert shlex.split(shown) == ["calseq", "plan", name, "--simulate"]


@pytest.mark.parametrize(
    ("file", "name", "forms"),
    [("checking", "validate", problem_formats.FORMATS), ("reporting", "report", report.FORMATS)],
)
def test_the_forms_that_may_be_typed_are_those_there_are_and_tab_offers_them(file, name, forms):
    command = typer.main.get_group(import_module(f"calseq.cli.options.{file}").app).commands[name]
    option = next(each for each in command.params if "--format" in each.opts)
    offered = option.shell_complete(typer.Context(command), "")
    assert [each.value for each in offered] == list(forms) == option.metavar.split("|")
    done = CliRunner().invoke(app, [name, "--format", "pdf"])
    assert done.exit_code == 2
    assert f"'pdf' is not one of {', '.join(forms)}" in " ".join(done.output.split())
