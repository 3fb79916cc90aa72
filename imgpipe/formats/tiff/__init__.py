"""TIFF and BigTIFF: tiles and strips, read by the workers wherever they are."""

from __future__ import annotations

from imgpipe.formats.declaration import Format
from imgpipe.formats.tiff.pages import contents
from imgpipe.formats.tiff.reading import open_source

__all__ = ["FORMAT", "contents", "open_source"]

FORMAT = Format(
    "TIFF",
    (".tif", ".tiff", ".btf", ".tf8", ".svs", ".ndpi", ".scn", ".bif", ".qptiff"),
    (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    open_source,
    None,
    frames=None,
    contents=contents,
)
