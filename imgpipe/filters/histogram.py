"""Histograms: filters that count the levels of the whole image first.

Integers of 8 and 16 bits are counted level by level, signed ones from their least value on. Floats
are sorted into 65,536 levels between 0 and 1, where what lies outside counts as 0 or 1, and NaN not
at all. Results are on the scale of all filters: integers from 0, black, to their maximum.
"""

from __future__ import annotations

import zlib
from functools import cached_property, lru_cache
from typing import Annotated, Any, cast

import numpy as np

from imgpipe.chains.decorator import filter
from imgpipe.errors import UsageError
from imgpipe.image import Pixels
from imgpipe.kernels.lookup import flat_values, looked_up
from imgpipe.parameters import Between
from imgpipe.records import dataclass
from imgpipe.values import full_scale, settle, to_unsigned

__all__ = ["autocontrast", "equalize", "otsu"]

_TOP = 65535  # the highest level of floats
_COUNTED = 2  # bytes of integers whose levels are counted

Ends = tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Histogram:
    """Number of values at each level, for each channel.

    It can be hashed, so that tables for all chunks are worked out once.

    Attributes
    ----------
    counts : ndarray of int64, shape (channels, levels)
        The numbers.
    outside : int
        The number of floats that are not between 0 and 1.
    """

    counts: Pixels
    outside: int = 0

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(self.counts + other.counts, self.outside + other.outside)

    @property
    def warning(self) -> str:
        """The warning about the measured image, or nothing."""
        if 2 * self.outside <= self.counts.sum():
            return ""
        return (
            "most values are below 0 or above 1, and are counted as 0 or 1; "
            "convert the image first, for example by astype:float32,measured"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram) or self.outside != other.outside:
            return False
        return np.array_equal(self.counts, other.counts)

    def __hash__(self) -> int:
        return self._digest

    @cached_property
    def _digest(self) -> int:
        return zlib.crc32(np.ascontiguousarray(self.counts).data)


def _counted(chunk: Pixels, /, **_: Any) -> Histogram:
    """Return the histogram of one chunk."""
    if chunk.dtype.kind in "iu":
        if chunk.itemsize > _COUNTED:
            raise UsageError(
                "equalize, otsu, and autocontrast with a cutoff count levels, and "
                f"{chunk.dtype} has too many; convert the image first, for example by "
                "astype:uint16,measured"
            )
        chunk = to_unsigned(chunk)
    planes = [chunk[..., channel] for channel in range(chunk.shape[2])]
    if chunk.dtype == np.uint8:
        return Histogram(np.stack([_count_pairs(plane) for plane in planes]))
    if chunk.dtype.kind == "f":
        values = [_levels_of(plane[~np.isnan(plane)]) for plane in planes]
        outside = int(np.count_nonzero((chunk < 0) | (chunk > 1)))
    else:
        values, outside = [plane.ravel() for plane in planes], 0
    return Histogram(np.stack([np.bincount(one, minlength=_TOP + 1) for one in values]), outside)


def _count_pairs(plane: Pixels) -> Pixels:
    """Count uint8 values two at a time, which halves the steps."""
    values = plane.ravel()
    paired = values.size // 2 * 2
    pairs = np.bincount(values[:paired].view(np.uint16), minlength=2**16).reshape(256, 256)
    pairs = pairs.astype(np.uint32)  # half the memory to go through: a chunk has fewer pixels
    counts = (pairs.sum(axis=0, dtype=np.uint32) + pairs.sum(axis=1, dtype=np.uint32)).astype(int)
    counts[values[paired:]] += 1
    return cast(Pixels, counts)


def _levels_of(values: Pixels) -> Pixels:
    """Return the levels of floats that are not NaN."""
    working = np.result_type(values, np.float32)  # float16 does not hold the highest level
    levels = np.multiply(np.clip(values, 0, 1), _TOP, dtype=working)
    return cast(Pixels, np.rint(levels, out=levels).astype(np.uint16))


# --- equalize ---------------------------------------------------------------------------


@filter(halo=0, measure=_counted, merge=Histogram.__add__)
def equalize(chunk: Pixels, *, measured: Histogram) -> Pixels:
    """Equalize the histogram of each channel.

    Every value becomes ``white * share``, where `share` is the share of the values of the channel,
    in the whole image, that are not above it. Floats are sorted into 65,536 levels from 0 to 1;
    NaN stays NaN. Convert floats with another range, and integers of 32 and 64 bits, first, for
    example by ``astype:float32,measured``.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers of 8 or 16 bits, or float.

    Returns
    -------
    ndarray
        The same type; integers are rounded half to even.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 3.3.
    """
    if chunk.dtype.kind in "iu":
        return looked_up(to_unsigned(chunk), _equalizing(measured, chunk.dtype.name)).view(
            chunk.dtype
        )
    shares, out = _shares(measured), np.empty_like(chunk)
    for channel, share in enumerate(shares):
        plane = chunk[..., channel]
        nothing = np.isnan(plane)
        out[..., channel] = share[_levels_of(np.where(nothing, 0, plane))]
        out[..., channel][nothing] = np.nan
    return out


@lru_cache(maxsize=4)
def _shares(histogram: Histogram) -> Pixels:
    below = np.cumsum(histogram.counts, axis=1)
    return cast(Pixels, below / np.maximum(below[:, -1:], 1))


@lru_cache(maxsize=4)
def _equalizing(histogram: Histogram, dtype: str) -> Pixels:
    return _tables(_shares(histogram) * full_scale(dtype), dtype)


def _tables(values: Pixels, dtype: str) -> Pixels:
    """Return the tables of the results for all levels, to be viewed as `dtype`."""
    rounded = np.rint(values).astype(dtype)
    return rounded.view(f"u{rounded.itemsize}")


# --- autocontrast -----------------------------------------------------------------------


def _extremes(chunk: Pixels, /, *, cutoff: float) -> Histogram | Pixels:
    """Return the ends of each channel in one chunk.

    A histogram where values are to be set aside, else the extremes, shape (channels, 2). NaN and
    infinity are no extremes of anything else.
    """
    if cutoff:
        return _counted(chunk)
    if chunk.dtype.kind == "f" and not np.isfinite(chunk).all():
        chunk = np.where(np.isfinite(chunk), chunk, chunk.dtype.type(np.nan))
    low = np.fmin.reduce(np.fmin.reduce(chunk, axis=0), axis=0)
    high = np.fmax.reduce(np.fmax.reduce(chunk, axis=0), axis=0)
    # Adding 0 makes 0 of -0: which of them is the less depends on their order.
    return cast(Pixels, np.stack([low, high], axis=1) + chunk.dtype.type(0))


def _merged(one: Histogram | Pixels, other: Histogram | Pixels) -> Histogram | Pixels:
    if isinstance(one, Histogram):
        return one + cast(Histogram, other)
    assert not isinstance(other, Histogram)
    low = np.fmin(one[:, 0], other[:, 0])
    return np.stack([low, np.fmax(one[:, 1], other[:, 1])], axis=1)


@filter(halo=0, measure=_extremes, merge=_merged)
def autocontrast(
    chunk: Pixels,
    *,
    measured: Histogram | Pixels,
    cutoff: Annotated[float, Between(0, 49), "percent of the values to clip at each end"] = 0.0,
) -> Pixels:
    """Stretch each channel to the full range of values.

    ``(value - low) * white / (high - low)``, saturated, where white is the maximum for integers
    and 1 for floats. `low` and `high` are the minimum and the maximum of the channel in the whole
    image, without `cutoff` percent of the values at each end and without infinity. A channel with a
    single value stays as it is. Infinity becomes black or white.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type. With a `cutoff`: integers of 8 or 16 bits, or floats, which are sorted into
        65,536 levels from 0 to 1. NaN stays NaN.
    cutoff : float
        Percent of the values to clip at each end, 0 to 49.

    Returns
    -------
    ndarray
        The same type; integers are rounded half to even.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 3.2.
    """
    if isinstance(measured, Histogram):
        ends = _ends(measured, cutoff, chunk.dtype.name)
    else:
        ends = tuple((low.item(), high.item()) for low, high in measured)
    if chunk.dtype.kind == "f":
        return _stretched(chunk, ends)
    if chunk.itemsize <= _COUNTED:
        return looked_up(to_unsigned(chunk), _stretching(ends, chunk.dtype.name)).view(chunk.dtype)
    return _stretched_integers(chunk, ends)


@lru_cache(maxsize=16)
def _stretching(ends: Ends, dtype: str) -> Pixels:
    full, limits = full_scale(dtype), np.iinfo(dtype)
    levels = np.arange(limits.min, limits.max + 1)
    tables = [
        np.clip((levels - low) * full / (high - low), 0, full) if high > low else levels
        for low, high in ends
    ]
    return _tables(np.array(tables), dtype)


def _stretched(chunk: Pixels, ends: Ends) -> Pixels:
    """Stretch floats, in double precision: their range may be wider than their own type holds."""
    lows, highs = np.array(ends, np.float64).T
    width = chunk.shape[1]
    # Whole rows at once: to go through the channels of every pixel is slow.
    rows = flat_values(chunk).reshape(len(chunk), -1)
    with np.errstate(all="ignore"):
        spans = highs - lows
        if np.isinf(spans).any():
            rows, lows, spans = rows / 2, lows / 2, highs / 2 - lows / 2
        out = np.subtract(rows, np.tile(lows, width), dtype=np.float64)
        np.divide(out, np.tile(spans, width), out=out)
    made: Pixels = np.clip(out, 0, 1, out=out).reshape(chunk.shape)
    for channel in np.flatnonzero(~(spans > 0)):
        made[..., channel] = chunk[..., channel]
    return made


def _stretched_integers(chunk: Pixels, ends: Ends) -> Pixels:
    """Stretch integers that are too wide for a table; their distances are exact."""
    out = np.empty(chunk.shape, chunk.dtype)
    for channel, (low, high) in enumerate(ends):
        plane = np.clip(chunk[..., channel], low, high)
        if high > low:
            distance = to_unsigned(plane) - to_unsigned(np.array(low, chunk.dtype))
            part = distance / float(high - low)
            settle(np.multiply(part, full_scale(chunk.dtype), out=part), out[..., channel])
        else:
            out[..., channel] = plane
    return out


@lru_cache(maxsize=4)
def _ends(histogram: Histogram, cutoff: float, dtype: str) -> Ends:
    """Return the lowest and the highest value once `cutoff` percent are set aside at each end."""
    floats = np.dtype(dtype).kind == "f"
    first, unit = (0, _TOP) if floats else (int(np.iinfo(dtype).min), 1)
    found = []
    for counts in histogram.counts:
        below = np.cumsum(counts)
        aside = int(below[-1] * cutoff / 100)
        low = np.searchsorted(below, aside, side="right")
        high = np.searchsorted(below, below[-1] - aside, side="left")
        found.append((first + low / unit, first + high / unit))
    return tuple(found)


# --- otsu -------------------------------------------------------------------------------


@filter(halo=0, measure=_counted, merge=Histogram.__add__)
def otsu(chunk: Pixels, *, measured: Histogram) -> Pixels:
    """Threshold each channel by Otsu's method.

    The threshold divides the values of a channel, in the whole image, into two classes with the
    greatest variance between them, ``share0 * share1 * (mean0 - mean1)**2``. Class 0 are the
    values up to the threshold; class 1 are the values above it, which become white. Apply
    `grayscale` to colour images first. Floats are sorted into 65,536 levels from 0 to 1; NaN
    becomes black. Convert floats with another range, and integers of 32 and 64 bits, first, for
    example by ``astype:float32,measured``.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers of 8 or 16 bits, or float.

    Returns
    -------
    ndarray
        The same type; only 0 and white.

    References
    ----------
    .. [1] N. Otsu, A threshold selection method from gray-level histograms, IEEE Transactions on
       Systems, Man, and Cybernetics 9(1), 1979.
    """
    thresholds = np.array(_otsu_levels(measured))
    if chunk.dtype.kind == "f":
        thresholds = (thresholds + 0.5) / _TOP  # between two levels
    else:
        chunk = to_unsigned(chunk)
    rows = flat_values(chunk).reshape(len(chunk), -1)
    above = rows > np.tile(thresholds.astype(chunk.dtype), chunk.shape[1])
    return cast(Pixels, above.reshape(chunk.shape))


@lru_cache(maxsize=4)
def _otsu_levels(histogram: Histogram) -> tuple[int, ...]:
    return tuple(_otsu_level(counts) for counts in histogram.counts)


def _otsu_level(counts: Pixels) -> int:
    """Return the level that divides best; the only one that occurs if there is one."""
    present = np.flatnonzero(counts)
    if present.size < 2:
        return int(present[0]) if present.size else 0
    below = np.cumsum(counts)[present[0] : present[-1]]
    sums = np.cumsum(counts * np.arange(counts.size))[present[0] : present[-1]]
    total, whole = int(counts.sum()), int((counts * np.arange(counts.size)).sum())
    # Whole numbers until the last step: levels that divide equally well come out equal.
    distance = total * sums.astype(np.float64) - whole * below.astype(np.float64)
    between = distance**2 / (below * (total - below).astype(np.float64))
    return int(present[0] + np.argmax(between))
