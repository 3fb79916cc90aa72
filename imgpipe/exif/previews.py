"""Removal of previews from EXIF blocks: the bytes of the pictures, not only their offsets."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator

from imgpipe.exif.editing import directories, removed
from imgpipe.exif.fields import ByteOrder, Directory, directory_at

__all__ = ["without_previews"]

_SUBDIRECTORIES = 0x014A
_PICTURES = ((0x0201, 0x0202), (0x0111, 0x0117), (0x0144, 0x0145))  # tags of starts and sizes
_PHOTOSHOP = 0x8649  # resources, among which is a thumbnail
_TAGS = (_SUBDIRECTORIES, _PHOTOSHOP, *(tag for pair in _PICTURES for tag in pair))
_MOST = 16  # directories of previews

_START = re.compile(rb"\xd8\xff[\xc0-\xcf\xdb\xdd\xe0-\xef\xfe]")
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_END, _SCAN = b"\xff\xd9", b"\xff\xda"

Span = tuple[int, int]


def without_previews(block: bytes) -> bytes:
    """Return the block without pictures of the image.

    Directories of pictures are removed, with all that they point to, and so is every JPEG stream
    anywhere in the block, such as in the notes of the maker of the camera. Their bytes are
    overwritten with zeros, and cut off at the end of the block. No other byte moves.

    Raises
    ------
    ValueError
        If it does not begin like EXIF.
    """
    kept = directories(block)
    tables = [(0, 8), *((one.at, min(one.end, len(block))) for _, one in kept)]
    made, spans = bytearray(block), _joined(_pictures(block, kept))
    _wipe(made, spans, tables)
    for order, one in kept:
        if one.next:
            struct.pack_into(f"{order}I", made, one.end - 4, 0)
        removed(made, one, _TAGS, order)
    streams = _joined(_streams(made))
    _wipe(made, streams, tables)
    return _cut(made, max(stop for _, stop in tables), [*spans, *streams])


def _pictures(block: bytes, kept: list[tuple[ByteOrder, Directory]]) -> Iterator[Span]:
    """Yield the spans of the directories of pictures, and of all that they point to."""
    seen = {one.at for _, one in kept}
    waiting = [(order, one, True) for order, one in kept]
    while waiting and len(seen) < _MOST:
        order, one, is_kept = waiting.pop()
        if not is_kept:
            yield one.at, one.end
            for entry in one.entries.values():
                yield entry.start, entry.start + len(entry.field.data)
        for starts, sizes in _PICTURES:
            pairs = zip(one.numbers(starts, order), one.numbers(sizes, order), strict=False)
            yield from ((start, start + size) for start, size in pairs)
        for at in (one.next, *one.numbers(_SUBDIRECTORIES, order)):
            if at not in seen and len(seen) < _MOST:
                seen.add(at)
                more = directory_at(block, at, order)
                if more.rows:
                    waiting.append((order, more, False))


def _streams(block: bytearray) -> Iterator[Span]:
    """Yield the spans of JPEG streams. Some cameras spoil the first byte of a stream."""
    at, dead = 0, set[int]()
    while found := _START.search(block, at):
        at = found.end()
        stop = _end_of_stream(block, found.start() + 1, dead)
        if stop:
            yield max(0, found.start() - 1), stop
            at = stop


def _end_of_stream(block: bytearray, at: int, dead: set[int]) -> int:
    """Return the end of a JPEG stream whose first segment begins at `at`; 0 if it is none.

    Segments that are `dead` lead to no pixels; those that are found to be so are added.
    """
    seen = set[int]()
    while at not in dead and (found := _MARKER.match(block, at)):
        seen.add(at)
        if found.group() == _SCAN:
            return _end_of_pixels(block, _after(block, found))
        if found.group() == _END:
            break
        at = _after(block, found)
    dead |= seen
    return 0


def _end_of_pixels(block: bytearray, at: int) -> int:
    """Return the end of the stream whose compressed pixels begin at `at`; of the block if none."""
    while found := _MARKER.search(block, at):
        if found.group() == _END:
            return found.end()
        at = _after(block, found)
    return len(block)


def _after(block: bytearray, marker: re.Match[bytes]) -> int:
    """Return the end of the segment with this marker."""
    return marker.end() + int.from_bytes(block[marker.end() : marker.end() + 2], "big")


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, without the ones that overlap another."""
    found: list[Span] = []
    for start, stop in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(stop, found[-1][1])
        else:
            found.append((start, stop))
    return found


def _wipe(made: bytearray, spans: list[Span], tables: list[Span]) -> None:
    """Overwrite bytes, except the tables that are kept."""
    saved = [(first, bytes(made[first:last])) for first, last in tables]
    for start, stop in spans:
        end = min(stop, len(made))
        made[start:end] = bytes(max(0, end - start))
    for first, content in saved:
        made[first : first + len(content)] = content


def _cut(made: bytearray, least: int, spans: list[Span]) -> bytes:
    """Return the block without the overwritten bytes at its end."""
    end = len(made)
    for start, stop in sorted(spans, key=lambda span: span[1], reverse=True):
        if stop < end:
            break
        end = min(end, start)
    return bytes(made[: max(end, least)])
