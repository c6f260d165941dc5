"""Results to Panthera through Felis, in dirigent's environment, with calseq's relay between the two."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from calseq.measurement.acceptance import acceptance
from calseq.model.destinations import FelisReceiver
from calseq.model.plan import Module
from calseq.upload.batch import Batch, Doing
from calseq.upload.entries import State
from calseq.upload.felis_process import SILENCE_S, Felis, FelisFailed
from calseq.upload.post import poster
from calseq.upload.queue import Queue
from calseq.upload.redact import Scrubber
from calseq.upload.relay import Relay
from calseq.upload.work_folder import SCRATCH


def send(
    batch: Batch,
    receiver: FelisReceiver,
    password: str,
    *,
    module: Module,
    sensor: str,
    retry_for_s: float,
    environment: Mapping[str, str],
    silence_s: float = SILENCE_S,
) -> None:
    """Send the waiting results of a module. What came of each is recorded.

    `sensor` is the type of the sensors that its sequence was for, if that is known.

    Raises:
        OSError: that cannot be recorded.
    """
    # together with the user's name, as HTTP has it
    scrubber = Scrubber([password, f"{receiver.user}:{password}"])
    sweep(batch.queue)
    os.mkdir(SCRATCH, 0o700, dir_fd=batch.queue.descriptors[0])
    batch.tell(Doing(f"Felis starts, for {batch.module}"))
    try:
        with ExitStack() as held:
            scratch = _opened_scratch(batch.queue)
            held.callback(os.close, scratch)
            felis = held.enter_context(
                Felis(receiver.python or sys.executable, batch, scratch, environment, scrubber, silence_s)
            )
            _sent(
                batch,
                receiver,
                password,
                felis,
                held,
                scrubber,
                _content(batch, receiver, module, sensor),
                retry_for_s,
            )
    except FelisFailed as failed:
        _give_up(batch, scrubber.text(str(failed)))
    finally:
        sweep(batch.queue)


def _opened_scratch(queue: Queue) -> int:
    """Descriptor of the scratch folder.

    Felis chooses files by regular expressions over the whole path, and the run folder's may have `run` or `monitor` in
    it: it is given the folder by its descriptor, whose path has neither.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(SCRATCH, flags, dir_fd=queue.descriptors[0])


def sweep(queue: Queue) -> None:
    """Take away what an attempt needed for a while, also one that was killed."""
    shutil.rmtree(SCRATCH, ignore_errors=True, dir_fd=queue.descriptors[0])


def _sent(
    batch: Batch,
    receiver: FelisReceiver,
    password: str,
    felis: Felis,
    held: ExitStack,
    scrubber: Scrubber,
    content: Mapping[str, Any],
    retry_for_s: float,
) -> None:
    felis.say(scratch=felis.scratch)
    probed = felis.hear("probed")
    address = receiver.url or str(probed["address"])
    takes_address = bool(probed["takes_address"])
    if takes_address and not address:
        raise FelisFailed("Felis does not say where Panthera is: give 'url:' in the bench file")
    if receiver.url and not takes_address:
        raise FelisFailed("this Felis goes to its own address: take 'url:' out of the bench file")
    felis.say(**content)
    taken = _taken(batch, felis)
    if not taken:
        return
    arguments = {
        "name_module": batch.module,
        "username": receiver.user,
        "userpass": password,
        "type_sequence": batch.queued.title,
        "version_ph2acf": receiver.ph2_acf_version or "unspecified",
        "version_testStationSoftware": batch.queued.software,
    }
    if not takes_address:
        _in_one_call(batch, felis, arguments, taken)
        return
    try:
        post = poster(address, receiver.ca_file)
    except OSError as error:
        raise FelisFailed(
            f"the 'ca_file:' cannot be used: {(error.strerror or str(error)).lower()}"
        ) from error
    except ValueError as error:
        raise FelisFailed(str(error)) from error
    relay = Relay(batch, post, scrubber, timeout_s=receiver.timeout_s, retry_for_s=retry_for_s)
    held.callback(relay.close)
    felis.say(arguments={**arguments, "url_uploadResults": relay.url})
    said = felis.hear("uploaded", relay)
    if not relay.halted and batch.waiting:
        raise FelisFailed(f"Felis ended before all was sent: {said['reason'] or 'it does not say why'}")
    if relay.halted:
        _give_up(batch, relay.halted)


def _content(batch: Batch, receiver: FelisReceiver, module: Module, sensor: str) -> dict[str, Any]:
    """Give what Felis is to be filled with; what nobody knows is left to its defaults."""
    facts: dict[str, Any] = {
        "type_module": receiver.module_type_of(batch.module, module.type, acceptance().module_types) or None,
        "croc_version": receiver.croc_version or None,
        "has_sensor": module.sensor,
        "link_production_db": receiver.link_production_db,
        "type_sensor": receiver.sensor_type_of(batch.module) or sensor or None,
    }
    return {
        "module": batch.module,
        "subdetector": module.subdetector or "unspecified",
        "facts": {name: value for name, value in facts.items() if value is not None},
        "results": [
            {
                "name": item.result.name,
                "type": item.result.type,
                "files": [str(path) for path in batch.paths(item)],
            }
            for item in batch.waiting
        ],
    }


def _taken(batch: Batch, felis: Felis) -> list[str]:
    """Hear which results Felis takes; one that it does not take keeps the others from nothing."""
    taken = []
    while (said := felis.hear("set", "filled"))["event"] != "filled":
        name, note = str(said["name"]), str(said.get("note") or "")
        if said["ok"]:
            taken.append(name)
            batch.tell(Doing(f"{name}  read by Felis"))
            item = batch.item(name)
            if note and item:
                batch.mark(name, item.state, item.reason, note=felis.scrubbed(note))
        else:
            batch.mark(name, State.REFUSED, f"Felis does not take it: {felis.scrubbed(str(said['reason']))}")
    return taken


def _in_one_call(batch: Batch, felis: Felis, arguments: Mapping[str, Any], taken: Sequence[str]) -> None:
    """Send everything at once, with a Felis that no relay can be put before: half of it cannot be told from all."""
    doubt = "this Felis sends all at once, and nobody said how that ended"
    batch.mark(taken, State.UNCLEAR, doubt, maybe=True)
    felis.say(arguments=dict(arguments))
    try:
        said = felis.hear("uploaded")
    except FelisFailed as failed:
        batch.mark(taken, State.UNCLEAR, felis.scrubbed(f"{failed}: look in Panthera"), maybe=True)
        return
    reason = felis.scrubbed(str(said["reason"]))
    if said["ok"]:
        batch.mark(taken, State.SENT)
    elif said["clean"] and not reason:
        told = "Panthera made no sequence: are user and password right?"
        batch.mark(taken, State.REFUSED, told)
    else:
        batch.mark(taken, State.UNCLEAR, f"{reason}: look in Panthera", maybe=True)


def _give_up(batch: Batch, reason: str) -> None:
    """Say of those that were not tried why not, and of one that was cut off that it was."""
    untried = [item.result.name for item in batch.waiting if item.result.name not in batch.tried]
    cut_off = [
        item.result.name
        for item in batch.waiting
        if item.state is State.SENDING and item.result.name in batch.tried
    ]
    batch.mark(untried, State.GIVEN_UP, reason)
    batch.mark(cut_off, State.GIVEN_UP, reason, maybe=True)
