"""PNG: streamed in, row block by row block; encoded strip by strip, by every worker.

::

    reading ──▶ unfilter ─┐                ┌─ rowfilters ◀── writing
                          ├─ chunks, metadata ─┤

Every PNG is read: 1 to 16 bits, gray, palette or colour, transparent or not, interlaced or
not. Gray of less than 8 bits is scaled to 8, a palette becomes RGB, transparency becomes an
alpha channel and 16 bits stay 16 bits. Written are 8 and 16 bits with one to four channels.
"""

from __future__ import annotations

from imgpipe.formats.png.chunks import matches
from imgpipe.formats.png.reading import open_source
from imgpipe.formats.png.writing import DEFAULT_COMPRESSION, open_sink

__all__ = ["DEFAULT_COMPRESSION", "SUFFIXES", "matches", "open_sink", "open_source"]

SUFFIXES = (".png",)
