"""WebP: lossy or lossless images of 8 bits, and animations; decoded and encoded as a whole."""

from __future__ import annotations

from imgpipe.formats.declaration import RGB, RGBA, Format
from imgpipe.formats.webp.reading import contents, open_source
from imgpipe.formats.webp.splicing import spliced
from imgpipe.formats.webp.writing import open_album, open_sink

__all__ = ["FORMAT", "contents", "open_album", "open_sink", "open_source"]

FORMAT = Format(
    "WebP",
    (".webp",),
    (b"RIFF????WEBP",),
    open_source,
    open_sink,
    dtypes=("uint8",),
    layouts=(RGB, RGBA),
    exact=False,
    unless="--lossless",
    frames=None,
    contents=contents,
    album=open_album,
    splice=spliced,
    side=16383,
    metadata=("exif", "icc", "xmp", "resolution"),
)
