"""JPEG files as sinks of pixels: rows of MCUs encoded by every worker, joined in order.

Each unit of 32 rows is a restart interval, so the joined file decodes to the same pixels as a file
that one encoder wrote from top to bottom.
"""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar, Literal

import numpy as np

from imgpipe.errors import UsageError
from imgpipe.formats.base import Data, Facts
from imgpipe.formats.jpeg.metadata import metadata_segments
from imgpipe.formats.jpeg.progressive import ProgressiveEncoder
from imgpipe.formats.jpegs.encoding import END, UNIT_ROWS, Recipe, Subsampling, restart
from imgpipe.formats.jpegs.markers import MAX_SIDE
from imgpipe.formats.target import Target
from imgpipe.formats.wholeencoding import EncodedSink
from imgpipe.image import ImageInfo, Pixels
from imgpipe.parameters import Between
from imgpipe.records import dataclass

__all__ = ["DEFAULT_QUALITY", "JpegEncoder", "JpegSink", "open_sink"]

DEFAULT_QUALITY = 90

Quality = Annotated[int, Between(1, 100), "1 is the smallest file, 100 the closest to the image."]
Progressive = Annotated[
    bool, "Coarse to fine in several scans: a smaller file, which one worker encodes at the end."
]
Ratio = Annotated[Subsampling, "Resolution of the colours: 4:4:4 is full, 4:2:0 half both ways."]


def open_sink(
    target: Target,
    info: ImageInfo,
    *,
    quality: Quality = DEFAULT_QUALITY,
    subsampling: Ratio = "4:2:0",
    progressive: Progressive = False,
) -> JpegSink | EncodedSink:
    """Begin a JPEG file.

    Parameters
    ----------
    target : Target
        Target of the file.
    info : ImageInfo
        The image: 8 bits; gray, RGB or CMYK.
    quality : int
        From 1 to 100, as libjpeg counts.
    subsampling : str
        ``4:4:4``, ``4:2:2`` or ``4:2:0``.
    progressive : bool
        Whether one worker encodes the whole image, in several scans.

    Returns
    -------
    JpegSink or EncodedSink
        To be fed from top to bottom, or in any order.

    Raises
    ------
    UsageError
        If the image is too large for JPEG, or has alpha.
    """
    if info.channels == 4 and info.colour == "rgb":
        raise UsageError(f"{target.name}: JPEG holds no alpha; write .png or .tif, which do")
    if max(info.height, info.width) > MAX_SIDE:
        raise UsageError(
            f"{target.name}: JPEG holds at most {MAX_SIDE:,} x {MAX_SIDE:,} pixels, not "
            f"{info.width:,} x {info.height:,}; write .tif or .png"
        )
    recipe = Recipe(info.channels, quality, subsampling)
    marks = metadata_segments(info.metadata, info.channels, target.name)
    if progressive:
        return EncodedSink(target, info, ProgressiveEncoder(recipe, info.pixels, marks))
    return JpegSink(target, info, recipe, marks)


@dataclass(frozen=True)
class JpegEncoder:
    """Encoder of restart intervals.

    Attributes
    ----------
    recipe : Recipe
        The way to code pixels.
    width : int
        Columns of the image.
    """

    outside_python: ClassVar[bool] = True
    recipe: Recipe
    width: int
    context_rows: int = 0

    @property
    def work_bytes(self) -> int:
        """Memory beside the unit: of CMYK, the inverted pixels."""
        return 4 * UNIT_ROWS * self.width if self.recipe.channels == 4 else 0

    def bound(self, rows: int) -> int:
        """Return the most bytes that `rows` rows can become."""
        return self.recipe.bound(rows, self.width)

    def encode(self, unit: Pixels, above: Pixels | None) -> tuple[Data, Facts]:
        """Return the coded bytes of a restart interval."""
        inks = self.recipe.channels == 4  # files with Adobe's marker store their absence
        return self.recipe.coded(np.invert(unit) if inks else unit), ()


class JpegSink:
    """A JPEG file under construction; see `open_sink`."""

    kind: ClassVar[Literal["ordered"]] = "ordered"
    unit: ClassVar[tuple[int, int]] = (UNIT_ROWS, 0)

    def __init__(self, target: Target, info: ImageInfo, recipe: Recipe, marks: bytes) -> None:
        self.info, self.encoder = info, JpegEncoder(recipe, info.width)
        self._target = target
        self._done, self._count = 0, -(-info.height // UNIT_ROWS)
        rows, columns = recipe.mcu
        interval = UNIT_ROWS // rows * -(-info.width // columns)
        # Not made here: the codec is loaded while the first rows are read.
        self._head = functools.partial(recipe.head, info.height, info.width, marks, interval)

    def append(self, data: Data, facts: Facts) -> None:
        """Append the next restart interval."""
        # The header not before there is something to follow: a pipe waits for its reader.
        self._target.write(restart(self._done - 1) if self._done else self._head(), data)
        self._done += 1

    def commit(self) -> int:
        """Publish the finished file and return its size in bytes."""
        if self._done != self._count:
            self.abort()
            raise RuntimeError(f"{self._done} units were appended, where there are {self._count}")
        self._target.write(END)
        return self._target.commit()

    def abort(self) -> None:
        """Leave nothing behind. Safe to call at any time, and twice."""
        self._target.abort()
