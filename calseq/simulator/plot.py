"""A curve drawn into a PNG picture, without any library for it."""

import itertools
import struct
import zlib
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

_WIDTH, _HEIGHT = 480, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 36
_WHITE, _GREY, _BLACK, _BLUE = b"\xff\xff\xff", b"\xdd\xdd\xdd", b"\x00\x00\x00", b"\x1f\x4e\xb4"
_TICKS = 4

_FONT = {
    "0": (7, 5, 5, 5, 7), "1": (2, 6, 2, 2, 7), "2": (7, 1, 7, 4, 7), "3": (7, 1, 7, 1, 7),
    "4": (5, 5, 7, 1, 1), "5": (7, 4, 7, 1, 7), "6": (7, 4, 7, 5, 7), "7": (7, 1, 1, 2, 2),
    "8": (7, 5, 7, 5, 7), "9": (7, 5, 7, 1, 7), ".": (0, 0, 0, 0, 2), "-": (0, 0, 7, 0, 0),
}  # fmt: skip
"""Digits of three by five pixels, a number of three bits per row."""


class _Canvas(Struct):
    """Pixels, three bytes each."""

    pixels: bytearray = field(default_factory=lambda: bytearray(_WHITE * (_WIDTH * _HEIGHT)))

    def dot(self, x: int, y: int, colour: bytes) -> None:
        """Colour one pixel; outside the picture nothing happens."""
        if 0 <= x < _WIDTH and 0 <= y < _HEIGHT:
            at = 3 * (y * _WIDTH + x)
            self.pixels[at : at + 3] = colour

    def line(self, start: tuple[int, int], end: tuple[int, int], colour: bytes, thick: int = 1) -> None:
        """Draw a straight line."""
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for step in range(steps + 1):
            x = start[0] + round((end[0] - start[0]) * step / steps)
            y = start[1] + round((end[1] - start[1]) * step / steps)
            for extra in range(thick):
                self.dot(x, y + extra, colour)

    def number(self, value: float, x: int, y: int) -> None:
        """Write a number from `x` on, twice the size of its glyphs."""
        for place, char in enumerate(f"{value:.4g}"):
            for row, bits in enumerate(_FONT.get(char, _FONT["-"])):
                for column in range(3):
                    if bits >> (2 - column) & 1:
                        self._block(x + 8 * place + 2 * column, y + 2 * row)

    def _block(self, x: int, y: int) -> None:
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            self.dot(x + dx, y + dy, _BLACK)


def plot(xs: Sequence[float], ys: Sequence[float]) -> bytes:
    """Draw a curve with axes from zero and four ticks on each."""
    x_end, y_end = max(xs, default=0.0) or 1.0, 1.05 * max(ys, default=0.0) or 1.0
    canvas = _Canvas()
    _axes(canvas, x_end, y_end)
    points = [(_column(x / x_end), _row(y / y_end)) for x, y in zip(xs, ys, strict=True)]
    for start, end in itertools.pairwise(points):
        canvas.line(start, end, _BLUE, thick=2)
    return _png(canvas.pixels)


def _column(share: float) -> int:
    return _LEFT + round(share * (_WIDTH - _LEFT - _RIGHT))


def _row(share: float) -> int:
    return _HEIGHT - _BOTTOM - round(share * (_HEIGHT - _TOP - _BOTTOM))


def _axes(canvas: _Canvas, x_end: float, y_end: float) -> None:
    for tick in range(_TICKS + 1):
        share = tick / _TICKS
        colour = _GREY if tick else _BLACK
        canvas.line((_column(share), _row(0)), (_column(share), _row(1)), colour)
        canvas.line((_column(0), _row(share)), (_column(1), _row(share)), colour)
        canvas.number(x_end * share, _column(share) - 12, _row(0) + 10)
        canvas.number(y_end * share, 8, _row(share) - 5)


def _png(pixels: bytearray) -> bytes:
    rows = b"".join(b"\x00" + pixels[at : at + 3 * _WIDTH] for at in range(0, len(pixels), 3 * _WIDTH))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunks(rows))


def _chunks(rows: bytes) -> Iterator[bytes]:
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)
    for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        checksum = zlib.crc32(name + data)
        yield struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)
