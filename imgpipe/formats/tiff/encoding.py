"""Encoding of tiles and strips: padded, predicted and compressed by the workers.

Cost and gain of each compression on tiles of an 8-bit RGB photograph, 256 pixels on a side, with
the difference of neighbours, one core (``python benchmarks/bench_tiff.py``):

=====================  ==============================================  =========  ============
compression            codec                                           ms/MP      size of raw
=====================  ==============================================  =========  ============
deflate:0              none: stored                                    1.2        1.000
deflate:1, the usual   ISA-L, a window of 4 KB                         8.8        0.594
deflate:2 and 3        that or one of two bytes, the smaller result    16         0.586
deflate:4, 6, 9        libdeflate, or the window of two bytes          40 … 124   0.583 … 0.576
zstd:1, 3, 9           zstd                                            9 … 76     0.584 … 0.574
lzw                    LZW                                             30         0.651
=====================  ==============================================  =========  ============

Residuals of a photograph are noise, which a window of two bytes makes smaller, see
`imgpipe.formats.deflate`; if they are blurred, the rows above tell something. A window of 4 KB is
within 2 % of the better one of both. Drawings get one of 32 KB too.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from isal import isal_zlib

from imgpipe.formats import deflate
from imgpipe.formats.base import Data, Facts
from imgpipe.formats.compression import Compression
from imgpipe.formats.jpegs.encoding import Recipe, split
from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = ["SegmentEncoder", "padded", "predicted"]

Padding = Literal["constant", "edge"]

_DRAWING = 6  # an image that shrinks by this factor is no photograph
_STREAM_BYTES = 16  # around the blocks of a stream
_LIBDEFLATE = 4  # the least effort that tries it


@dataclass(frozen=True)
class SegmentEncoder:
    """Encoder of tiles or strips.

    Attributes
    ----------
    shape : (int, int, int)
        Rows, columns and channels of a tile, or of the largest strip.
    across : int
        Tiles side by side; 0 for strips, which are not padded.
    dtype : numpy.dtype
        Type of the pixels.
    predictor : int
        1 for none, 2 for the difference of neighbours, 3 for that of the bytes of floats.
    compression : Compression
        The method, and its effort.
    recipe : Recipe or None
        The coding of JPEG.
    """

    shape: tuple[int, int, int]
    across: int
    dtype: np.dtype[Any]
    predictor: int
    compression: Compression
    recipe: Recipe | None = None
    context_rows: int = 0

    @property
    def outside_python(self) -> bool:
        """Return whether it hardly holds the interpreter's lock: JPEG, or raw pixels."""
        return self.recipe is not None or self.compression.method == "none"

    @property
    def work_bytes(self) -> int:
        """Memory beside the unit and its bytes: the padded and predicted copies, and the codec."""
        return 3 * self._bytes(self.shape[0]) + (1 << 20)

    def bound(self, rows: int) -> int:
        """Return the most bytes that `rows` whole rows can become."""
        if not self.across:
            return self._bound(rows)
        return -(-rows // self.shape[0]) * self.across * self._bound(self.shape[0])

    def encode(self, unit: Pixels, above: Pixels | None) -> tuple[Data, Facts]:
        """Return a tile or a strip as it is stored."""
        whole = unit
        if self.across:
            mode: Padding = "constant" if self.compression.method == "none" else "edge"
            whole = padded(unit, self.shape, mode)
        if self.recipe is not None:
            return split(self.recipe.encode(whole))[1], ()  # all have the same tables
        samples = predicted(whole, self.predictor)
        return _METHODS[self.compression.method](samples, self.compression.effort), ()

    @property
    def jpeg_tables(self) -> bytes:
        """The tables that all JPEG data needs."""
        assert self.recipe is not None
        return split(self.recipe.encode(np.zeros((*self.recipe.mcu, self.shape[2]), np.uint8)))[0]

    def _bytes(self, rows: int) -> int:
        return rows * self.shape[1] * self.shape[2] * self.dtype.itemsize

    def _bound(self, rows: int) -> int:
        """Return the most bytes that a segment of so many rows can become."""
        size = self._bytes(rows)
        if self.recipe is not None:
            return self.recipe.bound(rows, self.shape[1])
        match self.compression.method:
            case "deflate":
                return deflate.stored_size(size) + _STREAM_BYTES
            case "lzw":
                return size * 25 // 16 + 64  # a code of at most 12 bits for every byte
            case "zstd":
                return size + (size >> 8) + 128
            case _:
                return size


def padded(unit: Pixels, shape: tuple[int, int, int], mode: Padding) -> Pixels:
    """Return a tile that is clipped at the edges of the image in full: with zeros, or repeated."""
    if unit.shape == shape:
        return unit
    rows, columns = shape[0] - unit.shape[0], shape[1] - unit.shape[1]
    return np.pad(unit, ((0, rows), (0, columns), (0, 0)), mode=mode)


def predicted(pixels: Pixels, predictor: int) -> Pixels:
    """Return the little-endian samples of a segment as its compression gets them."""
    little = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    if predictor == 2:
        made, step = np.empty_like(little), little.shape[2]
        flat = little.reshape(-1)  # in one go, although rows have nothing to do with each other
        np.subtract(flat[step:], flat[:-step], out=made.reshape(-1)[step:])
        made[:, 0] = little[:, 0]
        return made
    if predictor == 3:
        from imagecodecs import floatpred_encode  # noqa: PLC0415 - only for floats

        return np.asarray(floatpred_encode(little, axis=-2))
    return little


def _deflated(samples: Pixels, effort: int | None) -> bytes:
    data = _bytes_of(samples)
    made = min((way(data) for way in _ways(effort or 0)), key=len)
    if effort and len(made) * _DRAWING < len(data):  # to try is quick
        made = min(made, _stream(deflate.by_isal, data), key=len)
    return made


def _ways(effort: int) -> Sequence[Callable[[memoryview], bytes]]:
    """Return the ways to make a zlib stream."""
    if effort == 0:
        return [partial(_stream, deflate.stored)]
    near, narrow = (partial(_stream, way) for way in (deflate.by_isal_near, deflate.by_isal_narrow))
    if effort < _LIBDEFLATE:
        return [near, narrow][: min(effort, 2)]
    from imagecodecs import deflate_encode  # noqa: PLC0415 - only for this

    def by_libdeflate(data: memoryview) -> bytes:
        return bytes(deflate_encode(data, effort))  # type: ignore[arg-type] # any buffer will do

    return [narrow, by_libdeflate]


def _stream(way: deflate.Deflate, data: memoryview) -> bytes:
    """Return `data` as a zlib stream, at most as large as if stored."""
    blocks = way(data)
    if sum(map(len, blocks)) > deflate.stored_size(len(data)):
        blocks = deflate.stored(data)
    end = struct.pack(">I", isal_zlib.adler32(data))
    return b"".join((deflate.ZLIB_HEADER, *blocks, deflate.LAST_BLOCK, end))


def _zstandard(samples: Pixels, effort: int | None) -> bytes:
    from imagecodecs import zstd_encode  # noqa: PLC0415 - only for this

    return bytes(zstd_encode(_bytes_of(samples), effort))  # type: ignore[arg-type] # any buffer will do


def _lzw(samples: Pixels, effort: int | None) -> bytes:
    from imagecodecs import lzw_encode  # noqa: PLC0415 - only for this

    return bytes(lzw_encode(_bytes_of(samples)))  # type: ignore[arg-type] # any buffer will do


def _stored(samples: Pixels, effort: int | None) -> memoryview:
    return _bytes_of(samples)


def _bytes_of(samples: Pixels) -> memoryview:
    return samples.reshape(-1).view(np.uint8).data


_METHODS: dict[str, Callable[[Pixels, int | None], Data]] = {
    "deflate": _deflated,
    "zstd": _zstandard,
    "lzw": _lzw,
    "none": _stored,
}
