"""Wide Gaussians of 8-bit images, by way of every fourth row and column.

A Gaussian this wide leaves nothing that every fourth sample does not tell. So the image is smoothed
a little and thinned out, blurred by the rest of the Gaussian, and filled in again linearly: one
step down a pyramid and up again (P. J. Burt, E. H. Adelson, "The Laplacian pyramid as a compact
image code", IEEE Transactions on Communications 31(4), 1983).

Both smoothing and filling in use tents of weights ``1 2 3 4 3 2 1``, two sums of four neighbours
one after the other. Kept are rows and columns whose numbers in the whole image are multiples of
four, so that no value depends on where a chunk begins.
"""

from __future__ import annotations

import math

import numpy as np

from imgpipe.image import Pixels
from imgpipe.kernels.blocks import blocks
from imgpipe.kernels.separable import Sweep, apply
from imgpipe.workspace import Workspace

__all__ = ["blurred_by_way", "left_over"]

_space = Workspace()

_SPACING = 4  # from a row or column that is kept to the next
_REACH = _SPACING - 1  # of a tent, on each side
_PAIRS = (1, 2, 1, 2)  # distances of samples that, added one after the other, make a tent
_ROWS = 16  # that are kept, made at once
_FULL = 16  # times the value: the room in 16 bits when two tents of sum 4 fill in


def left_over(sigma: float, radius: int) -> tuple[float, int]:
    """Return sigma and radius of the rest after two tents, in samples that are kept."""
    variance = (_SPACING**2 - 1) / 6
    rest = math.sqrt(sigma**2 - 2 * variance) / _SPACING
    # The ones that are kept on both sides of a pixel have to see as far as their tents.
    return rest, (radius - _SPACING - _REACH) // _SPACING


def blurred_by_way(chunk: Pixels, radius: int, origin: tuple[int, int], line: Sweep) -> Pixels:
    """Blur a padded chunk.

    Parameters
    ----------
    chunk : ndarray of uint8, shape (rows + 2 * radius, columns + 2 * radius, channels)
        The chunk with its halo.
    radius : int
        How far the Gaussian reaches.
    origin : (int, int)
        Row and column of the first sample in the whole image.
    line : Sweep
        The rest of the Gaussian, in one direction, in float32.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, channels)
    """
    rows, columns = chunk.shape[0] - 2 * radius, chunk.shape[1] - 2 * radius
    reach = line.support // 2
    # From the last row, or column, that is kept to the first pixel that is made.
    before = [(first + radius) % _SPACING for first in origin]
    count = [(n + b - 1) // _SPACING + 2 for n, b in zip((rows, columns), before, strict=True)]
    y, x = (radius - b - _SPACING * reach - _REACH for b in before)
    thin = _thinned(chunk, y, x, count[0] + 2 * reach, count[1] + 2 * reach)
    coarse = apply(thin, line, line, (reach, reach))
    return _filled(coarse, before, (rows, columns))


def _thinned(chunk: Pixels, y: int, x: int, rows: int, columns: int) -> Pixels:
    """Return tents over 7 by 7 samples, the first of which begins at row `y` and column `x`."""
    height, _, channels = chunk.shape
    width = (_SPACING * columns + _REACH) * channels
    source = chunk.reshape(height, -1)[y : y + _SPACING * rows + _REACH, x * channels :][:, :width]
    width = source.shape[1]
    low = _space.array("low", np.uint16, rows * width).reshape(rows, width)
    for k in range(0, rows, _ROWS):
        part = source[_SPACING * k : _SPACING * (k + _ROWS) + _REACH]
        for stripe in blocks(width, len(part), low.dtype, multiple=32):
            _tents_down(part[:, stripe], low[k : k + _ROWS, stripe])
    tents = _tents(low.reshape(-1), channels).reshape(rows, -1, channels)
    thin = _space.array("thin", np.float32, rows * columns * channels)
    thin = thin.reshape(rows, columns, channels)
    np.copyto(thin, tents[:, : _SPACING * columns : _SPACING])
    return thin


def _tents_down(source: Pixels, out: Pixels) -> None:
    """Sum rows ``4k ... 4k + 6`` with the weights of a tent.

    Of four rows ``0 1 2 3`` the tents take ``3 2 1 0`` and ``1 2 3 4``, which add up to four times
    their sum.
    """
    count, width = out.shape
    size = (count + 1) * width
    four = [_space.array(n, out.dtype, size).reshape(count + 1, width) for n in "abcd"]
    for j, one in enumerate(four):
        rows = source[j::_SPACING]
        np.copyto(one[: len(rows)], rows)
    first, second, third, fourth = four
    np.add(second, first, out=second)
    np.add(third, second, out=third)
    total = np.add(fourth[:count], third[:count], out=fourth[:count])
    falling = np.add(first, second, out=first)
    np.add(falling, third, out=falling)
    np.left_shift(total, 2, out=total)
    np.subtract(total, falling[:count], out=total)
    np.add(total, falling[1:], out=out)


def _tents(x: Pixels, unit: int) -> Pixels:
    """Sum each sample and the six after it, `unit` apart, with the weights of a tent.

    Where samples lie end to end, the last ones of a row run over into the next.
    """
    here, there = (_space.array(name, x.dtype, x.size) for name in "ab")
    for distance in _PAIRS:
        shift = distance * unit
        np.add(x[:-shift], x[shift:], out=here[: x.size - shift])
        x, here, there = here, there, here
    return x


def _filled(coarse: Pixels, before: list[int], size: tuple[int, int]) -> Pixels:
    """Interpolate linearly between samples that are kept."""
    rows, columns = size
    count, _, channels = coarse.shape
    np.multiply(coarse, np.float32(1 / _FULL), out=coarse)
    np.rint(coarse, out=coarse)
    np.clip(coarse, 0, 255 * _FULL, out=coarse)
    width = columns + 2 * _REACH
    sparse = _space.array("low", np.uint16, count * width * channels)
    sparse[:] = 0
    sparse = sparse.reshape(count, width, channels)
    kept = sparse[:, _REACH - before[1] :: _SPACING]
    np.copyto(kept, coarse[:, : kept.shape[1]], casting="unsafe")
    lines = _tents(sparse.reshape(-1), channels).reshape(count, -1)[:, : columns * channels]
    out = np.empty((rows, columns, channels), np.uint8)
    target = out.reshape(rows, -1)
    for k in blocks(count - 1, _SPACING * lines.shape[1], lines.dtype):
        block = lines[k.start : k.stop + 1]
        _fill_down(block, _SPACING * k.start - before[0], target)
    return out


def _fill_down(lines: Pixels, y: int, out: Pixels) -> None:
    """Fill four rows from each line to the next, the first of them row `y`."""
    count, width = len(lines) - 1, lines.shape[1]
    total, step, done = (
        _space.array(name, lines.dtype, count * width).reshape(count, width) for name in "cde"
    )
    np.subtract(lines[1:], lines[:-1], out=step)  # if negative it wraps, and the sum back
    np.left_shift(lines[:-1], 2, out=total)
    np.add(total, 128, out=total)
    for j in range(_SPACING):
        skipped = max(0, -((y + j) // _SPACING))  # lines above the first row
        rows = out[y + j + _SPACING * skipped :: _SPACING]
        made = total[skipped : skipped + len(rows)]
        shifted = np.right_shift(made, 8, out=done[: len(made)])
        np.copyto(rows[: len(made)], shifted, casting="unsafe")
        np.add(total, step, out=total)
