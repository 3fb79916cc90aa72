"""AVIF: lossy or lossless images and animations, decoded and encoded as a whole.

Images of 8 bits are written; those of 10 and 12 bits are read too.
"""

from __future__ import annotations

from imgpipe.formats.avif.animation import open_album
from imgpipe.formats.avif.reading import contents, open_source
from imgpipe.formats.avif.splicing import spliced
from imgpipe.formats.avif.writing import open_sink
from imgpipe.formats.declaration import GRAY, RGB, RGBA, Format

__all__ = ["FORMAT", "contents", "open_album", "open_sink", "open_source"]

FORMAT = Format(
    "AVIF",
    (".avif", ".avifs"),
    (
        b"????ftypavif",
        b"????ftypavis",
        # Files for several readers name AVIF among others.
        b"????ftypmif1????avif",
        b"????ftypmif1????????avif",
        b"????ftypmif1????????????avif",
    ),
    open_source,
    open_sink,
    dtypes=("uint8",),
    layouts=(RGB, GRAY, RGBA),
    exact=False,
    unless="--lossless",
    frames=None,
    contents=contents,
    album=open_album,
    splice=spliced,
    timing=("seconds",),
    side=65536,
    metadata=("exif", "icc", "xmp", "resolution"),
)
