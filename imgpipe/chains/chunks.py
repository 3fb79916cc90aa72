"""Chunks: the pixels of a stage that reach beyond the image, and the results of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from imgpipe.admission import as_array
from imgpipe.borders import Border, extend, wrapped_pieces, wrapped_reads
from imgpipe.chains.element import Element
from imgpipe.errors import FilterError, ShapeError, UsageError
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.plurals import counted

__all__ = ["Read", "as_chunk", "extended", "trimmed"]

Read = Callable[[Box], Pixels]
"""Gives the pixels of a box."""


def extended(read: Read, wanted: Box, info: ImageInfo, border: Border) -> Pixels:
    """Return the pixels of `wanted`, those beyond the image made up by `border`."""
    held = wanted.clip(info.height, info.width)
    if held == wanted:
        return read(held)
    if border != "wrap":
        return extend(read(held), held, wanted, info.height, info.width, border)
    parts = [(box, read(box)) for box in wrapped_reads(wanted, info.height, info.width)]
    first = parts[0][1]  # a further image may be of another type than `info`
    out = np.empty((*wanted.shape, first.shape[2]), first.dtype)
    for inside, at in wrapped_pieces(wanted, info.height, info.width):
        box, pixels = next(each for each in parts if each[0].contains(inside))
        out[at.within(wanted)] = pixels[inside.within(box)]
    return out


def as_chunk(made: Any, name: str) -> Pixels:
    """Return the result of a kernel, with three dimensions."""
    if made is None or isinstance(made, (str, bytes)):
        array, kind = np.empty(0), f"a {type(made).__name__}"
    else:
        try:
            array = as_array(made, "its result")
            if array.dtype.kind == "O":  # numbers of Python, as `numpy.frompyfunc` makes them
                array = np.asarray(array.tolist())
        except (UsageError, ValueError) as error:
            raise FilterError(f"{name}: {error}") from None
        kind = f"an array of {array.ndim} dimensions"
    if array.ndim == 2:
        return array[:, :, None]
    if array.ndim != 3:
        raise FilterError(
            f"{name}: returned {kind}; return an array of (rows, columns, channels), or of "
            "(rows, columns) for one channel"
        )
    return array


def must_have(made: Pixels, channels: int, name: str) -> None:
    """Check that a result has as many channels as the filter `name` declares.

    Raises
    ------
    ShapeError
        If not.
    """
    number = made.shape[2]
    if number != channels:
        raise ShapeError(
            f"{name}: returned {counted(number, 'channel')} in place of {channels}; declare the "
            "number of channels: @imgpipe.filter(channels=...)"
        )


def trimmed(made: Pixels, box: Box, one: Element) -> Pixels:
    """Cut the halo off the result of a kernel for `box`, if the kernel left it on."""
    rows, columns = one.halo
    if made.shape[:2] == box.shape:
        return made
    if made.shape[:2] == (box.height + 2 * rows, box.width + 2 * columns):
        return made[rows : rows + box.height, columns : columns + box.width]
    raise ShapeError(
        f"{one.name}: returned {_extent(*made.shape[:2])} for a chunk of {_extent(*box.shape)} "
        f"with a halo of {_extent(rows, columns)}; return the chunk with its halo, or without it; "
        "a filter that changes the size of the image declares output= and region="
    )


def _extent(rows: int, columns: int) -> str:
    return f"{counted(rows, 'row')} and {counted(columns, 'column')}"
