"""The upload of a run in words: what happens to each result, how all of them stand, and what to type next."""

from collections import Counter
from collections.abc import Collection, Iterator
from functools import singledispatch

from calseq.console.characters import Alphabet, alphabet
from calseq.console.line import Span, sheet
from calseq.console.table import Column, table
from calseq.problems.plaintext import printable
from calseq.record.words import counted
from calseq.upload.batch import Doing, Waiting
from calseq.upload.entries import Marked, Queued, SequenceAsked, SequenceFailed, SequenceOpened, State
from calseq.upload.ledger import Item, Ledger
from calseq.upload.results import Result

_COLUMNS = (
    Column("result", worth=9),
    Column("module", worth=6),
    Column("type", worth=5),
    Column("files", worth=3, right=True),
    Column("state", worth=8),
    Column("remark", worth=7, least=12),
)
PERHAPS = "perhaps sent"
NOT_QUEUED = "not queued"
WORDS = {
    State.QUEUED: "queued",
    State.SENDING: "being sent",
    State.SENT: "sent",
    State.REFUSED: "refused",
    State.GIVEN_UP: "not sent",
    State.UNCLEAR: "unclear",
}
"""What a person reads of a state; `PERHAPS` where nobody said whether it arrived, `NOT_QUEUED` before it is in the queue.

docs/upload.md explains each.
"""

_STYLES = {
    "sent": "green",
    "queued": "",
    NOT_QUEUED: "",
    "being sent": "yellow",
    PERHAPS: "yellow",
    "unclear": "bold yellow",
}


@singledispatch
def told(entry: object) -> list[str]:  # noqa: ARG001 - what is not told is as good as any other
    """Give the lines that tell of an entry of a queue as it happens."""
    return []


@told.register
def _(entry: Marked) -> list[str]:
    if entry.state is State.QUEUED and not entry.note:
        return []
    note = f"; {entry.note}" if entry.note else ""
    if entry.state is State.SENT:
        return [printable(f"  {name}  sent{note}") for name in entry.names]
    word = WORDS[entry.state]
    if entry.maybe and entry.state is not State.UNCLEAR:
        word = PERHAPS
    what = f"{entry.names[0]} " if len(entry.names) == 1 else f"{len(entry.names)} results"
    why = f": {entry.reason}" if entry.reason else note
    return [printable(f"  {what} {word}{why}", 600)]


@told.register
def _(entry: SequenceOpened) -> list[str]:
    return [printable(f"  sequence {entry.sequence} for {entry.module}")]


@told.register
def _(entry: SequenceFailed) -> list[str]:
    left = "; an empty one may be left in the database" if entry.maybe else ""
    return [printable(f"  no sequence for {entry.module}: {entry.reason}{left}", 400)]


@told.register
def _(entry: SequenceAsked) -> list[str]:
    return [printable(f"  a sequence for {entry.module} is asked for")]


@told.register
def _(entry: Doing) -> list[str]:
    return [printable(f"  {entry.what}", 200)]


@told.register
def _(entry: Waiting) -> list[str]:
    return [printable(f"  {entry.what} again in {entry.delay_s:g} s (Ctrl-C stops; nothing is lost)", 200)]


def headline(queued: Queued, ledger: Ledger, said: str = "") -> str:
    """Say what of a run is to go where, and by whose word; where all has arrived, where that is."""
    simulated = "SIMULATED " if queued.simulated else ""
    count = len(ledger.items)
    results = counted(count, f"{simulated}result") + ", IN PART," * queued.in_part
    modules = ", ".join(ledger.modules)
    where = queued.upload.destination
    arrived = Counter(item.went.destination for item in ledger.items if item.is_sent and item.went)
    if count and ledger.is_done:
        return printable(f"{queued.run}: {results}, {modules}, sent to {' and '.join(arrived)}", 800)
    sent = f", {ledger.sent} sent already" if ledger.sent else ""
    if sent and set(arrived) != {where}:
        sent = "".join(f", {number} sent to {place}" for place, number in arrived.items())
    by = f" ({said})" if said else ""
    return printable(f"{queued.run}: {results} for {where}, {modules}{sent}{by}", 800)


def whereabouts(ledger: Ledger) -> Iterator[str]:
    """Say where results have arrived, or may have, those of one place together."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for item in ledger.items:
        if item.went and item.is_bound:
            word = "sent to" if item.is_sent else "perhaps sent to"
            grouped.setdefault((word, item.went.destination), []).append(item.result.name)
    for (word, place), names in grouped.items():
        yield printable(f"  {', '.join(names)}  {word} {place}", 1000)


def shortly(ledger: Ledger) -> str:
    """State of a run's upload in a few words."""
    to = ledger.queued.upload.receiver.to if ledger.queued else "nowhere"
    unclear = sum(len(ledger.unclear(module)) for module in ledger.modules)
    return f"{ledger.sent} of {len(ledger.items)} sent to {to}" + (f", {unclear} unclear" if unclear else "")


def gaps(queued: Queued) -> Iterator[str]:
    """Say what of a run cannot be sent: results that are there, and steps that left none."""
    for gap in queued.gaps:
        word = "cannot be sent" if gap.measured else "has no result"
        yield printable(f"  {gap.what} {word}: {gap.why}", 400)


def reasons(ledger: Ledger, *, at_work: bool = False) -> Iterator[str]:
    """Say why results are not sent, those of one reason together."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for item in ledger.items:
        if item.reason and not item.is_sent:
            words = state_words(item, at_work=at_work)
            grouped.setdefault((words, item.reason), []).append(item.result.name)
    for (words, reason), names in grouped.items():
        yield printable(f"  {', '.join(names)}  {words}: {reason}", 1000)


def ending(queued: Queued, ledger: Ledger, command: str, log: str = "") -> Iterator[str]:
    """Say how a run's upload stands, and what to type next.

    `command` is `calseq upload RUN`, `log` the file of what the receiver's side printed, if there is one.
    """
    total, sent = len(ledger.items), ledger.sent
    if not total:
        yield "  nothing to send"
    elif sent == total:
        yield f"  all {total} sent"
    else:
        yield f"  {sent} of {total} sent"
    for module in ledger.modules:
        empty = ledger.sequence(module).maybe_empty + ledger.sequence(module).is_open
        if empty:
            some = "an empty sequence" if empty == 1 else f"{empty} empty sequences"
            yield printable(f"  {some} of {module} may be left in the database")
        unclear = ledger.unclear(module)
        if unclear:
            yield printable(
                f"  look in Panthera for '{queued.title}' of {module}: are all {len(unclear)} there? "
                f"then {command} --arrived; else {command} --again"
            )
    if log and any(item.reason and not item.is_sent for item in ledger.items):
        yield printable(f"  what was printed: {log}")
    if any(ledger.waiting(module) for module in ledger.modules):
        yield printable(f"  what is left: {command}")


def state_words(item: Item, *, at_work: bool, queued: bool = True) -> str:
    """Say how a result stands; `at_work`: somebody works on the queue right now. `queued`: it is in the queue."""
    if not queued:
        return NOT_QUEUED
    if item.state is State.SENDING and at_work:
        return WORDS[State.SENDING]
    if item.is_in_doubt and item.state is not State.UNCLEAR:
        return PERHAPS
    return WORDS[item.state]


def queue_text(
    ledger: Ledger,
    width: int,
    *,
    color: bool,
    ascii: bool,  # noqa: A002
    at_work: bool = False,
    fresh: Collection[Result] = (),
) -> str:
    """Give a line per result; `fresh` ones are not in the queue yet."""
    letters = alphabet(ascii=ascii)
    rows = [
        _row(item, state_words(item, at_work=at_work, queued=item.result not in fresh), letters)
        for item in ledger.items
    ]
    return sheet(table(_COLUMNS, rows, width, letters), color=color)


def _row(item: Item, state: str, letters: Alphabet) -> tuple[Span, ...]:
    result = item.result
    return (
        Span(letters.text(result.name)),
        Span(letters.text(result.module)),
        Span(result.type),
        Span(str(len(result.files))),
        Span(state, _STYLES.get(state, "bold red")),
        Span(letters.text(item.note)),
    )
