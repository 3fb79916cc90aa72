"""Tone: filters that look at one value at a time.

Where a value is compared or scaled, it is on the scale from 0 to 1, whatever the type; signed
integers may be below 0, as floats may. Results of floats are not clipped unless a filter says so,
and NaN stays NaN.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, cast

import numpy as np

from imgpipe.chains.decorator import filter
from imgpipe.errors import ParameterError
from imgpipe.image import Pixels
from imgpipe.kernels.lookup import pointwise
from imgpipe.parameters import Between, Example

__all__ = ["gamma", "invert", "levels", "linear", "posterize", "solarize", "threshold"]


@filter(halo=0)
def invert(chunk: Pixels) -> Pixels:
    """Invert every value: white becomes black.

    ``maximum - value`` for unsigned integers, with the maximum of the type; ``1 - value`` for
    floats. For signed integers ``-1 - value``, so that the minimum and the maximum change places.
    Inverting integers twice gives the original values.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.

    Returns
    -------
    ndarray
        The same type.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 3.2.
    """
    if chunk.dtype.kind in "iu":
        return cast(Pixels, np.bitwise_not(chunk))
    return cast(Pixels, np.subtract(chunk.dtype.type(1), chunk))


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
    gamma: Annotated[
        float, Between(0, 100), Example("0.45"), "exponent: below 1 brightens, above 1 darkens"
    ],
    gain: Annotated[float, Between(0, 1000), "factor of the result"] = 1.0,
) -> Pixels:
    """Gamma correction: raise every value to a power.

    ``gain * value ** gamma`` with values from 0 to 1. Values below 0, of floats and of signed
    integers, are mirrored: ``-gain * (-value) ** gamma``.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    gamma : float
        Exponent, 0 to 100: below 1 brightens, above 1 darkens.
    gain : float
        Factor of the result, 0 to 1000.

    Returns
    -------
    ndarray
        The same type; integers are rounded half to even and saturated.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 3.2.
    """
    return pointwise(chunk, _power, gamma, gain)


def _line(values: Pixels, scale: float, offset: float) -> Pixels:
    scaled = np.multiply(values, scale)
    return cast(Pixels, np.add(scaled, offset, out=scaled))


def _of_line(scale: float | None, offset: float | None) -> None:
    _must_change("linear", scale=scale, offset=offset)


@filter(halo=0, validate=_of_line)
def linear(
    chunk: Pixels,
    *,
    scale: Annotated[float | None, Between(-1000, 1000), Example("1.5"), "factor: contrast"] = None,
    offset: Annotated[
        float | None, Between(-1000, 1000), "added to the result, as a fraction of white"
    ] = None,
) -> Pixels:
    """Multiply every value by a factor and add an offset.

    ``scale * value + offset`` with values from 0 to 1, so that 20 levels of 255 are an offset of
    0.078. At least one of the two must be given.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    scale : float, optional
        Factor, -1000 to 1000; 1 if it is left out.
    offset : float, optional
        Added to the result, as a fraction of white, -1000 to 1000; 0 if it is left out.

    Returns
    -------
    ndarray
        The same type.

    References
    ----------
    .. [1] R. Szeliski, Computer Vision: Algorithms and Applications, Springer, 2011, section 3.1.1.
    """
    return pointwise(chunk, _line, _given(scale, 1), _given(offset, 0))


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


def _of_levels(
    in_black: float | None,
    in_white: float | None,
    gamma: float | None,
    out_black: float | None,
    out_white: float | None,
) -> None:
    black, white = _given(in_black, 0), _given(in_white, 1)
    if black == white:
        raise ParameterError(
            f"levels: in_black and in_white are both {black:g}; they must differ "
            "(threshold makes a picture of black and white)"
        )
    _must_change(
        "levels",
        in_black=in_black,
        in_white=in_white,
        gamma=gamma,
        out_black=out_black,
        out_white=out_white,
    )


_Level = Between(0, 1, of_white=True)


@filter(halo=0, validate=_of_levels)
def levels(
    chunk: Pixels,
    *,
    in_black: Annotated[
        float | None, _Level, Example("0.1"), "value that becomes out_black"
    ] = None,
    in_white: Annotated[float | None, _Level, "value that becomes out_white"] = None,
    gamma: Annotated[float | None, Between(0.01, 100), "above 1 brightens the mid tones"] = None,
    out_black: Annotated[float | None, _Level, "darkest value of the result"] = None,
    out_white: Annotated[float | None, _Level, "brightest value of the result"] = None,
) -> Pixels:
    """Move the black point, the white point and the mid tones.

    ``out_black + (out_white - out_black) * part ** (1 / gamma)``, where `part` is
    ``(value - in_black) / (in_white - in_black)``, clipped to 0 and 1, also for floats. With
    `in_black` above `in_white`, or `out_black` above `out_white`, the image is inverted. At least
    one parameter must be given.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    in_black : float, optional
        Value that becomes `out_black`, 0 to 1; 0 if it is left out.
    in_white : float, optional
        Value that becomes `out_white`, 0 to 1; 1 if it is left out. It must not be `in_black`.
    gamma : float, optional
        Above 1 brightens the mid tones, below 1 darkens them; 0.01 to 100. 1 if it is left out.
    out_black : float, optional
        Darkest value of the result, 0 to 1; 0 if it is left out.
    out_white : float, optional
        Brightest value of the result, 0 to 1; 1 if it is left out.

    Returns
    -------
    ndarray
        The same type; integers are rounded half to even.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 3.2.
    """
    given, usual = (in_black, in_white, gamma, out_black, out_white), (0, 1, 1, 0, 1)
    return pointwise(chunk, _between_levels, *map(_given, given, usual))


def _must_change(name: str, **given: float | None) -> None:
    """Refuse a filter that is given nothing to do."""
    if all(value is None for value in given.values()):
        raise ParameterError(
            f"{name}: changes nothing without a parameter; give at least one of {', '.join(given)}"
        )


def _given(value: float | None, usual: float) -> float:
    return usual if value is None else value


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

    The lower bits of integers become 0, so negative values are rounded down. Integers that
    have no more than `bits` bits, without their sign, stay as they are. Floats become
    ``floor(value * 2**bits) / 2**bits``, clipped to the ``2**bits`` steps that begin at 0.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    bits : int
        Bits to keep, 1 to 16.

    Returns
    -------
    ndarray
        The same type.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 2.4.
    """
    if chunk.dtype.kind == "f":
        return pointwise(chunk, _steps, bits)
    lower = max(0, int(np.iinfo(chunk.dtype).max).bit_length() - bits)
    return cast(Pixels, np.left_shift(chunk >> lower, lower))


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
    threshold: Annotated[
        float,
        Between(0, 1, of_white=True),
        "values from this one on are inverted; a fraction of white",
    ] = 0.5,
) -> Pixels:
    """Invert the bright values.

    ``1 - value`` where a value from 0 to 1 is at least `threshold`; the others stay.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    threshold : float
        Value from which on values are inverted, 0 to 1.

    Returns
    -------
    ndarray
        The same type.

    References
    ----------
    .. [1] L. Stroebel, R. Zakia (eds.), The Focal Encyclopedia of Photography, 3rd ed., Focal
       Press, 1993: Sabattier effect.
    """
    if chunk.dtype.kind == "f":
        return pointwise(chunk, _mirrored_above, threshold)
    dark = chunk.dtype.type(_levels_below(threshold, chunk.dtype.name, operator.lt))
    # All bits of bright values are turned over, but for the sign.
    bright = np.multiply(chunk >= dark, np.iinfo(chunk.dtype).max, dtype=chunk.dtype)
    return cast(Pixels, np.bitwise_xor(chunk, bright, out=bright))


@lru_cache(maxsize=64)
def _levels_below(value: float, dtype: str, is_below: Callable[[float, float], bool]) -> int:
    """Return the number of levels from 0 to the maximum that are below `value`, or not above it."""
    full = int(np.iinfo(dtype).max)
    low, high = 0, full + 1
    while low < high:
        middle = (low + high) // 2
        if is_below(middle / full, value):
            low = middle + 1
        else:
            high = middle
    return low


@filter(halo=0)
def threshold(
    chunk: Pixels,
    *,
    value: Annotated[
        float, Between(0, 1, of_white=True), "the threshold, as a fraction of white"
    ] = 0.5,
) -> Pixels:
    """Make values above a threshold white and all others black.

    Each channel is compared by itself: ``white if pixel > value * white else 0``, where white is
    the maximum for integers and 1 for floats. A pixel equal to the threshold becomes black, and so
    does NaN.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    value : float
        The threshold as a fraction of white, 0 to 1: ``level / 255`` for uint8, ``level / 65535``
        for uint16. Negative values become black.

    Returns
    -------
    ndarray
        The same type; only 0 and white.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 10.3.
    """
    if chunk.dtype.kind == "f":
        return cast(Pixels, chunk > value)
    last = _levels_below(value, chunk.dtype.name, operator.le) - 1
    return cast(Pixels, chunk > chunk.dtype.type(last))
