"""JPEG XL files as sources of pixels."""

from __future__ import annotations

import logging
from typing import BinaryIO

import imagecodecs
import numpy as np

from imgpipe.errors import FormatError
from imgpipe.formats.codecs import must_decode
from imgpipe.formats.damage import damage
from imgpipe.formats.jpegxl.colours import metadata_of
from imgpipe.formats.jpegxl.container import read_parts
from imgpipe.formats.jpegxl.header import ALPHA, BLACK, GRAY, Header, read_header
from imgpipe.formats.jpegxl.profile import read_profile
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.wholedecoding import DecodedSource, fill
from imgpipe.image import ImageInfo, Pixels, check_pixels
from imgpipe.records import dataclass

__all__ = ["Decoder", "open_source"]

_log = logging.getLogger(__name__)

# Memory of the decoder for a sample, and for a pixel; see benchmarks/codec_memory.py.
_SAMPLE_BYTES = {1: 2, 2: 3, 4: 4}
_PIXEL_BYTES = 4
_FIXED_BYTES = 24 << 20
_PROFILE_BYTES = 1 << 20  # of a codestream, which hold its profile


def open_source(origin: Origin, max_pixels: int | None = None) -> DecodedSource:
    """Open a JPEG XL file: read everything but its pixels.

    Raises
    ------
    InputError
        If there is no such file or it cannot be used; `imgpipe.errors` has the kinds.
    """
    name = origin.name
    must_decode("JPEGXL", name)
    with damage(name), origin.open() as file:
        size = size_of(file)
        parts = read_parts(file, size, name)
        header = read_header(parts.head)
        profile = _profile(file, size, header, name) if header.colouring.has_profile else None
    check_pixels(header.height, header.width, name, max_pixels)
    _must_be_known(header, name)
    colours = 1 if header.colouring.space == GRAY else 3
    has_alpha = ALPHA in header.extra
    info = ImageInfo(
        header.height,
        header.width,
        colours + has_alpha,
        _dtype(header),
        colours if has_alpha else None,
        "gray" if colours == 1 else "rgb",
        metadata_of(header, parts, profile, name),
    )
    return DecodedSource(info, origin, Decoder(info, header.bits), size)


@dataclass(frozen=True)
class Decoder:
    """Decoder of an image whose samples have so many bits."""

    info: ImageInfo
    bits: int

    @property
    def work_bytes(self) -> int:
        """Memory of the decoder."""
        each = self.info.channels * _SAMPLE_BYTES[self.info.dtype.itemsize] + _PIXEL_BYTES
        return _FIXED_BYTES + each * self.info.pixels

    def decode_into(self, data: bytes, out: Pixels) -> None:
        """Fill `out`."""
        shape = out.shape[:2] if out.shape[2] == 1 else out.shape
        try:
            pixels = imagecodecs.jpegxl_decode(
                data, index=0, keeporientation=True, numthreads=1, out=out.reshape(shape)
            )
        except RuntimeError as error:
            if "NEED_MORE_INPUT" in str(error):
                raise ValueError("its pixels end too early") from None
            raise
        fill(out, pixels)
        if self.bits < 8:  # as PNG does
            np.take(_scaled(self.bits), out, out=out, mode="clip")


def _profile(file: BinaryIO, size: int, header: Header, name: str) -> bytes | None:
    """Return the ICC profile of a file; None, with a warning, if it cannot be read."""
    content = read_parts(file, size, name, _PROFILE_BYTES).head
    try:
        return read_profile(content, header.places["transform"][1])
    except ValueError as error:
        _log.warning("%s: left out the ICC profile: %s", name, error)
        return None


def _must_be_known(header: Header, name: str) -> None:
    """Refuse files that imgpipe does not read, and log omitted parts."""
    others = [kind for kind in header.extra if kind != ALPHA]
    if BLACK in others:
        raise FormatError(f"{name}: is CMYK, which imgpipe does not read in JPEG XL; convert it")
    if header.associated:
        raise FormatError(f"{name}: has colours multiplied by alpha; convert it first")
    if others and header.colouring.space == GRAY and ALPHA not in header.extra:
        raise FormatError(f"{name}: has channels beside gray; convert it first")
    if others:
        _log.warning("%s: left out the channels beside colour and alpha", name)
    if header.frames:
        _log.warning("%s: is an animation, and its first frame is read", name)


def _dtype(header: Header) -> np.dtype[np.generic]:
    if header.floating:
        return np.dtype(np.float16 if header.bits == 16 else np.float32)
    if header.bits > 16:
        return np.dtype(np.float32)
    return np.dtype(np.uint8 if header.bits <= 8 else np.uint16)


def _scaled(bits: int) -> Pixels:
    """Return the levels of `bits` bits, in eight."""
    most = (1 << bits) - 1
    return (np.arange(most + 1) * 255 // most).astype(np.uint8)
