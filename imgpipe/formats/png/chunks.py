"""The chunks of a PNG file: what surrounds the pixels.

A file is a signature and a row of chunks: length, type, content, CRC-32. A type that begins
with a capital letter is critical, all others may be skipped by who does not know them.

References
----------
Portable Network Graphics (PNG) Specification (Third Edition), W3C, sections 5 and 11.
"""

from __future__ import annotations

import logging
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from isal import isal_zlib

from imgpipe.errors import CorruptError, FormatError, InputError
from imgpipe.formats.png.metadata import METADATA_CHUNKS, MetadataReader
from imgpipe.image import Metadata, check_pixels

__all__ = [
    "MAX_CHUNK",
    "SIGNATURE",
    "Header",
    "chunk",
    "image_data",
    "matches",
    "open_file",
    "read_header",
]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNK = 2**31 - 1

GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
_CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
_DEPTHS = {
    GRAY: (1, 2, 4, 8, 16),
    RGB: (8, 16),
    PALETTE: (1, 2, 4, 8),
    GRAY_ALPHA: (8, 16),
    RGBA: (8, 16),
}
_PIECE = 1 << 20
_MAX_ANCILLARY = 16 << 20
_MAX_DEFLATE_RATIO = 1032  # 258 bytes for two bits
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


@dataclass(frozen=True, slots=True)
class Header:
    """Everything a file says before and beside its pixels.

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
    data_start : int
        Offset of the first IDAT chunk.
    metadata : Metadata
        What imgpipe keeps of the other chunks.
    """

    height: int
    width: int
    depth: int
    colour_type: int
    interlaced: bool
    palette: bytes = b""
    transparency: bytes | None = None
    data_start: int = 0
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def samples(self) -> int:
        """Samples per pixel in the file."""
        return _CHANNELS[self.colour_type]

    def row_bytes(self, width: int) -> int:
        """Bytes of a row of `width` pixels, its filter byte not counted."""
        return (width * self.samples * self.depth + 7) // 8

    def passes(self) -> list[tuple[slice, slice]]:
        """Return which rows and columns come in which pass."""
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


def matches(head: bytes) -> bool:
    """Whether a file that begins with `head` is a PNG, or was one before it was damaged."""
    head = head[: len(SIGNATURE)]
    alike = sum(a == b for a, b in zip(head, SIGNATURE, strict=False))
    return head == SIGNATURE or head[1:4] == b"PNG" or alike >= len(SIGNATURE) - 2


def chunk(kind: bytes, content: bytes | memoryview) -> bytes:
    """Return a chunk, ready to be written."""
    crc = isal_zlib.crc32(content, isal_zlib.crc32(kind))
    return b"".join((struct.pack(">I4s", len(content), kind), content, struct.pack(">I", crc)))


def open_file(name: str, buffering: int = 1 << 16) -> BinaryIO:
    """Open the file `name` for reading.

    Raises
    ------
    InputError
        If it is missing, not a file, or may not be read.
    """
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):
            what = "is a directory" if os.path.isdir(name) else "is not a regular file"
            raise InputError(f"{name}: {what}; give the path of a PNG file")
        return open(name, "rb", buffering)
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file; check the path") from None
    except PermissionError:
        raise InputError(f"{name}: permission denied; change its permissions") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name}: cannot be opened: {reason}; check the path") from error


def read_header(name: str, max_pixels: int | None) -> Header:
    """Read everything but the pixels of the file `name`, and check it.

    Raises
    ------
    InputError
        If the file cannot be used; see `imgpipe.errors` for the kinds.
    """
    try:
        with open_file(name, 0) as file:
            return _HeaderReader(file, name).read(max_pixels)
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}; check the disk") from error


class _HeaderReader:
    """One walk over the chunks of a file, from the signature to IEND."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file, self.name = file, name
        self.size = os.fstat(file.fileno()).st_size
        self.metadata = MetadataReader(name)
        self.palette = b""
        self.transparency: bytes | None = None

    def read(self, max_pixels: int | None) -> Header:
        self._check_signature()
        chunks = self._walk()
        kind, start, length = next(chunks)
        if kind != b"IHDR" or length != 13:
            raise self._corrupt("does not begin with a header (IHDR)")
        header = self._size_and_kind(self._content(kind, start, length))
        check_pixels(header.height, header.width, self.name, max_pixels)
        data_start = data_bytes = 0
        previous = kind
        for kind, start, length in chunks:
            if kind == b"IDAT":
                if not data_start:
                    data_start = start - 8
                elif previous != b"IDAT":
                    raise self._corrupt("has its pixel data (IDAT) in several places")
                data_bytes += length
            elif kind == b"IEND":
                self._content(kind, start, length)
                break
            else:
                self._other(header, kind, start, length, after_data=bool(data_start))
            previous = kind
        self._check_complete(header, data_start, data_bytes)
        return replace(
            header,
            palette=self.palette,
            transparency=self.transparency,
            data_start=data_start,
            metadata=self.metadata.result(),
        )

    def _corrupt(self, what: str) -> CorruptError:
        return CorruptError(f"{self.name}: the file {what}; get a fresh copy")

    def _check_signature(self) -> None:
        head = self.file.read(len(SIGNATURE))
        if head == SIGNATURE:
            return
        if not matches(head):
            what = "it is empty" if not head else "its first bytes are those of another format"
            raise FormatError(f"{self.name}: not a PNG: {what}")
        if len(head) < len(SIGNATURE):
            raise self._corrupt(f"is truncated: it ends after {len(head)} bytes")
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
            if len(head) < 8:
                raise self._corrupt(
                    f"is truncated: it ends at byte {self.size:,}, before its end mark (IEND)"
                )
            length, kind = struct.unpack(">I4s", head)
            if not (kind.isalpha() and kind.isascii()) or length > MAX_CHUNK:
                raise self._corrupt(f"is damaged at byte {position:,}: there is no chunk there")
            end = position + length + 12
            if end > self.size:
                raise self._corrupt(
                    f"is truncated: it ends at byte {self.size:,}, but its chunk "
                    f"{kind.decode()} reaches to byte {end:,}"
                )
            yield kind, position + 8, length
            position = end

    def _content(self, kind: bytes, start: int, length: int) -> bytes:
        """Return what a critical chunk holds."""
        content = self._checked(kind, start, length)
        if content is None:
            raise self._corrupt(f"is damaged: the checksum of its chunk {kind.decode()} is wrong")
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

    def _other(
        self, header: Header, kind: bytes, start: int, length: int, *, after_data: bool
    ) -> None:
        if kind == b"PLTE":
            self._read_palette(header, start, length, after_data=after_data)
        elif kind == b"IHDR":
            raise self._corrupt("has two headers (IHDR)")
        elif kind[:1].isupper():
            raise FormatError(
                f"{self.name}: needs an extension of PNG that is not known (chunk "
                f"{kind.decode()}); convert it with the program that wrote it"
            )
        elif kind == b"tRNS" or kind in METADATA_CHUNKS:
            self._ancillary(header, kind, start, length, after_data=after_data)

    def _read_palette(self, header: Header, start: int, length: int, *, after_data: bool) -> None:
        if length > 768 or length % 3 or not length:
            raise self._corrupt(f"has a palette of {length} bytes, which is not possible")
        content = self._content(b"PLTE", start, length)
        if header.colour_type != PALETTE:
            return  # a suggestion for displays with few colours
        if after_data or self.palette:
            raise self._corrupt("has its palette (PLTE) twice or in the wrong place")
        self.palette = content[: 3 << header.depth]

    def _ancillary(
        self, header: Header, kind: bytes, start: int, length: int, *, after_data: bool
    ) -> None:
        if length > _MAX_ANCILLARY:
            self._ignored(kind, f"it is larger than {_MAX_ANCILLARY >> 20} MB")
            return
        content = self._checked(kind, start, length)
        if content is None:
            self._ignored(kind, "its checksum is wrong")
        elif kind != b"tRNS":
            self.metadata.add(kind, content)
        elif after_data or not self._fits(header, content):
            self._ignored(kind, "it does not fit the image")
        else:
            self.transparency = content

    def _fits(self, header: Header, transparency: bytes) -> bool:
        if header.colour_type == PALETTE:
            return 0 < len(transparency) <= len(self.palette) // 3
        return len(transparency) == {GRAY: 2, RGB: 6}.get(header.colour_type, -1)

    def _ignored(self, kind: bytes, why: str) -> None:
        _log.warning("%s: ignored the chunk %s: %s", self.name, kind.decode(), why)

    def _check_complete(self, header: Header, data_start: int, data_bytes: int) -> None:
        if not data_start:
            raise self._corrupt("holds no pixel data (IDAT)")
        if header.colour_type == PALETTE and not self.palette:
            raise self._corrupt("lacks its palette (PLTE)")
        if header.raw_bytes() > data_bytes * _MAX_DEFLATE_RATIO:
            raise self._corrupt(
                f"declares {header.width} x {header.height} pixels, but {data_bytes:,} bytes "
                f"of data can never hold as much"
            )


def image_data(file: BinaryIO, name: str, start: int) -> Iterator[bytes]:
    """Yield what the IDAT chunks from `start` on hold, about a megabyte at a time.

    Raises
    ------
    CorruptError
        If the file ends too early or the checksum of a chunk is wrong.
    """
    parts: list[bytes] = []
    held = 0
    file.seek(start)
    while True:
        length, kind = struct.unpack(">I4s", _exactly(file, 8, name))
        if kind != b"IDAT":
            break
        crc = isal_zlib.crc32(kind)
        while length:
            part = _exactly(file, min(length, _PIECE - held), name)
            crc = isal_zlib.crc32(part, crc)
            length -= len(part)
            held += len(part)
            parts.append(part)
            if held == _PIECE:
                yield b"".join(parts)
                parts.clear()
                held = 0
        if _exactly(file, 4, name) != struct.pack(">I", crc):
            where = file.tell()
            raise CorruptError(
                f"{name}: the file is damaged: the checksum of the pixel data before byte "
                f"{where:,} is wrong; get a fresh copy"
            )
    yield b"".join(parts)


def _exactly(file: BinaryIO, size: int, name: str) -> bytes:
    try:
        content = file.read(size)
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}; check the disk") from error
    if len(content) < size:
        raise CorruptError(f"{name}: the file became shorter while it was read; try again")
    return content
