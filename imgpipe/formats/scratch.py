"""Scratch files: raw pixels on disk, a random source and a placed sink in one.

A plan uses one to copy an input that cannot be read in any order, or to defer an encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import BinaryIO, ClassVar, Literal

import numpy as np

from imgpipe.formats.base import Data
from imgpipe.formats.origin import FileOrigin
from imgpipe.formats.raw import RawLayout, RawPlacer, RawSource, read_fully
from imgpipe.formats.target import FilePlace
from imgpipe.formats.unnamedfiles import NamelessFile, no_room, scratch_folder
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.publish import reserved
from imgpipe.records import dataclass

__all__ = ["Scratch", "TiledLayout"]


@dataclass(frozen=True)
class TiledLayout(RawLayout):
    """Tiles of raw pixels, one after the other: for an image that is read in columns.

    Tiles at the right and at the bottom are smaller, so a row of tiles begins where its first row
    would in a file of rows.

    Attributes
    ----------
    tile : (int, int)
        Rows and columns of a tile.
    """

    tile: tuple[int, int] = (1, 1)

    def read(self, file: BinaryIO, box: Box, name: str) -> Pixels:
        """Return the pixels of `box` from an open origin called `name`."""
        out = np.empty((*box.shape, self.shape[2]), self.dtype)
        for tile in self._tiles(box):
            rows = Box(max(box.y0, tile.y0), tile.x0, min(box.y1, tile.y1), tile.x1)
            pixels = np.empty((*rows.shape, self.shape[2]), self.dtype)
            read_fully(file, pixels, self._position(tile, rows.y0), name)
            wanted = rows.intersect(box)
            out[wanted.within(box)] = pixels[wanted.within(rows)]
        return out

    def parts(self, box: Box, pixels: Pixels) -> Iterator[tuple[int, Data]]:
        """Yield position and bytes of `box`, which is whole rows of tiles."""
        whole = box.snap(*self.tile).clip(*self.shape[:2])
        if box != whole or box.width != self.shape[1]:
            raise ValueError(f"{box} is no rows of tiles of {self.tile}")
        together, done = np.empty(pixels.size, self.dtype), 0
        for tile in self._tiles(box):
            part = pixels[tile.within(box)]
            together[done : done + part.size].reshape(part.shape)[...] = part
            done += part.size
        yield self.position(box.y0, 0), together.data

    def _tiles(self, box: Box) -> Iterator[Box]:
        """Yield the boxes of the tiles that have a part in `box`."""
        for tile in box.snap(*self.tile).cut(*self.tile):
            yield tile.clip(*self.shape[:2])

    def _position(self, tile: Box, row: int) -> int:
        """Return the position of row `row` of the image within a tile."""
        before = self.shape[1] * tile.y0 + tile.height * tile.x0
        return self.offset + (before + tile.width * (row - tile.y0)) * self.pixel_bytes


@dataclass
class Scratch:
    """A raw file that lives as long as the run.

    On Linux it has no name from the start, so that nothing can be left behind; workers open it
    through the parent's file descriptor.

    Parameters
    ----------
    info : ImageInfo
        The image.
    folder : str, optional
        Folder of the file; by default that of scratch files.
    tile : (int, int)
        Rows and columns of its tiles; (0, 0) for whole rows.
    """

    info: ImageInfo
    folder: str | None = None
    tile: tuple[int, int] = (0, 0)
    kind: ClassVar[Literal["placed"]] = "placed"
    unit: ClassVar[tuple[int, int]] = (1, 1)
    seal_bytes: ClassVar[int] = 0
    _file: NamelessFile | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        try:
            self._file = NamelessFile(self.folder)
            reserved(self._file.fd, self.info.nbytes)
        except OSError as error:
            self.abort()
            file = f"a scratch file of {self.info.nbytes / 1e6:,.0f} MB"
            raise no_room(file, error, self.folder) from error
        layout = RawLayout(0, self.info.shape, self.info.dtype)
        if self.tile[0]:
            layout = TiledLayout(0, self.info.shape, self.info.dtype, self.tile)
        name = f"scratch file in {self.folder or scratch_folder()} (--scratch)"
        self.placer = RawPlacer(layout, FilePlace(name, self._file.path))
        self.source = RawSource(self.info, layout, FileOrigin(name, self._file.path))

    def commit(self) -> int:
        """Return the size; there is nothing to publish."""
        return self.info.nbytes

    def abort(self) -> None:
        """Remove the file."""
        if self._file is not None:
            self._file.close()
