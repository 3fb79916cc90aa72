"""PFM: the portable float map, a header of three lines and then rows of float32, the last first.

References
----------
Paul Debevec, PFM Portable FloatMap Image Format.
"""

import re

import numpy as np

from imgpipe.errors import CorruptError, FormatError
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.declaration import GRAY, RGB, Format
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.pixmaps import PixmapSink, Rows, Samples, pixmap_source
from imgpipe.formats.target import Target
from imgpipe.image import ImageInfo, check_pixels

HEADER = re.compile(rb"P([Ff])\s([1-9]\d{0,9})\s([1-9]\d{0,9})\s([-+.\deE]{1,20})\n")
CHANNELS = {b"f": 1, b"F": 3}


def open_source(origin: Origin, max_pixels: int | None = None) -> Source:
    """Open a file: read its header."""
    with origin.open() as file:
        size, found = size_of(file), HEADER.match(file.read(64))
    if found is None:
        raise CorruptError(f"{origin.name}: its header is damaged; get a fresh copy")
    channels, width, height = CHANNELS[found[1]], int(found[2]), int(found[3])
    check_pixels(height, width, origin.name, max_pixels)
    try:
        stored = np.dtype("<f4" if float(found[4]) < 0 else ">f4")
    except ValueError:
        raise FormatError(f"{origin.name}: its scale is no number; convert it first") from None
    colour = "gray" if channels == 1 else "rgb"
    info = ImageInfo(height, width, channels, np.dtype(np.float32), None, colour)
    rows = Rows(found.end(), height, info.row_bytes, upward=True)
    return pixmap_source(info, rows, samples(stored, channels), origin, size)


def open_sink(target: Target, info: ImageInfo) -> Sink:
    """Begin a file: write its header. Workers write the rows."""
    letter = "f" if info.channels == 1 else "F"
    header = f"P{letter}\n{info.width} {info.height}\n-1.0\n".encode()
    rows = Rows(len(header), info.height, info.row_bytes, upward=True)
    return PixmapSink(target, info, rows, samples(np.dtype("<f4"), info.channels), header)


def samples(stored: np.dtype, channels: int) -> Samples:
    """Return the form of a pixel: numbers one after the other."""
    return Samples(stored, tuple(range(channels)), channels)


FORMAT = Format(
    "PFM",
    suffixes=(".pfm",),
    magic=(b"PF", b"Pf"),
    read=open_source,
    write=open_sink,
    dtypes=("float32",),
    layouts=(GRAY, RGB),
    metadata=(),
)
