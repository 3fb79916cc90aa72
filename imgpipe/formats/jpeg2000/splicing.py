"""JPEG 2000 files with other metadata, their codestream as it is."""

from __future__ import annotations

from collections.abc import Iterator

from imgpipe.formats.base import Data
from imgpipe.formats.boxes import box, spans_in, spliced_boxes
from imgpipe.formats.damage import damage
from imgpipe.formats.exifmetadata import exif_of
from imgpipe.formats.jpeg2000.boxes import EXIF, SIGNATURE
from imgpipe.formats.origin import Origin, pieces_of, size_of
from imgpipe.metadata import Metadata

__all__ = ["spliced"]

_HEADERS, _RESOLUTION = b"jp2h", b"res "
_BEFORE = frozenset({b"jP  ", b"ftyp", b"rreq"})
_PIXELS = frozenset({b"jpch", b"jplh", b"jp2c"})


def spliced(origin: Origin, metadata: Metadata) -> Iterator[Data]:
    """Yield the bytes of a JPEG 2000 file with ICC profile and orientation alone.

    Raises
    ------
    InputError
        If it cannot be read.
    CorruptError
        If it is damaged.
    """
    exif = exif_of(metadata, origin.name)
    with origin.open() as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            yield from pieces_of(origin)
            return
        with damage(origin.name):
            size = size_of(file)
            yield from spliced_boxes(file, size, _BEFORE)
            headers = b"".join(spliced_boxes(file, size, frozenset({_HEADERS})))
            kept = (one for one in spans_in(headers, 8) if one[0] != _RESOLUTION)
            yield box(_HEADERS, b"".join(box(*one) for one in kept))
            if exif is not None:
                yield box(b"uuid", EXIF + exif)
            yield from spliced_boxes(file, size, _PIXELS)
