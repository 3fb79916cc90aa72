"""Properties of an image: all that is known before a pixel is read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from imgpipe.errors import LimitError
from imgpipe.geometry import Box

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "Colour",
    "ImageInfo",
    "Metadata",
    "Pixels",
    "Text",
    "check_pixels",
    "guess_colour",
]

# The same as numpy.typing.NDArray[Any], whose import takes longer than many an image.
Pixels: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Colour = Literal["gray", "rgb", "cmyk", "other"]

DEFAULT_MAX_PIXELS = 4_000_000_000


@dataclass(frozen=True)
class Text:
    """One entry of text that travels with an image, such as an author or a title."""

    keyword: str
    text: str
    language: str = ""
    translated: str = ""


@dataclass(frozen=True)
class Metadata:
    """Metadata of an image file, in terms that no format owns.

    Attributes
    ----------
    icc : bytes or None
        ICC profile.
    exif : bytes or None
        EXIF block, from its TIFF header on.
    xmp : bytes or None
        XMP packet.
    orientation : int
        Position of the first row and column, as EXIF counts: 1 is upright, up to 8.
    pixels_per_metre : (float, float) or None
        Resolution along x and y.
    pixel_aspect : (int, int) or None
        Resolution along x and y in an unknown unit: only its ratio means something.
    gamma : float or None
        Exponent that was applied to linear light, 1/2.2 for most pictures.
    srgb_intent : int or None
        Rendering intent, where the pixels are sRGB.
    chromaticities : tuple of 8 float or None
        CIE xy of white, red, green and blue.
    cicp : tuple of 4 int or None
        Coding-independent code points (ITU-T H.273): primaries, transfer, matrix, full range.
    mastering : tuple of 10 float or None
        Display on which the image was graded (SMPTE ST 2086): CIE xy of red, green, blue and
        white, then its highest and lowest luminance in candela per square metre.
    light_levels : (float, float) or None
        Luminance of the brightest pixel and of the brightest frame on average (CTA-861.3), in
        candela per square metre; 0 where it is not known.
    texts : tuple of Text
        Everything written down in words.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    orientation: int = 1
    pixels_per_metre: tuple[float, float] | None = None
    pixel_aspect: tuple[int, int] | None = None
    gamma: float | None = None
    srgb_intent: int | None = None
    chromaticities: tuple[float, ...] | None = None
    cicp: tuple[int, int, int, int] | None = None
    mastering: tuple[float, ...] | None = None
    light_levels: tuple[float, float] | None = None
    texts: tuple[Text, ...] = ()

    def recoloured(self, colour: Colour) -> Metadata:
        """Return the entries that are still true once the colour model has become `colour`.

        A profile describes the channels it was made for: that of an RGB image says nothing about
        a gray one. The transfer curve stays true: gray made of PQ colours is still PQ.
        """
        kept = replace(self, icc=None, chromaticities=None)
        return replace(kept, cicp=None, mastering=None) if colour == "other" else kept

    def brightened(self) -> Metadata:
        """Return the entries that are true of an image that may be brighter than this one."""
        return replace(self, light_levels=None)

    def transposed(self) -> Metadata:
        """Return the metadata of the image with rows and columns exchanged."""
        return replace(
            self,
            pixels_per_metre=self.pixels_per_metre and self.pixels_per_metre[::-1],
            pixel_aspect=self.pixel_aspect and self.pixel_aspect[::-1],
        )


@dataclass(frozen=True)
class ImageInfo:
    """Size and kind of an image.

    Attributes
    ----------
    height, width : int
        Pixels.
    channels : int
        Channels, alpha included. Pixels are always (rows, columns, channels).
    dtype : numpy.dtype
        Type of one value, in the byte order of this machine whatever that of the file is.
    alpha : int or None
        Index of the channel that is alpha; imgpipe keeps it the last one.
    colour : {"gray", "rgb", "cmyk", "other"}
        Meaning of the channels before alpha. Of CMYK, 0 is no ink.
    metadata : Metadata
        The metadata of the file.
    nodata : float or None
        The value of pixels without data.
    """

    height: int
    width: int
    channels: int
    dtype: np.dtype[Any]
    alpha: int | None = None
    colour: Colour = "other"
    metadata: Metadata = field(default_factory=Metadata)
    nodata: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", np.dtype(self.dtype).newbyteorder("="))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels."""
        return self.height, self.width, self.channels

    @property
    def box(self) -> Box:
        """The box of the whole image."""
        return Box.of(self.height, self.width)

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.width * self.channels * self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return self.height * self.row_bytes


def guess_colour(channels: int) -> tuple[Colour, int | None]:
    """Return the usual meaning of `channels` in an image file: colour model and alpha."""
    meanings: dict[int, tuple[Colour, int | None]] = {
        1: ("gray", None),
        2: ("gray", 1),
        3: ("rgb", None),
        4: ("rgb", 3),
    }
    return meanings.get(channels, ("other", None))


def check_pixels(height: int, width: int, name: str, max_pixels: int | None) -> None:
    """Refuse an image that is larger than the limit, before anything is allocated.

    Raises
    ------
    LimitError
        If ``height * width`` exceeds `max_pixels` (default: 4 gigapixels).
    """
    limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
    if height * width > limit:
        raise LimitError(
            f"{name}: declares {width} x {height} = {height * width / 1e6:,.1f} megapixels, "
            f"more than the limit of {limit / 1e6:,g}; if the file is to be trusted, "
            f"raise the limit (--max-pixels {height * width}, or max_pixels= in Python)"
        )
