"""Results into a folder: a bundle per run and module, written completely and then put in place by its name."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from msgspec import Struct

from calseq.model.destinations import FolderReceiver
from calseq.record.journal import sync_folder
from calseq.record.seal import seal
from calseq.upload.batch import Batch
from calseq.upload.entries import State
from calseq.upload.ledger import Item
from calseq.upload.results import Result, ResultFile

MANIFEST = "manifest.json"
FORMAT = 1


def send(batch: Batch, receiver: FolderReceiver) -> None:
    """Put the waiting results of a module into the folder as one bundle, exactly once.

    What was put in place before calseq was killed is known by its manifest.

    Raises:
        OSError: what came of it cannot be recorded.
    """
    names = [item.result.name for item in batch.waiting]
    batch.mark(names, State.SENDING)
    written = False
    try:
        bundle = _written(batch, Path(receiver.folder))
        written = True
        bundle.put()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        # before it is put in place nothing of it is there
        batch.mark(names, State.GIVEN_UP, f"{receiver.folder} cannot be written: {why}", maybe=written)
        return
    for name, place in bundle.places.items():
        batch.mark(name, State.SENT, note=place)


class _Bundle(Struct, frozen=True):
    """What is written completely as `part`, and has yet to get its name `place`; `places` of the results, by name.

    Without a `part` all of it is in place already.
    """

    part: Path | None
    place: Path
    places: dict[str, str]

    def put(self) -> None:
        if self.part:
            self.part.rename(self.place)  # fails if somebody put something there meanwhile
            sync_folder(self.place.parent)


def _written(batch: Batch, folder: Path) -> _Bundle:
    """Write what is not there already."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = _safe(f"{batch.queued.run}-{batch.module}")
    there: dict[str, str] = {}
    items = batch.waiting
    for place in _places(folder, stem):
        if place.exists():
            there |= dict.fromkeys(_keys(place), place.name)
            continue
        fresh = [item for item in items if _key(batch, item) not in there]
        places = {item.result.name: there.get(_key(batch, item), place.name) for item in items}
        if not fresh:
            return _Bundle(None, place, places)
        part = folder / f".{stem}.partial"
        shutil.rmtree(part, ignore_errors=True)
        try:
            _write(batch, fresh, part)
        except OSError:
            shutil.rmtree(part, ignore_errors=True)  # a full disk is no fuller for it
            raise
        return _Bundle(part, place, places)
    raise AssertionError("numbers do not end")


def _places(folder: Path, stem: str) -> Iterator[Path]:
    """Give where a bundle may be: a run that was resumed after it was sent has more than one."""
    yield folder / stem
    yield from (folder / f"{stem}.{number}" for number in count(2))


def _write(batch: Batch, items: Sequence[Item], part: Path) -> None:
    """Write a bundle, to the disk itself."""
    part.mkdir()
    for item in items:
        (part / item.result.name).mkdir()
        for source, name in zip(batch.paths(item), _file_names(item), strict=True):
            shutil.copyfile(source, part / item.result.name / name)
    (part / MANIFEST).write_text(json.dumps(manifest(batch, items), indent=2) + "\n")
    seal(part)
    for root, _, names in os.walk(part):
        for name in names:
            _sync(Path(root, name))
        sync_folder(Path(root))


def manifest(batch: Batch, items: Sequence[Item]) -> dict[str, Any]:
    """Say what a bundle is."""
    queued = batch.queued
    return {
        "calseq-bundle": FORMAT,
        "run": queued.run,
        "module": batch.module,
        "title": queued.title,
        "software": queued.software,
        "simulated": queued.simulated,
        "in_part": queued.in_part,
        "results": [
            {
                "key": _key(batch, item),
                "name": item.result.name,
                "type": item.result.type,
                "step": item.result.step,
                "files": [
                    {"path": f"{item.result.name}/{name}", "sha256": file.sha256, "from": file.path}
                    for name, file in zip(_file_names(item), item.result.files, strict=True)
                ],
            }
            for item in items
        ],
    }


def _key(batch: Batch, item: Item) -> str:
    return item.result.key(batch.queued.run)


def _keys(place: Path) -> list[str]:
    """Give the keys of a bundle that is in place, as its files have them; none if it is not one of ours."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads((place / MANIFEST).read_bytes())
        return [_result(said["module"], each).key(said["run"]) for each in said["results"]]
    return []


def _result(module: str, said: Mapping[str, Any]) -> Result:
    """Read a result of a manifest back."""
    files = tuple(ResultFile(str(each["from"]), str(each["sha256"])) for each in said["files"])
    return Result(module, said["name"], said["type"], said["step"], files)


def _file_names(item: Item) -> list[str]:
    """Names of the files of a result in its bundle, each unique."""
    names: list[str] = []
    for path in item.result.paths:
        name = path.rpartition("/")[2]
        free = (f"{number}-{name}" for number in count(2))
        names.append(name if name not in names else next(each for each in free if each not in names))
    return names


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)
