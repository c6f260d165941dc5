"""Whatever stands in a file: no exception, and no number that is not in the file."""

import re
from decimal import Decimal, InvalidOperation

from curve_texts import VI, csv_of, iv, rising, vi
from hypothesis import given
from hypothesis import strategies as st

from calseq.measurement.curves import IvCurve, NotUnderstood, ViCurve, read_curve
from calseq.measurement.iv import figures

GOOD = csv_of(rising())
SLDO = "Current (mA),VIN,VDDD_ROC0 (mV)\n1000,1.5,1200\n2000,1.6,1201\n3000,1.7,1202\n"


def numbers_in(text):
    """Give every number that stands in a text, with all factors that a unit may give it."""
    found = set()
    for word in re.split(r"[,;\t\n\r\"\s]+", text):
        try:
            value = Decimal(word)
        except InvalidOperation:
            continue
        found |= {float(value.scaleb(exponent)) for exponent in (3, 0, -3, -6, -9, -12)}
    return found


def text_of(content):
    for encoding in ("utf-8-sig", "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def judge(measured, content):
    assert isinstance(measured, (IvCurve, ViCurve, NotUnderstood))
    if isinstance(measured, NotUnderstood):
        assert measured.reason
        assert measured.reason.isprintable()
        return
    known = numbers_in(text_of(content))
    if isinstance(measured, IvCurve):
        values = [value for point in measured.points for value in (point.voltage_v, point.current_a)]
        figures(measured, module_type="1x2", working_v=-50, compliance_a=1e-5)
    else:
        values = [value for trace in measured.traces for point in trace.points for value in point]
    assert set(values) <= known


@given(st.binary(max_size=400))
def test_any_bytes(content):
    judge(iv(content), content)


@given(st.binary(max_size=200))
def test_any_bytes_below_a_good_heading(content):
    whole = b"Voltage (V),Current (uA)\n" + content
    judge(iv(whole), whole)


@given(st.text(alphabet='0123456789.,;\t\n\r+-eE"# naifVA()', max_size=200))
def test_what_looks_like_numbers(text):
    whole = f"Voltage (V),Current (nA)\n{text}".encode()
    judge(iv(whole), whole)


EDITS = st.one_of(
    st.just(b""),
    st.sampled_from(
        [b",", b";", b"\t", b"\n", b'"', b"#", b"\0", b"\xff", b"-", b"e", b"nan", b"inf", b"1,5", b" "]
    ),
    st.binary(max_size=4),
)


@given(st.integers(0, len(GOOD)), st.integers(0, 12), EDITS)
def test_one_edit_of_a_good_iv_curve(start, length, put):
    content = GOOD.encode()
    damaged = content[:start] + put + content[start + length :]
    judge(iv(damaged), damaged)


@given(st.integers(0, len(SLDO)), st.integers(0, 8), EDITS)
def test_one_edit_of_a_good_vi_curve(start, length, put):
    content = SLDO.encode()
    damaged = content[:start] + put + content[start + length :]
    judge(read_curve("C2HQ0.csv", damaged, VI, ()), damaged)


def test_the_good_ones_are_read():
    assert iv(GOOD) == rising()
    assert len(vi(SLDO).traces) == 2


def test_a_torn_last_line_is_never_a_shorter_number():
    """It should be noticed where it is ragged; a number cut in its digits cannot be told from a whole one."""
    for cut in range(1, 12):
        read = iv(GOOD[:-cut])
        if isinstance(read, IvCurve):
            whole = min(len(read.points), len(rising().points) - 1)
            assert read.points[:whole] == rising().points[:whole]
            assert len(read.points) + len(read.holes) >= len(rising().points) - 1


def test_a_hostile_length_takes_no_time():
    for cell in ("1" * 200_000 + "x", " " * 200_000 + "x", "(" * 200_000, "-" * 200_000):
        assert isinstance(iv(f"Voltage (V),Current (A)\n0,{cell}\n"), NotUnderstood)
        assert isinstance(iv(f"Voltage (V),{cell}\n0,0\n"), NotUnderstood)
    inner = " " * 200_000
    assert isinstance(iv(f"Voltage (V),Current (A)\n0,a{inner}b\n"), NotUnderstood)
    assert iv("Voltage (V),Current (A),x\n-5,-1e-7," + "0\t" * 200_000 + "x\n").points
    assert isinstance(iv(("#" + "a," * 8_000 + "\n") * 900 + "b\n"), NotUnderstood)
    assert isinstance(iv("a," * 2_000_000 + "\nb\n"), NotUnderstood)
    assert isinstance(iv("Voltage " * 1_000_000 + "\n0 1\n"), NotUnderstood)
