"""A format of compressed tiles, which are written from left to right and from top to bottom."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from imgpipe import Between
from imgpipe.errors import CorruptError
from imgpipe.formats.base import Data, Facts, Sink
from imgpipe.formats.declaration import GRAY, RGB, Format
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.target import Target
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels, check_pixels

MAGIC = b"TILES1"
_HEAD = struct.Struct("<6sIIIIIQ")


@dataclass(frozen=True)
class TilesSource:
    """Tiles in a file with an index at its end."""

    access: ClassVar[Literal["random"]] = "random"
    decode_bytes: ClassVar[int] = 1 << 20
    compressed: ClassVar[bool] = True
    info: ImageInfo
    origin: Origin
    grain: tuple[int, int]
    offsets: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.origin.name

    def read(self, box: Box) -> Pixels:
        out = np.empty((*box.shape, self.info.channels), self.info.dtype)
        for tile in box.snap(*self.grain).cut(*self.grain):
            whole = tile.clip(*self.info.shape[:2])
            pixels = np.empty((*whole.shape, self.info.channels), self.info.dtype)
            self.tile_into(tile.y0 // self.grain[0], tile.x0 // self.grain[1], pixels)
            part = whole.intersect(box)
            out[part.within(box)] = pixels[part.within(whole)]
        return out

    def tile_into(self, row: int, column: int, out: Pixels) -> None:
        index = row * -(-self.info.width // self.grain[1]) + column
        begin, end = self.offsets[index : index + 2]
        with self.origin.open(0) as file:
            file.seek(begin)
            data = file.read(end - begin)
        try:
            pixels = np.frombuffer(zlib.decompress(data), self.info.dtype)
            out[...] = pixels.reshape(out.shape)
        except (zlib.error, ValueError):
            where = f"tile {row}, {column}"
            raise CorruptError(f"{self.name}: {where} is damaged; get a fresh copy") from None


@dataclass(frozen=True)
class TilesEncoder:
    """Compresses a tile."""

    tile_bytes: int
    across: int
    context_rows: ClassVar[int] = 0
    work_bytes: ClassVar[int] = 1 << 18

    def bound(self, rows: int) -> int:
        return self.across * (self.tile_bytes + (self.tile_bytes >> 8) + 64)

    def encode(self, unit: Pixels, above: Pixels | None) -> tuple[Data, Facts]:
        assert unit.nbytes <= self.tile_bytes
        return zlib.compress(unit.tobytes(), 1), unit.shape[:2]


class TilesSink:
    """Tiles in order, and an index after them."""

    kind: ClassVar[Literal["ordered"]] = "ordered"

    def __init__(self, target: Target, info: ImageInfo, tile: int) -> None:
        self.info, self.unit, self._target = info, (tile, tile), target
        tile_bytes = tile * tile * info.channels * info.dtype.itemsize
        self.encoder = TilesEncoder(tile_bytes, -(-info.width // tile))
        self._boxes = list(info.box.cut(tile, tile))
        self._sizes: list[int] = []

    def append(self, data: Data, facts: Facts) -> None:
        """Append a tile, which must be the next one."""
        assert facts == self._boxes[len(self._sizes)].shape, "tiles are out of order"
        self._sizes.append(len(data))
        self._target.write(data)

    def commit(self) -> int:
        info, tile = self.info, self.unit[0]
        assert len(self._sizes) == len(self._boxes)
        index = np.array(self._sizes, "<u8").tobytes()
        size = sum(self._sizes)
        end = _HEAD.pack(MAGIC, info.height, info.width, info.channels, tile, info.dtype.num, size)
        self._target.write(index, end)
        return self._target.commit()

    def abort(self) -> None:
        self._target.abort()


def open_source(origin: Origin, max_pixels: int | None = None) -> Any:
    with origin.open() as file:
        size = size_of(file)
        file.seek(max(0, size - _HEAD.size))
        end = file.read()
        if len(end) < _HEAD.size or not end.startswith(MAGIC):
            raise CorruptError(f"{origin.name}: has no end; get a fresh copy")
        _, height, width, channels, tile, kind, filled = _HEAD.unpack(end)
        if channels not in (1, 3) or not tile:
            raise CorruptError(f"{origin.name}: its end is damaged; get a fresh copy")
        check_pixels(height, width, origin.name, max_pixels)
        file.seek(filled)
        sizes = np.frombuffer(file.read(size - _HEAD.size - filled), "<u8")
    dtype = np.dtype(np.uint8 if kind == np.dtype(np.uint8).num else np.uint16)
    colour: Any = "rgb" if channels == 3 else "gray"
    info = ImageInfo(height, width, channels, dtype, None, colour)
    offsets = (0, *map(int, np.cumsum(sizes)))
    return TilesSource(info, origin, (tile, tile), offsets)


def open_sink(
    target: Target, info: ImageInfo, *, tile: Annotated[int, Between(1, 4096), "Its side."] = 64
) -> Sink:
    return TilesSink(target, info, tile)


FORMAT = Format(
    "Tiles",
    (".tiles",),
    (),
    open_source,
    open_sink,
    dtypes=("uint8", "uint16"),
    layouts=(GRAY, RGB),
)
