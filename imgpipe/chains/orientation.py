"""Orientation: the element that turns the pixels of a file upright, before the first filter.

The orientation of EXIF is a mirroring or a turn by quarters, so no pixel changes its value.
"""

from __future__ import annotations

from typing import Any

from imgpipe.chains.declarations import define
from imgpipe.chains.definition import Declared, Kernel
from imgpipe.chains.element import Element
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Metadata, Pixels
from imgpipe.items import moved

__all__ = ["turning", "turns"]

# Steps that turn the stored pixels upright, in this order.
_FROM_BOTTOM = (3, 4, 6, 7)
_FROM_RIGHT = (2, 3, 7, 8)
_TRANSPOSED = (5, 6, 7, 8)
_MIRRORED = 2

Size = tuple[int, int]


def turning(info: ImageInfo) -> tuple[Element, ...]:
    """Return the elements that turn an image upright: one, or none if it is."""
    orientation = info.metadata.orientation
    if orientation == 1:
        return ()
    return (Element(upright.definition, (("orientation", orientation),), "edge"),)


def turns(orientation: int) -> tuple[bool, bool, bool]:
    """Return whether rows are reversed, columns are, and both are exchanged after that."""
    return orientation in _FROM_BOTTOM, orientation in _FROM_RIGHT, orientation in _TRANSPOSED


def _upright_size(size: Size, /, *, orientation: int) -> Size:
    return size[::-1] if orientation in _TRANSPOSED else size


def _as_stored(box: Box, size: Size, /, *, orientation: int) -> Box:
    height, width = size
    y0, x0, y1, x1 = box.y0, box.x0, box.y1, box.x1
    if orientation in _TRANSPOSED:
        y0, x0, y1, x1 = x0, y0, x1, y1
    if orientation in _FROM_BOTTOM:
        y0, y1 = height - y1, height - y0
    if orientation in _FROM_RIGHT:
        x0, x1 = width - x1, width - x0
    return Box(y0, x0, y1, x1)


def _upright_metadata(
    metadata: Metadata, before: Size, _after: Size, /, *, orientation: int
) -> Metadata:
    if orientation in _FROM_BOTTOM:
        metadata = metadata.flipped("vertical", *before)
    if orientation in _FROM_RIGHT:
        metadata = metadata.flipped("horizontal", *before)
    if orientation in _TRANSPOSED:
        metadata = metadata.transposed()
    return metadata.upright()


def _keeps_rows(orientation: int) -> bool:
    return orientation == _MIRRORED


def _declared(kernel: Kernel) -> Declared:
    declared: dict[str, Any] = {
        "alpha": "filter",
        "output": _upright_size,
        "region": _as_stored,
        "metadata": _upright_metadata,
        "in_order": _keeps_rows,
        "never_brighter": True,
    }
    return Declared(define(kernel, None, 0, declared))


@_declared
def upright(chunk: Pixels, *, orientation: int) -> Pixels:
    """Turn the image upright.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    orientation : int
        Position of the first row and column, as EXIF counts, 2 to 8.

    Returns
    -------
    ndarray
        The same type.
    """
    return moved(chunk, turns(orientation))
