"""How the results of a run stand: its queue's lines, folded."""

from collections.abc import Iterable, Mapping
from functools import singledispatch

from msgspec import Struct, field
from msgspec.structs import replace

from calseq.model.destinations import FelisReceiver, Upload
from calseq.upload.entries import Marked, Queued, SequenceAsked, SequenceFailed, SequenceOpened, State
from calseq.upload.results import Result


class Item(Struct, frozen=True):
    """A result and its state. `maybe`: it may have arrived at an earlier try; `tries` began by now.

    `went` is by what it has arrived, or may have: the queue's latest word on that may be another one by now.
    """

    result: Result
    state: State = State.QUEUED
    reason: str = ""
    maybe: bool = False
    note: str = ""
    tries: int = 0
    went: Upload | None = None

    @property
    def is_sent(self) -> bool:
        """It is known to have arrived."""
        return self.state is State.SENT

    @property
    def is_in_doubt(self) -> bool:
        """It may have arrived, though nobody said so."""
        return self.maybe or self.state is State.SENDING

    @property
    def is_bound(self) -> bool:
        """It has arrived, or may have: its name is taken, and what is known of it is never given up."""
        return self.is_sent or self.is_in_doubt or self.state is State.UNCLEAR


class Sequence(Struct, frozen=True):
    """A module's sequence in the database: its number, if there is one.

    `is_open`: one was asked for and nobody knows what came of it. `maybe_empty` sequences may be left behind there.
    """

    number: int | None = None
    is_open: bool = False
    maybe_empty: int = 0


class Ledger(Struct, frozen=True):
    """All that is known of the upload of a run. `queued` is None before anything was queued."""

    queued: Queued | None = None
    items: tuple[Item, ...] = ()
    sequences: Mapping[str, Sequence] = field(default_factory=dict)

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that have results, in order."""
        return tuple(dict.fromkeys(item.result.module for item in self.items))

    @property
    def sent(self) -> int:
        """How many results are known to have arrived."""
        return sum(item.is_sent for item in self.items)

    @property
    def is_done(self) -> bool:
        """Everything that was queued has arrived."""
        return all(item.is_sent for item in self.items)

    def of(self, module: str) -> tuple[Item, ...]:
        """Give the results of a module, in order."""
        return tuple(item for item in self.items if item.result.module == module)

    def waiting(self, module: str) -> tuple[Item, ...]:
        """Give those of a module that are to be sent; what is unclear waits for a person."""
        done = (State.SENT, State.UNCLEAR)
        return tuple(item for item in self.of(module) if item.state not in done)

    def unclear(self, module: str) -> tuple[Item, ...]:
        """Give those of a module of which only a person can tell whether they arrived."""
        return tuple(item for item in self.of(module) if item.state is State.UNCLEAR)

    def sequence(self, module: str) -> Sequence:
        """Give what is known of a module's sequence."""
        return self.sequences.get(module, Sequence())


def fold(entries: Iterable[object]) -> Ledger:
    """Give how the results stand after all these lines."""
    ledger = Ledger()
    for entry in entries:
        ledger = after(entry, ledger)
    return ledger


@singledispatch
def after(entry: object, ledger: Ledger) -> Ledger:  # noqa: ARG001 - every entry is asked alike
    """Give how the results stand after one more line."""
    raise TypeError(f"not a line of a queue: {type(entry).__name__}")


@after.register
def _(entry: Queued, ledger: Ledger) -> Ledger:
    """A known result keeps its state; what has not arrived for certain and is no result any more goes."""
    known = {(item.result.module, item.result.paths): item for item in ledger.items}
    items = [known.pop((each.module, each.paths), Item(each)) for each in entry.results]
    kept = [item for item in known.values() if item.is_bound]
    return replace(ledger, queued=entry, items=tuple(sorted([*kept, *items], key=_place)))


def _place(item: Item) -> tuple[str, int]:
    number = item.result.name.partition("_")[0]
    return item.result.module, int(number) if number.isdigit() else 0


@after.register
def _(entry: Marked, ledger: Ledger) -> Ledger:
    items = tuple(
        _marked(item, entry, ledger.queued.upload if ledger.queued else None)
        if item.result.module == entry.module and item.result.name in entry.names
        else item
        for item in ledger.items
    )
    return replace(ledger, items=items)


def _marked(item: Item, entry: Marked, upload: Upload | None) -> Item:
    began = entry.state is State.SENDING
    return replace(
        item,
        state=entry.state,
        reason=entry.reason,
        # once it may have arrived, only its arrival, or a person, takes that back
        maybe=entry.state not in (State.SENT, State.QUEUED)
        and (item.maybe or entry.maybe or (began and item.state is State.SENDING)),
        note=entry.note or item.note,
        tries=item.tries + began,
        # a person's word on what may have arrived does not move it
        went=item.went if item.is_bound and not began else upload,
    )


@after.register
def _(entry: SequenceAsked, ledger: Ledger) -> Ledger:
    known = ledger.sequence(entry.module)
    # one that was asked for before and never heard of again may be there, too
    return _with(
        ledger,
        entry.module,
        replace(known, is_open=True, maybe_empty=known.maybe_empty + known.is_open),
    )


@after.register
def _(entry: SequenceOpened, ledger: Ledger) -> Ledger:
    known = ledger.sequence(entry.module)
    return _with(ledger, entry.module, replace(known, number=entry.sequence, is_open=False))


@after.register
def _(entry: SequenceFailed, ledger: Ledger) -> Ledger:
    known = ledger.sequence(entry.module)
    return _with(
        ledger,
        entry.module,
        replace(known, is_open=False, maybe_empty=known.maybe_empty + entry.maybe),
    )


def _with(ledger: Ledger, module: str, sequence: Sequence) -> Ledger:
    return replace(ledger, sequences={**ledger.sequences, module: sequence})


def is_finished(ledger: Ledger, wanted: Queued) -> bool:
    """Tell whether a run has results, and all have arrived: then it does not matter any more where they were to go."""
    told = after(wanted, ledger)
    return bool(told.items) and told.is_done


def stranded(ledger: Ledger, upload: Upload, module: str = "") -> tuple[Item, ...]:
    """Give the results, of all modules or one, that may have arrived elsewhere than `upload` would send them to now.

    Who gets them there cannot know that. A database is left out: what is in doubt there belongs to its sequence.
    """
    return tuple(
        item
        for item in ledger.items
        if item.is_in_doubt
        and item.went is not None
        and not isinstance(item.went.receiver, FelisReceiver)
        and not item.went.is_at(upload)
        and module in ("", item.result.module)
    )


def merged(ledger: Ledger, fresh: Iterable[Result]) -> tuple[Result, ...]:
    """Give the results of a run with the names that are to count: a known one keeps its own, a new one gets a free one.

    A run that was resumed may have measured anew what was sent already; that then is another result.
    """
    known = {(item.result.module, item.result.paths): item.result for item in ledger.items}
    taken = {(item.result.module, item.result.name) for item in ledger.items if item.is_bound}
    found = [known.get((each.module, each.paths), each) for each in fresh]
    taken |= {(each.module, each.name) for each in found if known.get((each.module, each.paths)) is each}
    named = []
    for each in found:
        if known.get((each.module, each.paths)) is not each:
            name, again = each.name, 1
            while (each.module, name) in taken:
                again += 1
                name = f"{each.name}_{again}"
            each = replace(each, name=name)  # noqa: PLW2901
            taken.add((each.module, name))
        named.append(each)
    return tuple(named)
