"""Gaussians of 8-bit images by way of every second row.

A Gaussian of sigma 2 leaves 0.007 of a wave with a period of 4 rows, and less of shorter ones. So
it is computed for every second row only, and the rows of the image are interpolated. The sweep
along the rows, which takes most of the additions, has half of the rows to do. This is for sigma 2:

==========  ==========================================================  ======  ========
where       what                                                        gain    variance
==========  ==========================================================  ======  ========
down        ``20 63 88 63 20``, from even rows to even rows             254     1.13
down        ``1 4 1`` of these, so two rows apart                       6       1.33
along       ``3 0 16 5 16 0 3``                                         43      2
along       eight pairs ``1 1``                                         256     2
down        even rows ``3 10 3``, odd rows ``1 15 15 1`` of these       16, 32  1.5
==========  ==========================================================  ======  ========

Rows of the *image* are even or odd, wherever a chunk begins. All sums are in 16 bits, and shifts
between them make room. The filters are chosen in `half_design`.

Photographs come out within a level of the exact Gaussian, edges and boards within one and three
quarters. Only rows that alternate between black and white with a period of 2 to 8 are farther off,
by up to 2.5: of those, every second row tells little.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from imgpipe.geometry import equal, equal_at_most, pieces
from imgpipe.image import Pixels
from imgpipe.kernels.half_design import FILL, HalfRows
from imgpipe.kernels.steps import run
from imgpipe.workspace import Workspace

__all__ = ["blurred_by_half"]

_space = Workspace()

# Values of an array, of which there are four, and pairs of rows in it. Fewer values mean more
# calls, fewer rows a larger part of rows above and below.
_VALUES, _PAIRS = 1 << 17, 128
_MORE = 3  # even rows that are filled in from, besides those of the pairs of rows

_Whole: TypeAlias = np.ndarray[Any, np.dtype[np.uint16]]


def _whole(value: int) -> _Whole:
    """Return an operand that NumPy need not convert for every call."""
    return np.array(value, np.uint16)


_ONE = _whole(1)
_EVEN, _ODD = (tuple(map(_whole, weights)) for weights in FILL)
_LAST = _whole(7), _whole(8)  # bits shifted out of even and of odd rows


def blurred_by_half(chunk: Pixels, radius: int, first: int, design: HalfRows) -> Pixels:
    """Blur a padded chunk.

    Parameters
    ----------
    chunk : ndarray of uint8, shape (rows + 2 * radius, columns + 2 * radius, channels)
    radius : int
        The halo, as large as the design needs or larger.
    first : int
        Row of the first sample in the whole image.
    design : HalfRows
        The filters.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, channels)
    """
    rows, columns, channels = (
        chunk.shape[0] - 2 * radius,
        chunk.shape[1] - 2 * radius,
        chunk.shape[2],
    )
    out = np.empty((rows, columns, channels), np.uint8)
    odd = (first + radius) % 2  # then the first pair of rows has one row only
    count = (rows + odd + 1) // 2
    height = equal_at_most(count, _PAIRS)
    around = _MORE + 2 * design.around + 2
    width = equal(columns, round((height + around) * columns * channels / _VALUES) or 1, 8)
    for k in pieces(count, height):
        y = 2 * k.start - odd
        for x in pieces(columns, width):
            left = radius + x.start - design.aside
            part = chunk[:, left : left + x.stop - x.start + 2 * design.aside]
            _block(part, radius, k.stop - k.start, out[:, x], y, design)
    return out


def _block(part: Pixels, radius: int, count: int, out: Pixels, y: int, design: HalfRows) -> None:
    """Make `count` pairs of rows, the first of which is row `y` of `out`."""
    _, columns, channels = part.shape
    unit = columns * channels
    buffers = _kept_rows(part, radius + y, count + _MORE, design)
    x, sums, spare = buffers
    size = count * unit
    for j, make in enumerate((_even_rows, _odd_rows)):
        make(x, unit, sums[:size], spare[:size])
        made_of = sums[:size].reshape(count, columns, channels)
        skipped = 1 if y + j < 0 else 0
        target = out[y + j + 2 * skipped :: 2][: count - skipped]
        made_of = made_of[skipped : skipped + len(target), : out.shape[1]]
        np.copyto(target, made_of, casting="unsafe")


def _kept_rows(part: Pixels, first: int, count: int, design: HalfRows) -> list[Pixels]:
    """Filter every second row, from the one two above row `first`; the other arrays are spare."""
    _, columns, channels = part.shape
    unit = columns * channels
    needed = count + 2 * design.around
    top = first - 2 * (1 + design.around)
    distance = len(design.down) - 1
    before = distance // 2, (distance + 1) // 2  # even and odd rows above the first one
    even = _flat("even", part[top - 2 * before[0] :: 2], needed + 2 * before[0])
    odd = _flat("odd", part[top + 1 - 2 * before[1] :: 2], needed + 2 * before[1] - 1)

    def rows(k: int) -> Pixels:
        return (odd if k % 2 else even)[(before[k % 2] + k // 2) * unit :]

    sums, spare = (_space.array(name, np.uint16, even.size) for name in ("sums", "spare"))
    x = sums[: needed * unit]
    sides = ((_whole(w), rows(-k), rows(k)) for k, w in enumerate(design.down[1:], 1))
    _sum(x, spare[: x.size], (_whole(design.down[0]), rows(0)), *sides)
    buffers = [sums, even, spare]
    run(design.along, run(design.apart, x, unit, buffers), channels, buffers)
    x = buffers[0][: count * unit]
    np.add(x, _whole(design.add), out=x)
    np.right_shift(x, _whole(design.bits), out=x)
    return buffers


def _flat(name: str, rows: Pixels, count: int) -> Pixels:
    """Return `count` rows end to end, in 16 bits.

    Rows below the chunk are junk, which only reaches rows below the result.
    """
    flat = _space.array(name, np.uint16, count * rows[0].size)
    np.copyto(flat.reshape(count, *rows.shape[1:])[: len(rows)], rows[:count])
    return flat


def _even_rows(x: Pixels, unit: int, out: Pixels, spare: Pixels) -> None:
    centre, near = _EVEN
    _sum(out, spare, (near, x, x[2 * unit :]), (centre, x[unit:]))
    np.right_shift(out, _LAST[0], out=out)


def _odd_rows(x: Pixels, unit: int, out: Pixels, spare: Pixels) -> None:
    near, _ = _ODD
    _sum(out, spare, (near, x[unit:], x[2 * unit :]), (_ONE, x, x[3 * unit :]))
    np.right_shift(out, _LAST[1], out=out)


def _sum(out: Pixels, spare: Pixels, *terms: tuple[_Whole, *tuple[Pixels, ...]]) -> None:
    """Sum terms: a weight times the values of an array, or times the sums of two."""
    into = out
    for weight, *arrays in terms:
        one, *other = (array[: out.size] for array in arrays)
        if other:
            one = np.add(one, other[0], out=into)
        if weight is not _ONE:
            np.multiply(one, weight, out=into)
        if into is not out:
            np.add(out, into, out=out)
        into = spare
