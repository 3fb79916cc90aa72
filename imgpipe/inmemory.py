"""Images in memory: filters applied to arrays, and files read and written as arrays."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from imgpipe import arguments
from imgpipe.adapting import adapted
from imgpipe.admission import Admitted, Alpha, Nodata, admitted, as_array
from imgpipe.chains.chain import Chain
from imgpipe.chains.definition import Works
from imgpipe.chains.entry import FilterLike, chain_from
from imgpipe.chains.stages import compute, input_box, resolve, seen
from imgpipe.engine.pipeline import run_between
from imgpipe.engine.planning import chosen
from imgpipe.errors import UsageError
from imgpipe.events import Observing
from imgpipe.executors.choice import ExecutorLike
from imgpipe.formats.arrays import ArraySink, PlacedArraySink, RandomArray, SequentialArray
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.losses import warn_of_damage
from imgpipe.formats.opening import (
    SourceLike,
    TargetLike,
    name_of,
    open_sink,
    open_source,
)
from imgpipe.formats.readwrite import Reading, Writing
from imgpipe.formats.rows import RowsOf
from imgpipe.geometry import Box, Halo
from imgpipe.image import Colour, ImageInfo, Pixels
from imgpipe.options import Options

__all__ = ["apply", "info", "read", "write"]


def apply(
    array: Pixels,
    filter: FilterLike,
    *,
    halo: int | Halo | None = None,
    dtype: Works | None = None,
    workers: int | None = None,
    out: Pixels | None = None,
    alpha: Alpha = None,
    nodata: Nodata = None,
    max_memory: int | str | None = None,
    executor: ExecutorLike = None,
    chunk: int | tuple[int, int] | None = None,
    timeout: float | None = None,
    scratch: str | os.PathLike[str] | None = None,
    accelerator: str | None = None,
    on_event: Observing | None = None,
    progress: bool = False,
) -> Pixels:
    """Run a filter or a chain over an array, chunk by chunk.

    Gives the same values as ``filter(array)``, to the bit.

    Parameters
    ----------
    array : ndarray, shape (rows, columns) or (rows, columns, channels)
        The image, or anything that `numpy.asarray` converts to it: nested lists, a Pillow image.
        It is not changed.
    filter : Filter, Chain, str or callable
        A filter or a chain: ``blur(2) | grayscale()``, the same as text,
        ``"blur:2 | grayscale"``, or a function of an array together with its `halo`.
    halo, dtype : optional
        For bare functions, as for `imgpipe.run`.
    workers : int, optional
        Worker processes; by default one for each usable processor.
    out : ndarray, optional
        Array for the result, with its shape and dtype, C-contiguous, in the byte order of this
        machine. It may be `array`, which is then copied first.
    alpha : int, "last" or "none", optional
        The alpha channel: the last one, or none by default. The alpha of a file is
        ``imgpipe.info(path).alpha``.
    nodata : float, optional
        The value of pixels without data, which stay as they are and do not mix into their
        neighbours; a NaN is one then too. By default all pixels have data.
    max_memory, executor, chunk, timeout, scratch, accelerator, on_event, progress : optional
        As for `imgpipe.run`. The memory of the two arrays is not counted.

    Returns
    -------
    ndarray
        `out` if it was given. Two-dimensional if `array` was and the result has one channel.

    Raises
    ------
    UsageError
        If `array` is not an image, or `out` does not fit.
    """
    image = admitted(array, alpha, nodata=nodata)
    before, pixels = image.info, image.pixels
    stages = resolve(chain_from(filter, halo, dtype), before)
    after = stages[-1].after if stages else before
    shape = after.shape[:2] if image.flat and after.channels == 1 else after.shape
    if out is None:
        out = np.empty(shape, after.dtype)
    made = _checked_out(out, shape, after.dtype)
    if np.may_share_memory(pixels, made):
        pixels = pixels.copy()  # results must not be read again as a halo
    source: Source
    sink: Sink
    options = Options(
        workers, max_memory, executor, on_event, chunk, timeout, progress, scratch, accelerator
    )
    choice = chosen(options, stages, after.pixels)
    if not choice.traits.isolates:  # the workers see the arrays of this process
        source, sink = RandomArray(before, pixels), PlacedArraySink(after, made)
    else:
        source, sink = SequentialArray(before, pixels), ArraySink(after, made)
    with options.scratch_beside():
        run_between(source, stages, sink, "array", options, watched=False)
    return out


def read(
    src: SourceLike,
    box: Box | tuple[int, int, int, int] | None = None,
    *,
    autorotate: bool = True,
    page: int = 0,
    level: int = 0,
    salvage: bool = False,
) -> Pixels:
    """Return the pixels of an image file.

    Parameters
    ----------
    src : path or binary file
        The file, or a binary file with its bytes, such as ``io.BytesIO(data)``.
    box : Box or (y0, x0, y1, x1), optional
        The part to read; the whole image by default.
    autorotate : bool, default True
        Return the upright image, if the file says that it is turned.
    page : int, default 0
        The frame: a page of a TIFF file, or a frame of an animation, counted from 0.
    level : int, default 0
        The level of a pyramid; 0 is the full resolution.
    salvage : bool, default False
        Read the undamaged part of a damaged file, as `imgpipe.run` does.

    Returns
    -------
    ndarray, shape (rows, columns, channels)
        In the dtype of the file.

    Raises
    ------
    UsageError
        If `box` is not inside the image.
    InputError
        If the file cannot be read.
    """
    reading = Reading(autorotate=autorotate, page=page, level=level, salvage=salvage)
    source = open_source(src, reading)
    stages = resolve((), source.info, autorotate=reading.autorotate)
    whole = stages[-1].after.box if stages else source.info.box
    box = whole if box is None else arguments.box(box, "box")
    if not whole.contains(box):
        raise UsageError(f"{source.name}: {box} is not inside the image, {whole}")
    stored = input_box(stages, box, source.info)
    pixels = _stored(source, stored)
    warn_of_damage(source)
    return compute(stages, box, lambda part: pixels[part.within(stored)])


def _stored(source: Source, box: Box) -> Pixels:
    """Return pixels of a file as it stores them, in an array of the caller's own."""
    if source.access == "random":
        return np.array(source.read(box))
    if source.access == "whole":
        everything = np.empty(source.info.shape, source.info.dtype)
        source.decode_into(everything)
        return everything[box.slices]
    with contextlib.closing(RowsOf(source)) as rows:
        return rows.read(box)


def write(
    array: Pixels,
    dst: TargetLike,
    *,
    alpha: Alpha = None,
    compression: int | str | None = None,
    save: Mapping[str, Any] | None = None,
    format: str | None = None,
    colour: Colour | None = None,
    background: str | int | tuple[int, int, int] | None = None,
    value_range: str | tuple[float, float] | None = None,
    nodata: Nodata = None,
) -> int:
    """Write an array as an image file, either completely or not at all.

    Parameters
    ----------
    array : ndarray, shape (rows, columns) or (rows, columns, channels)
        The image, or anything that `numpy.asarray` converts to it.
    dst : path or binary file
        The file; its suffix selects the format. A binary file, such as ``io.BytesIO()``, gets a
        PNG, unless its ``name`` has another suffix.
    alpha : int, "last" or "none", optional
        The alpha channel: the last one, or none by default. A PNG with two or four channels
        always stores its last channel as alpha.
    compression : int or str, optional
        Method, effort or both, such as ``"zstd"``, 6 and ``"deflate:9"``, for formats that
        compress; the same as ``save={"compression": ...}``.
    save : dict, optional
        Options of the format by name; ``imgpipe formats`` lists them.
    format : str, optional
        The format, such as ``"png"``; by default, the suffix decides.
    colour : {"gray", "rgb", "cmyk", "other"}, optional
        Meaning of the channels before alpha; by default the usual one for their number.
    background, value_range : optional
        As for `imgpipe.run`.
    nodata : float, optional
        The value of pixels without data, which the file states if its format can.

    Returns
    -------
    int
        Size of the file in bytes.

    Raises
    ------
    UsageError
        If `array` is not an image, or the format does not support it.
    OutputError
        If the file cannot be written.
    """
    if isinstance(array, (str, os.PathLike)) and isinstance(dst, np.ndarray):
        raise UsageError(f"write takes the array first: imgpipe.write(array, {os.fspath(array)!r})")
    image = admitted(array, alpha, nodata=nodata)
    writing = Writing(save, compression, format, False, background, value_range)
    before = image.info if colour is None else replace(image.info, colour=_meaning(colour, image))
    source = RandomArray(before, image.pixels)
    stages = adapted(Chain(()), before, dst, writing)
    after = stages[-1].after if stages else before
    sink = open_sink(dst, after, writing.options, format=writing.format)
    try:
        options = Options(executor="serial")
        return run_between(source, stages, sink, name_of(dst), options).size
    finally:
        sink.abort()


def info(
    src: SourceLike,
    *,
    autorotate: bool = True,
    page: int = 0,
    level: int = 0,
    salvage: bool = False,
) -> ImageInfo:
    """Return size, type and metadata of an image file. No pixel is read.

    They are those of the upright image, unless `autorotate` is False; of frame `page`, counted
    from 0; and of a `level` of its pyramid, if it has one. With
    `salvage`, the file may be damaged after its header.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    reading = Reading(autorotate=autorotate, page=page, level=level, salvage=salvage)
    found = open_source(src, reading).info
    return seen(found) if reading.autorotate else found


def _meaning(given: Any, image: Admitted) -> Colour:
    """Return a colour model, if the channels can have it."""
    counts = {"gray": 1, "rgb": 3, "cmyk": 4, "other": None}
    colours = image.info.channels - (image.info.alpha is not None)
    if not isinstance(given, str) or counts.get(given, 0) not in (None, colours):
        raise UsageError(
            f"colour is gray, rgb, cmyk or other, and as the channels are: {colours} beside alpha "
            f"cannot be {arguments.shown(given)}"
        )
    return cast(Colour, given)


def _checked_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Pixels:
    wanted = f"out must be a C-contiguous array of shape {shape} and type {dtype}"
    if not isinstance(out, np.ndarray):
        raise UsageError(f"{wanted}, not a {type(out).__name__}")
    array = as_array(out, "out")
    if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
        order = "" if array.dtype.isnative else ", in the byte order of another machine"
        raise UsageError(f"{wanted}, not one of shape {array.shape} and type {array.dtype}{order}")
    if not array.flags.writeable:
        raise UsageError("out is read-only; give a writable array")
    return array
