"""TGA: Truevision's format, read and written in place.

Gray, palette and RGB are read, with and without alpha; files with run lengths are read at once.
Written are gray, RGB and RGBA of 8 bits, from top to bottom. There are no metadata and no
checksums. A file has no magic bytes. It is known by a usual header, whose kind, palette and bits
agree, or by its suffix.

References
----------
Truevision TGA File Format Specification, Version 2.0, 1991.
"""

from __future__ import annotations

import struct

import numpy as np

from imgpipe.errors import CorruptError, FormatError
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.declaration import GRAY, GRAY_ALPHA, RGB, RGBA, Format
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.pillowframes import FrameDecoder
from imgpipe.formats.pixmaps import PixmapSink, Rows, Samples, pixmap_source
from imgpipe.formats.target import Target
from imgpipe.formats.wholedecoding import DecodedSource
from imgpipe.image import Colour, ImageInfo, Pixels, check_pixels

__all__ = ["FORMAT", "open_sink", "open_source"]

_PLUGIN = "PIL.TgaImagePlugin", "TgaImageFile"  # decodes run lengths

_HEAD = struct.Struct("<BBBHHBHHHHBB")
_PALETTE, _RGB, _GRAY = 1, 2, 3
_RUNS = 8  # added to the kind of a file with run lengths
_FROM_RIGHT, _FROM_TOP = 0x10, 0x20
_FOOTER = bytes(8) + b"TRUEVISION-XFILE.\0"
_SIDE = 65_535


def open_source(origin: Origin, max_pixels: int | None = None, *, salvage: bool = False) -> Source:
    """Open a file: read its header and its palette.

    Raises
    ------
    InputError
        If there is no such file or it cannot be used; `imgpipe.errors` has the kinds.
    """
    name = origin.name
    with origin.open() as file:
        size = size_of(file)
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise CorruptError(
                f"{name}: the file is truncated: it ends within its header; get a fresh copy"
            )
        id_bytes, mapped, kind, first, count, entry, _, _, width, height, bits, flags = (
            _HEAD.unpack(head)
        )
        file.seek(_HEAD.size + id_bytes)
        colours = file.read(count * (entry // 8)) if mapped == 1 else b""
        offset = file.tell()
    channels = _channels(kind, bits, entry, flags)
    if channels is None or flags & _FROM_RIGHT or mapped > 1:
        raise FormatError(
            f"{name}: is no TGA file of 8 bits a channel that imgpipe reads; convert it first"
        )
    if not width or not height:
        raise CorruptError(f"{name}: the file is damaged: it declares {width} x {height} pixels")
    check_pixels(height, width, name, max_pixels)
    colour: Colour = "gray" if channels < 3 else "rgb"
    alpha = channels - 1 if channels in (2, 4) else None
    info = ImageInfo(height, width, channels, np.dtype(np.uint8), alpha, colour)
    if kind >= _RUNS:
        return DecodedSource(info, origin, FrameDecoder(info, _PLUGIN), size)
    rows = Rows(offset, height, width * bits // 8, not flags & _FROM_TOP)
    order = {1: (0,), 2: (0, 1), 3: (2, 1, 0), 4: (2, 1, 0, 3)}[channels]
    packing = Samples(np.dtype(np.uint8), order, bits // 8)
    if kind == _PALETTE:
        table = _table(colours, first, entry // 8, name)
        packing = Samples(np.dtype(np.uint8), (0,), 1, table[:, order])
    return pixmap_source(info, rows, packing, origin, size, salvage=salvage)


def open_sink(target: Target, info: ImageInfo) -> Sink:
    """Begin a file."""
    kind = _GRAY if info.channels < 3 else _RGB
    flags = _FROM_TOP | (8 if info.alpha is not None else 0)
    header = _HEAD.pack(
        0, 0, kind, 0, 0, 0, 0, 0, info.width, info.height, 8 * info.channels, flags
    )
    order = {1: (0,), 2: (0, 1), 3: (2, 1, 0), 4: (2, 1, 0, 3)}[info.channels]
    packing = Samples(np.dtype(np.uint8), order, info.channels)
    rows = Rows(len(header), info.height, info.row_bytes)
    return PixmapSink(target, info, rows, packing, header, _FOOTER)


def _channels(kind: int, bits: int, entry: int, flags: int) -> int | None:
    """Return the channels of an image; None where it is of no known kind."""
    match kind & ~_RUNS, bits:
        case (3, 8) | (3, 16):
            return bits // 8
        case (2, 24):
            return 3
        case (2, 32):
            return 4 if flags & 0x0F else 3
        case (1, 8):
            return {24: 3, 32: 4}.get(entry)
    return None


def _table(colours: bytes, first: int, size: int, name: str) -> Pixels:
    """Return 256 colours, black where the palette lacks them."""
    if not colours or len(colours) % size:
        raise CorruptError(f"{name}: ends within its palette; get a fresh copy")
    found = np.frombuffer(colours, np.uint8).reshape(-1, size)[: 256 - min(first, 256)]
    table = np.zeros((256, size), np.uint8)
    table[first : first + len(found)] = found
    return table


FORMAT = Format(
    "TGA",
    (".tga",),
    (
        b"?\0\x02\0\0\0\0\0????????\x18",
        b"?\0\x02\0\0\0\0\0????????\x20",
        b"?\0\x0a\0\0\0\0\0????????\x18",
        b"?\0\x0a\0\0\0\0\0????????\x20",
        b"?\0\x03\0\0\0\0\0????????\x08",
        b"?\0\x03\0\0\0\0\0????????\x10",
        b"?\0\x0b\0\0\0\0\0????????\x08",
        b"?\0\x0b\0\0\0\0\0????????\x10",
        b"?\x01\x01\0\0??\x18????????\x08",
        b"?\x01\x01\0\0??\x20????????\x08",
        b"?\x01\x09\0\0??\x18????????\x08",
        b"?\x01\x09\0\0??\x20????????\x08",
        b"",  # others are known by their suffix
    ),
    open_source,
    open_sink,
    salvages=True,
    dtypes=("uint8",),
    layouts=(GRAY, GRAY_ALPHA, RGB, RGBA),
    side=_SIDE,
    metadata=(),
)
