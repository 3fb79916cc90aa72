"""PNG files with other metadata, their coded pixels as they are."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from imgpipe.errors import CorruptError
from imgpipe.formats.base import Data
from imgpipe.formats.origin import Origin
from imgpipe.formats.png.chunks import SIGNATURE, chunk
from imgpipe.formats.png.header import PALETTE, RGB, read_header
from imgpipe.formats.png.metadata import metadata_chunks
from imgpipe.metadata import Metadata

__all__ = ["spliced"]

_OF_THE_PIXELS = frozenset({b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"})
_PIECE_BYTES = 1 << 20


def spliced(origin: Origin, metadata: Metadata) -> Iterator[Data]:
    """Yield the bytes of a PNG file with `metadata` alone, piece by piece.

    Raises
    ------
    InputError
        If it cannot be read.
    CorruptError
        If it ends too early.
    """
    header = read_header(origin, None)
    colour = header.colour_type
    with origin.open() as file:
        file.seek(len(SIGNATURE))
        yield SIGNATURE + file.read(8 + 13 + 4)
        gray = not colour & RGB and colour != PALETTE
        for kind, content in metadata_chunks(metadata, "gray" if gray else "rgb"):
            yield chunk(kind, content)
        while head := file.read(8):
            length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
            left = length + 4
            if kind not in _OF_THE_PIXELS:
                file.seek(left, 1)
                continue
            yield head
            while left:
                piece = file.read(min(left, _PIECE_BYTES))
                if not piece:
                    raise CorruptError(f"{origin.name}: ends too early; get a fresh copy")
                yield piece
                left -= len(piece)
            if kind == b"IEND":
                return
    raise CorruptError(f"{origin.name}: has no end; get a fresh copy")
