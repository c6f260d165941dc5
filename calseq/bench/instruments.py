"""instruments.json: which instruments there are, and what each channel uses them for."""

import re
from collections.abc import Mapping
from typing import Any

from calseq.bench.instrument_checks import check_instruments, check_keys
from calseq.bench.wiring import PREFIX, Wire, Wiring
from calseq.documents.document import Document, Path
from calseq.documents.schema import check, stored_schema
from calseq.model.rails import Role
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.suggestions import closest, did_you_mean, meant
from calseq.system.addresses import Further

_KEYS = {"instruments": ("instruments", "instrument_dict"), "channels": ("channels", "channels_dict")}


def read_wiring(document: Document, further: Further = lambda _: ()) -> Wiring | None:
    """Judge an instruments.json; its problems are noted in the document, None if one is an error.

    `further` gives the further names of a device file, where this machine can be looked at.
    """
    check(document, stored_schema("instruments"))
    data: Any = document.data
    if not document.readable or not isinstance(data, dict):
        return None
    instruments_key = _key(document, data, "instruments")
    channels_key = _key(document, data, "channels")
    if instruments_key is None:
        _check_instruments_there(document, data)
        return None
    _check_spelling(document, data, channels_key)
    instruments = data[instruments_key]
    if not isinstance(instruments, dict):
        return None
    check_keys(document, instruments_key, instruments)
    channels = _channels(document, channels_key, data, instruments)
    check_instruments(document, instruments_key, instruments, channels_key, channels, further)
    if any(problem.is_error for problem in document.problems):
        return None
    return Wiring(instruments, channels)


def _key(document: Document, data: Mapping[str, Any], name: str) -> str | None:
    present = [key for key in _KEYS[name] if key in data]
    if len(present) > 1:
        message = f"'{present[1]}' beside '{present[0]}'"
        document.problem_at(
            (present[1],), codes.DUPLICATE_KEY, message, "they mean the same: keep one", key=True
        )
    return present[0] if present else None


def _check_instruments_there(document: Document, data: Mapping[str, Any]) -> None:
    if () in document.incomplete:
        return
    wrong = next((key for key in data if closest(key[:64], _KEYS["instruments"])), None)
    if wrong is None:
        cure = 'it has the keys "instruments" and "channels"'
        document.problem_at(("instruments",), codes.MISSING_KEY, "'instruments' is missing", cure)
        return
    message = f"'{printable(wrong, 40)}' is not a key that belongs here"
    slip = (wrong, meant(wrong, ("instruments",)))
    cure = "did you mean 'instruments'?"
    document.problem_at((wrong,), codes.UNKNOWN_KEY, message, cure, key=True, slip=slip)


def _check_spelling(document: Document, data: Mapping[str, Any], channels_key: str | None) -> None:
    """A misspelt 'channels' must not make a bench of one channel out of many."""
    for key in data if channels_key is None else ():
        cure = did_you_mean(key, _KEYS["channels"])
        if cure and key not in _KEYS["instruments"]:
            message = f"'{printable(key, 40)}' is not a key that belongs here"
            slip = (key, meant(key, _KEYS["channels"]))
            document.problem_at((key,), codes.UNKNOWN_KEY, message, cure, key=True, slip=slip)


def _channels(
    document: Document, key: str | None, data: Mapping[str, Any], instruments: Mapping[str, Any]
) -> dict[str, dict[Role, Wire]]:
    """Give the channels; of a file that has none, by the prefixes of the names on channel '0'."""
    if key is None:
        if () in document.incomplete or not instruments:
            return {}
        wires = {
            Role(match.group(1)): Wire(name, {"instrument": name, "channel": 1})
            for name in reversed(list(instruments))
            if (match := PREFIX.match(name))
        }
        if not wires:
            cure = 'add \'channels\': {"0": {"lv": {"instrument": …, "channel": 1}, …}}'
            document.problem_at(("channels",), codes.MISSING_KEY, "'channels' is missing", cure)
        return {"0": dict(sorted(wires.items()))}
    raw = data[key]
    channels: dict[str, dict[Role, Wire]] = {}
    for channel, entries in raw.items() if isinstance(raw, dict) else ():
        path: Path = (key, channel)
        if not re.fullmatch(r"[0-9]{1,4}", channel):
            message = f"channel '{printable(channel, 40)}' is not a number"
            document.problem_at(path, codes.BAD_CHANNEL, message, 'channels are "0", "1", …', key=True)
        channels[channel] = {}
        for role, entry in entries.items() if isinstance(entries, dict) else ():
            if role not in set(Role):
                cure = did_you_mean(role, Role) or "one of " + ", ".join(Role)
                message = f"'{printable(role, 40)}' is not a role"
                slip = (role, meant(role, Role))
                document.problem_at((*path, role), codes.BAD_CHANNEL, message, cure, key=True, slip=slip)
            elif isinstance(entry, dict) and isinstance(entry.get("instrument"), str):
                channels[channel][Role(role)] = Wire(entry["instrument"], entry)
    return channels
