"""The results of one module on their way: what a backend is given, and what it tells of them, recorded before it goes on."""

from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct

from calseq.upload.entries import Entry, Marked, Queued, State
from calseq.upload.ledger import Item, Ledger, Sequence
from calseq.upload.queue import Queue


class Waiting(Struct, frozen=True):
    """Something cannot be sent for the moment, and is tried again in `delay_s`: told, and not recorded."""

    what: str
    reason: str
    delay_s: float


class Doing(Struct, frozen=True):
    """Something goes on that takes its time: told, and not recorded."""

    what: str


Tell = Callable[[Entry | Waiting | Doing], None]


class Batch:
    """The results of a module that are to be sent, in order. What is told here is on the disk when the call returns.

    Whatever is told may raise OSError: then nothing more may be sent, because nobody would know of it.
    """

    def __init__(self, queue: Queue, module: str, tell: Tell) -> None:
        if queue.ledger.queued is None:
            raise ValueError("nothing is queued")
        self.queue = queue
        self.queued: Queued = queue.ledger.queued
        self.module = module
        self.tell = tell
        self.tried: set[str] = set()
        """The results with an entry so far."""
        self._withheld: set[str] = set()

    @property
    def ledger(self) -> Ledger:
        """How all results of the run stand now."""
        return self.queue.ledger

    @property
    def waiting(self) -> tuple[Item, ...]:
        """The results that are still to be sent."""
        waiting = self.ledger.waiting(self.module)
        return tuple(item for item in waiting if item.result.name not in self._withheld)

    def withhold(self, names: Iterable[str]) -> None:
        """Do not send these now."""
        self._withheld |= set(names)

    @property
    def sequence(self) -> Sequence:
        """The module's sequence in the database, as far as it is known."""
        return self.ledger.sequence(self.module)

    def item(self, name: str) -> Item | None:
        """Give a result of the module by its name."""
        return next((item for item in self.ledger.of(self.module) if item.result.name == name), None)

    def paths(self, item: Item) -> list[Path]:
        """Give the files of a result, absolute."""
        return [self.queue.folder / path for path in item.result.paths]

    def write(self, entry: Entry) -> None:
        """Record an entry, then tell it."""
        self.queue.write(entry)
        self.tell(entry)

    def mark(
        self,
        names: Iterable[str] | str,
        state: State,
        reason: str = "",
        *,
        maybe: bool = False,
        note: str = "",
    ) -> None:
        """Record, then tell, that results are in another state."""
        listed = (names,) if isinstance(names, str) else tuple(names)
        self.tried |= set(listed)
        if listed:
            self.write(Marked(self.module, listed, state, reason[:500], maybe, note[:500]))
