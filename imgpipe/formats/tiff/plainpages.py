"""Plain pages: their few tags are read here, because tifffile loads slowly.

A page is plain if it is the only one of a classic TIFF file, and has nothing but valid tags of
usual pixels: of 8 to 64 bits, uncompressed or as LZW, deflate or JPEG. Everything else is read by
tifffile, with all that it knows of variants and damage.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np

from imgpipe.formats.tiff.directories import Directory, Entry, Walk
from imgpipe.records import dataclass

__all__ = ["PlainPage", "plain_page"]

_SHORT, _LONG, _RATIO, _BYTES = 3, 4, 5, 7
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 256, 257, 258, 259, 262, 277
_PLANES, _PREDICTOR, _KIND, _ROWS, _EXTRA, _JPEG_TABLES, _ICC = 284, 317, 339, 278, 338, 347, 34675
_TILE_WIDTH, _TILE_HEIGHT, _SUBSAMPLING = 322, 323, 530
_STRIPS, _TILES = (273, 279), (324, 325)

_CHOICES: dict[int, tuple[int, ...]] = {
    254: (0,),  # neither a smaller version nor a mask
    _COMPRESSION: (1, 5, 7, 8),
    _PHOTOMETRIC: (0, 1, 2, 5, 6),
    266: (1,),  # the order of bits
    _PLANES: (1, 2),
    _PREDICTOR: (1, 2, 3),
}
_NUMBERS = {*_CHOICES, _WIDTH, _HEIGHT, 274, _SAMPLES, _ROWS, 296, _TILE_WIDTH, _TILE_HEIGHT}
_NEEDED = {_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES}
_JPEG, _YCBCR = 7, 6
_MOST_SEGMENTS, _MOST_SAMPLES = 1 << 16, 64


@dataclass(frozen=True)
class PlainTag:
    """A tag: the number of its type, the number of its values, their offset, and the values."""

    dtype: int
    count: int
    valueoffset: int
    value: Any


class PlainTags(dict[int, PlainTag]):
    """Tags by number."""

    def valueof(self, code: int, default: Any = None) -> Any:
        """Return the value of a tag, `default` if there is none."""
        return self[code].value if code in self else default


class PlainPage:
    """The tags of a plain page, by the names that tifffile gives them.

    Parameters
    ----------
    walk : Walk
        The walk over the file.
    offset : int
        The offset of the directory.
    tags : PlainTags
        Its tags.
    """

    flags: frozenset[str] = frozenset()
    jpegheader, is_jfif, imagedepth, fillorder = None, False, 1, 1

    def __init__(self, walk: Walk, offset: int, tags: PlainTags) -> None:
        one = tags.valueof
        self.parent, self.offset, self.tags = _Parent(walk.order), offset, tags
        self.imagelength, self.imagewidth = one(_HEIGHT), one(_WIDTH)
        self.samplesperpixel, self.photometric = one(_SAMPLES), one(_PHOTOMETRIC)
        self.compression, self.predictor = one(_COMPRESSION), one(_PREDICTOR, 1)
        self.planarconfig, self.bitspersample = one(_PLANES, 1), _first(one(_BITS))
        self.sampleformat = _first(one(_KIND, 1))
        kind = {1: "u", 2: "i", 3: "f"}.get(self.sampleformat, "V")
        self.dtype = np.dtype(f"{kind}{self.bitspersample // 8}")
        self.is_tiled = _TILE_WIDTH in tags
        self.tilelength, self.tilewidth = one(_TILE_HEIGHT, 0), one(_TILE_WIDTH, 0)
        self.rowsperstrip = min(one(_ROWS, 0), self.imagelength)
        self.dataoffsets, self.databytecounts = (
            _listed(one(code)) for code in (_TILES if self.is_tiled else _STRIPS)
        )
        self.extrasamples, self.jpegtables = _listed(one(_EXTRA, ())), one(_JPEG_TABLES)
        self.subsampling = one(_SUBSAMPLING)


class _Parent(NamedTuple):
    """The file of a page."""

    byteorder: str


def plain_page(walk: Walk, directory: Directory) -> PlainPage | None:
    """Return the tags of a page, None if it is not plain."""
    rows = walk.table(directory.position).rows
    entries = dict(rows)
    if (
        walk.head_bytes != 8
        or walk.ndpi
        or len(entries) < len(rows)
        or not entries.keys() >= _NEEDED
    ):
        return None
    tags = PlainTags()
    for code, entry in rows:
        tag = _tag(walk, code, entry)
        if tag is None:
            return None
        tags[code] = tag
    return PlainPage(walk, directory.position, tags) if _is_plain(tags) else None


def _tag(walk: Walk, code: int, entry: Entry) -> PlainTag | None:
    """Return a tag, None if a plain page may not have it."""
    kind, count = entry.kind, entry.values
    if code in _NUMBERS:
        known = kind in (_SHORT, _LONG) and count == 1
    elif code in (*_STRIPS, *_TILES):
        known = kind in (_SHORT, _LONG) and 1 <= count <= _MOST_SEGMENTS
    elif code in (_BITS, _KIND, _EXTRA, _SUBSAMPLING):
        known = kind == _SHORT and 1 <= count <= _MOST_SAMPLES
    elif code in (282, 283):
        known = kind == _RATIO and count == 1
    else:
        known = code in (_JPEG_TABLES, _ICC) and kind == _BYTES and count > 0
    place = walk.place(entry)
    data = walk.data(entry) if known and not 0 < place < walk.head_bytes else b""
    if not data:
        return None
    value: Any = data
    if kind != _BYTES:
        number = {_SHORT: "H", _LONG: "I", _RATIO: "I"}[kind]
        value = struct.unpack(f"{walk.order}{len(data) // struct.calcsize(number)}{number}", data)
        value = value[0] if len(value) == 1 else value
    if code in _CHOICES and value not in _CHOICES[code]:
        return None
    return PlainTag(kind, count, place, value)


def _is_plain(tags: PlainTags) -> bool:
    """Return whether tags that are valid one by one fit each other."""
    one = tags.valueof
    samples, height, width = one(_SAMPLES), one(_HEIGHT), one(_WIDTH)
    bits, kinds = _listed(one(_BITS)), _listed(one(_KIND, 1))
    tiled = _TILE_WIDTH in tags
    sides = (one(_TILE_HEIGHT, 0), one(_TILE_WIDTH, 0)) if tiled else (one(_ROWS, 0), width)
    own, others = (_TILES, (*_STRIPS, _ROWS)) if tiled else (_STRIPS, (*_TILES, _TILE_HEIGHT))
    if min(height, width, samples, *sides) < 1 or any(code in tags for code in others):
        return False
    pairs = {(kind, size) for kind in kinds for size in bits}
    if len(pairs) > 1 or not pairs <= {
        *((kind, size) for kind in (1, 2, 3) for size in (16, 32, 64)), (1, 8), (2, 8)
    }:  # fmt: skip
        return False
    alike = all(len(found) in (1, samples) for found in (bits, kinds))
    segments = -(-height // sides[0]) * -(-width // sides[1])
    segments *= samples if one(_PLANES, 1) == 2 else 1
    whole = all(code in tags and tags[code].count == segments for code in own)
    colours = one(_COMPRESSION) == _JPEG, one(_PHOTOMETRIC) == _YCBCR
    jpeg = colours == (True, True) and samples == 3 and _JPEG_TABLES in tags and bits[0] == 8
    return alike and whole and (jpeg or colours == (False, False))


def _listed(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _first(value: Any) -> int:
    return _listed(value)[0]
