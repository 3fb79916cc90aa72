"""Metadata of an image, and what of it stays true when the image changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from imgpipe.density import (
    METRES_PER_INCH,
    Density,
    density_from_dpi,
    density_from_metres,
)
from imgpipe.geo import Geo, Move

__all__ = ["Colour", "Density", "Metadata", "Text", "density_from_dpi", "density_from_metres"]

Colour = Literal["gray", "rgb", "cmyk", "other"]


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
    geo : Geo or None
        Georeference.
    orientation : int
        Position of the first row and column, as EXIF counts: 1 is upright, up to 8.
    pixels_per_metre : (Fraction, Fraction) or None
        Resolution along x and y. `density_from_dpi` and `density_from_metres` make it.
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
    geo: Geo | None = None
    orientation: int = 1
    pixels_per_metre: Density | None = None
    pixel_aspect: tuple[int, int] | None = None
    gamma: float | None = None
    srgb_intent: int | None = None
    chromaticities: tuple[float, ...] | None = None
    cicp: tuple[int, int, int, int] | None = None
    mastering: tuple[float, ...] | None = None
    light_levels: tuple[float, float] | None = None
    texts: tuple[Text, ...] = ()

    @property
    def dpi(self) -> Density | None:
        """Resolution along x and y in pixels per inch."""
        if self.pixels_per_metre is None:
            return None
        x, y = self.pixels_per_metre
        return x * METRES_PER_INCH, y * METRES_PER_INCH

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

    def cropped(self, x: int, y: int) -> Metadata:
        """Return the entries that are true of a part that begins at column `x` and row `y`.

        The luminance of the brightest pixel is kept; the average of a part is not known.
        """
        levels = self.light_levels and (self.light_levels[0], 0.0)
        return replace(self._moved((1, 0, -x, 0, 1, -y)), light_levels=levels)

    def flipped(self, direction: str, height: int, width: int) -> Metadata:
        """Return the metadata of the image of `height` x `width` pixels, mirrored."""
        if direction == "vertical":
            return self._moved((1, 0, 0, 0, -1, height))
        return self._moved((-1, 0, width, 0, 1, 0))

    def turned(self, angle: int, height: int, width: int) -> Metadata:
        """Return the metadata of the image, rotated counter-clockwise by `angle` degrees."""
        moves: dict[int, Move] = {
            90: (0, 1, 0, -1, 0, width),
            180: (-1, 0, width, 0, -1, height),
            270: (0, -1, height, 1, 0, 0),
        }
        made = self._moved(moves[angle])
        return made if angle == 180 else made.transposed()

    def resized(self, before: tuple[int, int], after: tuple[int, int], *, exact: bool) -> Metadata:
        """Return the metadata of the image of other rows and columns, as large on paper as it was.

        Unless the size is `exact`, square pixels stay square, though sides are rounded.
        """
        y, x = Fraction(after[0], before[0]), Fraction(after[1], before[1])
        made = self._moved((float(x), 0, 0, 0, float(y), 0))
        if not exact:
            x = y = x if before[1] >= before[0] else y
        density, aspect = self.pixels_per_metre, self.pixel_aspect
        if density is not None:
            density = density[0] * x, density[1] * y
        if aspect is not None and x != y:
            ratio = (aspect[0] * x / (aspect[1] * y)).limit_denominator(1 << 15)
            aspect = ratio.numerator, ratio.denominator
        return replace(made, pixels_per_metre=density, pixel_aspect=aspect)

    def transposed(self) -> Metadata:
        """Return the metadata with the resolutions along x and y exchanged."""
        return replace(
            self,
            pixels_per_metre=self.pixels_per_metre and self.pixels_per_metre[::-1],
            pixel_aspect=self.pixel_aspect and self.pixel_aspect[::-1],
        )

    def _moved(self, move: Move) -> Metadata:
        return self if self.geo is None else replace(self, geo=self.geo.moved(move))
