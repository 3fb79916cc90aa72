"""Gaussians of bytes by way of every second row and column, in whole numbers.

A blurred image is smooth. So it is computed for every second row and column only, and the ones
between are filled in; wide Gaussians take every fourth, eighth and so on. Rows and columns of the
*image* are even or odd, wherever a chunk begins.

down
    The sums of 5 x 5 samples with the weights ``1 4 6 4 1``, both ways, at even rows and columns:
    ``(sum + 128) >> 8``.
blur
    The rest of the Gaussian, see `imgpipe.kernels.lines`.
up
    The same 5 x 5 sums over samples that are zero between the kept ones, times four:
    ``(sum + 32) >> 6``.

These are ``pyrDown``, ``GaussianBlur``, ``pyrUp`` of OpenCV. P. J. Burt, E. H. Adelson, The
Laplacian pyramid as a compact image code, IEEE Transactions on Communications 31(4), 1983.

Rows lie end to end, so that a neighbour is always as many samples away; what is summed across the
end of a row is not used.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imgpipe.acceleration import accelerated
from imgpipe.image import Pixels
from imgpipe.kernels.lines import HALF, SHIFT, tiles, weighted, whole, whole_weights
from imgpipe.kernels.room import inside, without
from imgpipe.workspace import Workspace

__all__ = ["pyramid", "reach"]

_space = Workspace()

_FOUR, _SIX = whole(4), whole(6)


def reach(levels: int, taps: int) -> int:
    """Return the number of samples that a result needs on each side."""
    return (taps // 2 + 4 << levels) - 4


@accelerated
def pyramid(
    chunk: Pixels,
    radius: int,
    first: tuple[int, int],
    levels: int,
    taps: int,
    spread: float,
    *,
    into: Pixels | None = None,
) -> Pixels:
    """Blur a padded chunk of bytes.

    Parameters
    ----------
    chunk : ndarray of uint8, shape (rows + 2 * radius, columns + 2 * radius, channels)
    radius : int
        The halo, at least `reach`.
    first : (int, int)
        Row and column of the first sample of the result in the image, modulo ``2 ** levels``.
    levels : int
        Number of times that every second row and column is taken.
    taps : int
        Number of weights of the blur at the last level, odd.
    spread : float
        The standard deviation that the weights are made from.
    into : ndarray, optional
        The place of the result; see `imgpipe.acceleration.accelerated`.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, channels)
    """
    rows, columns, _ = (size - 2 * radius for size in chunk.shape)
    y, x = first
    box = y, x, y + rows, x + columns
    origin, weights = (y - radius, x - radius), whole_weights(taps, spread)
    return _blurred(chunk, origin, box, levels, weights, without(into, radius))


def _blurred(
    source: Pixels,
    origin: tuple[int, int],
    box: tuple[int, int, int, int],
    levels: int,
    weights: tuple[int, ...],
    place: Pixels | None = None,
) -> Pixels:
    """Blur the samples of a box at one level, where `source` begins at `origin`."""
    half = len(weights) - 1
    if not levels:
        return weighted(_part(source, origin, box, half), weights, place)
    # A row is filled in from the nearest kept rows: one even row, or the two around an odd one.
    top, left = ((start >> 1) - 1 + start % 2 for start in box[:2])
    bottom, right = (((stop - 1) >> 1) + 2 for stop in box[2:])
    far = reach(levels - 1, 2 * half + 1)
    above = 2 * (top - far), 2 * (left - far), 2 * (bottom + far) - 1, 2 * (right + far) - 1
    small = _down(_part(source, origin, above, 2))
    kept = top, left, bottom, right
    made = _blurred(small, (top - far, left - far), kept, levels - 1, weights)
    return _up(made, (top, left), box, place)


def _part(
    source: Pixels, origin: tuple[int, int], box: tuple[int, int, int, int], more: int
) -> Pixels:
    """Return the samples of a box and so many more on each side."""
    (y, x), (y0, x0, y1, x1) = origin, box
    return source[y0 - more - y : y1 + more - y, x0 - more - x : x1 + more - x]


def _down(source: Pixels) -> Pixels:
    """Return the sums at every second row and column; the halo is two samples."""
    height, width, channels = source.shape
    rows, columns = (height - 3) // 2, (width - 3) // 2
    out = np.empty((rows, columns, channels), np.uint8)
    for y, x in tiles(rows, columns, 2 * channels):
        part = source[2 * y.start : 2 * y.stop + 3, 2 * x.start : 2 * x.stop + 3]
        count, unit = y.stop - y.start, part.shape[1] * channels
        even, odd = _flat("a", part[::2]), _flat("b", part[1::2])
        total, term = (_space.array(name, np.uint16, count * unit) for name in "cd")
        np.add(odd[:-unit], odd[unit:], out=total)
        np.multiply(total, _FOUR, out=total)
        np.add(even[: -2 * unit], even[2 * unit :], out=term)
        np.add(total, term, out=total)
        np.multiply(even[unit:-unit], _SIX, out=term)
        np.add(total, term, out=total)
        _binomial(total, term, channels)
        sums = total.reshape(count, -1, channels)[:, : 2 * (x.stop - x.start)]
        kept = term[: count * (x.stop - x.start) * channels].reshape(count, -1, channels)
        for channel in range(channels):  # to copy the channels of every pixel at once is slow
            np.copyto(kept[..., channel], sums[:, ::2, channel])
        np.add(kept, HALF, out=kept)
        np.right_shift(kept, SHIFT, out=kept)
        np.copyto(out[y, x], kept, casting="unsafe")
    return out


def _binomial(x: Pixels, spare: Pixels, step: int) -> Pixels:
    """Sum with the weights 1 4 6 4 1 of samples that are `step` apart; the result is in `x`."""
    size = x.size
    for _ in range(4):
        size -= step
        np.add(x[:size], x[step : size + step], out=spare[:size])
        x, spare = spare, x
    return x[:size]


def _up(
    source: Pixels,
    origin: tuple[int, int],
    box: tuple[int, int, int, int],
    place: Pixels | None,
) -> Pixels:
    """Fill in the samples of a box; the ones at the next level begin at `origin`."""
    y0, x0, y1, x1 = box
    out = inside(place, (y1 - y0, x1 - x0, source.shape[2]), source.dtype)
    odd, channels = y0 % 2, source.shape[2]
    for pairs, x in tiles((y1 - y0 + odd + 1) // 2, x1 - x0, channels):
        # There is no row or column before an odd one: its result is not used.
        top, left = pairs.start - odd, (x0 + x.start) // 2 - 1 - origin[1]
        bottom, right = pairs.stop + 2 - odd, (x0 + x.stop - 1) // 2 + 2 - origin[1]
        part = source[max(top, 0) : bottom, max(left, 0) : right]
        shape = bottom - top, 2 * (right - left), channels
        skipped = (x0 + x.start) % 2
        shown = slice(skipped, skipped + x.stop - x.start)
        at = 2 * pairs.start - odd
        for first, rows in zip((at, at + 1), _filled(part, shape), strict=True):
            missing = int(first < 0)
            target = out[first + 2 * missing : 2 * pairs.stop - odd : 2, x]
            made = rows[missing : missing + len(target), shown]
            np.copyto(target, made, casting="unsafe")
    return out


def _filled(part: Pixels, shape: tuple[int, int, int]) -> Iterator[Pixels]:
    """Yield the rows at, and those after, each row but the first and the last one.

    Columns are those from the second one of `part` on; the last four are junk. So is the first row
    or column if `part` is too small for the shape.
    """
    count, width, channels = shape
    unit = width * channels
    lines, spare = (_space.array(name, np.uint16, count * unit) for name in "ab")
    lines[:] = 0
    apart = lines.reshape(count, width // 2, 2, channels)[-len(part) :, -part.shape[1] :, 0]
    for channel in range(channels):
        np.copyto(apart[..., channel], part[..., channel])
    np.add(_binomial(lines, spare, channels), _FOUR, out=lines[: -4 * channels])
    rows = _space.array("c", np.uint16, (count - 2) * unit)
    shown = rows.reshape(-1, width, channels)
    sums = np.add(lines[:-unit], lines[unit:], out=spare[:-unit])
    centre = np.multiply(lines[unit:-unit], _FOUR, out=lines[unit:-unit])
    np.add(sums[:-unit], sums[unit:], out=rows)
    np.add(rows, centre, out=rows)
    np.right_shift(rows, _SIX, out=rows)
    yield shown
    np.right_shift(sums[unit:], _FOUR, out=rows)
    yield shown


def _flat(name: str, part: Pixels) -> Pixels:
    """Return rows end to end, in 16 bits."""
    flat = _space.array(name, np.uint16, part.size)
    np.copyto(flat.reshape(part.shape), part)
    return flat
