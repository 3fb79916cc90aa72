"""Tables: the filter with a lookup table of the user's own."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Annotated, Any

import numpy as np

from imgpipe.chains.decorator import filter
from imgpipe.chains.matrices import given_matrix, matrix_text
from imgpipe.errors import UsageError
from imgpipe.image import Pixels
from imgpipe.kernels.lookup import has_levels, looked_up
from imgpipe.parameters import Example, Through
from imgpipe.plurals import counted
from imgpipe.values import full_scale

__all__ = ["lut"]


def _entries(given: Any) -> Pixels:
    array = given_matrix(given, "table", "0 1 2 ... 255")
    if array.size % 256 or array.size == 0:
        raise ValueError(
            f"a table needs 256 or 65536 entries, one for each value, not {array.size}"
        )
    if not (array.min() >= 0 and array.max() <= np.iinfo(np.uint16).max):
        raise ValueError("the entries of a table must be from 0 to 255 or from 0 to 65535")
    return array


def _kept(given: Any) -> str:
    """Return text or a path as it is, and an array as text."""
    array = _entries(given)
    if isinstance(given, (str, os.PathLike)):
        return os.fspath(given)
    return matrix_text(array if array.ndim == 2 else array.reshape(1, -1))


@filter(halo=0)
def lut(
    chunk: Pixels,
    *,
    table: Annotated[
        str,
        Through(_kept),
        Example("curve.txt"),
        "a text or .npy file with an entry for each level, or the entries",
    ],
) -> Pixels:
    """Look up every value in a table of your own.

    ``table[value]``. The table has 256 entries for uint8 and 65,536 for uint16, or as many
    rows with an entry for each channel.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        uint8 or uint16. Floats have no levels: convert them first.
    table : str, path or array
        Path of a text file, with numbers separated by blanks or commas and one row a line, or of
        a ``.npy`` file; every worker reads it. Or the numbers themselves; in Python also an
        array. Fractions are rounded half to even.

    Returns
    -------
    ndarray
        The same type.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 3.2.
    """
    if not has_levels(chunk.dtype):
        raise UsageError(
            f"lut: a table is for uint8 or uint16, not for {chunk.dtype}; convert the image first, "
            "for example by astype:uint8 or astype:uint16"
        )
    tables = _tables(table, _version(table), chunk.dtype.name, chunk.shape[2])
    return looked_up(chunk, tables)


def _version(table: str) -> tuple[int, int] | None:
    """Return a version that changes when the file does."""
    if not os.path.isfile(table):  # the numbers themselves
        return None
    found = os.stat(table)
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=16)
def _tables(table: str, version: tuple[int, int] | None, dtype: str, channels: int) -> Pixels:
    try:
        array = _entries(table)
    except ValueError as error:  # it was there when the filter was made
        raise UsageError(f"lut: table: {error}") from None
    levels = int(full_scale(dtype)) + 1
    if array.size == levels:
        array = array.reshape(levels, 1)
    if array.shape not in ((levels, 1), (levels, channels)):
        raise UsageError(
            f"lut: the table has {array.size} entries, in a shape of {array.shape}; an image of "
            f"{counted(channels, 'channel')} of {dtype} needs {levels}, or "
            f"{levels} rows of {channels}"
        )
    if array.max() > levels - 1:
        raise UsageError(f"lut: the table has {array.max():g}, which {dtype} cannot hold")
    return np.ascontiguousarray(np.rint(array.T).astype(dtype))
