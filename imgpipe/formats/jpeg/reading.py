"""JPEG files as sources of pixels.

A large file that one scan codes is read as a stream, by OpenImageIO. So is a progressive file, for
which the decoder holds all coefficients. Everything else is decoded at once: small files, CMYK
without restart markers, arithmetic coding, and samples of 12 bits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from imgpipe.errors import CorruptError, FormatError
from imgpipe.formats.base import Check, Source
from imgpipe.formats.jpeg.groups import in_groups
from imgpipe.formats.jpeg.mappedrows import MappedSource
from imgpipe.formats.jpeg.metadata import has_gain_map, read_metadata
from imgpipe.formats.jpeg.reduced import ReducedSource, decode_strictly, reduced
from imgpipe.formats.jpeg.scanlines import SMALL, ScanlineSource
from imgpipe.formats.jpegs import strict
from imgpipe.formats.jpegs.markers import Header, JpegError, UnsupportedError, read_header
from imgpipe.formats.jpegs.scanlines import is_there
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.wholedecoding import content_of, decoded, fill
from imgpipe.image import Colour, ImageInfo, Pixels, check_pixels
from imgpipe.records import dataclass

__all__ = ["WholeSource", "open_source"]

_SMALL = SMALL
_COLOURS: dict[int, Colour] = {1: "gray", 3: "rgb", 4: "cmyk"}


def open_source(origin: Origin, max_pixels: int | None = None, *, salvage: bool = False) -> Source:
    """Open a JPEG file: read and check its header.

    Parameters
    ----------
    origin : Origin
        The file. It is opened again for every pass and held open by none.
    max_pixels : int, optional
        Refuse images of more pixels; see `imgpipe.image.check_pixels`.
    salvage : bool
        Whether the file may be damaged: the source gives rows then, if there is a decoder for them.

    Returns
    -------
    ScanlineSource, MappedSource, WholeSource or GroupSource
        Rows from top to bottom, all pixels at once, or any rows.

    Raises
    ------
    InputError
        If there is no such file or it cannot be used; `imgpipe.errors` has the kinds.
    """
    name = origin.name
    with origin.open() as file:
        size = size_of(file)
        try:
            header = read_header(file)
            strict.check_kind(header)
        except UnsupportedError as error:
            raise FormatError(f"{name}: {error}; convert it with another program") from None
        except JpegError as error:
            raise CorruptError(f"{name}: the file is damaged: {error}; get a fresh copy") from None
    check_pixels(header.height, header.width, name, max_pixels)
    info = _info(header, name)
    gain_map = any(map(has_gain_map, header.marks))
    header = replace(header, marks=())
    whole = WholeSource(info, origin, header, size)
    if salvage and header.precision == 8 and not header.arithmetic:
        groups = in_groups(info, origin, inverted=whole.header.inverted)
        if groups is not None:
            return groups.divided()
        if info.channels != 4 and is_there():
            return ScanlineSource(info, origin, header, size, bare=gain_map, salvage=True)
    if info.pixels <= _SMALL or header.precision != 8 or header.arithmetic:
        return whole
    if info.channels == 4:
        return in_groups(info, origin, inverted=whole.header.inverted) or whole
    if not is_there():
        return MappedSource(info, origin, header, size)
    return ScanlineSource(info, origin, header, size, bare=gain_map)


def _info(header: Header, name: str) -> ImageInfo:
    channels = len(header.components)
    dtype = np.dtype(np.uint8 if header.precision == 8 else np.uint16)
    metadata = read_metadata(header, name)
    return ImageInfo(
        header.height, header.width, channels, dtype, None, _COLOURS[channels], metadata
    )


@dataclass(frozen=True)
class WholeSource:
    """A JPEG file that is decoded at once."""

    access: ClassVar[Literal["whole"]] = "whole"
    grain: ClassVar[tuple[int, int]] = (1, 1)
    info: ImageInfo
    origin: Origin
    header: Header
    size: int

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.origin.name

    @property
    def details(self) -> dict[str, str]:
        """Facts for `imgpipe info`."""
        header = self.header
        reasons = {
            "it is small": self.info.pixels <= _SMALL,
            "it is progressive": header.progressive,
            "its coding is arithmetic": header.arithmetic,
            "a sample has 12 bits": header.precision != 8,
            "it is CMYK without restart markers": self.info.channels == 4,
        }
        because = next((reason for reason, holds in reasons.items() if holds), "")
        return {**header.details, "because": because}

    @property
    def decode_bytes(self) -> int:
        """Memory beside the pixels: the file, coefficients, and the check of 12 bits."""
        taken = self.size + (2 << 20) + 64 * self.info.row_bytes
        if not self.header.at_once:
            taken += self.header.coefficient_bytes
        if self.header.precision != 8:
            taken += 2 * self.size + self.info.nbytes
        return taken

    def decode_into(self, out: Pixels, check: Check = lambda: None) -> None:
        """Fill `out`, shape (height, width, channels), with the whole image.

        Raises
        ------
        CorruptError
            If the file is damaged.
        """
        decode_strictly(self.origin, self.header, out, check)

    def reduced(self, size: tuple[int, int]) -> ReducedSource | None:
        """Return the smallest image that is enough for a thumbnail of a size; None for the file."""
        return reduced(self.info, self.origin, self.header, size)

    def salvage_into(self, out: Pixels) -> None:
        """Fill `out` with the pixels that the decoder gives for a damaged file.

        Raises
        ------
        CorruptError
            If it makes nothing.
        """
        from imagecodecs import jpeg8_decode  # noqa: PLC0415 - rarely needed

        data = content_of(self.origin)
        decoded(lambda: fill(out, jpeg8_decode(data)), self.name)
        if self.header.inverted:
            np.invert(out, out=out)
