"""LZW data, decoded by libtiff: the segment becomes a small TIFF file for Pillow.

The decoder of imagecodecs writes beyond its memory if certain bytes are damaged. That of libtiff
does not, reports more damage and is as fast.
"""

from __future__ import annotations

import io
import struct

from imgpipe.formats.quiet import codecs_quiet

__all__ = ["MOST_BYTES", "decoded"]

MOST_BYTES = 320 << 20
"""Bytes of a segment that Pillow opens without a word about its size."""

_WIDE_BYTES = 64 << 20
_SHORT, _LONG = 3, 4


def decoded(data: bytes, size: int) -> bytes:
    """Return the bytes of a segment.

    Parameters
    ----------
    data : bytes
        The data as it is in the file.
    size : int
        Number of bytes that it becomes; the rest is passed over.

    Raises
    ------
    ValueError
        If the data is damaged.
    """
    from PIL import Image  # noqa: PLC0415 - slow, and only for LZW

    # libtiff only sees a row of bytes. Pixels of four bytes make a large one short enough.
    samples = 4 if size > _WIDE_BYTES and size % 4 == 0 else 1
    file = io.BytesIO(_header(len(data), size // samples, samples) + data)
    try:
        with codecs_quiet(), Image.open(file, formats=("TIFF",)) as image:
            return image.tobytes()
    except (OSError, SyntaxError) as error:
        raise ValueError("its LZW data is damaged") from error


def _header(size: int, width: int, samples: int) -> bytes:
    """Return all of a file before the data of its only strip, a row of pixels."""
    colours = 1 if samples == 1 else 5  # gray or CMYK
    tags = [
        (256, _LONG, 1, width),
        (257, _LONG, 1, 1),
        (258, _SHORT, samples, 8),
        (259, _SHORT, 1, 5),
        (262, _SHORT, 1, colours),
        (273, _LONG, 1, 0),
        (277, _SHORT, 1, samples),
        (278, _LONG, 1, 1),
        (279, _LONG, 1, size),
    ]
    bits = struct.pack("<4H", 8, 8, 8, 8)
    values = 8 + 2 + 12 * len(tags) + 4
    start = values + len(bits)
    fields = {258: 8 if samples == 1 else values, 273: start}
    entries = b"".join(
        struct.pack("<HHII", code, kind, count, fields.get(code, value))
        for code, kind, count, value in tags
    )
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + bits
