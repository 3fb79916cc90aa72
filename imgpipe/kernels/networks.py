"""Networks: the value of a rank, by a fixed sequence of minima and maxima, the same at every pixel.

The sequence is made once for a size of footprint and a rank, and run on flat arrays, in which a
neighbour is a shift. Each row of the footprint is sorted; sorted rows are merged; and of the last
merge only what decides the rank is computed. Rows come in groups, so that the footprints around
the rows of a group, which overlap, are merged where they overlap but once::

    rows of the footprint      0 1 2 3 4
    and of the next one       1 2 3 4 5        with groups of two

References: K. E. Batcher, Sorting networks and their applications, AFIPS Spring Joint Computer
Conference, 1968; A. Adams, Fast median filters using separable sorting networks, ACM Transactions
on Graphics 40(4), 2021.
"""

from __future__ import annotations

from functools import cache, reduce
from typing import NamedTuple

import numpy as np

from imgpipe.geometry import equal_at_most
from imgpipe.image import Pixels
from imgpipe.records import dataclass
from imgpipe.workspace import Workspace

__all__ = ["rank_by_network"]

_space = Workspace()

# Bytes of all arrays of a run; and the least for one array, or calling NumPy takes longer than its
# work, and rows at the ends of a run are sorted too often.
_CACHE = 2 << 20
_LEAST = 64 << 10


class Lane(NamedTuple):
    """The result of a step, seen from a pixel some groups of rows up and some pixels to the left.

    The first results are the rows of a group, as they are.
    """

    step: int
    down: int
    along: int

    def moved(self, down: int, along: int) -> Lane:
        return Lane(self.step, self.down + down, self.along + along)


Sorted = tuple[Lane, ...]


class Step(NamedTuple):
    """One minimum or maximum, and where its result goes."""

    better: np.ufunc
    one: Lane
    other: Lane
    at: int


@dataclass(frozen=True)
class Program:
    """Steps in order, where their lanes and results are places to be used again.

    Attributes
    ----------
    steps : tuple of Step
        The minima and maxima.
    results : tuple of Lane
        The value wanted, for each row of a group.
    places : int
        Number of arrays that it takes; the first ones are the rows of a group.
    """

    steps: tuple[Step, ...]
    results: tuple[Lane, ...]
    places: int


def rank_by_network(chunk: Pixels, radius: int, rank: int) -> Pixels:
    """Take the value of a rank in the square around each pixel of a padded chunk.

    Parameters
    ----------
    chunk : ndarray, shape (rows + 2 * radius, columns + 2 * radius, channels)
        Any type. A minus sign of zero is lost. NaN is passed on.
    radius : int
        Pixels on each side of the centre, at least 1.
    rank : int
        Number of values of the footprint before the wanted one.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of the dtype of `chunk`
    """
    program = _program(radius, rank)
    halo = 2 * radius
    rows, columns, channels = chunk.shape[0] - halo, chunk.shape[1] - halo, chunk.shape[2]
    out = np.empty((rows, columns, channels), chunk.dtype)
    widest = max(2 * halo, _LEAST // 4 // (channels * chunk.itemsize))
    width = equal_at_most(columns, widest)
    for x in range(0, columns, width):
        _run(program, chunk[:, x : x + width + halo], out[:, x : x + width])
    if out.dtype.kind == "f":
        out[np.isnan(out)] = np.nan  # which of several kinds a minimum returns depends on the cut
    return out


def _run(program: Program, chunk: Pixels, out: Pixels) -> None:
    """Run a program on blocks of whole rows."""
    count, rows, channels = len(program.results), len(out), chunk.shape[2]
    source, target = chunk.reshape(len(chunk), -1), out.reshape(rows, -1)
    line, size = source.shape[1], source.itemsize
    most = max(1, max(_CACHE // program.places, _LEAST) // (line * size))
    groups = -(-rows // count)
    groups = equal_at_most(groups, most)
    height = groups + -(-(len(chunk) - rows) // count)
    memory = _space.array("network", chunk.dtype, program.places * height * line)
    arrays = memory.reshape(program.places, -1)
    calls, results = _bound(program, arrays, line, channels)
    for y in range(0, rows, groups * count):
        for row in range(count):
            _fill(arrays[row].reshape(height, line), source[y + row :: count], source[-1])
        for better, one, other, into in calls:
            better(one, other, out=into)
        for row, result in enumerate(results):
            wanted = target[y + row : y + groups * count : count]
            wanted[:] = np.ndarray(wanted.shape, result.dtype, result, strides=(line * size, size))


def _fill(array: Pixels, rows: Pixels, last: Pixels) -> None:
    """Copy rows; beyond their end any row will do, as its results are not wanted."""
    rows = rows[: len(array)]
    if array.dtype.kind == "f":
        # Which of two zeros a minimum returns depends on their order, and that on the cut.
        np.add(rows, 0.0, out=array[: len(rows)])
    else:
        array[: len(rows)] = rows
    array[len(rows) :] = last


def _bound(
    program: Program, arrays: Pixels, line: int, channels: int
) -> tuple[list[tuple[np.ufunc, Pixels, Pixels, Pixels]], list[Pixels]]:
    """Return the calls of a program, with the slices they work on, and its results."""
    valid = [arrays.shape[1]] * len(arrays)

    def seen(lane: Lane) -> Pixels:
        return arrays[lane.step, lane.down * line + lane.along * channels : valid[lane.step]]

    calls = []
    for step in program.steps:
        one, other = seen(step.one), seen(step.other)
        size = valid[step.at] = min(one.size, other.size)
        calls.append((step.better, one[:size], other[:size], arrays[step.at, :size]))
    return calls, [seen(lane) for lane in program.results]


@cache
def _program(radius: int, rank: int) -> Program:
    # Measured: groups of four save more steps than they cost in memory for these sides.
    return _Builder(radius, rank, count=4 if radius in (3, 5, 7) else 2).program()


class _Builder:
    """Makes the program for one size of footprint, one rank, and groups of `count` rows."""

    def __init__(self, radius: int, rank: int, count: int) -> None:
        self.side, self.rank, self.count = 2 * radius + 1, rank, count
        self.steps: list[tuple[np.ufunc, Lane, Lane] | None] = [None] * count
        self.known: dict[tuple[np.ufunc, Lane, Lane], int] = {}
        self.sorted: dict[tuple[int, int], Sorted] = {}

    def program(self) -> Program:
        shared = self.rows(self.count - 1, self.side)
        return _scheduled(self.steps, self.results(0, self.count, shared), self.count)

    def results(self, first: int, count: int, shared: Sorted) -> list[Lane]:
        """Return the value wanted for `count` rows, whose footprints share the values `shared`."""
        half = count // 2
        above = self.rows(first + half - 1, first + count - 1)
        below = self.rows(first + self.side, first + self.side + half)
        if half == 1:
            return [self.select(shared, above), self.select(shared, below)]
        return [
            *self.results(first, half, self.merge(shared, above)),
            *self.results(first + half, half, self.merge(shared, below)),
        ]

    def rows(self, start: int, stop: int) -> Sorted:
        """Sort the values that footprints have in these rows."""
        groups, row = divmod(start, self.count)
        key = row, stop - start
        if key not in self.sorted:
            self.sorted[key] = self._rows(row, row + stop - start)
        return tuple(lane.moved(groups, 0) for lane in self.sorted[key])

    def _rows(self, start: int, stop: int) -> Sorted:
        if stop - start == 1:
            return self.neighbours((Lane(start, 0, 0),))
        middle = start + _power_below(stop - start)
        return self.merge(self.rows(start, middle), self.rows(middle, stop))

    def neighbours(self, values: Sorted) -> Sorted:
        """Sort the values of a row, from sorted groups of 1, 2, 4, ... neighbours."""
        width, power, covered = self.side, 1, 0
        parts = []
        while True:
            if width & power:
                parts.append(tuple(lane.moved(0, covered) for lane in values))
                covered += power
            if 2 * power > width:
                return reduce(self.merge, parts)
            values = self.merge(values, tuple(lane.moved(0, power) for lane in values))
            power *= 2

    def merge(self, one: Sorted, other: Sorted) -> Sorted:
        """Merge as Batcher does: those at even places, those at odd places, then by pairs."""
        if not one or not other:
            return one or other
        if len(one) == len(other) == 1:
            return self.step(np.minimum, *one, *other), self.step(np.maximum, *one, *other)
        even, odd = self.merge(one[::2], other[::2]), self.merge(one[1::2], other[1::2])
        merged = [even[0]]
        for low, high in zip(even[1:], odd, strict=False):
            merged += self.step(np.minimum, low, high), self.step(np.maximum, low, high)
        paired = min(len(even) - 1, len(odd))
        return *merged, *even[1 + paired :], *odd[paired:]

    def select(self, one: Sorted, other: Sorted) -> Lane:
        """Return the value of the rank: the least that has so many before it, split in any way."""
        least = []
        for low in range(min(len(other), self.rank + 1) + 1):
            high = self.rank + 1 - low
            if high > len(one):
                continue
            bounds = [*one[max(0, high - 1) : high], *other[max(0, low - 1) : low]]
            least.append(reduce(lambda a, b: self.step(np.maximum, a, b), bounds))
        return reduce(lambda a, b: self.step(np.minimum, a, b), least)

    def step(self, better: np.ufunc, one: Lane, other: Lane) -> Lane:
        """Add a step, unless it is there and only seen from another pixel."""
        _, down, along = min(one, other, key=lambda lane: lane[1:])
        key = better, one.moved(-down, -along), other.moved(-down, -along)
        if key not in self.known:
            self.known[key] = len(self.steps)
            self.steps.append(key)
        return Lane(self.known[key], down, along)


def _power_below(count: int) -> int:
    """Return the largest power of two that is less."""
    return 1 << (count - 1).bit_length() - 1


def _scheduled(
    steps: list[tuple[np.ufunc, Lane, Lane] | None], results: list[Lane], inputs: int
) -> Program:
    """Leave out the steps that no result needs, and use places again."""
    last = {lane.step: len(steps) for lane in results}
    for at in range(len(steps) - 1, inputs - 1, -1):
        step = steps[at]
        if at in last and step is not None:
            for lane in step[1:]:
                last.setdefault(lane.step, at)
    place = {row: row for row in range(inputs)}
    free: list[int] = []
    used, kept = inputs, []

    def placed(lane: Lane) -> Lane:
        return lane._replace(step=place[lane.step])

    for at, step in enumerate(steps):
        if at not in last or step is None:
            continue
        better, one, other = step
        ends = {lane.step: lane for lane in (one, other) if last[lane.step] == at}
        # Written where an operand was, if that is its end, and it is not shifted.
        here = [lane for lane in ends.values() if lane[1:] == (0, 0) and one.step != other.step]
        if here:
            target = place[here[0].step]
            del ends[here[0].step]
        elif free:
            target = free.pop()
        else:
            target, used = used, used + 1
        kept.append(Step(better, placed(one), placed(other), target))
        place[at] = target
        free += [place[one] for one in ends]
    return Program(tuple(kept), tuple(map(placed, results)), used)
