"""Decoding of segments: the bytes of a tile or a strip become samples.

Codecs are those of imagecodecs, but for JPEG, where they pass over damage, and for LZW.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from isal import isal_zlib

from imgpipe.formats.jpegs import strict
from imgpipe.formats.jpegs.markers import UnsupportedError
from imgpipe.formats.quietcodecs import codecs_quiet
from imgpipe.formats.tiff import lzw, oldjpeg, ycbcr
from imgpipe.formats.tiff.layout import Layout
from imgpipe.image import Pixels

__all__ = [
    "CCITT",
    "DEFLATE",
    "JPEG",
    "OF_RGB",
    "OLD_JPEG",
    "DecodeError",
    "codec_of",
    "copies_of",
    "decoded",
    "is_available",
    "is_image",
    "knows_predictor",
    "rows_of",
]

JPEG = (6, 7, 33007, 34892)
CCITT = (2, 3, 4)

# Compressions of bytes, and of whole images; the names are those of imagecodecs.
_OF_BYTES = {
    5: "lzw",
    8: "deflate",
    32946: "deflate",
    50013: "deflate",
    32773: "packbits",
    34925: "lzma",
    34926: "zstd",
    50000: "zstd",
}
_OF_IMAGES = {
    33003: "jpeg2k",
    33004: "jpeg2k",
    33005: "jpeg2k",
    34712: "jpeg2k",
    34933: "png",
    34927: "webp",
    50001: "webp",
    50002: "jpegxl",
    52546: "jpegxl",
}
_LERC = 34887  # an image that a predictor may have changed
_OF_FAXES = {2: "ccittrle", 3: "ccittfax3", 4: "ccittfax4"}
OLD_JPEG = 6
DEFLATE = (8, 32946, 50013)

_COPIES: dict[str, float] = {"jpeg2k": 4, "lzw": 2.5, "jpegxl": 2, "webp": 1}

OF_RGB = ("jpeg", "webp", "jpegxl")
"""Codecs that give RGB for any stored colours."""

_SURPLUS_BYTES = 256 << 10
_END_OF_IMAGE = b"\xff\xd9"
_DISTANCES = {2: 1, 34892: 2, 34893: 4}
_FLOATS = {3: 1, 34894: 2, 34895: 4}


_InflateError: type[Exception] = isal_zlib.error  # type: ignore[assignment]

_ERRORS = (ValueError, RuntimeError, TypeError, ArithmeticError, LookupError, _InflateError)
"""Errors of codecs about damaged data."""


class DecodeError(ValueError):
    """The data of a segment is damaged."""


def codec_of(compression: int) -> str | None:
    """Return the name of the codec of a compression; "" for none, None where it is not known."""
    if compression == 1:
        return ""
    if compression in JPEG:
        return "jpeg"
    return (_OF_BYTES | _OF_IMAGES | _OF_FAXES | {_LERC: "lerc"}).get(compression)


def copies_of(compression: int) -> float:
    """Return the approximate number of copies of a segment that its codec holds."""
    return _COPIES.get(codec_of(compression) or "", 0)


def is_image(compression: int) -> bool:
    """Return whether segments of a compression are images that need no predictor."""
    return compression in JPEG or compression in _OF_IMAGES


def is_available(codec: str) -> bool:
    """Return whether a codec is installed."""
    ours = codec in ("jpeg", "lzw")
    return ours or bool(getattr(getattr(imagecodecs, codec.upper(), None), "available", False))


def knows_predictor(predictor: int) -> bool:
    """Return whether a predictor can be undone."""
    return predictor == 1 or predictor in _DISTANCES or predictor in _FLOATS


def decoded(layout: Layout, data: bytes | bytearray, rows: int, columns: int) -> Pixels:
    """Return the samples of a segment.

    Parameters
    ----------
    layout : Layout
        The image.
    data : bytes
        The segment, as it is in the file.
    rows, columns : int
        Its size where it is clipped: those of the last strip, and of tiles at the edges.

    Returns
    -------
    ndarray, shape (rows, columns, depth)
        The samples; the full segment if that is what the data holds.

    Raises
    ------
    DecodeError
        If the data is damaged.
    UnsupportedError
        If it is JPEG of a kind that is not supported.
    """
    compression = layout.compression
    try:
        if compression in JPEG:
            return _trimmed(_jpeg(layout, data, rows), layout, rows, columns)
        if compression in _OF_IMAGES:
            return _image(layout, data, rows, columns)
        if compression == _LERC:
            return _undone(layout, _image(layout, data, rows, columns))
        height = layout.rows if layout.tiled else rows
        if layout.reversed:
            data = imagecodecs.bitorder_decode(bytes(data))
        if compression in CCITT:
            return _fax(layout, data, height)
        raw = data if compression == 1 else _inflated(compression, data, layout, height)
        return rows_of(layout, raw, height)
    except (DecodeError, UnsupportedError):
        raise
    except _ERRORS as error:
        raise DecodeError(str(error).partition("\n")[0]) from error


def rows_of(layout: Layout, raw: Any, rows: int) -> Pixels:
    """Return the samples of some rows of a strip, already uncompressed.

    Parameters
    ----------
    layout : Layout
        The image.
    raw : bytes-like
        The bytes of the rows.
    rows : int
        Number of rows.

    Raises
    ------
    DecodeError
        If there are fewer bytes.
    """
    return _undone(layout, _unpacked(layout, raw, rows))


def _undone(layout: Layout, samples: Pixels) -> Pixels:
    """Return samples with the predictor undone, in the byte order of the machine.

    Parameters
    ----------
    layout : Layout
        The image.
    samples : ndarray, shape (rows, columns, depth)
        As they are in the file.
    """
    predictor = layout.predictor
    if predictor in _FLOATS:
        raw = np.ascontiguousarray(samples).view(layout.dtype)
        # The bytes are in the order of their weight, in files of any byte order.
        return imagecodecs.floatpred_decode(raw, axis=-2, dist=_FLOATS[predictor])
    native = samples.astype(layout.dtype, copy=False)
    if predictor in _DISTANCES:
        return imagecodecs.delta_decode(native, axis=-2, dist=_DISTANCES[predictor])
    return native


def _inflated(compression: int, data: bytes | bytearray, layout: Layout, rows: int) -> Any:
    """Return at least the bytes of a segment that the image needs, uncompressed."""
    size = layout.size_of(layout.rows)
    if _OF_BYTES[compression] == "lzw":
        flat = layout.sampling != (1, 1)
        return lzw.decoded(data, *((1, layout.size_of(rows)) if flat else (rows, layout.row_bytes)))
    decode: Callable[..., Any] = getattr(imagecodecs, f"{_OF_BYTES[compression]}_decode")
    try:
        return decode(data, out=size)
    except RuntimeError as error:
        if "INSUFFICIENT_SPACE" not in str(error):
            raise
    return _first(data, size)


def _first(data: bytes | bytearray, size: int) -> bytes:
    """Return the first bytes of deflate data that holds more, and check all of it."""
    inflater = isal_zlib.decompressobj()
    found: bytes = inflater.decompress(data, size)
    for _ in range(size // _SURPLUS_BYTES + 2):
        if inflater.eof:
            return found
        inflater.decompress(inflater.unconsumed_tail, _SURPLUS_BYTES)
    raise DecodeError("it holds far more than the pixels")


def _unpacked(layout: Layout, raw: Any, rows: int) -> Pixels:
    """Return samples of the bytes of a segment, in the byte order of the file."""
    needed = layout.size_of(rows)
    have = memoryview(raw).nbytes
    if have < needed:
        raise DecodeError(f"{have:,} bytes where {needed:,} are needed")
    shape = rows, layout.columns, layout.depth
    raw = memoryview(raw).cast("B")[:needed]
    bits = layout.bits
    if layout.sampling != (1, 1):
        samples = np.frombuffer(raw, np.uint8)
        return ycbcr.spread(samples, rows, layout.columns, layout.sampling)
    if bits == 8 * layout.dtype.itemsize:
        kind = (
            layout.dtype if layout.predictor in _FLOATS else layout.dtype.newbyteorder(layout.order)
        )
        return np.frombuffer(raw, kind).reshape(shape)
    if bits == 1:
        packed = np.frombuffer(raw, np.uint8).reshape(rows, -1)
        return np.unpackbits(packed, axis=1, count=layout.columns * layout.depth).reshape(shape)
    if layout.dtype.kind == "f":
        return imagecodecs.float24_decode(bytes(raw), byteorder=layout.order).reshape(shape)
    kind = layout.dtype.newbyteorder(layout.order)
    run = layout.columns * layout.depth
    return imagecodecs.packints_decode(bytes(raw), kind, bits, runlen=run).reshape(shape)


def _jpeg(layout: Layout, data: bytes | bytearray, rows: int) -> Pixels:
    """Return all the samples of JPEG data; strips may declare more rows than they have."""
    if layout.compression == OLD_JPEG:
        height = layout.rows if layout.tiled else rows
        header = oldjpeg.with_rows(layout.header, height) if layout.header else b""
        data = oldjpeg.repaired(header + data)
    elif layout.header:
        data = layout.header + data + _END_OF_IMAGE
    limit = 2 * layout.rows + 64, 2 * layout.columns + 64
    transform = False if layout.colours == "rgb" else None
    return strict.decode(bytes(data), layout.tables, transform=transform, limit=limit)


def _fax(layout: Layout, data: bytes | bytearray, rows: int) -> Pixels:
    decode: Callable[..., Any] = getattr(imagecodecs, f"{_OF_FAXES[layout.compression]}_decode")
    options = {"t4options": layout.options} if layout.compression == 3 else {}
    found = np.asarray(decode(data, rows, layout.columns, **options))
    return found.view(np.uint8).reshape(rows, layout.columns, 1)


def _image(layout: Layout, data: bytes | bytearray, rows: int, columns: int) -> Pixels:
    """Return the samples of a segment that is an image file of its own.

    Its size is checked before anything is decoded, by what the codec may fill.
    """
    codec = codec_of(layout.compression)
    decode: Callable[..., Any] = getattr(imagecodecs, f"{codec}_decode")
    options = {"hasalpha": True} if codec == "webp" and layout.depth == 4 else {}
    depth = (layout.depth,) if layout.depth > 1 else ()
    sizes = dict.fromkeys([(layout.rows, layout.columns), (rows, columns), (rows, layout.columns)])
    failure: Exception | None = None
    for size in sizes:  # segments at the edges may be clipped
        out = np.empty((*size, *depth), layout.dtype)
        try:
            with codecs_quiet() if codec == "png" else contextlib.nullcontext():
                decode(data, out=out, **options)
        except _ERRORS as error:
            failure = failure or error
        else:
            return out.reshape(*size, layout.depth)
    raise DecodeError(str(failure)) from failure


def _trimmed(found: Any, layout: Layout, rows: int, columns: int) -> Pixels:
    """Return an image that a codec gave as (rows, columns, depth); it may be too large."""
    depth = layout.depth
    image: Pixels = found[..., None] if found.ndim == 2 else found
    if image.ndim != 3 or image.shape[2] != depth:
        raise DecodeError(f"it holds {found.shape} samples where {rows, columns, depth} are needed")
    if image.shape[0] < rows or image.shape[1] < columns:
        raise DecodeError(f"it holds {found.shape} samples where {rows, columns, depth} are needed")
    return image
