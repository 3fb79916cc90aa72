"""Sums over the channels of a pixel, weighted by a matrix."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from imgpipe.acceleration import accelerated
from imgpipe.image import Pixels
from imgpipe.kernels.lookup import flat_values, has_levels
from imgpipe.values import full_scale
from imgpipe.workspace import Workspace

__all__ = ["Matrix", "luma", "mix", "mixed"]

_space = Workspace()

Matrix = tuple[tuple[float, ...], ...]

# Pixels worked on at once: three channels of them fit the second-level cache in every type.
_BLOCK = 16 * 1024

# Fractional bits of the weights of integers: three weights are off by 0.02 levels of uint8.
_BITS = 14

# ITU-R BT.601-7, section 2.5.1, in units of 2**-15: together 1.
_LUMA = np.array([9798, 19235, 3735]) / 2**15


def mix(chunk: Pixels, matrix: Matrix) -> Pixels:
    """Make each channel of the result a weighted sum of the channels of a chunk.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    matrix : tuple of tuples of float
        A row of weights for each channel of the result, a weight for each channel of the chunk.

    Returns
    -------
    ndarray, shape (rows, columns, rows of the matrix)
        Of uint8 and uint16 the sums of weights that are rounded to 14 fractional bits at least,
        rounded half to even, saturated. Of other types floats.
    """
    if has_levels(chunk.dtype):
        return mixed(chunk, *_fixed_point(matrix, chunk.dtype.name))
    working = np.result_type(chunk, np.float32) if chunk.dtype.kind == "f" else np.dtype(np.float64)
    out = np.empty((*chunk.shape[:2], len(matrix)), working)
    step = max(1, _BLOCK // chunk.shape[1])
    with np.errstate(all="ignore"):
        for y in range(0, len(chunk), step):
            _mix_floats(chunk[y : y + step], matrix, out[y : y + step])
    return out


def _mix_floats(part: Pixels, matrix: Matrix, out: Pixels) -> None:
    """Sum in the order of the channels; a channel without weight is left out, NaN and all."""
    planes = [part[..., channel].astype(out.dtype) for channel in range(part.shape[2])]
    term = np.empty_like(planes[0])
    for made, weights in enumerate(matrix):
        total = np.zeros_like(term)
        for plane, weight in zip(planes, weights, strict=True):
            if weight:
                np.multiply(plane, weight, out=term)
                np.add(total, term, out=total)
        out[..., made] = total


class _Weights(NamedTuple):
    """Weights of a matrix product whose sums are exact in any order of addition."""

    columns: Pixels
    saturates: bool


@lru_cache(maxsize=64)
def _fixed_point(matrix: Matrix, dtype: str) -> _Weights:
    full, rows = full_scale(dtype), np.array(matrix)
    largest = full * max(1, np.abs(rows).sum(axis=1).max()) + 1
    whole = math.ceil(math.log2(largest))
    working, digits = ("float32", 24) if whole + _BITS <= 24 else ("float64", 53)
    unit = 2.0 ** (digits - whole)
    rows = np.rint(rows * unit) / unit
    above = np.maximum(rows, 0).sum(axis=1).max() > 1
    columns = rows.T if len(rows) > 1 else rows[0]
    return _Weights(np.ascontiguousarray(columns, working), bool(above or rows.min() < 0))


@accelerated
def mixed(chunk: Pixels, columns: Pixels, saturates: bool) -> Pixels:  # noqa: FBT001
    """Return sums of weighted channels, rounded half to even.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        uint8 or uint16.
    columns : ndarray, shape (channels, channels of the result) or (channels,)
        Floats of so few digits that every sum is exact, in any order of addition.
    saturates : bool
        Whether sums may be below 0 or above white.
    """
    out = np.empty((*chunk.shape[:2], *columns.shape[1:]), chunk.dtype)
    for y, total in _sums(chunk, columns):
        np.rint(total, out=total)
        if saturates:
            np.clip(total, 0, full_scale(chunk.dtype), out=total)
        np.copyto(out[y].reshape(total.shape), total, casting="unsafe")
    return out if out.ndim == chunk.ndim else out[..., None]


@accelerated
def luma(chunk: Pixels, *, into: Pixels | None = None) -> Pixels:
    """Return ``(9798 * red + 19235 * green + 3735 * blue + 2**14) >> 15``, in whole numbers.

    The weights are those of ITU-R BT.601 in units of ``2**-15``; the sum is rounded half up.

    Parameters
    ----------
    chunk : ndarray of uint8, shape (rows, columns, 3)
        Of 16 bits, the weights would be off by more than a level.
    into : ndarray, optional
        The place of the result; see `imgpipe.acceleration.accelerated`.
    """
    out = np.empty((*chunk.shape[:2], 1), np.uint8)
    for y, total in _sums(chunk, _LUMA):  # every sum is exact
        np.add(total, total.dtype.type(0.5), out=total)
        np.copyto(out[y].reshape(total.shape), total, casting="unsafe")
    return out


def _sums(chunk: Pixels, columns: Pixels) -> Iterator[tuple[slice, Pixels]]:
    """Yield the matrix products of some rows at a time, end to end."""
    made = columns.shape[1:]  # nothing where there is one row: that product is faster
    step = max(1, _BLOCK // chunk.shape[1])
    for y in range(0, len(chunk), step):
        rows = slice(y, y + step)
        part = flat_values(chunk[rows]).reshape(-1, len(columns))
        given = _space.array("given", columns.dtype, part.size).reshape(part.shape)
        total = _space.array("total", columns.dtype, len(part) * math.prod(made))
        total = total.reshape(len(part), *made)
        np.copyto(given, part)
        np.matmul(given, columns, out=total)
        yield rows, total
