"""Chunks of a WebP file (RFC 9649)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import BinaryIO

from imgpipe.formats.base import Data
from imgpipe.metadata import Metadata
from imgpipe.records import dataclass

__all__ = ["ALPHA", "ANIMATED", "Header", "chunk", "chunks_in", "extended", "file_of", "flags_of",
           "last_chunks", "read_chunks", "read_header", "three"]  # fmt: skip

_PROFILE, ALPHA, _EXIF, _XMP, ANIMATED = 0x20, 0x10, 0x08, 0x04, 0x02

_log = logging.getLogger(__name__)

_HEAD_BYTES = 32  # of a chunk of pixels, which tell their size
_MOST = 16 << 20  # bytes of a profile, of EXIF or XMP
_NAMES = {b"ICCP": "icc", b"EXIF": "exif", b"XMP ": "xmp"}
_FRAME_BYTES = 16  # in front of the pixels of a frame


@dataclass(frozen=True)
class Header:
    """Facts of a file.

    Attributes
    ----------
    height, width : int
        Pixels.
    alpha : bool
        Whether there is alpha.
    animated : bool
        Whether it is an animation.
    loop : int
        Number of repetitions; 0 for ever.
    milliseconds : tuple of int
        Duration of each frame.
    blocks : dict
        ICC profile, EXIF and XMP, as far as they are there.
    extended : bool
        Whether it may have more than pixels.
    """

    height: int
    width: int
    alpha: bool
    animated: bool
    loop: int
    milliseconds: tuple[int, ...]
    blocks: dict[str, bytes]
    extended: bool = False


def read_header(file: BinaryIO, size: int, name: str) -> Header:
    """Return the facts of an open file.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WEBP":
        raise ValueError("it does not begin like WebP")
    end = 8 + int.from_bytes(head[4:8], "little")
    if end > size:
        raise ValueError(f"{size:,} bytes where {end:,} are declared")
    collected = _Collected(name)
    for kind, start, length in _chunks(file, 12, end):
        collected.add(kind, file, start, length)
    if collected.found is None:
        raise ValueError("it has no pixels")
    animated = bool(collected.flags & ANIMATED) and bool(collected.times)
    return Header(
        *collected.found, animated, collected.loop, tuple(collected.times), collected.blocks,
        collected.extended,
    )  # fmt: skip


class _Collected:
    """Facts that chunks state, one after the other."""

    def __init__(self, name: str) -> None:
        self.found: tuple[int, int, bool] | None = None
        self.flags = self.loop = 0
        self.extended = False
        self.times: list[int] = []
        self.blocks: dict[str, bytes] = {}
        self._name = name

    def add(self, kind: bytes, file: BinaryIO, start: int, length: int) -> None:
        """Take one chunk."""
        if kind == b"VP8X" and self.found is None:
            content = _read(file, start, 10)
            self.flags, self.extended = content[0], True
            width, height = (1 + _three(content, at) for at in (4, 7))
            self.found = height, width, bool(self.flags & ALPHA)
        elif kind in (b"VP8 ", b"VP8L") and self.found is None:
            self.found = _size(kind, _read(file, start, min(length, _HEAD_BYTES)))
        elif kind == b"ANIM":
            self.loop = int.from_bytes(_read(file, start, 6)[4:], "little")
        elif kind == b"ANMF":
            self.times.append(_three(_read(file, start, _FRAME_BYTES), 12))
        elif kind in _NAMES and length > _MOST:
            _log.warning("%s: ignored %s of %d bytes", self._name, _NAMES[kind].upper(), length)
        elif kind in _NAMES:
            self.blocks.setdefault(_NAMES[kind], _read(file, start, length))


def chunks_in(content: Data) -> Iterator[tuple[bytes, memoryview]]:
    """Yield kind and content of the chunks of a whole file in memory."""
    at = 12
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        yield bytes(content[at : at + 4]), memoryview(content)[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def chunk(kind: bytes, *parts: Data) -> list[Data]:
    """Return the parts of a chunk."""
    size = sum(map(len, parts))
    return [kind + size.to_bytes(4, "little"), *parts, b"\0" * (size % 2)]


def extended(flags: int, height: int, width: int) -> list[Data]:
    """Return the chunk that begins a file with more than pixels."""
    return chunk(b"VP8X", bytes([flags, 0, 0, 0]) + three(width - 1) + three(height - 1))


def file_of(parts: list[Data], more: int = 0) -> bytes:
    """Return the file with these chunks, which `more` bytes follow."""
    size = 4 + sum(map(len, parts)) + more
    return b"".join([b"RIFF" + size.to_bytes(4, "little") + b"WEBP", *parts])


def flags_of(known: Metadata, exif: bytes | None) -> int:
    """Return the flags of the metadata of a file."""
    return _PROFILE * bool(known.icc) | _EXIF * bool(exif) | _XMP * bool(known.xmp)


def last_chunks(exif: bytes | None, xmp: bytes | None) -> list[Data]:
    """Return the chunks after the pixels."""
    return (chunk(b"EXIF", exif) if exif else []) + (chunk(b"XMP ", xmp) if xmp else [])


def read_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, place and length of the chunks of an open file.

    Raises
    ------
    ValueError
        If it ends too early.
    """
    file.seek(0)
    yield from _chunks(file, 12, 8 + int.from_bytes(file.read(12)[4:8], "little"))


def three(value: int) -> bytes:
    """Return a number in three bytes."""
    return value.to_bytes(3, "little")


def _three(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 3], "little")


def _chunks(file: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, place and length of the chunks of an open file."""
    while at < end:
        head = _read(file, at, 8)
        size = int.from_bytes(head[4:], "little")
        if at + 8 + size > end:
            raise ValueError("it ends within a chunk")
        yield head[:4], at + 8, size
        at += 8 + size + size % 2


def _read(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    content = file.read(size)
    if len(content) != size:
        raise ValueError("it ends within a chunk")
    return content


def _size(kind: bytes, content: bytes) -> tuple[int, int, bool]:
    """Return rows, columns and alpha, which pixels declare."""
    if kind == b"VP8L" and content[:1] == b"\x2f" and len(content) >= 5:
        bits = int.from_bytes(content[1:5], "little")
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF), bool(bits >> 28 & 1)
    if kind == b"VP8 " and content[3:6] == b"\x9d\x01\x2a" and len(content) >= 10:
        width, height = (int.from_bytes(content[at : at + 2], "little") for at in (6, 8))
        return height & 0x3FFF, width & 0x3FFF, False
    raise ValueError("its pixels do not begin like WebP")
