"""Small PNG files, decoded at once. The steps of a stream would take longer than the pixels."""

from __future__ import annotations

import contextlib

import numpy as np
from isal import isal_zlib

from imgpipe.formats.deflate import InflateError
from imgpipe.formats.origin import Origin
from imgpipe.formats.png.chunks import image_data
from imgpipe.formats.png.envelope import Envelope, Layout
from imgpipe.formats.png.header import Header
from imgpipe.formats.png.unfilter import PAETH
from imgpipe.image import Pixels

__all__ = ["decoded_at_once"]

_MOST_BYTES = 192 << 10


def decoded_at_once(origin: Origin, header: Header, out: Pixels) -> bool:
    """Fill `out` with the pixels of a small file of 8 bits without a fault; return whether it is.

    Otherwise it is to be read in rows, which tell what is wrong.

    Raises
    ------
    CorruptError
        If a checksum is wrong.
    """
    size = header.raw_bytes()
    if size > _MOST_BYTES or header.depth != 8 or out.shape[2] != header.samples:
        return False
    with origin.open() as file:
        extent = header.data_start, header.data_end, header.data_kind
        data = b"".join(image_data(file, origin.name, *extent))
    stream, content = isal_zlib.decompressobj(), b""
    with contextlib.suppress(InflateError):
        content = stream.decompress(data, size + 1)
    if len(content) != size or not stream.eof or stream.unused_data:
        return False
    if np.frombuffer(content, np.uint8)[:: size // header.height].max() > PAETH:
        return False
    Envelope(Layout(header.width, header.samples, 1)).decode([content], out)
    return True
