"""XMP packets: properties that are replaced or removed, while every other byte stays as it is."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from imgpipe.density import METRES_PER_INCH, Density
from imgpipe.records import dataclass
from imgpipe.texts import is_picture

__all__ = [
    "checked",
    "oriented",
    "with_new_density",
    "with_size",
    "without_colour",
    "without_places",
    "without_previews",
]

_TIFF = "http://ns.adobe.com/tiff/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_BASIC = "http://ns.adobe.com/xap/1.0/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"

Name = tuple[str, str]
"""Namespace and local name of a property."""

_ORIENTATION: tuple[Name, ...] = ((_TIFF, "Orientation"), (_EXIF, "Orientation"))
_HEIGHT: tuple[Name, ...] = ((_TIFF, "ImageLength"), (_EXIF, "PixelYDimension"))
_WIDTH: tuple[Name, ...] = ((_TIFF, "ImageWidth"), (_EXIF, "PixelXDimension"))
_DENSITY: tuple[Name, ...] = ((_TIFF, "XResolution"), (_TIFF, "YResolution"))
_UNIT: Name = (_TIFF, "ResolutionUnit")
_THUMBNAILS: Name = (_BASIC, "Thumbnails")
_PLACES: tuple[Name, ...] = (
    (_EXIF, "SubjectArea"),
    (_EXIF, "SubjectLocation"),
    ("http://www.metadataworkinggroup.com/schemas/regions/", "Regions"),
    ("http://ns.microsoft.com/photo/1.2/", "RegionInfo"),
    ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "ImageRegion"),
)
_COLOUR: tuple[Name, ...] = (
    (_PHOTOSHOP, "ICCProfile"),
    (_PHOTOSHOP, "ColorMode"),
    (_TIFF, "PhotometricInterpretation"),
    (_TIFF, "WhitePoint"),
    (_TIFF, "PrimaryChromaticities"),
    (_TIFF, "TransferFunction"),
)

_TAG = re.compile(rb"""<[^\s/>]+(?:\s+[^\s=]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*/?>""")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")
_MOST = 1_000_000  # of the denominator of a resolution
_BOMS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class _Edit(NamedTuple):
    start: int
    stop: int
    new: bytes


@dataclass
class _Element:
    name: Name
    prefixes: list[str]
    start: int
    inside: int
    has_children: bool = False


def checked(packet: bytes) -> bytes:
    """Return the packet in UTF-8.

    Raises
    ------
    ValueError
        If it is no well-formed XML, or declares entities.
    """
    encoded = _in_utf8(packet)
    _parsed(encoded, {}, pictures=False)
    return encoded


def oriented(packet: bytes, wanted: int) -> bytes:
    """Return the packet with this orientation, wherever it states one."""
    return _changed(packet, dict.fromkeys(_ORIENTATION, str(wanted)))


def with_size(packet: bytes, height: int, width: int) -> bytes:
    """Return the packet with the size of the image, wherever it states one."""
    sides = dict.fromkeys(_HEIGHT, str(height)) | dict.fromkeys(_WIDTH, str(width))
    return _changed(packet, sides)


def with_new_density(packet: bytes, wanted: Density) -> bytes:
    """Return the packet with this resolution, wherever it states one."""
    parts = ((one * METRES_PER_INCH).limit_denominator(_MOST) for one in wanted)
    words = (f"{one.numerator}/{one.denominator}" for one in parts)
    return _changed(packet, dict(zip(_DENSITY, words, strict=True)) | {_UNIT: "2"})


def without_previews(packet: bytes) -> bytes:
    """Return the packet without thumbnails, and without any picture in base 64."""
    return _changed(packet, {_THUMBNAILS: None}, pictures=True)


def without_places(packet: bytes) -> bytes:
    """Return the packet without places in the image, such as the regions of faces."""
    return _changed(packet, dict.fromkeys(_PLACES))


def without_colour(packet: bytes) -> bytes:
    """Return the packet without the description of colours."""
    return _changed(packet, dict.fromkeys(_COLOUR))


def _changed(packet: bytes, values: Mapping[Name, str | None], *, pictures: bool = False) -> bytes:
    """Return the packet with new values of properties; None removes one.

    Raises
    ------
    ValueError
        If it is no well-formed XML, or declares entities.
    """
    encoded = _in_utf8(packet)
    edits = _parsed(encoded, values, pictures=pictures)
    parts, at = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, -edit.stop)):
        if edit.start >= at:  # else it is in a removed part
            parts += [encoded[at : edit.start], edit.new]
            at = edit.stop
    return b"".join([*parts, encoded[at:]])


def _in_utf8(packet: bytes) -> bytes:
    for bom, encoding in _BOMS:
        if packet.startswith(bom):
            packet = packet.decode(encoding).encode()
    return packet.strip(b"\0 \t\r\n").removeprefix(codecs.BOM_UTF8)


def _parsed(packet: bytes, values: Mapping[Name, str | None], *, pictures: bool) -> list[_Edit]:
    """Return the edits that give properties these values."""
    return _Parsing(packet, values, pictures=pictures).edits


class _Parsing:
    """The parsing of a packet, that collects edits."""

    def __init__(self, packet: bytes, values: Mapping[Name, str | None], *, pictures: bool) -> None:
        from xml.parsers import expat  # noqa: PLC0415 - rarely needed

        self._packet, self._values, self._pictures = packet, values, pictures
        self._open: list[_Element] = []
        self._spaces: dict[str, list[str]] = {}
        self.edits: list[_Edit] = []
        self._parser = parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.StartDoctypeDeclHandler = self._no_entities
        try:
            parser.Parse(packet, True)
        except expat.ExpatError as error:
            raise ValueError(f"it is no well-formed XML: {error}") from None

    def _start(self, raw: str, attributes: dict[str, str]) -> None:
        at = self._parser.CurrentByteIndex
        tag = _TAG.match(self._packet, at)
        if tag is None:
            raise ValueError("it has a tag that is not understood")
        prefixes = [name[6:] for name in attributes if name.startswith("xmlns:")]
        for prefix in prefixes:
            self._spaces.setdefault(prefix, []).append(attributes[f"xmlns:{prefix}"])
        if self._open:
            self._open[-1].has_children = True
        self._open.append(_Element(self._resolved(raw), prefixes, at, tag.end()))
        self.edits.extend(self._attribute_edits(tag))

    def _end(self, _raw: str) -> None:
        one, at = self._open.pop(), self._parser.CurrentByteIndex
        empty = self._packet.startswith(b"/>", one.inside - 2)
        stop = one.inside if empty else self._packet.index(b">", at) + 1
        content = b"" if empty else self._packet[one.inside : at]
        for prefix in one.prefixes:
            self._spaces[prefix].pop()
        if one.name in self._values:
            new = self._values[one.name]
            if new is None or one.has_children:
                self.edits.append(_Edit(one.start, stop, b""))
            elif content:
                self.edits.append(_Edit(one.inside, at, new.encode()))
        elif self._pictures and not one.has_children and is_picture(content):
            self.edits.append(_Edit(one.inside, at, b""))

    def _attribute_edits(self, tag: re.Match[bytes]) -> Iterator[_Edit]:
        for found in _ATTRIBUTE.finditer(tag.group()):
            name = self._resolved(found[1].decode())
            first, last = (tag.start() + each for each in found.span())
            new = self._values.get(name)
            if new is not None:
                yield _Edit(tag.start() + found.start(2) + 1, last - 1, new.encode())
            elif name in self._values or (self._pictures and is_picture(found[2][1:-1])):
                yield _Edit(first, last, b"")

    def _resolved(self, raw: str) -> Name:
        prefix, _, local = raw.rpartition(":")
        known = self._spaces.get(prefix)
        return known[-1] if known else "", local

    def _no_entities(self, *_: Any) -> None:
        raise ValueError("it declares a type of document")
