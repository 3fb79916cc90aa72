"""Colour: filters that mix channels, or the pixels of two images."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, cast

import numpy as np

from imgpipe.chains.decorator import filter
from imgpipe.chains.matrices import given_matrix, matrix_text, parsed_matrix
from imgpipe.errors import UsageError
from imgpipe.image import Pixels
from imgpipe.kernels.mixing import Matrix, luma, mix
from imgpipe.parameters import Between, Example, Through
from imgpipe.plurals import counted

__all__ = ["blend", "grayscale", "mix_channels", "sepia", "tint"]


_INKS = 4
# ITU-R BT.601-7, section 2.5.1, rounded to 16 fractional bits so that they sum to 1.
_LUMA = (19595 / 65536, 38470 / 65536, 7471 / 65536)


def _needs(name: str, colours: int) -> str:
    """Return the refusal of an image of so many colours."""
    way = "select some of them first, for example by mix_channels"
    if colours == _INKS:
        way = "if they are CMYK, put to_rgb before it"
    return f"{name}: needs an image of 1 or 3 colours, not of {colours}; {way}"


def _gray_channels(colours: int) -> int:
    if colours not in (1, 3):
        raise UsageError(_needs("grayscale", colours))
    return 1


@filter(halo=0, channels=_gray_channels, colour="gray", never_brighter=True)
def grayscale(chunk: Pixels, *, into: Pixels | None = None) -> Pixels:
    """Reduce colours to gray, with a weight for red, green and blue.

    The gray value is the luma of a pixel: ``0.299 * red + 0.587 * green + 0.114 * blue`` of the
    values as they are. For uint8 it is
    ``(9798 * red + 19235 * green + 3735 * blue + 16384) // 32768``, and for uint16 ``(19595 * red +
    38470 * green + 7471 * blue + 32768) // 65536``. Both are within 1 of the exact luma. An image
    that is gray stays as it is.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, 3 or 1)
        Any type.

    Returns
    -------
    ndarray, shape (rows, columns, 1)
        The same type.

    References
    ----------
    .. [1] ITU-R Recommendation BT.601-7, section 2.5.1.
    """
    if chunk.shape[2] == 1:
        return chunk
    return luma(chunk, into=into) if chunk.dtype == np.uint8 else mix(chunk, (_LUMA,))


def _between(strength: float, matrix: Matrix) -> Matrix:
    """Return the matrix that does a part of the work of `matrix`."""
    return tuple(
        tuple((1 - strength) * (row == column) + strength * weight for column, weight in pairs)
        for row, pairs in enumerate(map(enumerate, matrix))
    )


def _coloured(chunk: Pixels, matrix: Matrix) -> Pixels:
    """Mix red, green and blue; in a gray image all three are its level."""
    if chunk.shape[2] == 1:
        matrix = tuple((sum(row),) for row in matrix)
    return mix(chunk, matrix)


def _three_channels(name: str) -> Callable[[int], int]:
    def channels(colours: int) -> int:
        if colours not in (1, 3):
            raise UsageError(_needs(name, colours))
        return 3

    return channels


_SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))


@filter(halo=0, channels=_three_channels("sepia"), colour="rgb")
def sepia(
    chunk: Pixels,
    *,
    strength: Annotated[float, Between(0, 1), "0 keeps the image, 1 is full sepia"] = 1.0,
) -> Pixels:
    """Give the image the brown of an old photograph.

    ``(1 - strength) * value + strength * sepia``, where `sepia` is::

        red   = 0.393 * red + 0.769 * green + 0.189 * blue
        green = 0.349 * red + 0.686 * green + 0.168 * blue
        blue  = 0.272 * red + 0.534 * green + 0.131 * blue

    A gray image becomes RGB.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, 3 or 1)
        Any type.
    strength : float
        0 keeps the image, 1 is full sepia.

    Returns
    -------
    ndarray, shape (rows, columns, 3)
        The same type. White is saturated in integers; floats are not clipped.

    References
    ----------
    .. [1] W3C, Filter Effects Module Level 1: sepia.
    """
    return _coloured(chunk, _between(strength, _SEPIA))


def _hexadecimal(colour: Any) -> str:
    if not isinstance(colour, str) or not re.fullmatch("#([0-9a-fA-F]{3}){1,2}", colour):
        raise ValueError(f"{colour!r} is not a colour; write #rrggbb or #rgb, such as #ff8000")
    digits = colour[1:].lower()
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


@filter(halo=0, channels=_three_channels("tint"), colour="rgb")
def tint(
    chunk: Pixels,
    *,
    colour: Annotated[str, Through(_hexadecimal), Example("#ff8000"), "a colour, such as #ff8000"],
    strength: Annotated[float, Between(0, 1), "0 keeps the image, 1 keeps no other hue"] = 0.5,
) -> Pixels:
    """Tint the image with a colour.

    ``(1 - strength) * value + strength * luma * colour`` for red, green and blue, with `colour`
    from 0 to 1, and `luma` the gray value that `grayscale` makes. A gray image becomes RGB.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, 3 or 1)
        Any type.
    colour : str
        ``#rrggbb``, hexadecimal, or ``#rgb``: the colour of white at a strength of 1.
    strength : float
        0 keeps the image, 1 keeps no other hue than that of the colour.

    Returns
    -------
    ndarray, shape (rows, columns, 3)
        The same type.

    References
    ----------
    .. [1] ITU-R Recommendation BT.601-7, section 2.5.1, for luma.
    """
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    dyed = tuple(tuple(part * weight for weight in _LUMA) for part in parts)
    return _coloured(chunk, _between(strength, dyed))


_MOST_WEIGHT = 1000


def _written(matrix: Any) -> str:
    """Return a matrix as text."""
    array = given_matrix(matrix, "matrix", "0 1 0; 1 0 0; 0 0 1")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"a matrix has rows and columns, not a shape of {array.shape}")
    if not np.abs(array).max() <= _MOST_WEIGHT:
        raise ValueError(f"every weight must be between -{_MOST_WEIGHT} and {_MOST_WEIGHT}")
    return matrix_text(array)


@lru_cache(maxsize=64)
def _matrix(text: str) -> Matrix:
    return tuple(map(tuple, parsed_matrix(text).tolist()))


def _rows_of(channels: int, matrix: str) -> int:
    rows = _matrix(matrix)
    if len(rows[0]) != channels:
        raise UsageError(
            f"mix_channels: the matrix has {counted(len(rows[0]), 'column')} for an image of "
            f"{counted(channels, 'channel')} without alpha; it needs a column for each"
        )
    return len(rows)


@filter(halo=0, channels=_rows_of)
def mix_channels(
    chunk: Pixels,
    *,
    matrix: Annotated[
        str,
        Through(_written),
        Example("0 1 0; 1 0 0; 0 0 1"),
        "rows of weights, separated by semicolons, or a file of rows",
    ],
) -> Pixels:
    """Mix the channels with a matrix of your own.

    ``result[i] = sum(matrix[i, j] * value[j])`` for every pixel. The result has as many channels
    as the matrix has rows. A channel whose weight is 0 is left out, even if it is NaN.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    matrix : str, path or array
        Rows of weights, one weight for each channel: rows are separated by ``;`` or new
        lines, numbers by blanks or commas. Or the path of a text file of such rows, or of a
        ``.npy`` file; in Python also an array. A file is read when the filter is made. Weights
        are -1000 to 1000.

    Returns
    -------
    ndarray, shape (rows, columns, rows of the matrix)
        The same type; integers are saturated, and for up to four channels within 0.53 of the
        exact sum.

    References
    ----------
    .. [1] W3C, Filter Effects Module Level 1: feColorMatrix.
    """
    return mix(chunk, _matrix(matrix))


@filter(halo=0, alpha="premultiply", operands=("other",))
def blend(
    chunk: Pixels,
    *,
    other: Annotated[Any, "path of an image of the same size and kind"],
    amount: Annotated[float, Between(0, 1), "weight of the second image, 0 to 1"] = 0.5,
) -> Pixels:
    """Mix with a second image of the same size.

    ``(1 - amount) * value + amount * other``. With alpha, colours are weighted by alpha, so pixels
    that are transparent in one image get the colour of the other.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    other : path or array
        The second image, with the same size, number of channels (alpha included) and type.
    amount : float
        Weight of the second image, 0 to 1.

    Returns
    -------
    ndarray
        The same type; integers are rounded half to even.

    References
    ----------
    .. [1] R. Szeliski, Computer Vision: Algorithms and Applications, Springer, 2011, section 3.1.1.
    """
    if other.shape != chunk.shape or other.dtype != chunk.dtype:
        raise UsageError(
            f"blend: the second image has {counted(other.shape[2], 'channel')} of {other.dtype}, "
            f"but the first has {chunk.shape[2]} of {chunk.dtype}; both need the same type and "
            f"number of channels, alpha included; convert one, for example by astype:{chunk.dtype}"
        )
    working = np.float32 if chunk.dtype.itemsize <= 2 else np.float64
    return cast(Pixels, chunk * working(1 - amount) + other * working(amount))
