"""Levels of a pyramid: each has half the pixels of the one before along both sides.

A pixel is the mean of up to four pixels, rounded half to even. Colours count by their alpha, and
pixels without data do not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np

from imgpipe.formats.raw import RawPlacer
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Metadata, Pixels
from imgpipe.records import dataclass

__all__ = ["Reducer", "halved", "levels_of"]

_WIDE = 4  # bytes of integers that have no type for sums
_BAND_SAMPLES = 1 << 17


def levels_of(info: ImageInfo, tile: tuple[int, int]) -> Iterator[ImageInfo]:
    """Yield the levels of an image, down to one of a single tile."""
    while info.height > tile[0] or info.width > tile[1]:
        height, width = -(-info.height // 2), -(-info.width // 2)
        info = replace(info, height=height, width=width, metadata=Metadata())
        yield info


@dataclass(frozen=True)
class Reducer:
    """Writer of boxes at half their size, to a scratch file.

    Attributes
    ----------
    info : ImageInfo
        The image.
    scratch : RawPlacer
        Takes the next level.
    """

    info: ImageInfo
    scratch: RawPlacer

    def place(self, box: Box, pixels: Pixels) -> None:
        """Write `pixels` of `box`, whose first row and column are even."""
        rows = max(1, _BAND_SAMPLES // (2 * box.width * self.info.channels)) * 2
        for band in box.cut(rows, box.width):
            small = halved(pixels[band.within(box)], self.info)
            y, x = band.y0 // 2, band.x0 // 2
            self.scratch.place(Box(y, x, y + small.shape[0], x + small.shape[1]), small)


def halved(pixels: Pixels, info: ImageInfo) -> Pixels:
    """Return an image at half its size; the last row or column of an odd number counts alone.

    Parameters
    ----------
    pixels : ndarray, shape (rows, columns, channels)
        The image.
    info : ImageInfo
        Its alpha, and its value of pixels without data.

    Returns
    -------
    ndarray, shape (rows / 2, columns / 2, channels), rounded up
    """
    rows, columns = (length % 2 for length in pixels.shape[:2])
    if rows or columns:
        pixels = np.pad(pixels, ((0, rows), (0, columns), (0, 0)), mode="edge")
    if info.alpha is not None:
        return _weighted(pixels, info.alpha)
    if info.nodata is not None or pixels.dtype.kind == "f":
        return _of_data(pixels, info.nodata)
    if pixels.itemsize < _WIDE:
        return _of_small(pixels)
    rest = _sums(pixels & 3)  # the sum itself may not fit
    return _sums(pixels >> 2) + _divided(rest, 4, _sums(pixels >> 2))


def _of_small(pixels: Pixels) -> Pixels:
    """Return the means of integers of 8 or 16 bits.

    Every pixel is added to its right neighbour, although only every second sum is needed: this goes
    through memory in one piece.
    """
    rows, columns, channels = pixels.shape
    wide = np.uint16 if pixels.dtype == np.uint8 else np.int32
    tall = np.add(pixels[::2], pixels[1::2], dtype=wide).reshape(-1)
    total = tall[:-channels] + tall[channels:]
    mean = total >> 2
    mean &= 1  # so that a half goes to the even one
    mean += total
    mean += 1
    mean >>= 2
    made = np.empty(tall.shape, pixels.dtype)
    np.copyto(made[:-channels], mean, casting="unsafe")
    return np.ascontiguousarray(made.reshape(rows // 2, columns // 2, -1)[..., :channels])


def _sums(pixels: Pixels) -> Pixels:
    """Return the sums of two by two pixels."""
    tall: Pixels = pixels[::2] + pixels[1::2]
    return cast(Pixels, tall[:, ::2] + tall[:, 1::2])


def _divided(total: Pixels, by: Any, base: Any = 0) -> Pixels:
    """Return quotients of integers, rounded half to even; `base` is added to them later."""
    quotient: Pixels = total // by
    twice = 2 * (total - quotient * by)
    odd = (quotient + base) & 1
    up = (twice > by) | ((twice == by) & (odd == 1))
    return cast(Pixels, quotient + up.astype(quotient.dtype))


def _of_data(pixels: Pixels, nodata: float | None) -> Pixels:
    """Return the means of the pixels with data, or the value of pixels without where all are."""
    dtype, empty = pixels.dtype, nodata
    there = np.ones(pixels.shape, bool) if nodata is None else pixels != nodata
    if dtype.kind == "f":
        there &= ~np.isnan(pixels)
        empty = np.nan if nodata is None else nodata
    counts = _sums(there.astype(np.uint8))
    some = np.maximum(counts, 1)
    whole: Pixels = np.where(there, pixels, 0).astype(_working(dtype))
    if whole.dtype.kind == "i":
        means = _divided(_sums(whole), some.astype(np.int64)).astype(dtype)
    else:
        means = _fitted(_sums(whole / 4) * (4 / some), dtype)
    if not counts.all():
        means[counts == 0] = empty
    return means


def _weighted(pixels: Pixels, alpha: int) -> Pixels:
    """Return the means of colours, each weighted by its alpha, and the means of alpha."""
    dtype = pixels.dtype
    weights: Pixels = pixels[..., alpha : alpha + 1].astype(_working(dtype))
    total = _sums(weights)
    seen = np.where(weights == 0, 0, pixels)  # hidden values may be NaN
    colours = _sums(seen.astype(weights.dtype) * weights)
    some = np.where(total == 0, 1, total)
    if weights.dtype.kind == "i":
        made, mean = _divided(colours, some).astype(dtype), _divided(total, 4).astype(dtype)
    else:
        made, mean = _fitted(colours / some, dtype), _fitted(total / 4, dtype)
    made[..., alpha : alpha + 1] = mean
    return made


def _working(dtype: np.dtype[Any]) -> type:
    """Return the type for sums of products: exact for integers of up to 16 bits."""
    return np.int64 if dtype.kind in "iu" and dtype.itemsize < _WIDE else np.float64


def _fitted(values: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Return floats in another type, rounded and within the limits of integers."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, np.nextafter(float(limits.max) + 1, 0))
    with np.errstate(over="ignore"):
        return values.astype(dtype)
