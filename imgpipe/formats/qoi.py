"""QOI, the "quite OK image": lossless 8 bits, decoded and encoded as a whole."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np

from imgpipe.errors import CorruptError, UsageError
from imgpipe.formats.base import Data
from imgpipe.formats.codecs import must_decode, must_encode
from imgpipe.formats.declaration import RGB, RGBA, Format
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.target import Target
from imgpipe.formats.wholedecoding import DecodedSource, fill
from imgpipe.formats.wholeencoding import EncodedSink
from imgpipe.image import ImageInfo, Pixels, check_pixels
from imgpipe.metadata import Metadata
from imgpipe.records import dataclass

__all__ = ["FORMAT", "open_sink", "open_source"]

_HEAD = struct.Struct(">4sIIBB")
_END = b"\0\0\0\0\0\0\0\1"
_MOST_PIXELS = 400_000_000  # that decoders take

# Memory of the encoder for a pixel beside its channels; see benchmarks/codec_memory.py.
_ENCODER_BYTES = 2
_FIXED_BYTES = 8 << 20


def open_source(origin: Origin, max_pixels: int | None = None) -> DecodedSource:
    """Open a QOI file: read everything but its pixels.

    Raises
    ------
    InputError
        If there is no such file or it cannot be used; `imgpipe.errors` has the kinds.
    """
    name = origin.name
    must_decode("QOI", name)
    with origin.open() as file:
        size = size_of(file)
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size or size < _HEAD.size + len(_END):
            raise CorruptError(f"{name}: the file is truncated; get a fresh copy")
        file.seek(size - len(_END))
        if file.read() != _END:
            raise CorruptError(
                f"{name}: the file is truncated: its end mark is missing; get a fresh copy"
            )
    _, width, height, channels, space = _HEAD.unpack(head)
    if not width or not height or channels not in (3, 4):
        raise CorruptError(f"{name}: declares {width} x {height} pixels of {channels} channels")
    check_pixels(height, width, name, max_pixels)
    metadata = Metadata(gamma=1.0) if space == 1 else Metadata()
    alpha = 3 if channels == 4 else None
    info = ImageInfo(height, width, channels, np.dtype(np.uint8), alpha, "rgb", metadata)
    return DecodedSource(info, origin, Codec(info), size)


def open_sink(target: Target, info: ImageInfo) -> EncodedSink:
    """Begin a QOI file.

    Raises
    ------
    UsageError
        If it has too many pixels, or imagecodecs was built without QOI.
    """
    must_encode("QOI", target.name)
    if info.pixels > _MOST_PIXELS:
        raise UsageError(
            f"{target.name}: QOI holds up to {_MOST_PIXELS / 1e6:,.0f} megapixels, not "
            f"{info.pixels / 1e6:,.0f}; choose another format"
        )
    return EncodedSink(target, info, Codec(info))


@dataclass(frozen=True)
class Codec:
    """Decoder and encoder of an image."""

    info: ImageInfo

    @property
    def work_bytes(self) -> int:
        """Memory of the codec: the largest possible result, and the file."""
        return _FIXED_BYTES + self.info.pixels * (2 * self.info.channels + _ENCODER_BYTES)

    def decode_into(self, data: bytes, out: Pixels) -> None:
        """Fill `out`."""
        fill(out, imagecodecs.qoi_decode(data, out=out))

    def encode(self, pixels: Pixels) -> Data:
        """Return the file."""
        return memoryview(imagecodecs.qoi_encode(pixels))


FORMAT = Format(
    "QOI",
    (".qoi",),
    (b"qoif",),
    open_source,
    open_sink,
    dtypes=("uint8",),
    layouts=(RGB, RGBA),
    metadata=(),
)
