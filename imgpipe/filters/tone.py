"""Tone: filters that look at one value at a time."""

from __future__ import annotations

from typing import Annotated, cast

import numpy as np

from imgpipe.filters.base import filter
from imgpipe.filters.parameters import Between
from imgpipe.filters.values import full_scale
from imgpipe.image import Pixels

__all__ = ["autocontrast", "invert"]


@filter(halo=0)
def invert(chunk: Pixels) -> Pixels:
    """Invert every value: white becomes black.

    ``maximum - value``, where the maximum is that of the dtype, and 1 for floats.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any dtype.

    Returns
    -------
    ndarray
        Of the same dtype.
    """
    return cast(Pixels, np.subtract(chunk.dtype.type(full_scale(chunk.dtype)), chunk))


def _extremes(chunk: Pixels, *, cutoff: float) -> Pixels:
    """Return what one chunk tells of each channel.

    Integers give a histogram, shape (channels, levels); floats the extremes, shape (channels, 2).
    """
    channels = chunk.shape[2]
    if chunk.dtype.kind == "f":
        flat = chunk.reshape(-1, channels)
        return np.stack([flat.min(axis=0), flat.max(axis=0)], axis=1)
    levels = int(full_scale(chunk.dtype)) + 1
    return np.stack([np.bincount(chunk[..., c].ravel(), minlength=levels) for c in range(channels)])


def _merge_extremes(one: Pixels, other: Pixels) -> Pixels:
    if one.dtype.kind != "f":
        return one + other
    low = np.minimum(one[:, 0], other[:, 0])
    return np.stack([low, np.maximum(one[:, 1], other[:, 1])], axis=1)


@filter(halo=0, measure=_extremes, merge=_merge_extremes)
def autocontrast(
    chunk: Pixels,
    *,
    measured: Pixels,
    cutoff: Annotated[float, Between(0, 49), "percent of the values to clip at each end"] = 0.0,
) -> Pixels:
    """Stretch each channel to the full range of values.

    ``(value - low) * maximum / (high - low)``, saturated. `low` and `high` are the extremes of
    the channel in the whole image, once `cutoff` percent of the values are set aside at each
    end. A channel of one value stays as it is.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any dtype. The extremes of floats are always exact: `cutoff` is for integers.
    measured : ndarray
        Histograms or extremes of the whole image.
    cutoff : float
        Percent of the values to clip at each end, 0 to 49.

    Returns
    -------
    ndarray
        Of the same dtype.
    """
    maximum = full_scale(chunk.dtype)
    if measured.dtype.kind == "f":
        ends = [(float(low), float(high)) for low, high in measured]
    else:
        ends = [_ends(histogram, cutoff) for histogram in measured]
    out = np.empty(chunk.shape, np.float64 if chunk.dtype.itemsize > 2 else np.float32)
    for channel, (low, high) in enumerate(ends):
        scale = maximum / (high - low) if high > low else 1.0
        offset = low if high > low else 0.0
        np.multiply(chunk[..., channel] - out.dtype.type(offset), scale, out=out[..., channel])
    return np.clip(out, 0, maximum, out=out)


def _ends(histogram: Pixels, cutoff: float) -> tuple[float, float]:
    """Return the lowest and the highest level once `cutoff` percent are set aside at each end."""
    total = int(histogram.sum())
    aside = int(total * cutoff / 100)
    below = np.cumsum(histogram)
    return (
        float(np.searchsorted(below, aside, side="right")),
        float(np.searchsorted(below, total - aside, side="left")),
    )
