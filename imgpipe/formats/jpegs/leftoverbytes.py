"""Leftover bytes: those that a decoder has not read when it has all pixels.

Damage rarely makes a code that does not exist. Mostly it makes fewer or more pixels of the bytes,
and only the end of the data shows that. OpenImageIO says nothing of bytes that are left over, but
the system knows how far it has read. It reads blocks of 4 KB. So it gets a copy of the file in
which the last coded byte is the first one of a block: a decoder that needs it has read that block.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

from imgpipe.formats.jpegs.markers import EOI, segment

__all__ = ["last_byte", "likely_last_byte", "read_so_far", "readers", "shifted"]

_BLOCK_BYTES, _PIECE_BYTES, _TAIL_BYTES = 4 << 10, 1 << 20, 64 << 10
_END = bytes((0xFF, EOI))
_PADDING = b"\0\xff"  # that encoders write before the EOI marker
_SPARE = 0xEF  # a marker of applications that none uses
_SEGMENT_BYTES = 4  # beside its content


def last_byte(file: BinaryIO, start: int) -> int | None:
    """Return the position of the last coded byte of an open file; None if it is not clear.

    Parameters
    ----------
    file : binary file
        The file.
    start : int
        Position of the first coded byte.
    """
    file.seek(start)
    before, position = b"", start
    while piece := file.read(_PIECE_BYTES):
        data = before + piece
        end = data.find(_END)
        if end >= 0:
            return _last(data[:end], position - len(before))
        before, position = data[-_BLOCK_BYTES:], position + len(piece)
    return None


def likely_last_byte(file: BinaryIO, start: int) -> int | None:
    """Return the same, unless there is another image after the first. That takes less time."""
    size = file.seek(0, os.SEEK_END)
    begin = max(start, size - _TAIL_BYTES)
    file.seek(begin)
    data = file.read(size - begin)
    end = data.rfind(_END)
    return _last(data[:end], begin) if end >= 0 else None


def _last(data: bytes, position: int) -> int | None:
    size = len(data.rstrip(_PADDING))
    return position + size - 1 if size else None


def shifted(file: BinaryIO, at: int, last: int) -> tuple[int, Iterator[bytes]]:
    """Return the shift of all coded bytes in a copy, and the copy, piece by piece.

    Parameters
    ----------
    file : binary file
        An open JPEG file.
    at : int
        Position of a segment of its header, before which an empty one is put.
    last : int
        Position of the byte that is to be the first one of a block.
    """
    room = -(last + _SEGMENT_BYTES) % _BLOCK_BYTES

    def pieces() -> Iterator[bytes]:
        file.seek(0)
        yield file.read(at)
        yield segment(_SPARE, bytes(room))
        while piece := file.read(_PIECE_BYTES):
            yield piece

    return _SEGMENT_BYTES + room, pieces()


def readers(path: str) -> set[int]:
    """Return the descriptors by which this process has a file open."""
    found = set[int]()
    try:
        wanted = os.stat(path)
        numbers = [int(name) for name in os.listdir("/proc/self/fdinfo")]
    except OSError:
        return found
    for number in numbers:
        try:
            if os.path.samestat(os.fstat(number), wanted):
                found.add(number)
        except OSError:  # the descriptor of the list itself
            continue
    return found


def read_so_far(reader: int) -> int | None:
    """Return the position of an open file; None where the system does not tell."""
    try:
        with open(f"/proc/self/fdinfo/{reader}", "rb") as file:
            return int(file.readline().removeprefix(b"pos:"))
    except (OSError, ValueError):
        return None
