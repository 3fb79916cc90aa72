"""WebP files with other metadata, their coded pixels as they are."""

from __future__ import annotations

from collections.abc import Iterator

from imgpipe.formats.base import Data
from imgpipe.formats.damage import damage
from imgpipe.formats.exifmetadata import exif_of
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.webp.riff import (
    ALPHA,
    ANIMATED,
    chunk,
    extended,
    file_of,
    flags_of,
    last_chunks,
    read_chunks,
    read_header,
)
from imgpipe.metadata import Metadata

__all__ = ["spliced"]

_OF_THE_PIXELS = frozenset({b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"})


def spliced(origin: Origin, metadata: Metadata) -> Iterator[Data]:
    """Yield the bytes of a WebP file with `metadata` alone, piece by piece.

    Raises
    ------
    InputError
        If it cannot be read.
    CorruptError
        If it ends too early.
    """
    name, exif = origin.name, exif_of(metadata, origin.name)
    with origin.open() as file, damage(name):
        header = read_header(file, size_of(file), name)
        kept = [one for one in read_chunks(file) if one[0] in _OF_THE_PIXELS]
        last = last_chunks(exif, metadata.xmp)
        flags = ALPHA * header.alpha | ANIMATED * header.animated | flags_of(metadata, exif)
        first = extended(flags, header.height, header.width) if header.extended else []
        first += chunk(b"ICCP", metadata.icc) if metadata.icc else []
        more = sum(8 + size + size % 2 for _, _, size in kept) + sum(map(len, last))
        yield file_of(first, more)
        for kind, start, size in kept:
            file.seek(start)
            yield from chunk(kind, file.read(size))
        yield from last
