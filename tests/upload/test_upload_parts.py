"""The small parts: secrets taken out of streams, patience, what an answer means, which result a form carries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calseq.upload.patience import LONGEST_S, Patience
from calseq.upload.post import Answer, judged
from calseq.upload.relay import file_parts
from calseq.upload.scrubbing import Scrubber

TEXT = st.text(min_size=4, max_size=12)


@given(TEXT, st.binary(max_size=30), st.binary(max_size=30), st.lists(st.integers(0, 60), max_size=5))
def test_a_secret_is_taken_out_of_a_stream_however_it_is_torn(secret, before, after, cuts):
    try:
        raw = secret.encode()
    except UnicodeEncodeError:
        return
    scrubber = Scrubber([secret])
    content = before + raw + after
    places = sorted({min(cut, len(content)) for cut in cuts})
    pieces = [content[start:end] for start, end in zip([0, *places], [*places, len(content)], strict=True)]
    told = b"".join(scrubber.feed(piece) for piece in pieces) + scrubber.rest()
    assert raw not in told or raw in b"***"


@given(st.binary(max_size=60), st.integers(0, 60))
def test_what_is_no_secret_passes_unchanged(content, cut):
    scrubber = Scrubber(["\0never there\0"])
    assert scrubber.feed(content[:cut]) + scrubber.feed(content[cut:]) + scrubber.rest() == content


@pytest.mark.parametrize("form", ['a"b&c d', 'a\\"b&c d', "a%22b%26c%20d", "a%22b%26c+d", "YSJiJmMgZA=="])
def test_a_secret_is_known_in_the_forms_in_which_programs_print_it(form):
    assert Scrubber(['a"b&c d']).text(f"x {form} y") == "x *** y"


def test_patience_grows_and_ends():
    now, waits = [0.0], []

    def pause(seconds):
        now[0] += seconds
        waits.append(seconds)

    patience = Patience(120.0, lambda: now[0], pause)
    told = []
    while patience.wait(told.append):
        pass
    assert told == waits == [1, 2, 4, 8, 16, 30, 30]
    assert max(waits) == LONGEST_S
    assert sum(waits) <= 120


def test_no_patience_is_no_wait():
    assert Patience(0.0, lambda: 5.0, lambda _: None).wait(lambda _: None) is False


@pytest.mark.parametrize(
    ("status", "body", "good", "again", "maybe"),
    [
        (200, b'{"status": true, "SequenceID": 7}', True, False, False),
        (200, b'{"status": false, "message": "no"}', False, False, False),
        (200, b'{"status": "true"}', False, True, True),
        (200, b"<html>", False, True, True),
        (200, b"", False, True, True),
        (200, b"[" * 100_000, False, True, True),
        (302, b"", False, False, False),
        (404, b"", False, False, False),
        (429, b"", False, True, True),
        (500, b'{"status": true}', False, True, True),
        (503, b"", False, True, True),
    ],
)
def test_only_http_200_with_status_true_is_good_and_doubt_is_kept(status, body, good, again, maybe):
    found = judged(Answer(status, body))
    assert (found.good, found.again, found.maybe) == (good, again, maybe)


@pytest.mark.parametrize(
    ("said", "number"), [("7", 7), ('"7"', 7), ("true", None), ('"x"', None), ("null", None)]
)
def test_the_number_of_a_sequence_is_a_number(said, number):
    assert judged(Answer(200, b'{"status": true, "SequenceID": %s}' % said.encode())).sequence == number


def test_a_form_names_the_result_that_it_carries_whatever_the_file_has_in_it():
    trap = b'\r\n--b\r\nContent-Disposition: form-data; name="02_Fake"\r\n\r\nno file\r\n--c\r\n'
    body = (
        b'--b\r\nContent-Disposition: form-data; name="userpass"\r\n\r\nx; filename="y"\r\n'
        b'--b\r\ncontent-disposition: form-data; name="00_A"; filename="a.zip"\r\nContent-Type: x/y\r\n\r\n'
        + trap
        + b"\r\n--b--\r\n"
    )
    assert file_parts("multipart/form-data; boundary=b", body) == ["00_A"]
    assert file_parts('multipart/form-data; boundary="b"', body) == ["00_A"]
    assert file_parts("text/plain", body) == []
