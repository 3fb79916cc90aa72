"""Editing of EXIF blocks in place.

Fields that stay do not move, because makers of cameras refer to bytes of the block by position in
notes of their own. A directory that grows is moved to the end. What is removed is overwritten.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from fractions import Fraction

from imgpipe.density import METRES_PER_INCH, Density, density_from_dpi
from imgpipe.exif.fields import (
    DETAIL,
    GPS,
    INTEROP,
    ByteOrder,
    Directory,
    Exif,
    Field,
    directory_at,
    directory_of,
)
from imgpipe.texts import Text

__all__ = [
    "TEXT_TAGS",
    "checked",
    "density",
    "directories",
    "orientation",
    "oriented",
    "removed",
    "swapped",
    "texts_left_out",
    "with_density",
    "with_new_density",
    "with_size",
    "with_texts",
    "without_colour",
    "without_orientation",
    "without_places",
    "without_sensor",
]

TEXT_TAGS = {
    "Title": 0x010D,
    "Description": 0x010E,
    "Software": 0x0131,
    "Author": 0x013B,
    "Artist": 0x013B,
    "Copyright": 0x8298,
}
"""Tags of the first directory for texts, by the keyword of the text."""

_MARK = b"Exif\0\0"  # stands before the block in JPEG, and in some files of other formats
_ORIENTATION = 0x0112
_DENSITY, _UNIT = (0x011A, 0x011B), 0x0128
_FOCAL_PLANE = (0xA20E, 0xA20F)
_SIZES = {DETAIL: (0xA003, 0xA002), 0: (0x0101, 0x0100)}  # tags of height and width
_PLACES = (0x9214, 0xA214)  # areas of the subject
_COLOUR = (0x012D, 0x013E, 0x013F, 0x0211, 0x0214)  # curves, primaries and coefficients
_ASCII, _SHORT, _LONG, _RATIONAL = 2, 3, 4, 5
_INCH, _CENTIMETRE = 2, 3


def checked(block: bytes) -> bytes:
    """Return the block from its header on.

    Raises
    ------
    ValueError
        If it does not begin like EXIF.
    """
    block = block.removeprefix(_MARK)
    directory_of(block)
    return block


def orientation(block: bytes) -> int:
    """Return the orientation that a block declares, 1 to 8; 1 if it declares none."""
    order, main = directory_of(block)
    found = main.number(_ORIENTATION, order)
    return found if 1 <= found <= 8 else 1


def oriented(block: bytes | None, wanted: int) -> bytes | None:
    """Return the block with this orientation, wherever it states one."""
    if block is None:
        return None if wanted == 1 else _new({_ORIENTATION: Field.of(_SHORT, wanted, ">")})
    made = bytearray(block)
    for order, one in directories(block):
        for at in one.places:
            if struct.unpack_from(f"{order}H", made, at) == (_ORIENTATION,):
                struct.pack_into(f"{order}HIHH", made, at + 2, _SHORT, 1, wanted, 0)
    order, main = directory_of(block)
    if wanted != 1 and _ORIENTATION not in main.entries:
        _add(made, main, {_ORIENTATION: Field.of(_SHORT, wanted, order)}, order)
    return bytes(made)


def density(block: bytes) -> Density | None:
    """Return the resolution that a block declares, None if it declares none in a known unit."""
    order, main = directory_of(block)
    unit = main.number(_UNIT, order) if _UNIT in main.entries else _INCH
    found = [_fraction(main, tag, order) for tag in _DENSITY]
    if unit not in (_INCH, _CENTIMETRE) or not all(found):
        return None
    x, y = (one * (1 if unit == _INCH else METRES_PER_INCH * 100) for one in found if one)
    return density_from_dpi(x, y)


def with_density(block: bytes | None, wanted: Density) -> bytes:
    """Return the block with this resolution; a new one if there is no block."""
    order: ByteOrder = ">" if block is None else directory_of(block)[0]
    fields = {
        tag: Field.of(_RATIONAL, one * METRES_PER_INCH, order)
        for tag, one in zip(_DENSITY, wanted, strict=True)
    }
    fields[_UNIT] = Field.of(_SHORT, _INCH, order)
    if block is None:
        return _new(fields)
    made = bytearray(block)
    _, main = directory_of(block)
    for tag in list(fields):
        if tag in main.entries:
            _put(made, main, tag, fields.pop(tag), order)
    if fields:
        _add(made, main, fields, order)
    return bytes(made)


def with_new_density(block: bytes, wanted: Density) -> bytes:
    """Return the block with this resolution, if it states one."""
    return block if density(block) is None else with_density(block, wanted)


def with_texts(block: bytes | None, texts: Iterable[Text]) -> bytes | None:
    """Return the block with the texts that EXIF has tags for, except tags with other text."""
    order: ByteOrder = ">" if block is None else directory_of(block)[0]
    fields: dict[int, Field] = {}
    for each in texts:
        if each.keyword in TEXT_TAGS:
            fields.setdefault(TEXT_TAGS[each.keyword], Field.of(_ASCII, each.text, order))
    if block is None:
        return _new(fields) if fields else None
    _, main = directory_of(block)
    missing = {tag: field for tag, field in fields.items() if tag not in main.entries}
    made = bytearray(block)
    if missing:
        _add(made, main, missing, order)
    return bytes(made)


def texts_left_out(block: bytes | None, texts: Iterable[Text]) -> list[Text]:
    """Return the texts that EXIF has no tag for, or whose tag says something else."""
    said: dict[int, bytes] = {}
    if block is not None:
        entries = directory_of(block)[1].entries
        said = {tag: entry.field.data.strip(b"\0 ") for tag, entry in entries.items()}
    left: list[Text] = []
    for each in texts:
        tag, wanted = TEXT_TAGS.get(each.keyword), each.text.encode().strip(b"\0 ")
        if tag is None or said.setdefault(tag, wanted) != wanted:
            left.append(each)
    return left


def with_size(block: bytes, height: int, width: int) -> bytes:
    """Return the block with the size of the image, wherever it states one."""
    made = bytearray(block)
    order, main = directory_of(block)
    for pointer, tags in _SIZES.items():
        one = directory_at(block, main.number(pointer, order), order) if pointer else main
        for tag, side in zip(tags, (height, width), strict=True):
            if tag in one.entries:
                _put(made, one, tag, Field.of(_LONG, side, order), order)
    return bytes(made)


def swapped(block: bytes) -> bytes:
    """Return the block with its resolutions along x and y exchanged."""
    made = bytearray(block)
    order, main = directory_of(block)
    detail = directory_at(block, main.number(DETAIL, order), order)
    for one, (x, y) in ((main, _DENSITY), (detail, _FOCAL_PLANE)):
        if x in one.entries and y in one.entries:
            _put(made, one, x, one.entries[y].field, order)
            _put(made, one, y, one.entries[x].field, order)
    return bytes(made)


def without_orientation(block: bytes) -> bytes:
    """Return the block without an orientation, for containers with one of their own."""
    return _without(block, (_ORIENTATION,))


def without_places(block: bytes) -> bytes:
    """Return the block without places in the image, such as the area of the subject."""
    return _without(block, _PLACES)


def without_colour(block: bytes) -> bytes:
    """Return the block without the description of colours."""
    return _without(block, _COLOUR)


def without_sensor(block: bytes) -> bytes:
    """Return the block without the resolution on the sensor."""
    return _without(block, _FOCAL_PLANE)


def directories(block: bytes) -> list[tuple[ByteOrder, Directory]]:
    """Return the directories of the image, not those of previews, and the byte order."""
    order, main = directory_of(block)
    detail, gps = (directory_at(block, main.number(tag, order), order) for tag in (DETAIL, GPS))
    interop = directory_at(block, detail.number(INTEROP, order), order)
    found = {one.at: (order, one) for one in (main, detail, gps, interop) if one.rows}
    return list(found.values())


def removed(made: bytearray, one: Directory, tags: tuple[int, ...], order: ByteOrder) -> None:
    """Remove tags from a directory, and their values."""
    rows, left = bytearray(), 0
    for at in one.places:
        (tag,) = struct.unpack_from(f"{order}H", made, at)
        if tag not in tags:
            rows += made[at : at + 12]
            left += 1
    if left == one.rows:
        return
    for tag in tags:
        if entry := one.entries.get(tag):
            _wipe(made, entry.start, len(entry.field.data))
    following = made[one.end - 4 : one.end] if one.whole else b""
    struct.pack_into(f"{order}H", made, one.at, left)
    made[one.at + 2 : one.end] = (rows + following).ljust(one.end - one.at - 2, b"\0")


def _without(block: bytes, tags: tuple[int, ...]) -> bytes:
    made = bytearray(block)
    for order, one in directories(block):
        removed(made, one, tags, order)
    return bytes(made)


def _put(made: bytearray, one: Directory, tag: int, field: Field, order: ByteOrder) -> None:
    """Overwrite the value of a tag that a directory has."""
    entry = one.entries[tag]
    struct.pack_into(f"{order}HI", made, entry.at + 2, field.type, field.count)
    if len(field.data) <= 4:
        if not entry.inline:
            _wipe(made, entry.start, len(entry.field.data))
        made[entry.at + 8 : entry.at + 12] = field.data.ljust(4, b"\0")
        return
    start = entry.start
    if entry.inline or len(entry.field.data) < len(field.data):
        start = _appended(made, field.data)
    made[start : start + len(field.data)] = field.data
    struct.pack_into(f"{order}I", made, entry.at + 8, start)


def _add(made: bytearray, one: Directory, fields: dict[int, Field], order: ByteOrder) -> None:
    """Move the first directory to the end, with more tags."""
    rows = [bytes(made[at : at + 12]) for at in one.places]
    following = struct.pack(f"{order}I", one.next)
    if one.at:
        _wipe(made, one.at, one.end - one.at)
    for tag, field in fields.items():
        value = field.data.ljust(4, b"\0")
        if len(field.data) > 4:
            value = struct.pack(f"{order}I", _appended(made, field.data))
        rows.append(struct.pack(f"{order}HHI", tag, field.type, field.count) + value)
    rows.sort(key=lambda row: struct.unpack_from(f"{order}H", row))
    table = struct.pack(f"{order}H", len(rows)) + b"".join(rows) + following
    struct.pack_into(f"{order}I", made, 4, _appended(made, table))


def _appended(made: bytearray, data: bytes) -> int:
    """Append bytes to a block at an even position; return that position."""
    made += b"\0" * (len(made) % 2)
    made += data
    return len(made) - len(data)


def _wipe(made: bytearray, start: int, size: int) -> None:
    stop = min(start + size, len(made))
    if start < stop:
        made[start:stop] = bytes(stop - start)


def _fraction(one: Directory, tag: int, order: ByteOrder) -> Fraction | None:
    entry = one.entries.get(tag)
    if entry is None or entry.field.type != _RATIONAL:
        return None
    found: Fraction | None = entry.field.values(order)[0]
    return found


def _new(fields: dict[int, Field]) -> bytes:
    return Exif(">", fields).block()
