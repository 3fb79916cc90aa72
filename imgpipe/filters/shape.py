"""Shape: filters that move pixels."""

from __future__ import annotations

from typing import Annotated, Literal

from imgpipe.chains.decorator import filter
from imgpipe.errors import UsageError
from imgpipe.geometry import Box
from imgpipe.image import Metadata, Pixels
from imgpipe.items import moved
from imgpipe.parameters import Between

__all__ = ["crop", "flip", "rotate"]

Direction = Literal["vertical", "horizontal"]
Angle = Literal[90, 180, 270]

_HALF_TURN = 180


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


def _cropped_metadata(
    metadata: Metadata, before: tuple[int, int], after: tuple[int, int], /, *, x: int, y: int
) -> Metadata:
    return metadata if before == after else metadata.cropped(x, y)


@filter(
    halo=0,
    alpha="filter",
    output=_cropped_size,
    region=_moved,
    metadata=_cropped_metadata,
    in_order=True,
    never_brighter=True,
)
def crop(
    chunk: Pixels,
    *,
    x: Annotated[int, Between(0), "first column"] = 0,
    y: Annotated[int, Between(0), "first row"] = 0,
    width: Annotated[int, Between(1), "columns"],
    height: Annotated[int, Between(1), "rows"],
) -> Pixels:
    """Cut out a part of the image.

    ``result[j, i] = value[y + j, x + i]``, for ``height`` rows and ``width`` columns. No pixel
    changes its value.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    x : int
        First column of the part.
    y : int
        First row of the part.
    width : int
        Number of columns. The part must lie inside the image.
    height : int
        Number of rows.

    Returns
    -------
    ndarray
        The same type.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 2.6.
    """
    return chunk


def _same_size(size: tuple[int, int], /, *, direction: str) -> tuple[int, int]:
    return size


def _mirrored(box: Box, size: tuple[int, int], /, *, direction: str) -> Box:
    height, width = size
    if direction == "vertical":
        return Box(height - box.y1, box.x0, height - box.y0, box.x1)
    return Box(box.y0, width - box.x1, box.y1, width - box.x0)


def _keeps_rows(direction: str) -> bool:
    return direction == "horizontal"


def _mirrored_metadata(
    metadata: Metadata, before: tuple[int, int], _after: tuple[int, int], /, *, direction: str
) -> Metadata:
    return metadata.flipped(direction, *before)


@filter(
    halo=0,
    alpha="filter",
    output=_same_size,
    region=_mirrored,
    metadata=_mirrored_metadata,
    in_order=_keeps_rows,
    never_brighter=True,
)
def flip(
    chunk: Pixels,
    *,
    direction: Annotated[Direction, "vertical: top to bottom"] = "vertical",
) -> Pixels:
    """Mirror the image top to bottom or left to right.

    ``result[y, x] = value[height - 1 - y, x]`` for ``vertical``, and ``value[y, width - 1 - x]``
    for ``horizontal``. No pixel changes its value.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    direction : {"vertical", "horizontal"}
        Top to bottom, or left to right.

    Returns
    -------
    ndarray
        The same type.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 2.6.
    """
    return chunk[::-1] if direction == "vertical" else moved(chunk, (False, True, False))


def _turned_size(size: tuple[int, int], /, *, angle: int) -> tuple[int, int]:
    height, width = size
    return size if angle == _HALF_TURN else (width, height)


def _turned(box: Box, size: tuple[int, int], /, *, angle: int) -> Box:
    height, width = size
    if angle == _HALF_TURN:
        return Box(height - box.y1, width - box.x1, height - box.y0, width - box.x0)
    if angle < _HALF_TURN:
        return Box(box.x0, width - box.y1, box.x1, width - box.y0)
    return Box(height - box.x1, box.y0, height - box.x0, box.y1)


def _turned_metadata(
    metadata: Metadata, before: tuple[int, int], _after: tuple[int, int], /, *, angle: int
) -> Metadata:
    return metadata.turned(angle, *before)


@filter(
    halo=0,
    alpha="filter",
    output=_turned_size,
    region=_turned,
    metadata=_turned_metadata,
    never_brighter=True,
)
def rotate(
    chunk: Pixels,
    *,
    angle: Annotated[Angle, "degrees, counter-clockwise"] = 90,
) -> Pixels:
    """Rotate the image counter-clockwise by a multiple of 90 degrees.

    The same as `numpy.rot90`: no pixel changes its value. A turn by 90 or 270 degrees swaps width
    and height, and the resolutions along x and y.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    angle : {90, 180, 270}
        Degrees, counter-clockwise: 270 is a quarter turn clockwise.

    Returns
    -------
    ndarray
        The same type.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 2.6.
    """
    return moved(chunk, (angle != 90, angle != 270, angle != _HALF_TURN))
