"""Storage of the pixels of an image that is written: its tiles or strips, and their tags."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from imgpipe.errors import UsageError
from imgpipe.formats.compression import Compression
from imgpipe.formats.jpegs.encoding import Recipe, Subsampling
from imgpipe.formats.levels import levels_of
from imgpipe.formats.tiff.encoding import SegmentEncoder
from imgpipe.formats.tiff.tags import Tag, integers, numbers, opaque, shorts
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass

__all__ = ["Storage"]

_CODES = {"none": 1, "lzw": 5, "jpeg": 7, "deflate": 8, "zstd": 50000}
_PHOTOMETRIC = {"gray": 1, "rgb": 2, "cmyk": 5, "other": 1}
_COLOURS = {"gray": 1, "rgb": 3, "cmyk": 4, "other": 1}
_YCBCR = 6
_STRAIGHT_ALPHA = 2
_KINDS = {"u": 1, "i": 2, "f": 3}
_SAMPLING = {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2)}
_STRIP_BYTES = 256 << 10
_STRIP_STEP = 16  # rows, of which strips of JPEG data have a multiple
_REDUCED = 1


@dataclass(frozen=True)
class Storage:
    """The tiles or strips of an image.

    Attributes
    ----------
    info : ImageInfo
        The image.
    tile : (int, int)
        Rows and columns of a tile; (0, 0) for strips.
    compression : Compression
        Their compression.
    subsampling : str
        Subsampling of the colours of JPEG data.
    """

    info: ImageInfo
    tile: tuple[int, int]
    compression: Compression
    subsampling: Subsampling = "4:2:0"

    def must_be_held(self, name: str) -> None:
        """Refuse an image that the compression cannot hold.

        Raises
        ------
        UsageError
            If that is so.
        """
        info = self.info
        plain = info.alpha is None and info.channels == _COLOURS[info.colour]
        if self.compression.method == "jpeg" and not (plain and info.dtype == np.uint8):
            raise UsageError(
                f"{name}: JPEG data holds gray, RGB or CMYK of 8 bits without alpha; choose "
                "another compression"
            )

    @cached_property
    def unit(self) -> tuple[int, int]:
        """Rows and columns of a tile, or rows of a strip and 0."""
        if self.tile[0]:
            return self.tile
        rows = max(1, _STRIP_BYTES // self.info.row_bytes)
        return max(_STRIP_STEP, rows // _STRIP_STEP * _STRIP_STEP) if rows > 1 else 1, 0

    @property
    def across(self) -> int:
        """Number of tiles across; 1 for strips."""
        return -(-self.info.width // self.tile[1]) if self.tile[1] else 1

    @property
    def count(self) -> int:
        """Number of tiles or strips."""
        return self.across * -(-self.info.height // self.unit[0])

    @property
    def raw(self) -> bool:
        """Return whether pixels are stored as they are."""
        return self.compression.method == "none"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels of a tile, or of the largest strip."""
        rows, columns = self.unit
        return rows, columns or self.info.width, self.info.channels

    @cached_property
    def encoder(self) -> SegmentEncoder:
        """The part that workers run."""
        info, method = self.info, self.compression.method
        recipe = None
        if method == "jpeg":
            recipe = Recipe(info.channels, self.compression.effort or 0, self.subsampling)
        across = self.across if self.tile[1] else 0
        predictor = self.predictor
        return SegmentEncoder(self.shape, across, info.dtype, predictor, self.compression, recipe)

    @property
    def predictor(self) -> int:
        """The predictor: 1 for none."""
        if self.compression.method in ("none", "jpeg"):
            return 1
        return 3 if self.info.dtype.kind == "f" else 2

    @property
    def bound(self) -> int:
        """The most bytes of all tiles or strips."""
        return -(-self.info.height // self.unit[0]) * self.encoder.bound(self.unit[0])

    @property
    def raw_sizes(self) -> Pixels:
        """Sizes in bytes of the tiles or strips, uncompressed."""
        rows, columns, channels = self.shape
        sizes = np.full(self.count, rows * columns * channels * self.info.dtype.itemsize, np.uint64)
        if not self.tile[0]:
            sizes[-1] = (self.info.height - (self.count - 1) * rows) * self.info.row_bytes
        return sizes

    def levels(self) -> tuple[Storage, ...]:
        """Return this storage, and those of the levels of a pyramid."""
        smaller = levels_of(self.info, self.tile)
        return self, *(replace(self, info=info) for info in smaller)

    def tags(self, offsets: Pixels, sizes: Pixels, *, big: bool, reduced: bool) -> dict[int, Tag]:
        """Return the tags for the storage of the pixels.

        Parameters
        ----------
        offsets, sizes : ndarray of uint64
            Positions and sizes of the tiles or strips.
        big : bool
            Whether the file is a BigTIFF.
        reduced : bool
            Whether it is a level of a pyramid.
        """
        info, rows = self.info, min(self.unit[0], self.info.height)
        made = {
            254: integers(_REDUCED if reduced else 0),
            256: integers(info.width),
            257: integers(info.height),
            258: shorts(*[8 * info.dtype.itemsize] * info.channels),
            259: shorts(_CODES[self.compression.method]),
            277: shorts(info.channels),
            284: shorts(1),
            339: shorts(*[_KINDS[info.dtype.kind]] * info.channels),
            **self._colours(),
        }
        if self.tile[0]:
            made |= {322: integers(self.tile[1]), 323: integers(self.tile[0])}
        else:
            made[278] = integers(rows)
        made[324 if self.tile[0] else 273] = numbers(offsets, big=big)
        made[325 if self.tile[0] else 279] = numbers(sizes, big=False)
        if self.compression.method == "jpeg":
            made[347] = opaque(self.encoder.jpeg_tables)
        if self.predictor > 1:
            made[317] = shorts(self.predictor)
        return made

    def _colours(self) -> dict[int, Tag]:
        """Return the tags of the meaning of the channels."""
        info, colour = self.info, self.info.colour
        if info.channels - (info.alpha is not None) < _COLOURS[colour]:
            colour = "other"
        made = {262: shorts(_PHOTOMETRIC[colour])}
        extra = range(_COLOURS[colour], info.channels)
        if extra:
            made[338] = shorts(*(_STRAIGHT_ALPHA * (at == info.alpha) for at in extra))
        if self.compression.method == "jpeg" and colour == "rgb":
            made[262] = shorts(_YCBCR)
            made[530] = shorts(*_SAMPLING[self.subsampling])
        return made
