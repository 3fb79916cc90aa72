"""Boxes of ISO base media files (ISO/IEC 14496-12): the containers of JPEG XL, AVIF and HEIF."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from imgpipe.formats.base import Data
from imgpipe.records import dataclass

__all__ = ["Span", "box", "box_head", "spans", "spans_in", "spliced_boxes"]

_PIECE_BYTES = 1 << 20
_MOST = 100_000  # boxes of a file; more are a loop


@dataclass(frozen=True)
class Span:
    """A box of a file.

    Attributes
    ----------
    kind : bytes
        Its four letters.
    start, end : int
        First byte of its content, and the byte after the last.
    """

    kind: bytes
    start: int
    end: int

    @property
    def size(self) -> int:
        """Bytes of its content."""
        return self.end - self.start

    def read(self, file: BinaryIO, most: int) -> bytes:
        """Return its content.

        Raises
        ------
        ValueError
            If it has more than `most` bytes, or they are not there.
        """
        if self.size > most:
            raise ValueError(f"its box {self.kind.decode('latin-1')!r} has {self.size:,} bytes")
        file.seek(self.start)
        content = file.read(self.size)
        if len(content) != self.size:
            raise ValueError(f"its box {self.kind.decode('latin-1')!r} is cut short")
        return content


def spans(file: BinaryIO, start: int, end: int) -> Iterator[Span]:
    """Yield the boxes between two positions of an open file; the last may be cut short.

    Raises
    ------
    ValueError
        If there are none.
    """
    for _ in range(_MOST):
        if start >= end:
            return
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            raise ValueError("it ends within a box")
        size, kind, offset = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, offset = int.from_bytes(head[8:16], "big"), 16
        elif size == 0:  # to the end
            size = end - start
        if size < offset:
            raise ValueError(f"its box {kind.decode('latin-1')!r} has a size of {size}")
        yield Span(kind, start + offset, start + size)
        start += size
    raise ValueError(f"it has more than {_MOST:,} boxes")


def spliced_boxes(file: BinaryIO, size: int, kept: frozenset[bytes]) -> Iterator[Data]:
    """Yield an open file piece by piece, with the outermost boxes of some kinds alone.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    for one in spans(file, 0, size):
        if one.kind not in kept:
            continue
        if one.end > size:
            raise ValueError("it ends within a box")
        yield box_head(one.kind, one.size)
        file.seek(one.start)
        left = one.size
        while left:
            piece = file.read(min(left, _PIECE_BYTES))
            if not piece:
                raise ValueError("it ends within a box")
            yield piece
            left -= len(piece)


def spans_in(content: bytes, start: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of the boxes in the content of another one."""
    file = io.BytesIO(content)
    for one in spans(file, start, len(content)):
        yield one.kind, one.read(file, len(content))


def box(kind: bytes, content: bytes) -> bytes:
    """Return a box as bytes."""
    return box_head(kind, len(content)) + content


def box_head(kind: bytes, size: int) -> bytes:
    """Return the beginning of a box with `size` bytes of content."""
    if size + 8 < 1 << 32:
        return (size + 8).to_bytes(4, "big") + kind
    return b"\0\0\0\1" + kind + (size + 16).to_bytes(8, "big")
