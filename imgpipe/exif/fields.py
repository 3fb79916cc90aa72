"""Fields of EXIF blocks: reading of directories, and the building of a block from fields."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from fractions import Fraction
from typing import Any, Literal

from imgpipe.records import dataclass

__all__ = [
    "DETAIL",
    "GPS",
    "INTEROP",
    "ByteOrder",
    "Directory",
    "Entry",
    "Exif",
    "Field",
    "directory_at",
    "directory_of",
    "parse",
    "written",
]

ByteOrder = Literal["<", ">"]

DETAIL, GPS, INTEROP = 34665, 34853, 40965
"""Tags that point to further directories."""

_ORDERS: dict[bytes, ByteOrder] = {b"II*\0": "<", b"MM\0*": ">"}
_MARKS = {order: mark for mark, order in _ORDERS.items()}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_CODES = {
    1: "B",
    3: "H",
    4: "I",
    5: "II",
    6: "b",
    8: "h",
    9: "i",
    10: "ii",
    11: "f",
    12: "d",
    13: "I",
}
_LONG, _RATIONALS = 4, (5, 10)
_MOST = 2**31 - 1  # of a part of a fraction, whether it has a sign or not


@dataclass(frozen=True)
class Field:
    """The value of a tag.

    Attributes
    ----------
    type : int
        Type of the values, as TIFF counts: 3 is a 16-bit and 4 a 32-bit integer, 5 a fraction.
    count : int
        Number of values.
    data : bytes
        The values, in the byte order of the block.
    """

    type: int
    count: int
    data: bytes

    @classmethod
    def of(cls, type: int, values: Any, order: ByteOrder) -> Field:
        """Return the field with these values: numbers, fractions, text or bytes.

        Raises
        ------
        ValueError
            If the type cannot hold them.
        """
        if isinstance(values, str):
            values = values.encode() + b"\0"
        if isinstance(values, bytes):
            return cls(type, len(values) // _SIZES[type], values)
        numbers = list(values) if isinstance(values, Sequence) else [values]
        flat = numbers
        if type in _RATIONALS:
            flat = [part for number in numbers for part in _parts(Fraction(number))]
        try:
            code = _CODES[type] * len(numbers)
            return cls(type, len(numbers), struct.pack(f"{order}{code}", *flat))
        except (KeyError, struct.error) as error:
            raise ValueError(f"type {type} of TIFF cannot hold {values!r}: {error}") from None

    def values(self, order: ByteOrder) -> tuple[Any, ...]:
        """Return the values as numbers; text and opaque bytes as integers of 8 bits."""
        if self.type not in _CODES:
            return tuple(self.data)
        found = struct.unpack(f"{order}{_CODES[self.type] * self.count}", self.data)
        if self.type in _RATIONALS:
            pairs = zip(found[::2], found[1::2], strict=True)
            return tuple(Fraction(above, below) if below else None for above, below in pairs)
        return found


@dataclass(frozen=True)
class Entry:
    """A tag of a directory, and where it stands in the block.

    Attributes
    ----------
    at : int
        The entry of the directory, 12 bytes.
    start : int
        The first byte of the value.
    field : Field
        The value.
    """

    at: int
    start: int
    field: Field

    @property
    def inline(self) -> bool:
        """Return whether the value is part of the entry."""
        return self.start == self.at + 8


@dataclass(frozen=True)
class Directory:
    """A directory of a block.

    Attributes
    ----------
    at : int
        Its first byte.
    entries : dict of int to Entry
        The tags that can be read; the first one where a tag occurs twice.
    rows : int
        Entries that it declares, readable or not.
    next : int
        The first byte of the directory after it; 0 if there is none.
    whole : bool
        Whether it is not cut short.
    """

    at: int
    entries: dict[int, Entry]
    rows: int
    next: int
    whole: bool

    @property
    def places(self) -> range:
        """The first bytes of its entries."""
        return range(self.at + 2, self.at + 2 + 12 * self.rows, 12)

    @property
    def end(self) -> int:
        """The byte after the directory."""
        return self.at + 2 + 12 * self.rows + 4 * self.whole

    def number(self, tag: int, order: ByteOrder) -> int:
        """Return the first value of a tag if it is a whole number, else 0."""
        values = self.numbers(tag, order)
        return values[0] if values else 0

    def numbers(self, tag: int, order: ByteOrder) -> tuple[int, ...]:
        """Return the values of a tag if they are whole numbers."""
        entry = self.entries.get(tag)
        if entry is None or entry.field.type not in (1, 3, 4, 13):
            return ()
        return entry.field.values(order)


@dataclass(frozen=True)
class Exif:
    """Fields of an EXIF block by tag.

    Attributes
    ----------
    order : {"<", ">"}
        Byte order of the values.
    main : dict of int to Field
        The image: maker, model, date, resolution, orientation.
    detail, gps, interop : dict of int to Field
        The exposure, the place, and the rules of interoperability.
    """

    order: ByteOrder
    main: Mapping[int, Field] = field(default_factory=dict)
    detail: Mapping[int, Field] = field(default_factory=dict)
    gps: Mapping[int, Field] = field(default_factory=dict)
    interop: Mapping[int, Field] = field(default_factory=dict)

    def block(self) -> bytes:
        """Return the block with these fields, and no preview."""
        made = bytearray(_MARKS[self.order] + struct.pack(f"{self.order}I", 8))
        detail = dict(self.detail)
        places = _sizes_before(self)
        if self.interop:
            detail[INTEROP] = Field.of(_LONG, places[3], self.order)
        main = dict(self.main)
        if detail:
            main[DETAIL] = Field.of(_LONG, places[1], self.order)
        if self.gps:
            main[GPS] = Field.of(_LONG, places[2], self.order)
        for fields in (main, detail, self.gps, self.interop):
            if fields or fields is main:
                made += written(fields, len(made), self.order)
        return bytes(made)


def parse(block: bytes) -> Exif:
    """Return the fields of a block; those of previews are left out.

    Raises
    ------
    ValueError
        If it does not begin like EXIF.
    """
    order, main = directory_of(block)
    detail, gps = (directory_at(block, main.number(tag, order), order) for tag in (DETAIL, GPS))
    interop = directory_at(block, detail.number(INTEROP, order), order)
    pointers = (DETAIL, GPS, INTEROP)
    fields = [
        {tag: entry.field for tag, entry in one.entries.items() if tag not in pointers}
        for one in (main, detail, gps, interop)
    ]
    return Exif(order, *fields)


def directory_of(block: bytes | bytearray) -> tuple[ByteOrder, Directory]:
    """Return the byte order of a block and its first directory.

    Raises
    ------
    ValueError
        If it does not begin like EXIF.
    """
    order = _ORDERS.get(bytes(block[:4]))
    if order is None or len(block) < 8:
        raise ValueError("it does not begin like EXIF")
    (at,) = struct.unpack_from(f"{order}I", block, 4)
    return order, directory_at(block, at, order)


def directory_at(block: bytes | bytearray, at: int, order: ByteOrder) -> Directory:
    """Return the directory at a byte of a block; an empty one if there is none."""
    if not 8 <= at <= len(block) - 2:
        return Directory(0, {}, 0, 0, whole=False)
    (declared,) = struct.unpack_from(f"{order}H", block, at)
    rows = min(declared, (len(block) - at - 2) // 12)
    entries: dict[int, Entry] = {}
    room = len(block)  # values that overlap could be many times as large
    for tag, entry in _entries(block, at, rows, order):
        room -= len(entry.field.data)
        if room < 0:
            break
        entries.setdefault(tag, entry)
    after = at + 2 + 12 * rows
    whole = rows == declared and after + 4 <= len(block)
    (following,) = struct.unpack_from(f"{order}I", block, after) if whole else (0,)
    return Directory(at, entries, rows, following, whole)


def _entries(
    block: bytes | bytearray, at: int, rows: int, order: ByteOrder
) -> Iterator[tuple[int, Entry]]:
    for position in range(at + 2, at + 2 + 12 * rows, 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", block, position)
        size = _SIZES.get(kind, 0) * count
        start = position + 8
        if size > 4:
            (start,) = struct.unpack_from(f"{order}I", block, start)
        if size and start + size <= len(block):
            data = bytes(block[start : start + size])
            yield tag, Entry(position, start, Field(kind, count, data))


def _parts(number: Fraction) -> tuple[int, int]:
    """Return a fraction as two integers of 32 bits, as exactly as they can be."""
    limit = _MOST
    if abs(number) > limit:
        raise ValueError(f"{number} is too large for a fraction of TIFF")
    while True:
        small = number.limit_denominator(limit)
        if abs(small.numerator) <= _MOST:
            return small.numerator, small.denominator
        limit >>= 1


def _sizes_before(exif: Exif) -> tuple[int, ...]:
    """Return the positions of the four directories."""
    extra = [bool(exif.detail or exif.interop) + bool(exif.gps), bool(exif.interop), 0, 0]
    at, places = 8, []
    for fields, more in zip((exif.main, exif.detail, exif.gps, exif.interop), extra, strict=True):
        places.append(at)
        if fields or more or fields is exif.main:
            at += 6 + 12 * (len(fields) + more)
            at += sum(len(f.data) + len(f.data) % 2 for f in fields.values() if len(f.data) > 4)
    return tuple(places)


def written(fields: Mapping[int, Field], at: int, order: ByteOrder) -> bytes:
    """Return a directory that begins at a byte of a block, and its values after it."""
    table, values = bytearray(struct.pack(f"{order}H", len(fields))), bytearray()
    start = at + 6 + 12 * len(fields)
    for tag, one in sorted(fields.items()):
        table += struct.pack(f"{order}HHI", tag, one.type, one.count)
        if len(one.data) <= 4:
            table += one.data.ljust(4, b"\0")
            continue
        table += struct.pack(f"{order}I", start + len(values))
        values += one.data + b"\0" * (len(one.data) % 2)
    return bytes(table + bytes(4) + values)
