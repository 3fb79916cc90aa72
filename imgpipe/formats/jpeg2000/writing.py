"""JPEG 2000 files that are written: workers encode tiles, which follow each other in the file."""

from __future__ import annotations

import io
import logging
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import imagecodecs
import numpy as np

from imgpipe.arguments import shown
from imgpipe.errors import OutputError, UsageError
from imgpipe.formats.base import Data, Facts
from imgpipe.formats.codecs import must_encode
from imgpipe.formats.jpeg2000.boxes import head_of_file
from imgpipe.formats.jpeg2000.codestream import (
    COD,
    END,
    QCD,
    SOD,
    Header,
    Size,
    header_of,
    segment,
    segments,
)
from imgpipe.formats.target import Target
from imgpipe.formats.wholedecoding import CODEC_ERRORS
from imgpipe.image import ImageInfo, Pixels
from imgpipe.parameters import Between, Through
from imgpipe.records import dataclass

__all__ = ["Jpeg2000Sink", "TileEncoder", "open_sink"]

_log = logging.getLogger(__name__)
_SIDES = (256, 512, 1024, 2048)  # powers of two: code-blocks begin where those of the image do
_BARE = (".j2k", ".j2c", ".jpc", ".jhc")
_HEAD = 12  # bytes of the segment SOT
_SAMPLE_BYTES, _HT_SAMPLE_BYTES = 12, 4  # of the encoders
_LIBRARY_BYTES = 4 << 20
_MOST_TILES = 65_535


def _side(given: Any) -> int:
    """Return the side of a square tile."""
    side = int(given) if isinstance(given, str) and given.isdecimal() else given
    if isinstance(side, bool) or side not in _SIDES:
        known = ", ".join(map(str, _SIDES[:-1]))
        raise ValueError(f"must be {known} or {_SIDES[-1]}, not {shown(given)}")
    return int(side)


def open_sink(
    target: Target,
    info: ImageInfo,
    *,
    quality: Annotated[
        int | None,
        Between(20, 100),
        "Signal-to-noise ratio of a tile in dB; without it the file is lossless.",
    ] = None,
    tile: Annotated[Any, Through(_side, "size"), "Rows and columns of a tile."] = 512,
    ht: Annotated[bool, "High throughput (HTJ2K): several times faster, lossless only."] = False,
) -> Jpeg2000Sink:
    """Begin a file: a bare codestream if its suffix says so, or else one in boxes.

    Raises
    ------
    UsageError
        If there are too many tiles, or a quality is wanted of HTJ2K.
    """
    name = target.name
    must_encode("HTJ2K" if ht else "JPEG2K", name)
    if ht and quality is not None:
        raise UsageError(f"{name}: HTJ2K is written without loss; leave out --quality or --ht")
    count = -(-info.width // tile) * -(-info.height // tile)
    if count > _MOST_TILES:
        raise UsageError(
            f"{name}: JPEG 2000 has at most {_MOST_TILES:,} tiles, not {count:,}; choose a larger "
            f"--tile, up to {_SIDES[-1]}"
        )
    encoder = TileEncoder(info.channels, info.dtype, tile, info.width, quality, ht, name)
    if name.lower().endswith(_BARE):
        _warn_of_losses(info, name)
        return Jpeg2000Sink(target, info, encoder, b"")
    return Jpeg2000Sink(target, info, encoder, head_of_file(info, name, high_throughput=ht))


def _warn_of_losses(info: ImageInfo, name: str) -> None:
    """Warn of metadata that a bare codestream cannot hold."""
    known = info.metadata
    kinds = {
        "EXIF": known.exif,
        "the ICC profile": known.icc,
        "XMP": known.xmp,
        "the resolution": known.pixels_per_metre,
    }
    lost = [noun for noun, value in kinds.items() if value is not None]
    if lost:
        _log.warning(
            "%s: left out metadata that a bare codestream cannot hold: %s; write a .jp2 to keep it",
            name,
            ", ".join(lost),
        )


@dataclass(frozen=True)
class TileEncoder:
    """Encoder of tiles, each a codestream of which the part after the header is kept.

    A tile at the edge may have fewer levels than the others: it says so in a header of its own.
    """

    channels: int
    dtype: np.dtype[Any]
    tile: int
    width: int
    quality: int | None
    high_throughput: bool
    name: str
    context_rows: ClassVar[int] = 0

    @property
    def work_bytes(self) -> int:
        """Memory of the encoder, and of the tile before it is cut out of its codestream.

        Measured by ``benchmarks/codec_memory.py jpeg2000``.
        """
        sample = _HT_SAMPLE_BYTES if self.high_throughput else _SAMPLE_BYTES
        sample += 2 * self.dtype.itemsize
        return _LIBRARY_BYTES + sample * self.tile**2 * self.channels

    def bound(self, rows: int) -> int:
        """Return the most bytes that `rows` rows can become."""
        across = -(-self.width // self.tile)
        raw = rows * self.tile * self.channels * self.dtype.itemsize
        return across * (raw + raw // 2 + 8192)

    @cached_property
    def header(self) -> Header:
        """The header of a full tile."""
        blank = np.zeros((self.tile, self.tile, self.channels), self.dtype)
        return header_of(io.BytesIO(self._codestream(blank)), 0)

    def encode(self, unit: Pixels, above: Pixels | None) -> tuple[Data, Facts]:
        """Return the part of a tile; its number is still 0."""
        stream = self._codestream(unit)
        file = io.BytesIO(stream)
        header = header_of(file, 0)
        known, own = dict(self.header.others), b""
        for marker, content in header.others:
            if marker in (COD, QCD) and known.get(marker) != content:
                own += segment(marker, content)
        found, start = segments(file, header.end + _HEAD, SOD)
        own += b"".join(segment(*each) for each in found)
        part = bytearray(stream[header.end : header.end + _HEAD])
        part += own + stream[start : -len(END)]
        part[6:10] = len(part).to_bytes(4, "big")
        return bytes(part), ()

    def _codestream(self, pixels: Pixels) -> bytes:
        given = pixels[..., 0] if self.channels == 1 else pixels
        given = np.ascontiguousarray(given)
        try:
            if self.high_throughput:
                return bytes(imagecodecs.htj2k_encode(given, rgb=self.channels >= 3, planar=False))
            return bytes(
                imagecodecs.jpeg2k_encode(
                    given,
                    self.quality,
                    codecformat="j2k",
                    reversible=self.quality is None,
                    mct=self.channels == 3,
                    planar=False,
                    numthreads=1,
                )
            )
        except CODEC_ERRORS as error:
            raise OutputError(f"{self.name}: a tile cannot be encoded: {error}") from error


class Jpeg2000Sink:
    """A file whose tiles arrive row by row."""

    kind: ClassVar[Literal["ordered"]] = "ordered"

    def __init__(self, target: Target, info: ImageInfo, encoder: TileEncoder, boxes: bytes) -> None:
        self.info, self.encoder = info, encoder
        self.unit = encoder.tile, encoder.tile
        self._target, self._begin, self._count = target, boxes, 0

    def append(self, data: Data, facts: Facts) -> None:
        """Append the next tile."""
        if self._count == 0:
            header = self.encoder.header
            self._target.write(self._begin + header.encoded(self._size(header.size)))
        part = bytearray(data)
        part[4:6] = self._count.to_bytes(2, "big")
        self._target.write(bytes(part))
        self._count += 1

    def commit(self) -> int:
        """Publish the finished file and return its size in bytes."""
        self._target.write(END)
        return self._target.commit()

    def abort(self) -> None:
        """Leave nothing behind. Safe to call at any time, and twice."""
        self._target.abort()

    def _size(self, size: Size) -> Size:
        """Return the size of the image, of which `size` is a tile."""
        return replace(size, end=(self.info.width, self.info.height))
