"""Calls with a time limit: one that hangs, as a disk or a name service may, is given up."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def within(limit_s: float, call: Callable[[], T]) -> T:
    """Result of a call that may take so long.

    A call that takes longer goes on in a thread of its own until the program ends: it must hold nothing that others need.

    Raises:
        TimeoutError: it takes longer.
        BaseException: what the call raised.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no thread is left on this machine: better without a limit than not at all
        return call()
    thread.join(limit_s)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {limit_s:g} s")
    return results[0]
