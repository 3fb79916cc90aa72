"""JPEG data of segments: made into files of their own, and decoded strictly.

Damaged JPEG data must be noticed: simplejpeg reports all that libjpeg warns of.
"""

from __future__ import annotations

import imagecodecs
import numpy as np
import simplejpeg

from imgpipe.formats.tiff.layout import Layout
from imgpipe.image import Pixels

__all__ = ["decoded", "is_jfif"]

_START, _END = b"\xff\xd8", b"\xff\xd9"
_ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
_TRANSFORMS = {"rgb": b"\0", "ycbcr": b"\1"}
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_SOS = 0xDA


class _Stream:
    """The markers of a JPEG stream up to its scan.

    Parameters
    ----------
    data : bytes
        The stream, from its first marker on.
    """

    def __init__(self, data: bytes) -> None:
        self.data, self.frame, self.marks = data, 0, list[tuple[int, int, int]]()
        at = 2 if data[:2] == _START else 0
        while at + 4 <= len(data):
            if data[at] != 0xFF:
                raise ValueError("it is no JPEG data")
            kind, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
            if kind == 0xFF:
                at += 1
                continue
            if kind == _SOS:
                break
            if kind in (0xD8, 0x01):
                at += 2
                continue
            if kind == 0xD9:
                break
            self.marks.append((kind, at, at + 2 + size))
            if kind in _FRAMES:
                self.frame = at
            at += 2 + size
        self.scan = at

    def shape(self) -> tuple[int, int, int, int]:
        """Return precision, rows, columns and components of its frame."""
        head = self.data[self.frame + 4 : self.frame + 10]
        if not self.frame or len(head) < 6:
            raise ValueError("it has no header")
        return head[0], int.from_bytes(head[1:3]), int.from_bytes(head[3:5]), head[5]

    def with_colours(self, colours: str) -> bytes:
        """Return the stream with its colours declared, whatever it says of them itself."""
        kept = [self.data[begin:end] for kind, begin, end in self.marks if kind not in (0xE0, 0xEE)]
        adobe = _ADOBE + _TRANSFORMS[colours]
        return b"".join((_START, adobe, *kept, self.data[self.scan :]))


def is_jfif(data: bytes) -> bool:
    """Whether a stream begins like a JFIF file, whose colours are YCbCr."""
    return data[6:10] == b"JFIF"


def decoded(layout: Layout, data: bytes) -> Pixels:
    """Return the samples of a segment.

    Returns
    -------
    ndarray, shape (rows, columns, samples)
        All that the JPEG data holds.

    Raises
    ------
    ValueError
        If it is damaged, or its size is not that of a segment.
    """
    if layout.header:
        data = layout.header + data
        data = data if data.endswith(_END) else data + _END
    stream = _Stream(_joined(layout.tables, data))
    precision, rows, columns, components = stream.shape()
    if rows * columns > 4 * layout.rows * layout.columns + 65536:
        raise ValueError(f"it declares {columns} x {rows} pixels")
    if components != layout.depth:
        raise ValueError(f"it has {components} components where {layout.depth} are needed")
    if precision != 8 or components not in (1, 3, 4) or stream.data[stream.frame + 1] == 0xC3:
        return _unusual(layout, stream)
    whole = stream.with_colours(layout.colours) if layout.colours else stream.data
    colourspace = {1: "GRAY", 3: "RGB", 4: "CMYK"}[components]
    found: Pixels = simplejpeg.decode_jpeg(whole, colourspace)
    return found


def _joined(tables: bytes, data: bytes) -> bytes:
    """Return a stream with the tables that it has in common with others."""
    if not tables:
        return data
    inner = tables[2:] if tables[:2] == _START else tables
    inner = inner[:-2] if inner[-2:] == _END else inner
    return b"".join((_START, inner, data[2:]))


def _unusual(layout: Layout, stream: _Stream) -> Pixels:
    """Return the samples of a stream that simplejpeg cannot decode, checked as far as possible."""
    if not stream.data.rstrip(b"\0\xff").endswith(_END[1:]) and _END not in stream.data[-64:]:
        raise ValueError("it has no end")
    found = imagecodecs.jpeg_decode(stream.data, bitspersample=stream.shape()[0])
    return np.asarray(found)
