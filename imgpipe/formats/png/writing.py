"""PNG files as sinks of pixels: strips encoded by every worker, joined in order.

Each strip of rows is filtered and deflated on its own and ends on a byte boundary, so that
the strips joined are one deflate stream; every strip is an IDAT chunk.

Cost and gain of each compression on 8-bit RGB photographs, one core: time and size relative to the
default of Pillow (400 ms per megapixel on the measured machine). "Blurred" is by a
Gaussian of sigma 2, "narrow" the window of two bytes that `deflate` explains.

=============  =====================================  =====  ===========  =======
compression    rows are filtered, and deflated by     time   blurred      sharp
=============  =====================================  =====  ===========  =======
0              not at all                             0.004  3.42         2.10
1              Up, ISA-L                              0.02   1.18         1.13
2 (default)    Paeth or Average, ISA-L, narrow        0.03   1.03         0.99
3              the best of five per row, the same     0.05   1.03         0.99
4, 5           the same, or zlib 4, 5                 0.4    1.03         0.99
6              the same, or zlib 6                    0.8    1.00         0.99
7              the same, or zlib 7                    1      0.99         0.98
8              the same, or zlib 8                    2.4    0.96         0.98
9              the same, or zlib 9                    3.5    0.95         0.98
=============  =====================================  =====  ===========  =======

Drawings and screenshots are not photographs: they are deflated with the window of 32 KB, often
unfiltered, and it is 4 and more that make them a tenth to a quarter smaller.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

import numpy as np
from isal import isal_zlib

from imgpipe.formats import deflate
from imgpipe.formats.base import Data, Facts
from imgpipe.formats.compression import Compression, Method, one_of
from imgpipe.formats.png.chunks import MAX_CHUNK, SIGNATURE, chunk
from imgpipe.formats.png.metadata import metadata_chunks
from imgpipe.formats.png.rowfilters import (
    AVERAGE,
    NONE,
    PAETH,
    UP,
    choose_kinds,
    filter_rows,
)
from imgpipe.formats.target import Target
from imgpipe.image import Colour, ImageInfo, Pixels
from imgpipe.records import dataclass
from imgpipe.workspace import Workspace

__all__ = ["DEFAULT_COMPRESSION", "PngEncoder", "PngSink", "Wanted", "head_of", "open_sink"]

_space = Workspace()

Recipe = tuple[int, deflate.Deflate]

DEFAULT_COMPRESSION = Compression("deflate", 2)
Wanted = Annotated[
    Compression,
    one_of(Method("deflate", 0, 9, usual=2), Method("none")),
    "deflate:0 (fast, large file) to deflate:9 (slow, small file), or 0 to 9 for short.",
]
ADAPTIVE = -1

_UNIT_BYTES = 8 * deflate.PIECE  # of the rows of a strip: changing it changes the bytes of files
_THOROUGH = 4  # from this compression on, two methods are tried on everything
_DRAWING = 6  # an image that shrinks by this factor is no photograph
_FEW_BYTES, _FEW_DRAWING = 16 << 10, 3  # of a strip: a choice by samples takes as long as a trial
_SAMPLE_ROWS = 8
_PATCH_PIXELS = 200
_PATCHES = ((1, 3), (3, 7), (5, 1), (7, 5))  # where, in eighths
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def open_sink(
    target: Target, info: ImageInfo, *, compression: Wanted = DEFAULT_COMPRESSION
) -> PngSink:
    """Begin a PNG file.

    Parameters
    ----------
    target : Target
        Target of the file.
    info : ImageInfo
        The image: 8 or 16 bits, one to four channels, where two are gray
        and alpha and four are RGB and alpha.
    compression : Compression
        Deflate, from 0, none, to 9, smallest and slowest.

    Returns
    -------
    PngSink
        To be fed from top to bottom.
    """
    return PngSink(target, info, compression.effort or 0)


@dataclass(frozen=True)
class PngEncoder:
    """Encoder of a strip of rows, in a worker.

    Attributes
    ----------
    row_bytes : int
        Bytes of one row.
    pixel_bytes : int
        Bytes of one pixel.
    compression : int
        0 to 9.
    """

    row_bytes: int
    pixel_bytes: int
    compression: int
    context_rows: int = 1

    @property
    def work_bytes(self) -> int:
        """Memory of the filtered rows of a strip, and of the results of a second method."""
        return (1 + (self.compression >= _THOROUGH)) * max(_UNIT_BYTES, 1 + self.row_bytes)

    def bound(self, rows: int) -> int:
        """Return the most bytes that `rows` rows can become: as many as if stored."""
        return deflate.stored_size(rows * (1 + self.row_bytes))

    def encode(self, unit: Pixels, above: Pixels | None) -> tuple[Data, Facts]:
        """Return a strip filtered and deflated, and its CRC-32, Adler-32 and size before.

        Parameters
        ----------
        unit : ndarray, shape (rows, width, channels)
            The pixels of the strip.
        above : ndarray, shape (1, width, channels), or None
            The row above it, None at the top of the image.
        """
        rows = unit.reshape(len(unit), -1)
        upper = np.zeros_like(rows[0]) if above is None else above[-1].reshape(-1)
        size = len(rows) * (1 + self.row_bytes)
        few = size <= _FEW_BYTES and self.compression == 2
        chosen, others = self._split(self._methods()) if few else self._choose(rows)
        results = [self._encode(method, rows, upper) for method in chosen]
        if min(len(data) for data, _ in results) * (_FEW_DRAWING if few else _DRAWING) < size:
            # A drawing or a screenshot: to try is quick, and a few rows tell too little.
            results += [self._encode(method, rows, upper) for method in others]
        data, adler = min(results, key=lambda result: len(result[0]))
        if len(data) > self.bound(len(rows)):
            data, adler = self._encode((NONE, deflate.stored), rows, upper)
        crc = isal_zlib.crc32(data, isal_zlib.crc32(b"IDAT"))
        return data, (crc, adler, size)

    def _encode(self, method: Recipe, rows: Pixels, above: Pixels) -> tuple[bytes, int]:
        kind, deflater = method
        room = _filtered(kind, rows, above, self.pixel_bytes)
        adler = isal_zlib.adler32(room[deflate.ROOM :])
        if deflater is deflate.by_isal_narrow:
            return b"".join(deflate.narrow_in_place(room)), adler
        return b"".join(deflater(room[deflate.ROOM :])), adler

    def _choose(self, rows: Pixels) -> tuple[list[Recipe], list[Recipe]]:
        """Return the methods that do best on a few rows, and the others."""
        contenders = self._methods()
        if self.compression == 2 and rows.itemsize == 2:
            contenders.append((PAETH, deflate.by_isal))  # for values of 8 bits: both bytes repeat
        if self.compression > 1:
            sample = _sample(rows, self.pixel_bytes // rows.itemsize)
            contenders.sort(key=lambda method: self._tried(method, sample[1:], sample[0]))
        return self._split(contenders)

    def _split(self, contenders: list[Recipe]) -> tuple[list[Recipe], list[Recipe]]:
        chosen = contenders[: 1 if self.compression < _THOROUGH else 2]
        return chosen, [method for method in self._methods() if method not in chosen]

    def _tried(self, method: Recipe, rows: Pixels, above: Pixels) -> int:
        """Return about how many bytes a method makes of rows."""
        kind, deflater = method
        filtered = _filtered(kind, rows, above, self.pixel_bytes)[deflate.ROOM :]
        if deflater is deflate.by_isal_narrow:
            return deflate.narrow_size(filtered)
        return sum(map(len, deflater(filtered)))

    def _methods(self) -> list[Recipe]:
        narrow, wide = deflate.by_isal_narrow, deflate.by_isal
        match self.compression:
            case 0:
                return [(NONE, deflate.stored)]
            case 1:
                return [(UP, wide), (NONE, wide)]
            case 2:
                return [(PAETH, narrow), (AVERAGE, narrow), (NONE, wide)]
            case 3:
                return [(ADAPTIVE, narrow), (ADAPTIVE, wide), (NONE, wide)]
            case level:
                for_noise = deflate.by_zlib(level, zlib.Z_FILTERED)
                return [(ADAPTIVE, narrow), (ADAPTIVE, for_noise), (NONE, deflate.by_zlib(level))]


def _sample(rows: Pixels, channels: int) -> Pixels:
    """Return a few rows, and the one above them, of patches from all over, side by side."""
    count = min(len(rows), 1 + _SAMPLE_ROWS)
    width = min(rows.shape[1], _PATCH_PIXELS * channels)
    last_y, last_x = len(rows) - count, (rows.shape[1] - width) // channels
    patches = []
    for down, across in _PATCHES:
        y, x = last_y * down // 8, last_x * across // 8 * channels
        patches.append(rows[y : y + count, x : x + width])
    sample = np.concatenate(patches, axis=1)
    return sample if count > 1 else np.concatenate([np.zeros_like(sample), sample])


def _filtered(kind: int, rows: Pixels, above: Pixels, pixel: int) -> memoryview:
    """Return filtered rows, after `deflate.ROOM` bytes."""
    line = 1 + rows.shape[1] * rows.itemsize
    room = _space.array("filtered", np.uint8, deflate.ROOM + len(rows) * line)
    if kind == ADAPTIVE:
        kinds = choose_kinds(rows, above, pixel)
    else:
        kinds = np.full(len(rows), kind, np.uint8)
    filter_rows(rows, above, pixel, kinds, room[deflate.ROOM :].reshape(len(rows), line))
    return room.data


class PngSink:
    """A PNG file under construction; see `open_sink`."""

    kind: ClassVar[Literal["ordered"]] = "ordered"

    def __init__(self, target: Target, info: ImageInfo, compression: int) -> None:
        self.info = info
        self.unit = max(1, _UNIT_BYTES // (1 + info.row_bytes)), 0
        pixel_bytes = info.channels * info.dtype.itemsize
        self.encoder = PngEncoder(info.row_bytes, pixel_bytes, compression)
        self._missing = info.height * (1 + info.row_bytes)
        self._adler = 1
        self._target = target
        self._begun = False

    def begin(self) -> bytes:
        """Return the bytes before the strips."""
        return head_of(self.info) + chunk(b"IDAT", deflate.ZLIB_HEADER)

    def append(self, data: Data, facts: Facts) -> None:
        """Append the next strip."""
        crc, _, _ = facts
        if len(data) <= MAX_CHUNK:
            head = () if self._begun else (self.begin(),)
            self._begun = True
            self._target.write(
                *head, struct.pack(">I4s", len(data), b"IDAT"), data, struct.pack(">I", crc)
            )
        else:
            self.write_head()
            for start in range(0, len(data), MAX_CHUNK):
                self._target.write(chunk(b"IDAT", data[start : start + MAX_CHUNK]))
        self.count(facts)

    def write_head(self) -> None:
        """Write the bytes before the strips, once."""
        if not self._begun:  # not before there is something to follow: a pipe waits for its reader
            self._begun = True
            self._target.write(self.begin())

    def count(self, facts: Facts) -> None:
        """Take note of a strip that is written."""
        _, adler, size = facts
        self._adler = deflate.adler32_combine(self._adler, adler, size)
        self._missing -= size

    def end(self) -> bytes:
        """Return the end of the compressed data."""
        if self._missing:
            self.abort()
            raise RuntimeError(f"{self._missing} bytes of rows are missing, or too many if below 0")
        return deflate.LAST_BLOCK + struct.pack(">I", self._adler)

    def commit(self) -> int:
        """Publish the finished file and return its size in bytes."""
        self._target.write(chunk(b"IDAT", self.end()) + chunk(b"IEND", b""))
        return self._target.commit()

    def abort(self) -> None:
        """Leave nothing behind. Safe to call at any time, and twice."""
        self._target.abort()


def head_of(info: ImageInfo) -> bytes:
    """Return the bytes before the pixel data of an image."""
    depth, colour_type = 8 * info.dtype.itemsize, _COLOUR_TYPES[info.channels]
    header = struct.pack(">IIBBBBB", info.width, info.height, depth, colour_type, 0, 0, 0)
    colour: Colour = "rgb" if info.channels > 2 else "gray"
    chunks: Iterable[tuple[bytes, bytes]] = [
        (b"IHDR", header),
        *metadata_chunks(info.metadata, colour),
    ]
    return SIGNATURE + b"".join(chunk(kind, content) for kind, content in chunks)
