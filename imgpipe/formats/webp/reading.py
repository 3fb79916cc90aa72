"""WebP files as sources of pixels."""

from __future__ import annotations

import imagecodecs
import numpy as np

from imgpipe.formats.codecs import must_decode
from imgpipe.formats.damage import damage
from imgpipe.formats.frames import Contents, Timing, must_have_frame
from imgpipe.formats.lastfile import LastFile
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.pillowframes import played
from imgpipe.formats.webp.riff import Header, read_header
from imgpipe.formats.wholedecoding import DecodedSource, fill
from imgpipe.image import ImageInfo, Pixels, check_pixels
from imgpipe.metadata import Metadata
from imgpipe.records import dataclass

__all__ = ["Decoder", "contents", "open_source"]

_PLUGIN = "PIL.WebPImagePlugin", "WebPImageFile"

# Memory of the decoder for a pixel; see benchmarks/codec_memory.py.
_PIXEL_BYTES = 6
_FIXED_BYTES = 8 << 20


def contents(origin: Origin) -> Contents:
    """Return the frames of a file, and their timing."""
    header, _ = _header(origin)
    if not header.animated:
        return Contents()
    seconds = tuple(each / 1000 for each in header.milliseconds)
    return Contents(len(seconds), Timing(seconds, header.loop))


def open_source(
    origin: Origin, max_pixels: int | None = None, page: int = 0, level: int = 0
) -> DecodedSource:
    """Open a WebP file: read everything but its pixels.

    Raises
    ------
    InputError
        If there is no such file or it cannot be used; `imgpipe.errors` has the kinds.
    UsageError
        If there is no such frame.
    """
    name = origin.name
    must_decode("WEBP", name)
    header, size = _header(origin)
    check_pixels(header.height, header.width, name, max_pixels)
    frames = len(header.milliseconds) if header.animated else 1
    must_have_frame(page, level, frames, name)
    blocks = dict(header.blocks)
    if "exif" in blocks:
        blocks["exif"] = blocks["exif"].removeprefix(b"Exif\0\0")
    info = ImageInfo(
        header.height,
        header.width,
        3 + header.alpha,
        np.dtype(np.uint8),
        3 if header.alpha else None,
        "rgb",
        Metadata(**blocks).completed(name),  # type: ignore[arg-type]
    )
    if header.animated:
        return played(info, origin, _PLUGIN, page, frames, size)
    return DecodedSource(info, origin, Decoder(info), size)


@dataclass(frozen=True)
class Decoder:
    """Decoder of an image that is no animation."""

    info: ImageInfo

    @property
    def work_bytes(self) -> int:
        """Memory of the decoder."""
        return _FIXED_BYTES + _PIXEL_BYTES * self.info.pixels

    def decode_into(self, data: bytes, out: Pixels) -> None:
        """Fill `out`."""
        fill(out, imagecodecs.webp_decode(data, hasalpha=self.info.alpha is not None, out=out))


_last = LastFile[Header]()


def _header(origin: Origin) -> tuple[Header, int]:
    with damage(origin.name), origin.open() as file:
        size = size_of(file)
        header = _last.of(origin, file, lambda file: read_header(file, size, origin.name))
        return header, size
