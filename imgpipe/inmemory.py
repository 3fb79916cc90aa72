"""Images as arrays: apply a filter to one, read a part of a file, tell what is in it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np

from imgpipe.errors import UsageError
from imgpipe.events import Observer
from imgpipe.executors.choice import ExecutorLike
from imgpipe.filters.base import Chain
from imgpipe.filters.stages import array_info, resolve
from imgpipe.formats.arrays import ArraySink, PlacedArraySink, RandomArray, SequentialArray
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.opening import open_sink, open_source
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels, guess_colour
from imgpipe.pipeline import Options, chosen, run_between

__all__ = ["apply", "info", "read", "write"]


def apply(
    array: Pixels,
    filter: Chain,
    *,
    workers: int | None = None,
    out: Pixels | None = None,
    alpha: int | None = None,
    max_memory: int | None = None,
    executor: ExecutorLike = None,
    chunk: int | tuple[int, int] | None = None,
    timeout: float | None = None,
    on_event: Observer | None = None,
) -> Pixels:
    """Run a filter or a chain over an array, chunk by chunk.

    Gives the same values as ``filter(array)``, to the bit.

    Parameters
    ----------
    array : ndarray, shape (rows, columns) or (rows, columns, channels)
        The image. It is not changed.
    filter : Filter or Chain
        What to do.
    workers : int, optional
        Worker processes; by default as many as this process may use processors.
    out : ndarray, optional
        Where the result goes; of its shape and dtype, C-contiguous. It may be `array`, which is
        then copied first.
    alpha : int, optional
        Which channel is alpha: the last one or none.
    max_memory, executor, chunk, timeout, on_event : optional
        As for `imgpipe.run`. The memory of the two arrays is not counted.

    Returns
    -------
    ndarray
        `out` if it was given. Two-dimensional if `array` was and the result has one channel.

    Raises
    ------
    UsageError
        If `array` is no image, or `out` does not fit.
    """
    before = array_info(array, alpha)
    stages = resolve(filter, before)
    after = stages[-1].after if stages else before
    shape = after.shape[:2] if array.ndim == 2 and after.channels == 1 else after.shape
    if out is None:
        out = np.empty(shape, after.dtype)
    _check_out(out, shape, after.dtype)
    if np.may_share_memory(array, out):
        array = array.copy()  # what is written must not be read again as a halo
    pixels = array.reshape(before.shape)
    source: Source
    sink: Sink
    options = Options(workers, max_memory, executor, on_event, chunk, timeout)
    choice = chosen(options, stages, after.pixels)
    if not choice.traits.isolates:  # the workers see the arrays of this process
        source, sink = RandomArray(before, pixels), PlacedArraySink(after, out)
    else:
        source, sink = SequentialArray(before, pixels), ArraySink(after, out)
    run_between(source, stages, sink, "array", options)
    return out


def read(src: str | os.PathLike[str], box: Box | None = None) -> Pixels:
    """Return the pixels of an image file.

    Parameters
    ----------
    src : path
        The file.
    box : Box, optional
        The part to read; the whole image by default.

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
    source = open_source(src)
    whole = source.info.box
    box = whole if box is None else box
    if box.empty or not whole.contains(box):
        raise UsageError(f"{source.name}: {box} is not inside the image, {whole}")
    if source.access == "random":
        return np.array(source.read(box))
    if source.access == "whole":
        everything = np.empty(source.info.shape, source.info.dtype)
        source.decode_into(everything)
        return everything[box.slices]
    return _read_rows(source.rows(), source.info, box)


def write(
    array: Pixels,
    dst: str | os.PathLike[str],
    *,
    alpha: int | None = None,
    compression: int | None = None,
) -> int:
    """Write an array as an image file, which appears whole or not at all.

    Parameters
    ----------
    array : ndarray, shape (rows, columns) or (rows, columns, channels)
        The image.
    dst : path
        The file; its suffix names the format.
    alpha : int, optional
        Which channel is alpha: the last one or none. Where nothing is said, the last of two or
        four.
    compression : int, optional
        0 to 9, for formats that compress.

    Returns
    -------
    int
        Size of the file in bytes.

    Raises
    ------
    UsageError
        If `array` is no image, or the format cannot hold it.
    OutputError
        If the file cannot be written.
    """
    about = array_info(array, alpha)
    if alpha is None:
        colour, usual = guess_colour(about.channels)
        about = replace(about, colour=colour, alpha=usual)
    source = RandomArray(about, array.reshape(about.shape))
    sink = open_sink(dst, about, compression=compression)
    try:
        options = Options(executor="serial")
        return run_between(source, (), sink, os.fspath(dst), options).size
    finally:
        sink.abort()


def info(src: str | os.PathLike[str]) -> ImageInfo:
    """Return size, type and metadata of an image file. No pixel is read.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    return open_source(src).info


def _read_rows(rows: Any, about: ImageInfo, box: Box) -> Pixels:
    out = np.empty((*box.shape, about.channels), about.dtype)
    step = max(1, (4 << 20) // about.row_bytes)
    try:
        for part in Box(0, 0, box.y1, about.width).cut(step, about.width):
            pixels = np.empty((*part.shape, about.channels), about.dtype)
            rows.read_into(pixels)
            wanted = part.intersect(box)
            if not wanted.empty:
                out[wanted.within(box)] = pixels[wanted.within(part)]
        if box.y1 == about.height:
            rows.finish()
    finally:
        rows.close()
    return out


def _check_out(out: Pixels, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous:
        raise UsageError(
            f"out must be a C-contiguous array of shape {shape} and type {dtype}, not one of "
            f"shape {out.shape} and type {out.dtype}"
        )
    if not out.flags.writeable:
        raise UsageError("out may not be written to; give an array that may")
