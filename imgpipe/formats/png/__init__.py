"""PNG: streaming input in blocks of rows, and output in strips that every worker encodes.

::

    reading ──▶ unfilter ──▶ envelope ─┐                    ┌─ rowfilters ◀── writing
                                       ├─ chunks, metadata ─┤

Every PNG is read: 1 to 16 bits, gray, palette or colour, transparent or not, interlaced or
not. Gray of less than 8 bits is scaled to 8, a palette becomes RGB, transparency becomes an
alpha channel and 16 bits stay 16 bits. Written are 8 and 16 bits with one to four channels.
"""

from __future__ import annotations

from imgpipe.formats.declaration import GRAY, GRAY_ALPHA, RGB, RGBA, Format
from imgpipe.formats.png.album import open_album
from imgpipe.formats.png.animation import contents
from imgpipe.formats.png.chunks import MAX_CHUNK
from imgpipe.formats.png.opening import open_source
from imgpipe.formats.png.soundness import must_be_intact
from imgpipe.formats.png.splicing import spliced
from imgpipe.formats.png.writing import DEFAULT_COMPRESSION, open_sink

__all__ = ["DEFAULT_COMPRESSION", "FORMAT", "contents", "open_album", "open_sink", "open_source"]

FORMAT = Format(
    "PNG",
    (".png", ".apng"),
    (b"\x89PNG\r\n\x1a\n", b"?PNG", b"????\r\n\x1a\n"),
    open_source,
    open_sink,
    dtypes=("uint8", "uint16"),
    layouts=(GRAY, GRAY_ALPHA, RGB, RGBA),
    splice=spliced,
    frames=None,
    contents=contents,
    album=open_album,
    intact=must_be_intact,
    salvages=True,
    side=MAX_CHUNK,
    metadata=("exif", "icc", "xmp", "iptc", "texts", "resolution"),
)
