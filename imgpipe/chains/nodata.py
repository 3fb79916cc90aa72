"""Nodata: pixels without data, which are treated like pixels with alpha 0.

They have the `nodata` value of the image in all channels before alpha, or a NaN in any. Filters
leave them where they are, and their neighbours are made as if they were not there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from imgpipe.image import ImageInfo, Pixels
from imgpipe.values import as_declared, full_scale, has_nan

__all__ = ["divided", "marked", "nodata_after", "with_data", "without_data"]

_LEAST = 1e-12  # of the whole weight: rounding may leave that much of 0


def without_data(pixels: Pixels, info: ImageInfo) -> Pixels | None:
    """Return a mask of the pixels without data, shape (rows, columns); None if there are none."""
    assert info.nodata is not None
    colours = pixels if info.alpha is None else pixels[..., : info.alpha]
    planes = [colours[..., channel] for channel in range(colours.shape[2])]
    absent = None
    if not np.isnan(info.nodata):
        value = pixels.dtype.type(info.nodata)
        equal = planes[0] == value
        if equal.any():
            absent = equal
            for plane in planes[1:]:
                absent &= plane == value
    if pixels.dtype.kind == "f" and has_nan(pixels):
        absent = np.zeros(pixels.shape[:2], bool) if absent is None else absent
        for plane in planes:
            absent |= np.isnan(plane)
    return absent if absent is not None and absent.any() else None


def with_data(chunk: Pixels, info: ImageInfo) -> Pixels:
    """Return a chunk, or if some of its pixels are without data the others.

    These have the shape (1, number of them, channels).
    """
    absent = without_data(chunk, info)
    return chunk if absent is None else chunk[~absent][None]


def nodata_after(nodata: float | None, dtype: np.dtype[Any]) -> float | None:
    """Return the value of pixels without data in an image of `dtype`.

    The same number where it is one of that type, else the least one; none for NaN.
    """
    if nodata is None or dtype.kind == "f":
        return nodata
    if np.isnan(nodata):
        return None
    limits = np.iinfo(dtype)
    if np.isfinite(nodata) and nodata == int(nodata) and limits.min <= nodata <= limits.max:
        return nodata
    return float(limits.min)


def marked(made: Pixels, absent: Pixels, info: ImageInfo) -> Pixels:
    """Return a chunk whose pixels are without data where `absent` says so."""
    assert info.nodata is not None
    if not absent.any():
        return made
    out = np.array(made)
    value = out.dtype.type(info.nodata)
    for channel in range(out.shape[2] - (info.alpha is not None)):
        np.copyto(out[..., channel], value, where=absent)
    return out


def divided(
    mixed: Pixels, given: np.dtype[Any], dtype: np.dtype[Any], name: str
) -> tuple[Pixels, Pixels]:
    """Return averages of the pixels with data, and the share of the weights that they have.

    Parameters
    ----------
    mixed : ndarray, shape (rows, columns, channels + 1)
        The result of a filter for `transparency.premultiplied` pixels of an image of type `given`,
        whose alpha says which have data.
    given, dtype : numpy.dtype
        The type of the image, and of the result.
    name : str
        The filter, for messages.

    Returns
    -------
    ndarray of `dtype`, shape (rows, columns, channels)
        0 where there are none.
    ndarray, shape (rows, columns)
        From 0 to 1.
    """
    real = np.result_type(mixed, np.float32)
    share = mixed[..., -1].astype(real) / real.type(full_scale(given) ** 2)
    some = np.where(share > _LEAST, mixed[..., -1], 1)
    colour = np.empty((*mixed.shape[:2], mixed.shape[2] - 1), real)
    for channel in range(colour.shape[2]):
        plane = colour[..., channel]
        np.divide(mixed[..., channel], some, out=plane)
        np.multiply(plane, full_scale(dtype), out=plane)
        np.copyto(plane, 0, where=share <= _LEAST)
    return as_declared(colour, dtype, name), share
