"""Codestreams: their header, the places of their tiles, and codestreams of a single tile."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import BinaryIO, NamedTuple

import numpy as np

from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = ["END", "Header", "Size", "TileParts", "header_of", "segments", "tile_parts"]

_START, END = b"\xff\x4f", b"\xff\xd9"
SIZ, COD, QCD, SOT, SOD = 0xFF51, 0xFF52, 0xFF5C, 0xFF90, 0xFF93
_PPM, _LENGTHS = 0xFF60, (0xFF55, 0xFF57)  # TLM and PLM are of all tiles
_SIZE = struct.Struct(">H8IH")
_PART = struct.Struct(">HHHIBB")
_MOST_TILES = 65_535


@dataclass(frozen=True)
class Size:
    """The segment SIZ: positions on the reference grid as (x, y).

    Attributes
    ----------
    capabilities : int
        Parts of the standard that are needed.
    end, start : (int, int)
        The image.
    tile, first : (int, int)
        Size of the tiles, and position of the first.
    components : tuple of (int, int, int)
        Bits less one, with 128 for signed values, and the steps along x and y.
    """

    capabilities: int
    end: tuple[int, int]
    start: tuple[int, int]
    tile: tuple[int, int]
    first: tuple[int, int]
    components: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, content: bytes) -> Size:
        """Return the content of a segment.

        Raises
        ------
        ValueError, struct.error
            If it is damaged.
        """
        caps, *n, count = _SIZE.unpack_from(content)
        rest = content[_SIZE.size :]
        if not count or len(rest) != 3 * count:
            raise ValueError("its segment SIZ is damaged")
        components = tuple(struct.unpack_from("BBB", rest, 3 * at) for at in range(count))
        made = cls(
            caps,
            (n[0], n[1]),
            (n[2], n[3]),
            (n[4], n[5]),
            (n[6], n[7]),
            components,
        )
        for at in range(2):
            inside = made.first[at] <= made.start[at] < made.end[at]
            if not inside or not made.tile[at] or made.first[at] + made.tile[at] <= made.start[at]:
                raise ValueError("its segment SIZ is damaged")
        return made

    @property
    def content(self) -> bytes:
        """The content of the segment."""
        numbers = (*self.end, *self.start, *self.tile, *self.first)
        parts = b"".join(struct.pack("BBB", *each) for each in self.components)
        return _SIZE.pack(self.capabilities, *numbers, len(self.components)) + parts

    @property
    def tiles(self) -> tuple[int, int]:
        """Number of tiles across and down."""
        across, down = (
            -(-(end - first) // tile)
            for end, first, tile in zip(self.end, self.first, self.tile, strict=True)
        )
        return across, down

    @property
    def subsampled(self) -> bool:
        """Return whether a component has fewer values than the image has pixels."""
        return any(each[1:] != (1, 1) for each in self.components)

    def only(self, column: int, row: int) -> Size:
        """Return the size of an image of one of the tiles, at the same place.

        Parts anchored at the origin of the grid, such as code-blocks, stay as they are.
        """
        at = self.first[0] + column * self.tile[0], self.first[1] + row * self.tile[1]
        end = min(at[0] + self.tile[0], self.end[0]), min(at[1] + self.tile[1], self.end[1])
        return replace(self, start=at, first=at, end=end)


class Header(NamedTuple):
    """The main header of a codestream.

    Attributes
    ----------
    size : Size
        The image and its tiles.
    others : tuple of (int, bytes)
        Markers and contents of the other segments.
    end : int
        The position of the first tile.
    """

    size: Size
    others: tuple[tuple[int, bytes], ...]
    end: int

    @property
    def divisible(self) -> bool:
        """Return whether each tile has its own packet headers."""
        return all(marker != _PPM for marker, _ in self.others)

    def encoded(self, size: Size) -> bytes:
        """Return the header as bytes, with another size."""
        kept = [(marker, data) for marker, data in self.others if marker not in _LENGTHS]
        return _START + b"".join(segment(*each) for each in [(SIZ, size.content), *kept])


@dataclass(frozen=True, eq=False)
class TileParts:
    """The places of the parts of tiles, ordered by tile.

    Attributes
    ----------
    tiles, offsets, sizes : ndarray of int64
        Number of the tile, position and size of each part.
    """

    tiles: Pixels
    offsets: Pixels
    sizes: Pixels

    def of(self, tile: int) -> list[tuple[int, int]]:
        """Return position and size of each part of a tile."""
        low, high = np.searchsorted(self.tiles, (tile, tile + 1))
        found = np.stack((self.offsets, self.sizes), axis=1)[low:high]
        return [(int(offset), int(size)) for offset, size in found]

    @property
    def largest(self) -> int:
        """The most bytes of a tile."""
        return int(np.bincount(self.tiles, self.sizes).max(initial=0))


def segment(marker: int, content: bytes) -> bytes:
    """Return a marker segment as bytes."""
    return struct.pack(">HH", marker, len(content) + 2) + content


def segments(file: BinaryIO, start: int, until: int) -> tuple[list[tuple[int, bytes]], int]:
    """Return the segments from a position of an open file to a marker, and its position.

    Raises
    ------
    ValueError, struct.error
        If there is no such marker.
    """
    found: list[tuple[int, bytes]] = []
    file.seek(start)
    while True:
        (marker,) = struct.unpack(">H", file.read(2))
        if marker == until:
            return found, start
        (size,) = struct.unpack(">H", file.read(2))
        content = file.read(size - 2) if size >= 2 else b""
        if marker < 0xFF00 or size < 2 or len(content) != size - 2 or len(found) > 1000:
            raise ValueError("its header is damaged")
        found.append((marker, content))
        start += 2 + size


def header_of(file: BinaryIO, start: int) -> Header:
    """Return the header of the codestream at a position of an open file.

    Raises
    ------
    ValueError, struct.error
        If it is damaged.
    """
    file.seek(start)
    if file.read(2) != _START:
        raise ValueError("it has no codestream")
    found, end = segments(file, start + 2, SOT)
    if not found or found[0][0] != SIZ:
        raise ValueError("its codestream does not begin with its size")
    return Header(Size.of(found[0][1]), tuple(found[1:]), end)


def tile_parts(file: BinaryIO, header: Header, end: int, *, salvage: bool = False) -> TileParts:
    """Return the places of the tiles of a codestream that ends at `end`; on `salvage`, of some.

    Raises
    ------
    ValueError, struct.error
        If a tile is not there.
    """
    across, down = header.size.tiles
    if across * down > _MOST_TILES:
        raise ValueError(f"it declares {across * down:,} tiles")
    found, position = [], header.end
    while position + _PART.size <= end:
        file.seek(position)
        marker, _, tile, size, _, _ = _PART.unpack(file.read(_PART.size))
        if marker != SOT:
            break
        size = size or end - position - len(END)
        if size < _PART.size or position + size > end or tile >= across * down:
            if salvage:
                break
            raise ValueError("its tiles are cut short")
        found.append((tile, position, size))
        position += size
    if len({each[0] for each in found}) < across * down and not (salvage and found):
        raise ValueError("tiles are missing")
    found.sort(key=lambda each: each[0])
    return TileParts(*np.array(found, np.int64).T.copy())
