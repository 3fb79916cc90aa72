"""Box mean: by sums of 1, 2, 4, ... neighbours, and of integers in wide boxes by running sums.

Doubling adds the same values in the same order wherever a chunk begins, so floats can do it too.
A running sum takes in a neighbour and lets go of another for every pixel: as many steps for every
radius, but only integers come out the same whatever came before.

Down the columns a running sum takes whole rows at once. Along the rows it is one addition after the
other, and doubling is faster for as long as 16 bits hold the sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from imgpipe.acceleration import accelerated
from imgpipe.image import Pixels
from imgpipe.kernels.blocks import blocks
from imgpipe.kernels.separable import apply
from imgpipe.records import dataclass
from imgpipe.values import from_unsigned, to_unsigned
from imgpipe.workspace import Workspace

__all__ = ["box_mean"]

_space = Workspace()

# From this radius on, running sums are faster.
_WIDE = 10


@accelerated
def box_mean(chunk: Pixels, *, radius: int, into: Pixels | None = None) -> Pixels:
    """Take the mean over a square around each pixel of a padded chunk.

    Parameters
    ----------
    chunk : ndarray, shape (rows + 2 * radius, columns + 2 * radius, channels)
        Any type.
    radius : int
        Pixels on each side of the centre.
    into : ndarray, optional
        The place of the result; see `imgpipe.acceleration.accelerated`.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of the dtype of ``chunk``
        ``s / n``, the sum over the ``n = (2 * radius + 1) ** 2`` pixels of the square divided by
        their number. Of integers ``(2 * s + n) // (2 * n)``, the whole number nearest to the exact
        mean: `n` is odd, so that no mean lies halfway between two. float32 of float16.
    """
    side, halo = 2 * radius + 1, (radius, radius)
    if chunk.dtype.kind == "f":
        return _mean_of_floats(chunk, radius)
    if chunk.dtype.kind == "i":
        return from_unsigned(box_mean(to_unsigned(chunk), radius=radius), chunk.dtype)
    if chunk.dtype == np.uint64:
        return _mean_of_halves(chunk, side, halo)
    if radius >= _WIDE:
        narrow = side * int(np.iinfo(chunk.dtype).max) < 2**15
        return (_mean_of_doubled if narrow else _running_mean)(chunk, side, side)
    down = _Sums(side, 1, _holds(chunk.dtype, side))
    along = _Sums(side, side**2, _holds(chunk.dtype, side**2))
    return apply(chunk, down, along, halo, into=into)


def _mean_of_floats(chunk: Pixels, radius: int) -> Pixels:
    """Take the mean of floats, whose sum their type may not hold."""
    from imgpipe.kernels.magnitudes import summed  # noqa: PLC0415 - only for floats

    side = 2 * radius + 1

    def total(part: Pixels, working: np.dtype[Any]) -> Pixels:
        down, along = _Sums(side, 1, working), _Sums(side, side**2, working)
        return apply(part, down, along, (radius, radius), working)

    return summed(chunk, radius, np.result_type(chunk, np.float32), total, mean=True)


def _holds(dtype: np.dtype[Any], count: int) -> np.dtype[Any]:
    """Choose the type for a sum of integers, and half of ``count`` more for rounding."""
    return np.min_scalar_type(max(2**16 - 1, count * int(np.iinfo(dtype).max) + count // 2))


@dataclass(frozen=True)
class _Sums:
    """The sum of ``length`` neighbours, divided by ``divisor``."""

    length: int
    divisor: int
    dtype: np.dtype[Any]

    @property
    def support(self) -> int:
        return self.length - 1

    def run(self, x: Pixels, unit: int) -> Pixels:
        """Sum ``length`` neighbours, from sums of 1, 2, 4, ... neighbours."""
        here, there, total = (_space.array(name, self.dtype, x.size) for name in "abc")
        n = x.size - self.support * unit
        total = total[:n]
        # Odd lengths all begin with a footprint of one.
        result, sums, power, covered = x[:n], x, 1, 1
        while covered < self.length:
            count = sums.size - power * unit
            sums = np.add(sums[:count], sums[power * unit :], out=there[:count])
            here, there, power = there, here, 2 * power
            if self.length & power:
                result = np.add(result, sums[covered * unit :][:n], out=total)
                covered += power
        if result is not total:
            np.copyto(total, result)
        return _space.array("c", self.dtype, x.size)

    def finish(self, done: Pixels, out: Pixels) -> None:
        if self.divisor == 1:
            np.copyto(out, done, casting="unsafe")
        elif done.dtype.kind == "f":
            np.divide(done, self.divisor, out=out)
        else:
            np.add(done, self.divisor // 2, out=done)
            np.floor_divide(done, self.divisor, out=done)
            np.copyto(out, done, casting="unsafe")


def _mean_of_halves(chunk: Pixels, side: int, halo: tuple[int, int]) -> Pixels:
    """Take the mean of 64-bit integers: sums of their upper and of their lower 32 bits fit 64."""
    area, line = side**2, _Sums(side, 1, chunk.dtype)
    upper, lower = (
        apply(half, line, line, halo) for half in (chunk >> 32, chunk & np.uint64(2**32 - 1))
    )
    whole, rest = np.divmod(upper, area)
    lower += (rest << 32) + area // 2
    lower //= area
    return cast(Pixels, (whole << 32) + lower)


def _mean_of_doubled(chunk: Pixels, height: int, width: int) -> Pixels:
    """Take the mean of integers over a rectangle whose rows have sums of 15 bits."""
    sums, area = _sums_along(chunk, width, np.dtype(np.int16)), height * width
    out = np.empty((len(sums) - height + 1, sums.shape[1]), chunk.dtype)
    for block, total in _sums_down(sums, height, sums.dtype, np.dtype(np.uint32), area // 2):
        np.floor_divide(total, area, out=total)
        np.copyto(out[block], total, casting="unsafe")
    return out.reshape(len(out), -1, chunk.shape[2])


def _sums_along(chunk: Pixels, width: int, dtype: np.dtype[Any]) -> Pixels:
    """Sum `width` neighbours in each row of a chunk, whose rows come out end to end."""
    channels, lines = chunk.shape[2], chunk.reshape(len(chunk), -1)
    size = lines.shape[1] - (width - 1) * channels
    sums = _space.array("sums", dtype, len(lines) * size).reshape(-1, size)
    line = _Sums(width, 1, dtype)
    for block in blocks(*lines.shape, dtype):
        part = lines[block]
        x = _space.array("flat", dtype, part.size)
        np.copyto(x.reshape(part.shape), part)
        np.copyto(sums[block], line.run(x, channels).reshape(part.shape)[:, :size])
    return sums


def _running_mean(chunk: Pixels, height: int, width: int) -> Pixels:
    """Take the mean of integers over a rectangle of odd sides.

    Rows are summed on whole rows at once; then every channel by itself along all of a block, end
    to end: the sum of a footprint is the difference of two sums from the start.
    """
    rows, columns, channels = chunk.shape[0] - height + 1, chunk.shape[1], chunk.shape[2]
    out = np.empty((rows, columns - width + 1, channels), chunk.dtype)
    narrow, wide = _holds(chunk.dtype, height), _holds(chunk.dtype, height * width)
    for block, down in _sums_down(chunk.reshape(len(chunk), -1), height, narrow, narrow):
        _means_along(down.reshape(-1, channels), width, height * width, wide, out[block])
    return out


def _sums_down(
    lines: Pixels, height: int, narrow: np.dtype[Any], wide: np.dtype[Any], add: int = 0
) -> Iterator[tuple[slice, Pixels]]:
    """Sum `height` lines from each one on, and `add`; yield some at a time, to be overwritten.

    The row that comes in less the one that goes out is in `narrow`, sums are in `wide`.
    """
    rows, size = len(lines) - height + 1, lines.shape[1]
    # The footprint above the first, without its first row, which is beyond the chunk.
    last = lines[: height - 1].sum(axis=0, dtype=wide) + wide.type(add)
    for block in blocks(rows, size, narrow):
        come = lines[height - 1 :][block]
        gone = lines[max(0, block.start - 1) : block.start - 1 + len(come)]
        step = total = _space.array("flat", narrow, come.size).reshape(come.shape)
        np.copyto(step, come)
        less = step[len(come) - len(gone) :]
        np.subtract(less, gone, out=less)
        if wide != narrow:
            total = _space.array("wide", wide, come.size).reshape(come.shape)
            np.copyto(total, step, casting="unsafe")  # if negative it wraps, and the sum back
        for row in total:
            last = np.add(last, row, out=row)
        last = last.copy()
        yield block, total


def _means_along(sums: Pixels, width: int, area: int, wide: np.dtype[Any], out: Pixels) -> None:
    """Sum `width` neighbours of each channel, divide by `area`, and round."""
    total = _space.array("a", wide, len(sums) + 1)
    mean = _space.array("b", wide, len(sums))
    whole = mean[: len(sums) - width + 1]  # sums that run over into the next row are cut off
    for channel in range(sums.shape[1]):
        total[0] = 0
        np.copyto(total[1:], sums[:, channel])
        np.add.accumulate(total, out=total)  # beyond the type it wraps, and the difference back
        np.subtract(total[width:], total[:-width], out=whole)
        np.add(whole, area // 2, out=whole)
        np.floor_divide(whole, area, out=whole)
        found = mean.reshape(len(out), -1)[:, : out.shape[1]]
        np.copyto(out[..., channel], found, casting="unsafe")
