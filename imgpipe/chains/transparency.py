"""Transparency: the rule that the colour of a pixel with alpha 0 reaches no other pixel.

Alpha is the last channel. A pixel whose alpha is 0 is hidden, and every other one is visible,
however faint it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

import numpy as np

from imgpipe.acceleration import accelerated
from imgpipe.geometry import Halo
from imgpipe.image import Pixels
from imgpipe.items import as_items
from imgpipe.values import as_declared, full_scale

__all__ = [
    "NOTHING",
    "colour_of",
    "filled",
    "finite_if_hidden",
    "is_opaque",
    "premultiplied",
    "surrounded",
    "unpremultiplied",
    "visible_pixels",
    "with_alpha",
    "without_hidden",
]


class _Nothing(Enum):
    """The measurement where no pixel is visible."""

    NOTHING = "nothing is visible"


NOTHING = _Nothing.NOTHING

_ROWS = 32  # filled at once
_COPIED = 128 * 1024  # bytes copied at once
_FAINTEST = 1e-12  # of opaque: the least alpha of a mixture


def is_opaque(pixels: Pixels) -> Pixels:
    """Return a mask of the opaque pixels: their alpha is the greatest, as of white."""
    dtype = pixels.dtype
    opaque: Pixels = pixels[..., -1] == (np.iinfo(dtype).max if dtype.kind in "iu" else 1)
    return opaque


@accelerated
def colour_of(pixels: Pixels) -> Pixels:
    """Return the channels before alpha, in an array of their own."""
    out = np.empty((*pixels.shape[:2], pixels.shape[2] - 1), pixels.dtype)
    for rows in _some_rows(out):
        _copy_channels(pixels[rows], out[rows])
    return out


def with_alpha(colour: Pixels, alpha: Pixels) -> Pixels:
    """Return `colour` and, behind it, `alpha`, shape (rows, columns, 1), of the same type."""
    out = with_white(colour)
    np.copyto(out[..., -1:], alpha)
    return out


@accelerated
def with_white(colour: Pixels) -> Pixels:
    """Return `colour` and, behind it, an alpha of white."""
    white = np.iinfo(colour.dtype).max if colour.dtype.kind in "iu" else 1
    out = np.empty((*colour.shape[:2], colour.shape[2] + 1), colour.dtype)
    for rows in _some_rows(out):
        out[rows] = white
        _copy_channels(colour[rows], out[rows])
    return out


def _copy_channels(source: Pixels, target: Pixels) -> None:
    """Copy the channels that both have. To copy those of every pixel at once is slow."""
    for channel in range(min(source.shape[2], target.shape[2])):
        np.copyto(target[..., channel], source[..., channel])


def _some_rows(pixels: Pixels) -> Iterator[slice]:
    """Yield slices of rows that stay in the cache."""
    step = max(1, _COPIED // max(1, pixels[0].nbytes))
    return (slice(y, y + step) for y in range(0, len(pixels), step))


def without_hidden(values: Pixels, hidden: Pixels) -> Pixels:
    """Return a copy of `values` that is 0 where it is `hidden`, shape (rows, columns)."""
    out = np.array(values, order="C")
    for channel in range(out.shape[2]):
        np.copyto(out[..., channel], np.zeros((), out.dtype), where=hidden)
    return out


def finite_if_hidden(values: Pixels, alpha: Pixels) -> Pixels:
    """Return `values`, 0 where there is a NaN or an infinity and `alpha`, (rows, columns), is 0."""
    if values.dtype.kind != "f" or alpha.all():
        return values
    lost = (alpha == 0) & ~np.isfinite(values).all(axis=2)
    return without_hidden(values, lost) if lost.any() else values


def visible_pixels(pixels: Pixels) -> Pixels:
    """Return `pixels`, or if some are hidden the others, shape (1, number of them, channels)."""
    alpha = pixels[..., -1]
    if alpha.all():
        return pixels
    items = as_items(pixels)
    found: Pixels = items[alpha != 0].view(pixels.dtype)
    return found.reshape(1, -1, pixels.shape[2])


# --- neighbours -------------------------------------------------------------------------


def filled(pixels: Pixels, visible: Pixels, reach: Halo) -> Pixels:
    """Return the colours of a chunk; hidden pixels get those of visible ones near by.

    A hidden pixel gets the colour of the nearest pixel in its row that is visible; where there is
    none within reach, what the nearest pixel in its column gets; else 0. Of two that are equally
    near it is the one to the left, or above.

    So all hidden pixels of a footprint get a colour if one pixel is visible whose distance to each
    of them is within reach: the row of that pixel is filled first, then every column from there.

    Parameters
    ----------
    pixels : ndarray, shape (rows + 2 * reach[0], columns + 2 * reach[1], channels)
        The chunk, alpha included.
    visible : ndarray of bool, shape (rows + 2 * reach[0], columns + 2 * reach[1])
        Whether each of them is visible.
    reach : (int, int)
        Rows and columns to look at on each side.

    Returns
    -------
    ndarray, shape (rows, columns, channels - 1)
    """
    inside = tuple(slice(n, size - n) for n, size in zip(reach, visible.shape, strict=True))
    hidden = ~visible[inside]
    if not hidden.any():
        return colour_of(pixels[inside])
    along, in_row = _nearest(visible, reach[1], axis=1)
    down, in_reach = _nearest(in_row, reach[0], axis=0)
    out = np.array(pixels[inside], order="C")
    source, target = as_items(pixels), as_items(out)
    target[hidden] = np.zeros((), target.dtype)
    near = hidden & in_reach
    for start in range(0, len(out), _ROWS):  # indices take more memory than pixels
        y, x = np.nonzero(near[start : start + _ROWS])
        y += start
        row = y + reach[0] + down[y, x]
        target[y, x] = source[row, x + reach[1] + along[row, x]]
    return colour_of(out)


def _nearest(wanted: Pixels, reach: int, axis: int) -> tuple[Pixels, Pixels]:
    """Return the distance to the nearest `wanted` place along an axis, and whether one is near.

    It is negative to the left or above. The first and the last `reach` places of the axis are left
    out of both.
    """
    lines = wanted if axis == 0 else wanted.T
    here = slice(reach, len(lines) - reach)
    small = np.int16 if reach < 2**13 else np.int32
    before = np.where(lines, small(0), small(np.iinfo(small).max // 2))
    after, step = before.copy(order="K"), 1
    while step <= reach:  # each step makes the stretch that was looked at twice as long
        np.minimum(before[step:], before[:-step] + small(step), out=before[step:])
        np.minimum(after[:-step], after[step:] + small(step), out=after[:-step])
        step *= 2
    before, after = before[here], after[here]
    near = np.minimum(before, after) <= reach
    found = np.where(before <= after, -before, after)
    return (found, near) if axis == 0 else (found.T, near.T)


def surrounded(wanted: Pixels, halo: Halo) -> Pixels:
    """Return whether all pixels within a halo are `wanted`, without the halo on each side."""
    for axis, reach in enumerate(halo):
        lines, seen = np.moveaxis(wanted, axis, 0), 1
        while seen <= 2 * reach:
            step = min(seen, 2 * reach + 1 - seen)
            lines = lines[:-step] & lines[step:]
            seen += step
        wanted = np.moveaxis(lines, 0, axis)
    return wanted


# --- mixtures ---------------------------------------------------------------------------


def premultiplied(pixels: Pixels, real: np.dtype[Any] | None = None) -> Pixels:
    """Return colour times alpha, and alpha on the same scale, as floats; hidden pixels are 0.

    They are of the type `real`. By default that is float32 of 8 bits and float64 of all else:
    where little alpha is left of a mixture, what is divided by it must be exact enough still.
    """
    dtype = pixels.dtype
    real = real or np.dtype(np.float32 if dtype.itemsize == 1 else np.float64)
    out = np.empty(pixels.shape, real)
    alpha = pixels[..., -1].astype(real)
    with np.errstate(invalid="ignore"):  # of hidden infinities
        for channel in range(pixels.shape[2] - 1):
            np.multiply(pixels[..., channel], alpha, out=out[..., channel], dtype=real)
    np.multiply(alpha, real.type(full_scale(dtype)), out=out[..., -1])
    if dtype.kind == "f" and not alpha.all():
        out[alpha == 0] = 0  # NaN and infinity as well
    return out


def unpremultiplied(mixed: Pixels, given: np.dtype[Any], dtype: np.dtype[Any], name: str) -> Pixels:
    """Undo `premultiplied` of an image of type `given` after its pixels were mixed.

    Returns
    -------
    ndarray of `dtype`
        White of `given` is white of `dtype`. Where alpha is 0, so is colour. Alpha that is negative
        or next to nothing is 0: it is what rounding leaves of weights of both signs.

    Raises
    ------
    FilterError
        If a NaN or an infinity would become an integer.
    """
    white = full_scale(dtype)
    real = np.result_type(mixed, np.float32)
    alpha, opaque = mixed[..., -1:].astype(real), full_scale(given) ** 2
    np.copyto(alpha, 0, where=alpha < _FAINTEST * opaque)
    out = np.empty(mixed.shape, dtype)
    np.copyto(out[..., -1:], as_declared(alpha * (white / opaque), dtype, name))
    hidden = out[..., -1] == 0
    colour = np.empty((*mixed.shape[:2], mixed.shape[2] - 1), real)
    some = alpha[..., 0]
    np.copyto(some, 1, where=hidden)
    for channel in range(colour.shape[2]):
        plane = colour[..., channel]
        np.divide(mixed[..., channel], some, out=plane)
        np.multiply(plane, white, out=plane)
        np.copyto(plane, 0, where=hidden)
    np.copyto(out[..., :-1], as_declared(colour, dtype, name))
    return out
