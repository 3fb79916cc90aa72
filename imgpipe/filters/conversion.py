"""Conversion: another type for every value."""

from __future__ import annotations

import math
import re
from numbers import Integral
from typing import Annotated, Any, Literal, cast

import numpy as np

from imgpipe.chains.decorator import filter
from imgpipe.image import Pixels
from imgpipe.parameters import Between, Example, Through
from imgpipe.values import (
    as_declared,
    distances,
    full_scale,
    rescaled,
    scale_integers,
    settle,
)

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
        raise ValueError(
            f"{given!r} is not a NumPy type; give for example uint8, uint16 or float32"
        ) from None


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
            f"{given!r} is not a range; give full, measured, keep, or two numbers such as 0..4095"
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
        "values that become black and white: full, measured, keep, or two numbers such as 0..4095",
    ] = "full",
    nan: Annotated[
        float | None,
        Between(0, 1, of_white=True),
        "value for NaN and infinity, a fraction of white; by default an error in integers",
    ] = None,
) -> Pixels:
    """Convert every value to another type.

    ``(value - low) * white / (high - low)``, where `white` is the maximum for integers and 1 for
    floats. Integers are rounded half to even and saturated. Alpha is always converted over its
    full range.

    With ``full``, `low` is 0 and `high` is the white of the input type. With ``measured``, they
    are the minimum and the maximum of all colours in the whole image. With ``-160..240``, they are
    these two numbers. With ``keep``, the numbers do not change.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    dtype : str or dtype
        Type of the result: uint8, uint16, uint32, uint64, int8, int16, int32, int64, float16,
        float32 or float64.
    range : str or (float, float)
        The values that become black and white. ``measured`` ignores NaN and infinity, and takes one
        more pass over the image; it makes an image with a single value black.
    nan : float, optional
        Value for NaN and infinity, as a fraction of white, 0 to 1. Without it they are errors if
        the result has integers, and do not change if it has floats.

    Returns
    -------
    ndarray
        The given type. Integers become integers exactly; other conversions are computed in
        float64. Values too large for float16 or float32 become infinity.

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
