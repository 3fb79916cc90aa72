"""Metadata for AVIF files that imagecodecs has made, which has none to offer.

The box ``meta`` is written anew, with more items and properties; the pixels move by the difference.
"""

from __future__ import annotations

from typing import NamedTuple

from imgpipe.formats.base import Data
from imgpipe.formats.boxes import box, spans_in

__all__ = ["Description", "described"]

_PROPERTY_BITS, _ESSENTIAL = 0x7F, 0x80
# Quarter turns to the left, and the axis of mirroring, for each orientation as EXIF counts.
_TURNS: dict[int, tuple[int, int | None]] = {
    2: (0, 1), 3: (2, None), 4: (0, 0), 5: (1, 0), 6: (3, None), 7: (1, 1), 8: (1, None),
}  # fmt: skip


class Description(NamedTuple):
    """Metadata of a file.

    Attributes
    ----------
    icc, exif, xmp : bytes or None
        ICC profile, EXIF and XMP.
    orientation : int
        Position of the first row and column, as EXIF counts.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    orientation: int = 1


def described(content: Data, wanted: Description) -> list[Data]:
    """Return the parts of a file with metadata.

    Raises
    ------
    ValueError
        If the file is not made as expected.
    """
    if wanted == Description():
        return [content]
    kinds = _top(content)
    start, end = kinds[b"meta"]
    items = _items(wanted)
    old = list(spans_in(bytes(content[start + 8 : end]), 4))
    length = len(_meta(old, items, wanted, 0, 0))
    moved = length - (end - start)
    tail = len(content) + moved + 8  # where the new items begin
    added = [data for _, data in items]
    block = box(b"mdat", b"".join(added)) if items else b""
    meta = _meta(old, items, wanted, moved, tail)
    view = memoryview(content)
    return [view[:start], meta, view[end:], block]


def _top(content: Data) -> dict[bytes, tuple[int, int]]:
    """Return the places of the outermost boxes."""
    found, at = {}, 0
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if size < 8:
            raise ValueError("the encoder made a file of another kind")
        found[bytes(content[at + 4 : at + 8])] = at, at + size
        at += size
    return found


def _items(wanted: Description) -> list[tuple[bytes, bytes]]:
    """Return the entries of new items, their numbers left out, and their data."""
    found = []
    if wanted.exif:
        found.append((b"\0\0Exif\0", bytes(4) + wanted.exif))
    if wanted.xmp:
        found.append((b"\0\0mime\0application/rdf+xml\0", wanted.xmp))
    return found


def _meta(
    old: list[tuple[bytes, bytes]],
    items: list[tuple[bytes, bytes]],
    wanted: Description,
    moved: int,
    tail: int,
) -> bytes:
    """Return the box ``meta``, for pixels that move by so many bytes, and items at `tail`."""
    known = dict(old)
    primary = known[b"pitm"][4:6]
    first = 1 + max(one for one, _, _ in _places(known[b"iloc"]))
    numbers = [(first + at).to_bytes(2, "big") for at in range(len(items))]
    made = {
        b"iloc": _new_places(known[b"iloc"], [len(data) for _, data in items], moved, tail, first),
        b"iinf": _new_entries(known[b"iinf"], items, numbers),
        b"iprp": _new_properties(known[b"iprp"], primary, wanted),
        b"iref": known.get(b"iref", bytes(4))
        + b"".join(box(b"cdsc", number + b"\0\1" + primary) for number in numbers),
    }
    kinds = [kind for kind, _ in old] + ([] if b"iref" in known else [b"iref"])
    return box(b"meta", bytes(4) + b"".join(box(k, made.get(k) or known[k]) for k in kinds))


def _places(content: bytes) -> list[tuple[int, int, int]]:
    """Return number, place and length of every item; each has one part."""
    if content[0] or content[4:6] != b"\x44\0":
        raise ValueError("the encoder made a file of another kind")
    found, at = [], 8
    for _ in range(int.from_bytes(content[6:8], "big")):
        entry = content[at : at + 14]
        if entry[4:6] != b"\0\1":
            raise ValueError("the encoder made a file of another kind")
        parts = (entry[:2], entry[6:10], entry[10:14])
        number, start, length = (int.from_bytes(part, "big") for part in parts)
        found.append((number, start, length))
        at += 14
    return found


def _new_places(content: bytes, lengths: list[int], moved: int, tail: int, first: int) -> bytes:
    found = [(number, start + moved, length) for number, start, length in _places(content)]
    for at, length in enumerate(lengths):
        found.append((first + at, tail, length))
        tail += length
    entries = (
        number.to_bytes(2, "big") + b"\0\0\0\1" + start.to_bytes(4, "big")
        + length.to_bytes(4, "big")
        for number, start, length in found
    )  # fmt: skip
    return bytes(4) + b"\x44\0" + len(found).to_bytes(2, "big") + b"".join(entries)


def _new_entries(content: bytes, items: list[tuple[bytes, bytes]], numbers: list[bytes]) -> bytes:
    count = int.from_bytes(content[4:6], "big") + len(items)
    more = (
        box(b"infe", b"\2\0\0\1" + number + entry)
        for number, (entry, _) in zip(numbers, items, strict=True)
    )
    return content[:4] + count.to_bytes(2, "big") + content[6:] + b"".join(more)


def _new_properties(content: bytes, primary: bytes, wanted: Description) -> bytes:
    parts = dict(spans_in(content))
    properties, owners = parts[b"ipco"], parts[b"ipma"]
    number, mine = len(list(spans_in(properties))), b""
    for essential, extra in _extras(wanted):
        number += 1
        properties += extra
        mine += bytes([number | _ESSENTIAL * essential])
    made, at = owners[:8], 8
    if owners[0] or owners[3] & 1 or number > _PROPERTY_BITS:
        raise ValueError("the encoder made a file of another kind")
    for _ in range(int.from_bytes(owners[4:8], "big")):
        item, count = owners[at : at + 2], owners[at + 2]
        own = owners[at + 3 : at + 3 + count]
        at += 3 + count
        own += mine if item == primary else b""
        made += item + bytes([len(own)]) + own
    return box(b"ipco", properties) + box(b"ipma", made)


def _extras(wanted: Description) -> list[tuple[bool, bytes]]:
    """Return new properties, and whether a reader must know them."""
    found = []
    if wanted.icc:
        found.append((False, box(b"colr", b"prof" + wanted.icc)))
    turn, axis = _TURNS.get(wanted.orientation, (0, None))
    if turn:
        found.append((True, box(b"irot", bytes([turn]))))
    if axis is not None:
        found.append((True, box(b"imir", bytes([axis]))))
    return found
