"""Axes: places and weights of the input pixels that an output pixel is made from.

They follow from the place of the output pixel in the whole output alone. Weights are worked out for
tables of places that do not depend on the chunk, since a sine may be rounded otherwise in an array
of another length.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, cast

import numpy as np

from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = ["Axis", "Method", "Part"]

Method = Literal["nearest", "bilinear", "bicubic", "lanczos"]

_REACH = {"bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}

_TABLE = 1 << 15  # weights that are worked out at once


@dataclass(frozen=True)
class Axis:
    """One axis of an image that changes its length.

    Attributes
    ----------
    before, after : int
        Pixels of the input and of the output along it.
    method : str
        One of `Method`.
    pixels : int
        Length of the image, if the input is a smaller version of it; 0 if it is the image.
    share : int
        Length of the image that a pixel of the input stands for, in the same unit: a pixel of the
        image, or a part of it. The first or last one may stand for less.
    missing : int
        Length of the image by which the first pixel of the input stands for less.
    """

    before: int
    after: int
    method: Method
    pixels: int = 0
    share: int = 1
    missing: int = 0

    def centres(self, places: Pixels) -> Pixels:
        """Return the positions of the middles of output pixels, in pixels of the input."""
        middle: Pixels = (places + 0.5) * self.step
        return middle + self.missing / self.share if self.missing else middle

    @property
    def length(self) -> int:
        """Length of the image that the output shows."""
        return self.pixels or self.before

    @property
    def step(self) -> float:
        """Distance of output pixels, in pixels of the input."""
        return self.length / (self.after * self.share)

    @property
    def copies(self) -> bool:
        """Return whether every output pixel is one of the input."""
        return self.method == "nearest" or self.length == self.after * self.share

    @property
    def stretch(self) -> float:
        """Factor on the reach of the weights: an image that shrinks must not alias."""
        return max(self.step, 1.0)

    @property
    def taps(self) -> int:
        """The most input pixels that an output pixel is made from."""
        reach = 0.5 if self.copies else _REACH[self.method] * self.stretch
        return min(math.ceil(2 * reach), self.before)

    def footprint(self, places: Pixels) -> tuple[Pixels, Pixels]:
        """Return the first input pixel, and the one after the last, of output pixels."""
        if self.copies:
            first = (2 * places + 1) * self.length // (2 * self.after * self.share)
            return first, first + 1
        middle, reach = self.centres(places), _REACH[self.method] * self.stretch
        first = np.floor(middle - reach + 0.5)
        # Halves that were rounded may make one more; its weight would be 0.
        last = np.minimum(np.floor(middle + reach + 0.5), first + math.ceil(2 * reach))
        first, last = np.maximum(first, 0), np.minimum(last, self.before)
        return first.astype(np.intp), last.astype(np.intp)

    def needs(self, start: int, stop: int) -> tuple[int, int]:
        """Return the part of the input that a part of the output is made from."""
        return _needs(self, start, stop)

    def weights(self, start: int, stop: int) -> Pixels:
        """Return the weights of the output pixels from `start` to `stop`, one row for each."""
        size = max(1, _TABLE // self.taps)
        tables = range(start // size, (stop - 1) // size + 1)
        found = np.concatenate([_weights(self, table, size) for table in tables])
        return found[start - tables[0] * size :][: stop - start]


@lru_cache(maxsize=64)
def _needs(axis: Axis, start: int, stop: int) -> tuple[int, int]:
    first, last = axis.footprint(np.array([start, stop - 1]))
    return int(first[0]), int(last[1])


@lru_cache(maxsize=16)
def _weights(axis: Axis, table: int, size: int) -> Pixels:
    places = np.arange(table * size, min((table + 1) * size, axis.after))
    if axis.copies:
        return np.ones((len(places), 1))
    first, last = axis.footprint(places)
    pixels = first[:, None] + np.arange(axis.taps)
    # In whole numbers first: a whole distance is exact, and has no weight.
    after = axis.after * axis.share
    halves = (2 * pixels + 1) * after - (2 * places[:, None] + 1) * axis.length
    halves -= 2 * axis.missing * axis.after
    distance = halves / (2 * max(axis.length, after))
    found = np.where(pixels < last[:, None], _SHAPES[axis.method](distance), 0.0)
    found /= found.sum(axis=1, keepdims=True)
    return found


def _triangle(distance: Pixels) -> Pixels:
    return cast(Pixels, np.maximum(1 - np.abs(distance), 0))


def _cubic(distance: Pixels) -> Pixels:
    """Keys' cubic convolution with a = -1/2."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((2.5 - 0.5 * x) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(distance: Pixels) -> Pixels:
    found = np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0)
    return np.where(distance == np.rint(distance), distance == 0, found)  # pi is not exact


_SHAPES = {"bilinear": _triangle, "bicubic": _cubic, "lanczos": _lanczos}


Part = tuple[Axis, int, int]
"""An axis, and the output pixels from one place on it to another."""
