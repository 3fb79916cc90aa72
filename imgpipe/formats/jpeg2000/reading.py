"""JPEG 2000 files as sources of pixels: any box of tiles, or the whole of an image of one."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from typing import Any, BinaryIO, ClassVar, Literal

import imagecodecs
import numpy as np

from imgpipe.errors import CorruptError, FormatError
from imgpipe.formats.base import Check
from imgpipe.formats.codecs import must_decode
from imgpipe.formats.damage import damage
from imgpipe.formats.jpeg2000.boxes import Container, container_of
from imgpipe.formats.jpeg2000.codestream import END, Header, Size, TileParts, header_of, tile_parts
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.wholedecoding import DecodedSource, decoded, fill
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels, check_pixels, guess_colour
from imgpipe.metadata import Metadata
from imgpipe.records import dataclass

__all__ = ["TiledSource", "must_be_intact", "open_source"]

_SAMPLE_BYTES = 5  # of the decoder, measured by benchmarks/codec_memory.py jpeg2000
_LIBRARY_BYTES = 4 << 20
_SIGNED = 128
_EACH = (1, 1)  # steps of a component with a value for each pixel
_SUBSAMPLED = ((_EACH, (2, 2), (2, 2)), (_EACH, (2, 1), (2, 1)))  # luma and chroma
_COLOURS = {"gray": 1, "rgb": 3, "cmyk": 4, "other": 0}


def open_source(
    origin: Origin, max_pixels: int | None = None, *, salvage: bool = False
) -> TiledSource | DecodedSource:
    """Open a file: read and check everything but its pixels.

    Raises
    ------
    InputError
        If there is no such file or it cannot be used; `imgpipe.errors` has the kinds.
    """
    name = origin.name
    must_decode("JPEG2K", name)
    with origin.open() as file:
        size = size_of(file)
        with damage(name, "the file is damaged ({})", (ValueError, struct.error)):
            container = container_of(file, size)
            header = header_of(file, container.start)
            info = _info(header, container, name, max_pixels)
            parts = _parts(file, header, container, salvage=salvage)
    anywhere = origin.reference
    if parts is None or anywhere is None:
        return DecodedSource(
            info, origin, _Decoder(container, info.shape, info.dtype.itemsize), size
        )
    return TiledSource(info, anywhere, header, parts, container._replace(metadata=Metadata()))


def must_be_intact(source: Any, check: Check) -> None:
    """Refuse a file that ends before its last tile does.

    Raises
    ------
    CorruptError
        If it does.
    """
    with source.origin.open() as file:
        size = size_of(file)
        check()
        with damage(source.name, "the file is damaged ({})", (ValueError, struct.error)):
            container = container_of(file, size)
            tile_parts(file, header_of(file, container.start), container.end)


def _parts(
    file: BinaryIO, header: Header, container: Container, *, salvage: bool
) -> TileParts | None:
    """Return the places of the tiles; None for an image that is decoded at once."""
    size = header.size
    alone = size.tiles == (1, 1) or size.first != size.start
    if alone or size.subsampled or not header.divisible:
        return None
    return tile_parts(file, header, container.end, salvage=salvage)


def _info(header: Header, container: Container, name: str, max_pixels: int | None) -> ImageInfo:
    size = header.size
    width, height = (end - start for end, start in zip(size.end, size.start, strict=True))
    check_pixels(height, width, name, max_pixels)
    channels, dtype = _values(size, container, name)
    if container.colour == "other":
        raise FormatError(
            f"{name}: uses a colour space that imgpipe does not read; convert it to RGB first"
        )
    colour, alpha = guess_colour(channels)
    if container.colour is not None:
        colour, alpha = container.colour, channels - 1 if container.alpha else None
    if channels - (alpha is not None) < _COLOURS[colour]:
        raise ValueError(f"it declares {colour} of {channels} channels")
    known = container.metadata.completed(name)
    return ImageInfo(height, width, channels, dtype, alpha, colour, known)


def _values(size: Size, container: Container, name: str) -> tuple[int, np.dtype[Any]]:
    """Return number and type of the values of a pixel.

    Raises
    ------
    FormatError
        If the decoder makes no such pixels of them.
    """
    channels, (depth, *_) = len(size.components), size.components[0]
    palette, bits, signed = container.palette, depth % _SIGNED + 1, depth >= _SIGNED
    steps = tuple(each[1:] for each in size.components)
    reason = ""
    if any(each[0] != depth for each in size.components):
        reason = "has components of different bits"
    elif steps not in ((_EACH,) * channels, *_SUBSAMPLED):
        reason = "has components of different sizes, other than 4:2:0 and 4:2:2"
    elif palette is not None and channels > 1:
        reason = "has a palette beside other components"
    elif palette is not None:
        channels, bits, signed = *palette, False
    if not reason and not 8 <= bits <= 16:
        reason = f"has values of {bits} bits instead of 8 to 16"
    if reason:
        raise FormatError(
            f"{name}: {reason}, which imgpipe does not read; convert it first, for example by "
            "opj_decompress"
        )
    return channels, np.dtype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")


@dataclass(frozen=True)
class _Decoder:
    """Decoder of the codestream in a container."""

    container: Container
    shape: tuple[int, int, int]
    itemsize: int

    @property
    def work_bytes(self) -> int:
        """Memory of the decoder, of the pixels that it returns, and of copies of the codestream."""
        coded = self.container.end - self.container.start
        sample = _SAMPLE_BYTES + self.itemsize
        return _LIBRARY_BYTES + math.prod(self.shape) * sample + 2 * coded

    def decode_into(self, data: bytes, out: Pixels) -> None:
        """Fill `out`."""
        data = data[self.container.start : self.container.end]
        data = self.container.boxed(data, *self.shape[:2])
        fill(out, imagecodecs.jpeg2k_decode(data, numthreads=1))


@dataclass(frozen=True, eq=False)
class TiledSource:
    """An image whose tiles are decoded where they are needed.

    A tile and the header make a codestream of its own.
    """

    access: ClassVar[Literal["random"]] = "random"
    compressed: ClassVar[bool] = True
    info: ImageInfo
    origin: Origin
    header: Header
    parts: TileParts
    container: Container

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.origin.name

    @property
    def grain(self) -> tuple[int, int]:
        """Rows and columns of a tile, of the part that is within the image."""
        columns, rows = self.header.size.tile
        return min(rows, self.info.height), 0 if columns >= self.info.width else columns

    @property
    def stored_tile(self) -> tuple[int, int]:
        """Rows and columns of a tile as it is stored, for `imgpipe info`."""
        columns, rows = self.header.size.tile
        return rows, 0 if columns == self.info.width else columns

    @property
    def decode_bytes(self) -> int:
        """Memory of a reader beside the pixels that it gives out, in bytes."""
        rows, columns = self.grain
        samples = rows * (columns or self.info.width) * self.info.channels
        decoding = samples * (_SAMPLE_BYTES + 2 * self.info.dtype.itemsize)
        return _LIBRARY_BYTES + decoding + 3 * self.parts.largest + 24 * len(self.parts.tiles)

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`.

        Raises
        ------
        CorruptError
            If a tile is damaged.
        """
        out = np.empty((*box.shape, self.info.channels), self.info.dtype)
        rows, columns = self.grain
        columns = columns or self.info.width
        for tile in box.snap(rows, columns).cut(rows, columns):
            held = tile.clip(self.info.height, self.info.width)
            pixels = self._decoded(tile.y0 // rows, tile.x0 // columns, held)
            wanted = held.intersect(box)
            out[wanted.within(box)] = pixels[wanted.within(held)]
        return out

    def tile_into(self, row: int, column: int, out: Pixels) -> None:
        """Fill `out` with the tile in a row and a column of tiles, clipped at the edges."""
        out[...] = self._decoded(row, column, Box.of(*out.shape[:2]))

    def _decoded(self, row: int, column: int, box: Box) -> Pixels:
        """Return the pixels of a tile that has the shape of `box`."""
        out = np.empty((*box.shape, self.info.channels), self.info.dtype)
        with self.origin.open(0) as file:
            data = self.container.boxed(self._alone(file, row, column), *box.shape)
        decoded(lambda: fill(out, imagecodecs.jpeg2k_decode(data, numthreads=1)), self.name)
        return out

    def _alone(self, file: BinaryIO, row: int, column: int) -> bytes:
        """Return the codestream of a tile."""
        size = self.header.size
        made = [self.header.encoded(size.only(column, row))]
        places = self.parts.of(row * size.tiles[0] + column)
        if not places:
            raise CorruptError(
                f"{self.name}: the file is truncated: a tile is missing; get a fresh copy"
            )
        for position, count in places:
            file.seek(position)
            part = bytearray(file.read(count))
            if len(part) != count:
                raise CorruptError(f"{self.name}: the file is truncated; get a fresh copy")
            part[4:6] = b"\0\0"  # the number of the tile
            part[6:10] = count.to_bytes(4, "big")
            made.append(bytes(part))
        return b"".join([*made, END])

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to the workers without metadata."""
        info = replace(self.info, metadata=Metadata())
        return TiledSource, (info, self.origin, self.header, self.parts, self.container)
