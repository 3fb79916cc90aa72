"""OME-Zarr images that are written: workers write the files of chunks and shards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from imgpipe.arguments import shown
from imgpipe.errors import UsageError
from imgpipe.formats.base import Data, RandomSource, Sink
from imgpipe.formats.compression import Compression, Method, one_of
from imgpipe.formats.folder import FolderPlace, FolderTarget
from imgpipe.formats.levels import Reducer, levels_of
from imgpipe.formats.scratch import Scratch
from imgpipe.formats.zarr.codecs import declared, packed, packing_bytes
from imgpipe.formats.zarr.ome import group_of
from imgpipe.formats.zarr.shards import CODEC, index_of
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.parameters import Through, is_whole
from imgpipe.records import dataclass

__all__ = ["ChunkPlacer", "Chunks", "ZarrSink", "open_sink"]

_STEP, _MOST = 16, 8192  # pixels of the side of a chunk or shard
_LIBRARY_BYTES = 4 << 20
_LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
DEFAULT_COMPRESSION = Compression("zstd", 1)


def _side(given: Any) -> int:
    """Return the side of a square chunk or shard."""
    side = int(given) if isinstance(given, str) and given.isdecimal() else given
    if not (is_whole(side, at_least=_STEP) and side <= _MOST and side % _STEP == 0):
        raise ValueError(f"must be a multiple of {_STEP} up to {_MOST}, not {shown(given)}")
    return int(side)


Wanted = Annotated[
    Compression,
    one_of(
        Method("zstd", 1, 22, usual=1),
        Method("blosc", 1, 9, usual=1),
        Method("gzip", 1, 9, usual=5),
        Method("none"),
    ),
    "zstd:1 to zstd:22, or 1 to 22 for short; blosc:1 to blosc:9, better for 16 bits and floats; "
    "gzip:1 to gzip:9; or none.",
]
Tile = Annotated[Any, Through(_side, "size"), "Rows and columns of a chunk."]
Shard = Annotated[
    Any,
    Through(_side, "size"),
    "Rows and columns of a shard: one file of many chunks. Without it, each chunk is a file.",
]


def open_sink(
    target: FolderTarget,
    info: ImageInfo,
    *,
    compression: Wanted = DEFAULT_COMPRESSION,
    tile: Tile = 512,
    shard: Shard = None,
    pyramid: Annotated[bool, "Add smaller versions of the image, each half the size."] = False,
) -> ZarrSink:
    """Begin an image of OME-Zarr 0.5: its axes are c, y and x.

    Parameters
    ----------
    target : FolderTarget
        Target of the folder.
    info : ImageInfo
        The image.
    compression : Compression
        Compression of its chunks.
    tile : int
        Rows and columns of a chunk, which holds one channel.
    shard : int, optional
        Rows and columns of a shard.
    pyramid : bool
        Whether to add levels, each with half the pixels of the one before along both sides, until
        one fits a chunk.

    Raises
    ------
    UsageError
        If shards are no whole chunks.
    """
    if shard is not None and shard % tile:
        raise UsageError(
            f"{target.name}: a shard of {shard} is no whole number of chunks of {tile}; choose a "
            f"multiple of {tile}"
        )
    smaller = levels_of(info, (tile, tile)) if pyramid else ()
    levels = tuple(
        Chunks(f"{number}/", one.shape, one.dtype, tile, shard, compression)
        for number, one in enumerate((info, *smaller))
    )
    place = target.place()
    place.write("zarr.json", _text(group_of(info, len(levels), target.name)))
    for level in levels:
        place.write(f"{level.path}zarr.json", _text(level.declaration))
    return ZarrSink(Building(target, info, levels))


@dataclass(frozen=True)
class Chunks:
    """The chunks of a level.

    Attributes
    ----------
    path : str
        The folder of its array.
    shape : (int, int, int)
        Rows, columns and channels.
    dtype : numpy.dtype
        The type of its values.
    tile : int
        Rows and columns of a chunk.
    shard : int or None
        Rows and columns of a shard.
    compression : Compression
        The compression of a chunk.
    """

    path: str
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    tile: int
    shard: int | None
    compression: Compression

    @property
    def side(self) -> int:
        """Rows and columns of a file."""
        return self.shard or self.tile

    @property
    def place_bytes(self) -> int:
        """Memory that the files of a box need beside its pixels, in bytes."""
        chunk = self.tile**2 * self.dtype.itemsize
        shard = 2 * self.side**2 * self.dtype.itemsize if self.shard else 0
        return _LIBRARY_BYTES + chunk + packing_bytes(self.compression, chunk) + shard

    @property
    def declaration(self) -> dict[str, Any]:
        """The content of ``zarr.json``."""
        height, width, channels = self.shape
        codecs = declared(self.compression, self.dtype.itemsize)
        if self.shard:
            sharding = {
                "chunk_shape": [1, self.tile, self.tile],
                "codecs": codecs,
                "index_codecs": [_LITTLE, {"name": "crc32c"}],
                "index_location": "end",
            }
            codecs = [{"name": CODEC, "configuration": sharding}]
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [channels, height, width],
            "data_type": self.dtype.name,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [1, self.side, self.side]},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0 if self.dtype.kind in "iu" else 0.0,
            "codecs": codecs,
            "dimension_names": ["c", "y", "x"],
            "attributes": {},
        }

    def files(self, box: Box, pixels: Pixels) -> Iterator[tuple[str, list[Data]]]:
        """Yield the names and the contents of the files of a box of whole files."""
        for part in box.snap(self.side, self.side).cut(self.side, self.side):
            held = part.clip(*self.shape[:2])
            inside = pixels[held.within(box)]
            row, column = part.y0 // self.side, part.x0 // self.side
            for channel in range(self.shape[2]):
                name = f"{self.path}c/{channel}/{row}/{column}"
                yield name, self._file(inside[..., channel])

    def _file(self, plane: Pixels) -> list[Data]:
        """Return the content of a file with one channel of some pixels."""
        if not self.shard:
            return [self._chunk(plane)]
        count = self.shard // self.tile
        parts: list[Data | None] = []
        for row, column in np.ndindex(count, count):
            y, x = row * self.tile, column * self.tile
            there = y < plane.shape[0] and x < plane.shape[1]
            part = plane[y : y + self.tile, x : x + self.tile]
            parts.append(self._chunk(part) if there else None)
        index = index_of(None if part is None else memoryview(part).nbytes for part in parts)
        return [*(part for part in parts if part is not None), index]

    def _chunk(self, plane: Pixels) -> Data:
        """Return a chunk; at the edges it is filled up with zeros."""
        full = np.zeros((self.tile, self.tile), self.dtype.newbyteorder("<"))
        full[: plane.shape[0], : plane.shape[1]] = plane
        data: Data = packed(full, self.compression)
        return data


class Building:
    """An image under construction, and the pixels of the levels of its pyramid."""

    def __init__(self, target: FolderTarget, info: ImageInfo, levels: tuple[Chunks, ...]) -> None:
        self.target, self.levels = target, levels
        infos = levels_of(info, (levels[0].tile, levels[0].tile))
        self.infos = (info, *(one for one, _ in zip(infos, levels[1:], strict=False)))
        self.scratches = list[Scratch]()
        try:
            for one in self.infos[1:]:
                self.scratches.append(Scratch(one))
        except BaseException:
            self.abort()
            raise

    def commit(self) -> int:
        """Publish the image; return its size."""
        size = self.target.commit()
        self._free()
        return size

    def abort(self) -> None:
        """Leave nothing behind."""
        self._free()
        self.target.abort()

    def _free(self) -> None:
        for scratch in self.scratches:
            scratch.abort()


class ZarrSink:
    """An image, or a level of its pyramid, whose files the workers write."""

    kind: ClassVar[Literal["placed"]] = "placed"
    seal_bytes: ClassVar[int] = 0

    def __init__(self, building: Building, level: int = 0) -> None:
        self.info, chunks = building.infos[level], building.levels[level]
        self.unit = chunks.side, chunks.side
        self.place_bytes = chunks.place_bytes
        scratches = building.scratches
        aside = Reducer(self.info, scratches[level].placer) if level < len(scratches) else None
        self.placer = ChunkPlacer(building.target.place(), chunks, aside)
        self.further: tuple[tuple[RandomSource, Sink], ...] = ()
        if level == 0:
            self.further = tuple(
                (one.source, ZarrSink(building, at)) for at, one in enumerate(scratches, 1)
            )
        self.commit, self.abort = building.commit, building.abort


@dataclass(frozen=True)
class ChunkPlacer:
    """Writer of chunks and shards."""

    where: FolderPlace
    chunks: Chunks
    aside: Reducer | None = None

    def rows(self, box: Box) -> None:
        """Return nothing: pixels are written when they are all there."""

    def place(self, box: Box, pixels: Pixels) -> None:
        """Write the files of `box`, and make the next level of its pixels."""
        for name, data in self.chunks.files(box, pixels):
            self.where.write(name, *data)
        if self.aside is not None:
            self.aside.place(box, pixels)

    def seal(self) -> None:
        """Nothing is left to do: the declarations are there from the start."""


def _text(made: dict[str, Any]) -> bytes:
    return json.dumps(made, indent=2, allow_nan=False).encode()
