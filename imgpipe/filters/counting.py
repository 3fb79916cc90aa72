"""Counting: the value of a rank, in windows so large that it would take too long to sort them.

The pixels around a block are put in order once. A window has its value beyond a place in that
order if it holds no more pixels from before the place than the rank says. Such counts are sums
of zeros and ones over the window: exact, and their cost grows with the logarithm of its side.
Places are tried only where windows of the block still differ. Where few pixels are left between
two places, or only such as are equal, no more are tried: those pixels are looked at one by one.
"""

from __future__ import annotations

from itertools import cycle
from typing import NamedTuple

import numpy as np

from imgpipe.filters.separable import scratch
from imgpipe.image import Pixels

__all__ = ["rank_by_counting"]

# Most rows and columns of a block, and places tried at once.
_SIDE = 128
_BATCH = 8


def rank_by_counting(chunk: Pixels, radius: int, rank: int) -> Pixels:
    """Take the value of a rank in the square around each pixel of a padded chunk.

    Parameters
    ----------
    chunk : ndarray, shape (rows + 2 * radius, columns + 2 * radius, channels)
        Any dtype. A minus sign of zero is lost. A window that holds NaN makes NaN.
    radius : int
        Pixels on each side of the centre, at most 127.
    rank : int
        How many values of the window come before the one wanted.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of the dtype of `chunk`
    """
    halo = 2 * radius
    rows, columns, channels = (
        size - cut for size, cut in zip(chunk.shape, (halo, halo, 0), strict=True)
    )
    out = np.empty((rows, columns, channels), chunk.dtype)
    height, width = (-(-size // -(-size // _SIDE)) for size in (rows, columns))
    for y in range(0, rows, height):
        for x in range(0, columns, width):
            for channel in range(channels):
                part = chunk[y : y + height + halo, x : x + width + halo, channel]
                out[y : y + height, x : x + width, channel] = _Block(part, radius, rank).values()
    return out


class _Part(NamedTuple):
    """Places from `start` to `stop`, one between them to be tried next, and what is known.

    That many windows have their value at or beyond the first, and the last.
    """

    start: int
    middle: int
    stop: int
    from_start: int
    from_stop: int


class _Block:
    """The pixels around a block of one channel, in the order of their values.

    Attributes
    ----------
    order, ordered : ndarray
        Where each of them is, and their values.
    place : ndarray
        The place in the order that each of them has, row by row.
    first : ndarray
        For each window, the last place tried that its value is not before.
    missing : ndarray
        How many pixels of the window come from there on, but before its value.
    """

    def __init__(self, part: Pixels, radius: int, rank: int) -> None:
        self.side, self.rank = 2 * radius + 1, rank
        self.height, self.line = part.shape
        self.shape = self.height - 2 * radius, self.line - 2 * radius
        flat = part.ravel()
        if flat.dtype.kind == "f":
            flat = flat + flat.dtype.type(0)  # no minus zero: values that are equal look the same
        narrow = flat.itemsize <= 2
        self.few = 64 if flat.itemsize == 1 else 256
        self.order = np.argsort(flat, kind="stable" if narrow else None)
        self.ordered = flat[self.order]
        places = np.min_scalar_type(flat.size)
        self.place = np.empty(flat.size, places)
        self.place[self.order] = np.arange(flat.size, dtype=places)
        self.first = np.zeros(self.shape, places)
        # A difference below zero wraps, and is more than any rank.
        self.missing = np.full(self.shape, rank, np.min_scalar_type(2 * self.side**2))

    def values(self) -> Pixels:
        """Return the value wanted for each window."""
        self.look_through(self.narrowed())
        values = self.ordered[self.first]
        if values.dtype.kind == "f" and np.isnan(self.ordered[-1]):
            numbers = self.counts(np.searchsorted(self.ordered, np.nan).reshape(1, 1, 1))[0]
            values[numbers < self.side**2] = np.nan
        return values

    def narrowed(self) -> list[tuple[int, int]]:
        """Try places until few are left for each window; return where more than one value is."""
        few: list[tuple[int, int]] = []
        left: list[_Part] = []

        def add(start: int, stop: int, from_start: int, from_stop: int) -> None:
            middle = self.boundary(start, stop)
            if from_start == from_stop or middle == stop:
                return
            if stop - start > self.few:
                left.append(_Part(start, middle, stop, from_start, from_stop))
            else:
                few.append((start, stop))

        add(0, self.order.size, self.first.size, 0)
        while left:
            batch = left[-_BATCH:]
            del left[-_BATCH:]
            for part, beyond in zip(batch, self.tried([p.middle for p in batch]), strict=True):
                add(part.start, part.middle, part.from_start, beyond)
                add(part.middle, part.stop, beyond, part.from_stop)
        return few

    def boundary(self, start: int, stop: int) -> int:
        """Return a place near the middle where a new value begins; `stop` if there is none."""
        value = self.ordered[(start + stop) // 2]
        found = int(self.ordered.searchsorted(value))
        return found if found > start else int(self.ordered.searchsorted(value, "right"))

    def tried(self, places: list[int]) -> list[int]:
        """Tell windows apart by places; return how many have their value at or beyond each."""
        at = np.array(places, self.place.dtype)[:, None, None]
        missing = np.subtract(self.missing.dtype.type(self.rank), self.counts(at))
        beyond = np.less_equal(missing, self.rank)
        np.maximum(self.first, np.maximum.reduce(beyond * at), out=self.first)
        np.minimum(self.missing, np.minimum.reduce(missing), out=self.missing)
        return [int(np.count_nonzero(one)) for one in beyond]

    def counts(self, places: Pixels) -> Pixels:
        """Return how many pixels of each window are before each of some places."""
        many, (rows, columns) = len(places), self.shape
        inside = scratch("inside", np.dtype(bool), many * self.place.size)
        np.less(self.place, places[:, 0], out=inside.reshape(many, -1))
        down = _summed(inside.view(np.uint8), self.side, self.line)
        along = scratch("flat", self.missing.dtype, many * rows * self.line)
        whole = _seen(down, (many, rows * self.line), (self.place.size, 1))
        np.copyto(along.reshape(many, -1), whole)
        found = _summed(along, self.side, 1)
        return _seen(found, (many, rows, columns), (rows * self.line, self.line, 1))

    def look_through(self, few: list[tuple[int, int]]) -> None:
        """Find the value among the pixels of a few places, for the windows that have it there."""
        if not few:
            return
        first, missing = self.first.reshape(-1), self.missing.reshape(-1)
        windows = np.argsort(first, kind="stable")
        starts = np.array(few, first.dtype)[:, 0]
        begin, end = (np.searchsorted(first[windows], starts, side) for side in ("left", "right"))
        # A difference below zero wraps here too, and is more than the side of any window.
        kind = np.min_scalar_type(max(self.height, self.line) - 1)
        y, x = (axis.astype(kind) for axis in np.divmod(self.order, self.line))
        tops, lefts = (axis.astype(kind)[:, None] for axis in np.divmod(windows, self.shape[1]))
        for at, (start, stop) in enumerate(few):
            some, pixels = slice(begin[at], end[at]), slice(start, stop)
            inside = np.less(y[pixels] - tops[some], self.side)
            inside &= np.less(x[pixels] - lefts[some], self.side)
            found = np.flatnonzero(inside)
            one = windows[some]
            skipped = np.searchsorted(found, np.arange(len(one)) * (stop - start))
            first[one] = start + found[skipped + missing[one]] % (stop - start)


def _seen(flat: Pixels, shape: tuple[int, ...], strides: tuple[int, ...]) -> Pixels:
    """Look at a flat array as one of several dimensions, whose strides are counted in items."""
    return np.ndarray(shape, flat.dtype, flat, strides=[n * flat.itemsize for n in strides])


def _summed(x: Pixels, length: int, unit: int) -> Pixels:
    """Sum `length` neighbours, an odd number: of 1, 2, 4, ... and those that make up the length."""
    spare = cycle([scratch(name, x.dtype, x.size) for name in "ab"])
    into = scratch("c", x.dtype, x.size)[: x.size - (length - 1) * unit]
    total, window, power, covered = x[: into.size], x, 1, 1
    while covered < length:
        size = window.size - power * unit
        window = np.add(window[:size], window[power * unit :], out=next(spare)[:size])
        power *= 2
        if length & power:
            total = np.add(total, window[covered * unit :][: into.size], out=into)
            covered += power
    return total
