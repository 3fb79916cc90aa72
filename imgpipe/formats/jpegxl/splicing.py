"""JPEG XL files without metadata, their coded pixels as they are.

ICC profile and orientation are in the codestream, and stay.
"""

from __future__ import annotations

from collections.abc import Iterator

from imgpipe.formats.base import Data
from imgpipe.formats.boxes import spliced_boxes
from imgpipe.formats.damage import damage
from imgpipe.formats.jpegxl.header import SIGNATURE
from imgpipe.formats.origin import Origin, pieces_of, size_of
from imgpipe.metadata import Metadata

__all__ = ["spliced"]

_OF_THE_PIXELS = frozenset({b"JXL ", b"ftyp", b"jxll", b"jxli", b"jxlc", b"jxlp"})


def spliced(origin: Origin, metadata: Metadata) -> Iterator[Data]:
    """Yield the bytes of a JPEG XL file without EXIF, XMP and headers of a JPEG file.

    Raises
    ------
    InputError
        If it cannot be read.
    CorruptError
        If it is damaged.
    """
    del metadata  # kept metadata is in the codestream
    with origin.open() as file:
        if file.read(len(SIGNATURE)) == SIGNATURE:
            yield from pieces_of(origin)
            return
        with damage(origin.name):
            yield from spliced_boxes(file, size_of(file), _OF_THE_PIXELS)
