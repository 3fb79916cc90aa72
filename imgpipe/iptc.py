"""IPTC records: captions, names and places of photographs, as archives keep them.

References
----------
IPTC-NAA Information Interchange Model, version 4.2; Adobe Photoshop file formats, 2019: image
resource blocks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["checked", "of_photoshop", "to_photoshop", "without_previews"]

_TAG = 0x1C
_EXTENDED = 0x8000  # a length that is the number of bytes of the length
_PREVIEWS = (200, 201, 202)  # of record 2
_APPLICATION, _PIXELS = 2, (7, 8, 9)  # records: facts about the picture; another picture

_RESOURCE = b"8BIM"
_IPTC = 0x0404


class _Dataset(NamedTuple):
    record: int
    number: int
    content: bytes


def checked(block: bytes) -> bytes:
    """Return the records of a block, without padding.

    Raises
    ------
    ValueError
        If it has none, or one is cut off.
    """
    return b"".join(each.content for each in _datasets(block))


def without_previews(block: bytes) -> bytes | None:
    """Return the records but those of pictures; None if there is no other.

    Raises
    ------
    ValueError
        If it has none, or one is cut off.
    """
    kept = [
        each.content
        for each in _datasets(block)
        if each.record not in _PIXELS
        and not (each.record == _APPLICATION and each.number in _PREVIEWS)
    ]
    return b"".join(kept) or None


def of_photoshop(resources: bytes) -> bytes | None:
    """Return the IPTC records among the resources of Photoshop; None if there are none."""
    at = 0
    while resources[at : at + 4] == _RESOURCE and at + 7 <= len(resources):
        (number,) = struct.unpack_from(">H", resources, at + 4)
        at += 6 + (resources[at + 6] + 2) // 2 * 2  # a name
        if at + 4 > len(resources):
            break
        (size,) = struct.unpack_from(">I", resources, at)
        if number == _IPTC and size:
            return resources[at + 4 : at + 4 + size]
        at += 4 + (size + 1) // 2 * 2
    return None


def to_photoshop(block: bytes) -> bytes:
    """Return IPTC records as a resource of Photoshop."""
    padding = bytes(len(block) % 2)
    return _RESOURCE + struct.pack(">HHI", _IPTC, 0, len(block)) + block + padding


def _datasets(block: bytes) -> Iterator[_Dataset]:
    at = 0
    while at < len(block) and block[at] == _TAG:
        start, at = at, at + 5
        if at > len(block):
            raise ValueError("a record is cut off")
        record, number, size = struct.unpack_from(">BBH", block, start + 1)
        if size & _EXTENDED:
            wide = size & ~_EXTENDED
            size, at = int.from_bytes(block[at : at + wide], "big"), at + wide
        at += size
        if at > len(block):
            raise ValueError("a record is cut off")
        yield _Dataset(record, number, block[start:at])
    if not at:
        raise ValueError("it has no records")
