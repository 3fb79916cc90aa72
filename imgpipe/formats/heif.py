"""HEIF, as of phones: read only, decoded as a whole by pillow-heif.

Writing it takes x265, which is licensed under the GPL, and other formats do better.
"""

from __future__ import annotations

import io

import numpy as np

from imgpipe.formats.damage import damage
from imgpipe.formats.declaration import Format
from imgpipe.formats.isobmff import read_image
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.wholedecoding import DecodedSource, fill
from imgpipe.image import ImageInfo, Pixels, check_pixels
from imgpipe.records import dataclass

__all__ = ["FORMAT", "open_source"]

# Memory of the decoder for a sample; see benchmarks/codec_memory.py.
_SAMPLE_BYTES = {1: 4, 2: 8}
_FIXED_BYTES = 48 << 20


def open_source(origin: Origin, max_pixels: int | None = None) -> DecodedSource:
    """Open a HEIF file: read everything but its pixels.

    Raises
    ------
    InputError
        If there is no such file or it cannot be used; `imgpipe.errors` has the kinds.
    """
    name = origin.name
    with damage(name), origin.open() as file:
        size = size_of(file)
        image = read_image(file, size, name)
    check_pixels(image.height, image.width, name, max_pixels)
    # The decoder cuts the part to be shown, and turns it upright.
    height, width = image.shown[::-1] if image.orientation > 4 else image.shown
    colours = 1 if image.gray and not image.alpha else 3
    info = ImageInfo(
        height,
        width,
        colours + image.alpha,
        np.dtype(np.uint8 if image.bits <= 8 else np.uint16),
        colours if image.alpha else None,
        "gray" if colours == 1 else "rgb",
        image.metadata.completed(name, 1),
    )
    return DecodedSource(info, origin, Decoder(info, image.bits), size)


@dataclass(frozen=True)
class Decoder:
    """Decoder of an image of so many bits."""

    info: ImageInfo
    bits: int

    @property
    def work_bytes(self) -> int:
        """Memory of the decoder."""
        info = self.info
        samples = info.pixels * max(3, info.channels)
        return _FIXED_BYTES + samples * _SAMPLE_BYTES[info.dtype.itemsize]

    def decode_into(self, data: bytes, out: Pixels) -> None:
        """Fill `out`."""
        import pillow_heif  # noqa: PLC0415 - an extra

        pillow_heif.options.DECODE_THREADS = 1
        image = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
        fill(out, np.asarray(image))
        if self.bits > 8:  # pillow-heif shifts values up to 16 bits
            out >>= 16 - self.bits


FORMAT = Format(
    "HEIF",
    (".heic", ".heif", ".hif"),
    (
        b"????ftypheic",
        b"????ftypheix",
        b"????ftypheim",
        b"????ftypheis",
        b"????ftypmif1",
        b"????ftypmsf1",
        b"????ftyphevc",
    ),
    open_source,
    frames=1,
    needs=("pillow_heif",),
    extra="imgpipe[heif]",
)
