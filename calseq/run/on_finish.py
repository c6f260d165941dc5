"""The site's word of a run's end: a command that is run after it, hears how it ended, and can change nothing of it."""

import os
from collections.abc import Mapping
from pathlib import Path

from calseq.model.plan import Notice
from calseq.model.verdicts import Verdict
from calseq.problems.plaintext import printable
from calseq.record.run_folder import ON_FINISH_LOG, RunRecord
from calseq.system.clock import now_s
from calseq.system.files import descriptor_of
from calseq.system.process import Child, NotStarted, end_child
from calseq.system.signals import Stops

_LOG_LIMIT_BYTES = 16 << 20
_POLL_S = 0.05
_GRACE_S = 2.0

VARIABLES = {
    "CALSEQ_RUN_ID": "the run's name",
    "CALSEQ_FOLDER": "its folder",
    "CALSEQ_TITLE": "the sequence's title",
    "CALSEQ_MODULE": "the module, as given or by modules.json",
    "CALSEQ_BENCH": "the bench's name",
    "CALSEQ_OPERATOR": "who ran it",
    "CALSEQ_VERDICT": "`passed`, `failed`, `interrupted`, `unsafe` or `broken`",
    "CALSEQ_EXIT_CODE": "what calseq tells the shell; 4: HV or LV off could not be confirmed",
    "CALSEQ_REASON": "why it has not passed; empty if it has",
    "CALSEQ_FAILED_STEPS": "the steps that were tried and did not pass, with a space between two",
    "CALSEQ_DURATION_S": "how long it took, in seconds",
    "CALSEQ_SIMULATED": "`1` if nothing real was measured, else `0`",
    "CALSEQ_REPORT": "the path of the run's `report.html`; empty if there is none",
    "CALSEQ_JOB": "the name that another program gave the run with `--job`; empty if none did",
}
"""Environment of the command. The mark of a run's own processes is not among it: this is none of them."""


def told(record: RunRecord, folder: Path, report: str = "") -> dict[str, str]:
    """Give the variables of a run that has ended."""
    well = (Verdict.PASSED, Verdict.SKIPPED)
    tried = [verdict.value for verdict in Verdict if verdict not in well]
    values = (
        record.run,
        str(folder),
        record.title,
        record.module,
        record.bench,
        record.operator,
        record.verdict,
        str(record.exit_code),
        record.reason,
        " ".join(name for name, verdict in record.steps.items() if verdict in tried),
        f"{record.duration_s:.1f}",
        str(int(record.simulated)),
        report,
        record.job,
    )
    return {name: printable(value) for name, value in zip(VARIABLES, values, strict=True)}


def announce(
    notice: Notice,
    record: RunRecord,
    folder: Path,
    *,
    report: str = "",
    cwd: str,
    environment: Mapping[str, str],
    stops: Stops,
) -> str:
    """Run the command to its end, and say what went wrong with it; empty if nothing did. A stop ends it at once."""
    try:
        variables = {**environment, **told(record, folder, report)}
        return _announced(notice, record.run, folder, cwd=cwd, environment=variables, stops=stops)
    except OSError as error:
        return f"on_finish: {printable((error.strerror or str(error)).lower())}"


def _announced(
    notice: Notice, run: str, folder: Path, *, cwd: str, environment: Mapping[str, str], stops: Stops
) -> str:
    log = descriptor_of(folder / ON_FINISH_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode=0o600)
    try:
        mark = f"CALSEQ_ON_FINISH={run}"
        child = Child(notice.command, cwd=cwd, env=environment, log=log, mark=mark)
        reason = _waited(child, notice.timeout_s, log, stops)
        ended = child.poll()
        end_child(child, _GRACE_S, stops.pause)
    except NotStarted as not_started:
        return f"on_finish: {not_started}"
    finally:
        os.close(log)
    if not reason and ended and (ended.code or ended.signal):
        reason = f"exit code {ended.code}" if ended.code else f"ended by {ended.signal}"
    return f"on_finish: {reason}; what it printed is in {ON_FINISH_LOG}" if reason else ""


def _waited(child: Child, timeout_s: float, log: int, stops: Stops) -> str:
    """Wait for the command and all that it started; say why no longer, if that is so."""
    due_s = now_s() + timeout_s
    limit_bytes = os.fstat(log).st_size + _LOG_LIMIT_BYTES
    while child.poll() is None or child.tree():
        if stops.level:
            return f"ended by {stops.cause}"
        if now_s() >= due_s:
            return f"it took longer than {timeout_s:g} s and was ended"
        if os.fstat(log).st_size > limit_bytes:
            return f"it printed more than {_LOG_LIMIT_BYTES >> 20} MiB and was ended"
        stops.pause(min(_POLL_S, max(due_s - now_s(), 0.0)))
    return ""
