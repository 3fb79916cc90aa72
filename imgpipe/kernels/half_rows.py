"""Gaussian of sigma 2 for 8-bit images, by way of every second row.

A Gaussian of sigma 2 leaves 0.007 of a wave with a period of 4 rows, and less of shorter ones. So
it is computed for every second row only, and the rows of the image are interpolated. The sweep
along the rows, which takes most of the additions, has half of the rows to do.

==========  ==========================================================  ======  ========
where       what                                                        gain    variance
==========  ==========================================================  ======  ========
down        ``20 63 88 63 20``, from even rows to even rows             254     1.13
down        ``1 4 1`` of these, so two rows apart                       6       1.33
along       ``3 0 16 5 16 0 3``                                         43      2
along       eight pairs ``1 1``                                         256     2
down        even rows ``3 10 3``, odd rows ``1 15 15 1`` of these       16, 32  1.5
==========  ==========================================================  ======  ========

Rows of the *image* are even or odd, wherever a chunk begins. ``3 10 3`` and ``1 15 15 1`` are the
even and the odd weights of the binomial of seven, whose response to alternating rows is 0. The
other weights are the best that a search over whole numbers found: the least error of an edge, where
the gains make up a power of two (254 * 6 * 43 is 2**16 less 0.006 %). All sums are in 16 bits, and
shifts between them make room.

Photographs and edges come out within one and a quarter levels of the exact Gaussian, as with the
sweeps of `gaussian_design`. Only rows that alternate between black and white with a period of 2
to 5 are farther off, by up to 2: of those, every second row tells little.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from imgpipe.geometry import equal, equal_at_most, pieces
from imgpipe.image import Pixels
from imgpipe.workspace import Workspace

__all__ = ["RADIUS", "SIGMA", "blurred_by_half"]

SIGMA, RADIUS = 2.0, 8  # what it computes; the radius may be larger

_space = Workspace()

# Values of an array, of which there are four, and pairs of rows in it. Fewer values mean more
# calls, fewer rows a larger part of rows above and below.
_VALUES, _PAIRS = 1 << 17, 128
# Pairs of rows above those of a block, and above and below; columns on each side.
_ABOVE, _AROUND, _ASIDE = 3, 7, 7


_Whole: TypeAlias = np.ndarray[Any, np.dtype[np.uint16]]


def _whole(value: int) -> _Whole:
    """Return an operand that NumPy need not convert for every call."""
    return np.array(value, np.uint16)


_ONE = _whole(1)
_DOWN = _whole(88), _whole(63), _whole(20)
_APART = _whole(4)
_ALONG = _whole(5), _whole(16), _whole(3)
_EVEN, _ODD = (_whole(10), _whole(3)), _whole(15)
# Bits shifted out: after each sweep down; after the weights along, and after four pairs and eight.
_SHIFTS = tuple(map(_whole, (3, 5, 4, 4, 5)))
_LAST = _whole(7), _whole(8)  # of even and of odd rows


def _added() -> int:
    """Return half a level, and what shifts lose on average, before the last of them."""
    unit, lost = 254.0, 0.5
    for gain, bits in zip((1, 6, 43, 16, 16), _SHIFTS, strict=True):
        unit *= gain / 2 ** int(bits)
        lost += (1 - 0.5 ** int(bits)) / 2 / unit
    return int(lost * unit * 2 ** int(_SHIFTS[-1]) + 0.5)


_ADDED = _whole(_added())


def blurred_by_half(chunk: Pixels, radius: int, first: int) -> Pixels:
    """Blur a padded chunk with a Gaussian of sigma 2.

    Parameters
    ----------
    chunk : ndarray of uint8, shape (rows + 2 * radius, columns + 2 * radius, channels)
    radius : int
        The halo, at least `RADIUS`.
    first : int
        Row of the first sample in the whole image.

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
    width = equal(columns, round((height + _AROUND) * columns * channels / _VALUES) or 1, 8)
    for k in pieces(count, height):
        y = 2 * k.start - odd
        for x in pieces(columns, width):
            left = radius + x.start - _ASIDE
            part = chunk[radius + y - 2 * _ABOVE :, left : left + x.stop - x.start + 2 * _ASIDE]
            _block(part, k.stop - k.start, out[:, x], y)
    return out


def _block(part: Pixels, count: int, out: Pixels, y: int) -> None:
    """Make `count` pairs of rows, the first of which is row `y` of `out`."""
    _, columns, channels = part.shape
    unit = columns * channels
    even = _flat("even", part[0::2], count + _AROUND)
    odd = _flat("odd", part[1::2], count + _AROUND - 1)
    sums, spare = (_space.array(name, np.uint16, even.size) for name in ("sums", "spare"))
    down = _down(even, odd, unit, sums, spare)
    along = _along(down, channels, (even, odd), spare)
    size = count * unit
    for j, make in enumerate((_even_rows, _odd_rows)):
        make(along, unit, sums[:size], spare[:size])
        rows = sums[:size].reshape(count, columns, channels)
        skipped = 1 if y + j < 0 else 0
        target = out[y + j + 2 * skipped :: 2][: count - skipped]
        made_of = rows[skipped : skipped + len(target), : out.shape[1]]
        np.copyto(target, made_of, casting="unsafe")


def _flat(name: str, rows: Pixels, count: int) -> Pixels:
    """Return `count` rows end to end, in 16 bits."""
    rows = rows[:count]
    flat = _space.array(name, np.uint16, rows.size)
    np.copyto(flat.reshape(rows.shape), rows)
    return flat


def _down(even: Pixels, odd: Pixels, unit: int, out: Pixels, spare: Pixels) -> Pixels:
    """Filter down the columns; the result lies where `even` was."""
    centre, near, far = _DOWN
    out, spare = out[: even.size - 2 * unit], spare[: even.size - 2 * unit]
    terms = (centre, even[unit:]), (near, odd, odd[unit:]), (far, even, even[2 * unit :])
    _sum(out, spare, *terms)
    np.right_shift(out, _SHIFTS[0], out=out)
    down, spare = even[: out.size - 2 * unit], spare[: out.size - 2 * unit]
    _sum(down, spare, (_APART, out[unit:]), (_ONE, out, out[2 * unit :]))
    np.right_shift(down, _SHIFTS[1], out=down)
    return down


def _along(x: Pixels, unit: int, pair: tuple[Pixels, Pixels], spare: Pixels) -> Pixels:
    """Filter along the rows, from the first of a pair to the second, whose end is junk."""
    centre, near, far = _ALONG
    here, there = pair
    out = there[: x.size - 6 * unit]
    sides = (near, x[2 * unit :], x[4 * unit :]), (far, x, x[6 * unit :])
    _sum(out, spare[: out.size], (centre, x[3 * unit :]), *sides)
    np.right_shift(out, _SHIFTS[2], out=out)
    x = _pairs(out, unit, there, here)
    np.right_shift(x, _SHIFTS[3], out=x)
    x = _pairs(x, unit, there, here)
    np.add(x, _ADDED, out=x)
    np.right_shift(x, _SHIFTS[4], out=x)
    return there


def _pairs(x: Pixels, unit: int, here: Pixels, there: Pixels) -> Pixels:
    """Add neighbours, four times; `x` and the result lie in `here`."""
    for _ in range(4):
        size = x.size - unit
        x = np.add(x[:size], x[unit:], out=there[:size])
        here, there = there, here
    return x


def _even_rows(x: Pixels, unit: int, out: Pixels, spare: Pixels) -> None:
    centre, near = _EVEN
    _sum(out, spare, (near, x, x[2 * unit :]), (centre, x[unit:]))
    np.right_shift(out, _LAST[0], out=out)


def _odd_rows(x: Pixels, unit: int, out: Pixels, spare: Pixels) -> None:
    _sum(out, spare, (_ODD, x[unit:], x[2 * unit :]), (_ONE, x, x[3 * unit :]))
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
