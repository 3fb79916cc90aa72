"""AVIF files as sinks of pixels.

Pillow makes lossy files, and imagecodecs lossless ones. Metadata is added afterwards: imagecodecs
knows none, and Pillow writes EXIF anew, which spoils the notes of makers.
"""

from __future__ import annotations

import io
from typing import Annotated, Any

import imagecodecs

from imgpipe import exif
from imgpipe.errors import UsageError
from imgpipe.formats.avif.describing import Description, described
from imgpipe.formats.base import Data
from imgpipe.formats.codecs import must_encode
from imgpipe.formats.exifmetadata import exif_of
from imgpipe.formats.target import Target
from imgpipe.formats.wholeencoding import EncodedSink
from imgpipe.image import ImageInfo, Pixels
from imgpipe.metadata import Metadata
from imgpipe.parameters import Between
from imgpipe.records import dataclass

__all__ = [
    "FIXED_BYTES", "PIXEL_BYTES", "Effort", "Encoder", "Lossless", "Quality", "Saving",
    "must_have_plugin", "open_sink", "picture_of",
]  # fmt: skip

_SPEEDS = 10

# Memory of the encoder for a pixel, the returned file included; see benchmarks/codec_memory.py.
PIXEL_BYTES = 40
FIXED_BYTES = 48 << 20

Quality = Annotated[int, Between(1, 100), "1 is the smallest file, 100 the closest to the image."]
Lossless = Annotated[bool, "Keep every value; a quality has no effect."]
Effort = Annotated[int, Between(0, 10), "0 is fast, 10 is slow and gives a smaller file."]


def open_sink(
    target: Target,
    info: ImageInfo,
    *,
    quality: Quality = 75,
    lossless: Lossless = False,
    effort: Effort = 1,
) -> EncodedSink:
    """Begin an AVIF file.

    Raises
    ------
    UsageError
        If Pillow or imagecodecs was built without AVIF.
    """
    known = info.metadata
    wanted = Description(known.icc, exif_of(known, target.name), known.xmp, known.orientation)
    if lossless:
        must_encode("AVIF", target.name)
        return EncodedSink(target, info, LosslessEncoder(info, effort, wanted))
    must_have_plugin(target.name)
    return EncodedSink(target, info, Encoder(info, Saving(quality, effort), wanted))


@dataclass(frozen=True)
class Saving:
    """Options of Pillow for a file."""

    quality: int
    effort: int
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    @classmethod
    def of(cls, known: Metadata, quality: int, effort: int, name: str) -> Saving:
        """Return the options for a file called `name` with such metadata.

        Pillow writes EXIF anew where it finds an orientation, so that the notes of a camera move.
        """
        block = exif_of(known, name)
        if block is not None and known.orientation == 1:
            block = exif.without_orientation(block)
        return cls(quality, effort, known.icc, block, known.xmp)

    def options(self) -> dict[str, Any]:
        """Return them as Pillow takes them."""
        given = {"icc_profile": self.icc, "exif": self.exif, "xmp": self.xmp}
        return {
            "format": "AVIF",
            "quality": self.quality,
            "speed": _SPEEDS - self.effort,
            "max_threads": 1,
            **{key: value for key, value in given.items() if value},
        }


@dataclass(frozen=True)
class Encoder:
    """Encoder of a lossy image."""

    info: ImageInfo
    saving: Saving
    wanted: Description

    @property
    def work_bytes(self) -> int:
        """Memory of the encoder, and of the file."""
        return FIXED_BYTES + PIXEL_BYTES * self.info.pixels

    def encode(self, pixels: Pixels) -> Data:
        """Return the file."""
        out = io.BytesIO()
        picture_of(pixels).save(out, **self.saving.options())
        return b"".join(described(out.getbuffer(), self.wanted))


@dataclass(frozen=True)
class LosslessEncoder:
    """Encoder of an image that keeps every value."""

    info: ImageInfo
    effort: int
    wanted: Description

    @property
    def work_bytes(self) -> int:
        """Memory of the encoder, and of the file."""
        return FIXED_BYTES + PIXEL_BYTES * self.info.pixels

    def encode(self, pixels: Pixels) -> Data:
        """Return the file."""
        shown = pixels[..., 0] if self.info.channels == 1 else pixels
        speed = _SPEEDS - self.effort
        made = imagecodecs.avif_encode(shown, level=100, speed=speed, numthreads=1)
        return b"".join(described(memoryview(made), self.wanted))


def picture_of(pixels: Pixels) -> Any:
    """Return pixels as an image of Pillow's."""
    from PIL import Image  # noqa: PLC0415 - takes long, and is needed here alone

    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def must_have_plugin(name: str) -> None:
    """Refuse to write the file `name` where Pillow has no AVIF.

    Raises
    ------
    UsageError
        If that is so.
    """
    try:
        from PIL.AvifImagePlugin import SUPPORTED  # noqa: PLC0415 - takes long
    except ImportError:
        SUPPORTED = False  # noqa: N806 - Pillow's name
    if not SUPPORTED:
        raise UsageError(f"{name}: Pillow was built without AVIF: pip install -U 'pillow>=11.3'")
