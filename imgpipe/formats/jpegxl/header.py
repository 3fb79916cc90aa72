"""Header of a JPEG XL codestream (ISO/IEC 18181-1, annex D): read, and changed.

imagecodecs neither tells what a file holds before it is decoded, nor writes an orientation or an
ICC profile. The header ends with a byte, in front of the first frame, so it can be replaced.
"""

from __future__ import annotations

from dataclasses import field

from imgpipe.formats.base import Data
from imgpipe.formats.jpegxl.bits import BitReader, BitWriter
from imgpipe.formats.jpegxl.profile import append_profile
from imgpipe.records import dataclass

__all__ = [
    "GRAY",
    "LINEAR",
    "SIGNATURE",
    "XYB",
    "Colouring",
    "Header",
    "read_header",
    "with_header",
]

SIGNATURE = b"\xff\n"
HEADER_BYTES = 4096  # of a codestream, which hold its header; a profile is not part of it
ALPHA, BLACK = 0, 3
GRAY, XYB = 1, 2
SRGB, LINEAR = 13, 8
D65, PRIMARIES_SRGB, RELATIVE = 1, 1, 1

_SIZE = ((1, 9), (1, 13), (1, 18), (1, 30))
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_CUSTOM = 2
WHITES = {1: (0.3127, 0.329), 10: (1 / 3, 1 / 3), 11: (0.314, 0.351)}
PRIMARIES = {
    1: ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06)),
    9: ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046)),
    11: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
}


@dataclass(frozen=True)
class Colouring:
    """Meaning of colours.

    Attributes
    ----------
    space : int
        0 for RGB, 1 for gray, 2 for XYB, 3 for none of these.
    has_profile : bool
        Whether an ICC profile follows the header.
    white, primaries : int
        As in ITU-T H.273, but 2 for some of their own and 1 for a white point of D65.
    transfer : int
        As in ITU-T H.273.
    gamma : float or None
        Exponent in place of that.
    intent : int
        Rendering intent.
    places : tuple of float
        CIE xy of white, red, green and blue, where white or primaries are of their own; of white
        alone for gray.
    """

    space: int = 0
    has_profile: bool = False
    white: int = D65
    primaries: int = PRIMARIES_SRGB
    transfer: int = SRGB
    gamma: float | None = None
    intent: int = RELATIVE
    places: tuple[float, ...] = ()

    @property
    def is_srgb(self) -> bool:
        """Return whether it is sRGB, the default meaning of pixels."""
        plain = (self.white, self.primaries, self.transfer) == (D65, PRIMARIES_SRGB, SRGB)
        return plain and self.gamma is None and not self.has_profile


@dataclass(frozen=True)
class Header:
    """Facts of a header.

    Attributes
    ----------
    height, width : int
        Pixels, as they are stored.
    orientation : int
        Position of the first row and column, as EXIF counts.
    frames : bool
        Whether it is an animation.
    bits : int
        Bits of a sample.
    floating : bool
        Whether samples are floats.
    extra : tuple of int
        Types of the channels beside colour; 0 is alpha, 3 is black.
    associated : bool
        Whether colours are multiplied by alpha.
    xyb : bool
        Whether pixels are stored as XYB, which is lossy.
    colouring : Colouring
        Meaning of the colours.
    places : dict
        First and last bit of the parts of the header.
    """

    height: int
    width: int
    orientation: int = 1
    frames: bool = False
    bits: int = 8
    floating: bool = False
    extra: tuple[int, ...] = ()
    associated: bool = False
    xyb: bool = True
    colouring: Colouring = field(default_factory=Colouring)
    places: dict[str, tuple[int, int]] = field(default_factory=dict, compare=False)


def read_header(data: bytes) -> Header:
    """Return the facts at the beginning of a codestream.

    Raises
    ------
    ValueError
        If it is none.
    """
    if not data.startswith(SIGNATURE):
        raise ValueError("it does not begin like a codestream of JPEG XL")
    reader = BitReader(data[:HEADER_BYTES], 16)
    places: dict[str, tuple[int, int]] = {}
    height, width = _size(reader)
    places["size"] = 16, reader.position
    if reader.flag():
        places["transform"] = _transform(reader, xyb=True)
        return Header(height, width, places=places)
    orientation, frames = 1, False
    extra_fields = reader.flag()
    if extra_fields:
        orientation = 1 + reader.bits(3)
        if reader.flag():
            _size(reader)
        if reader.flag():
            _preview(reader)
        frames = reader.flag()
        if frames:
            _animation(reader)
    start = reader.position
    bits, floating = _depth(reader)
    reader.flag()
    count = reader.u32((0, 0), (1, 0), (2, 4), (1, 12))
    found = [_extra_channel(reader) for _ in range(count)]
    xyb = reader.flag()
    places["samples"] = start, reader.position
    start = reader.position
    colouring = _colouring(reader)
    places["colouring"] = start, reader.position
    start = reader.position
    if extra_fields and not reader.flag():
        reader.bits(16 + 16 + 1 + 16)
    places["tones"] = start, reader.position
    start = reader.position
    _extensions(reader)
    places["extensions"] = start, reader.position
    places["transform"] = _transform(reader, xyb=xyb)
    return Header(
        height, width, orientation, frames, bits, floating,
        tuple(kind for kind, _ in found), any(together for _, together in found),
        xyb, colouring, places,
    )  # fmt: skip


def with_header(
    data: Data, orientation: int, colouring: Colouring, profile: bytes | None = None
) -> tuple[bytes, memoryview]:
    """Return a codestream with another orientation and meaning of colours, in two parts.

    Parameters
    ----------
    data : bytes or memoryview
        A codestream without animation, preview and profile.
    orientation : int
        Its new orientation.
    colouring : Colouring
        The new meaning of its colours.
    profile : bytes, optional
        An ICC profile, which stands in its place.
    """
    begin = bytes(data[:HEADER_BYTES])
    old = read_header(begin)
    if profile is not None:
        colouring = Colouring(colouring.space, has_profile=True)
    writer = BitWriter()
    writer.bits(int.from_bytes(SIGNATURE, "little"), 16)
    writer.copy(begin, *old.places["size"])
    writer.bits(0, 1)
    writer.bits(orientation != 1, 1)
    if orientation != 1:
        writer.bits(orientation - 1, 3)
        writer.bits(0, 3)
    if "samples" in old.places:
        writer.copy(begin, *old.places["samples"])
    else:
        writer.bits(0b1_00_1_00_0, 7)
    _write_colouring(writer, colouring)
    if orientation != 1:
        writer.bits(1, 1)
    if "extensions" in old.places:
        writer.copy(begin, *old.places["extensions"])
    else:
        writer.u64(0)
    writer.copy(begin, *old.places["transform"])
    if profile is not None:
        append_profile(writer, profile)
    end = -(-old.places["transform"][1] // 8)
    return writer.content(), memoryview(data)[end:]


def _size(reader: BitReader) -> tuple[int, int]:
    small = reader.flag()

    def side() -> int:
        return 8 * (1 + reader.bits(5)) if small else reader.u32(*_SIZE)

    height = side()
    ratio = reader.bits(3)
    if not ratio:
        return height, side()
    over, under = _RATIOS[ratio - 1]
    return height, height * over // under


def _preview(reader: BitReader) -> None:
    small = reader.flag()

    def side() -> int:
        if small:
            return 8 * reader.u32((16, 0), (32, 0), (1, 5), (33, 9))
        return reader.u32((1, 6), (65, 8), (321, 10), (1345, 12))

    side()
    if not reader.bits(3):
        side()


def _animation(reader: BitReader) -> None:
    reader.u32((100, 0), (1000, 0), (1, 10), (1, 30))
    reader.u32((1, 0), (1001, 0), (1, 8), (1, 10))
    reader.u32((0, 0), (0, 3), (0, 16), (0, 32))
    reader.flag()


def _depth(reader: BitReader) -> tuple[int, bool]:
    """Return the bits of a sample, and whether they are a float."""
    if not reader.flag():
        return reader.u32((8, 0), (10, 0), (12, 0), (1, 6)), False
    bits = reader.u32((32, 0), (16, 0), (24, 0), (1, 6))
    reader.bits(4)
    return bits, True


def _extra_channel(reader: BitReader) -> tuple[int, bool]:
    """Return the type of a channel, and whether it is premultiplied alpha."""
    if reader.flag():
        return ALPHA, False
    kind = reader.enum()
    _depth(reader)
    reader.u32((0, 0), (3, 0), (4, 0), (1, 3))
    reader.bits(8 * reader.u32((0, 0), (0, 4), (16, 5), (48, 10)))
    associated = kind == ALPHA and reader.flag()
    if kind == 2:
        reader.bits(4 * 16)
    if kind == 5:
        reader.u32((1, 0), (0, 2), (3, 4), (19, 8))
    return kind, associated


def _colouring(reader: BitReader) -> Colouring:
    if reader.flag():
        return Colouring()
    has_profile, space = reader.flag(), reader.enum()
    if has_profile:
        return Colouring(space, has_profile=True)
    white, primaries, transfer, gamma = D65, PRIMARIES_SRGB, SRGB, None
    places: tuple[float, ...] = ()
    if space != XYB:
        white = reader.enum()
        places = _chromaticity(reader) if white == _CUSTOM else WHITES.get(white, ())
        if space != GRAY:
            primaries = reader.enum()
            own = primaries == _CUSTOM
            more = (
                [_chromaticity(reader) for _ in range(3)] if own else PRIMARIES.get(primaries, ())
            )
            places = (*places, *(value for one in more for value in one))
        if reader.flag():
            gamma = reader.bits(24) / 1e7
        else:
            transfer = reader.enum()
    places = places if _CUSTOM in (white, primaries) else ()
    return Colouring(space, False, white, primaries, transfer, gamma, reader.enum(), places)


def _write_colouring(writer: BitWriter, one: Colouring) -> None:
    if one == Colouring():
        writer.bits(1, 1)
        return
    writer.bits(0, 1)
    writer.bits(one.has_profile, 1)
    writer.enum(one.space)
    if one.has_profile:
        return
    writer.enum(one.white)
    if one.white == _CUSTOM:
        _write_chromaticity(writer, one.places[:2])
    if one.space != GRAY:
        writer.enum(one.primaries)
        if one.primaries == _CUSTOM:
            for at in (2, 4, 6):
                _write_chromaticity(writer, one.places[at : at + 2])
    writer.bits(one.gamma is not None, 1)
    if one.gamma is not None:
        writer.bits(round(one.gamma * 1e7), 24)
    else:
        writer.enum(one.transfer)
    writer.enum(one.intent)


def _chromaticity(reader: BitReader) -> tuple[float, ...]:
    found = []
    for _ in range(2):
        code = reader.u32((0, 19), (524288, 19), (1048576, 20), (2097152, 21))
        found.append((-(code + 1) // 2 if code & 1 else code // 2) / 1e6)
    return tuple(found)


def _write_chromaticity(writer: BitWriter, place: tuple[float, ...]) -> None:
    for value in place:
        code = 2 * round(1e6 * value)
        way = 0 if code < 524288 else 1 if code < 1048576 else 2
        writer.bits(way, 2)
        writer.bits(code - (0, 524288, 1048576)[way], (19, 19, 20)[way])


def _extensions(reader: BitReader) -> None:
    kinds = reader.u64()
    sizes = [reader.u64() for at in range(64) if kinds >> at & 1]
    for size in sizes:
        reader.bits(size)


def _transform(reader: BitReader, *, xyb: bool) -> tuple[int, int]:
    """Skip the constants of transforms; return their place."""
    start = reader.position
    if not reader.flag():
        if xyb and not reader.flag():
            reader.bits(16 * (9 + 3 + 4))
        mask = reader.bits(3)
        for bit, count in enumerate((15, 55, 210)):
            if mask >> bit & 1:
                reader.bits(16 * count)
    return start, reader.position
