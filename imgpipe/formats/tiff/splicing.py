"""Copies of TIFF files: the coded pixels as they are, without metadata.

Pixels are found by their position in the file, so nothing moves. A list of what stays is made: the
tags of pixels and colours with their values, tiles and strips. All other bytes become zeros, also
those that no tag points to, such as an earlier version of the directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from imgpipe.errors import CorruptError
from imgpipe.exif import Field
from imgpipe.formats.base import Data
from imgpipe.formats.blanking import BlankedOrigin, joined, meeting
from imgpipe.formats.declaration import NotCopiedError
from imgpipe.formats.origin import Origin, pieces_of, size_of
from imgpipe.formats.tiff.codedplaces import pixel_spans
from imgpipe.formats.tiff.describing import Description, described
from imgpipe.formats.tiff.directories import Entry, Walk
from imgpipe.formats.tiff.pages import contents, opened_page
from imgpipe.metadata import Metadata

__all__ = ["spliced"]

_INNER, _ICC, _NODATA = 330, 34675, 42113
_X, _Y, _UNIT, _NO_UNIT = 282, 283, 296, 1
_OF_THE_PIXELS = frozenset(
    (
        *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279),
        *(280, 281, 284, 290, 291, 292, 293, 301, 317, 318, 319, 320, 321, 322, 323, 324),
        *(325, 326, 327, 328, 332, 334, 336, 338, 339, 340, 341, 342, 346, 347),
        *(529, 530, 531, 532, 559, 32995, 32996, 32997, 32998, 50674),
    )
)
"""Tags of the storage of pixels, and of their colours in numbers."""

_TEXT = 2
_MOST_DIRECTORIES = 100_000
_MOST_SEGMENTS = 4_000_000
_COMPARED = 64  # pages
_ANY_SIZE = 1 << 62


def spliced(origin: Origin, metadata: Metadata) -> Iterator[Data]:
    """Return the bytes of a TIFF file without metadata, piece by piece.

    Its pages, levels and masks stay, with ICC profile, orientation and the value of pixels without
    data.

    Raises
    ------
    InputError
        If it cannot be read.
    NotCopiedError
        If that is not possible without decoding.
    """
    del metadata  # kept bytes stay where they are
    try:
        with origin.open(0) as file:
            made = _Kept(file, origin.name).blanked(origin)
        _must_be_like(made, origin)
    except CorruptError as error:
        raise NotCopiedError(str(error).removeprefix(f"{origin.name}: ")) from error
    return pieces_of(made)


class _Kept:
    """Parts of an open file that are kept."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._size = file, size_of(file)
        self._walk = Walk(file, name)
        if self._walk.ndpi:
            raise NotCopiedError("offsets of this variant have 64 bits")
        self._spans = [np.array([(0, self._walk.head_bytes)], np.int64)]
        self._dropped: list[tuple[int, int]] = []
        self._tables: dict[int, tuple[int, bytes]] = {}  # sizes before, and bytes after
        self._segments = 0

    def blanked(self, origin: Origin) -> BlankedOrigin:
        """Return the file without all other bytes.

        Raises
        ------
        NotCopiedError
            If something that stays shares bytes with something that does not.
        """
        chain = [*self._walk.chain()]
        for one in chain:
            self._keep(one.position, levels=len(one.inner))
        for position in (each for one in chain for each in one.inner):
            if position not in self._tables:
                self._keep(position, levels=None)
        spans = joined(np.concatenate(self._spans))
        places = sorted(
            (at, at + max(size, len(data))) for at, (size, data) in self._tables.items()
        )
        tables = np.array(places, np.int64)
        dropped = np.array(self._dropped, np.int64).reshape(-1, 2)
        if (tables[1:, 0] < tables[:-1, 1]).any() or meeting(tables, spans):
            raise NotCopiedError("its directories overlap with something else")
        if meeting(dropped, spans) or meeting(dropped, joined(tables)):
            raise NotCopiedError("metadata share bytes with something else")
        return BlankedOrigin(origin, spans, {at: data for at, (_, data) in self._tables.items()})

    def _keep(self, position: int, levels: int | None) -> None:
        """Keep a directory; `levels` are those below it, None if it is one of them."""
        if len(self._tables) >= _MOST_DIRECTORIES:
            raise NotCopiedError("it has too many pages")
        table, rows, entries = self._walk.table(position), [], {}
        for code, entry in table.rows:
            if code in entries or not self._stays(code, entry, table.entries, levels):
                self._drop(entry)
            else:
                entries[code] = entry
                rows.append((code, self._kept(entry)))
        segments = pixel_spans(self._file, self._size, self._walk, entries)
        self._segments += len(segments)
        if self._segments > _MOST_SEGMENTS:
            raise NotCopiedError("it has too many tiles or strips")
        self._spans.append(segments)
        following = 0 if levels is None else table.following
        self._tables[position] = table.size, self._walk.encoded(rows, following)

    def _stays(
        self, code: int, entry: Entry, entries: dict[int, Entry], levels: int | None
    ) -> bool:
        if code == _INNER:
            if levels is not None and levels != entry.values:
                raise NotCopiedError("its list of levels is damaged")
            return levels is not None
        if code == _ICC:
            return self._start(entry, 40)[36:] == b"acsp"
        if code == _NODATA:
            return entry.kind == _TEXT and _is_number(self._start(entry, 64))
        if code in (_X, _Y, _UNIT):
            return self._tells_aspect(entries)
        return code in _OF_THE_PIXELS and entry.kind != _TEXT

    def _kept(self, entry: Entry) -> Entry:
        """Return a tag that stays, without bytes after its values; note where these are."""
        if not entry.size:
            raise NotCopiedError("a tag is damaged")
        place = self._walk.place(entry)
        if not place:
            inline = entry.inline[: entry.size].ljust(len(entry.inline), b"\0")
            return entry._replace(inline=inline)
        if place + entry.size > self._size:
            raise NotCopiedError("a tag is damaged")
        self._spans.append(np.array([(place, place + entry.size)], np.int64))
        return entry

    def _drop(self, entry: Entry) -> None:
        place = self._walk.place(entry)
        if 0 < place < self._size:
            self._dropped.append((place, min(place + entry.size, self._size)))

    def _start(self, entry: Entry, size: int) -> bytes:
        """Return the first bytes of the values of a tag."""
        place = self._walk.place(entry)
        if not place:
            return entry.inline[: min(size, entry.size)]
        self._file.seek(min(place, self._size))
        return self._file.read(min(size, entry.size))

    def _tells_aspect(self, entries: dict[int, Entry]) -> bool:
        """Return whether a directory declares pixels that are not square, and no resolution."""
        found = []
        for code in (_X, _Y, _UNIT):
            entry = entries.get(code)
            data = self._walk.data(entry) if entry and entry.values == 1 else b""
            if entry is None or not data:
                return False
            found.append(Field(entry.kind, 1, data).values(self._walk.order)[0])
        x, y, unit = found
        both = isinstance(x, Fraction) and isinstance(y, Fraction)
        return unit == _NO_UNIT and both and x != y


def _is_number(data: bytes) -> bool:
    try:
        float(data.strip(b"\0 ").replace(b",", b"."))
    except ValueError:
        return False
    return True


def _must_be_like(made: Origin, origin: Origin) -> None:
    """Refuse a file whose images are read in another way than before.

    Raises
    ------
    NotCopiedError
        If the meaning of pixels depends on what was removed.
    """
    found = contents(origin)
    same = contents(made) == found
    places = [(0, level) for level in range(len(found.levels))]
    places += [(page, 0) for page in range(1, min(found.frames, _COMPARED))]
    if not same or any(_storage(made, *at) != _storage(origin, *at) for at in places):
        raise NotCopiedError("its metadata say how pixels are stored")


def _storage(origin: Origin, page: int, level: int) -> Description:
    """Return an image without its metadata."""
    with opened_page(origin, page, level) as opened:
        found = described(opened, origin.name, _ANY_SIZE)
    return replace(found, info=replace(found.info, metadata=Metadata()))
