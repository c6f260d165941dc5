"""The command line: options, commands, streams and exit codes.

Only typer is imported here; the command that was typed is declared, and imports its own module when it runs.
"""

import errno
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from calseq.cli.table import Commands
from calseq.model.version import __version__

SIGNAL_BASE = 128
"""What a shell adds to the number of the signal that a program died of."""

app = typer.Typer(
    name="calseq",
    cls=Commands,
    help="Run calibration sequences on detector modules: declarative, checked, and safe in every ending.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"calseq {__version__}")
        raise typer.Exit


@app.callback()
def _calseq(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; whatever goes wrong ends in words and an exit code, a signal in death by that signal."""
    fill_standard_streams()
    code = guarded(lambda: app(standalone_mode=True))
    if code > SIGNAL_BASE:
        from calseq.cli.ending import end  # noqa: PLC0415 - only a signal's end needs it

        end(code)
    raise SystemExit(code)


def fill_standard_streams() -> None:
    """Give the descriptors 0 to 2 something, if calseq was started without: else a file of a run may become one."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - a descriptor, for as long as calseq runs
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def guarded(call: Callable[[], Any]) -> int:
    """Call something and give the exit code; a bug is told in words, with its traceback where it can be reported."""
    try:
        call()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read this has gone, as after `| head -1`. Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the last door: never a traceback for an operator
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.stderr.write(f"calseq: cannot write: {(error.strerror or str(error)).lower()}\n")
            return 1
        from calseq.cli.crash import report_crash  # noqa: PLC0415

        return report_crash(error)
    return 0
