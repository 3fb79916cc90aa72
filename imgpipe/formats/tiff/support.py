"""Support: the refusal of pages that cannot be decoded, or that have no meaning as an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from imgpipe.errors import FormatError
from imgpipe.formats.tiff import decoding

if TYPE_CHECKING:
    from tifffile import TiffPage

__all__ = ["must_be_supported"]

_COLOURS = {
    8: "CIE L*a*b* colours",
    9: "ICC L*a*b* colours",
    10: "ITU L*a*b* colours",
    32803: "raw sensor data",
    32844: "CIE LogL values",
    32845: "CIE LogLuv colours",
}
_MOST_SAMPLES = 4096
_YCBCR = 6


def must_be_supported(page: TiffPage, name: str) -> None:
    """Refuse a page of a file called `name` that cannot be read.

    Raises
    ------
    FormatError
        If it uses something that is not supported.
    """
    for reason in (*_of_pixels(page), *_of_coding(page)):
        raise FormatError(f"{name}: {reason}")


def _of_pixels(page: TiffPage) -> Iterator[str]:
    """Yield the faults of the pixels, and the remedies."""
    bits: Any = page.bitspersample
    colours = _COLOURS.get(int(page.photometric))
    if colours is not None:
        yield f"holds {colours}, which are not supported; convert it to RGB first"
    if page.imagedepth != 1:
        yield f"an image of {page.imagedepth} layers in depth is not supported; split it first"
    if isinstance(bits, tuple):
        listed = ", ".join(map(str, bits))
        yield f"samples of {listed} bits are not supported; convert it to 8 bits first"
    elif page.dtype is None or page.dtype.kind not in "biuf" or page.dtype.itemsize > 8:
        kind = {5: "complex integers", 6: "complex numbers"}.get(int(page.sampleformat), "samples")
        yield f"{kind} of {bits} bits are not supported; convert it first"
    if page.samplesperpixel > _MOST_SAMPLES:
        yield f"{page.samplesperpixel} samples a pixel are not supported; select some first"


def _of_coding(page: TiffPage) -> Iterator[str]:
    """Yield the faults of the compression, and the remedies."""
    compression, codec = page.compression, decoding.codec_of(int(page.compression))
    label = getattr(compression, "name", "")
    label = f"{label} ({int(compression)})" if label else str(int(compression))
    if codec is None:
        yield f"the compression {label} is not supported; convert it to another first"
        return
    if codec and not decoding.is_available(codec):
        yield (
            f"the compression {label} needs an imagecodecs with {codec.upper()}: "
            "pip install --upgrade imagecodecs"
        )
    if codec.startswith("ccitt") and (page.bitspersample, page.samplesperpixel) != (1, 1):
        yield f"the compression {label} is for pixels of 1 bit; the file is damaged"
    if not decoding.knows_predictor(int(page.predictor)):
        yield f"the predictor {int(page.predictor)} is not supported; write it without"
    if int(page.photometric) == _YCBCR and codec not in decoding.OF_RGB:
        plain = (
            int(page.planarconfig) == 1 and int(page.predictor) == 1 and not codec.startswith("jp")
        )
        if page.is_subsampled and not plain:
            yield "this kind of subsampled colour is not supported; convert it to RGB first"
        if (page.bitspersample, page.samplesperpixel) != (8, 3):
            yield "YCbCr is only supported as three samples of 8 bits; convert it to RGB first"
