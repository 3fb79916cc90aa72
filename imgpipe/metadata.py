"""Metadata of an image, and the part that stays true when the image changes."""

from __future__ import annotations

import logging
from dataclasses import replace
from fractions import Fraction
from types import ModuleType
from typing import Any, Literal, cast

from imgpipe.density import (
    METRES_PER_INCH,
    Density,
    density_from_dpi,
    density_from_metres,
)
from imgpipe.geo import Geo, Move
from imgpipe.records import dataclass
from imgpipe.texts import Text, is_picture

__all__ = ["Colour", "Density", "Metadata", "Text", "density_from_dpi", "density_from_metres"]

_RAW_PROFILE = "Raw profile type"
"""Begin of the keywords of texts that hold blocks of other kinds, such as those of Photoshop."""

_log = logging.getLogger(__name__)

_Edit = Literal[
    "oriented",
    "swapped",
    "with_new_density",
    "with_size",
    "without_colour",
    "without_places",
    "without_previews",
    "without_sensor",
]

_Kind = Literal["exif", "xmp", "iptc"]
Colour = Literal["gray", "rgb", "cmyk", "other"]


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
    iptc : bytes or None
        IPTC records.
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
    iptc: bytes | None = None
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

    def completed(self, name: str, orientation: int | None = None) -> Metadata:
        """Return the metadata of a file as a reader has found it, completed from its EXIF block.

        Damaged blocks are left out, with a warning.

        Parameters
        ----------
        name : str
            The file, for warnings.
        orientation : int, optional
            That of the pixels, if the file states it in a place that counts instead of EXIF.
        """
        made = self._sound(name)
        block = made.exif
        if block is None:
            return replace(made, orientation=orientation or self.orientation)
        from imgpipe import exif  # noqa: PLC0415 - rarely needed

        if orientation is None:
            orientation = exif.orientation(block)
        elif orientation != exif.orientation(block):
            made = replace(made, exif=exif.oriented(block, orientation))
        density = self.pixels_per_metre
        if density is None and (self.pixel_aspect is None or _is_square(self.pixel_aspect)):
            density = exif.density(block)
        return replace(made, orientation=orientation, pixels_per_metre=density)

    def upright(self) -> Metadata:
        """Return the metadata of the image whose pixels have been turned upright."""
        return replace(self._edited("oriented", 1), orientation=1)

    def stripped(self) -> Metadata:
        """Return the entries that decide how the pixels look: their colours and their shape."""
        turned = None
        if self.orientation != 1:
            from imgpipe import exif  # noqa: PLC0415 - rarely needed

            turned = exif.oriented(None, self.orientation)
        kept = replace(self, exif=turned, xmp=None, iptc=None, geo=None)
        return replace(kept, pixels_per_metre=None, texts=())

    def repainted(self) -> Metadata:
        """Return the entries that are true of other pixels: all but previews."""
        texts = tuple(
            text
            for text in self.texts
            if not (text.keyword.startswith(_RAW_PROFILE) or is_picture(text.text.encode()))
        )
        made = replace(self._edited("without_previews"), texts=texts)
        return replace(made, iptc=_tried("iptc", self.iptc, "without_previews"))

    def recoloured(self, colour: Colour) -> Metadata:
        """Return the entries that are still true once the colour model has become `colour`.

        A profile describes the channels it was made for: that of an RGB image says nothing about
        a gray one. The transfer curve stays true: gray made of PQ colours is still PQ.
        """
        kept = replace(self._edited("without_colour"), icc=None, chromaticities=None)
        return replace(kept, cicp=None, mastering=None) if colour == "other" else kept

    def brightened(self) -> Metadata:
        """Return the entries that are true of an image that may be brighter than this one."""
        return replace(self, light_levels=None)

    def sized(self, height: int, width: int) -> Metadata:
        """Return the metadata of an image of `height` x `width` pixels."""
        return self._edited("with_size", height, width)

    def displaced(self) -> Metadata:
        """Return the entries that do not say where something is in the image."""
        return replace(self._edited("without_places"), geo=None)

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
        return made if angle == 180 else made._swapped()

    def transposed(self) -> Metadata:
        """Return the metadata of the image with rows and columns exchanged."""
        return self._moved((0, 1, 0, 1, 0, 0))._swapped()

    def resized(self, before: tuple[int, int], after: tuple[int, int], *, exact: bool) -> Metadata:
        """Return the metadata of the image of other rows and columns, as large on paper as it was.

        Unless the size is `exact`, square pixels stay square, though sides are rounded.
        """
        y, x = Fraction(after[0], before[0]), Fraction(after[1], before[1])
        made = self._moved((float(x), 0, 0, 0, float(y), 0))
        if not exact:
            x = y = x if before[1] >= before[0] else y
        made = made._edited("without_sensor")
        density, aspect = self.pixels_per_metre, self.pixel_aspect
        if density is not None:
            made = made._denser((density[0] * x, density[1] * y))
        if aspect is not None and x != y:
            ratio = (aspect[0] * x / (aspect[1] * y)).limit_denominator(1 << 15)
            aspect = ratio.numerator, ratio.denominator
        return replace(made, pixel_aspect=aspect)

    def _moved(self, move: Move) -> Metadata:
        return replace(self.displaced(), geo=self.geo and self.geo.moved(move))

    def _swapped(self) -> Metadata:
        """Return the metadata with the resolutions along x and y exchanged."""
        made = self._edited("swapped")
        if made.pixels_per_metre is not None:
            made = made._denser(made.pixels_per_metre[::-1])
        return replace(made, pixel_aspect=made.pixel_aspect and made.pixel_aspect[::-1])

    def _denser(self, density: Density) -> Metadata:
        """Return the metadata with another resolution, wherever it is stated."""
        return replace(self._edited("with_new_density", density), pixels_per_metre=density)

    def _edited(self, edit: _Edit, *values: Any) -> Metadata:
        """Return the metadata with its EXIF block and its XMP packet changed.

        Parameters
        ----------
        edit : str
            A function of `imgpipe.exif`, of `imgpipe.xmp`, or of both.
        *values
            Its arguments, after the block or the packet.

        Returns
        -------
        Metadata
            Without the facts that cannot be changed: they might no longer be true.
        """
        if self.exif is None and self.xmp is None:
            return self
        return replace(
            self,
            exif=_tried("exif", self.exif, edit, *values),
            xmp=_tried("xmp", self.xmp, edit, *values),
        )

    def _sound(self, name: str) -> Metadata:
        """Return the metadata without damaged blocks, and warn of them."""
        if self.exif is None and self.xmp is None and self.iptc is None:
            return self
        return replace(
            self,
            exif=_tried("exif", self.exif, "checked", warning=f"{name}: ignored the EXIF"),
            xmp=_tried("xmp", self.xmp, "checked", warning=f"{name}: ignored the XMP"),
            iptc=_tried("iptc", self.iptc, "checked", warning=f"{name}: ignored the IPTC"),
        )


def _tried(
    kind: _Kind, given: bytes | None, edit: str, *values: Any, warning: str = ""
) -> bytes | None:
    """Return the result of `edit` for a block; None if there is none, or it is damaged."""
    if given is None:
        return None
    function = getattr(_editor(kind), edit, None)
    if function is None:
        return given
    try:
        return cast("bytes | None", function(given, *values))
    except ValueError as error:
        if warning:
            _log.warning("%s: %s", warning, error)
        return None


def _editor(kind: _Kind) -> ModuleType:
    """Return the module that edits a kind of block, which few files have."""
    if kind == "exif":
        from imgpipe import exif  # noqa: PLC0415

        return exif
    if kind == "iptc":
        from imgpipe import iptc  # noqa: PLC0415

        return iptc
    from imgpipe import xmp  # noqa: PLC0415

    return xmp


def _is_square(aspect: tuple[int, int]) -> bool:
    return aspect[0] == aspect[1]
