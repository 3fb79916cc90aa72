"""Restart markers: decoding of some rows of a JPEG file without those before them.

Every restart interval can be decoded by itself. An index of the markers is made once, by reading
the file from front to back. Rows then come from a small JPEG that is made of their intervals.
"""

from __future__ import annotations

import math
import re
import struct
from typing import BinaryIO

import numpy as np

from imgpipe.formats.jpegs import strict
from imgpipe.formats.jpegs.markers import APP14, EOI, RST0, Header, JpegError, read_header
from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = ["Index", "index_of"]

_GROUP_ROWS = 256
_GROUP_BYTES = 16 << 20  # of pixels that are decoded at once, unless they are very few rows
_GROUP_STRETCHES = 4  # half of the rows of fewer would be decoded without use
_PIECE_BYTES = 4 << 20
_END = bytes((0xFF, EOI))
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


@dataclass(frozen=True)
class Index:
    """The places in a file at which decoding can begin.

    Attributes
    ----------
    height : int
        Rows of the image.
    mcu_rows : int
        Rows of pixels of an MCU.
    stretch : int
        Rows of pixels from one place to the next.
    intervals : int
        Restart intervals from one place to the next.
    margin : int
        Rows above and below that are decoded too, because their colours have a part in the rows
        beside them.
    group_rows : int
        Rows that had better be decoded at once.
    head : bytes
        The header, without metadata.
    sof : int
        Position of the SOF marker in it.
    places : tuple of int
        Positions in the file; the last one is that of the EOI marker.
    """

    height: int
    mcu_rows: int
    stretch: int
    intervals: int
    margin: int
    group_rows: int
    head: bytes
    sof: int
    places: tuple[int, ...]

    @property
    def group_bytes(self) -> int:
        """The most bytes of the file that a group and its margins need."""
        count, last = self.group_rows // self.stretch + 2, len(self.places) - 1
        return max(
            self.places[min(at + count, last)] - place for at, place in enumerate(self.places)
        )

    def read(self, file: BinaryIO, y0: int, y1: int, *, salvage: bool = False) -> Pixels:
        """Return rows `y0` to `y1` of the open file.

        On `salvage`, all intervals that the rows have to do with are decoded to their end, so that
        their damage is noticed.

        Raises
        ------
        JpegError
            If they are damaged.
        """
        first = max(0, y0 - self.margin) // self.stretch
        top, end = first * self.stretch, min(self.height, y1 + self.margin)
        step = self.stretch if salvage else self.mcu_rows
        bottom = min(self.height, -(-end // step) * step)
        coded = self._coded(file, first, bottom - top)
        head = bytearray(self.head)
        head[self.sof + 5 : self.sof + 7] = struct.pack(">H", bottom - top)
        goes_on = bottom < self.height and bottom % self.stretch != 0  # the last interval
        pixels = strict.decode(b"".join((head, coded, _END)), surplus=goes_on)
        return pixels[y0 - top : y1 - top]

    def _coded(self, file: BinaryIO, first: int, rows: int) -> bytes:
        """Return the intervals of some rows, with restart markers that are counted from 0."""
        last = min(first + -(-rows // self.stretch), len(self.places) - 1)
        begin, end = self.places[first], self.places[last]
        file.seek(begin)
        coded = bytearray(file.read(end - begin))
        if len(coded) < end - begin:
            raise JpegError("its pixels end too early")
        padded = -(-rows // self.mcu_rows) * self.mcu_rows
        count = -(-padded * self.intervals // self.stretch)
        number, before = 0, first * self.intervals
        for number, match in enumerate(_RESTART.finditer(bytes(coded)), 1):
            at = match.start() + 1
            if coded[at] != RST0 + (before + number - 1) % 8:
                raise JpegError("a restart marker is missing")
            if number == count:
                return bytes(coded[: at - 1])
            coded[at] = RST0 + (number - 1) % 8
        if (
            last < len(self.places) - 1 or number != count - 1
        ):  # it has changed since it was indexed
            raise JpegError("a restart marker is missing")
        return bytes(coded)


def index_of(file: BinaryIO) -> Index | None:
    """Return the index of an open JPEG file; None where its rows cannot be decoded apart.

    That is so if it has no restart markers, if they are too far from the beginning of a row, or if
    one of them is missing.

    Parameters
    ----------
    file : binary file
        At the SOI marker, and without a buffer.
    """
    header = read_header(file)
    rows, step = header.mcu[0], 0
    if header.at_once and header.interval:
        across = header.mcus[1]
        step = math.lcm(header.interval, across)
        rows *= step // across
    if not step or rows > _GROUP_ROWS:
        return None
    intervals = step // header.interval
    places = _places(file, header, intervals)
    if len(places) != -(-header.height // rows) + 1:
        return None
    file.seek(0)
    head, sof = _bare(file.read(header.start), header)
    same = len({each.down for each in header.components}) == 1
    group = min(_GROUP_ROWS, _GROUP_BYTES // (header.width * len(header.components)))
    group = max(group // rows, _GROUP_STRETCHES) * rows
    margin = int(not same)
    return Index(header.height, header.mcu[0], rows, intervals, margin, group, head, sof, places)


def _places(file: BinaryIO, header: Header, intervals: int) -> tuple[int, ...]:
    """Return the positions of every so many intervals, and the end; none if damaged."""
    count = -(-math.prod(header.mcus) // header.interval)
    found, done, position = [header.start], 0, header.start
    file.seek(position)
    left = b""
    while piece := file.read(_PIECE_BYTES):
        data = np.frombuffer(left + piece, np.uint8)
        at = np.flatnonzero(data[:-1] == 0xFF)
        codes = data[at + 1]
        marked = (codes != 0) & (codes != 0xFF)
        at, codes = at[marked], codes[marked]
        ends = np.flatnonzero((codes < RST0) | (codes > RST0 + 7))
        if len(ends):
            at, last = at[: ends[0]], int(at[ends[0]])
            codes, end = codes[: ends[0]], codes[ends[0]]
        numbers = done + np.arange(len(at))
        if np.any((codes - RST0) != numbers % 8):
            return ()
        chosen = (numbers + 1) % intervals == 0
        found += (position + at[chosen] + 2).tolist()
        done += len(at)
        if len(ends):
            whole = end == EOI and done == count - 1
            return (*found, position + last) if whole else ()
        position += len(data) - 1
        left = bytes(data[-1:])
    return ()


def _bare(head: bytes, header: Header) -> tuple[bytes, int]:
    """Return a header without metadata, and the position of the SOF marker in it."""
    parts, at, gone = [], 0, 0
    for each in header.marks:
        if each.marker != APP14:
            parts.append(head[at : each.position])
            at = each.end
            if each.position < header.sof.position:
                gone += each.end - each.position
    return b"".join((*parts, head[at:])), header.sof.position - gone
