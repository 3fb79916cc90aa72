"""Influence: the distance at which a change of pixels changes the result.

Chunks alone do not show it. A function that acts in wide white areas only is the same in chunks of
other pictures with any halo. A changed output far from a changed input is proof of a larger one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from imgpipe.chains.chain import Filter
from imgpipe.checking.pictures import Picture
from imgpipe.checking.trials import whole
from imgpipe.errors import ImgpipeError
from imgpipe.geometry import Halo
from imgpipe.image import Pixels

__all__ = ["can_be_probed", "reach_of", "share_of_a_corner"]

_BLOCKS = (1, 9, 49)  # sides of the part that is changed
_TEXTURES = ("soft texture", "ramps", "a checkerboard", "noise")
_FAR = 64  # pixels from a corner
_ACROSS = 65  # pixels of a strip with a dot in it


def can_be_probed(one: Filter) -> bool:
    """Return whether every output pixel is made of the input pixels around the same place."""
    return one.definition.region is None and not one.measures and one.grid == (1, 1)


def reach_of(one: Filter, pictures: list[Picture], largest: int, patience: float) -> Halo:
    """Return the distance in rows and columns at which a pixel still counts, as far as is found.

    Parameters
    ----------
    one : Filter
        A filter that can be probed.
    pictures : list of Picture
        Pictures of integers that it takes.
    largest : int
        Distance beyond which it does not matter how far.
    patience : float
        Seconds of processor time after which no more is tried.
    """
    until = time.process_time() + patience
    rows, columns = (_around_a_dot(one, pictures[0], largest, axis, until) for axis in (0, 1))
    for base in _bases(pictures, 2 * (largest + max(_BLOCKS)) + 1):
        try:
            made = whole(one, base)
            for block in _BLOCKS:
                if time.process_time() > until:
                    return rows, columns
                found = _reach(one, base, made, block)
                rows, columns = max(rows, found[0]), max(columns, found[1])
        except ImgpipeError:  # a function may refuse a picture of one colour
            continue
    return rows, columns


def _around_a_dot(one: Filter, like: Picture, largest: int, axis: int, until: float) -> int:
    """Return the distance from a dot, along an axis, beyond which pixels still count for the dot.

    A function that acts on stars or specks looks around them, where nothing else may stand.
    """
    white = np.iinfo(like.pixels.dtype).max
    shape = (2 * largest + 3, _ACROSS, like.pixels.shape[2])
    middle = largest + 1, _ACROSS // 2

    def at_the_dot(ground: int, nearer: int | None = None) -> Pixels:
        """Return the result at the dot, where the ground has its colour beyond `nearer`."""
        pixels = np.full(shape, ground, like.pixels.dtype)
        pixels[middle] = white // 4 if ground else white - white // 4  # may become either
        if nearer is not None:
            pixels[: middle[0] - nearer] = pixels[middle[0] + nearer + 1 :] = white - ground
        turned = np.ascontiguousarray(pixels.swapaxes(0, axis))
        made: Pixels = whole(one, replace(like, pixels=turned)).swapaxes(0, axis)[middle]
        return made

    farthest = 0
    for ground in (0, white):
        counts, does_not = -1, largest + 1
        try:
            alone = at_the_dot(ground)
            if (at_the_dot(ground, largest) != alone).any():
                return largest + 1
            while does_not - counts > 1 and time.process_time() < until:
                nearer = (counts + does_not) // 2
                if (at_the_dot(ground, nearer) != alone).any():
                    counts = nearer
                else:
                    does_not = nearer
        except ImgpipeError:  # a function may refuse a picture of two colours
            continue
        farthest = max(farthest, counts + 1)
    return farthest


def share_of_a_corner(one: Filter, picture: Picture) -> tuple[float, int]:
    """Change a corner; return the share of far pixels that change, and the reach of the change."""
    side = min(40, *(n // 4 for n in picture.pixels.shape[:2]))
    top = int(picture.pixels.max())
    dull = picture.pixels // 2 + np.asarray(top // 8).astype(picture.pixels.dtype)
    other = dull.copy()  # with another mean, and another maximum and minimum
    other[:side, :side] = top - dull[:side, :side] // 2
    other[: side // 2, : side // 2] = np.where(dull[: side // 2, : side // 2] % 2, top, 0)
    try:
        before, after = (whole(one, replace(picture, pixels=p)) for p in (dull, other))
    except ImgpipeError:
        return 0.0, 0
    changed = (before != after).any(axis=2)
    rows, columns = np.nonzero(changed)
    if not rows.size:
        return 0.0, 0
    far = np.ones(changed.shape, bool)
    far[: side + _FAR, : side + _FAR] = False
    share = float(changed[far].mean()) if far.any() else 0.0
    return share, int(max(rows.max(), columns.max())) - side + 1


def _bases(pictures: list[Picture], side: int) -> Iterator[Picture]:
    """Yield pictures of one colour, then of several, of `side` by `side` pixels."""
    first = pictures[0].pixels
    white = np.iinfo(first.dtype).max
    for name, value in (("white", white), ("black", 0), ("gray", white // 2 + 1)):
        yield Picture(name, np.full((side, side, first.shape[2]), value, first.dtype))
    for picture in pictures:
        if picture.name in _TEXTURES:
            (rows, columns), tiles = picture.pixels.shape[:2], (1, 1, 1)
            tiles = (-(-side // rows), -(-side // columns), 1)
            yield replace(picture, pixels=np.tile(picture.pixels, tiles)[:side, :side])


def _reach(one: Filter, base: Picture, made: Pixels, block: int) -> Halo:
    """Change a square in the middle; return the largest distance at which the output changes."""
    start = (len(base.pixels) - block) // 2
    part = slice(start, start + block)
    other = base.pixels.copy()
    other[part, part] = np.iinfo(other.dtype).max - other[part, part]
    changed = (made != whole(one, replace(base, pixels=other))).any(axis=2)
    return _beyond(changed.any(axis=1), part), _beyond(changed.any(axis=0), part)


def _beyond(changed: Pixels, part: slice) -> int:
    """Return the largest distance of a change from a stretch of a line."""
    at = np.flatnonzero(changed)
    return max(0, part.start - int(at[0]), int(at[-1]) - part.stop + 1) if at.size else 0
