"""Accuracy: the distance of a blurred picture from a Gaussian in double precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

__all__ = ["Reference", "decoded"]

_TRUNCATE = 4.0
Pixels = NDArray[Any]


def decoded(path: Path) -> Pixels:
    """Return the pixels of a PNG file, read by libpng."""
    import imagecodecs

    return np.asarray(imagecodecs.png_decode(path.read_bytes()))


class Reference:
    """The exact Gaussian of some windows of a picture: the four corners, and others at random.

    Beyond the picture its outermost pixels go on (``edge`` in NumPy's words, ``nearest`` in
    SciPy's).

    Parameters
    ----------
    picture : ndarray, shape (rows, columns, channels)
        The picture before it is blurred.
    sigma : float
        Standard deviation of the Gaussian.
    windows, size : int
        Number of windows, and rows and columns of each.
    """

    def __init__(
        self, picture: Pixels, sigma: float, *, windows: int = 12, size: int = 600
    ) -> None:
        self._shape = height, width = picture.shape[:2]
        self._radius = int(_TRUNCATE * sigma + 0.5)
        size = min(size, height, width)
        rng = np.random.default_rng(0)
        corners = [(y, x) for y in (0, height - size) for x in (0, width - size)]
        others = rng.integers(0, (height - size + 1, width - size + 1), (windows - 4, 2))
        self._exact = {
            (int(y), int(x)): self._blurred(picture, int(y), int(x), size, sigma)
            for y, x in (*corners, *others)
        }

    def errors(self, path: Path, *, borders: bool) -> tuple[float, float]:
        """Return the largest and the mean error of a blurred file, in levels.

        `borders` tells whether pixels count that depend on what lies beyond the picture: tools
        differ there.
        """
        made = decoded(path)
        if made.shape[:2] != self._shape:
            raise SystemExit(f"{path}: is {made.shape[:2]}, not {self._shape}")
        highest, total, count = 0.0, 0.0, 0
        for (y, x), exact in self._exact.items():
            error = np.abs(made[y : y + len(exact), x : x + exact.shape[1]] - exact)
            if not borders:
                error = self._interior(error, y, x)
            highest = max(highest, float(error.max()))
            total, count = total + float(error.sum()), count + error.size
        return highest, total / count

    def _blurred(self, picture: Pixels, y: int, x: int, size: int, sigma: float) -> Pixels:
        margin = self._radius + 1
        top, left = max(0, y - margin), max(0, x - margin)
        part = picture[top : y + size + margin, left : x + size + margin].astype(np.float64)
        blurred = ndimage.gaussian_filter(
            part, (sigma, sigma, 0), mode="nearest", truncate=_TRUNCATE
        )
        return np.asarray(blurred[y - top : y - top + size, x - left : x - left + size])

    def _interior(self, error: Pixels, y: int, x: int) -> Pixels:
        height, width = self._shape
        rows = slice(max(0, self._radius - y), max(0, height - self._radius - y))
        columns = slice(max(0, self._radius - x), max(0, width - self._radius - x))
        return error[rows, columns]
