"""Encoding of pixels as JPEG data: at once, or as rows of MCUs that are joined to one file.

Each unit is coded with the same tables as a restart interval of its own. The joined file has the
header of the whole image and decodes to the same pixels as the file of a serial encoder.
"""

from __future__ import annotations

import functools
import io
import struct
from typing import Literal

import numpy as np

from imgpipe.formats.jpegs.markers import (
    APP0,
    APP14,
    COM,
    DHT,
    DQT,
    DRI,
    EOI,
    RST0,
    SOI,
    Header,
    head_bytes,
    segment,
    segments,
)
from imgpipe.formats.jpegs.strict import decode_header
from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = ["END", "UNIT_ROWS", "Recipe", "Subsampling", "restart", "split"]

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]

UNIT_ROWS = 32
"""Rows of a restart interval: two rows of MCUs of 4:2:0, four of 4:4:4."""

END = bytes((0xFF, EOI))

_MCU_COLUMNS = {"4:4:4": 8, "4:2:2": 16, "4:2:0": 16}
_MCU_ROWS = {"4:4:4": 8, "4:2:2": 8, "4:2:0": 16}
_FULL, _CHROMA = {1: 1, 3: 1, 4: 2}, {1: 0, 3: 2, 4: 2}  # channels that are never subsampled
# Bytes that a sample can become, by quality: the energy of a block allows 0.91, 1.25, 1.55, 2.25,
# and a byte of ones is followed by a zero.
_WORST = ((75, 1.05), (90, 1.5), (95, 1.9), (100, 2.9))
_SLACK_BYTES = 2048


@dataclass(frozen=True)
class Recipe:
    """A way to code pixels of 8 bits.

    Attributes
    ----------
    channels : int
        1 for gray, 3 for RGB, 4 for CMYK.
    quality : int
        From 1 to 100, as libjpeg counts.
    subsampling : str
        ``4:4:4``, ``4:2:2`` or ``4:2:0``; gray is never subsampled.
    """

    channels: int
    quality: int
    subsampling: Subsampling = "4:2:0"

    @property
    def mcu(self) -> tuple[int, int]:
        """Rows and columns of an MCU."""
        if self.channels == 1:
            return 8, 8
        return _MCU_ROWS[self.subsampling], _MCU_COLUMNS[self.subsampling]

    def encode(self, pixels: Pixels) -> bytes:
        """Return pixels, shape (rows, columns, channels), as JPEG data from SOI to EOI.

        CMYK is coded as it is given, in either polarity.
        """
        held = np.ascontiguousarray(pixels)
        if self.channels == 4:  # imagecodecs chooses the subsampling of CMYK itself
            from simplejpeg import encode_jpeg  # noqa: PLC0415 - only where CMYK is written

            ratio = self.subsampling.replace(":", "")
            return bytes(encode_jpeg(held, self.quality, "CMYK", ratio))
        from imagecodecs import jpeg8_encode  # noqa: PLC0415 - only where JPEG is written

        if self.channels == 1:
            return bytes(jpeg8_encode(held[:, :, 0], self.quality))
        ratio = self.subsampling.replace(":", "")
        return bytes(jpeg8_encode(held, self.quality, subsampling=ratio))

    def coded(self, pixels: Pixels) -> memoryview:
        """Return pixels as entropy-coded bytes, without header and EOI."""
        return memoryview(self.encode(pixels))[self._sample[1].start : -2]

    def head(self, height: int, width: int, marks: bytes = b"", interval: int = 0) -> bytes:
        """Return the bytes before the first coded byte of an image.

        Parameters
        ----------
        height, width : int
            Pixels of the image.
        marks : bytes
            Segments after the SOI marker.
        interval : int
            MCUs of a restart interval; 0 for none.
        """
        data, header = self._sample
        sof = bytearray(segment(header.sof.marker, header.sof.content))
        sof[5:9] = struct.pack(">HH", height, width)
        first = next(each for each in header.marks if each.marker < COM)
        tables = data[first.end : header.sof.position]
        own = data[first.position : first.end] if first.marker == APP14 else b""
        after = data[header.sof.end : header.start]
        scan = after.rindex(b"\xff\xda")
        intervals = segment(DRI, struct.pack(">H", interval)) if interval else b""
        return b"".join(
            (bytes((0xFF, SOI)), marks, own, tables, sof, after[:scan], intervals, after[scan:])
        )

    def bound(self, rows: int, columns: int) -> int:
        """Return the most bytes that pixels can become."""
        high, wide = self.mcu
        area = -(-rows // high) * high * -(-columns // wide) * wide
        chroma = 64 * _CHROMA[self.channels] / (high * wide)
        worst = next(each for most, each in _WORST if self.quality <= most)
        return int(area * (_FULL[self.channels] + chroma) * worst) + _SLACK_BYTES

    @functools.cached_property
    def _sample(self) -> tuple[bytes, Header]:
        """A small file of these tables, and its header."""
        data = self.encode(np.zeros((*self.mcu, self.channels), np.uint8))
        return data, decode_header(data)


def restart(number: int) -> bytes:
    """Return the restart marker after interval `number`, counted from 0."""
    return bytes((0xFF, RST0 + number % 8))


def split(data: bytes) -> tuple[bytes, bytes]:
    """Return the tables of JPEG data, and the data without them and without APPn segments."""
    size = head_bytes(data)
    tables, kept = _split(data[:size])
    return tables, b"".join((kept, memoryview(data)[size:]))


@functools.lru_cache(maxsize=64)
def _split(head: bytes) -> tuple[bytes, bytes]:
    tables, kept = [], []
    for each in segments(io.BytesIO(head)):
        if each.marker in (DQT, DHT):
            tables.append(segment(each.marker, each.content))
        elif each.marker < APP0 or each.marker == APP14:
            kept.append(segment(each.marker, each.content))
    start = bytes((0xFF, SOI))
    return b"".join((start, *tables, END)), b"".join((start, *kept))
