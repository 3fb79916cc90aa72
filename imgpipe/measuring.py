"""Measure: one value of a whole image, such as a histogram, a mean or a count."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from imgpipe import arguments
from imgpipe.admission import Alpha, Nodata, admitted
from imgpipe.chains.chain import Chain
from imgpipe.chains.decorator import filter as declared
from imgpipe.chains.definition import Works
from imgpipe.chains.entry import FilterLike, chain_from
from imgpipe.chains.stages import resolve
from imgpipe.engine.pipeline import measure_between
from imgpipe.errors import UsageError
from imgpipe.events import Observing
from imgpipe.executors.choice import ExecutorLike
from imgpipe.formats.arrays import SequentialArray
from imgpipe.formats.base import Source
from imgpipe.formats.opening import open_source
from imgpipe.formats.readwrite import Reading
from imgpipe.geometry import Halo
from imgpipe.image import Pixels
from imgpipe.options import Options

__all__ = ["measure"]

T = TypeVar("T")


def measure(
    src: str | os.PathLike[str] | Pixels,
    function: Callable[[Pixels], T],
    merge: Callable[[T, T], T],
    *,
    filter: FilterLike | None = None,
    halo: int | Halo | None = None,
    dtype: Works | None = None,
    alpha: Alpha = None,
    workers: int | None = None,
    max_memory: int | str | None = None,
    executor: ExecutorLike = None,
    on_event: Observing | None = None,
    max_pixels: int | str | None = None,
    chunk: int | tuple[int, int] | None = None,
    timeout: float | None = None,
    scratch: str | os.PathLike[str] | None = None,
    accelerator: str | None = None,
    progress: bool = False,
    autorotate: bool = True,
    page: int = 0,
    level: int = 0,
    nodata: Nodata = None,
    salvage: bool = False,
) -> T:
    """Reduce an image to one value, chunk by chunk. No image is written.

    Every pixel is seen once, without a halo. The result is the same for any number of workers and
    any chunk size if `merge` is exact, as sums of integers, minima and unions are, and as sums of
    floats are not.

    Parameters
    ----------
    src : path or ndarray
        An image file, or an image of (rows, columns) or (rows, columns, channels), or an object
        that `numpy.asarray` converts to one.
    function : callable
        ``function(chunk)`` gets an array of (rows, columns, channels), alpha included, which it
        must not change, and returns anything that can be pickled.
    merge : callable
        ``merge(a, b)`` makes one of two results, in the order of the image.
    filter : Filter, Chain, str or callable, optional
        Filters to run over the image first.
    halo, dtype : optional
        For bare functions in `filter`, as for `imgpipe.run`.
    alpha, max_pixels, workers, max_memory, executor, on_event : optional
        As for `imgpipe.run`.
    chunk, timeout, accelerator : optional
        As for `imgpipe.run`.
    scratch, progress : optional
        As for `imgpipe.run`.
    autorotate : bool, default True
        Measure the upright image, if the file says that it is turned.
    page : int, default 0
        The frame to measure: a page of a TIFF file, or a frame of an animation, counted from 0.
    level : int, default 0
        The level of a pyramid; 0 is the full resolution.
    nodata : float or "none", optional
        The value of pixels without data, for `filter`; as for `imgpipe.run` and `imgpipe.apply`.
        The function gets them like others.
    salvage : bool, default False
        As for `imgpipe.run`.

    Returns
    -------
    object
        The result of `function` and `merge`.

    Raises
    ------
    InputError, FilterError, UsageError
        See `imgpipe.errors` for the whole tree.

    Examples
    --------
    >>> import numpy as np, imgpipe
    >>> def bright(chunk):
    ...     return int((chunk > 200).sum())
    >>> imgpipe.measure(np.full((4, 5), 255, np.uint8), bright, lambda a, b: a + b)
    20
    """
    arguments.function(function, "function", "a chunk")
    arguments.function(merge, "merge", "two results of function")
    reading = Reading(max_pixels, alpha, autorotate, page, level, nodata, salvage)
    if filter is None and (halo is not None or dtype is not None):
        raise UsageError("halo and dtype are only for a bare function, given as filter=")
    last = declared(halo=0, alpha="filter", name="measure", measure=function, merge=merge)
    first = Chain(()) if filter is None else chain_from(filter, halo, dtype)
    chain = first | last(_unchanged)()
    source: Source
    if isinstance(src, (str, bytes, os.PathLike)):
        source = open_source(src, reading)
        info = reading.declared(source.info)
    else:
        image = admitted(src, alpha, name="src", nodata=nodata)
        info = image.info
        source = SequentialArray(image.info, image.pixels)
    options = Options(
        workers, max_memory, executor, on_event, chunk, timeout, progress, scratch, accelerator
    )
    stages = resolve(chain, info, autorotate=reading.autorotate, name=source.name)
    with options.scratch_beside():
        found: T = measure_between(source, stages, options)
    return found


def _unchanged(chunk: Pixels) -> Pixels:
    return chunk
