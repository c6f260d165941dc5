"""A call with a time limit gives what it gives, raises what it raises, and is given up when it hangs."""

import os
import time

import pytest

from calseq.system.timelimit import within


def test_a_result_and_an_error_come_through():
    assert within(20.0, lambda: 7) == 7
    assert within(20.0, lambda: None) is None
    with pytest.raises(PermissionError, match="not yours"):
        within(20.0, lambda: (_ for _ in ()).throw(PermissionError("not yours")))


def test_a_call_that_hangs_is_given_up():
    reading, writing = os.pipe()
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        within(0.05, lambda: os.read(reading, 1))
    assert time.monotonic() - began < 20.0
    os.write(writing, b"x")  # it ends, and nobody waits for it
