"""What `upload:` of a bench file says, as a destination."""

from collections.abc import Callable, Mapping
from typing import Any

from calseq.documents.durations import seconds
from calseq.model.destinations import KEYS, CommandReceiver, FelisReceiver, FolderReceiver, Receiver, Upload


def read_upload(
    table: Mapping[str, Any], path: Callable[[str], str], python: str, bench: str = ""
) -> Upload | None:
    """Read what a bench file says that its schema has judged; None if it says nothing.

    `path` makes a path absolute that is relative to the bench file, which is `bench`; `python` is the interpreter of
    the supplies.
    """
    if not table:
        return None
    return Upload(
        _receiver(table, path, python),
        at_end=table.get("at_end", False),
        runs=table.get("runs", "passed"),
        retry_for_s=seconds(table.get("retry_for", "2m")) or 0.0,
        bench=bench,
    )


def _receiver(table: Mapping[str, Any], path: Callable[[str], str], python: str) -> Receiver:
    known = {key: value for key, value in table.items() if key in KEYS[table["to"]]}
    timeout = known.pop("timeout", None)
    if timeout:
        known["timeout_s"] = seconds(timeout) or 1.0
    if table["to"] == "command":
        words = known.pop("command")
        return CommandReceiver(tuple(words) if isinstance(words, list) else (words,), **known)
    if table["to"] == "folder":
        return FolderReceiver(path(known["folder"]))
    if "ca_file" in known:
        known["ca_file"] = path(known["ca_file"])
    return FelisReceiver(**{"python": python, **known})
