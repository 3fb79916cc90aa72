"""Strict decoding of JPEG data: truncated and corrupt data is an error.

imagecodecs and Pillow give pixels for damaged data, and grey where there are none. simplejpeg
makes an error of every warning of libjpeg-turbo. It knows samples of 8 bits only. Data of 12 bits
has the same entropy code, so its entropy coding is checked as if it were data of 8 bits.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from imgpipe.formats.jpegs.markers import (
    APP0,
    APP14,
    EOI,
    MAX_SIDE,
    SOI,
    SOS,
    Header,
    JpegError,
    UnsupportedError,
    head_bytes,
    read_header,
    segment,
    segments,
)
from imgpipe.formats.jpegs.scanlines import Scanlines, is_there
from imgpipe.formats.unnamedfiles import NamelessFile
from imgpipe.image import Pixels

__all__ = ["check_kind", "check_scans", "decode", "decode_header", "is_reducible", "joined"]

_SPACES = {1: "Gray", 3: "RGB", 4: "CMYK"}
_SURPLUS = re.compile(r"(\d+) extraneous bytes before marker 0xd9")  # all pixels were there before
_SCAN = bytes((0xFF, SOS))
_MOST_SCANS = 500
_SAMPLED = ((1, 1), (2, 1), (1, 2), (2, 2), (4, 1))  # across and down, that simplejpeg knows
_COLOURS = [(1, 1), (1, 1)]
_KEPT_BYTES = 4096  # of a header that is kept, to be known again in the next tile


def decode(
    data: bytes | memoryview,
    tables: bytes = b"",
    *,
    transform: bool | None = None,
    limit: tuple[int, int] | None = None,
    out: Pixels | None = None,
    surplus: bool = False,
    eighths: int = 8,
) -> Pixels:
    """Return the pixels of JPEG data.

    Parameters
    ----------
    data : bytes
        From the SOI marker to the EOI marker.
    tables : bytes, optional
        Data with tables only, if `data` is abbreviated.
    transform : bool, optional
        Whether the colours are stored as YCbCr or YCCK, rather than as RGB or CMYK; by default the
        markers decide.
    limit : (int, int), optional
        The most rows and columns.
    out : ndarray, shape (rows, columns, channels), optional
        Takes the pixels, if they are of that shape; C-contiguous.
    surplus : bool
        Whether more may be coded than the pixels that the header declares.
    eighths : int
        Part of the size that is decoded, 1 to 8; less than 8 if it `is_reducible`.

    Returns
    -------
    ndarray, shape (rows, columns, channels), uint8 or uint16
        Gray, RGB or CMYK as it is stored. 12-bit data is uint16.

    Raises
    ------
    JpegError
        If the data is damaged, larger than `limit`, of another shape than `out`, or of a kind that
        cannot be decoded.
    """
    whole, header = _read(data, tables, transform=transform)
    check_kind(header)
    rows, columns = limit or (header.height, header.width)
    if header.height > rows or header.width > columns:
        raise JpegError(f"it declares {header.width} x {header.height} pixels, which is too large")
    height, width = (-(-side * eighths // 8) for side in (header.height, header.width))
    shape = height, width, len(header.components)
    if out is not None and out.shape != shape:
        raise JpegError(f"it declares {header.width} x {header.height} x {shape[2]}")
    if not header.at_once:
        check_scans([whole])
    if header.precision == 8:
        out = np.empty(shape, np.uint8) if out is None else out
        return _decoded(whole, header, out, surplus=surplus)
    return _decoded_12_bit(whole, header, out)


def decode_header(data: bytes | memoryview) -> Header:
    """Return the header of JPEG data in memory.

    Raises
    ------
    JpegError
        If it is damaged.
    """
    return read_header(io.BytesIO(data))


def check_kind(header: Header) -> None:
    """Refuse data of a kind that cannot be decoded, or not with its damage noticed.

    Raises
    ------
    UnsupportedError
        If this is such data.
    """
    if max(header.height, header.width) > MAX_SIDE:
        raise UnsupportedError(f"it has a side of more than {MAX_SIDE:,} pixels, libjpeg's limit")
    count = len(header.components)
    if count not in _SPACES:
        raise UnsupportedError(f"it has {count} components, which imgpipe does not read")
    if header.precision not in (8, 12) or (header.lossless and header.precision != 8):
        coding = "lossless" if header.lossless else "JPEG"
        raise UnsupportedError(
            f"it is {coding} of {header.precision} bits, which imgpipe does not read"
        )
    if header.arithmetic and header.precision == 12:
        raise UnsupportedError("it is arithmetic JPEG of 12 bits, which imgpipe does not read")


def is_reducible(header: Header) -> bool:
    """Return whether the decoder can make a smaller image of such data."""
    if header.precision != 8 or header.lossless:
        return False
    sampled = [each[1:] for each in header.components]
    if len(sampled) == 1:
        return True
    return sampled[0] in _SAMPLED and sampled[1:] in (_COLOURS, [*_COLOURS, sampled[0]])


def check_scans(pieces: Iterable[bytes | memoryview]) -> None:
    """Refuse data with more scans than any encoder makes: each of them passes over all pixels.

    Raises
    ------
    JpegError
        If there are too many.
    """
    count, after = 0, b""
    for piece in pieces:
        data = after + bytes(piece)
        count += data.count(_SCAN)
        after = data[-1:]
        if count > _MOST_SCANS:
            raise JpegError(f"it has more than {_MOST_SCANS} scans")


def joined(
    data: bytes | memoryview, tables: bytes = b"", *, transform: bool | None = None
) -> bytes | memoryview:
    """Return JPEG data with tables and a marker for its colours.

    Raises
    ------
    JpegError
        If the header of either is damaged.
    """
    inserted = b""
    if tables:
        inserted = b"".join(
            segment(each.marker, each.content)
            for each in segments(io.BytesIO(tables))
            if each.marker < APP0
        )
    if transform is None:
        return data if not inserted else b"".join((data[:2], inserted, data[2:]))
    parts: list[bytes | memoryview] = [bytes((0xFF, SOI)), inserted]
    header = decode_header(b"".join((data[:2], inserted, data[2:])))
    code = (2 if len(header.components) == 4 else 1) if transform else 0
    parts.append(segment(APP14, b"Adobe\0d\0\0\0\0" + bytes((code,))))
    end = 2
    for each in segments(io.BytesIO(data)):
        if each.marker not in (APP0, APP14):
            parts.append(segment(each.marker, each.content))
        end = each.end
    return b"".join((*parts, data[end:]))


def _read(
    data: bytes | memoryview, tables: bytes, *, transform: bool | None
) -> tuple[bytes | memoryview, Header]:
    """Return JPEG data, `joined`, and its header."""
    size = head_bytes(data)
    if 0 < size <= _KEPT_BYTES:
        with contextlib.suppress(JpegError):  # which may say something else about all of the data
            head, header = _read_head(bytes(data[:size]), tables, transform=transform)
            same = not tables and transform is None
            return (data if same else b"".join((head, memoryview(data)[size:]))), header
    whole = joined(data, tables, transform=transform)
    return whole, decode_header(whole)


@functools.lru_cache(maxsize=64)
def _read_head(
    head: bytes, tables: bytes, *, transform: bool | None
) -> tuple[bytes | memoryview, Header]:
    whole = joined(head, tables, transform=transform)
    return whole, decode_header(whole)


def _decoded(
    data: bytes | bytearray | memoryview, header: Header, pixels: Pixels, *, surplus: bool
) -> Pixels:
    """Fill `pixels`; if they are fewer than those of the image, the decoder reduces it."""
    import simplejpeg  # noqa: PLC0415 - only where there is JPEG data

    height, width, channels = pixels.shape
    reduced = (height, width) != (header.height, header.width)
    least = {"min_height": height, "min_width": width} if reduced else {}
    try:
        simplejpeg.decode_jpeg(data, _SPACES[channels], buffer=pixels.reshape(-1), **least)
    except (ValueError, KeyError) as error:
        reason = str(error)
        if "JFIF revision" in reason and header.marks:  # which hides all warnings after it
            return _decoded(
                _without_marks(data, header), replace(header, marks=()), pixels, surplus=surplus
            )
        if "subsampling level" in reason:
            return _decoded_in_rows(data, header, pixels)
        match = _SURPLUS.search(reason)
        if match is None or not (surplus or _is_padding(data, int(match[1]), header)):
            raise JpegError(_reason(reason)) from None
    return pixels


def _is_padding(data: bytes | bytearray | memoryview, size: int, header: Header) -> bool:
    """Return whether so many zeros stand before the EOI marker, as some cameras write them."""
    return not header.interval and bytes(size) + bytes((0xFF, EOI)) in bytes(data)


def _decoded_in_rows(data: bytes | bytearray | memoryview, header: Header, out: Pixels) -> Pixels:
    """Decode data of a subsampling that simplejpeg does not know.

    OpenImageIO gives RGB for CMYK, so it only notices damage then, and imagecodecs decodes.
    """
    if not is_there():
        raise UnsupportedError("its subsampling needs OpenImageIO: pip install OpenImageIO")
    inks = len(header.components) == 4
    spool = NamelessFile()
    try:
        spool.write(_without_marks(data, header))
        pixels = np.empty((*out.shape[:2], 3), np.uint8) if inks else out
        lines = Scanlines(spool.path, pixels.shape)
        try:
            lines.read_into(pixels)
        finally:
            lines.close()
    finally:
        spool.close()
    if inks:
        from imagecodecs import jpeg8_decode  # noqa: PLC0415 - rarely needed

        jpeg8_decode(bytes(data), out=out)
    return out


def _without_marks(data: bytes | bytearray | memoryview, header: Header) -> bytes:
    """Return the data without APPn and COM segments, except Adobe's."""
    parts, at = [], 0
    for each in header.marks:
        if each.marker != APP14:
            parts.append(data[at : each.position])
            at = each.end
    return b"".join((*parts, data[at:]))


def _decoded_12_bit(data: bytes | memoryview, header: Header, out: Pixels | None) -> Pixels:
    from imagecodecs import Jpeg8Error, jpeg8_decode  # noqa: PLC0415 - rarely needed

    as_8_bit = bytearray(data)
    as_8_bit[header.sof.position + 4] = 8
    shape = header.height, header.width, len(header.components)
    _decoded(as_8_bit, header, np.empty(shape, np.uint8), surplus=False)
    try:
        pixels: Pixels = jpeg8_decode(bytes(data), out=out)
    except Jpeg8Error as error:
        raise JpegError(_reason(str(error))) from None
    return np.asarray(pixels).reshape(header.height, header.width, -1)


def _reason(message: str) -> str:
    """Return the reason in a message of libjpeg-turbo."""
    if "Premature end" in message or "Input buffer" in message:
        return "its pixels end too early"
    return f"its pixels cannot be decoded ({message.strip().rstrip('.').lower()})"
