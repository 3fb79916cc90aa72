"""Tags of a TIFF file that is written: values, and directories of them, as bytes.

Files are in little-endian byte order. A directory is followed by its values, and those by the
directories below it, so all of it is one block whose size does not depend on its position.

References
----------
TIFF Revision 6.0, Adobe 1992, section 2; the BigTIFF design, libtiff.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import field
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = [
    "Directory", "Tag", "doubles", "file_header", "integers", "numbers", "opaque", "pointer",
    "rationals", "shorts", "text",
]  # fmt: skip

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, DOUBLE, IFD = 1, 2, 3, 4, 5, 7, 12, 13
LONG8, IFD8 = 16, 18
_SUBDIRECTORIES = 330


class Tag(NamedTuple):
    """The value of a tag.

    Attributes
    ----------
    kind : int
        Type of its numbers, as TIFF counts them.
    length : int
        Number of values.
    data : bytes
        The numbers, in little-endian byte order.
    """

    kind: int
    length: int
    data: bytes


def shorts(*values: int) -> Tag:
    """Return numbers of 16 bits."""
    return Tag(SHORT, len(values), struct.pack(f"<{len(values)}H", *values))


def integers(*values: int) -> Tag:
    """Return numbers of 32 bits."""
    return Tag(LONG, len(values), struct.pack(f"<{len(values)}I", *values))


def numbers(values: Pixels, *, big: bool) -> Tag:
    """Return an array of positions or sizes in the file."""
    return Tag(
        LONG8 if big else LONG, len(values), values.astype("<u8" if big else "<u4").tobytes()
    )


def rationals(*values: Fraction) -> Tag:
    """Return fractions of two numbers of 32 bits."""
    parts = [number for value in values for number in _terms(value)]
    return Tag(RATIONAL, len(values), struct.pack(f"<{len(parts)}I", *parts))


def doubles(*values: float) -> Tag:
    """Return floats of 64 bits."""
    return Tag(DOUBLE, len(values), struct.pack(f"<{len(values)}d", *values))


def text(value: str) -> Tag:
    """Return text, in UTF-8 where it is not ASCII."""
    data = value.replace("\0", " ").encode() + b"\0"
    return Tag(ASCII, len(data), data)


def opaque(value: bytes, *, kind: int = UNDEFINED) -> Tag:
    """Return bytes."""
    return Tag(kind, len(value), value)


def pointer(block: int, *, big: bool) -> bytes:
    """Return a position in the file as it is written."""
    return struct.pack("<Q" if big else "<I", block)


def file_header(first: int, *, big: bool) -> bytes:
    """Return the first bytes of a file whose first directory is at `first`."""
    return (b"II+\0\x08\0\0\0" if big else b"II*\0") + pointer(first, big=big)


@dataclass
class Directory:
    """A directory: tags, and directories below it.

    Attributes
    ----------
    tags : dict of int to Tag
        Values by number.
    below : dict of int to list of Directory
        Directories that a tag points to.
    """

    tags: dict[int, Tag] = field(default_factory=dict)
    below: dict[int, list[Directory]] = field(default_factory=dict)

    def size(self, *, big: bool) -> int:
        """Return the bytes that it takes, with all that is below it."""
        return len(self.encoded(0, big=big)[0])

    def encoded(self, position: int, *, big: bool) -> tuple[bytes, int]:
        """Return it as bytes for a position in the file, and where its link to the next one is."""
        counted, entry, inline, head = (8, 20, 8, "<HHQ") if big else (2, 12, 4, "<HHI")
        link = position + counted + entry * (len(self.tags) + len(self.below))
        behind = _Behind(link + inline)
        entries = []
        for code in sorted({*self.tags, *self.below}):
            if code in self.below:
                tag = _pointing(code, [behind.add(d, big=big) for d in self.below[code]], big=big)
            else:
                tag = self.tags[code]
            data = tag.data
            if len(data) > inline:
                data = pointer(behind.put(data), big=big)
            entries.append(
                struct.pack(head, code, tag.kind, tag.length) + data.ljust(inline, b"\0")
            )
        count = struct.pack("<Q" if big else "<H", len(entries))
        return b"".join((count, *entries, bytes(inline), *behind.parts)), link


class _Behind:
    """Bytes that follow a directory."""

    def __init__(self, position: int) -> None:
        self.parts: list[bytes] = []
        self._position = position

    def put(self, data: bytes) -> int:
        """Add bytes; return their position."""
        gap = self._position % 2
        self.parts.append(bytes(gap) + data)
        self._position += gap + len(data)
        return self._position - len(data)

    def add(self, directory: Directory, *, big: bool) -> int:
        """Add a directory; return its position."""
        position = self._position + self._position % 2
        return self.put(directory.encoded(position, big=big)[0])


def _pointing(code: int, positions: Iterable[int], *, big: bool) -> Tag:
    kind = (IFD8 if big else IFD) if code == _SUBDIRECTORIES else LONG8 if big else LONG
    return numbers(np.array(positions, np.uint64), big=big)._replace(kind=kind)


def _terms(value: Fraction) -> tuple[int, int]:
    """Return numerator and denominator in 32 bits, the closest there are."""
    most = 2**32 - 1
    value = min(max(value, Fraction(0)), Fraction(most))
    close = value.limit_denominator(most if value < 1 else max(1, int(most / value)))
    return close.numerator, close.denominator
