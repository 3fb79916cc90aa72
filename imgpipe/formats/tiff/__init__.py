"""TIFF and BigTIFF: tiles and strips, read by the workers wherever they are."""

from __future__ import annotations

from imgpipe.formats.declaration import Format
from imgpipe.formats.tiff.pages import contents
from imgpipe.formats.tiff.reading import open_source
from imgpipe.formats.tiff.splicing import spliced
from imgpipe.formats.tiff.writing import album, narrowed, open_sink

__all__ = ["FORMAT", "album", "contents", "open_sink", "open_source", "spliced"]

FORMAT = Format(
    "TIFF",
    (".tif", ".tiff", ".btf", ".tf8"),
    (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    open_source,
    open_sink,
    unless="--compression jpeg",
    frames=None,
    contents=contents,
    album=album,
    timing=(),
    splice=spliced,
    salvages=True,
    narrowed=narrowed,
    metadata=("exif", "icc", "xmp", "iptc", "geo", "resolution", "nodata", "meaning"),
    pages=True,
)
