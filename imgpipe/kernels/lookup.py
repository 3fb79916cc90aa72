"""Lookup tables: an entry for every level, for filters that look at one value at a time.

The keys are words of 16 bits: one value of uint16, or two neighbouring values of uint8
at once.  Where each channel has a table of its own, the words of a row use a few tables in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from imgpipe.acceleration import accelerated
from imgpipe.image import Pixels
from imgpipe.values import full_scale
from imgpipe.workspace import Workspace

__all__ = ["flat_values", "has_levels", "looked_up", "pointwise"]

_space = Workspace()

# Words looked up at once: their indices, of eight bytes each, stay in the second-level cache.
_BLOCK = 32 * 1024


@accelerated
def looked_up(chunk: Pixels, tables: Pixels) -> Pixels:
    """Return the entries for the values of a chunk: ``tables[channel, value]``.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        uint8 or uint16.
    tables : ndarray, shape (1 or channels, levels)
        The result for each level, of the dtype of the chunk: for all channels, or for each.

    Returns
    -------
    ndarray, of the shape and dtype of `chunk`
    """
    words = _words(tables.tobytes(), len(tables)) if tables.dtype == np.uint8 else list(tables)
    out = np.empty(chunk.shape, chunk.dtype)
    row = chunk[0].nbytes // 2
    step = max(1, len(words) * _BLOCK // max(1, row))
    for y in range(0, len(chunk), step):
        target = out[y : y + step].reshape(-1)
        _look_up(flat_values(chunk[y : y + step]), words, tables[-1], target)
    return out


def _look_up(source: Pixels, words: list[Pixels], last: Pixels, target: Pixels) -> None:
    if source.dtype == np.uint8:
        paired = source.size // 2 * 2
        target[paired:] = last[source[paired:]]
        source, target = source[:paired].view(np.uint16), target[:paired].view(np.uint16)
    period = len(words)
    for turn, table in enumerate(words):
        levels, place = source[turn::period], target[turn::period]
        index = _space.array("index", np.intp, levels.size)
        np.copyto(index, levels)
        found = place if period == 1 else _space.array("found", place.dtype, levels.size)
        np.take(table, index, out=found, mode="wrap")  # none is out of range; wrap is fastest
        if found is not place:
            np.copyto(place, found)


@lru_cache(maxsize=16)
def _words(entries: bytes, count: int) -> list[Pixels]:
    """Return the tables of the words of a row, in turn, of so many tables of bytes."""
    tables = np.frombuffer(entries, np.uint8).reshape(count, -1)
    if (tables == tables[0]).all():
        count = 1
    period = count if count % 2 else count // 2
    return [_of_pairs(tables[2 * k % count], tables[(2 * k + 1) % count]) for k in range(period)]


def has_levels(dtype: np.dtype[Any]) -> bool:
    """Return whether there is a table for this dtype."""
    return dtype.kind == "u" and dtype.itemsize <= 2


def pointwise(chunk: Pixels, function: Callable[..., Pixels], *params: float) -> Pixels:
    """Apply a function of one value to a chunk.

    Parameters
    ----------
    chunk : ndarray
        Any type.
    function : callable
        Gets an array of floats on the scale from 0 to 1, and `params`; returns a new one. It must
        be found by name in a module: tables are kept by it.
    *params : float
        Its other arguments.

    Returns
    -------
    ndarray
        For uint8 and uint16 the result in double precision, rounded half to even and saturated.
    """
    if has_levels(chunk.dtype):
        return looked_up(chunk, _tabulated(function, chunk.dtype.name, params))
    full = full_scale(chunk.dtype)
    working = np.result_type(chunk, np.float32) if chunk.dtype.kind == "f" else np.dtype(np.float64)
    out = np.empty(chunk.shape, working)
    step = max(1, _BLOCK // (chunk.shape[1] * chunk.shape[2]))
    with np.errstate(all="ignore"):
        for y in range(0, len(chunk), step):
            part = chunk[y : y + step].astype(working, copy=False)
            if full == 1:
                out[y : y + step] = function(part, *params)
            else:
                out[y : y + step] = function(part / full, *params) * full
    return out


@lru_cache(maxsize=64)
def _tabulated(function: Callable[..., Pixels], dtype: str, params: tuple[float, ...]) -> Pixels:
    full = full_scale(dtype)
    with np.errstate(all="ignore"):
        values = function(np.arange(full + 1) / full, *params) * full
    return np.rint(np.clip(values, 0, full)).astype(dtype)[None]


def _of_pairs(first: Pixels, second: Pixels) -> Pixels:
    """Return the table of words whose bytes are looked up in `first` and `second`."""
    pairs = np.arange(2**16, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    return np.stack([first[pairs[:, 0]], second[pairs[:, 1]]], axis=1).view(np.uint16).reshape(-1)


def flat_values(chunk: Pixels) -> Pixels:
    """Return the values of a chunk end to end: a view, or a copy that lasts until the next call."""
    if chunk.flags.c_contiguous:
        return chunk.reshape(-1)
    flat = _space.array("flat", chunk.dtype, chunk.size)
    shaped = flat.reshape(chunk.shape)
    if chunk[0].flags.c_contiguous:
        np.copyto(shaped, chunk)
    else:  # alpha is hidden between the pixels: to copy three values at a time is slow
        for channel in range(chunk.shape[2]):
            np.copyto(shaped[..., channel], chunk[..., channel])
    return flat
