"""AVIF files as sources of pixels."""

from __future__ import annotations

import imagecodecs
import numpy as np

from imgpipe.errors import FormatError
from imgpipe.formats.codecs import must_decode
from imgpipe.formats.damage import damage
from imgpipe.formats.frames import Contents, Timing, must_have_frame
from imgpipe.formats.isobmff import Image, read_image
from imgpipe.formats.lastfile import LastFile
from imgpipe.formats.origin import Origin, head_of, size_of
from imgpipe.formats.pillowframes import played
from imgpipe.formats.wholedecoding import DecodedSource, fill
from imgpipe.image import ImageInfo, Pixels, check_pixels
from imgpipe.records import dataclass

__all__ = ["Decoder", "contents", "open_source"]

_PLUGIN = "PIL.AvifImagePlugin", "AvifImageFile"

# Memory of the decoder for a sample; see benchmarks/codec_memory.py.
_SAMPLE_BYTES = {1: 4, 2: 6}
_FIXED_BYTES = 32 << 20

_BRAND = slice(8, 12)


def contents(origin: Origin) -> Contents:
    """Return the frames of a file, and their timing; AVIF says nothing of loops."""
    seconds = _image(origin)[0].seconds
    return Contents(len(seconds), Timing(seconds)) if len(seconds) > 1 else Contents()


def open_source(
    origin: Origin, max_pixels: int | None = None, page: int = 0, level: int = 0
) -> DecodedSource:
    """Open an AVIF file: read everything but its pixels.

    Raises
    ------
    InputError
        If there is no such file or it cannot be used; `imgpipe.errors` has the kinds.
    UsageError
        If there is no such frame.
    """
    name = origin.name
    image, size = _image(origin)
    check_pixels(image.height, image.width, name, max_pixels)
    frames = max(1, len(image.seconds))
    must_have_frame(page, level, frames, name)
    # The other decoder reads a track of a sequence, and trusts the items beside the track.
    animated = frames > 1 or head_of(origin, _BRAND.stop)[_BRAND] == b"avis"
    if image.bits > 8 and animated:
        raise FormatError(f"{name}: is a sequence of {image.bits} bits; convert it to 8 first")
    colours = 1 if image.gray and not (animated and image.alpha) else 3
    channels = colours + image.alpha
    info = ImageInfo(
        image.height,
        image.width,
        channels,
        np.dtype(np.uint8 if image.bits <= 8 else np.uint16),
        channels - 1 if image.alpha else None,
        "gray" if colours == 1 else "rgb",
        image.metadata.completed(name, image.orientation),
    )
    if animated:
        return played(info, origin, _PLUGIN, page, frames, size)
    must_decode("AVIF", name)
    return DecodedSource(info, origin, Decoder(info), size)


@dataclass(frozen=True)
class Decoder:
    """Decoder of an image that is no animation."""

    info: ImageInfo

    @property
    def work_bytes(self) -> int:
        """Memory of the decoder."""
        info = self.info
        samples = info.pixels * max(3, info.channels)
        return _FIXED_BYTES + samples * _SAMPLE_BYTES[info.dtype.itemsize]

    def decode_into(self, data: bytes, out: Pixels) -> None:
        """Fill `out`."""
        # Without `out=`, the decoder checks the declarations of the file against its data.
        fill(out, imagecodecs.avif_decode(data, index=0, numthreads=1))


_last = LastFile[Image]()


def _image(origin: Origin) -> tuple[Image, int]:
    with damage(origin.name), origin.open() as file:
        size = size_of(file)
        image = _last.of(origin, file, lambda file: read_image(file, size, origin.name))
        return image, size
