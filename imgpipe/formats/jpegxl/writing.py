"""JPEG XL files as sinks of pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import imagecodecs
import numpy as np

from imgpipe.formats.base import Data
from imgpipe.formats.codecs import must_encode
from imgpipe.formats.exifmetadata import exif_of
from imgpipe.formats.jpegxl.colours import colouring_of, with_loss
from imgpipe.formats.jpegxl.container import codestream_of, contained
from imgpipe.formats.jpegxl.header import Colouring, with_header
from imgpipe.formats.target import Target
from imgpipe.formats.wholeencoding import EncodedSink
from imgpipe.image import ImageInfo, Pixels
from imgpipe.parameters import Between
from imgpipe.records import dataclass

__all__ = ["Encoder", "open_sink"]

_EFFORT, _EFFORT_OF_LOSS = 1, 3
_OTHER_EFFORTS = (8, 9)  # libjxl 0.12 keeps floats with them that it refuses at a lower one
_REFUSAL = "JxlEncoderProcessOutput returned JXL_ENC_ERR_GENERIC"
_LEAST_SPAN = 1 << 30  # libjxl 0.12 refuses no floats whose bits are nearer, in 20,000 trials
_PIECE = 1 << 20  # samples that are made linear at once

# Memory of the encoder, the returned file included; see benchmarks/codec_memory.py. It works on
# blocks of 2048 x 2048 pixels, so the memory of a pixel counts within the first block only.
_BLOCK_PIXELS = 1 << 22
_FAST_BYTES = {1: 0, 2: 6}  # for a sample of a block, by the bytes of a sample; at effort 1
_SLOW_BYTES = 34
_LOSSY_BYTES, _LOSSY_PIXEL_BYTES = 10, 50
_FILE_BYTES = {1: 3, 2: 4, 4: 5}  # for every sample
_FIXED_BYTES = 24 << 20


def open_sink(
    target: Target,
    info: ImageInfo,
    *,
    quality: Annotated[
        int | None, Between(1, 100), "Quality of a lossy file; without it the file is lossless."
    ] = None,
    lossless: Annotated[bool, "Keep every value; a quality has no effect."] = False,
    effort: Annotated[
        int | None, Between(1, 9), "1 is fast, 9 is slow; by default 1 if lossless, else 3."
    ] = None,
) -> EncodedSink:
    """Begin a JPEG XL file.

    Raises
    ------
    UsageError
        If imagecodecs was built without JPEG XL.
    """
    must_encode("JPEGXL", target.name)
    quality = None if lossless else quality
    colouring = colouring_of(info) if quality is None else with_loss(info, target.name)
    if effort is None:
        effort = _EFFORT if quality is None else _EFFORT_OF_LOSS
    block = exif_of(info.metadata, target.name)
    info = replace(info, metadata=replace(info.metadata, exif=block))
    return EncodedSink(target, info, Encoder(info, quality, effort, colouring))


@dataclass(frozen=True)
class Encoder:
    """Encoder of an image."""

    info: ImageInfo
    quality: int | None
    effort: int
    colouring: Colouring

    @property
    def work_bytes(self) -> int:
        """Memory of the encoder, and of the file."""
        info, size = self.info, self.info.dtype.itemsize
        if self.quality is not None:
            each = _LOSSY_PIXEL_BYTES + _LOSSY_BYTES * info.channels
        else:
            fast = self.effort == _EFFORT and size in _FAST_BYTES
            each = info.channels * (_FAST_BYTES[size] if fast else _SLOW_BYTES)
        block = each * min(info.pixels, _BLOCK_PIXELS)
        return _FIXED_BYTES + block + _FILE_BYTES[size] * info.pixels * info.channels

    def encode(self, pixels: Pixels) -> Data:
        """Return the file."""
        info, known = self.info, self.info.metadata
        if self.quality is not None and pixels.dtype == np.uint16:
            _make_linear(pixels, info.alpha)  # as imagecodecs takes 16 bits
        codestream, level = codestream_of(self._coded(pixels))
        profile = known.icc if self.quality is None else None
        parts = with_header(codestream, known.orientation, self.colouring, profile)
        return b"".join(contained(parts, level, known.exif, known.xmp))

    def _coded(self, pixels: Pixels) -> bytes | bytearray:
        """Return the file of libjxl, at the first effort that keeps the floats of an image.

        libjxl predicts a float as the integer that its bits are. From 0.12 on it gives up where the
        difference is too large for 32 bits, as between floats of both signs. From effort 8 on it
        does so in images of few pixels alone. Any other error would be the same at each effort.
        """
        others = [each for each in _OTHER_EFFORTS if each > self.effort]
        for effort in (self.effort, *others):
            try:
                return self._encoded(pixels, effort)
            except imagecodecs.JpegxlError as error:
                if not (str(error) == _REFUSAL and self._is_hard_to_predict(pixels)):
                    raise
                refusal = error
        raise ValueError(
            f"{imagecodecs.jpegxl_version()} does not keep floats of both signs, "
            "or of very different sizes, in an image of so few pixels"
        ) from refusal

    def _is_hard_to_predict(self, pixels: Pixels) -> bool:
        """Return whether libjxl may refuse these floats for the differences between their bits."""
        if self.quality is not None or pixels.dtype.kind != "f":
            return False
        bits = pixels.view(np.int32)
        return int(bits.max()) - int(bits.min()) >= _LEAST_SPAN

    def _encoded(self, pixels: Pixels, effort: int) -> bytes | bytearray:
        return imagecodecs.jpegxl_encode(
            pixels[..., 0] if self.info.channels == 1 else pixels,
            level=self.quality,
            lossless=self.quality is None,
            effort=effort,
            numthreads=1,
        )


def _make_linear(pixels: Pixels, alpha: int | None) -> None:
    """Undo the transfer curve of sRGB (IEC 61966-2-1) in place."""
    value = np.arange(65536) / 65535
    curve = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    table = (curve * 65535 + 0.5).astype(np.uint16)
    colours = pixels if alpha is None else pixels[..., :alpha]
    step = max(1, _PIECE // max(1, pixels[0].size))
    for y in range(0, len(pixels), step):
        colours[y : y + step] = table[colours[y : y + step]]
