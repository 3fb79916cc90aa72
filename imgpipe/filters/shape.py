"""Shape: filters that move pixels."""

from __future__ import annotations

from typing import Annotated, Literal

from imgpipe.errors import UsageError
from imgpipe.filters.base import filter
from imgpipe.filters.parameters import Between
from imgpipe.geometry import Box
from imgpipe.image import Pixels

__all__ = ["crop", "flip"]

Direction = Literal["vertical", "horizontal"]


def _cropped_size(size: tuple[int, int], /, **wanted: int) -> tuple[int, int]:
    box = Box(
        wanted["y"], wanted["x"], wanted["y"] + wanted["height"], wanted["x"] + wanted["width"]
    )
    if box.empty or not Box.of(*size).contains(box):
        raise UsageError(
            f"the region {box.x0},{box.y0},{box.width},{box.height} (x, y, width, height) is not "
            f"inside the image of {size[1]} x {size[0]}"
        )
    return box.shape


def _moved(box: Box, _size: tuple[int, int], /, **wanted: int) -> Box:
    return box.shift(wanted["y"], wanted["x"])


@filter(halo=0, alpha="filter", output=_cropped_size, region=_moved, in_order=True)
def crop(
    chunk: Pixels,
    *,
    x: Annotated[int, Between(0), "first column"] = 0,
    y: Annotated[int, Between(0), "first row"] = 0,
    width: Annotated[int, Between(1), "columns"],
    height: Annotated[int, Between(1), "rows"],
) -> Pixels:
    """Cut out a part of the image.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any dtype.
    x, y : int
        The first column and row of the part.
    width, height : int
        Its size in pixels. It must lie inside the image.

    Returns
    -------
    ndarray
        Of the same dtype.
    """
    return chunk


def _same_size(size: tuple[int, int], /, *, direction: str) -> tuple[int, int]:
    return size


def _mirrored(box: Box, size: tuple[int, int], /, *, direction: str) -> Box:
    height, width = size
    if direction == "vertical":
        return Box(height - box.y1, box.x0, height - box.y0, box.x1)
    return Box(box.y0, width - box.x1, box.y1, width - box.x0)


@filter(halo=0, alpha="filter", output=_same_size, region=_mirrored)
def flip(
    chunk: Pixels,
    *,
    direction: Annotated[Direction, "vertical: top to bottom"] = "vertical",
) -> Pixels:
    """Mirror the image top to bottom or left to right.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any dtype.
    direction : {"vertical", "horizontal"}
        Top to bottom, or left to right.

    Returns
    -------
    ndarray
        Of the same dtype.
    """
    return chunk[::-1] if direction == "vertical" else chunk[:, ::-1]
