"""The commands: which file declares each, and its line of help. Only the one that was typed is made."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "validate": ("checking", "Check files: every problem of all of them at once."),
    "explain": ("checking", "Say what the code of a problem means, with an example."),
    "help": ("checking", "Show the help of a command."),
    "plan": ("running", "Show what a run would do; touches nothing."),
    "execute": ("running", "Run a sequence, or go on with a run; safe in every ending."),
    "runs": ("watching", "List runs; 'runs verify' proves that a record is whole."),
    "status": ("watching", "Say how a run stands, from any shell."),
    "attach": ("watching", "Show a run live that was started elsewhere."),
    "logs": ("watching", "Show what a step printed."),
    "stop": ("watching", "Stop a run safely, from any shell."),
    "report": ("reporting", "Tell a run on one page: verdict, timeline, curves, what broke."),
    "upload": ("uploading", "Send the results of a run to the database."),
    "compare": ("reporting", "Compare runs: their steps, and what their IV curves come to."),
    "calibrations": ("checking", "List the calibrations, or tell all about one."),
    "power": ("tending", "Read the rails of a bench, or switch them off, from any shell."),
    "doctor": ("tending", "Say whether this machine and this bench can run."),
    "schema": ("checking", "Print a JSON schema, for editors and programs."),
    "new": ("drafting", "Write a new sequence file, valid at once."),
    "init": ("drafting", "Make a folder to start a site with."),
    "fmt": ("drafting", "Lay files out: key order, indentation, empty lines, quotes."),
    "lsp": ("checking", "Serve an editor: problems while you type, fixes, layout."),
    "convert": ("drafting", "Turn dirigent's Python lists into a sequence file, and back."),
    "digest": ("checking", "Print the digest that pins a sequence as an official one."),
}


class _Made(Mapping[str, Any]):
    """The commands by name, each made when it is first looked at: all of them together take 20 ms."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            declared = import_module(f"calseq.cli.options.{COMMANDS[name][0]}")
            self._made |= typer.main.get_group(declared.app).commands
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Commands(TyperGroup):
    """`calseq`, whose help is made without its commands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**{**attributes, "commands": {}})
        self.commands = _Made()  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as typer calls it
        """Give the names, in the order of the help."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the line of help of each."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])
