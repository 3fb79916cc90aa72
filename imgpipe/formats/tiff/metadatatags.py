"""Tags for the metadata of an image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from imgpipe import exif
from imgpipe.density import METRES_PER_INCH
from imgpipe.exif.fields import DETAIL, GPS, INTEROP, Field
from imgpipe.formats.tiff.tags import (
    BYTE,
    Directory,
    Tag,
    doubles,
    opaque,
    rationals,
    shorts,
    text,
)
from imgpipe.image import ImageInfo

__all__ = ["NODATA", "described"]

_X, _Y, _UNIT, _NO_UNIT, _INCH = 282, 283, 296, 1, 2
_ORIENTATION, _WHITE, _PRIMARIES, _XMP, _ICC, NODATA = 274, 318, 319, 700, 34675, 42113
_IPTC = 33723
_GEO_KEYS = 34735

# Tags of an EXIF block that describe the picture, the scene and the camera; all others of its first
# directory are about the storage of pixels that are not these, or stand elsewhere in the metadata.
_KEPT = frozenset(
    (
        269, 270, 271, 272, 285, 305, 306, 315, 316, 33432, 33421, 33422, 33434, 33437,
        34850, 34852, 34855, 36867, 37377, 37378, 37380, 37381, 37382, 37383, 37384, 37385,
        37386, 37399, 40091, 40092, 40093, 40094, 40095, 18246, 18249, 50341,
    )
)  # fmt: skip
_WIDTHS = {3: 2, 8: 2, 4: 4, 9: 4, 11: 4, 13: 4, 5: 4, 10: 4, 12: 8}  # of the types, in bytes


def described(info: ImageInfo) -> Directory:
    """Return the tags of all metadata that a TIFF file can hold."""
    metadata, made = info.metadata, Directory()
    if metadata.exif is not None:
        _add_exif(made, metadata.exif)
    for each in metadata.texts:
        if each.keyword in exif.TEXT_TAGS:
            made.tags.setdefault(exif.TEXT_TAGS[each.keyword], text(each.text))
    made.tags[_ORIENTATION] = shorts(metadata.orientation)
    made.tags |= _density(info)
    if metadata.chromaticities is not None and min(metadata.chromaticities) >= 0:
        x = [Fraction(value).limit_denominator(1_000_000) for value in metadata.chromaticities]
        made.tags |= {_WHITE: rationals(*x[:2]), _PRIMARIES: rationals(*x[2:])}
    if metadata.xmp is not None:
        made.tags[_XMP] = opaque(metadata.xmp, kind=BYTE)
    blocks = {_IPTC: metadata.iptc, _ICC: metadata.icc}
    made.tags |= {code: opaque(block) for code, block in blocks.items() if block is not None}
    if metadata.geo is not None:
        for code, value in metadata.geo.tags().items():
            made.tags[code] = _geo(code, value)
    if info.nodata is not None:
        made.tags[NODATA] = text(_number(info.nodata))
    return made


def _density(info: ImageInfo) -> dict[int, Tag]:
    """Return the resolution, in pixels per inch where its unit is known."""
    metadata = info.metadata
    if metadata.pixels_per_metre is not None:
        x, y = (value * METRES_PER_INCH for value in metadata.pixels_per_metre)
        return {_X: rationals(x), _Y: rationals(y), _UNIT: shorts(_INCH)}
    if metadata.pixel_aspect is not None:
        x, y = map(Fraction, metadata.pixel_aspect)
        return {_X: rationals(x), _Y: rationals(y), _UNIT: shorts(_NO_UNIT)}
    return {}


def _geo(code: int, value: tuple[float, ...] | tuple[int, ...] | str) -> Tag:
    if isinstance(value, str):
        return text(value)
    return shorts(*map(int, value)) if code == _GEO_KEYS else doubles(*value)


def _number(value: float) -> str:
    """Return a number as GDAL writes it."""
    return "nan" if math.isnan(value) else f"{value:.17g}"


def _add_exif(made: Directory, block: bytes) -> None:
    """Add the fields of an EXIF block; other bytes add nothing."""
    try:
        found = exif.parse(block)
    except ValueError:
        return
    kept = {code: field for code, field in found.main.items() if code in _KEPT}
    made.tags |= _swapped(kept, found.order)
    detail = Directory(_swapped(found.detail, found.order))
    if found.interop:
        detail.below[INTEROP] = [Directory(_swapped(found.interop, found.order))]
    if detail.tags or detail.below:
        made.below[DETAIL] = [detail]
    if found.gps:
        made.below[GPS] = [Directory(_swapped(found.gps, found.order))]


def _swapped(fields: Mapping[int, Field], order: str) -> dict[int, Tag]:
    """Return fields in little-endian byte order."""
    made = {}
    for code, each in fields.items():
        data, width = each.data, _WIDTHS.get(each.type, 1)
        if order == ">" and width > 1:
            data = np.frombuffer(data, f">u{width}").astype(f"<u{width}").tobytes()
        made[code] = Tag(each.type, each.count, data)
    return made
