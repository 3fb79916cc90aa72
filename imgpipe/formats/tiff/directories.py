"""Directories of a TIFF file: their offsets, and the few tags that sort them.

They are walked without a library: a file may have a hundred thousand of them, or a list that runs
in a circle.

References
----------
TIFF Revision 6.0, Adobe 1992, section 2; the BigTIFF design, libtiff.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from imgpipe.errors import CorruptError, FormatError

__all__ = ["Directory", "Walk", "is_level"]

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}  # of the types of values that are read here
_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_MOST_TAGS = 4096
_MOST_DIRECTORIES = 1_000_000
_MOST_SUBDIRECTORIES = 1000
_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _SUBDIRECTORIES, _NDPI = 254, 255, 256, 257, 330, 65420
_READ = (_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _SUBDIRECTORIES, _NDPI)
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
    """

    position: int
    height: int = 0
    width: int = 0
    reduced: bool = False
    mask: bool = False
    inner: tuple[int, ...] = ()

    def __str__(self) -> str:
        kind = "mask" if self.mask else "smaller image" if self.reduced else "image"
        return f"{kind} of {self.width} x {self.height}"


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
    ndpi : bool
        Whether the file is of Hamamatsu's variant, whose offsets have 64 bits.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        head = self._at(0, 16)
        if len(head) < 8 or head[:2] not in (b"II", b"MM"):
            raise CorruptError(f"{name}: the file is damaged: its header is no TIFF header")
        self._order = "<" if head[:2] == b"II" else ">"
        (version,) = struct.unpack_from(f"{self._order}H", head, 2)
        self._big = version == 43
        if version not in (42, 43):
            raise FormatError(
                f"{name}: TIFF version {version} is not supported, only 42 and 43; convert the file"
            )
        self._wide = self._big  # whether offsets have 64 bits
        self.ndpi = False
        if not self._big and self._order == "<":
            self.ndpi = self._wide = self._is_ndpi(head)
        where = 8 if self._big else 4
        self._first = struct.unpack_from(f"{self._order}{'Q' if self._wide else 'I'}", head, where)[
            0
        ]

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
            directory, position = self._directory(position)
            yield directory

    def below(self, directory: Directory) -> list[Directory]:
        """Return the directories below one; those that cannot be read are left out."""
        found = []
        for position in directory.inner[:_MOST_SUBDIRECTORIES]:
            try:
                found.append(self._directory(position)[0])
            except CorruptError:
                continue
        return found

    def _is_ndpi(self, head: bytes) -> bool:
        (position,) = struct.unpack_from("<Q", head.ljust(16, b"\0"), 4)
        count = self._at(position, 2)
        if len(count) < 2:
            return False
        (tags,) = struct.unpack("<H", count)
        entries = self._at(position + 2, 12 * min(tags, _MOST_TAGS))
        codes = {
            int.from_bytes(entries[at : at + 2], "little") for at in range(0, len(entries), 12)
        }
        return _NDPI in codes

    def _directory(self, position: int) -> tuple[Directory, int]:
        """Return the directory at an offset, and the offset of the next."""
        order, size = self._order, 20 if self._big else 12
        counting = f"{order}{'Q' if self._big else 'H'}"
        offset = f"{order}{'Q' if self._wide else 'I'}"
        head = self._at(position, struct.calcsize(counting))
        if len(head) < struct.calcsize(counting):
            raise self._damaged(position)
        (tags,) = struct.unpack(counting, head)
        if not 0 < tags <= _MOST_TAGS:
            raise self._damaged(position)
        body = self._at(position + len(head), tags * size + struct.calcsize(offset))
        if len(body) < tags * size:
            raise self._damaged(position)
        rest = body[tags * size :]
        following = struct.unpack(offset, rest)[0] if len(rest) == struct.calcsize(offset) else 0
        values: dict[int, tuple[int, ...]] = {}
        for at in range(0, tags * size, size):
            (code,) = struct.unpack_from(f"{order}H", body, at)
            if code in _READ and code not in values:
                values[code] = self._values(body[at : at + size])
        return _described(position, values), following

    def _values(self, entry: bytes) -> tuple[int, ...]:
        order = self._order
        kind, count = struct.unpack_from(f"{order}H{'Q' if self._big else 'I'}", entry, 2)
        if kind not in _CODES or not 0 < count <= _MOST_SUBDIRECTORIES:
            return ()
        inline, size = entry[12:] if self._big else entry[8:], count * _SIZES[kind]
        if size > len(inline):
            (where,) = struct.unpack(f"{order}{'Q' if self._big else 'I'}", inline)
            inline = self._at(where, size)
        if len(inline) < size:
            return ()
        return struct.unpack_from(f"{order}{count}{_CODES[kind]}", inline)

    def _at(self, position: int, size: int) -> bytes:
        try:
            self._file.seek(position)
        except (OverflowError, ValueError, OSError):
            return b""
        return self._file.read(size)

    def _damaged(self, position: int) -> CorruptError:
        return CorruptError(
            f"{self._name}: the file is damaged: there is no directory at offset {position:,}; "
            "get a fresh copy"
        )


def _described(position: int, values: dict[int, tuple[int, ...]]) -> Directory:
    def one(code: int) -> int:
        return (values.get(code) or (0,))[0]

    subfile = one(_SUBFILE) or (_REDUCED if one(_OLD_SUBFILE) == _OLD_REDUCED else 0)
    return Directory(
        position,
        one(_HEIGHT),
        one(_WIDTH),
        bool(subfile & _REDUCED),
        bool(subfile & _MASK),
        values.get(_SUBDIRECTORIES, ()),
    )


def is_level(small: Directory, full: Directory) -> bool:
    """Whether an image has the proportions of a smaller version of another."""
    if not (0 < small.height < full.height and 0 < small.width < full.width):
        return False
    down, across = full.height / small.height, full.width / small.width
    # A side is rounded up or down at every level, so by up to one pixel of the small image.
    most = (1 + 1 / small.height) * (1 + 1 / small.width)
    return max(down, across) <= min(down, across) * most * 1.02
