"""The end of `calseq execute` where the bench names a database: its results queued, and perhaps sent at once."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from calseq.cli.terminal import message
from calseq.model.plan import Plan
from calseq.problems.plaintext import printable, word
from calseq.problems.refused import Refused
from calseq.record.run_folder import RunRecord
from calseq.system.process import Child, NotStarted, end_child
from calseq.system.signals import Stops
from calseq.upload.enqueue import enqueue, is_in_part, is_wanted, reckon
from calseq.upload.queue import Queue

_GRACE_S = 10.0
_POLL_S = 0.2


def queue_run(plan: Plan, record: RunRecord, folder: Path) -> bool:
    """Queue the results of a run that has ended, and say so; tell whether there is anything to send."""
    if plan.upload is None or not is_wanted(plan, record):
        return False
    receiver = plan.upload.receiver.to
    if record.simulated:
        typed = f"calseq upload {word(_near(folder))} --allow-simulated{' --allow-part' * is_in_part(plan)}"
        message(f"not queued for {receiver}: SIMULATED, nothing was measured; {typed} sends it all the same")
        return False
    if is_in_part(plan):
        typed = f"calseq upload {word(_near(folder))} --allow-part"
        message(
            f"not queued for {receiver}: {record.verdict} in part, steps were left out; {typed} sends what there is"
        )
        return False
    try:
        with Queue(folder) as queue:
            wanted = reckon(folder, queue.ledger)
            enqueue(queue, wanted)
            count = len(queue.ledger.items) - queue.ledger.sent
    except Refused as refused:
        message(f"not queued for {receiver}: {printable(str(refused), 300)}")
        return False
    except Exception as error:  # noqa: BLE001 - the run is over: nothing here may change how it ended
        message(f"not queued for {receiver}: {type(error).__name__}: {printable(str(error), 300)}")
        return False
    missing = sum(gap.measured for gap in wanted.gaps)
    told = f"; {missing} cannot be sent, 'calseq upload --list' tells why" if missing else ""
    message(f"{count} results are queued for {receiver}{told}: calseq upload {word(_near(folder))}")
    return bool(count)


def upload_run(folder: Path, stops: Stops) -> None:
    """Send what is queued in a process of its own, which a stop ends; how it ends changes nothing of the run.

    It has a session of its own: Ctrl-Z or a terminal that is lost concern calseq, which still tells it to stop.
    """
    stops.renew()
    words = [sys.executable, "-P", "-m", "calseq", "upload", str(folder), "--runs", str(folder.parent)]
    try:
        with _shown() as log:
            mark = f"CALSEQ_UPLOAD_OF={folder.name}"
            child = Child(words, cwd=str(folder), env=os.environ, log=log, mark=mark)
    except (NotStarted, OSError) as error:
        message(f"upload: {printable(str(error), 300)}")
        return
    while child.poll() is None and not stops.level:
        stops.pause(_POLL_S)
    end_child(child, _GRACE_S, stops.pause)


@contextmanager
def _shown() -> Iterator[int]:
    """Descriptor of stderr for the upload's messages; of /dev/null if stderr is closed."""
    try:
        descriptor = os.dup(2)
    except OSError:
        descriptor = os.open(os.devnull, os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _near(folder: Path) -> str:
    with suppress(ValueError, OSError):
        return str(folder.relative_to(Path.cwd()))
    return str(folder)
