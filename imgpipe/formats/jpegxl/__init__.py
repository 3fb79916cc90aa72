"""JPEG XL: lossless or lossy, decoded and encoded as a whole.

Lossless at effort 1, the default, is the best of the formats that are not streamed: as fast as PNG
that all cores encode, and a quarter smaller.
"""

from __future__ import annotations

from imgpipe.formats.declaration import GRAY, GRAY_ALPHA, RGB, RGBA, Format
from imgpipe.formats.jpegxl.reading import open_source
from imgpipe.formats.jpegxl.splicing import spliced
from imgpipe.formats.jpegxl.writing import open_sink

__all__ = ["FORMAT", "open_sink", "open_source"]

FORMAT = Format(
    "JPEG XL",
    (".jxl",),
    (b"\xff\n", b"\0\0\0\x0cJXL \r\n\x87\n"),
    open_source,
    open_sink,
    dtypes=("uint8", "uint16", "float32"),
    layouts=(RGB, GRAY, GRAY_ALPHA, RGBA),
    unless="--quality",
    splice=spliced,
    checked_pixels=None,  # its codestream does not say how long it is
    side=(1 << 30) - 1,
    metadata=("exif", "icc", "xmp", "resolution"),
)
