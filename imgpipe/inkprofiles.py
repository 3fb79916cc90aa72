"""Colour profiles of inks (ICC): CMYK as it was measured on paper, converted to sRGB.

LittleCMS converts: for 8 bits by way of Pillow, which keeps a transform, and for 16 bits by way of
imagecodecs, which makes a new one for every chunk.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np

from imgpipe.image import ImageInfo, Pixels

__all__ = ["is_profiled", "rgb_by_profile"]

_RELATIVE, _BLACK_POINT = 1, 0x2000  # intent and flag of LittleCMS
_SPACE = slice(16, 20)  # of the header


def is_profiled(info: ImageInfo) -> bool:
    """Return whether the colour profile of a CMYK image can be used to convert it.

    It must be a sound profile of CMYK, and the values must be of 8 or 16 bits.
    """
    icc = info.metadata.icc
    fits = info.colour == "cmyk" and info.dtype in (np.uint8, np.uint16)
    return fits and icc is not None and _transform(icc) is not None


def rgb_by_profile(chunk: Pixels, icc: bytes) -> Pixels:
    """Return inks as sRGB: relative colorimetric, with black point compensation.

    Parameters
    ----------
    chunk : ndarray of uint8 or uint16, shape (rows, columns, 4)
        Cyan, magenta, yellow and black; 0 is no ink.
    icc : bytes
        Their colour profile.

    Returns
    -------
    ndarray, shape (rows, columns, 3)
        The same type.

    References
    ----------
    .. [1] ISO 15076-1:2010, image technology colour management.
    """
    if chunk.dtype == np.uint8:
        from PIL import Image, ImageCms  # noqa: PLC0415 - rarely needed

        transform = _transform(icc)
        assert transform is not None
        size, data = chunk.shape[1::-1], np.ascontiguousarray(chunk)
        image = Image.frombuffer("CMYK", size, data, "raw", "CMYK", 0, 1)
        return np.asarray(ImageCms.applyTransform(image, transform))
    from imagecodecs import cms_profile, cms_transform  # noqa: PLC0415 - rarely needed

    made: Pixels = cms_transform(
        np.ascontiguousarray(chunk),
        icc,
        cms_profile("srgb"),
        colorspace="cmyk",
        outcolorspace="rgb",
        intent=_RELATIVE,
        flags=_BLACK_POINT,
    )
    return made


@lru_cache(maxsize=2)
def _transform(icc: bytes) -> Any:
    """Return the transform of Pillow from a profile of CMYK to sRGB; None if there is none."""
    if icc[_SPACE] != b"CMYK":
        return None
    from PIL import ImageCms  # noqa: PLC0415 - rarely needed

    try:
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            "CMYK",
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, ImportError, OSError, TypeError, ValueError):
        return None
