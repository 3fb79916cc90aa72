"""Pictures of the pages of the filters: before, after, and both in a small tile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from filterexamples import Example
from numpy.typing import NDArray
from PIL import Image
from samplepictures import picture, shown

__all__ = ["TILE", "Pictures", "tile_of_example"]

Pixels = NDArray[Any]

TILE = (172, 129)
"""Columns and rows of a tile."""

_WIDE = 200  # pictures that are narrower are enlarged


class Pictures:
    """A folder of pictures, into which each is written once.

    Parameters
    ----------
    folder : Path
        The folder, which is made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, example: Example) -> None:
        """Write the pictures of an example. Works in the workshop."""
        before, after = _before(example), shown(example.made())
        for image, name in ((before, example.picture), (after, example.name)):
            self._save(image if example.pair else _enlarged(image), name)
        tile = _tile_of(before, after, pair=example.pair)
        tile = tile.resize((120, 90), Image.Resampling.LANCZOS)
        self._save(np.asarray(tile), f"{example.name}-tile")

    def _save(self, pixels: Pixels, name: str) -> None:
        Image.fromarray(pixels).save(self.folder / f"{name}.png", compress_level=3)


def _before(example: Example) -> Pixels:
    return shown(picture(example.picture), inks=example.picture == "ink")


def _enlarged(image: Pixels) -> Pixels:
    """Return a small image with several pixels for each of its own."""
    times = 336 // image.shape[1] if image.shape[1] < _WIDE else 1
    return image.repeat(times, axis=0).repeat(times, axis=1)


def tile_of_example(example: Example) -> Image.Image:
    """Return the tile of an example. Works in the workshop."""
    return _tile_of(_before(example), shown(example.made()), pair=example.pair)


def _tile_of(before: Pixels, after: Pixels, *, pair: bool) -> Image.Image:
    """Return a tile: the left half of `before`, the right half of `after`; or both as a pair."""
    width, height = TILE
    tile = Image.new("RGB", TILE, "white")
    if pair:  # in the same scale
        scale = (width // 2 - 2) / max(before.shape[1], after.shape[1])
        scale = min(scale, height / max(before.shape[0], after.shape[0]))
        for image, x in ((before, 0), (after, width // 2 + 2)):
            rows, columns = (max(1, round(scale * side)) for side in image.shape[:2])
            small = Image.fromarray(image).resize((columns, rows), Image.Resampling.LANCZOS)
            tile.paste(small, (x + (width // 2 - 2 - columns) // 2, (height - rows) // 2))
        return tile
    half = width // 2
    one, other = (_as_tile(image) for image in (before, after))
    tile.paste(one.crop((0, 0, half, height)), (0, 0))
    tile.paste(other.crop((half, 0, width, height)), (half, 0))
    tile.paste("white", (half - 1, 0, half + 1, height))
    return tile


def _as_tile(image: Pixels) -> Image.Image:
    return Image.fromarray(image).resize(TILE, Image.Resampling.LANCZOS)
