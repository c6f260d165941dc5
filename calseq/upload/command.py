"""Results to a command of the site: one call for each, with the result as JSON on its stdin."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from calseq.model.destinations import CommandReceiver
from calseq.system.clock import now_s
from calseq.system.process import Child, Exit, NotStarted, adopt_orphans, end_child
from calseq.system.reachable import missing
from calseq.upload.backoff import Patience
from calseq.upload.batch import Batch, Waiting
from calseq.upload.entries import State
from calseq.upload.ledger import Item
from calseq.upload.work_folder import last_line

LOG = "command.log"
FORMAT = 1
NO_COMMAND, ARRIVED, TRY_LATER = -1, 0, 75
"""75 is EX_TEMPFAIL of <sysexits.h>; every other code means no. -1: it was never started."""
_LOG_LIMIT_BYTES = 16 << 20
_POLL_S = 0.02
_GRACE_S = 2.0


def send(
    batch: Batch,
    receiver: CommandReceiver,
    *,
    retry_for_s: float,
    cwd: str,
    environment: Mapping[str, str],
    patience: Callable[[float], Patience] = Patience,
) -> None:
    """Send the waiting results of a module, in order, up to the first that does not arrive.

    Raises:
        OSError: what came of one cannot be recorded.
    """
    for item in batch.waiting:
        if not _sent(batch, item, receiver, patience(retry_for_s), cwd, environment):
            return


def _sent(
    batch: Batch,
    item: Item,
    receiver: CommandReceiver,
    patience: Patience,
    cwd: str,
    environment: Mapping[str, str],
) -> bool:
    name = item.result.name
    again = item.is_in_doubt
    while True:
        batch.mark(name, State.SENDING)
        code, wrong = _called(batch, request(batch, item, again=again), receiver, cwd, environment)
        if code == ARRIVED:
            batch.mark(name, State.SENT)
            return True
        later = code in (TRY_LATER, None)
        batch.mark(name, State.GIVEN_UP if later else State.REFUSED, wrong, maybe=code is None)
        again = again or code is None

        def told(delay_s: float, wrong: str = wrong) -> None:
            batch.tell(Waiting(name, wrong, delay_s))

        if not later or not patience.wait(told):
            return False


def request(batch: Batch, item: Item, *, again: bool) -> dict[str, Any]:
    """Give what the command reads. `key` is the same at every try of this very result, and of no other."""
    queued, result = batch.queued, item.result
    return {
        "calseq-upload": FORMAT,
        "key": result.key(queued.run),
        "again": again,
        "run": queued.run,
        "folder": str(batch.queue.folder),
        "title": queued.title,
        "software": queued.software,
        "simulated": queued.simulated,
        "in_part": queued.in_part,
        "module": result.module,
        "name": result.name,
        "type": result.type,
        "step": result.step,
        "files": [
            {"path": str(path), "sha256": file.sha256}
            for path, file in zip(batch.paths(item), result.files, strict=True)
        ],
    }


def _called(
    batch: Batch,
    said: Mapping[str, Any],
    receiver: CommandReceiver,
    cwd: str,
    environment: Mapping[str, str],
) -> tuple[int | None, str]:
    """Call the command; give its exit code, and what went wrong. Without a code nobody knows what it did."""
    if not Path(cwd).is_dir():
        return NO_COMMAND, f"the folder of its bench file, {cwd}, is not there"
    if why := missing(receiver.command[0], Path(cwd), environment):
        meant = f": with arguments it is a list, command: {receiver.as_list}" if receiver.as_list else ""
        return NO_COMMAND, f"no such command: cannot start '{receiver.command[0]}': {why}{meant}"
    adopt_orphans()
    log = batch.queue.open_log(LOG)
    begin = os.fstat(log).st_size
    try:
        with tempfile.TemporaryFile() as told:
            told.write(json.dumps(said).encode() + b"\n")
            told.seek(0)
            child = Child(
                receiver.command,
                cwd=cwd,
                env=environment,
                log=log,
                mark=f"CALSEQ_UPLOAD={batch.queued.run}",
                keep=batch.queue.descriptors,
                told=told.fileno(),
            )
            return _ended(child, receiver.timeout_s, log, begin)
    except NotStarted as error:
        return NO_COMMAND, str(error)
    finally:
        os.close(log)


def _ended(child: Child, timeout_s: float, log: int, begin: int) -> tuple[int | None, str]:
    """Wait for the end of the command, and end all that it leaves behind; whatever interrupts this ends it.

    What it left running would hold the queue for as long as it lives. What it printed is in `log` from `begin` on.
    """
    due_s = now_s() + timeout_s
    wrong = ""
    try:
        while child.poll() is None and not wrong:
            time.sleep(_POLL_S)
            if now_s() >= due_s:
                wrong = (
                    f"the command took longer than {timeout_s:g} s and was ended; if it needs more, raise "
                    "'timeout:' in the bench file and name that with --bench"
                )
            elif os.fstat(log).st_size > begin + _LOG_LIMIT_BYTES:
                wrong = f"the command printed more than {_LOG_LIMIT_BYTES >> 20} MiB and was ended"
    finally:
        ended = child.poll()
        end_child(child, _GRACE_S, time.sleep)
    code, why = (None, wrong) if wrong or ended is None else _verdict(ended)
    line = last_line(log, begin)
    return code, why + (f": '{line}'" if line else "") + f" (upload/{LOG})"


def _verdict(ended: Exit) -> tuple[int | None, str]:
    if ended.code is None:
        return None, f"the command was ended by {ended.signal or 'somebody'}"
    if ended.code == TRY_LATER:
        return TRY_LATER, f"the command says: try later (exit code {TRY_LATER})"
    return ended.code, f"the command refuses it with exit code {ended.code}"
