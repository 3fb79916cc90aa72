"""Iteration over the chunks of an image, for a loop of the caller's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import cast

import numpy as np

from imgpipe import arguments
from imgpipe.admission import admitted
from imgpipe.borders import BORDERS, Border
from imgpipe.chains.stages import Read, Stage, compute, extended, resolve
from imgpipe.cleanup import CleanupStack
from imgpipe.engine.scratchcopy import copied_to_scratch
from imgpipe.formats.arrays import RandomArray
from imgpipe.formats.base import Source
from imgpipe.formats.losses import warn_of_damage
from imgpipe.formats.opening import open_source
from imgpipe.formats.readwrite import Reading
from imgpipe.formats.rows import RowsOf
from imgpipe.geometry import Box, Halo
from imgpipe.image import ImageInfo, Pixels

__all__ = ["iter_chunks"]


def iter_chunks(
    src: str | os.PathLike[str] | Pixels,
    size: int | tuple[int, int] = 1024,
    *,
    halo: int | Halo = 0,
    border: Border = "edge",
    max_pixels: int | str | None = None,
    autorotate: bool = True,
    page: int = 0,
    level: int = 0,
    salvage: bool = False,
) -> Iterator[tuple[Box, Pixels]]:
    """Iterate over an image file in chunks, row of chunks by row of chunks.

    No more than a row of chunks is in memory, for an image of any size.

    Parameters
    ----------
    src : path or ndarray
        The file, or an image of (rows, columns) or (rows, columns, channels), or an object that
        `numpy.asarray` converts to one.
    size : int or (int, int)
        Rows and columns of a chunk; the last ones may be smaller.
    halo : int or (int, int)
        Rows and columns of context on each side.
    border : {"edge", "symmetric", "reflect", "wrap", "constant"}
        Values of pixels beyond the image, in the words of `numpy.pad`.
    max_pixels : int or str, optional
        Larger images are errors; 4 gigapixels by default.
    autorotate : bool, default True
        Iterate over the upright image, if the file says that it is turned.
    page : int, default 0
        The frame: a page of a TIFF file, or a frame of an animation, counted from 0.
    level : int, default 0
        The level of a pyramid; 0 is the full resolution.
    salvage : bool, default False
        Read the undamaged part of a damaged file, as `imgpipe.run` does. The warning comes last.

    Yields
    ------
    box : Box
        Place of the chunk in the image, without its halo.
    pixels : ndarray, shape (box.height + 2 * halo, box.width + 2 * halo, channels)
        Its pixels, in the dtype of the file; an array of your own.

    Raises
    ------
    InputError
        If the file cannot be read.
    UsageError
        If a size or the border cannot be right.

    Examples
    --------
    >>> import imgpipe
    >>> for box, pixels in imgpipe.iter_chunks("big.png", 1024, halo=8):  # doctest: +SKIP
    ...     print(box, pixels[8:-8, 8:-8].mean())
    """
    cut = arguments.pair(size, "size", at_least=1)
    context = arguments.pair(halo, "halo", at_least=0)
    arguments.one_of(border, "border", BORDERS)
    reading = Reading(max_pixels, autorotate=autorotate, page=page, level=level, salvage=salvage)
    source = _opened(src, reading)
    stages = resolve((), source.info, autorotate=reading.autorotate)
    return _chunks(source, stages, cut, context, border)


def _opened(src: str | os.PathLike[str] | Pixels, reading: Reading) -> Source:
    if isinstance(src, (str, bytes, os.PathLike)):
        return open_source(src, reading)
    image = admitted(src, name="src")
    return RandomArray(image.info, image.pixels)


def _chunks(
    source: Source,
    stages: tuple[Stage, ...],
    size: tuple[int, int],
    halo: Halo,
    border: Border,
) -> Iterator[tuple[Box, Pixels]]:
    given, info = source, stages[-1].after if stages else source.info
    goes_back = (border == "wrap" and halo[0]) or not all(stage.in_order for stage in stages)
    with CleanupStack() as held:
        if source.access == "sequential" and goes_back:
            scratch = copied_to_scratch(source, lambda _: None, lambda: None)
            held.callback(scratch.abort)
            source = scratch.source
        read = partial(compute, stages, read=_reader(source, held))
        for box in info.box.cut(*size):
            yield box, np.array(extended(read, box.grow(halo), info, border))
    warn_of_damage(given)


def _reader(source: Source, held: CleanupStack) -> Read:
    """Return a reader of boxes, whose rows never go back by more than they overlap."""
    info = source.info
    if source.access == "random":
        return source.read
    if source.access == "whole":
        pixels = np.empty(info.shape, info.dtype)
        source.decode_into(pixels)
        return lambda box: cast(Pixels, pixels[box.slices])
    rows = RowsOf(source)
    held.callback(rows.close)
    return _Bands(rows, info).read


class _Bands:
    """The rows of a row of chunks, of which each chunk is a part."""

    def __init__(self, rows: RowsOf, info: ImageInfo) -> None:
        self._rows, self._info = rows, info
        self._band, self._place = np.empty((0, *info.shape[1:]), info.dtype), (0, 0)

    def read(self, box: Box) -> Pixels:
        if self._place != (box.y0, box.y1):
            self._band = np.empty((box.height, *self._info.shape[1:]), self._info.dtype)
            self._rows.fill(self._band, box.y0)
            self._rows.finish()
            self._place = box.y0, box.y1
        return self._band[:, box.x0 : box.x1]
