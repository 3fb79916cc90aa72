"""Images in ISO base media files (ISO/IEC 23008-12): the contents of AVIF and HEIF files.

Read from the boxes, so that nothing has to be decoded, or even loaded, to know it.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import field
from fractions import Fraction
from typing import Any, BinaryIO

from imgpipe.formats.boxes import Span, spans, spans_in
from imgpipe.metadata import Metadata
from imgpipe.records import dataclass

__all__ = ["Image", "places_of", "read_image"]

_log = logging.getLogger(__name__)

_META_BYTES = 64 << 20
_BLOCK_BYTES = 16 << 20  # of EXIF or XMP
_MOST_FRAMES = 1_000_000
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
_SRGB = ((1, 13), (2, 2), (1, 2), (2, 13))  # primaries and transfer, or nothing said of them
# Orientation as EXIF counts, by quarter turns to the left and mirroring: none, axis 0, axis 1.
_ORIENTATIONS = ((1, 4, 2), (8, 5, 7), (3, 2, 4), (6, 7, 5))


@dataclass(frozen=True)
class Image:
    """An image of a file.

    Attributes
    ----------
    height, width : int
        Pixels, as they are stored.
    shown : (int, int)
        Rows and columns of the part that is to be shown.
    bits : int
        Bits of a sample.
    gray : bool
        Whether there is no colour.
    alpha : bool
        Whether there is alpha.
    orientation : int
        Position of the first row and column, as EXIF counts.
    seconds : tuple of float
        Duration of each frame of an animation; empty for a single image.
    metadata : Metadata
        Metadata of the image, its orientation left out.
    """

    height: int
    width: int
    shown: tuple[int, int]
    bits: int
    gray: bool
    alpha: bool
    orientation: int = 1
    seconds: tuple[float, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)


def read_image(file: BinaryIO, size: int, name: str) -> Image:
    """Return the content of an open file.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    meta: bytes | None = None
    seconds: tuple[float, ...] = ()
    for one in spans(file, 0, size):
        if one.end > size:
            raise ValueError(f"it ends within its box {one.kind.decode('latin-1')}")
        if one.kind == b"meta":
            meta = one.read(file, _META_BYTES)
        elif one.kind == b"moov":
            seconds = _seconds(one.read(file, _META_BYTES))
    if meta is None:
        raise ValueError("it describes no image")
    try:
        return _Description(meta).image(file, size, seconds, name)
    except (IndexError, KeyError) as error:
        raise ValueError(f"its description is incomplete ({error})") from None


def places_of(meta: bytes) -> Iterator[tuple[int, list[tuple[bool, int, int]]]]:
    """Yield the EXIF and XMP that the content of a box ``meta`` lists.

    Yields
    ------
    entry : int
        Offset of its kind in `meta`.
    parts : list of (bool, int, int)
        First byte, and the byte after the last, of each of its parts: within `meta`, or within
        the file.

    Raises
    ------
    ValueError
        If the box is damaged.
    """
    found, file = _Description(meta), io.BytesIO(meta)
    data = next((one.start for one in spans(file, 4, len(meta)) if one.kind == b"idat"), 0)
    for lists in (one for one in spans(file, 4, len(meta)) if one.kind == b"iinf"):
        first = lists.start + (8 if meta[lists.start] else 6)
        for one in spans(file, first, lists.end):
            wide = 4 if meta[one.start] > 2 else 2
            item = int.from_bytes(meta[one.start + 4 : one.start + 4 + wide], "big")
            entry = one.start + 4 + wide + 2
            if one.kind == b"infe" and meta[entry : entry + 4] in (b"Exif", b"mime"):
                places = found.places.get(item, [])
                moved = ((method == 1, start + data * (method == 1), length)
                         for method, start, length in places)  # fmt: skip
                yield entry, [(inside, start, start + size) for inside, start, size in moved]


class _Fields:
    """A reading position in the content of a box."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def number(self, size: int) -> int:
        """Return the number in the next `size` bytes."""
        self.at += size
        if self.at > len(self.content):
            raise ValueError("it ends within a box")
        return int.from_bytes(self.content[self.at - size : self.at], "big")

    def word(self) -> bytes:
        """Return the bytes to the next zero."""
        end = self.content.find(b"\0", self.at)
        end = len(self.content) if end < 0 else end
        found = self.content[self.at : end]
        self.at = end + 1
        return found


class _Description:
    """The items of a file, from the content of its box ``meta``."""

    def __init__(self, meta: bytes) -> None:
        self.primary = 0
        self.kinds: dict[int, bytes] = {}
        self.properties: list[tuple[bytes, bytes]] = []
        self.own: dict[int, list[int]] = {}
        self.places: dict[int, list[tuple[int, int, int]]] = {}
        self.references: list[tuple[bytes, int, list[int]]] = []
        self.data = b""
        readers: dict[bytes, Callable[[bytes], None]] = {
            b"pitm": self._take_primary,
            b"iinf": self._take_items,
            b"iloc": self._take_places,
            b"iprp": self._take_properties,
            b"iref": self._take_references,
        }
        for kind, content in spans_in(meta, 4):
            if kind == b"idat":
                self.data = content
            elif kind in readers:
                readers[kind](content)

    def image(self, file: BinaryIO, size: int, seconds: tuple[float, ...], name: str) -> Image:
        """Return the primary image."""
        known = list(self._properties_of(self.primary))
        parts = [to for kind, of, to in self.references if kind == b"dimg" and of == self.primary]
        tiles = [one for each in parts for one in each[:1]]
        coded = known + [one for tile in tiles for one in self._properties_of(tile)]
        first = dict(reversed(known))
        width, height = (int.from_bytes(first[b"ispe"][at : at + 4], "big") for at in (4, 8))
        bits, gray = _samples(dict(reversed(coded)))
        turn = first.get(b"irot", b"\0")[0] & 3
        mirror = 1 + (first[b"imir"][0] & 1) if b"imir" in first else 0
        alpha = any(
            kind == b"auxl" and self.primary in to and self._is_alpha(of)
            for kind, of, to in self.references
        )
        metadata = self._metadata(known, file, size, name)
        turned = _ORIENTATIONS[turn][mirror]
        shown = _shown(first[b"clap"]) if b"clap" in first else (height, width)
        if shown[0] > height or shown[1] > width:
            raise ValueError("it shows more pixels than it has")
        return Image(height, width, shown, bits, gray, alpha, turned, seconds, metadata)

    def _metadata(
        self, known: list[tuple[bytes, bytes]], file: BinaryIO, size: int, name: str
    ) -> Metadata:
        found: dict[str, Any] = dict(_colours(known))
        for item, kind in self.kinds.items():
            about = {b"Exif": "exif", b"mime": "xmp"}.get(kind)
            if about is None or not self._describes(item):
                continue
            try:
                content = self._content(item, file, size)
            except ValueError as error:
                _log.warning("%s: ignored %s: %s", name, about.upper(), error)
                continue
            if about == "exif":
                content = content[4 + int.from_bytes(content[:4], "big") :]
                content = content.removeprefix(b"Exif\0\0")
            if content:
                found.setdefault(about, content)
        return Metadata(**found)

    def _describes(self, item: int) -> bool:
        """Return whether an item describes the primary image, or names no image."""
        to = [each for kind, of, each in self.references if kind == b"cdsc" and of == item]
        return not to or any(self.primary in each for each in to)

    def _content(self, item: int, file: BinaryIO, size: int) -> bytes:
        parts = self.places.get(item, [])
        if sum(length for _, _, length in parts) > _BLOCK_BYTES:
            raise ValueError("it is too large")
        found = b""
        for method, start, length in parts:
            if method == 1:
                found += self.data[start : start + length]
            elif start + length <= size and method == 0:
                found += Span(b"item", start, start + length).read(file, _BLOCK_BYTES)
            else:
                raise ValueError("it is not within the file")
        return found

    def _properties_of(self, item: int) -> Iterator[tuple[bytes, bytes]]:
        for index in self.own.get(item, []):
            if 0 < index <= len(self.properties):
                yield self.properties[index - 1]

    def _is_alpha(self, item: int) -> bool:
        return any(
            kind == b"auxC" and content[4:].split(b"\0")[0] in _ALPHA
            for kind, content in self._properties_of(item)
        )

    def _take_primary(self, content: bytes) -> None:
        fields = _Fields(content)
        version = fields.number(4) >> 24
        self.primary = fields.number(4 if version else 2)

    def _take_items(self, content: bytes) -> None:
        for kind, entry in spans_in(content, 8 if content[0] else 6):
            if kind != b"infe" or entry[0] < 2:
                continue
            fields = _Fields(entry)
            version = fields.number(4) >> 24
            item = fields.number(4 if version > 2 else 2)
            fields.number(2)
            self.kinds[item] = fields.number(4).to_bytes(4, "big")
            if self.kinds[item] == b"mime":
                fields.word()
                if fields.word() != b"application/rdf+xml":
                    del self.kinds[item]

    def _take_places(self, content: bytes) -> None:
        fields = _Fields(content)
        version = fields.number(4) >> 24
        sizes, more = fields.number(1), fields.number(1)
        wide = 4 if version > 1 else 2
        for _ in range(fields.number(wide)):
            item = fields.number(wide)
            method = fields.number(2) & 15 if version else 0
            fields.number(2)
            base = fields.number(more >> 4)
            for _ in range(fields.number(2)):
                if version and more & 15:
                    fields.number(more & 15)
                start, length = fields.number(sizes >> 4), fields.number(sizes & 15)
                self.places.setdefault(item, []).append((method, base + start, length))

    def _take_properties(self, content: bytes) -> None:
        for kind, inner in spans_in(content):
            if kind == b"ipco":
                self.properties = list(spans_in(inner))
            elif kind == b"ipma":
                fields = _Fields(inner)
                flags = fields.number(4)
                wide = 2 if flags & 1 else 1
                for _ in range(fields.number(4)):
                    item = fields.number(4 if flags >> 24 else 2)
                    mask = (1 << (8 * wide - 1)) - 1
                    count = fields.number(1)
                    self.own[item] = [fields.number(wide) & mask for _ in range(count)]

    def _take_references(self, content: bytes) -> None:
        wide = 4 if content[0] else 2
        for kind, inner in spans_in(content, 4):
            fields = _Fields(inner)
            item, count = fields.number(wide), fields.number(2)
            self.references.append((kind, item, [fields.number(wide) for _ in range(count)]))


def _colours(known: list[tuple[bytes, bytes]]) -> Iterator[tuple[str, Any]]:
    """Yield the entries of metadata for the meaning of colours, unless it is sRGB."""
    for kind, content in known:
        if kind == b"colr" and content[:4] in (b"prof", b"rICC"):
            yield "icc", content[4:]
        elif kind == b"colr" and content[:4] == b"nclx" and len(content) >= 10:
            codes = tuple(int.from_bytes(content[at : at + 2], "big") for at in (4, 6))
            if codes not in _SRGB and max(codes) < 256:
                yield "cicp", (*codes, 0, 1)


def _shown(aperture: bytes) -> tuple[int, int]:
    """Return the rows and columns of a clean aperture."""
    parts = [int.from_bytes(aperture[at : at + 4], "big") for at in range(0, 16, 4)]
    if len(aperture) < 16 or not all(parts):
        raise ValueError("it shows a part without pixels")
    width, height = (round(Fraction(*parts[at : at + 2])) for at in (0, 2))
    return height, width


def _samples(known: dict[bytes, bytes]) -> tuple[int, bool]:
    """Return the bits of a sample, and whether there is no colour."""
    if b"av1C" in known:
        flags = known[b"av1C"][2]
        bits = 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
        return bits, bool(flags & 0x10)
    if b"hvcC" in known:
        return 8 + (known[b"hvcC"][17] & 7), not known[b"hvcC"][16] & 3
    if b"pixi" in known:
        return max(known[b"pixi"][5:], default=8), known[b"pixi"][4] == 1
    return 8, False


def _seconds(moov: bytes) -> tuple[float, ...]:
    """Return the duration of each frame of the first track of pictures."""
    for kind, track in spans_in(moov):
        if kind != b"trak":
            continue
        media = _within(track, b"mdia")
        if _within(media, b"hdlr")[8:12] != b"pict":
            continue
        head = _Fields(_within(media, b"mdhd"))
        version = head.number(4) >> 24
        head.number(16 if version else 8)
        scale = head.number(4) or 1
        times = _Fields(_within(_within(_within(media, b"minf"), b"stbl"), b"stts"))
        times.number(4)
        found: list[float] = []
        for _ in range(times.number(4)):
            count, ticks = times.number(4), times.number(4)
            if len(found) + count > _MOST_FRAMES:
                raise ValueError(f"it declares more than {_MOST_FRAMES:,} frames")
            found += [float(Fraction(ticks, scale))] * count
        return tuple(found)
    return ()


def _within(content: bytes, wanted: bytes) -> bytes:
    """Return the content of the first box of a kind."""
    found = io.BytesIO(content)
    for one in spans(found, 0, len(content)):
        if one.kind == wanted:
            return one.read(found, len(content))
    raise ValueError(f"it has no box {wanted.decode()}")
