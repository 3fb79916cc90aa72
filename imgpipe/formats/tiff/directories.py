"""Directories of a TIFF file: their offsets, and the few tags that sort them.

They are walked without a library: a file may have a hundred thousand of them, or a list that runs
in a circle.

References
----------
TIFF Revision 6.0, Adobe 1992, section 2; the BigTIFF design, libtiff.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from imgpipe.errors import CorruptError, FormatError
from imgpipe.exif import Field
from imgpipe.exif.fields import ByteOrder
from imgpipe.records import dataclass

__all__ = ["Directory", "Entry", "Table", "Walk", "is_level"]

_SIZES = (
    dict.fromkeys((1, 2, 6, 7), 1) | dict.fromkeys((3, 8), 2) | dict.fromkeys((4, 9, 11, 13), 4)
)
_SIZES |= dict.fromkeys((5, 10, 12, 16, 17, 18), 8)
_LAST_CLASSIC_TYPE = 13
_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_MOST_TAGS = 4096
_MOST_BYTES = 4 << 20  # of a tag that is carried as it is
_MOST_DIRECTORIES = 1_000_000
_MOST_SUBDIRECTORIES = 1000
_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _SUBDIRECTORIES, _NDPI = 254, 255, 256, 257, 330, 65420
_REDUCED, _MASK = 1, 4
_OLD_REDUCED = 2


@dataclass(frozen=True)
class Directory:
    """A directory: the tags of one image.

    Attributes
    ----------
    position : int
        Its offset in the file.
    height, width : int
        Pixels.
    reduced, mask : bool
        Whether it declares to be a smaller version, or a mask, of another image.
    inner : tuple of int
        Offsets of the directories below it.
    plane : int
        Number of the image, where several follow each other without directories of their own.
    """

    position: int
    height: int = 0
    width: int = 0
    reduced: bool = False
    mask: bool = False
    inner: tuple[int, ...] = ()
    plane: int = 0

    def __str__(self) -> str:
        kind = "mask" if self.mask else "smaller image" if self.reduced else "image"
        return f"{kind} of {self.width} x {self.height}"


class Entry(NamedTuple):
    """A tag: its type, the number of its values, and these, or the offset of them."""

    kind: int
    values: int
    inline: bytes

    @property
    def size(self) -> int:
        """Bytes of the values; 0 if the type is not known."""
        return _SIZES.get(self.kind, 0) * self.values


class Table(NamedTuple):
    """A directory as it is stored.

    Attributes
    ----------
    rows : list of (int, Entry)
        Its tags, with their numbers.
    following : int
        Offset of the next directory; 0 if there is none.
    size : int
        Its bytes.
    """

    rows: list[tuple[int, Entry]]
    following: int
    size: int

    @property
    def entries(self) -> dict[int, Entry]:
        """The tags by number; of two with the same number the first."""
        found: dict[int, Entry] = {}
        for code, entry in self.rows:
            found.setdefault(code, entry)
        return found


class Walk:
    """A walk over the directories of a file.

    Parameters
    ----------
    file : binary file
        The open file.
    name : str
        The file, for messages.

    Attributes
    ----------
    order : {"<", ">"}
        Byte order of the file.
    ndpi : bool
        Whether the file is of Hamamatsu's variant, whose offsets have 64 bits.
    head_bytes : int
        Bytes of the header.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        head = self._at(0, 16)
        if len(head) < 8 or head[:2] not in (b"II", b"MM"):
            raise CorruptError(f"{name}: the file is damaged: its header is no TIFF header")
        self.order: ByteOrder = "<" if head[:2] == b"II" else ">"
        version = int.from_bytes(head[2:4], "little" if self.order == "<" else "big")
        if version not in (42, 43):
            raise FormatError(
                f"{name}: TIFF version {version} is not supported, only 42 and 43; convert the file"
            )
        big = version == 43
        self.head_bytes = 16 if big else 8
        self._counting = f"{self.order}{'Q' if big else 'H'}"
        self._entry = f"{self.order}HH{'Q8s' if big else 'I4s'}"
        self._pointer = f"{self.order}{'Q' if big else 'I'}"
        self._following = self._pointer
        self.ndpi = not big and self.order == "<" and self._is_ndpi(head)
        if self.ndpi:
            self._following = "<Q"
        (self._first,) = struct.unpack_from(self._following, head.ljust(16, b"\0"), 8 if big else 4)

    def chain(self) -> Iterator[Directory]:
        """Yield the directories of the main list.

        Raises
        ------
        CorruptError
            If there is none, the list is damaged, or it runs in a circle.
        """
        position, seen = self._first, set[int]()
        if not position:
            raise CorruptError(f"{self._name}: the file is damaged: it holds no image")
        while position:
            if position in seen or len(seen) > _MOST_DIRECTORIES:
                raise CorruptError(
                    f"{self._name}: the file is damaged: its list of images runs in a circle"
                )
            seen.add(position)
            table = self.table(position)
            yield self._described(position, table.entries)
            position = table.following

    def below(self, directory: Directory) -> list[Directory]:
        """Return the directories below one, without unreadable ones."""
        found = []
        for position in directory.inner[:_MOST_SUBDIRECTORIES]:
            with contextlib.suppress(CorruptError):
                found.append(self._described(position, self.table(position).entries))
        return found

    def fields(self, position: int) -> dict[int, Field]:
        """Return the tags of a directory as they are, without unreadable ones."""
        try:
            entries = self.table(position).entries
        except CorruptError:
            return {}
        found = {}
        for code, entry in entries.items():
            data = self.data(entry) if 0 < entry.size <= _MOST_BYTES else b""
            if data and entry.kind <= _LAST_CLASSIC_TYPE:
                found[code] = Field(entry.kind, entry.values, data)
        return found

    def table(self, position: int) -> Table:
        """Return the directory at an offset.

        Raises
        ------
        CorruptError
            If there is none.
        """
        size, head = struct.calcsize(self._entry), struct.calcsize(self._counting)
        counted = self._at(position, head)
        tags = struct.unpack(self._counting, counted)[0] if len(counted) == head else 0
        body = self._at(position + head, tags * size) if 0 < tags <= _MOST_TAGS else b""
        if not body or len(body) < tags * size:
            raise CorruptError(
                f"{self._name}: the file is damaged: there is no directory at offset "
                f"{position:,}; get a fresh copy"
            )
        rest = self._at(position + head + len(body), struct.calcsize(self._following))
        whole = len(rest) == struct.calcsize(self._following)
        rows = [(code, Entry(*entry)) for code, *entry in struct.iter_unpack(self._entry, body)]
        following = struct.unpack(self._following, rest)[0] if whole else 0
        return Table(rows, following, head + len(body) + len(rest))

    def encoded(self, rows: Iterable[tuple[int, Entry]], following: int) -> bytes:
        """Return a directory as it is stored."""
        made = [struct.pack(self._entry, code, *entry) for code, entry in rows]
        count = struct.pack(self._counting, len(made))
        return b"".join((count, *made, struct.pack(self._following, following)))

    def place(self, entry: Entry) -> int:
        """Return the offset of the values of a tag; 0 if they are in the directory."""
        outside = entry.size > len(entry.inline)
        return struct.unpack(self._pointer, entry.inline)[0] if outside else 0

    def data(self, entry: Entry) -> bytes:
        """Return the bytes of the values of a tag; nothing if they are not in the file."""
        place = self.place(entry)
        data = self._at(place, entry.size) if place else entry.inline
        return data[: entry.size] if len(data) >= entry.size else b""

    def _is_ndpi(self, head: bytes) -> bool:
        (position,) = struct.unpack_from("<Q", head.ljust(16, b"\0"), 4)
        try:
            return _NDPI in self.table(position).entries
        except CorruptError:
            return False

    def _described(self, position: int, entries: dict[int, Entry]) -> Directory:
        def values(code: int) -> tuple[int, ...]:
            entry = entries.get(code)
            if entry is None or entry.kind not in _CODES or entry.values > _MOST_SUBDIRECTORIES:
                return ()
            data = self.data(entry)
            return (
                struct.unpack(f"{self.order}{entry.values}{_CODES[entry.kind]}", data)
                if data
                else ()
            )

        def one(code: int) -> int:
            return next(iter(values(code)), 0)

        subfile = one(_SUBFILE) or (_REDUCED if one(_OLD_SUBFILE) == _OLD_REDUCED else 0)
        return Directory(
            position,
            one(_HEIGHT),
            one(_WIDTH),
            bool(subfile & _REDUCED),
            bool(subfile & _MASK),
            values(_SUBDIRECTORIES),
        )

    def _at(self, position: int, size: int) -> bytes:
        try:
            self._file.seek(position)
        except (OverflowError, ValueError, OSError):
            return b""
        return self._file.read(size)


def is_level(small: Directory, full: Directory) -> bool:
    """Return whether an image has the proportions of a smaller version of another."""
    if not (0 < small.height < full.height and 0 < small.width < full.width):
        return False
    down, across = full.height / small.height, full.width / small.width
    # A side is rounded up or down at every level, so by up to one pixel of the small image.
    most = (1 + 1 / small.height) * (1 + 1 / small.width)
    return max(down, across) <= min(down, across) * most * 1.02
