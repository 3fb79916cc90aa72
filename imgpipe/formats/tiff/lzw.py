"""LZW data, decoded by libtiff: the segment becomes a small TIFF file for Pillow.

The decoder of imagecodecs writes beyond its memory if certain bytes are damaged. That of libtiff
does not, reports more damage and is as fast.
"""

from __future__ import annotations

import io
import struct

from imgpipe.formats.quietcodecs import codecs_quiet

__all__ = ["decoded", "fits"]

_MOST_PIXELS = 80_000_000
"""Pixels that Pillow opens without a word about their number."""

_SHORT, _LONG = 3, 4
_COLOURS = {1: 1, 3: 2, 4: 5}  # of so many samples: gray, RGB, CMYK


def fits(rows: int, row_bytes: int) -> bool:
    """Return whether a segment is small enough to be decoded."""
    return rows * row_bytes // _samples(row_bytes) <= _MOST_PIXELS


def decoded(data: bytes | bytearray, rows: int, row_bytes: int) -> bytes:
    """Return the bytes of a segment.

    Parameters
    ----------
    data : bytes
        The data as it is in the file.
    rows, row_bytes : int
        Its size; data beyond that is passed over.

    Raises
    ------
    ValueError
        If the data is damaged.
    """
    from PIL import Image  # noqa: PLC0415 - slow, and only for LZW

    samples = _samples(row_bytes)
    header = _header(len(data), rows, row_bytes // samples, samples)
    try:
        with codecs_quiet(), Image.open(io.BytesIO(header + data), formats=("TIFF",)) as image:
            return image.tobytes()
    except (OSError, SyntaxError) as error:
        raise ValueError("its LZW data is damaged") from error


def _samples(row_bytes: int) -> int:
    """Return the number of bytes that pass as one pixel: the fewer pixels, the better."""
    return next(samples for samples in (4, 3, 1) if row_bytes % samples == 0)


def _header(size: int, rows: int, columns: int, samples: int) -> bytes:
    """Return all of a file before the data of its only strip."""
    tags = [
        (256, _LONG, 1, columns),
        (257, _LONG, 1, rows),
        (258, _SHORT, samples, 8),
        (259, _SHORT, 1, 5),
        (262, _SHORT, 1, _COLOURS[samples]),
        (273, _LONG, 1, 0),
        (277, _SHORT, 1, samples),
        (278, _LONG, 1, rows),
        (279, _LONG, 1, size),
    ]
    bits = struct.pack("<4H", 8, 8, 8, 8)
    values = 8 + 2 + 12 * len(tags) + 4
    fields = {258: 8 if samples == 1 else values, 273: values + len(bits)}
    entries = b"".join(
        struct.pack("<HHII", code, kind, count, fields.get(code, value))
        for code, kind, count, value in tags
    )
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + bits
