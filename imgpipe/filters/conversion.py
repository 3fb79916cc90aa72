"""Conversion: another type for every value."""

from __future__ import annotations

import math
import re
from numbers import Integral
from typing import Annotated, Any, Literal, cast

import numpy as np

from imgpipe.filters.base import filter
from imgpipe.filters.parameters import Between, Example, Through
from imgpipe.filters.values import (
    as_declared,
    distances,
    full_scale,
    rescaled,
    scale_integers,
    settle,
)
from imgpipe.image import Pixels

__all__ = ["astype"]

DType = Literal[
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
]
Number = int | float
Ends = tuple[Number, Number]

_LARGE = 900  # binary digits of numbers that are too near the largest of float64

_WORDS = ("full", "measured", "keep")
_NUMBER = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
_ENDS = re.compile(rf"\s*{_NUMBER}\s*(?:\.\.|[\s,:])\s*{_NUMBER}\s*")


def _type_name(given: Any) -> str:
    try:
        return str(np.dtype(given).name)
    except TypeError:
        raise ValueError(f"{given!r} is no type of NumPy; give uint8, uint16, float32") from None


def _written(given: Any) -> str:
    """Return a range as text."""
    if isinstance(given, str) and given in _WORDS:
        return given
    low, high = _ends(given)
    if not low < high:
        raise ValueError(f"the first number must be less than the second, unlike {low}..{high}")
    return f"{low}..{high}"


def _ends(given: Any) -> Ends:
    """Return the two numbers of a range."""
    if isinstance(given, str):
        match = _ENDS.fullmatch(given)
        given = match.groups() if match else given
    try:
        low, high = map(_number, given)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"{given!r} is no range; give full, measured, keep, or two numbers such as 0..4095"
        ) from None
    return low, high


def _number(given: Any) -> Number:
    """Return a finite number, a whole one as an integer."""
    if isinstance(given, Integral):
        return int(given)
    if isinstance(given, str) and given.lstrip("+-").isdigit():
        return int(given)
    number = float(given)
    if not math.isfinite(number):
        raise ValueError(given)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


# --- measuring --------------------------------------------------------------------------


def _extent(chunk: Pixels, /) -> Ends | None:
    """Return the least and the greatest finite value of all colours, None if there is none."""
    values = chunk[np.isfinite(chunk)] if chunk.dtype.kind == "f" else chunk
    # Adding 0 makes 0 of -0: which of them is the less depends on their order.
    return (values.min().item() + 0, values.max().item() + 0) if values.size else None


def _wider(one: Ends | None, other: Ends | None) -> Ends | None:
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])


def _by_measuring(range: str) -> bool:
    return range == "measured"


# --- the filter -------------------------------------------------------------------------


@filter(
    halo=0,
    output_dtype=lambda dtype: dtype,
    measure=_extent,
    merge=_wider,
    measure_if=_by_measuring,
)
def astype(
    chunk: Pixels,
    *,
    measured: Ends | None,
    dtype: Annotated[DType, Through(_type_name), Example("uint8"), "type of the result"],
    range: Annotated[
        str,
        Through(_written),
        Example("measured"),
        "what becomes black and white: full, measured, or two numbers such as 0..4095; or keep",
    ] = "full",
    nan: Annotated[
        float | None,
        Between(0, 1, of_white=True),
        "what NaN and infinity become, 1 being white; none: an error in integers",
    ] = None,
) -> Pixels:
    """Convert every value to another type.

    ``(value - low) * white / (high - low)``, where `white` is the maximum of integers and 1 of
    floats. Integers are rounded half to even and saturated. Alpha, whatever the range, keeps its
    share of opaque.

    By ``full`` `low` is 0 and `high` the white of the type that comes in. By ``measured`` they are
    the least and the greatest value of all colours of the whole image. By ``-160..240`` they are
    these two numbers. By ``keep`` numbers stay what they are.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any dtype.
    dtype : str or dtype
        Type of the result: uint8, uint16, uint32, uint64, int8, int16, int32, int64, float16,
        float32 or float64.
    range : str or (float, float)
        What becomes black and white. An image of one value becomes black by ``measured``, which
        costs one more pass over the image, and leaves NaN and infinity aside.
    nan : float, optional
        What NaN and infinity become, 0 to 1, 1 being white. Without it they are an error where
        the result is of integers, and stay what they are in floats.

    Returns
    -------
    ndarray
        Of that dtype. From integers to integers it is exact, otherwise computed in float64. What
        is too large for float16 or float32 becomes infinity.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 2.6.
    """
    wanted = np.dtype(dtype)
    ends = (measured or (0, 1)) if range == "measured" else range
    nothing = None if chunk.dtype.kind != "f" else ~np.isfinite(chunk)
    if nothing is None or not nothing.any():
        return _converted(chunk, wanted, ends)
    made = _converted(np.where(nothing, 0, chunk), wanted, ends)
    if nan is not None:
        made[nothing] = rescaled(np.array([nan]), wanted)
        return made
    if wanted.kind != "f":  # where it can be seen, the engine refuses it
        made = made.astype(np.float64)
    np.copyto(made, chunk, where=nothing, casting="unsafe")
    return made


def _converted(values: Pixels, dtype: np.dtype[Any], ends: str | Ends) -> Pixels:
    """Convert finite values."""
    if ends == "full":
        return rescaled(values, dtype)
    if ends == "keep":
        return as_declared(values, dtype, "astype")
    low, high = _ends(ends)
    span = (high - low) or 1
    out = np.empty(values.shape, dtype)
    if values.dtype.kind == "f" or isinstance(low, float) or isinstance(span, float):
        settle(_scaled(values.astype(np.float64), low, high, full_scale(dtype)), out)
    elif dtype.kind == "f":
        target = out.reshape(-1)
        for start, distance in distances(values, low, 1):
            part = distance.astype(np.float64) / span
            settle(part, target[start : start + len(part)])
    else:
        scale_integers(values, low, span, out)
    return out


def _scaled(values: Pixels, low: Number, high: Number, white: float) -> Pixels:
    """Return ``(values - low) * white / (high - low)`` of doubles, which are overwritten."""
    unit = 2.0 ** -(_LARGE // 2) if max(abs(low), abs(high)) > 2.0**_LARGE else 1.0
    low, high = low * unit, high * unit  # so that no product is infinite on the way
    with np.errstate(over="ignore"):
        np.subtract(np.multiply(values, unit, out=values), low, out=values)
        np.multiply(values, white, out=values)
        return cast(Pixels, np.divide(values, (high - low) or 1, out=values))
