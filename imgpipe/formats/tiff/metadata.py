"""Metadata of a page, in terms that no format owns."""

from __future__ import annotations

import logging
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from imgpipe.metadata import Metadata, density_from_dpi, density_from_metres

if TYPE_CHECKING:
    from tifffile import TiffPage

__all__ = ["metadata_of", "nodata_of"]

_log = logging.getLogger(__name__)
_INCH, _CENTIMETRE = 2, 3


def metadata_of(page: TiffPage, name: str) -> Metadata:
    """Return the metadata of a page; what is damaged is left out with a warning."""
    orientation = page.tags.valueof(274, 1)
    icc, xmp = page.tags.valueof(34675), page.tags.valueof(700)
    return Metadata(
        icc=icc if isinstance(icc, bytes) and icc[36:40] == b"acsp" else None,
        xmp=xmp if isinstance(xmp, bytes) and xmp else None,
        orientation=int(orientation) if orientation in range(1, 9) else 1,
        **_density(page),
    )


def nodata_of(page: TiffPage, dtype: np.dtype[Any], name: str) -> float | None:
    """Return the value of pixels without data, as GDAL declares it."""
    text = page.tags.valueof(42113)
    if not isinstance(text, str) or not text.strip("\0 "):
        return None
    try:
        return float(text.strip("\0 ").replace(",", "."))
    except ValueError:
        _log.warning("%s: ignored the value %r for pixels without data", name, text[:20])
        return None


def _density(page: TiffPage) -> dict[str, Any]:
    x, y = (_fraction(page.tags.valueof(code)) for code in (282, 283))
    if x is None or y is None:
        return {}
    unit = int(page.tags.valueof(296, _INCH))
    if unit == _INCH:
        return {"pixels_per_metre": density_from_dpi(x, y)}
    if unit == _CENTIMETRE:
        return {"pixels_per_metre": density_from_metres(100 * x, 100 * y)}
    ratio = x / y
    return {"pixel_aspect": (ratio.numerator, ratio.denominator)}


def _fraction(value: Any) -> Fraction | None:
    if not isinstance(value, tuple) or len(value) != 2 or not value[1] or not value[0]:
        return None
    return Fraction(int(value[0]), int(value[1]))
