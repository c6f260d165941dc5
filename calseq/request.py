"""A request for a run, as it was typed: enough to make its plan anew."""

from msgspec import Struct

from calseq.selection import Selection


class Request(Struct, frozen=True):
    """A sequence to be planned or run: a file or a shipped name, a bench file, and what is to differ from them."""

    sequence: str
    bench: str = ""
    simulate: bool = False
    settings: tuple[str, ...] = ()
    speed: float | None = None
    faults: tuple[str, ...] = ()
    selection: Selection = Selection()
    official: bool = False
