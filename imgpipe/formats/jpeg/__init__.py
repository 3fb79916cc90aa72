"""JPEG: rows of large files as a stream, and output that every worker encodes.

::

    reading ──▶ scanlines ─┐               ┌── writing
       └──────▶ groups ────┴── metadata ───┘
"""

from __future__ import annotations

from functools import partial

from imgpipe.formats.declaration import CMYK, GRAY, RGB, Format
from imgpipe.formats.jpeg.reading import open_source
from imgpipe.formats.jpeg.soundness import must_be_intact
from imgpipe.formats.jpeg.splicing import respliced
from imgpipe.formats.jpeg.writing import open_sink

__all__ = ["FORMAT", "open_sink", "open_source"]

FORMAT = Format(
    "JPEG",
    (".jpg", ".jpeg", ".jpe", ".jfif"),
    (b"\xff\xd8\xff",),
    open_source,
    open_sink,
    dtypes=("uint8",),
    layouts=(GRAY, RGB, CMYK),
    exact=False,
    intact=must_be_intact,
    salvages=True,
    splice=partial(respliced, others=False),
    metadata=("exif", "icc", "xmp", "iptc", "texts", "resolution"),
    codecs=("imagecodecs._jpeg8",),
)
