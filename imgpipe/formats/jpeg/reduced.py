"""JPEG files decoded at one to five eighths of their size.

The decoder leaves out the finer coefficients of each block, and makes 1 x 1 to 5 x 5 pixels of it
instead of 8 x 8. Up to a half, this takes less work than to decode all pixels. Five eighths take a
little more, but leave fewer pixels to resize; six or seven take more than they save.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from imgpipe.errors import CorruptError
from imgpipe.formats.base import Check
from imgpipe.formats.jpegs import strict
from imgpipe.formats.jpegs.markers import Header, JpegError
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.wholedecoding import content_of
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass

__all__ = ["ReducedSource", "decode_strictly", "reduced"]

_TIMES = {1: 2.0, 2: 1.75, 3: 1.5, 4: 1.5, 5: 1.5}
"""Times the size of a thumbnail that an image of so many eighths has at least.

The fewer there are, the less a pixel is like a mean of those of the image.
"""
_BLOCK = 8
_HALF = 4
_MOST_PIXELS = 64_000_000  # which are decoded at once
_MOST_ABOVE_HALF = 8_000_000  # rows of a larger image had better be decoded as they are needed


@dataclass(frozen=True)
class ReducedSource:
    """A JPEG file that is decoded at once, at a part of its size.

    Attributes
    ----------
    info : ImageInfo
        The smaller image.
    origin : Origin
        The file.
    header : Header
        Its header.
    size : int
        Bytes of the file.
    eighths : int
        Its part of the size, 1 to 5.
    """

    access: ClassVar[Literal["whole"]] = "whole"
    grain: ClassVar[tuple[int, int]] = (1, 1)
    info: ImageInfo
    origin: Origin
    header: Header
    size: int
    eighths: int

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.origin.name

    @property
    def share(self) -> tuple[int, int]:
        """Pixels of the image, and for how many of this one they are, along both axes."""
        return _BLOCK, self.eighths

    @property
    def decode_bytes(self) -> int:
        """Memory beside the pixels: the file, coefficients, and rows of the decoder."""
        taken = self.size + (2 << 20) + 64 * _BLOCK * self.info.row_bytes // self.eighths
        return taken if self.header.at_once else taken + self.header.coefficient_bytes

    def decode_into(self, out: Pixels, check: Check = lambda: None) -> None:
        """Fill `out`, shape (height, width, channels), with the smaller image.

        Raises
        ------
        CorruptError
            If the file is damaged.
        """
        decode_strictly(self.origin, self.header, out, check, eighths=self.eighths)


def reduced(
    info: ImageInfo, origin: Origin, header: Header, size: tuple[int, int]
) -> ReducedSource | None:
    """Return a JPEG file as the smallest image that is enough for a thumbnail of a size.

    None if that is the file as it is.
    """
    if not strict.is_reducible(header) or min(info.height, info.width) < _BLOCK:
        return None
    for eighths, times in _TIMES.items():
        height, width = (-(-side * eighths // _BLOCK) for side in (info.height, info.width))
        least = [math.ceil(times * side) for side in size]
        most = _MOST_PIXELS if eighths <= _HALF else _MOST_ABOVE_HALF
        if height >= least[0] and width >= least[1] and height * width <= most:
            metadata = info.metadata.resized(
                (info.height, info.width), (height, width), exact=False
            )
            small = replace(info, height=height, width=width, metadata=metadata)
            with origin.open() as file:
                return ReducedSource(small, origin, header, size_of(file), eighths)
    return None


def decode_strictly(
    origin: Origin, header: Header, out: Pixels, check: Check, *, eighths: int = _BLOCK
) -> None:
    """Fill `out`, shape (height, width, channels), with a file at a part of its size.

    Raises
    ------
    CorruptError
        If the file is damaged.
    """
    check()
    data = content_of(origin)
    try:
        strict.decode(data, out=out, eighths=eighths)
    except JpegError as error:
        reason = f"{origin.name}: the file is damaged: {error}; get a fresh copy"
        raise CorruptError(reason) from None
    if header.inverted:
        np.invert(out, out=out)
    check()
