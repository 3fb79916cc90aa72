"""Values: conversion to the declared type.

Integers hold 0 to their maximum; floats hold the same range as 0 to 1, and more.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple, cast

import numpy as np

from imgpipe.errors import FilterError
from imgpipe.image import Pixels
from imgpipe.workspace import Workspace

__all__ = [
    "as_declared",
    "distances",
    "from_unsigned",
    "full_scale",
    "has_nan",
    "rescaled",
    "scale_integers",
    "settle",
    "to_unsigned",
    "with_one_nan",
]

_space = Workspace()

# Values brought to another type at once; an eighth where each is a Python number on the way.
_BLOCK = 1 << 16


def full_scale(dtype: np.dtype[Any] | type | str) -> float:
    """Return the value that stands for white, or for opaque: the maximum, 1 for floats."""
    dtype = np.dtype(dtype)
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0


def as_declared(values: Pixels, dtype: np.dtype[Any], name: str) -> Pixels:
    """Return the result of a kernel in the declared type.

    Numbers are rounded half to even and saturated; booleans become 0 and the maximum. A value too
    large for a smaller type of floats becomes infinity.

    Raises
    ------
    FilterError
        If NaN or infinity would become an integer, or the result are no real numbers.
    """
    if values.dtype == dtype:
        return values
    if values.dtype.kind not in "buif":
        raise FilterError(
            f"{name}: made values of type {values.dtype}, which cannot become {dtype}; "
            "return real numbers"
        )
    if values.dtype.kind == "b":
        white = np.iinfo(dtype).max if dtype.kind in "iu" else 1
        made = np.multiply(values, white, dtype=dtype.newbyteorder("="))
        return cast(Pixels, made.astype(dtype, copy=False))
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return values.astype(dtype)
    out = np.empty(values.shape, dtype)
    if not _saturate(values, out):
        raise FilterError(
            f"{name}: the result has NaN or infinity, which {dtype} cannot hold; avoid the "
            f"division or logarithm that causes it, or replace it by astype:{dtype},nan=0"
        )
    return out


def settle(values: Pixels, out: Pixels) -> None:
    """Bring floats, which are overwritten, into the type of `out`: rounded half to even, saturated.

    NaN must not become an integer: the result is not defined.
    """
    if out.dtype.kind in "iu":
        _settle_rounded(np.rint(values, out=values), out)
        return
    with np.errstate(over="ignore"):
        np.copyto(out, values, casting="unsafe")


class _Limits(NamedTuple):
    """The least and the greatest value that a type of floats has within a type of integers.

    Where the maximum of the integers is none of the floats, `beyond` is the next float above it.
    """

    low: Any
    high: Any
    beyond: Any | None


@lru_cache(maxsize=64)
def _limits(integers: np.dtype[Any], floats: np.dtype[Any]) -> _Limits:
    info = np.iinfo(integers)
    low, high = floats.type(info.min), floats.type(info.max)
    if int(high) <= info.max:
        return _Limits(low, high, None)
    return _Limits(low, np.nextafter(high, low), high)


def _settle_rounded(values: Pixels, out: Pixels) -> None:
    """Saturate whole numbers among floats, which are overwritten."""
    low, high, beyond = _limits(out.dtype, values.dtype)
    above = None if beyond is None else values >= beyond
    np.clip(values, low, high, out=values)
    np.copyto(out, values, casting="unsafe")
    if above is not None:
        out[above] = np.iinfo(out.dtype).max


def _saturate(values: Pixels, out: Pixels) -> bool:
    """Round and saturate to the integers of `out`; return whether all values were finite."""
    if values.dtype.kind == "f":
        finite = _space.array("finite", bool, values.size).reshape(values.shape)
        if not np.isfinite(values, out=finite).all():
            return False
        working = np.result_type(values, np.float32)
        rounded = _space.array("rounded", working, values.size).reshape(values.shape)
        _settle_rounded(np.rint(values, out=rounded), out)
        return True
    limits, given = np.iinfo(out.dtype), np.iinfo(values.dtype)
    inside = _space.array("inside", values.dtype, values.size).reshape(values.shape)
    np.clip(values, max(limits.min, given.min), min(limits.max, given.max), out=inside)
    np.copyto(out, inside, casting="unsafe")
    return True


def has_nan(values: Pixels) -> bool:
    """Return whether a NaN is among the floats of a chunk, shape (rows, columns, channels).

    The least value is a NaN then, and is found faster than every NaN: not so of 16 bits.
    """
    step = max(1, _BLOCK // max(1, values[0].size))
    parts = (values[y : y + step] for y in range(0, len(values), step))
    if values.itemsize == 2 or not values.size:
        return any(np.isnan(part).any() for part in parts)
    with np.errstate(invalid="ignore"):
        return any(np.isnan(part.min()) for part in parts)


def with_one_nan(values: Pixels) -> Pixels:
    """Return a chunk with `numpy.nan` for every NaN of any sign and payload."""
    if values.dtype.kind != "f":
        return values
    if not has_nan(values):
        return values
    return np.where(np.isnan(values), values.dtype.type(np.nan), values)


def rescaled(values: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Return `values` in another type, so that the maximum of one is that of the other.

    Between integers it is exact: rounded to the nearest, saturated. Other products and quotients
    are those of floats, of 64 bits where an integer comes out or has more than 16. NaN must not
    become an integer.
    """
    if values.dtype == dtype:
        return values
    if dtype.kind == "f" and values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return values.astype(dtype)
    if dtype.kind == "f":
        wide = values.itemsize > 2
        working = np.dtype(np.float64) if wide else np.result_type(dtype, np.float32)
        made = np.divide(values, full_scale(values.dtype), dtype=working)
        return cast(Pixels, made.astype(dtype, copy=False))
    out = np.empty(values.shape, dtype)
    if values.dtype.kind == "f":
        settle(np.multiply(values, full_scale(dtype), dtype=np.float64), out)
    else:
        scale_integers(values, 0, int(np.iinfo(values.dtype).max), out)
    return out


def scale_integers(values: Pixels, low: int, span: int, out: Pixels) -> None:
    """Write ``(values - low) * maximum / span`` to `out`: exact, rounded half to even, saturated.

    Both are integers; the maximum is that of `out`. Products beyond 64 bits are computed in
    integers of Python, which takes about a microsecond a value.
    """
    limits = np.iinfo(out.dtype)
    top = int(limits.max)
    target = out.reshape(-1)
    for start, distance in distances(values, low, 2 * top):
        scaled = distance * top
        whole = scaled // span
        rest = 2 * (scaled - whole * span)
        whole += (rest > span) | ((rest == span) & (whole % 2 == 1))
        target[start : start + len(whole)] = np.clip(whole, limits.min, top)


def distances(values: Pixels, low: int, factor: int) -> Iterator[tuple[int, Pixels]]:
    """Yield ``values - low`` of integers, exact, some at a time, and where they begin.

    They are int64 where that holds `factor` times as much too, otherwise Python's.
    """
    given = np.iinfo(values.dtype)
    most = max(abs(int(given.max) - low), abs(low - int(given.min)), int(given.max), abs(low))
    wide, block = (np.int64, _BLOCK) if most * factor < 2**63 else (object, _BLOCK // 8)
    source = values.reshape(-1)
    for start in range(0, source.size, block):
        yield start, source[start : start + block].astype(wide) - low


def to_unsigned(values: Pixels) -> Pixels:
    """Return signed integers, counted from their least value, in the unsigned type of their size.

    Order and distances stay the same. Unsigned integers are returned as they are.
    """
    if values.dtype.kind == "u":
        return values
    bits = 8 * values.itemsize
    unsigned = values.astype(f"u{values.itemsize}")  # negative ones wrap
    half = unsigned.dtype.type(1 << (bits - 1))
    return cast(Pixels, np.bitwise_xor(unsigned, half, out=unsigned))


def from_unsigned(values: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Undo `to_unsigned`."""
    if dtype.kind == "u":
        return values
    half = values.dtype.type(1 << (8 * values.itemsize - 1))
    return cast(Pixels, np.bitwise_xor(values, half).astype(dtype))
