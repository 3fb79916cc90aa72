"""Pictures for tests: noise over the whole range of a type, and images partly transparent."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = ["Kind", "kinds", "noise", "ramps", "seen", "with_hidden"]


@dataclass(frozen=True)
class Kind:
    """A kind of image.

    Attributes
    ----------
    dtype : str
        Type of its values.
    channels : int
        Channels, alpha included.
    alpha : int or None
        The channel that is alpha.
    """

    dtype: str
    channels: int
    alpha: int | None = None

    def __str__(self) -> str:
        with_alpha = ", alpha included" if self.alpha is not None else ""
        return f"{self.dtype} of {self.channels} channels{with_alpha}"

    def picture(self, rows: int, columns: int, seed: int = 0) -> Pixels:
        """Return noise of this kind, shape (rows, columns, channels)."""
        return noise((rows, columns, self.channels), self.dtype, seed)


def kinds(dtypes: Iterable[str], colours: Iterable[int], *, alpha: bool) -> Iterator[Kind]:
    """Yield every kind of some types and numbers of colour channels, with and without `alpha`."""
    for dtype, channels in itertools.product(dtypes, colours):
        yield Kind(dtype, channels)
        if alpha:
            yield Kind(dtype, channels + 1, channels)


def noise(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Pixels:
    """Return random values over the whole range of `dtype`; floats of very different sizes.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    dtype : str
        Type of its values, integers or floats.
    seed : int
        Other seeds make other values.
    """
    rng, kind = np.random.default_rng(seed), np.dtype(dtype)
    if kind.kind == "f":
        low, high = (-3, 4) if kind.itemsize == 2 else (-6, 7)
        return (rng.standard_normal(shape) * 10.0 ** rng.integers(low, high, shape)).astype(kind)
    about, wide = np.iinfo(kind), np.uint64 if kind == np.uint64 else np.int64
    return rng.integers(about.min, about.max, shape, wide, endpoint=True).astype(kind)


def ramps(shape: tuple[int, int, int], dtype: str) -> Pixels:
    """Return a smooth image over the whole range of an integer type.

    Every other channel rises from left to right, and those between them fall from top to bottom.
    """
    rows, columns, channels = shape
    about = np.iinfo(dtype)
    across, down = (np.linspace(about.min, about.max, size) for size in (columns, rows))
    rising, falling = np.meshgrid(across, down[::-1])
    every = [falling if channel % 2 else rising for channel in range(channels)]
    return np.stack(every, axis=2).astype(dtype)


def with_hidden(array: Pixels, visible: Pixels, seed: int) -> Pixels:
    """Return `array` with alpha 0, and other colours, where it is not `visible`.

    Parameters
    ----------
    array : ndarray, shape (rows, columns, channels)
        An image whose last channel is alpha.
    visible : ndarray of bool, shape (rows, columns)
        The pixels to keep.
    seed : int
        Other seeds make other hidden colours; of floats some are NaN or infinite.
    """
    other = noise(array.shape, array.dtype.name, seed)
    if array.dtype.kind == "f":
        other[::3, ::2], other[1::3, ::2] = np.nan, np.inf
    other[..., -1] = 0
    return np.where(visible[..., None], array, other)


def seen(image: Pixels) -> Pixels:
    """Return `image`, whose last channel is alpha, with 0 for the colours under alpha 0."""
    return np.where(image[..., -1:] != 0, image, image.dtype.type(0))
