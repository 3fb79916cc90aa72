"""Properties of an image: all that is known before a pixel is read."""

from __future__ import annotations

from dataclasses import field
from typing import Any, TypeAlias

import numpy as np

from imgpipe.errors import LimitError
from imgpipe.geometry import Box
from imgpipe.metadata import Colour, Metadata, Text
from imgpipe.plurals import area
from imgpipe.records import dataclass

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "Colour",
    "ImageInfo",
    "Metadata",
    "Pixels",
    "Text",
    "check_made_pixels",
    "check_pixels",
    "guess_colour",
]

# The same as numpy.typing.NDArray[Any], whose import takes longer than many an image.
Pixels: TypeAlias = np.ndarray[Any, np.dtype[Any]]

DEFAULT_MAX_PIXELS = 4_000_000_000


@dataclass(frozen=True)
class ImageInfo:
    """Size and kind of an image.

    Attributes
    ----------
    height, width : int
        Pixels.
    channels : int
        Channels, alpha included. Pixels are always (rows, columns, channels).
    dtype : numpy.dtype
        Type of one value, in the byte order of this machine, also for files in the other one.
    alpha : int or None
        Index of the channel that is alpha; imgpipe keeps it the last one.
    colour : {"gray", "rgb", "cmyk", "other"}
        Meaning of the channels before alpha. Of CMYK, 0 is no ink.
    metadata : Metadata
        The metadata of the file.
    nodata : float or None
        The value of pixels without data.
    """

    height: int
    width: int
    channels: int
    dtype: np.dtype[Any]
    alpha: int | None = None
    colour: Colour = "other"
    metadata: Metadata = field(default_factory=Metadata)
    nodata: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", np.dtype(self.dtype).newbyteorder("="))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels."""
        return self.height, self.width, self.channels

    @property
    def box(self) -> Box:
        """The box of the whole image."""
        return Box.of(self.height, self.width)

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.width * self.channels * self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return self.height * self.row_bytes


def guess_colour(channels: int) -> tuple[Colour, int | None]:
    """Return the usual meaning of `channels` in an image file: colour model and alpha."""
    meanings: dict[int, tuple[Colour, int | None]] = {
        1: ("gray", None),
        2: ("gray", 1),
        3: ("rgb", None),
        4: ("rgb", 3),
    }
    return meanings.get(channels, ("other", None))


def check_pixels(height: int, width: int, name: str, max_pixels: int | None) -> None:
    """Refuse an image that is larger than the limit, before anything is allocated.

    Raises
    ------
    LimitError
        If ``height * width`` exceeds `max_pixels` (default: 4 gigapixels).
    """
    limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
    if height * width > limit:
        raise LimitError(
            f"{name}: has {width} x {height} = {area(height * width)}, but the limit is "
            f"{area(limit)}; if you trust the file, raise the limit "
            f"(--max-pixels {height * width}, or max_pixels= in Python)"
        )


def check_made_pixels(info: ImageInfo, name: str, max_pixels: int | None) -> None:
    """Refuse to make an image that is larger than the limit, such as by a wrong size.

    Raises
    ------
    LimitError
        If it has more than 4 gigapixels, and more than `max_pixels`.
    """
    limit = max(DEFAULT_MAX_PIXELS, max_pixels or 0)
    if info.pixels > limit:
        raise LimitError(
            f"{name}: would have {info.width} x {info.height} = {area(info.pixels)}, but the limit "
            f"is {area(limit)}; make a smaller image, or raise the limit "
            f"(--max-pixels {info.pixels}, or max_pixels= in Python)"
        )
