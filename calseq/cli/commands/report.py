"""`calseq report`: what a run was and how it ended, on one page or for programs, made anew at any time."""

from pathlib import Path

from calseq.cli.terminal import message, results
from calseq.cli.where_runs import Where, near
from calseq.cli.which_run import chosen
from calseq.cli.writing import cannot_write
from calseq.model.verdicts import ExitCode
from calseq.problems.plaintext import printable
from calseq.record.run_folder import REPORT
from calseq.report import place_report, report_text

STDOUT = "-"


def report(where: Where, text: str | None, format_: str, output: str) -> int:
    """Write the report of a run; give the exit code."""
    folder = chosen(where, text).folder
    try:
        written = report_text(folder, format_)
    except KeyboardInterrupt:
        message("stopped by Ctrl-C: no report was written")
        return int(ExitCode.INTERRUPTED)
    except SystemExit as end:  # of a library that draws; "all is well" would be a lie
        raise RuntimeError(f"SystemExit: {end.code}") from end
    if output == STDOUT or (not output and format_ != "html"):
        results(written.rstrip("\n"))
        return int(ExitCode.GOOD)
    path = Path(output).expanduser() if output else folder / REPORT
    _write(path, (written.rstrip("\n") + "\n").encode("utf-8", "backslashreplace"))
    results(printable(str(near(path))))
    return int(ExitCode.GOOD)


def _write(path: Path, content: bytes) -> None:
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)  # a pipe or a device is written to, never replaced
        else:
            place_report(path, content)
    except (OSError, ValueError) as error:
        raise cannot_write(path, error) from error
