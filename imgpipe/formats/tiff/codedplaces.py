"""Places of coded pixels in a TIFF file: the bytes of each tile and strip, for copies."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from imgpipe.formats.declaration import NotCopiedError
from imgpipe.formats.jpegs.markers import APP0, APP14, COM, JpegError, segments
from imgpipe.formats.tiff.decoding import OLD_JPEG, codec_of
from imgpipe.formats.tiff.directories import Entry, Walk
from imgpipe.image import Pixels

__all__ = ["pixel_spans"]

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 256, 257, 258, 259, 262, 277
_ROWS, _PLANES, _TILE_WIDTH, _TILE_HEIGHT, _TABLES, _SAMPLING = 278, 284, 322, 323, 347, 530
_TILES, _STRIPS = (324, 325), (273, 279)
_YCBCR, _UNCOMPRESSED = 6, 1
_KINDS = {3: "u2", 4: "u4", 13: "u4", 16: "u8"}
_MOST = np.uint64(1 << 61)  # more than any file has; so that sums do not overflow
_MOST_SEGMENTS = 4_000_000
_HEAD_BYTES = 4096
_JFIF_BYTES, _ADOBE_BYTES = 14, 12  # without a preview
_WEBP_OF_PIXELS = (b"VP8 ", b"VP8L")


def pixel_spans(file: BinaryIO, size: int, walk: Walk, entries: dict[int, Entry]) -> Pixels:
    """Return begin and end of every tile or strip of a directory.

    Parameters
    ----------
    file : binary file
        The open file.
    size : int
        Its bytes.
    walk : Walk
        The walk over it.
    entries : dict of int to Entry
        The tags of the directory.

    Returns
    -------
    array, shape (n, 2), int64

    Raises
    ------
    NotCopiedError
        If they are not certain, or hold more than pixels.
    """
    numbers = _Numbers(walk, entries)
    offsets, counts = (numbers.all(code) for code in (_TILES if 324 in entries else _STRIPS))
    if not len(offsets) or len(offsets) != len(counts) or (324 in entries and 273 in entries):
        raise NotCopiedError("the sizes of its tiles or strips are not known")
    compression = numbers.first(_COMPRESSION, _UNCOMPRESSED)
    there = (offsets > 0) & (counts > 0)
    if compression == _UNCOMPRESSED:
        expected = _raw_sizes(numbers, len(offsets))
        if expected is not None and (counts[there] < expected[there]).any():
            raise NotCopiedError("its tiles or strips are larger than it says")
        counts = counts if expected is None else np.minimum(counts, expected)
    spans = np.stack((offsets, offsets + counts), axis=1)[there]
    if (spans[:, 1] > size).any():
        raise NotCopiedError("it is cut off")
    holds_more = _CHECKS.get(codec_of(compression) or "")
    if compression == OLD_JPEG or codec_of(compression) in (None, "png"):
        raise NotCopiedError(f"tiles or strips of the compression {compression} may hold metadata")
    if holds_more is not None:
        tables = walk.data(entries[_TABLES]) if _TABLES in entries else b""
        if (tables and _in_jpeg(tables)) or any(holds_more(_head(file, *one)) for one in spans):
            raise NotCopiedError("its tiles or strips hold metadata")
    return spans


class _Numbers:
    """Numbers that the tags of a directory hold."""

    def __init__(self, walk: Walk, entries: dict[int, Entry]) -> None:
        self._walk, self._entries = walk, entries

    def all(self, code: int) -> Pixels:
        """Return the values of a tag; none if it is not there."""
        entry = self._entries.get(code)
        if entry is None or entry.kind not in _KINDS or entry.values > _MOST_SEGMENTS:
            return np.empty(0, np.int64)
        data = self._walk.data(entry)
        found = np.frombuffer(data, f"{self._walk.order}{_KINDS[entry.kind]}")
        return np.minimum(found.astype(np.uint64), _MOST).astype(np.int64)

    def first(self, code: int, usual: int) -> int:
        """Return the first value of a tag."""
        found = self.all(code)
        return int(found[0]) if len(found) else usual


def _raw_sizes(numbers: _Numbers, segments: int) -> Pixels | None:
    """Return the bytes that uncompressed tiles or strips have; None if colours are subsampled."""
    if numbers.first(_PHOTOMETRIC, 0) == _YCBCR and tuple(numbers.all(_SAMPLING)) != (1, 1):
        return None
    height, width = numbers.first(_HEIGHT, 0), numbers.first(_WIDTH, 0)
    columns, rows = numbers.first(_TILE_WIDTH, width), numbers.first(_TILE_HEIGHT, 0)
    strips = not rows
    rows = rows or min(numbers.first(_ROWS, height), height)
    depth = numbers.first(_SAMPLES, 1) if numbers.first(_PLANES, 1) == 1 else 1
    row_bytes = -(-columns * depth * numbers.first(_BITS, 1) // 8)
    if not 0 < rows * row_bytes < 1 << 60:
        raise NotCopiedError("the sizes of its tiles or strips are not known")
    sizes = np.full(segments, rows * row_bytes, np.int64)
    if strips:
        down = -(-height // rows)
        sizes[down - 1 :: down] = (height - (down - 1) * rows) * row_bytes
    return sizes


def _head(file: BinaryIO, start: int, stop: int) -> bytes:
    file.seek(start)
    return file.read(min(_HEAD_BYTES, stop - start))


def _in_jpeg(head: bytes) -> bool:
    """Return whether JPEG data holds comments, previews or blocks of metadata before its pixels."""
    usual = {APP0: _JFIF_BYTES, APP14: _ADOBE_BYTES}
    try:
        for each in segments(io.BytesIO(head)):
            named = APP0 <= each.marker <= APP0 + 15 or each.marker == COM
            if named and len(each.content) != usual.get(each.marker):
                return True
    except JpegError:  # it ends here, or is damaged
        return True
    return False


def _in_webp(head: bytes) -> bool:
    return head[12:16] not in _WEBP_OF_PIXELS


def _in_boxes(head: bytes) -> bool:
    """Return whether data begins like a file of boxes, and not like a codestream."""
    return head[:1] != b"\xff"


_CHECKS: dict[str, Callable[[bytes], bool]] = {
    "jpeg": _in_jpeg,
    "webp": _in_webp,
    "jpeg2k": _in_boxes,
    "jpegxl": _in_boxes,
}
