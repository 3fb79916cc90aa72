"""Tone: filters that look at one value at a time.

Where a value is compared or scaled, it is on the scale from 0 to 1, whatever the dtype. Results of
floats are not clipped unless a filter says so, and NaN stays NaN.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal, cast

import numpy as np

from imgpipe.errors import ParameterError
from imgpipe.filters.base import filter
from imgpipe.filters.lookup import has_levels, pointwise
from imgpipe.filters.parameters import Between, Example
from imgpipe.filters.values import full_scale
from imgpipe.image import Pixels

__all__ = ["gamma", "invert", "levels", "linear", "posterize", "solarize", "threshold"]


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

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 3.2.
    """
    if chunk.dtype.kind == "u":
        return cast(Pixels, np.bitwise_not(chunk))
    if chunk.dtype.kind == "i":
        chunk = np.maximum(chunk, 0)  # the result saturates
    return cast(Pixels, np.subtract(chunk.dtype.type(full_scale(chunk.dtype)), chunk))


def _power(values: Pixels, exponent: float, gain: float) -> Pixels:
    # Not in place: NumPy's vector and scalar powers differ in the last bit.
    powered = np.power(np.abs(values), exponent)
    np.multiply(powered, gain, out=powered)
    if np.signbit(values).any():
        np.copysign(powered, values, out=powered)
    return cast(Pixels, powered)


@filter(halo=0)
def gamma(
    chunk: Pixels,
    *,
    gamma: Annotated[float, Between(0, 100), "exponent: below 1 brightens, above 1 darkens"] = 1.0,
    gain: Annotated[float, Between(0, 1000), "factor of the result"] = 1.0,
) -> Pixels:
    """Gamma correction: raise every value to a power.

    ``gain * value ** gamma`` with values from 0 to 1. Floats below 0 are mirrored:
    ``-gain * (-value) ** gamma``.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any dtype.
    gamma : float
        Exponent, 0 to 100: below 1 brightens, above 1 darkens.
    gain : float
        Factor of the result, 0 to 1000.

    Returns
    -------
    ndarray
        Of the same dtype.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 3.2.
    """
    return pointwise(chunk, _power, gamma, gain)


def _line(values: Pixels, scale: float, offset: float) -> Pixels:
    scaled = np.multiply(values, scale)
    return cast(Pixels, np.add(scaled, offset, out=scaled))


@filter(halo=0)
def linear(
    chunk: Pixels,
    *,
    scale: Annotated[float, Between(-1000, 1000), "factor: contrast"] = 1.0,
    offset: Annotated[float, Between(-1000, 1000), "what is added, 1 being white"] = 0.0,
) -> Pixels:
    """Scale every value and add to it.

    ``scale * value + offset`` with values from 0 to 1.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any dtype.
    scale : float
        Factor, -1000 to 1000.
    offset : float
        What is added, on the scale from 0 to 1; -1000 to 1000.

    Returns
    -------
    ndarray
        Of the same dtype.

    References
    ----------
    .. [1] R. Szeliski, Computer Vision: Algorithms and Applications, Springer, 2011, section 3.1.1.
    """
    return pointwise(chunk, _line, scale, offset)


def _between_levels(
    values: Pixels,
    in_black: float,
    in_white: float,
    gamma: float,
    out_black: float,
    out_white: float,
) -> Pixels:
    part = np.subtract(values, in_black)
    np.divide(part, in_white - in_black, out=part)
    np.clip(part, 0, 1, out=part)
    if gamma != 1:
        part = np.power(part, 1 / gamma)
    return _line(part, out_white - out_black, out_black)


def _no_halo(in_black: float, in_white: float) -> int:
    if in_black == in_white:
        raise ParameterError(
            f"levels: in_black and in_white are both {in_black:g}; they must differ "
            "(threshold makes a picture of black and white)"
        )
    return 0


@filter(halo=_no_halo)
def levels(
    chunk: Pixels,
    *,
    in_black: Annotated[float, Between(0, 1), "value that becomes out_black"] = 0.0,
    in_white: Annotated[float, Between(0, 1), "value that becomes out_white"] = 1.0,
    gamma: Annotated[float, Between(0.01, 100), "above 1 brightens what is between them"] = 1.0,
    out_black: Annotated[float, Between(0, 1), "darkest value of the result"] = 0.0,
    out_white: Annotated[float, Between(0, 1), "brightest value of the result"] = 1.0,
) -> Pixels:
    """Move the black point, the white point and the mid tones.

    ``out_black + (out_white - out_black) * part ** (1 / gamma)``, where `part` is
    ``(value - in_black) / (in_white - in_black)``, clipped to 0 and 1: of floats too. With
    `in_black` above `in_white`, or `out_black` above `out_white`, the image is inverted.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any dtype.
    in_black, in_white : float
        Values from 0 to 1 that become `out_black` and `out_white`. They must differ.
    gamma : float
        Above 1 brightens the mid tones, below 1 darkens them; 0.01 to 100.
    out_black, out_white : float
        The ends of the result, 0 to 1.

    Returns
    -------
    ndarray
        Of the same dtype.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 3.2.
    """
    return pointwise(chunk, _between_levels, in_black, in_white, gamma, out_black, out_white)


def _steps(values: Pixels, bits: int) -> Pixels:
    steps = np.floor(values * 2**bits)
    np.clip(steps, 0, 2**bits - 1, out=steps)
    return cast(Pixels, np.divide(steps, 2**bits, out=steps))


@filter(halo=0)
def posterize(
    chunk: Pixels,
    *,
    bits: Annotated[int, Between(1, 16), Example("2"), "bits to keep of each value"] = 4,
) -> Pixels:
    """Keep only the highest bits of every value.

    The lower bits of integers become 0; integers that have no more bits stay as they are. Floats
    become ``floor(value * 2**bits) / 2**bits``, clipped to the ``2**bits`` steps that begin at 0.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any dtype.
    bits : int
        Bits to keep, 1 to 16.

    Returns
    -------
    ndarray
        Of the same dtype.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 2.4.
    """
    if chunk.dtype.kind == "f":
        return pointwise(chunk, _steps, bits)
    top = int(full_scale(chunk.dtype))
    lower = max(0, top.bit_length() - bits)
    return cast(Pixels, np.bitwise_and(chunk, chunk.dtype.type(top >> lower << lower)))


def _mirrored_above(values: Pixels, threshold: float) -> Pixels:
    bright = (values >= threshold).astype(values.dtype)
    # Without a branch for every value: 1 - value, or -(0 - value); adding 0 undoes -0.
    mirrored = np.subtract(bright, values)
    np.multiply(mirrored, 2 * bright - 1, out=mirrored)
    return cast(Pixels, np.add(mirrored, 0, out=mirrored))


@filter(halo=0)
def solarize(
    chunk: Pixels,
    *,
    threshold: Annotated[float, Between(0, 1), "value from which on values are inverted"] = 0.5,
) -> Pixels:
    """Invert the bright values.

    ``1 - value`` where a value from 0 to 1 is at least `threshold`; the others stay.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any dtype.
    threshold : float
        Value from which on values are inverted, 0 to 1.

    Returns
    -------
    ndarray
        Of the same dtype.

    References
    ----------
    .. [1] L. Stroebel, R. Zakia (eds.), The Focal Encyclopedia of Photography, 3rd ed., Focal
       Press, 1993: Sabattier effect.
    """
    if not has_levels(chunk.dtype):
        return pointwise(chunk, _mirrored_above, threshold)
    dark = chunk.dtype.type(_levels_below(threshold, chunk.dtype.name, "left"))
    # All bits of what is bright are turned over.
    bright = np.multiply(chunk >= dark, chunk.dtype.type(full_scale(chunk.dtype)))
    return cast(Pixels, np.bitwise_xor(chunk, bright, out=bright))


@lru_cache(maxsize=64)
def _levels_below(value: float, dtype: str, side: Literal["left", "right"]) -> int:
    """Return how many levels are below `value`, or with "right", not above it."""
    full = int(full_scale(dtype))
    return int(np.searchsorted(np.arange(full + 1) / full, value, side=side))


@filter(halo=0)
def threshold(
    chunk: Pixels,
    *,
    value: Annotated[float, Between(0, 1), "what is above it becomes white"] = 0.5,
) -> Pixels:
    """Make what is above a value white and all else black.

    Each channel is compared by itself: ``maximum if value_of_pixel > value else 0``. What is equal
    becomes black, and so does NaN.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any dtype.
    value : float
        The threshold, 0 to 1: of uint8 levels, ``level / 255``.

    Returns
    -------
    ndarray
        Of the same dtype: 0 and its maximum, 1 for floats.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 10.3.
    """
    if has_levels(chunk.dtype):
        last = _levels_below(value, chunk.dtype.name, "right") - 1
        return cast(Pixels, chunk > chunk.dtype.type(last))
    if chunk.dtype.kind == "f":
        return cast(Pixels, chunk > value)
    return cast(Pixels, chunk / full_scale(chunk.dtype) > value)
