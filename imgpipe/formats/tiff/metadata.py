"""Metadata of a page, in terms that no format owns.

A damaged entry of metadata is left out with a warning; the image is read all the same.
"""

from __future__ import annotations

import logging
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from imgpipe.exif import Exif, Field
from imgpipe.formats.tiff.directories import Walk
from imgpipe.geo import GEO_TAGS, Geo
from imgpipe.metadata import Metadata, density_from_dpi, density_from_metres

if TYPE_CHECKING:
    from tifffile import TiffPage

__all__ = ["SLIDES", "metadata_of", "nodata_of"]

_log = logging.getLogger(__name__)

_INCH, _CENTIMETRE = 2, 3
_LONG, _RECORD = 4, b"\x1c"
_XMP, _ICC, _ORIENTATION, _NODATA, _IPTC = 700, 34675, 274, 42113, 33723
_DETAIL, _GPS, _INTEROP = 34665, 34853, 40965
_DESCRIPTION = 270
_DESCRIBING = (
    *(269, _DESCRIPTION, 271, 272, 285, 305, 306, 315, 316, 33432),
    *range(40091, 40096),  # title, comment, author, keywords and subject of Windows
)
"""Tags that say something in words: names, makers, dates, rights."""

SLIDES = frozenset({"avs", "bif", "indica", "ndpi", "philips", "qpi", "scn", "svs"})
"""Variants of slide scanners, whose texts may name a patient."""

_STRUCTURAL = SLIDES | {
    *("astrotiff", "eer", "fluoview", "imagej", "metaseries", "micromanager", "mmstack"),
    *("ndtiff", "ome", "pilatus", "scanimage", "shaped", "sis", "streak", "tvips"),
}
"""Variants whose description is of the pages of the file."""


def metadata_of(page: TiffPage, walk: Walk, name: str) -> Metadata:
    """Return the metadata of a page.

    Parameters
    ----------
    page : TiffPage
        Its tags.
    walk : Walk
        The walk over the file, for tags that are carried as they are.
    name : str
        The file, for warnings.
    """
    orientation = page.tags.valueof(_ORIENTATION, 1)
    icc, xmp = page.tags.valueof(_ICC), page.tags.valueof(_XMP)
    iptc = walk.fields(page.offset).get(_IPTC)
    if SLIDES & set(page.flags):
        xmp = iptc = None
    upright = int(orientation) if orientation in range(1, 9) else 1
    found = Metadata(
        icc=icc if isinstance(icc, bytes) and icc[36:40] == b"acsp" else None,
        exif=_exif(page, walk),
        xmp=xmp if isinstance(xmp, bytes) and xmp.strip(b"\0 ") else None,
        iptc=_records(iptc),
        geo=_geo(page, name),
        **_density(page),
    )
    return found.completed(name, orientation=upright)


def _records(field: Field | None) -> bytes | None:
    """Return IPTC records, which some programs call numbers of 4 bytes, and swap them as such."""
    if field is None or not field.data.strip(b"\0"):
        return None
    data = field.data
    if field.type == _LONG and not data.startswith(_RECORD):
        swapped = b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))
        data = swapped if swapped.startswith(_RECORD) else data
    return data


def nodata_of(page: TiffPage, name: str) -> float | None:
    """Return the value of pixels without data, as GDAL declares it."""
    text = page.tags.valueof(_NODATA)
    if not isinstance(text, str) or not text.strip("\0 "):
        return None
    try:
        return float(text.strip("\0 ").replace(",", "."))
    except ValueError:
        _log.warning("%s: ignored the value %r for pixels without data", name, text[:20])
        return None


def _exif(page: TiffPage, walk: Walk) -> bytes | None:
    """Return the describing tags of a page, and its EXIF and GPS tags, as an EXIF block."""
    fields = walk.fields(page.offset)
    kept = set(_DESCRIBING)
    if _STRUCTURAL & set(page.flags):
        kept.discard(_DESCRIPTION)
    main = {tag: field for tag, field in fields.items() if tag in kept}
    detail, gps = _below(walk, fields, _DETAIL), _below(walk, fields, _GPS)
    interop = _below(walk, detail, _INTEROP)
    detail.pop(_INTEROP, None)
    if not (main or detail or gps):
        return None
    return Exif(walk.order, main, detail, gps, interop).block()


def _below(walk: Walk, fields: dict[int, Field], tag: int) -> dict[int, Field]:
    """Return the fields of a directory that a tag points to; none if there is no such tag."""
    if tag not in fields:
        return {}
    position = fields[tag].values(walk.order)[0]
    return walk.fields(position) if isinstance(position, int) else {}


def _geo(page: TiffPage, name: str) -> Geo | None:
    tags = {code: page.tags.valueof(code) for code in GEO_TAGS if code in page.tags}
    try:
        return Geo.of_tags(tags)
    except ValueError as error:
        _log.warning("%s: ignored its georeference: %s", name, error)
        return None


def _density(page: TiffPage) -> dict[str, Any]:
    x, y = (_fraction(page.tags.valueof(code)) for code in (282, 283))
    if x is None or y is None:
        return {}
    unit = page.tags.valueof(296, _INCH)
    if unit == _INCH:
        return {"pixels_per_metre": density_from_dpi(x, y)}
    if unit == _CENTIMETRE:
        return {"pixels_per_metre": density_from_metres(100 * x, 100 * y)}
    ratio = x / y
    return {} if ratio == 1 else {"pixel_aspect": (ratio.numerator, ratio.denominator)}


def _fraction(value: Any) -> Fraction | None:
    if not isinstance(value, tuple) or len(value) != 2 or not value[1] or not value[0]:
        return None
    return Fraction(int(value[0]), int(value[1]))
