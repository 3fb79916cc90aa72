"""PNG files as sinks of pixels: strips encoded by every worker, joined in order.

Each strip of rows is filtered and deflated on its own and ends in a sync flush, so that the
strips joined are one deflate stream; every strip is an IDAT chunk of its own.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from imgpipe.errors import UsageError
from imgpipe.formats.base import Data, Facts
from imgpipe.formats.png.chunks import MAX_CHUNK, SIGNATURE, chunk
from imgpipe.formats.png.metadata import metadata_chunks
from imgpipe.formats.png.rowfilters import BLOCK_BYTES, filter_rows
from imgpipe.image import Colour, ImageInfo
from imgpipe.publish import OutputFile

__all__ = ["DEFAULT_COMPRESSION", "PngEncoder", "PngSink", "adler32_combine", "open_sink"]

DEFAULT_COMPRESSION = 2

_UNIT_BYTES = 3 << 19
_STORED = 65535
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_ZLIB_HEADER = b"\x78\x01"
_LAST_BLOCK = b"\x03\x00"


def open_sink(
    path: str | os.PathLike[str], info: ImageInfo, *, compression: int = DEFAULT_COMPRESSION
) -> PngSink:
    """Begin a PNG file.

    Parameters
    ----------
    path : path-like
        Where it is to appear.
    info : ImageInfo
        What is going to be written: 8 or 16 bits, one to four channels, where two are gray
        and alpha and four are RGB and alpha.
    compression : int
        From 0, none, to 9, smallest and slowest.

    Returns
    -------
    PngSink
        To be fed from top to bottom.

    Raises
    ------
    UsageError
        If PNG cannot hold such an image or there is no such compression.
    OutputError
        If the file cannot be written.
    """
    name = os.fspath(path)
    if info.dtype not in (np.uint8, np.uint16):
        raise UsageError(
            f"{name}: PNG holds uint8 and uint16, not {info.dtype}; convert the values first, "
            f"or write .npy or .tif"
        )
    if info.channels not in _COLOUR_TYPES:
        raise UsageError(
            f"{name}: PNG holds 1 to 4 channels, not {info.channels}; select some of them, "
            f"or write .npy or .tif"
        )
    if not (0 < info.width <= MAX_CHUNK and 0 < info.height <= MAX_CHUNK):
        raise UsageError(
            f"{name}: PNG cannot hold {info.width} x {info.height} pixels; write .npy or .tif"
        )
    if compression not in range(10):
        raise UsageError(f"{name}: there is no compression {compression}; choose 0 to 9")
    return PngSink(name, info, compression)


@dataclass(frozen=True)
class PngEncoder:
    """What a worker does to a strip of rows.

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

    def bound(self, rows: int) -> int:
        """Return the most bytes that `rows` rows can become: as many as if stored."""
        return _stored_size(rows * (1 + self.row_bytes))

    def encode(self, unit: NDArray[Any], above: NDArray[Any] | None) -> tuple[Data, Facts]:
        """Return a strip filtered and deflated, and its CRC-32, Adler-32 and size before.

        Parameters
        ----------
        unit : ndarray, shape (rows, width, channels)
            The pixels of the strip.
        above : ndarray, shape (1, width, channels), or None
            The row above it, None at the top of the image.
        """
        rows = _file_bytes(unit)
        upper = np.zeros(self.row_bytes, np.uint8) if above is None else _file_bytes(above)[-1]
        data, adler = self._deflate(rows, upper)
        if len(data) > self.bound(len(rows)):
            data, adler = self._store(rows)
        crc = isal_zlib.crc32(data, isal_zlib.crc32(b"IDAT"))
        return data, (crc, adler, rows.size + len(rows))

    def _deflate(self, rows: NDArray[np.uint8], above: NDArray[np.uint8]) -> tuple[bytes, int]:
        if not self.compression:
            return self._store(rows)
        deflater = _deflater(self.compression)
        adler = 1
        step = max(1, BLOCK_BYTES // self.row_bytes)
        filtered = np.empty((min(step, len(rows)), 1 + self.row_bytes), np.uint8)
        parts = []
        for start in range(0, len(rows), step):
            block = rows[start : start + step]
            out = filtered[: len(block)]
            filter_rows(block, above, self.pixel_bytes, out)
            adler = isal_zlib.adler32(out, adler)
            parts.append(deflater.compress(out))
            above = block[-1]
        parts.append(deflater.flush(zlib.Z_SYNC_FLUSH))
        return b"".join(parts), adler

    def _store(self, rows: NDArray[np.uint8]) -> tuple[bytes, int]:
        """Return the rows in stored blocks."""
        lines = np.zeros((len(rows), 1 + self.row_bytes), np.uint8)
        lines[:, 1:] = rows
        content = memoryview(lines).cast("B")
        parts: list[Data] = []
        for start in range(0, len(content), _STORED):
            block = content[start : start + _STORED]
            parts += (struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF), block)
        return b"".join(parts), isal_zlib.adler32(content)


class PngSink:
    """A PNG file under construction; see `open_sink`."""

    kind: ClassVar[Literal["ordered"]] = "ordered"

    def __init__(self, name: str, info: ImageInfo, compression: int) -> None:
        self.info = info
        self.unit_rows = max(1, _UNIT_BYTES // (1 + info.row_bytes))
        pixel_bytes = info.channels * info.dtype.itemsize
        self.encoder = PngEncoder(info.row_bytes, pixel_bytes, compression)
        self._missing = info.height * (1 + info.row_bytes)
        self._adler = 1
        self._file = OutputFile(name)
        self._file.write(_head(info))

    def append(self, data: Data, facts: Facts) -> None:
        """Append the next strip."""
        crc, adler, size = facts
        if len(data) <= MAX_CHUNK:
            self._file.write(
                struct.pack(">I4s", len(data), b"IDAT"), data, struct.pack(">I", crc)
            )
        else:
            for start in range(0, len(data), MAX_CHUNK):
                self._file.write(chunk(b"IDAT", data[start : start + MAX_CHUNK]))
        self._adler = adler32_combine(self._adler, adler, size)
        self._missing -= size

    def commit(self) -> int:
        """Publish the finished file and return its size in bytes."""
        if self._missing:
            self.abort()
            raise RuntimeError(f"{self._missing} bytes of rows were not appended")
        end = _LAST_BLOCK + struct.pack(">I", self._adler)
        self._file.write(chunk(b"IDAT", end) + chunk(b"IEND", b""))
        return self._file.commit()

    def abort(self) -> None:
        """Leave nothing behind. Safe to call at any time, and twice."""
        self._file.abort()


def _head(info: ImageInfo) -> bytes:
    header = struct.pack(
        ">IIBBBBB",
        info.width,
        info.height,
        8 * info.dtype.itemsize,
        _COLOUR_TYPES[info.channels],
        0,
        0,
        0,
    )
    colour: Colour = "rgb" if info.channels > 2 else "gray"
    chunks = [(b"IHDR", header), *metadata_chunks(info.metadata, colour), (b"IDAT", _ZLIB_HEADER)]
    return SIGNATURE + b"".join(chunk(kind, content) for kind, content in chunks)


def _file_bytes(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return rows of bytes, in the order of the file."""
    if pixels.dtype == np.uint16:
        pixels = pixels.astype(">u2")
    return np.ascontiguousarray(pixels).reshape(len(pixels), -1).view(np.uint8)


def _stored_size(size: int) -> int:
    return size + 5 * -(-size // _STORED)


def _deflater(compression: int) -> Any:
    if compression <= 3:
        return isal_zlib.compressobj(compression, zlib.DEFLATED, -15)
    return zlib.compressobj(compression, zlib.DEFLATED, -15)


def adler32_combine(first: int, second: int, size: int) -> int:
    """Return the Adler-32 of two pieces joined, from those of the pieces.

    Parameters
    ----------
    first, second : int
        Sums of the pieces.
    size : int
        Bytes of the second piece.

    Notes
    -----
    Adler-32 is a pair: A is one plus the sum of the bytes, B the sum of all A on the way.
    Joined, A = A1 + A2 - 1 and B = B1 + B2 + size * (A1 - 1), modulo 65521, as in
    ``adler32_combine`` of zlib (adler32.c).
    """
    a1, b1, a2, b2 = first & 0xFFFF, first >> 16, second & 0xFFFF, second >> 16
    a = (a1 + a2 - 1) % 65521
    b = (b1 + b2 + size * (a1 - 1)) % 65521
    return b << 16 | a
