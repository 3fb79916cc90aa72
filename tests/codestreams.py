"""Codestreams of JPEG 2000 that no encoder at hand makes: palettes, and subsampled components."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

from imgpipe.formats.boxes import box
from imgpipe.formats.jpeg2000.codestream import SOD, Header, Size, header_of, segments

__all__ = ["boxed", "indexed", "subsampled"]

SRGB, GRAY, YCC = 16, 17, 18
_LENGTHS = 0xFF58  # PLT: of the packets of a tile


def boxed(codestream: bytes, size: Size, colour: int, *, extra: bytes = b"") -> bytes:
    """Return a JP2 file; `extra` are further boxes of its headers."""
    width, height = size.end
    head = struct.pack(">IIHBBBB", height, width, len(size.components), 7, 7, 0, 0)
    head = box(b"ihdr", head) + box(b"colr", bytes((1, 0, 0)) + colour.to_bytes(4, "big")) + extra
    begin = b"\0\0\0\x0cjP  \r\n\x87\n" + box(b"ftyp", b"jp2 " + bytes(4) + b"jp2 ")
    return begin + box(b"jp2h", head) + box(b"jp2c", codestream)


def indexed(indices: np.ndarray, colours: np.ndarray, *, tile: tuple[int, int] | None) -> bytes:
    """Return a JP2 file of the numbers of colours in a palette."""
    out = io.BytesIO()
    Image.fromarray(indices).save(out, "JPEG2000", no_jp2=True, num_resolutions=3, tile_size=tile)
    count, columns = colours.shape
    depth = 8 * colours.itemsize - 1
    table = struct.pack(">HB", count, columns) + bytes([depth] * columns)
    table += colours.astype(colours.dtype.newbyteorder(">")).tobytes()
    columns_of = b"".join(struct.pack(">HBB", 0, 1, at) for at in range(columns))
    extra = box(b"pclr", table) + box(b"cmap", columns_of)
    size = header_of(io.BytesIO(out.getvalue()), 0).size
    return boxed(out.getvalue(), size, SRGB, extra=extra)


def subsampled(planes: list[np.ndarray], steps: list[tuple[int, int]], colour: int) -> bytes:
    """Return a JP2 file of components with fewer values than pixels, each a plane.

    They are encoded alone. The packets of each resolution then follow each other.
    """
    headers, packets = zip(*map(_packets, planes), strict=True)
    first: Header = headers[0]
    components = tuple((7, *step) for step in steps)
    size = Size(**{**first.size.__dict__, "components": components})
    body = b"".join(packet for resolution in zip(*packets, strict=True) for packet in resolution)
    part = struct.pack(">HHHIBB", 0xFF90, 10, 0, 14 + len(body), 0, 1) + SOD.to_bytes(2, "big")
    return boxed(first.encoded(size) + part + body + b"\xff\xd9", size, colour)


def _packets(plane: np.ndarray) -> tuple[Header, list[bytes]]:
    """Return the header of the codestream of a plane, and its packets: one of each resolution."""
    out = io.BytesIO()
    Image.fromarray(plane).save(out, "JPEG2000", no_jp2=True, num_resolutions=3, plt=True)
    header = header_of(out, 0)
    found, at = segments(out, header.end + 12, SOD)
    lengths, value = [], 0
    for byte in b"".join(content[1:] for marker, content in found if marker == _LENGTHS):
        value = value << 7 | byte & 127
        if byte < 128:
            lengths.append(value)
            value = 0
    data, packets = out.getvalue()[at + 2 :], []
    for length in lengths:
        packets.append(data[:length])
        data = data[length:]
    return header, packets
