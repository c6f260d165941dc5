"""A request for a run, as it was typed: enough to make its plan anew."""

from collections.abc import Iterator

from msgspec import Struct


class Selection(Struct, frozen=True):
    """Steps by name: `only` these, `skip` those, and of the rest those from `start` on and up to `until`."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    start: str = ""
    until: str = ""

    def __bool__(self) -> bool:
        """Something is chosen."""
        return bool(self.only or self.skip or self.start or self.until)

    def named(self) -> Iterator[tuple[str, str]]:
        """Give every name with the option that it was given to."""
        yield from (("--only", name) for name in self.only)
        yield from (("--skip", name) for name in self.skip)
        yield from (
            (option, name) for option, name in (("--from", self.start), ("--until", self.until)) if name
        )

    def __str__(self) -> str:
        """Give it as it was typed."""
        return " ".join(f"{option} {name}" for option, name in self.named())


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
