"""Convolution with the user's own weights, and their text."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Annotated, Any

import numpy as np

from imgpipe.chains.decorator import filter
from imgpipe.chains.matrices import given_matrix, matrix_text, parsed_matrix
from imgpipe.errors import ParameterError
from imgpipe.image import Pixels
from imgpipe.kernels.neighbourhood import Line, Weights, real_type, weighted_sum
from imgpipe.kernels.separable import apply
from imgpipe.parameters import Between, Example, Through
from imgpipe.values import full_scale

__all__ = ["convolve"]

_MOST = 255  # weights along one side
_LEAST_SCALE = 1e-9

# From so many weights on, two sweeps, along a column and a row, are faster than one over all.
_WORTH_FACTORS = 25


def _written(kernel: Any) -> str:
    """Return weights as text: rows that end in ``;``, numbers that end in a blank."""
    array = given_matrix(kernel, "matrix of weights", "0 1 0; 1 -4 1; 0 1 0")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"weights have rows and columns, not a shape of {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("every weight must be finite")
    if any(side % 2 == 0 or side > _MOST for side in array.shape):
        raise ValueError(
            f"weights have an odd number of rows and of columns, at most {_MOST}, so that one "
            f"of them is the centre; these have {array.shape[0]} x {array.shape[1]}"
        )
    return matrix_text(array)


def _reach(kernel: str) -> tuple[int, int]:
    weights = _turned(kernel)
    return len(weights) // 2, len(weights[0]) // 2


def _is_divisor(scale: float) -> None:
    if abs(scale) < _LEAST_SCALE:
        raise ParameterError(
            f"convolve: scale must not be 0, nor within {_LEAST_SCALE:g} of it: the sum is divided "
            "by it"
        )


@filter(halo=_reach, validate=_is_divisor)
def convolve(
    chunk: Pixels,
    *,
    kernel: Annotated[
        str,
        Through(_written),
        Example("0 1 0; 1 -4 1; 0 1 0"),
        "rows of numbers, separated by semicolons, or a file of rows",
    ],
    scale: Annotated[float, Between(-1e9, 1e9), "divisor of the sum"] = 1.0,
    offset: Annotated[
        float, Between(-1, 1, of_white=True), "added to the result, as a fraction of white"
    ] = 0.0,
    into: Pixels | None = None,
) -> Pixels:
    """Convolve with weights of your own.

    ``sum(kernel[j, i] * value[y + cy - j, x + cx - i]) / scale + offset * white``, where
    ``(cy, cx)`` is the centre of `kernel`, and white is the maximum for integers and 1 for floats.
    This is a convolution as in SciPy, which mirrors the weights along both axes. Programs that do
    not mirror the weights compute the correlation.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    kernel : str, path or array
        The weights: rows of numbers, separated by ``;`` or new lines; numbers are separated by
        blanks or commas. Or the path of a text file of such rows, or of a ``.npy`` file; in Python
        also an array. The number of rows and of columns must be odd, at most 255. A file is read
        when the filter is made.
    scale : float
        Divisor of the sum, for example the sum of the weights.
    offset : float
        Added to the result, as a fraction of white.

    Returns
    -------
    ndarray
        The same type; integers are rounded and saturated. For integers of 8 and 16 bits the sum is
        exact if the weights are whole and no sum can reach ``2**24``. Alpha is not filtered.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 3.4.
    """
    weights = _turned(kernel)
    halo = len(weights) // 2, len(weights[0]) // 2
    add = offset * full_scale(chunk.dtype)
    factors = _factors(weights, real_type(chunk.dtype))
    if factors is not None:
        down, along = (Line.of(factor, real_type(chunk.dtype)) for factor in factors)
        return apply(chunk, down, replace(along, divisor=scale, add=add), halo)
    return weighted_sum(chunk, weights, divisor=scale, add=add, into=into)


@functools.lru_cache(maxsize=64)
def _turned(kernel: str) -> Weights:
    """Return the weights of the samples around a pixel, from the top left."""
    return tuple(tuple(row) for row in parsed_matrix(kernel)[::-1, ::-1].tolist())


@functools.lru_cache(maxsize=64)
def _factors(
    weights: Weights, working: np.dtype[Any]
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return a column and a row whose product are the weights, if there are and it is worth it.

    They are whole numbers where the weights are, so that the sum stays exact.
    """
    array = np.array(weights)
    if array.size < _WORTH_FACTORS or min(array.shape) == 1 or not array.any():
        return None
    i, j = np.unravel_index(np.abs(array).argmax(), array.shape)
    whole = bool((array == np.rint(array)).all())
    row = array[i] / (math.gcd(*map(int, array[i])) if whole else 1)
    column = array[:, j] / row[j]
    off = np.abs(np.outer(column, row) - array).max()
    if off > np.finfo(working).eps * np.abs(array[i, j]):
        return None
    return tuple(column.tolist()), tuple(row.tolist())
