"""Test pictures: small, of every kind, and unlike each other."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator

import numpy as np

from imgpipe.admission import Alpha, admitted
from imgpipe.chains.stages import seen
from imgpipe.formats.opening import open_source
from imgpipe.formats.readwrite import Reading
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.inmemory import read
from imgpipe.records import dataclass

__all__ = ["Kind", "Picture", "callers", "kinds"]

_SIDE = 512  # of the part of the caller's picture that is looked at
_LONGEST_LINE = 130  # longer than the largest halo that is looked for


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels of shape (rows, columns, channels), and their name."""

    name: str
    pixels: Pixels
    alpha: int | None = None

    @classmethod
    def none(cls) -> Picture:
        """Return a picture without a pixel."""
        return cls("none", np.empty((0, 0, 1), np.uint8))

    @property
    def is_long(self) -> bool:
        """Return whether it is narrow and long, for a cheap search for far influences."""
        rows, columns = self.pixels.shape[:2]
        return bool(max(rows, columns) > _SIDE)

    @property
    def is_float(self) -> bool:
        """Return whether its values are not integers."""
        return self.pixels.dtype.kind == "f"

    @property
    def turned(self) -> Pixels:
        """Other pixels of the same shape: the picture upside down."""
        return np.ascontiguousarray(self.pixels[::-1, ::-1])


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of image, as a change of pictures of three channels of 8 bits."""

    name: str
    change: Callable[[Pixels], Pixels]
    alpha: int | None = None

    def pictures(self) -> list[Picture]:
        """Return all pictures as images of this kind."""
        return [self._changed(name, pixels) for name, pixels in _in_colour().items()]

    def samples(self) -> list[Picture]:
        """Return two smaller pictures as images of this kind."""
        named = _in_colour()
        parts = (("noise", np.s_[:97, :131]), ("a page", np.s_[40:170, 90:260]))
        return [self._changed(f"{name} in {self.name}", named[name][part]) for name, part in parts]

    def _changed(self, name: str, pixels: Pixels) -> Picture:
        return Picture(name, np.array(self.change(pixels), order="C"), self.alpha)


def kinds() -> list[Kind]:
    """Return all kinds of images that are tried, the commonest first, floats and alpha last."""
    return [
        Kind("8-bit RGB", lambda pixels: pixels),
        Kind("8-bit gray", _gray),
        Kind("16-bit RGB", _deep),
        Kind("16-bit gray", lambda pixels: _deep(_gray(pixels))),
        Kind("float RGB", _floats),
        Kind("8-bit RGBA", _with_alpha, alpha=3),
    ]


def callers(image: str | os.PathLike[str] | Pixels | None, alpha: Alpha = None) -> list[Picture]:
    """Return the middle of the caller's picture, if there is one."""
    if image is None:
        return []
    if isinstance(image, (str, bytes, os.PathLike)):
        about = seen(open_source(image, Reading(alpha=alpha)).info)
        part = read(image, _middle(about))
    else:
        found = admitted(image, alpha)
        about = found.info
        part = found.read(_middle(about))
    return [Picture("your picture", part, about.alpha)]


def _middle(about: ImageInfo) -> Box:
    top, left = (max(0, (n - _SIDE) // 2) for n in (about.height, about.width))
    return Box(top, left, top + _SIDE, left + _SIDE).clip(about.height, about.width)


@functools.cache
def _in_colour() -> dict[str, Pixels]:
    """Return pictures of three channels of 8 bits by name. Each kind makes copies of them."""
    return dict(_drawn())


def _drawn() -> Iterator[tuple[str, Pixels]]:
    rng = np.random.default_rng(20)
    rows, columns = 211, 307
    y, x = np.mgrid[:rows, :columns]
    impulses = np.zeros((rows, columns, 3), np.uint8)
    impulses[::37, ::41] = 255
    board = np.where((y // 5 + x // 8) % 2, 250, 3).astype(np.uint8)
    ramp = ((x + 2 * y) % 256).astype(np.uint8)
    yield "noise", _noise(rng, rows, columns)
    # More than twice 256, so that a pattern that comes again after so many pixels is seen.
    yield "a tall strip of noise", _noise(rng, 640, 33)
    yield "a wide strip of noise", _noise(rng, 33, 640)
    yield "soft texture", _texture(rng, rows, columns)
    yield "impulses", impulses
    yield "a checkerboard", np.stack([board] * 3, axis=2)
    yield "ramps", np.stack([ramp, ramp.max() - ramp, ramp // 2], axis=2)
    yield "a page", _page(rng, rows, columns)
    yield "stars", _stars(rng)
    yield "lines", _lines()


def _noise(rng: np.random.Generator, rows: int, columns: int) -> Pixels:
    return rng.integers(0, 256, (rows, columns, 3), np.uint8)


def _texture(rng: np.random.Generator, rows: int, columns: int) -> Pixels:
    """Return the sum of random squares of several sizes."""
    total = np.zeros((rows, columns, 3))
    for n in (1, 4, 16, 64):
        coarse = rng.random((rows // n + 1, columns // n + 1, 3))
        total += n * np.kron(coarse, np.ones((n, n, 1)))[:rows, :columns]
    return (total / 85 * 255).astype(np.uint8)


def _page(rng: np.random.Generator, rows: int, columns: int) -> Pixels:
    """Return a white page in a black frame, with fine text and a black and a gray area."""
    page = np.full((rows, columns, 3), 255, np.uint8)
    page[:3] = page[-3:] = page[:, :3] = page[:, -3:] = 0
    for top in range(8, 64, 8):  # letters of five rows, up to four columns wide
        letters = rng.random((5, 130, 1)) < 0.45
        letters[:, ::5] = False
        page[top : top + 5, 8:138][letters[..., 0]] = (20, 20, 60)
    page[120:200, 200:300] = 0
    page[70:205, 6:80] = 128
    return page


def _stars(rng: np.random.Generator) -> Pixels:
    """Return single bright pixels, a few of them, in a long strip of black."""
    stars = np.zeros((33, 640, 3), np.uint8)
    for y, x in rng.integers(0, (33, 500), (25, 2)):  # nothing in the last 140 columns
        stars[y, x] = rng.integers(60, 256, 3)
    return stars


def _lines() -> Pixels:
    """Return white lines on black, along the rows and along the columns, of every length."""
    lines = np.zeros((270, 307, 3), np.uint8)
    for k in range(_LONGEST_LINE // 2):
        for image in (lines[:134], lines[136:].swapaxes(0, 1)):
            image[2 * k, : k + 1, 0] = 255
            image[2 * k, k + 3 : _LONGEST_LINE + 3] = 255
    lines[:130:3, 140:300] = 255  # a line that winds
    lines[:129:6, 299] = lines[1:129:6, 299] = lines[2:129:6, 299] = 255
    lines[3:129:6, 140] = lines[4:129:6, 140] = lines[5:129:6, 140] = 255
    return lines


def _gray(pixels: Pixels) -> Pixels:
    return pixels[:, :, :1]


def _deep(pixels: Pixels) -> Pixels:
    """Return 16 bits of 8."""
    return pixels.astype(np.uint16) * np.uint16(257)


def _floats(pixels: Pixels) -> Pixels:
    """Return values from 0 to 1."""
    return pixels / 255


def _with_alpha(pixels: Pixels) -> Pixels:
    """Return the picture with an alpha channel of which a part is 0."""
    alpha = np.maximum(pixels[::-1, ::-1, :1], 100) - np.uint8(100)
    return np.concatenate([pixels, alpha], axis=2)
