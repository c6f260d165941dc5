"""modules.json: the module of each channel, held against the channels."""

from collections.abc import Iterable, Mapping
from typing import Any

from calseq.bench.wiring import Wiring
from calseq.documents.document import Document
from calseq.documents.json_reader import read_json
from calseq.documents.schema import check, stored_schema
from calseq.model.plan import Module
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem

_LONGEST_WORD = 32


def read_modules(document: Document) -> dict[str, Module]:
    """Give the modules by channel: the key below 'Hybrid' is the channel's."""
    check(read_json(document), stored_schema("modules"))
    data: Any = {} if document.is_refused else document.data
    return {channel: _module(channel, chips) for channel, chips in data.get("Hybrid", {}).items()}


def _module(channel: str, chips: Mapping[str, Any]) -> Module:
    """Module of a hybrid, as 'info' below its chip type describes it."""
    infos = [chip.get("info", {}) for chip in chips.values() if isinstance(chip, dict)]
    name = next((str(info["module_name"]) for info in infos if "module_name" in info), "")
    sensor = next((info["sensor"] for info in infos if isinstance(info.get("sensor"), bool)), None)
    return Module(
        channel, name, _word_of(infos, "type"), _word_of(infos, "subdetector"), sensor, tuple(_efuses(chips))
    )


def _efuses(chips: Mapping[str, Any]) -> Iterable[str]:
    """eFuse codes of the chips of a hybrid, as they are written."""
    for group in chips.values():
        for chip in group.values() if isinstance(group, dict) else ():
            code = chip.get("eFuseCode") if isinstance(chip, dict) else None
            if isinstance(code, (int, str)) and not isinstance(code, bool) and str(code) not in ("", "0"):
                yield printable(str(code), 40)


def _word_of(infos: Iterable[Mapping[str, Any]], key: str) -> str:
    """First word of a key in the infos; another value is passed over, and refuses no bench."""
    words = (info.get(key) for info in infos)
    return next((word for word in words if isinstance(word, str) and 0 < len(word) <= _LONGEST_WORD), "")


def _file_of(document: Document) -> str:
    return printable(document.source.name.rpartition("/")[2])


def check_modules(
    document: Document, wiring: Wiring, described: Mapping[str, Module], instruments: Document
) -> None:
    """Hybrids without a channel, channels without a module, and duplicate names of modules."""
    if document.is_refused or not described:
        return
    names: dict[str, str] = {}
    for channel, module in described.items():
        place = document.place(("Hybrid", channel), key=True)
        shown = f"hybrid '{printable(channel, 20)}'" + (
            f" ({printable(module.name, 40)})" if module.name else ""
        )
        if channel not in wiring.channels:
            cure = f'add channel "{printable(channel, 20)}" there, or take the hybrid out'
            message = f"{shown} has no channel in {_file_of(instruments)}, and takes no part"
            document.problems.append(Problem(codes.UNFIT_BENCH, message, cure, place))
        if module.name and names.setdefault(module.name, channel) != channel:
            message = f"{shown} has the name of hybrid '{printable(names[module.name], 20)}'"
            document.problems.append(
                Problem(codes.UNFIT_BENCH, message, "a module has one name: correct one of them", place)
            )
    root = "channels" if ("channels",) in instruments.values else "channels_dict"
    for channel in wiring.channels:
        if channel not in described:
            message = f"channel '{printable(channel, 20)}' has no module in {_file_of(document)}"
            cure = "take the empty slot out of the channels, or add its module: without one nothing on its supply is biased"
            place = instruments.place((root, channel), key=True)
            instruments.problems.append(Problem(codes.UNFIT_BENCH, message, cure, place))
