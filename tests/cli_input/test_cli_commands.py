"""The table of commands is what the files of the command line declare."""

from importlib import import_module

import pytest
import typer
from typer.testing import CliRunner

from calseq.cli import app
from calseq.cli.commands import COMMANDS


@pytest.mark.parametrize("file", sorted({file for file, _ in COMMANDS.values()}))
def test_every_command_that_a_file_declares_is_in_the_table(file):
    declared = typer.main.get_group(import_module(f"calseq.cli.{file}").app).commands
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
