"""WebP files as sinks of pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import imagecodecs

from imgpipe.formats.base import Data
from imgpipe.formats.codecs import must_encode
from imgpipe.formats.composition import ComposedAlbum
from imgpipe.formats.exifmetadata import exif_of
from imgpipe.formats.frames import USUAL_SECONDS, Album, Timing, must_be_alike
from imgpipe.formats.target import Target
from imgpipe.formats.webp.riff import (
    ALPHA,
    ANIMATED,
    chunk,
    chunks_in,
    extended,
    file_of,
    flags_of,
    last_chunks,
    three,
)
from imgpipe.formats.wholeencoding import EncodedSink
from imgpipe.image import ImageInfo, Pixels
from imgpipe.metadata import Metadata
from imgpipe.parameters import Between
from imgpipe.records import dataclass

__all__ = ["Encoder", "open_album", "open_sink"]

_PIXELS = (b"ALPH", b"VP8 ", b"VP8L")
_LOSSLESS_LEVELS = (0, 20, 25, 30, 50, 75, 100)  # a second effort, as libwebp's presets pair them
_ALPHA_IS_USED = 0x10  # in the fifth byte of lossless pixels
_REPLACES = 0b10  # a frame replaces the canvas, and is not mixed with it

# Memory of the encoder for a pixel, the returned file included; see benchmarks/codec_memory.py.
_LOSSY_BYTES = 6
_LOSSLESS_BYTES = 40  # and so for alpha, which is lossless always
_FIXED_BYTES = 8 << 20

Quality = Annotated[int, Between(1, 100), "1 is the smallest file, 100 the closest to the image."]
Lossless = Annotated[bool, "Keep every value; a quality has no effect."]
Effort = Annotated[int, Between(0, 6), "0 is fast, 6 is slow and gives a smaller file."]


def open_sink(
    target: Target,
    info: ImageInfo,
    *,
    quality: Quality = 80,
    lossless: Lossless = False,
    effort: Effort = 2,
) -> EncodedSink:
    """Begin a WebP file.

    Raises
    ------
    UsageError
        If imagecodecs was built without WebP.
    """
    must_encode("WEBP", target.name)
    exif = exif_of(info.metadata, target.name)
    return EncodedSink(target, info, Encoder(info, exif, quality, effort, lossless))


def open_album(
    target: Target,
    infos: tuple[ImageInfo, ...],
    timing: Timing | None,
    *,
    quality: Quality = 80,
    lossless: Lossless = False,
    effort: Effort = 2,
) -> Album:
    """Begin an animation.

    Raises
    ------
    UsageError
        If imagecodecs was built without WebP, or frames differ in size.
    """
    must_encode("WEBP", target.name)
    must_be_alike(infos, target.name, "an animated WebP", values=False)
    return ComposedAlbum(target, Animation(target.name, timing, quality, effort, lossless))


@dataclass(frozen=True)
class Encoder:
    """Encoder of an image."""

    info: ImageInfo
    exif: bytes | None
    quality: int
    effort: int
    lossless: bool

    @property
    def work_bytes(self) -> int:
        """Memory of the encoder, and of the file."""
        exact = self.lossless or self.info.alpha is not None
        each = _LOSSLESS_BYTES if exact else _LOSSY_BYTES
        return _FIXED_BYTES + each * self.info.pixels

    def encode(self, pixels: Pixels) -> Data:
        """Return the file."""
        known = self.info.metadata
        made = imagecodecs.webp_encode(
            pixels,
            level=_LOSSLESS_LEVELS[self.effort] if self.lossless else self.quality,
            lossless=self.lossless,
            method=self.effort,
            numthreads=1,
        )
        # The encoder drops alpha if all is opaque; two flags bring it back.
        flags = ALPHA * (self.info.alpha is not None)
        flags |= flags_of(known, self.exif)
        if not flags:
            return memoryview(made)
        parts = extended(flags, self.info.height, self.info.width)
        if known.icc:
            parts += chunk(b"ICCP", known.icc)
        for kind, content in chunks_in(memoryview(made)):
            if kind == b"VP8L" and self.info.alpha is not None:
                head = bytes(content[:4]) + bytes([content[4] | _ALPHA_IS_USED])
                parts += chunk(kind, head, content[5:])
            elif kind in _PIXELS:
                parts += chunk(kind, content)
        return file_of(parts + last_chunks(self.exif, known.xmp))


@dataclass(frozen=True)
class Animation:
    """An animation: its frames are images of their own, without their containers."""

    name: str
    timing: Timing | None
    quality: int
    effort: int
    lossless: bool

    def encoder(self, info: ImageInfo) -> Encoder:
        """Return the encoder of a frame."""
        bare = replace(info, metadata=Metadata())
        return Encoder(bare, None, self.quality, self.effort, self.lossless)

    def part(self, number: int, info: ImageInfo, content: bytes) -> bytes:
        """Return the chunk of a frame."""
        seconds = USUAL_SECONDS if self.timing is None else self.timing.seconds[number]
        place = bytes(6) + three(info.width - 1) + three(info.height - 1)
        about = place + three(min(round(seconds * 1000), 0xFFFFFF)) + bytes([_REPLACES])
        pixels = [each for each in chunks_in(content) if each[0] in _PIXELS]
        return b"".join(chunk(b"ANMF", about, *(p for one in pixels for p in chunk(*one))))

    def head(self, infos: tuple[ImageInfo, ...], size: int) -> bytes:
        """Return the chunks before the frames."""
        known, exif = infos[0].metadata, exif_of(infos[0].metadata, self.name)
        height, width = (max(sides) for sides in zip(*(i.shape[:2] for i in infos), strict=True))
        transparent = any(info.alpha is not None or info.shape[:2] != (height, width)
                          for info in infos)  # fmt: skip
        loop = 0 if self.timing is None else min(self.timing.loop, 65535)
        head = extended(ANIMATED | ALPHA * transparent | flags_of(known, exif), height, width)
        head += chunk(b"ICCP", known.icc) if known.icc else []
        head += chunk(b"ANIM", bytes(4) + loop.to_bytes(2, "little"))
        return file_of(head, more=size + len(self.tail(infos)))

    def tail(self, infos: tuple[ImageInfo, ...]) -> bytes:
        """Return the chunks after the frames."""
        known = infos[0].metadata
        return b"".join(last_chunks(exif_of(known, self.name), known.xmp))
