"""A scratch file gives back any box of the image, whether it holds rows or tiles."""

from __future__ import annotations

import os
from typing import BinaryIO

import numpy as np
import pytest

from imgpipe.errors import CorruptError
from imgpipe.formats import raw, scratch
from imgpipe.formats.raw import read_fully
from imgpipe.formats.scratch import Scratch
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo
from tests.conftest import noise

TILES = [(0, 0), (1, 1), (7, 5), (16, 64), (37, 3), (100, 100)]


def filled(pixels: np.ndarray, tile: tuple[int, int]) -> Scratch:
    """Return a scratch file in which a few rows after the other were placed."""
    file = Scratch(ImageInfo(*pixels.shape, pixels.dtype), tile=tile)
    for box in file.info.box.cut(tile[0] or 10, file.info.width):
        file.placer.place(box, pixels[box.slices])
    return file


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_any_box_can_be_read(tile: tuple[int, int], dtype: str) -> None:
    pixels = noise((37, 61, 3), dtype)
    file = filled(pixels, tile)
    rng = np.random.default_rng(0)
    boxes = [file.info.box, Box(0, 0, 1, 1), Box(36, 60, 37, 61), Box(3, 0, 9, 61)]
    for _ in range(40):
        y, x = np.sort(rng.integers(0, 38, 2)), np.sort(rng.integers(0, 62, 2))
        boxes.append(Box(int(y[0]), int(x[0]), int(y[1]), int(x[1])))
    for box in boxes:
        np.testing.assert_array_equal(file.source.read(box), pixels[box.slices])
    assert file.commit() == pixels.nbytes
    file.abort()


def test_a_box_of_columns_is_read_in_pieces_of_a_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = noise((120, 80, 1), "uint8")
    reads: list[int] = []

    def counted(file: BinaryIO, out: np.ndarray, position: int, name: str) -> None:
        reads.append(out.nbytes)
        read_fully(file, out, position, name)

    for module in (raw, scratch):
        monkeypatch.setattr(module, "read_fully", counted)
    for tile, expected in (((0, 0), [8] * 120), ((30, 8), [240] * 4)):
        reads.clear()
        file = filled(pixels, tile)
        file.source.read(Box(0, 8, 120, 16))
        assert reads == expected
        file.abort()


def test_tiles_are_placed_in_whole_rows_of_them() -> None:
    file = Scratch(ImageInfo(20, 20, 1, np.dtype("uint8")), tile=(8, 8))
    for box in (Box(0, 0, 7, 20), Box(0, 0, 8, 19), Box(4, 0, 12, 20)):
        with pytest.raises(ValueError, match="no rows of tiles"):
            file.placer.place(box, np.zeros((*box.shape, 1), np.uint8))
    file.abort()


def test_a_scratch_file_that_was_cut_short_is_an_error() -> None:
    file = filled(noise((20, 20, 1), "uint8"), (8, 8))
    os.truncate(file.source.origin.path, 100)
    with pytest.raises(CorruptError, match="ended before its last row"):
        file.source.read(Box(10, 0, 20, 20))
    file.abort()
