"""The pictures that a filter is tried on: small, of every kind, and unlike each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from imgpipe.admission import admitted
from imgpipe.geometry import Box
from imgpipe.image import Pixels
from imgpipe.inmemory import info, read

__all__ = ["Picture", "as_floats", "callers", "kinds"]

_SIDE = 512  # of the part of the caller's picture that is looked at


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Pixels of shape (rows, columns, channels), and what they are called."""

    name: str
    pixels: Pixels
    alpha: int | None = None

    @property
    def is_long(self) -> bool:
        """Whether it is narrow and so long that what is far away can be looked for cheaply."""
        rows, columns = self.pixels.shape[:2]
        return bool(max(rows, columns) > _SIDE)

    @property
    def turned(self) -> Pixels:
        """Other pixels of the same shape: the picture upside down."""
        return np.ascontiguousarray(self.pixels[::-1, ::-1])


def kinds() -> Iterator[list[Picture]]:
    """Yield the same pictures as one kind of image after the other, the commonest first."""
    pictures = _in_colour()
    yield pictures
    for change in (_gray, _deep, lambda pixels: _deep(_gray(pixels))):
        yield [_changed(picture, change) for picture in pictures]


def as_floats(picture: Picture) -> Picture:
    """Return a picture of integers with values from 0 to 1."""
    pixels = picture.pixels / np.iinfo(picture.pixels.dtype).max
    return replace(picture, name=f"{picture.name} in floats", pixels=pixels)


def callers(image: str | os.PathLike[str] | Pixels | None) -> list[Picture]:
    """Return the middle of the caller's picture, if there is one."""
    if image is None:
        return []
    if isinstance(image, (str, bytes, os.PathLike)):
        found = admitted(read(image), info(image).alpha)
    else:
        found = admitted(image)
    rows, columns = (max(0, (n - _SIDE) // 2) for n in found.info.shape[:2])
    middle = Box(rows, columns, rows + _SIDE, columns + _SIDE)
    part = found.read(middle.clip(found.info.height, found.info.width))
    return [Picture("your picture", part, found.info.alpha)]


def _in_colour() -> list[Picture]:
    """Return pictures of three channels of 8 bits."""
    rng = np.random.default_rng(20)
    rows, columns = 211, 307
    y, x = np.mgrid[:rows, :columns]
    impulses = np.zeros((rows, columns, 3), np.uint8)
    impulses[::37, ::41] = 255
    board = np.where((y // 5 + x // 8) % 2, 250, 3).astype(np.uint8)
    ramp = ((x + 2 * y) % 256).astype(np.uint8)
    return [
        Picture("noise", _noise(rng, rows, columns)),
        # More than twice 256, so that a pattern that comes again after so many pixels is seen.
        Picture("a tall strip of noise", _noise(rng, 640, 33)),
        Picture("a wide strip of noise", _noise(rng, 33, 640)),
        Picture("soft texture", _texture(rng, rows, columns)),
        Picture("impulses", impulses),
        Picture("a checkerboard", np.stack([board] * 3, axis=2)),
        Picture("ramps", np.stack([ramp, ramp.max() - ramp, ramp // 2], axis=2)),
    ]


def _noise(rng: np.random.Generator, rows: int, columns: int) -> Pixels:
    return rng.integers(0, 256, (rows, columns, 3), np.uint8)


def _texture(rng: np.random.Generator, rows: int, columns: int) -> Pixels:
    """Return the sum of random squares of several sizes."""
    total = np.zeros((rows, columns, 3))
    for n in (1, 4, 16, 64):
        coarse = rng.random((rows // n + 1, columns // n + 1, 3))
        total += n * np.kron(coarse, np.ones((n, n, 1)))[:rows, :columns]
    return (total / 85 * 255).astype(np.uint8)


def _gray(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[:, :, :1])


def _deep(pixels: Pixels) -> Pixels:
    """Return 16 bits of 8."""
    return pixels.astype(np.uint16) * np.uint16(257)


def _changed(picture: Picture, change: Callable[[Pixels], Pixels]) -> Picture:
    return replace(picture, pixels=change(picture.pixels))
