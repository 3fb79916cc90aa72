"""Kernels of OpenCV for Gaussians of bytes: sums along lines, and pyramids."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from imgpipe.accelerators.opencv.chunks import MOST_CHANNELS, solid
from imgpipe.image import Pixels

__all__ = ["lines", "pyramid"]

_EXACT: dict[str, Any] = (
    {"hint": cv2.ALGO_HINT_ACCURATE} if hasattr(cv2, "ALGO_HINT_ACCURATE") else {}
)


def lines(
    chunk: Pixels, radius: int, taps: int, spread: float, *, into: Pixels | None = None
) -> Pixels | None:
    """Compute `imgpipe.kernels.lines.lines`."""
    if not _is_covered(chunk):
        return None
    spare = radius - taps // 2
    inside = np.s_[spare : len(chunk) - spare, spare : chunk.shape[1] - spare]
    place = None if into is None else into[inside]
    return _with_channels(_weighted(_plain(chunk[inside]), taps, spread, place), chunk)


def pyramid(
    chunk: Pixels,
    radius: int,
    first: tuple[int, int],
    levels: int,
    taps: int,
    spread: float,
    *,
    into: Pixels | None = None,
) -> Pixels | None:
    """Compute `imgpipe.kernels.pyramid.pyramid`."""
    if not _is_covered(chunk):
        return None
    rows, columns, _ = (size - 2 * radius for size in chunk.shape)
    y, x = first
    box = y, x, y + rows, x + columns
    made = _blurred(_plain(chunk), (y - radius, x - radius), box, levels, (taps, spread), into)
    return _with_channels(made, chunk)


def _is_covered(chunk: Pixels) -> bool:
    return chunk.dtype == np.uint8 and chunk.shape[2] <= MOST_CHANNELS


def _plain(chunk: Pixels) -> Pixels:
    """Return a chunk as OpenCV takes it, one channel without its axis."""
    chunk = solid(chunk)
    return chunk[..., 0] if chunk.shape[2] == 1 else chunk


def _with_channels(made: Pixels, chunk: Pixels) -> Pixels:
    return made.reshape(*made.shape[:2], chunk.shape[2])


def _weighted(source: Pixels, taps: int, spread: float, place: Pixels | None = None) -> Pixels:
    """Blur down the columns, then along the rows, each rounded; the halo is ``taps // 2``.

    The result may be put into `place`, which has the halo too.
    """
    half = taps // 2
    room = None if place is None else place[half : len(place) - half]
    down = cv2.GaussianBlur(source, (1, taps), spread, **_EXACT)[half : len(source) - half]
    along: Pixels = cv2.GaussianBlur(down, (taps, 1), spread, dst=room, **_EXACT)
    return along[:, half : along.shape[1] - half]


def _blurred(
    source: Pixels,
    origin: tuple[int, int],
    box: tuple[int, int, int, int],
    levels: int,
    weights: tuple[int, float],
    into: Pixels | None = None,
) -> Pixels:
    """Blur the samples of a box at one level, where `source` and `into` begin at `origin`."""
    y0, x0, y1, x1 = box
    half = weights[0] // 2
    if not levels:
        return _weighted(_part(source, origin, box, half), *weights)
    top, left = (((start >> 1) - 1 + start % 2) for start in (y0, x0))
    bottom, right = (((stop - 1) >> 1) + 2 for stop in (y1, x1))
    # The first and the last sample that are kept are made of a border, and not used.
    far = (half + 4 << levels - 1) - 3
    above = 2 * (top - far), 2 * (left - far), 2 * (bottom + far) - 1, 2 * (right + far) - 1
    small = cv2.pyrDown(_part(source, origin, above, 0))
    kept = top, left, bottom, right
    made = _blurred(small, (top - far, left - far), kept, levels - 1, weights)
    room = None
    if into is not None:
        room = _part(into, origin, (2 * top, 2 * left, 2 * bottom, 2 * right), 0)
    return _part(cv2.pyrUp(made, dst=room), (2 * top, 2 * left), box, 0)


def _part(
    source: Pixels, origin: tuple[int, int], box: tuple[int, int, int, int], more: int
) -> Pixels:
    """Return the samples of a box and so many more on each side."""
    (y, x), (y0, x0, y1, x1) = origin, box
    return source[y0 - more - y : y1 + more - y, x0 - more - x : x1 + more - x]
