"""JPEG files decoded at a half, a quarter or an eighth of their size.

The decoder leaves out the finer coefficients of each block. So a pixel is close to the mean of
2 x 2, 4 x 4 or 8 x 8 pixels of the image, and takes a fraction of the work.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from imgpipe.errors import CorruptError
from imgpipe.formats.base import Check
from imgpipe.formats.decoded import content_of
from imgpipe.formats.jpegs import strict
from imgpipe.formats.jpegs.markers import Header, JpegError
from imgpipe.formats.origin import Origin, size_of
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass

__all__ = ["ReducedSource", "decode_strictly", "reduced"]

_FACTORS = (8, 4, 2)
_BLOCK = 8
_MOST_PIXELS = 64_000_000  # which are decoded at once


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
    factor : {2, 4, 8}
        Rows and columns that a pixel stands for.
    """

    access: ClassVar[Literal["whole"]] = "whole"
    grain: ClassVar[tuple[int, int]] = (1, 1)
    info: ImageInfo
    origin: Origin
    header: Header
    size: int
    factor: int

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.origin.name

    @property
    def decode_bytes(self) -> int:
        """Memory beside the pixels: the file, coefficients, and rows of the decoder."""
        taken = self.size + (2 << 20) + 64 * self.factor * self.info.row_bytes
        return taken if self.header.at_once else taken + self.header.coefficient_bytes

    def decode_into(self, out: Pixels, check: Check = lambda: None) -> None:
        """Fill `out`, shape (height, width, channels), with the smaller image.

        Raises
        ------
        CorruptError
            If the file is damaged.
        """
        decode_strictly(self.origin, self.header, out, check, factor=self.factor)


def reduced(
    info: ImageInfo, origin: Origin, header: Header, least: tuple[int, int]
) -> ReducedSource | None:
    """Return a JPEG file as the smallest image of at least so many rows and columns.

    None if the decoder makes no smaller one.
    """
    if not strict.is_reducible(header) or min(info.height, info.width) < _BLOCK:
        return None
    for factor in _FACTORS:
        height, width = -(-info.height // factor), -(-info.width // factor)
        if height >= least[0] and width >= least[1] and height * width <= _MOST_PIXELS:
            metadata = info.metadata.resized(
                (info.height, info.width), (height, width), exact=False
            )
            small = replace(info, height=height, width=width, metadata=metadata)
            with origin.open() as file:
                return ReducedSource(small, origin, header, size_of(file), factor)
    return None


def decode_strictly(
    origin: Origin, header: Header, out: Pixels, check: Check, *, factor: int = 1
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
        strict.decode(data, out=out, factor=factor)
    except JpegError as error:
        reason = f"{origin.name}: the file is damaged: {error}; get a fresh copy"
        raise CorruptError(reason) from None
    if header.inverted:
        np.invert(out, out=out)
    check()
