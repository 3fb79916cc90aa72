"""Markers: the header of JPEG data, up to the first coded pixel."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from imgpipe.records import dataclass

__all__ = [
    "APP0",
    "APP1",
    "APP2",
    "APP13",
    "APP14",
    "COM",
    "DHT",
    "DQT",
    "DRI",
    "EOI",
    "MAX_SIDE",
    "RST0",
    "SOI",
    "SOS",
    "Component",
    "Header",
    "JpegError",
    "Segment",
    "UnsupportedError",
    "adobe",
    "head_bytes",
    "read_header",
    "segment",
    "segments",
]

SOI, EOI, SOS, DQT, DHT, DRI, DNL = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xDC
APP0, APP1, APP2, APP13, APP14, COM = 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE
RST0 = 0xD0
_DAC, _JPG = 0xCC, 0xC8
_SOF = frozenset(range(0xC0, 0xD0)) - {DHT, _DAC, _JPG}
_ALONE = frozenset({0x01, *range(RST0, SOI + 1)})  # markers without a length
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_LOSSLESS = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_DIFFERENTIAL = frozenset({0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF})
_FIRST_ARITHMETIC = 0xC9
_HEADER_BYTES = 64 << 20


MAX_SIDE = 65_500
"""The most rows, and the most columns, that libjpeg encodes and decodes."""


class JpegError(ValueError):
    """JPEG data is damaged or cannot be decoded; the message is the reason."""


class UnsupportedError(JpegError):
    """JPEG data is of a kind that cannot be decoded."""


class Segment(NamedTuple):
    """A marker with its content.

    Attributes
    ----------
    marker : int
        The second byte of the marker.
    content : bytes
        The bytes after the length.
    position : int
        Position of its first byte.
    """

    marker: int
    content: bytes
    position: int

    @property
    def end(self) -> int:
        """The position of the first byte after it."""
        return self.position + 4 + len(self.content)


class Component(NamedTuple):
    """A channel as it is coded: its number, and its samples across and down an MCU."""

    number: int
    across: int
    down: int


@dataclass(frozen=True)
class Header:
    """The header of JPEG data.

    Attributes
    ----------
    process : int
        The second byte of the SOF marker: 0xC0 is baseline.
    precision : int
        Bits of a sample.
    height, width : int
        Pixels.
    components : tuple of Component
        The channels.
    interval : int
        MCUs of a restart interval; 0 for no restart markers.
    transform : int or None
        Colour transform that an Adobe marker declares: 0 none, 1 YCbCr, 2 YCCK.
    in_first_scan : int
        Components that the first scan codes.
    sof : Segment
        The SOF marker with its content.
    start : int
        Position of the first coded byte.
    marks : tuple of Segment
        APPn and COM segments.
    """

    process: int
    precision: int
    height: int
    width: int
    components: tuple[Component, ...]
    interval: int
    transform: int | None
    in_first_scan: int
    sof: Segment
    start: int
    marks: tuple[Segment, ...]

    @property
    def inverted(self) -> bool:
        """Return whether it stores the absence of ink, as all files with Adobe's marker do."""
        return len(self.components) == 4 and self.transform is not None

    @property
    def progressive(self) -> bool:
        """Return whether the coefficients come in several scans of rising precision."""
        return self.process in _PROGRESSIVE

    @property
    def lossless(self) -> bool:
        """Return whether pixels are predicted, not transformed."""
        return self.process in _LOSSLESS

    @property
    def arithmetic(self) -> bool:
        """Return whether the entropy coding is arithmetic."""
        return self.process >= _FIRST_ARITHMETIC

    @property
    def details(self) -> dict[str, str]:
        """Facts for `imgpipe info`."""
        kind = "progressive" if self.progressive else "lossless" if self.lossless else "sequential"
        coding = "arithmetic" if self.arithmetic else "Huffman"
        steps = f", restart markers every {self.interval} MCUs" if self.interval else ""
        sampled = {(each.across, each.down) for each in self.components}
        reduced = ", colours at a lower resolution" if len(sampled) > 1 else ""
        return {
            "compression": f"JPEG, {kind}, {coding} coding, {self.precision} bits{steps}{reduced}"
        }

    @property
    def at_once(self) -> bool:
        """Return whether one scan codes all pixels from top to bottom."""
        return not self.progressive and self.in_first_scan == len(self.components)

    @property
    def most_across(self) -> int:
        """The most samples across an MCU, in blocks."""
        return max(each.across for each in self.components)

    @property
    def most_down(self) -> int:
        """The most samples down an MCU, in blocks."""
        return max(each.down for each in self.components)

    @property
    def mcu(self) -> tuple[int, int]:
        """Rows and columns of pixels of an MCU."""
        if len(self.components) == 1:
            return 8, 8
        return 8 * self.most_down, 8 * self.most_across

    @property
    def mcus(self) -> tuple[int, int]:
        """Rows of MCUs, and MCUs in a row."""
        rows, columns = self.mcu
        return -(-self.height // rows), -(-self.width // columns)

    @property
    def coefficient_bytes(self) -> int:
        """Memory of all coefficients, which a decoder of several scans holds."""
        rows, columns = 8 * self.most_down, 8 * self.most_across
        blocks = sum(each.across * each.down for each in self.components)
        return -(-self.height // rows) * -(-self.width // columns) * blocks * 64 * 2


def read_header(file: BinaryIO) -> Header:
    """Read from the SOI marker to the first coded byte of JPEG data.

    Parameters
    ----------
    file : binary file
        At the SOI marker.

    Raises
    ------
    JpegError
        If the header is damaged or ends too early, or declares what cannot be decoded.
    """
    sof: Segment | None = None
    interval, transform = 0, None
    marks: list[Segment] = []
    for each in segments(file):
        if each.marker in _SOF:
            if sof is not None:
                raise JpegError("it has two headers (SOF)")
            sof = each
        elif each.marker == DRI:
            (interval,) = _unpacked(">H", each.content[:2], "the restart interval (DRI)")
        elif each.marker == SOS:
            if sof is None:
                raise JpegError("its pixels come before its header (SOF)")
            count = each.content[0] if each.content else 0
            return _header(sof, interval, transform, count, each.end, tuple(marks))
        elif each.marker >= APP0:
            marks.append(each)
            if each.marker == APP14 and adobe(each.content) is not None:
                transform = adobe(each.content)
    raise JpegError("it has no pixels")


def segments(file: BinaryIO) -> Iterator[Segment]:
    """Yield the segments from the SOI marker to the first SOS marker, or to the EOI marker.

    Raises
    ------
    JpegError
        If something else is between them, or the file ends.
    """
    position = file.tell()
    if _read(file, 2) != bytes((0xFF, SOI)):
        raise JpegError("it does not begin with the mark of JPEG (SOI)")
    first, position = position, position + 2
    while position - first < _HEADER_BYTES:
        prefix, marker = _read(file, 2)
        if prefix != 0xFF or marker == 0:
            raise JpegError(f"there is no marker at byte {position:,}, where one must be")
        while marker == 0xFF:  # fill bytes
            (marker,) = _read(file, 1)
            position += 1
        if marker == EOI:
            return
        if marker in _ALONE:
            position += 2
            continue
        size = int.from_bytes(_read(file, 2), "big")
        if size < 2:
            raise JpegError(f"the segment at byte {position:,} has an impossible length")
        found = Segment(marker, _read(file, size - 2), position)
        yield found
        if marker == SOS:
            return
        position += 2 + size
    raise JpegError(f"its first {_HEADER_BYTES >> 20} MB hold no pixels")


def head_bytes(data: bytes | memoryview) -> int:
    """Return the position of the first coded byte of JPEG data, 0 where that is not simple.

    Nothing is checked: tiles have the same few headers, so that it pays to know them again.
    """
    at, size = 2, len(data)
    while at + 4 <= size and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _ALONE or marker in (0, 0xFF, EOI):
            return 0
        at += 2 + (data[at + 2] << 8 | data[at + 3])
        if marker == SOS:
            return at if at <= size else 0
    return 0


def segment(marker: int, content: bytes) -> bytes:
    """Return the bytes of a segment."""
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def adobe(content: bytes) -> int | None:
    """Return the colour transform that an APP14 segment declares; None if it is not Adobe's."""
    return content[11] if content[:5] == b"Adobe" and len(content) >= 12 else None


def _header(
    sof: Segment,
    interval: int,
    transform: int | None,
    in_first_scan: int,
    start: int,
    marks: tuple[Segment, ...],
) -> Header:
    precision, height, width, count = _unpacked(">BHHB", sof.content[:6], "its header (SOF)")
    if sof.marker in _DIFFERENTIAL:
        raise UnsupportedError("it is hierarchical, which imgpipe does not read")
    if height == 0:
        raise UnsupportedError(
            "it declares its height only behind its pixels (DNL), which imgpipe does not read"
        )
    entries = sof.content[6:]
    if width == 0 or count == 0 or len(entries) != 3 * count:
        raise JpegError("its header (SOF) is damaged")
    components = tuple(
        Component(entries[at], entries[at + 1] >> 4, entries[at + 1] & 15)
        for at in range(0, 3 * count, 3)
    )
    if not all(1 <= each.across <= 4 and 1 <= each.down <= 4 for each in components):
        raise JpegError("its header (SOF) declares an impossible subsampling")
    return Header(
        sof.marker, precision, height, width, components, interval, transform,
        in_first_scan, sof, start, marks,
    )  # fmt: skip


def _unpacked(form: str, content: bytes, noun: str) -> tuple[int, ...]:
    try:
        return struct.unpack(form, content)
    except struct.error:
        raise JpegError(f"{noun} is damaged") from None


def _read(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise JpegError("it ends within its header")
    return data
