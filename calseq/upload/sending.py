"""A queue worked through: module by module, by the backend of its receiver."""

import os
from collections.abc import Callable
from pathlib import Path

from calseq.model.confidential import told
from calseq.model.destinations import CommandReceiver, FelisReceiver, FolderReceiver, Upload
from calseq.model.plan import Plan
from calseq.upload import command, felis, folder
from calseq.upload.batch import Batch, Tell
from calseq.upload.enqueue import changed
from calseq.upload.entries import State
from calseq.upload.ledger import stranded
from calseq.upload.queue import Queue
from calseq.upload.results import module_of

Ask = Callable[[FelisReceiver], str]
"""Gives the password, asked for when it is needed first."""


def send(queue: Queue, plan: Plan, tell: Tell, ask: Ask) -> None:
    """Send all that waits. A module whose upload is unclear waits for a person.

    Raises:
        OSError: what becomes of a result cannot be recorded any more.
    """
    felis.sweep(queue)  # also where nothing waits: an attempt that was killed at its very end left it
    for module in queue.ledger.modules:
        batch = Batch(queue, module, tell)
        _refuse_changed(batch)
        if batch.waiting and not batch.ledger.unclear(module):
            _send(batch, plan, ask)
        if any(item.state is State.GIVEN_UP for item in batch.waiting):
            return  # who cannot be reached for one cannot be for the next


def decide(queue: Queue, upload: Upload, tell: Tell, *, arrived: bool, who: str) -> int:
    """Take a person's word for what is unclear, or may be elsewhere than `upload` says; give of how many results."""
    count = 0
    for module in queue.ledger.modules:
        doubtful = [*queue.ledger.unclear(module), *stranded(queue.ledger, upload, module)]
        names = list(dict.fromkeys(item.result.name for item in doubtful))
        batch = Batch(queue, module, tell)
        batch.mark(names, State.SENT if arrived else State.QUEUED, f"by word of {who}")
        count += len(names)
    return count


def _refuse_changed(batch: Batch) -> None:
    """What is not what was measured is not sent."""
    refused = []
    for item in batch.waiting:
        why = changed(batch.queue.folder, item.result)
        if why:
            batch.mark(item.result.name, State.REFUSED, why)
            refused.append(item.result.name)
    batch.withhold(refused)


def _send(batch: Batch, plan: Plan, ask: Ask) -> None:
    upload = batch.queued.upload
    environment = {**os.environ, **told(plan.environment.variables)}
    receiver = upload.receiver
    if isinstance(receiver, FelisReceiver):
        felis.send(
            batch,
            receiver,
            ask(receiver),
            module=module_of(plan, batch.module),
            sensor=plan.sensor,
            retry_for_s=upload.retry_for_s,
            environment=environment,
        )
    elif isinstance(receiver, CommandReceiver):
        command.send(
            batch,
            receiver,
            retry_for_s=upload.retry_for_s,
            cwd=_home(batch, plan),
            environment=environment,
        )
    elif isinstance(receiver, FolderReceiver):
        folder.send(batch, receiver)


def _home(batch: Batch, plan: Plan) -> str:
    """Give the folder from which a command is found: that of the bench file that names it."""
    if batch.queued.upload.bench:
        return str(Path(batch.queued.upload.bench).parent)
    cwd = plan.environment.cwd  # a run of an earlier calseq
    return cwd if Path(cwd).is_dir() else str(batch.queue.folder)
