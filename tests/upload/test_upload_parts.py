"""The small parts: secrets taken out of streams, patience, what an answer means, which result a form carries."""

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panthera import LOGIN, PROXY

from calseq.upload.backoff import LONGEST_S, Patience
from calseq.upload.post import Answer, judged, page_text
from calseq.upload.redact import Scrubber
from calseq.upload.relay import file_parts

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


SECRETS = st.text(
    st.one_of(st.sampled_from("'\"\\\\&<>%/é€ +\n"), st.characters(exclude_categories=["Cs"])),
    min_size=4,
    max_size=12,
)


def forms(secret, user):
    """Give a secret as programs print it, alone and with other things around it."""
    raw = secret.encode()
    yield raw
    for coding in ("latin-1", "cp1252"):
        try:
            yield secret.encode(coding)
            yield repr(secret.encode(coding))[2:-1].encode()
        except UnicodeEncodeError:
            pass
    yield secret.encode("unicode_escape")
    for shown in (repr(secret), ascii(secret), repr(raw)):
        yield shown[shown.index(shown[-1]) + 1 : -1].encode()
    for around in ("'", '"', "'\""):  # what stands around it decides which quotes are escaped
        for show in (repr, ascii):
            outer = show(around + "|" + secret + "|" + around)
            yield outer.split("|", 1)[1].rsplit("|", 1)[0].encode()
    for each in (True, False):
        yield html.escape(secret, quote=each).encode()
        yield json.dumps(secret, ensure_ascii=each)[1:-1].encode()
    yield quote(secret).encode()
    yield quote(secret, safe="").encode()
    yield quote_plus(secret).encode()
    yield re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")).encode()
    yield base64.b64encode(raw)
    yield base64.b64encode(f"{user}:{secret}".encode())
    yield base64.urlsafe_b64encode(f"{user}:{secret}".encode())


@given(SECRETS, st.text("abc", min_size=1, max_size=5))
def test_a_secret_is_taken_out_in_every_form_in_which_programs_print_it(secret, user):
    scrubber = Scrubber([secret, f"{user}:{secret}"])
    for form in forms(secret, user):
        told = scrubber.feed(b"<" + form + b">") + scrubber.rest()
        assert form not in told or form in b"<***>", form


@given(
    st.text(min_size=6, max_size=12, alphabet=st.characters(codec="utf-8")),
    st.binary(max_size=7),
    st.binary(max_size=7),
)
def test_base64_of_anything_with_a_secret_in_it_does_not_give_the_secret_away(secret, before, behind):
    raw = secret.encode()
    if b"***" in raw or raw in b"***" or raw in before + behind:
        return
    told = Scrubber([secret]).feed(base64.b64encode(before + raw + behind) + b"\n")
    for start in range(4):  # whoever decodes what is left, at whatever place
        rest = told.replace(b"***", b"!")[start:]
        for piece in rest.split(b"!"):
            kept = piece[: len(piece) // 4 * 4].rstrip(b"=\n")
            whole = kept[: len(kept) // 4 * 4]
            assert raw not in base64.b64decode(whole)


@pytest.mark.parametrize(
    ("secret", "form"),
    [
        ('it\'s "so"', 'it\\\'s "so"'),
        ('it\'s "so"', 'it\'s \\"so\\"'),
        ("back\\'slash", "back\\\\'slash"),
        ("back\\'slash", "back\\\\\\'slash"),
        ("caf\xe9!", "caf\\xe9!"),
        ("caf\xe9!", "caf\\u00e9!"),
        ("caf\xe9!", "caf\\xc3\\xa9!"),
        ("a<b>&'c'", "a&lt;b&gt;&amp;&#x27;c&#x27;"),
        ("a<b>&'c'", "a&lt;b&gt;&amp;&#039;c&#039;"),
    ],
)
def test_a_secret_is_known_whichever_quotes_and_codes_it_was_printed_with(secret, form):
    assert Scrubber([secret]).text(f"x {form} y") == "x *** y"


def test_a_secret_is_known_in_the_bytes_of_an_older_encoding():
    assert Scrubber(["caf\xe9!"]).feed("x caf\xe9! y".encode("latin-1")) == b"x *** y"


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
        (200, b'{"status": "true"}', False, False, True),
        (200, b"<html>", False, False, True),
        (200, b"", False, False, True),
        (200, b"[" * 100_000, False, False, True),
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
    ("body", "said"),
    [
        (LOGIN, "CERN Single Sign-On"),
        (PROXY, "Access denied by the proxy of the lab & its friends"),
        (b"<html><title></title><body>\n<h1>504</h1>", "504"),
        (b"Fatal error: Allowed memory size", "Fatal error: Allowed memory size"),
        (b" \n", "an empty page"),
        (b"<br>", "<br>"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_a_page_is_told_by_its_title_or_its_first_words(body, said):
    assert " ".join(page_text(body).split()) == said


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
