"""BMP: the bitmaps of Windows, read and written in place.

All depths are read, with and without a palette, from top to bottom or from bottom to top; files
with run lengths are read at once. Written are gray, RGB and RGBA of 8 bits, from bottom to top. The
only metadata is the resolution. There are no checksums.

References
----------
Microsoft, Win32 documentation, BITMAPFILEHEADER, BITMAPINFOHEADER and BITMAPV4HEADER.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np

from imgpipe.errors import CorruptError, FormatError, UsageError
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.declaration import GRAY, RGB, RGBA, Format
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.pillowframes import FrameDecoder
from imgpipe.formats.pixmaps import Bits, Packing, PixmapSink, Rows, Samples, pixmap_source
from imgpipe.formats.target import Target
from imgpipe.formats.wholedecoding import DecodedSource
from imgpipe.image import ImageInfo, Pixels, check_pixels
from imgpipe.metadata import Density, Metadata, density_from_metres
from imgpipe.records import dataclass

__all__ = ["FORMAT", "open_sink", "open_source"]

_PLUGIN = "PIL.BmpImagePlugin", "BmpImageFile"  # decodes run lengths

_FILE = struct.Struct("<2sIHHI")
_INFO = struct.Struct("<IiiHHIIiiII")
_CORE = struct.Struct("<IHHHH")
_MASKS = struct.Struct("<4I")
_RAW, _RLE8, _RLE4, _MASKED, _ALPHA_MASKED = 0, 1, 2, 3, 6
_LIMIT = (1 << 32) - 1
_USUAL = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
_RGBA_MASKS = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
_V4_BYTES = 108
_SRGB = b"BGRs"


class _Header(NamedTuple):
    width: int
    height: int
    upward: bool
    bits: int
    compression: int
    offset: int
    palette: Pixels
    masks: tuple[int, ...]
    density: Density | None


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
        head = file.read(1 << 12)
    try:
        header = _header(head, name)
    except struct.error:
        raise CorruptError(
            f"{name}: the file is truncated: it ends within its header; get a fresh copy"
        ) from None
    check_pixels(header.height, header.width, name, max_pixels)
    packing = _packing(header, name)
    channels = _channels(packing)
    gray, has_alpha = channels == 1, channels == 4
    info = ImageInfo(
        header.height,
        header.width,
        channels,
        np.dtype(np.uint8),
        channels - 1 if has_alpha else None,
        "gray" if gray else "rgb",
        Metadata(pixels_per_metre=header.density),
    )
    if header.compression in (_RLE8, _RLE4):
        return DecodedSource(info, origin, FrameDecoder(info, _PLUGIN), size)
    pitch = -(-header.width * header.bits // 32) * 4
    rows = Rows(header.offset, header.height, pitch, header.upward)
    return pixmap_source(info, rows, packing, origin, size, salvage=salvage)


def open_sink(target: Target, info: ImageInfo) -> Sink:
    """Begin a file.

    Raises
    ------
    UsageError
        If it would be larger than 4 GB.
    """
    pitch = -(-info.row_bytes // 4) * 4
    palette = b"".join(bytes((v, v, v, 0)) for v in range(256)) if info.channels == 1 else b""
    masked = info.channels == 4
    head_bytes = _V4_BYTES if masked else _INFO.size
    offset = _FILE.size + head_bytes + len(palette)
    size = offset + pitch * info.height
    if size > _LIMIT:
        raise UsageError(
            f"{target.name}: BMP holds up to 4 GB, not {size / 1e9:,.1f}; write TIFF instead"
        )
    density = info.metadata.pixels_per_metre or (0, 0)
    metres = [round(one) if one < 2**31 - 1 else 0 for one in density]  # 0: not told
    header = _FILE.pack(b"BM", size, 0, 0, offset) + _INFO.pack(
        head_bytes, info.width, info.height, 1, 8 * info.channels, _MASKED if masked else _RAW,
        pitch * info.height, *metres, len(palette) // 4, 0,
    )  # fmt: skip
    if masked:
        header += _MASKS.pack(*_RGBA_MASKS) + _SRGB
        header = header.ljust(offset, b"\0")
    order = {1: (0,), 3: (2, 1, 0), 4: (2, 1, 0, 3)}[info.channels]
    packing = Samples(np.dtype(np.uint8), order, info.channels)
    rows = Rows(offset, info.height, pitch, upward=True)
    return PixmapSink(target, info, rows, packing, header + palette)


def _header(head: bytes, name: str) -> _Header:
    _, _, _, _, offset = _FILE.unpack_from(head)
    (head_bytes,) = struct.unpack_from("<I", head, _FILE.size)
    after = _FILE.size + head_bytes
    density, compression, used = None, _RAW, 0
    masks: tuple[int, ...] = ()
    if head_bytes == _CORE.size:
        _, width, height, _, bits = _CORE.unpack_from(head, _FILE.size)
    else:
        found = _INFO.unpack_from(head.ljust(_FILE.size + _INFO.size, b"\0"), _FILE.size)
        _, width, height, _, bits, compression, _, across, down, used, _ = found
        if across > 0 and down > 0:
            density = density_from_metres(across, down)
        masks = _masks(head, head_bytes, compression, bits)
        if compression in (_MASKED, _ALPHA_MASKED) and head_bytes == _INFO.size:
            after += 16 if compression == _ALPHA_MASKED else 12
    if bits not in (1, 4, 8, 16, 24, 32) or compression not in (0, 1, 2, 3, 6):
        raise FormatError(
            f"{name}: uses {bits} bits a pixel and compression {compression}, which imgpipe does "
            "not read; convert it first"
        )
    if width <= 0 or height == 0:
        raise CorruptError(f"{name}: the file is damaged: it declares {width} x {height} pixels")
    entry = 3 if head_bytes == _CORE.size else 4
    count = min(used or 256, 1 << bits, 256) if bits <= 8 else 0
    colours = np.frombuffer(head[after : after + count * entry], np.uint8)
    if count and (not colours.size or colours.size % entry):
        raise CorruptError(f"{name}: ends within its palette; get a fresh copy")
    palette = colours.reshape(-1, entry)[:, 2::-1].copy() if count else np.empty((0, 3), np.uint8)
    return _Header(
        width, abs(height), height > 0, bits, compression, offset, palette, masks, density
    )


def _masks(head: bytes, head_bytes: int, compression: int, bits: int) -> tuple[int, ...]:
    """Return the bits of red, green, blue and alpha in a pixel."""
    if compression not in (_MASKED, _ALPHA_MASKED):
        return _USUAL.get(bits, ())
    *colours, alpha = _MASKS.unpack_from(head.ljust(80, b"\0"), _FILE.size + _INFO.size)
    has_alpha = compression == _ALPHA_MASKED or head_bytes > _INFO.size + 12
    return (*colours, alpha if has_alpha else 0)


def _packing(header: _Header, name: str) -> Packing:
    palette = header.palette
    if header.bits <= 8:
        gray = (palette == palette[:, :1]).all()
        table = palette[:, :1] if gray else palette
        return (
            Samples(np.dtype(np.uint8), (0,), 1, _filled(table))
            if header.bits == 8
            else Bits(header.bits, _filled(table, 1 << header.bits))
        )
    if header.bits == 24:
        return Samples(np.dtype(np.uint8), (2, 1, 0), 3)
    masks = tuple(mask for mask in header.masks if mask)
    if len(masks) < 3 or any(mask >> header.bits for mask in masks):
        raise CorruptError(f"{name}: the file is damaged: it declares no bits of colours")
    if header.bits == 32 and all(mask in _BYTES for mask in masks):
        order = tuple(_BYTES.index(mask) for mask in masks)
        return Samples(np.dtype(np.uint8), order, 4)
    return _Fields(np.dtype("<u2" if header.bits == 16 else "<u4"), masks)


_BYTES = [0xFF, 0xFF00, 0xFF0000, 0xFF000000]


def _filled(table: Pixels, count: int = 256) -> Pixels:
    """Return a palette of `count` entries, black where the file lacks them."""
    full = np.zeros((count, table.shape[1]), np.uint8)
    full[: len(table)] = table[:count]
    return full


def _channels(packing: Packing) -> int:
    if isinstance(packing, _Fields):
        return len(packing.masks)
    table: Any = getattr(packing, "table", None)
    return len(packing.order) if table is None else table.shape[1]  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Fields:
    """Colours as bits of a number, scaled to 8 bits."""

    dtype: np.dtype[Any]
    masks: tuple[int, ...]

    @property
    def pixel_bits(self) -> int:
        """Bits of a pixel."""
        return 8 * self.dtype.itemsize

    def unpacked(self, raw: Pixels, skipped: int, columns: int) -> Pixels:
        """Return pixels from bytes."""
        values = raw.view(self.dtype).reshape(len(raw), columns)
        out = np.empty((*values.shape, len(self.masks)), np.uint8)
        for channel, mask in enumerate(self.masks):
            low = mask & -mask
            most = mask // low
            field = (values & mask) // low
            out[..., channel] = (field.astype(np.uint64) * 255 + most // 2) // most
        return out

    def packed(self, pixels: Pixels) -> Pixels:
        """Fail: imgpipe writes whole bytes."""
        raise NotImplementedError


FORMAT = Format(
    "BMP",
    (".bmp", ".dib"),
    (b"BM",),
    open_source,
    open_sink,
    salvages=True,
    dtypes=("uint8",),
    layouts=(GRAY, RGB, RGBA),
    metadata=("resolution",),
)
