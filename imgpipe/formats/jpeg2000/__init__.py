"""JPEG 2000 and HTJ2K: tiles that workers decode and encode by themselves, lossless by default.

References
----------
ISO/IEC 15444-1, annexes A (codestream) and I (file format JP2); 15444-15 (high throughput).
"""

from __future__ import annotations

from imgpipe.formats.declaration import GRAY, GRAY_ALPHA, RGB, RGBA, Format
from imgpipe.formats.jpeg2000.reading import must_be_intact, open_source
from imgpipe.formats.jpeg2000.splicing import spliced
from imgpipe.formats.jpeg2000.writing import open_sink

__all__ = ["FORMAT", "open_sink", "open_source"]

FORMAT = Format(
    "JPEG 2000",
    (".jp2", ".j2k", ".j2c", ".jpc", ".jph", ".jhc"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    open_source,
    open_sink,
    dtypes=("uint8", "uint16"),
    layouts=(RGB, RGBA, GRAY, GRAY_ALPHA),
    unless="--quality",
    splice=spliced,
    intact=must_be_intact,
    checked_pixels=2_000_000,  # its decoder is slow
    salvages=True,
    metadata=("exif", "icc", "xmp", "resolution"),
)
