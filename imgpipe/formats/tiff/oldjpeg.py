"""JPEG data of old TIFF files, whose headers and tables stand in tags of their own.

References
----------
TIFF Revision 6.0, Adobe 1992, section 22; replaced by TIFF Technical Note 2.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

from imgpipe.errors import CorruptError, FormatError
from imgpipe.formats.jpegs.markers import DHT, DQT, DRI, SOI, SOS, segment, segments

if TYPE_CHECKING:
    from tifffile import TiffPage

__all__ = ["header_of", "repaired", "stream_of", "with_rows"]

_BASELINE, _SOF = 1, 0xC0
_PROCESS, _STREAM, _INTERVAL = 512, 513, 515
_QUANTIZATION, _DC, _AC, _SUBSAMPLING = 519, 520, 521, 530
_ALL_COEFFICIENTS = bytes((0, 63, 0))
_END = b"\xff\xd9"
_HEIGHT = 7  # its position in a header


def stream_of(page: TiffPage) -> tuple[int, int] | None:
    """Return offset and size of the JPEG file that is the only segment, if there is one.

    Its tags of strips may be off by some bytes.
    """
    place = (*_listed(page, _STREAM, 1), *_listed(page, _STREAM + 1, 1))
    if len(page.dataoffsets) != 1 or len(place) != 2 or min(place) < 1:
        return None
    return place if _read(page, place[0], 2) == bytes((0xFF, SOI)) else None


def header_of(page: TiffPage, rows: int, columns: int, name: str) -> bytes:
    """Return the beginning of the JPEG data of every segment; nothing if it is in the data.

    Parameters
    ----------
    page : TiffPage
        The tags.
    rows, columns : int
        Size of a segment.
    name : str
        The file, for messages.

    Raises
    ------
    FormatError
        If the coding is not baseline.
    CorruptError
        If tables are missing.
    """
    first = int(page.dataoffsets[0]) if page.dataoffsets else 0
    if stream_of(page) or not first or _read(page, first, 2) == bytes((0xFF, SOI)):
        return b""
    if page.tags.valueof(_PROCESS, _BASELINE) != _BASELINE:
        raise FormatError(f"{name}: old JPEG without loss is not supported; convert it first")
    if _QUANTIZATION not in page.tags:
        raise FormatError(f"{name}: old JPEG of this kind is not supported; convert it first")
    return _made(page, rows, columns, name)


def repaired(data: bytes | bytearray) -> bytes:
    """Return JPEG data whose scan declares all coefficients, and that has an end.

    Raises
    ------
    JpegError
        If its header is damaged.
    """
    for each in segments(io.BytesIO(data)):
        if each.marker == SOS:
            data = data[: each.end - 3] + _ALL_COEFFICIENTS + data[each.end :]
    return bytes(data if _END in data[-8:] else data + _END)


def with_rows(header: bytes, rows: int) -> bytes:
    """Return a header that declares other rows."""
    return header[:_HEIGHT] + struct.pack(">H", rows) + header[_HEIGHT + 2 :]


def _made(page: TiffPage, rows: int, columns: int, name: str) -> bytes:
    """Return a header made of the tables that tags point to."""
    count = 1 if int(page.planarconfig) == 2 else page.samplesperpixel
    tables = [_listed(page, code, count) for code in (_QUANTIZATION, _DC, _AC)]
    if any(len(places) < count for places in tables) or not 0 < rows < 65536 > columns > 0:
        raise CorruptError(f"{name}: the file is damaged: its JPEG tables are missing")
    across, down = _listed(page, _SUBSAMPLING, 2) or (2, 2)
    factors = [across << 4 | down if at == 0 and count > 1 else 0x11 for at in range(count)]
    frame = struct.pack(">BHHB", 8, rows, columns, count)
    frame += b"".join(bytes((at + 1, factors[at] & 255, at)) for at in range(count))
    parts = [bytes((0xFF, SOI)), segment(_SOF, frame)]
    parts += [segment(DQT, bytes((at,)) + _read(page, tables[0][at], 64)) for at in range(count)]
    for kind, places in enumerate(tables[1:]):
        parts += [
            segment(DHT, bytes((kind << 4 | at,)) + _codes(page, places[at])) for at in range(count)
        ]
    interval = page.tags.valueof(_INTERVAL, 0)
    if interval:
        parts.append(segment(DRI, struct.pack(">H", int(interval) & 0xFFFF)))
    scan = bytes((count,)) + b"".join(bytes((at + 1, at << 4 | at)) for at in range(count))
    parts.append(segment(SOS, scan + _ALL_COEFFICIENTS))
    return b"".join(parts)


def _codes(page: TiffPage, position: int) -> bytes:
    """Return a Huffman table: how many codes of each length, and their values."""
    lengths = _read(page, position, 16)
    return lengths + _read(page, position + 16, min(sum(lengths), 256))


def _listed(page: TiffPage, code: int, count: int) -> tuple[int, ...]:
    found = page.tags.valueof(code, ())
    values = tuple(map(int, found)) if isinstance(found, tuple) else (int(found),)
    return values[:count]


def _read(page: TiffPage, position: int, size: int) -> bytes:
    file = page.parent.filehandle
    file.seek(position)
    return file.read(size)
