"""Chunks of a PNG file, one by one.

A file is a signature and a row of chunks: length, type, content, CRC-32. A type that begins
with a capital letter is critical, all others may be skipped by who does not know them.

References
----------
Portable Network Graphics (PNG) Specification (Third Edition), W3C, sections 5 and 11.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from isal import isal_zlib

from imgpipe.errors import CorruptError, InputError

__all__ = ["MAX_CHUNK", "SIGNATURE", "chunk", "image_data", "matches", "salvaged_data"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNK = 2**31 - 1

_PIECE = 256 << 10  # the inflater copies the rest of a piece


def matches(head: bytes) -> bool:
    """Return whether a file that begins with `head` is a PNG, or was one before it was damaged."""
    head = head[: len(SIGNATURE)]
    alike = sum(a == b for a, b in zip(head, SIGNATURE, strict=False))
    return head == SIGNATURE or head[1:4] == b"PNG" or alike >= len(SIGNATURE) - 2


def chunk(kind: bytes, content: bytes | memoryview) -> bytes:
    """Return a chunk, ready to be written."""
    crc = isal_zlib.crc32(content, isal_zlib.crc32(kind))
    return b"".join((struct.pack(">I4s", len(content), kind), content, struct.pack(">I", crc)))


def image_data(
    file: BinaryIO, name: str, start: int, end: int, wanted: bytes = b"IDAT"
) -> Iterator[bytes]:
    """Yield the data of the chunks from `start` to `end`, 128 to 256 KB at a time.

    They are of the type `wanted`: IDAT, or fdAT, whose content begins with its number.

    Raises
    ------
    CorruptError
        If the file ends too early or the checksum of a chunk is wrong.
    """
    parts: list[bytes] = []
    held, numbered = 0, 4 * (wanted == b"fdAT")
    file.seek(start)
    while start < end:
        length, kind = struct.unpack(">I4s", _exactly(file, 8, name))
        start += length + 12
        if kind != wanted or start > end or length < numbered:
            raise CorruptError(f"{name}: the file changed while it was read; try again")
        crc = isal_zlib.crc32(_exactly(file, numbered, name), isal_zlib.crc32(kind))
        length -= numbered
        while length:
            part = _exactly(file, min(length, _PIECE - held), name)
            crc = isal_zlib.crc32(part, crc)
            length -= len(part)
            held += len(part)
            parts.append(part)
            if held >= _PIECE // 2:
                yield b"".join(parts)
                parts.clear()
                held = 0
        if _exactly(file, 4, name) != struct.pack(">I", crc):
            position = file.tell()
            raise CorruptError(
                f"{name}: the file is damaged: the checksum of the pixel data before byte "
                f"{position:,} is wrong; get a fresh copy"
            )
    yield b"".join(parts)


def salvaged_data(
    file: BinaryIO, start: int, end: int, wanted: bytes = b"IDAT"
) -> Iterator[tuple[bytes, bool]]:
    """Yield the data of the chunks of a damaged file, and whether their checksum is wrong.

    It ends where no such chunk follows. A chunk that is cut off counts as right.
    """
    numbered = 4 * (wanted == b"fdAT")
    while start < end:
        file.seek(start)
        head = _there(file, 8)
        if head[4:] != wanted:
            return
        length, crc = int.from_bytes(head[:4], "big"), isal_zlib.crc32(wanted)
        for piece in _pieces(file, start + 8, length):
            crc = isal_zlib.crc32(piece, crc)
        found = _there(file, 4)
        wrong = len(found) == 4 and found != struct.pack(">I", crc)
        for piece in _pieces(file, start + 8 + numbered, length - numbered):
            yield piece, wrong
        start += length + 12


def _pieces(file: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    """Yield the bytes from a position on, as far as they are there; the file is after them then."""
    file.seek(start)
    while length > 0 and (piece := _there(file, min(length, _PIECE))):
        length -= len(piece)
        yield piece
        start += len(piece)
        file.seek(start)


def _there(file: BinaryIO, size: int) -> bytes:
    """Return the next bytes; none if the disk does not give them."""
    try:
        return file.read(size)
    except OSError:
        return b""


def _exactly(file: BinaryIO, size: int, name: str) -> bytes:
    try:
        content = file.read(size)
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}; check the disk") from error
    if len(content) < size:
        raise CorruptError(f"{name}: the file became shorter while it was read; try again")
    return content
