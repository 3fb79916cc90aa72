"""An envelope around filtered rows: a PNG file in memory, which libpng decodes.

The deflate stream is made of stored blocks, which cost a copy. The row above goes first. Blocks of
rows have the same size, except for the last ones of a band, so most of the envelope stays as it is:
only rows and checksums change.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import imagecodecs
import numpy as np
from isal import isal_zlib

from imgpipe.formats.deflate import LAST_BLOCK, Buffer, stored_size
from imgpipe.formats.png.chunks import SIGNATURE, chunk
from imgpipe.image import Pixels

__all__ = ["SEGMENT", "Bytes", "Envelope", "Layout"]

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

SEGMENT = 1 << 16  # pixels of a row that are decoded at once
_BLOCK_BYTES = 384 << 10
_STORED, _HEAD_OF_STORED = 65535, 5
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_NO_WINDOW = b"\x08\x1d"  # a zlib header of 256 bytes of history; stored blocks need none
_BEFORE = len(SIGNATURE) + 25 + 8 + len(_NO_WINDOW)
_END = chunk(b"IEND", b"")


class Layout:
    """Layout of a row of the file in memory.

    Parameters
    ----------
    width : int
        Pixels, or bytes where several pixels share one.
    channels : int
        Samples per pixel.
    itemsize : int
        Bytes per sample, 1 or 2.
    """

    def __init__(self, width: int, channels: int, itemsize: int) -> None:
        self.width, self.channels, self.itemsize = width, channels, itemsize
        self.pixel_bytes = channels * itemsize
        self.row_bytes = width * self.pixel_bytes
        self.dtype = np.dtype(np.uint8 if itemsize == 1 else np.uint16)
        self.wide = width > SEGMENT and self.row_bytes > _BLOCK_BYTES
        self.block_rows = max(1, _BLOCK_BYTES // self.row_bytes)


class Envelope:
    """A PNG file around rows of a layout.

    Parameters
    ----------
    layout : Layout
        Layout of a row.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._rows = 0
        self._file = bytearray()

    def decode(self, parts: Sequence[Buffer], out: Pixels) -> None:
        """Decode filtered rows, which come in parts, into `out`, shape (rows, width, channels)."""
        if len(out) != self._rows:
            self._make(len(out))
        file, at, adler = memoryview(self._file), 0, 1
        for part in parts:
            adler = isal_zlib.adler32(part, adler)
            at = _put(part, file, at)
        end = len(file) - len(_END)
        struct.pack_into(">I", file, end - 8, adler)
        crc = isal_zlib.crc32(file[_BEFORE - len(_NO_WINDOW) - 4 : end - 4])
        struct.pack_into(">I", file, end - 4, crc)
        imagecodecs.png_decode(self._file, out=out if self._layout.channels > 1 else out[..., 0])

    def _make(self, rows: int) -> None:
        """Make the file for `rows` rows, without the rows and the checksums."""
        layout = self._layout
        size = rows * (1 + layout.row_bytes)
        data_bytes = len(_NO_WINDOW) + stored_size(size) + len(LAST_BLOCK) + 4
        head = struct.pack(
            ">IIBBBBB", layout.width, rows, 8 * layout.itemsize, _COLOUR_TYPES[layout.channels],
            0, 0, 0,
        )  # fmt: skip
        file = bytearray(_BEFORE - len(_NO_WINDOW) + data_bytes + 4 + len(_END))
        file[:_BEFORE] = b"".join(
            (SIGNATURE, chunk(b"IHDR", head), struct.pack(">I", data_bytes), b"IDAT", _NO_WINDOW)
        )
        for at in range(0, size, _STORED):
            start = _BEFORE + at // _STORED * (_HEAD_OF_STORED + _STORED)
            count = min(_STORED, size - at)
            struct.pack_into("<BHH", file, start, 0, count, count ^ 0xFFFF)
        file[-len(_END) - 8 - len(LAST_BLOCK) : -len(_END) - 8] = LAST_BLOCK
        file[-len(_END) :] = _END
        self._file, self._rows = file, rows


def _put(part: Buffer, file: memoryview, at: int) -> int:
    """Put a part where byte `at` of the rows goes; return the place of the next one."""
    done, size = 0, len(part)
    while done < size:
        block, within = divmod(at + done, _STORED)
        count = min(_STORED - within, size - done)
        start = _BEFORE + block * (_HEAD_OF_STORED + _STORED) + _HEAD_OF_STORED + within
        file[start : start + count] = part[done : done + count]
        done += count
    return at + size
