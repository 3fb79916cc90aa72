"""Counting: the value of a rank, in footprints too large to sort.

A footprint has its value at or beyond a level if it holds no more pixels below the level than the
rank says. Such counts are sums of zeros and ones over the footprint: exact, and their cost grows
with the logarithm of its side. Levels are tried only where footprints of a block still differ.

Bytes are levels as they are. Other values are put in order, and their places are the levels;
where few are left between two levels, no more are tried, and those pixels are looked at one by
one.
"""

from __future__ import annotations

from itertools import cycle
from typing import NamedTuple, cast

import numpy as np

from imgpipe.geometry import equal_at_most
from imgpipe.image import Pixels
from imgpipe.workspace import Workspace

__all__ = ["rank_by_counting"]

_space = Workspace()

# Most rows and columns of a block, levels tried at once, and the meaning of few pixels.
_SIDE = 128
_BATCH = 8
_FEW = 256


def rank_by_counting(chunk: Pixels, radius: int, rank: int) -> Pixels:
    """Take the value of a rank in the square around each pixel of a padded chunk.

    Parameters
    ----------
    chunk : ndarray, shape (rows + 2 * radius, columns + 2 * radius, channels)
        Any type. A minus sign of zero is lost. A footprint that holds NaN makes NaN.
    radius : int
        Pixels on each side of the centre, at most 127.
    rank : int
        Number of values of the footprint before the wanted one.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of the dtype of `chunk`
    """
    halo, kind = 2 * radius, _Bytes if chunk.dtype == np.uint8 else _Values
    rows, columns, channels = (
        size - cut for size, cut in zip(chunk.shape, (halo, halo, 0), strict=True)
    )
    out = np.empty((rows, columns, channels), chunk.dtype)
    height, width = (equal_at_most(size, _SIDE) for size in (rows, columns))
    for y in range(0, rows, height):
        for x in range(0, columns, width):
            for channel in range(channels):
                part = chunk[y : y + height + halo, x : x + width + halo, channel]
                out[y : y + height, x : x + width, channel] = kind(part, radius, rank).found()
    return out


class _Part(NamedTuple):
    """Levels from `start` to `stop`, and one between them to be tried next.

    That many footprints have their value at or beyond the first, and at or beyond the last.
    """

    start: int
    middle: int
    stop: int
    from_start: int
    from_stop: int


class _Block:
    """The footprints around a block of one channel, and the search for the value wanted.

    Attributes
    ----------
    levels : ndarray
        The level of each pixel, row by row.
    first : ndarray
        For each footprint, the highest level tried that its value is at or beyond.
    """

    levels: Pixels
    first: Pixels

    def __init__(self, part: Pixels, radius: int, rank: int) -> None:
        self.side, self.rank = 2 * radius + 1, rank
        self.height, self.line = part.shape
        self.shape = self.height - 2 * radius, self.line - 2 * radius
        self.sum_type = np.min_scalar_type(2 * self.side**2)

    def narrow(self, stop: int) -> None:
        """Try levels below `stop` until each footprint is done with."""
        left: list[_Part] = []

        def add(start: int, stop: int, from_start: int, from_stop: int) -> None:
            middle = self.next_level(start, stop) if from_start > from_stop else start
            if middle > start:
                left.append(_Part(start, middle, stop, from_start, from_stop))

        add(0, stop, self.first.size, 0)
        while left:
            batch = left[-_BATCH:]
            del left[-_BATCH:]
            for part, beyond in zip(batch, self.tried([p.middle for p in batch]), strict=True):
                add(part.start, part.middle, part.from_start, beyond)
                add(part.middle, part.stop, beyond, part.from_stop)

    def next_level(self, start: int, stop: int) -> int:
        """Return a level between `start` and `stop` to be tried; `start` if there is none."""
        return (start + stop) // 2

    def tried(self, levels: list[int]) -> list[int]:
        """Compare footprints with levels; return the number with their value at or beyond each."""
        at = np.array(levels, self.levels.dtype)[:, None, None]
        beyond = self.beyond(self.counts(at))
        np.maximum(self.first, np.maximum.reduce(beyond * at), out=self.first)
        return [int(np.count_nonzero(one)) for one in beyond]

    def beyond(self, counts: Pixels) -> Pixels:
        """Return whether footprints with so many pixels below levels have their value beyond."""
        return np.less_equal(counts, self.rank)

    def counts(self, levels: Pixels) -> Pixels:
        """Return the number of pixels of each footprint below each of some levels."""
        many, (rows, columns) = len(levels), self.shape
        inside = _space.array("inside", bool, many * self.levels.size)
        np.less(self.levels, levels[:, 0], out=inside.reshape(many, -1))
        down = _summed(inside.view(np.uint8), self.side, self.line)
        along = _space.array("flat", self.sum_type, many * rows * self.line)
        whole = _seen(down, (many, rows * self.line), (self.levels.size, 1))
        np.copyto(along.reshape(many, -1), whole)
        found = _summed(along, self.side, 1)
        return _seen(found, (many, rows, columns), (rows * self.line, self.line, 1))


class _Bytes(_Block):
    """Footprints of bytes."""

    def __init__(self, part: Pixels, radius: int, rank: int) -> None:
        super().__init__(part, radius, rank)
        self.levels = part.ravel()
        self.first = np.zeros(self.shape, np.uint8)

    def found(self) -> Pixels:
        """Return the value wanted for each footprint."""
        self.narrow(256)
        return self.first


class _Values(_Block):
    """Footprints of any values.

    Attributes
    ----------
    order, ordered : ndarray
        Positions of the pixels, in the order of their values; and these values.
    missing : ndarray
        For each footprint, the number of its pixels from `first` on before its value.
    """

    def __init__(self, part: Pixels, radius: int, rank: int) -> None:
        super().__init__(part, radius, rank)
        flat = part.ravel()
        if flat.dtype.kind == "f":
            flat = flat + flat.dtype.type(0)  # no minus zero: values that are equal look the same
        self.order = np.argsort(flat, kind="stable" if flat.itemsize <= 2 else None)
        self.ordered = flat[self.order]
        places = np.min_scalar_type(flat.size)
        self.levels = np.empty(flat.size, places)
        self.levels[self.order] = np.arange(flat.size, dtype=places)
        self.first = np.zeros(self.shape, places)
        self.missing = np.full(self.shape, rank, self.sum_type)
        self.few: list[tuple[int, int]] = []

    def found(self) -> Pixels:
        """Return the value wanted for each footprint."""
        self.narrow(self.order.size)
        if self.few:
            self.look_through()
        values = self.ordered[self.first]
        if values.dtype.kind == "f" and np.isnan(self.ordered[-1]):
            numbers = self.counts(self.ordered.searchsorted(np.nan).reshape(1, 1, 1))[0]
            values[numbers < self.side**2] = np.nan
        return values

    def next_level(self, start: int, stop: int) -> int:
        """Return a place near the middle where another value begins, unless few are left."""
        value = self.ordered[(start + stop) // 2]
        found = int(self.ordered.searchsorted(value))
        if found <= start:
            found = int(self.ordered.searchsorted(value, "right"))
        if found == stop:
            return start
        if stop - start <= _FEW:
            self.few.append((start, stop))
            return start
        return found

    def beyond(self, counts: Pixels) -> Pixels:
        """Return it, and keep how many pixels are missing to the value."""
        # A difference below zero wraps, and is more than any rank.
        missing = np.subtract(self.sum_type.type(self.rank), counts)
        np.minimum(self.missing, np.minimum.reduce(missing), out=self.missing)
        return cast(Pixels, np.less_equal(missing, self.rank))

    def look_through(self) -> None:
        """Find the value among few pixels, for the footprints that have it there."""
        first, missing = self.first.reshape(-1), self.missing.reshape(-1)
        footprints = np.argsort(first, kind="stable")
        starts = np.array(self.few, first.dtype)[:, 0]
        in_order = first[footprints]
        begin, end = (np.searchsorted(in_order, starts, side) for side in ("left", "right"))
        # A difference below zero wraps here too, and is more than the side of any footprint.
        kind = np.min_scalar_type(max(self.height, self.line) - 1)
        y, x = (axis.astype(kind) for axis in np.divmod(self.order, self.line))
        tops, lefts = (axis.astype(kind)[:, None] for axis in np.divmod(footprints, self.shape[1]))
        for at, (start, stop) in enumerate(self.few):
            some, pixels = slice(begin[at], end[at]), slice(start, stop)
            inside = np.less(y[pixels] - tops[some], self.side)
            inside &= np.less(x[pixels] - lefts[some], self.side)
            found = np.flatnonzero(inside)
            one = footprints[some]
            skipped = np.searchsorted(found, np.arange(len(one)) * (stop - start))
            first[one] = start + found[skipped + missing[one]] % (stop - start)


def _seen(flat: Pixels, shape: tuple[int, ...], strides: tuple[int, ...]) -> Pixels:
    """Look at a flat array as one of several dimensions, whose strides are counted in items."""
    return np.ndarray(shape, flat.dtype, flat, strides=[n * flat.itemsize for n in strides])


def _summed(x: Pixels, length: int, unit: int) -> Pixels:
    """Sum `length` neighbours, an odd number, from sums of 1, 2, 4, ... neighbours."""
    spare = cycle([_space.array(name, x.dtype, x.size) for name in "ab"])
    into = _space.array("c", x.dtype, x.size)[: x.size - (length - 1) * unit]
    total, footprint, power, covered = x[: into.size], x, 1, 1
    while covered < length:
        size = footprint.size - power * unit
        footprint = np.add(footprint[:size], footprint[power * unit :], out=next(spare)[:size])
        power *= 2
        if length & power:
            total = np.add(total, footprint[covered * unit :][: into.size], out=into)
            covered += power
    return total
