"""Header of a PNG file: everything but the pixels, read and checked.

References
----------
Portable Network Graphics (PNG) Specification (Third Edition), W3C, sections 5 and 11.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from dataclasses import field, replace
from typing import BinaryIO

from isal import isal_zlib

from imgpipe.errors import CorruptError, FormatError, InputError
from imgpipe.formats.lastfile import LastFile
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.png.chunks import MAX_CHUNK, SIGNATURE, matches
from imgpipe.formats.png.metadata import METADATA_CHUNKS, MetadataReader
from imgpipe.image import Metadata, check_pixels
from imgpipe.plurals import counted
from imgpipe.records import dataclass

__all__ = ["GRAY", "MAX_DEFLATE_RATIO", "PALETTE", "RGB", "Header", "read_header"]

GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
_CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
_DEPTHS = {
    GRAY: (1, 2, 4, 8, 16),
    RGB: (8, 16),
    PALETTE: (1, 2, 4, 8),
    GRAY_ALPHA: (8, 16),
    RGBA: (8, 16),
}
_MAX_ANCILLARY = 16 << 20
MAX_DEFLATE_RATIO = 1032  # 258 bytes for two bits
_PASSES = (  # of Adam7: first row, first column, step down, step across
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
_SUSPECT_TRANSFER = "; it looks like it was transferred as text"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Header:
    """Content of a file except its pixels.

    Attributes
    ----------
    height, width : int
        Pixels.
    depth : int
        Bits of one sample in the file.
    colour_type : int
        As in the file: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA.
    interlaced : bool
        Whether the rows come in the seven passes of Adam7.
    palette : bytes
        Red, green and blue of every entry.
    transparency : bytes or None
        Content of tRNS, if it is there and fits the colour type.
    data_kind : bytes
        Type of the chunks with the pixels; fdAT in a frame of an animation.
    data_start, data_end : int
        Offset of the first of them, and of the first byte after the last one.
    frames : int
        Frames of an animation, as declared; 1 for a still image.
    metadata : Metadata
        Metadata from the other chunks.
    """

    height: int
    width: int
    depth: int
    colour_type: int
    interlaced: bool
    palette: bytes = b""
    transparency: bytes | None = None
    data_kind: bytes = b"IDAT"
    data_start: int = 0
    data_end: int = 0
    frames: int = 1
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def samples(self) -> int:
        """Samples per pixel in the file."""
        return _CHANNELS[self.colour_type]

    def row_bytes(self, width: int) -> int:
        """Bytes of a row of `width` pixels, its filter byte not counted."""
        return (width * self.samples * self.depth + 7) // 8

    def passes(self) -> list[tuple[slice, slice]]:
        """Return the rows and columns of each pass."""
        if not self.interlaced:
            return [(slice(0, self.height, 1), slice(0, self.width, 1))]
        return [
            (slice(y, self.height, dy), slice(x, self.width, dx))
            for y, x, dy, dx in _PASSES
            if y < self.height and x < self.width
        ]

    def raw_bytes(self) -> int:
        """Bytes of all rows with their filter bytes."""
        return sum(
            len(range(self.height)[rows]) * (1 + self.row_bytes(len(range(self.width)[columns])))
            for rows, columns in self.passes()
        )


def read_header(origin: Origin, max_pixels: int | None, *, salvage: bool = False) -> Header:
    """Read everything but the pixels, and check it; on `salvage`, some of these may be missing.

    Raises
    ------
    InputError
        If the file cannot be used; see `imgpipe.errors` for the kinds.
    """
    try:
        with origin.open(0) as file:
            for known in _animations.known(origin, file):
                check_pixels(known.height, known.width, origin.name, max_pixels)
                return known
            header = _HeaderReader(file, origin.name, salvage=salvage).read(max_pixels)
            if header.frames > 1 and not salvage:
                _animations.keep(origin, file, header)
            return header
    except OSError as error:
        raise InputError(
            f"{origin.name}: cannot be read: {error.strerror}; check the disk"
        ) from error


_animations = LastFile[Header]()


class _HeaderReader:
    """One walk over the chunks of a file, from the signature to IEND.

    Damage before or within the pixel data is an error. Damage behind it costs a warning:
    whether every pixel is there is decided by the pixel data, which has checksums of its own.
    """

    def __init__(self, file: BinaryIO, name: str, *, salvage: bool = False) -> None:
        self.file, self.name, self.salvage = file, name, salvage
        self.size = size_of(file)
        self.metadata = MetadataReader(name)
        self.palette = b""
        self.transparency: bytes | None = None
        self.data_start = self.data_end = self.data_bytes = 0
        self.frames = 1

    def read(self, max_pixels: int | None) -> Header:
        self._check_signature()
        chunks = self._walk()
        kind, start, length = next(chunks)
        if kind != b"IHDR" or length != 13:
            raise self._corrupt("does not begin with a header (IHDR)")
        header = self._size_and_kind(self._content(kind, start, length))
        check_pixels(header.height, header.width, self.name, max_pixels)
        for kind, start, length in chunks:
            if kind == b"IDAT":
                self._data(start, length)
            elif kind == b"IEND":
                self._end(start, length)
            else:
                self._other(header, kind, start, length)
        self._check_complete(header)
        return replace(
            header,
            palette=self.palette,
            transparency=self.transparency,
            data_start=self.data_start,
            data_end=self.data_end,
            frames=self.frames,
            metadata=self.metadata.result(),
        )

    def _data(self, start: int, length: int) -> None:
        """Add a chunk to the pixel data, unless that has ended: it stands in one place."""
        if start - 8 == self.data_end or not self.data_bytes:
            if start - 8 != self.data_end:
                if self.data_end:
                    self._ignored(b"IDAT", "it is empty, and the pixel data begins after it")
                self.data_start = start - 8
            self.data_end = start + length + 4
            self.data_bytes += length
        else:
            self._ignored(b"IDAT", "the pixel data has ended before it")

    def _end(self, start: int, length: int) -> None:
        if length > _MAX_ANCILLARY or self._checked(b"IEND", start, length) is None:
            self._warn("the checksum of its end mark (IEND) is wrong")

    def _corrupt(self, fault: str) -> CorruptError:
        return CorruptError(f"{self.name}: the file {fault}; get a fresh copy")

    def _check_signature(self) -> None:
        head = self.file.read(len(SIGNATURE))
        if head == SIGNATURE:
            return
        if not matches(head):
            fault = "it is empty" if not head else "its first bytes are those of another format"
            raise FormatError(f"{self.name}: not a PNG: {fault}")
        if len(head) < len(SIGNATURE):
            raise self._corrupt(f"is truncated: it ends after {counted(len(head), 'byte')}")
        as_text = head[:4] == SIGNATURE[:4] or head[0] == SIGNATURE[0] & 127
        hint = _SUSPECT_TRANSFER if as_text else ""
        raise self._corrupt(f"has a damaged PNG signature{hint}")

    def _walk(self) -> Iterator[tuple[bytes, int, int]]:
        """Yield type, start of the content and length of every chunk that is there in full."""
        position = len(SIGNATURE)
        kind = b""
        while kind != b"IEND":
            self.file.seek(position)
            head = self.file.read(8)
            length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
            end = position + length + 12
            if wrong := self._wrong(head, position, end):
                if self.salvage and kind == b"IDAT" and end > self.size:
                    yield kind, position + 8, max(0, self.size - position - 8)
                    return
                if not self.data_bytes or kind == b"IDAT":
                    raise self._corrupt(wrong)
                self._warn(f"the file {wrong}; this is after the pixel data")
                return
            yield kind, position + 8, length
            position = end

    def _wrong(self, head: bytes, position: int, end: int) -> str:
        """Return the fault of the chunk that begins with `head`; empty if there is none."""
        kind = head[4:]
        if len(head) < 8:
            return f"is truncated: it ends at byte {self.size:,}, before its end mark (IEND)"
        if not (kind.isalpha() and kind.isascii()) or end - position - 12 > MAX_CHUNK:
            return f"is damaged at byte {position:,}: there is no chunk there"
        if end > self.size:
            return (
                f"is truncated: it ends at byte {self.size:,}, but its PNG chunk "
                f"{kind.decode()} reaches to byte {end:,}"
            )
        return ""

    def _content(self, kind: bytes, start: int, length: int) -> bytes:
        """Return the content of a critical chunk."""
        content = self._checked(kind, start, length)
        if content is None:
            raise self._corrupt(
                f"is damaged: the checksum of its PNG chunk {kind.decode()} is wrong"
            )
        return content

    def _checked(self, kind: bytes, start: int, length: int) -> bytes | None:
        self.file.seek(start)
        content = self.file.read(length + 4)
        crc = isal_zlib.crc32(memoryview(content)[:-4], isal_zlib.crc32(kind))
        return content[:-4] if content[-4:] == struct.pack(">I", crc) else None

    def _size_and_kind(self, content: bytes) -> Header:
        width, height, depth, colour_type, method, filters, interlace = struct.unpack(
            ">IIBBBBB", content
        )
        if not (0 < width <= MAX_CHUNK and 0 < height <= MAX_CHUNK):
            raise self._corrupt(f"declares an impossible size of {width} x {height} pixels")
        if depth not in _DEPTHS.get(colour_type, ()):
            raise self._corrupt(f"declares colour type {colour_type} with {depth} bits")
        if method or filters or interlace > 1:
            raise self._corrupt(
                f"declares an unknown compression ({method}), filter ({filters}) or "
                f"interlace method ({interlace})"
            )
        return Header(height, width, depth, colour_type, bool(interlace))

    def _other(self, header: Header, kind: bytes, start: int, length: int) -> None:
        if kind == b"PLTE" and header.colour_type == PALETTE:
            self._read_palette(header, start, length)
        elif kind == b"PLTE":  # a suggestion for displays with few colours
            if not _can_be_palette(length):
                self._ignored(kind, f"no palette has {length} bytes")
            else:
                self._must_be_whole(kind, start, length)
        elif kind[:1].isupper():
            self._critical(kind, start, length)
        elif kind == b"acTL":
            self._animation(start, length)
        elif kind == b"tRNS" or kind in METADATA_CHUNKS:
            self._ancillary(header, kind, start, length)
        elif length <= _MAX_ANCILLARY:
            self._must_be_whole(kind, start, length)

    def _critical(self, kind: bytes, start: int, length: int) -> None:
        """Refuse chunks that are out of place, unless they are damage behind the pixel data."""
        whole = length <= _MAX_ANCILLARY and self._checked(kind, start, length) is not None
        if self.data_bytes and not (whole and kind != b"IHDR"):
            reason = "the pixel data stands before it" if whole else "its checksum is wrong"
            self._ignored(kind, reason)
        elif kind == b"IHDR":
            raise self._corrupt("has two headers (IHDR)")
        elif whole:
            raise FormatError(
                f"{self.name}: needs an extension of PNG that is not known (chunk "
                f"{kind.decode()}); convert it with the program that wrote it"
            )
        else:
            raise self._corrupt(f"is damaged: its PNG chunk {kind.decode()} is not known")

    def _must_be_whole(self, kind: bytes, start: int, length: int) -> None:
        """Warn of damage in a chunk that is not used: the damage may be in its name."""
        if self._checked(kind, start, length) is None:
            self._ignored(kind, "its checksum is wrong")

    def _read_palette(self, header: Header, start: int, length: int) -> None:
        if self.data_bytes and self.palette:
            self._ignored(b"PLTE", "the pixel data stands before it")
            return
        if not _can_be_palette(length):
            raise self._corrupt(f"has a palette of {length} bytes, which is not possible")
        content = self._content(b"PLTE", start, length)
        if self.data_bytes or self.palette:
            raise self._corrupt("has its palette (PLTE) twice or in the wrong place")
        self.palette = content[: 3 << header.depth]

    def _animation(self, start: int, length: int) -> None:
        content = self._checked(b"acTL", start, length) if length == 8 else None
        if content is None:
            self._ignored(b"acTL", "its length or checksum is wrong")
            return
        if self.data_bytes:
            self._ignored(b"acTL", "the pixel data stands before it")
            return
        self.frames = max(1, int.from_bytes(content[:4], "big"))

    def _ancillary(self, header: Header, kind: bytes, start: int, length: int) -> None:
        if length > _MAX_ANCILLARY:
            self._ignored(kind, f"it is larger than {_MAX_ANCILLARY >> 20} MB")
            return
        content = self._checked(kind, start, length)
        if content is None:
            self._ignored(kind, "its checksum is wrong")
        elif kind != b"tRNS":
            self.metadata.add(kind, content)
        elif self.transparency is not None:
            self._ignored(kind, "it occurs twice, and the first one is used")
        elif self.data_bytes or not self._fits(header, content):
            self._ignored(kind, "it does not fit the image")
        else:
            self.transparency = content

    def _fits(self, header: Header, transparency: bytes) -> bool:
        if header.colour_type == PALETTE:
            return 0 < len(transparency) <= len(self.palette) // 3
        return len(transparency) == {GRAY: 2, RGB: 6}.get(header.colour_type, -1)

    def _ignored(self, kind: bytes, reason: str) -> None:
        self._warn(f"ignored the chunk {kind.decode()}: {reason}")

    def _warn(self, fault: str) -> None:
        _log.warning("%s: %s", self.name, fault)

    def _check_complete(self, header: Header) -> None:
        if not self.data_end:
            raise self._corrupt("holds no pixel data (IDAT)")
        if header.colour_type == PALETTE and not self.palette:
            raise self._corrupt("lacks its palette (PLTE)")
        if not self.salvage and header.raw_bytes() > self.data_bytes * MAX_DEFLATE_RATIO:
            raise self._corrupt(
                f"declares {header.width} x {header.height} pixels, but {self.data_bytes:,} bytes "
                f"of data can never hold as much"
            )


def _can_be_palette(length: int) -> bool:
    return 0 < length <= 768 and length % 3 == 0
