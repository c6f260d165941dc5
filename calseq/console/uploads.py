"""The upload of a run in words: what happens to each result, how all of them stand, and what to type next."""

from collections.abc import Iterator
from functools import singledispatch

from calseq.console.alphabet import Alphabet, alphabet
from calseq.console.line import Span, sheet
from calseq.console.table import Column, table
from calseq.plaintext import printable
from calseq.upload.batch import Waiting
from calseq.upload.entries import Marked, Queued, SequenceAsked, SequenceFailed, SequenceOpened, State
from calseq.upload.ledger import Item, Ledger

_COLUMNS = (
    Column("result", worth=9),
    Column("module", worth=6),
    Column("type", worth=5),
    Column("files", worth=3, right=True),
    Column("state", worth=8),
    Column("why", worth=7, least=12),
)
_STYLES = {State.SENT: "green", State.QUEUED: "", State.SENDING: "yellow", State.UNCLEAR: "bold yellow"}
_WORDS = {State.GIVEN_UP: "not sent", State.UNCLEAR: "unclear", State.REFUSED: "refused"}


@singledispatch
def told(entry: object) -> list[str]:  # noqa: ARG001 - what is not told is as good as any other
    """Give the lines that tell of an entry of a queue as it happens."""
    return []


@told.register
def _(entry: Marked) -> list[str]:
    if entry.state in (State.SENDING, State.QUEUED) and not entry.note:
        return []
    note = f"; {entry.note}" if entry.note else ""
    if entry.state is State.SENT:
        return [printable(f"  {name}  sent{note}") for name in entry.names]
    word = _WORDS.get(entry.state, str(entry.state))
    what = f"{entry.names[0]} " if len(entry.names) == 1 else f"{len(entry.names)} results"
    why = f": {entry.reason}" if entry.reason else note
    return [printable(f"  {what} {word}{why}", 400)]


@told.register
def _(entry: SequenceOpened) -> list[str]:
    return [printable(f"  sequence {entry.sequence} for {entry.module}")]


@told.register
def _(entry: SequenceFailed) -> list[str]:
    left = "; an empty one may be left in the database" if entry.maybe else ""
    return [printable(f"  no sequence for {entry.module}: {entry.reason}{left}", 400)]


@told.register
def _(entry: SequenceAsked) -> list[str]:  # noqa: ARG001
    return []


@told.register
def _(entry: Waiting) -> list[str]:
    return [printable(f"  {entry.what} again in {entry.delay_s:g} s (Ctrl-C stops; nothing is lost)", 200)]


def headline(queued: Queued, ledger: Ledger) -> str:
    """Say what of a run is to go where."""
    simulated = "SIMULATED " if queued.simulated else ""
    count = len(ledger.items)
    results = f"{count} {simulated}result{'' if count == 1 else 's'}"
    modules = ", ".join(ledger.modules)
    sent = f", {ledger.sent} sent already" if ledger.sent else ""
    return printable(f"{queued.run}: {results} for {queued.upload.receiver.to}, {modules}{sent}", 300)


def shortly(ledger: Ledger) -> str:
    """Say in a few words how the upload of a run stands."""
    to = ledger.queued.upload.receiver.to if ledger.queued else "nowhere"
    unclear = sum(len(ledger.unclear(module)) for module in ledger.modules)
    return f"{ledger.sent} of {len(ledger.items)} sent to {to}" + (f", {unclear} unclear" if unclear else "")


def gaps(queued: Queued) -> Iterator[str]:
    """Say what of a run cannot be sent: results that are there, and steps that left none."""
    for gap in queued.gaps:
        word = "cannot be sent" if gap.measured else "has no result"
        yield printable(f"  {gap.what} {word}: {gap.why}", 400)


def ending(queued: Queued, ledger: Ledger, command: str) -> Iterator[str]:
    """Say how a run's upload stands, and what to type next; `command` is `calseq upload RUN`."""
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
    if any(ledger.waiting(module) for module in ledger.modules):
        yield printable(f"  what is left: {command}")


def queue_text(ledger: Ledger, width: int, *, color: bool, ascii: bool) -> str:  # noqa: A002
    """Give a line per result."""
    letters = alphabet(ascii=ascii)
    return sheet(table(_COLUMNS, [_row(item, letters) for item in ledger.items], width, letters), color=color)


def _row(item: Item, letters: Alphabet) -> tuple[Span, ...]:
    result = item.result
    state = f"{item.state}?" if item.is_in_doubt and item.state is not State.UNCLEAR else str(item.state)
    return (
        Span(letters.text(result.name)),
        Span(letters.text(result.module)),
        Span(result.type),
        Span(str(len(result.files))),
        Span(state, _STYLES.get(item.state, "bold red")),
        Span(letters.text(item.reason or item.note)),
    )
