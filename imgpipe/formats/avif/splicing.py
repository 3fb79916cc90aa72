"""AVIF files without metadata, their coded pixels as they are.

Pixels are found by their position in the file, so nothing moves: the bytes of EXIF and XMP become
zeros, and the entries that point there are of no known kind.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from imgpipe.formats.base import Data
from imgpipe.formats.boxes import Span, spans
from imgpipe.formats.damage import damage
from imgpipe.formats.isobmff import places_of
from imgpipe.formats.origin import Origin
from imgpipe.metadata import Metadata

__all__ = ["spliced"]

_NOTHING = b"skip"  # a box or an item without meaning
_PRIVATE = (b"uuid", b"udta")
_AROUND = (b"moov", b"trak")


def spliced(origin: Origin, metadata: Metadata) -> Iterator[Data]:
    """Yield the bytes of an AVIF file without EXIF and XMP.

    ICC profile and orientation are properties of the image, and stay.

    Raises
    ------
    InputError
        If it cannot be read.
    CorruptError
        If it is damaged.
    """
    del metadata  # kept bytes stay where they are
    with origin.open() as file:
        content = bytearray(file.read())
    with damage(origin.name, errors=(ValueError, IndexError)):
        _blank(content)
    yield memoryview(content)


def _blank(content: bytearray) -> None:
    """Overwrite the metadata in a file."""
    for one in list(_boxes(io.BytesIO(content), 0, len(content))):
        if one.kind in _PRIVATE:
            content[one.start - 4 : one.start] = _NOTHING
            _clear(content, one.start, one.end)
        elif one.kind == b"meta":
            for entry, parts in places_of(bytes(content[one.start : one.end])):
                content[one.start + entry : one.start + entry + 4] = _NOTHING
                for inside, start, end in parts:
                    moved = one.start if inside else 0
                    _clear(content, moved + start, moved + end)


def _clear(content: bytearray, start: int, end: int) -> None:
    if end > len(content):
        raise ValueError("its metadata is not within the file")
    content[start:end] = bytes(end - start)


def _boxes(file: io.BytesIO, start: int, end: int) -> Iterator[Span]:
    """Yield the boxes of a file, and those of its tracks."""
    for one in spans(file, start, end):
        yield one
        if one.kind in _AROUND:
            yield from _boxes(file, one.start, min(one.end, end))
