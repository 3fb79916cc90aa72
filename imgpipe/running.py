"""Running of a filter or a chain over an image file, or only its plan."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from imgpipe import arguments
from imgpipe.adapting import stages_to, warn_of_alpha
from imgpipe.admission import Alpha, Nodata
from imgpipe.chains.chain import Chain
from imgpipe.chains.definition import Works
from imgpipe.chains.entry import FilterLike, chain_from
from imgpipe.chains.stages import Stage
from imgpipe.cleanup import uninterrupted
from imgpipe.engine.control import Control
from imgpipe.engine.pipeline import plan_between, plan_frames, run_between, run_frames
from imgpipe.engine.plan import Plan
from imgpipe.events import Observing, Report
from imgpipe.executors.choice import ExecutorLike
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.opening import (
    SourceLike,
    TargetLike,
    must_take,
    name_of,
    open_sink,
    open_source,
    origin_of,
)
from imgpipe.formats.readwrite import Reading, Writing
from imgpipe.geometry import Box, Halo
from imgpipe.options import Options
from imgpipe.paging import Pages, pages_of
from imgpipe.reduceddecoding import shrunk

__all__ = ["plan_run", "run", "run_as"]

Region = Box | tuple[int, int, int, int]
Colour = str | int | tuple[int, int, int] | None
Range = str | tuple[float, float] | None


def run(
    src: SourceLike,
    filter: FilterLike,
    dst: TargetLike,
    *,
    halo: int | Halo | None = None,
    dtype: Works | None = None,
    alpha: Alpha = None,
    workers: int | None = None,
    max_memory: int | str | None = None,
    executor: ExecutorLike = None,
    region: Region | None = None,
    on_event: Observing | None = None,
    max_pixels: int | str | None = None,
    compression: int | str | None = None,
    save: Mapping[str, Any] | None = None,
    format: str | None = None,
    strip: bool = False,
    background: Colour = None,
    value_range: Range = None,
    autorotate: bool = True,
    page: int | None = None,
    level: int = 0,
    nodata: Nodata = None,
    salvage: bool = False,
    chunk: int | tuple[int, int] | None = None,
    timeout: float | None = None,
    scratch: str | os.PathLike[str] | None = None,
    accelerator: str | None = None,
    progress: bool = False,
    control: Control | None = None,
) -> Report:
    """Run a filter or a chain over an image file, in one pass.

    The output has the same bytes for any number of workers, any executor, any chunk size and any
    memory limit. The file `dst` is written only when the output is complete.

    Parameters
    ----------
    src : path or binary file
        The input: the path of a file, or a binary stream with its bytes, such as
        ``io.BytesIO(data)`` or ``sys.stdin.buffer``. ``imgpipe formats`` lists the formats.
    filter : Filter, Chain, str or callable
        A filter or a chain: ``blur(2) | grayscale()``, the same as text,
        ``"blur:2 | grayscale"``, or a function of an array together with its `halo`.
    dst : path or binary file
        The output; its suffix selects the format. An existing file is replaced. It may be `src`.
        A binary file, such as ``io.BytesIO()`` or ``sys.stdout.buffer``, gets a PNG, unless its
        ``name`` has another suffix.
    halo : int or (int, int), optional
        For bare functions (without `imgpipe.filter`): the pixels that the function needs on each
        side of a pixel, 0 for none.
    dtype : {"keep", "float32"}, optional
        For bare functions: the type that the function gets. ``keep`` is the type of the image;
        ``float32`` is values from 0 to 1, for an image of any type.
    alpha : int, "last" or "none", optional
        The alpha channel, the last one or none, of a file that does not declare alpha itself, such
        as ``.npy``. By default such a file has no alpha.
    workers : int, optional
        Worker processes; by default one for each usable processor. With 1, imgpipe's own filters
        run in this process; your own functions still run in a worker process, so that a crash
        does no harm.
    max_memory : int or str, optional
        Limit on the memory of all processes together, without memory that this process holds
        already, in bytes or as text such as ``"512M"``. By default half of the available memory,
        at most 2 GB. It includes the libraries of your functions, as measured in a worker.
    executor : Executor or {"serial", "threads", "processes"}, optional
        Runs the tasks: an executor, or the name of one, of imgpipe or of a package that adds one.
        imgpipe chooses one by default. An executor that you pass is not shut down.
    region : Box or (y0, x0, y1, x1), optional
        Make only this part of the output.
    on_event : callable or list of callables, optional
        Observers: functions that get every event of the run, in this thread (`imgpipe.events`).
        One that raises an exception is switched off, with a warning; one that raises
        `imgpipe.errors.Cancelled` ends the run.
    max_pixels : int or str, optional
        A larger input is an error; 4 gigapixels by default. A larger value also allows outputs of
        up to so many pixels; otherwise they are limited to 4 gigapixels.
    compression : int or str, optional
        Method, effort or both, such as ``"zstd"``, 6 and ``"deflate:9"``, for formats that
        compress; the same as ``save={"compression": ...}``.
    save : dict, optional
        Options of the output format by name, such as ``{"compression": 3}``; ``imgpipe formats``
        lists them.
    format : str, optional
        The format of the output, such as ``"png"``; by default that of its suffix.
    strip : bool, default False
        Leave out all metadata, except those that change the look of the pixels: the ICC profile,
        the transfer curve and others.
    background : str, optional
        The colour behind transparent pixels where the output has no alpha, such as a JPEG: a name,
        ``#rrggbb``, or numbers from 0 to 255 for gray or for ``r,g,b``; white by default.
    value_range : str or (float, float), optional
        The values that become black and white where the output cannot hold the type of the image:
        ``"0..1"``, ``"measured"`` or ``"full"``, as in `astype`. By default the full range of
        unsigned integers is kept; floats and signed integers are an error.
    autorotate : bool, default True
        Turn the image upright first, if the file says that it is turned. The orientation in the
        metadata of the output is then 1.
    page : int, optional
        The only frame to make, counted from 0: a page of a TIFF file, a frame of an animation. By
        default all frames are made, if the output can hold them, and frame 0 if it holds one. Their
        timing is kept where the format of the output has any. Pages, which have no timing, go into
        TIFF and GIF files only.
    level : int, default 0
        The level of a pyramid to read; 0 is the full resolution.
    nodata : float or "none", optional
        The value of pixels without data, which stay as they are and do not mix into their
        neighbours. By default the file says it, and NaN in files of floats is such a value. With
        ``"none"`` all pixels have data.
    salvage : bool, default False
        Read the undamaged part of a damaged file. The rest is 0: black, or transparent if there is
        alpha. If the image has a value for pixels without data, the rest has this value. A warning
        and ``missing`` of the report give the size of the rest. If nothing can be read, this is
        still an error.
    chunk : int or (int, int), optional
        Rows and columns of a chunk; by default the plan chooses them.
    timeout : float, optional
        The run fails if a chunk takes longer in a worker process, in seconds.
    scratch : path, optional
        Folder of scratch files; by default that of the output, or that of temporary files if that
        is in memory or the output is no file.
    accelerator : str, optional
        The library that computes kernels in place of NumPy, with the same bits: ``"none"``,
        ``"auto"`` for any that is installed, or a name, such as ``"opencv"``. By default the value
        of the environment variable ``IMGPIPE_ACCELERATOR``, or else ``"auto"``.
    progress : bool, default False
        Show a progress bar, also in a notebook.
    control : Control, optional
        Follows the run and stops it from another thread; see `imgpipe.submit`.

    Returns
    -------
    Report
        Sizes, time, speed, workers and memory of the run.

    Raises
    ------
    InputError, OutputError, FilterError, UsageError
        See `imgpipe.errors` for the whole tree.
    """
    options = Options(
        workers, max_memory, executor, on_event, chunk, timeout, progress, scratch, accelerator
    )
    chain = chain_from(filter, halo, dtype)
    reading = Reading(max_pixels, alpha, autorotate, page, level, nodata, salvage)
    writing = Writing(save, compression, format, strip, background, value_range)
    return run_as(src, chain, dst, reading, writing, options, region=region, control=control)


def run_as(
    src: SourceLike,
    chain: Chain,
    dst: TargetLike,
    reading: Reading,
    writing: Writing,
    options: Options,
    *,
    region: Region | None = None,
    control: Control | None = None,
) -> Report:
    """Run a chain over an image file; see `run`."""
    ends = _opened(src, chain, dst, region, reading, writing)
    with options.scratch_beside(dst), ends as opened:
        if isinstance(opened, Pages):
            return run_frames(opened, options, control)
        return run_between(*opened, name_of(dst), options, control)


def plan_run(
    src: SourceLike,
    filter: FilterLike,
    dst: TargetLike,
    *,
    halo: int | Halo | None = None,
    dtype: Works | None = None,
    alpha: Alpha = None,
    workers: int | None = None,
    max_memory: int | str | None = None,
    executor: ExecutorLike = None,
    region: Region | None = None,
    max_pixels: int | str | None = None,
    compression: int | str | None = None,
    save: Mapping[str, Any] | None = None,
    format: str | None = None,
    strip: bool = False,
    background: Colour = None,
    value_range: Range = None,
    autorotate: bool = True,
    page: int | None = None,
    level: int = 0,
    nodata: Nodata = None,
    salvage: bool = False,
    chunk: int | tuple[int, int] | None = None,
    timeout: float | None = None,
    scratch: str | os.PathLike[str] | None = None,
    accelerator: str | None = None,
) -> Plan:
    """Return the plan of `run` with the same arguments; nothing is read or written.

    A worker is started to measure its memory with functions that are not imgpipe's own.
    """
    options = Options(
        workers,
        max_memory,
        executor,
        None,
        chunk,
        timeout,
        scratch=scratch,
        accelerator=accelerator,
    )
    chain = chain_from(filter, halo, dtype)
    reading = Reading(max_pixels, alpha, autorotate, page, level, nodata, salvage)
    writing = Writing(save, compression, format, strip, background, value_range)
    ends = _opened(src, chain, dst, region, reading, writing)
    with options.scratch_beside(dst), ends as opened:
        if isinstance(opened, Pages):
            return plan_frames(opened, options)
        return plan_between(*opened, name_of(dst), options)


@contextlib.contextmanager
def _opened(
    src: SourceLike,
    chain: Chain,
    dst: TargetLike,
    region: Region | None,
    reading: Reading,
    writing: Writing,
) -> Iterator[Pages | tuple[Source, tuple[Stage, ...], Sink]]:
    """Open both ends; leave nothing of the output unless it was committed."""
    must_take(dst, writing)
    if region is not None:
        from imgpipe.filters.shape import crop  # noqa: PLC0415 - rarely needed

        part = arguments.box(region, "region")
        chain = chain | crop(x=part.x0, y=part.y0, width=part.width, height=part.height)
    origin = origin_of(src)
    made = partial(stages_to, chain, dst, reading, writing, set())
    pages = pages_of(origin, dst, reading, writing, made)
    if pages is not None:
        try:
            yield pages
        finally:
            pages.abort()
        return
    source, (chain,) = shrunk(open_source(origin, reading), origin, [chain], reading)
    stages, after = stages_to(chain, dst, reading, writing, set(), source)
    sink = open_sink(dst, after, writing.options, format=writing.format, hold=writing.hold)
    warn_of_alpha(source, reading, stages, sink)
    try:
        yield source, stages, sink
    finally:
        with uninterrupted():
            sink.abort()  # does nothing after a commit
