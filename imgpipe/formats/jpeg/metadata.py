"""Metadata segments of JPEG to and from `imgpipe.image.Metadata`.

A damaged segment of metadata is left out with a warning; the image is read all the same.
"""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from imgpipe import exif, iptc
from imgpipe.formats.jpegs.markers import APP0, APP1, APP2, APP13, COM, Header, Segment, segment
from imgpipe.image import Metadata, Text
from imgpipe.metadata import density_from_dpi

__all__ = ["has_gain_map", "is_metadata", "metadata_segments", "read_metadata"]

_JFIF, _EXIF, _ICC = b"JFIF\0", b"Exif\0\0", b"ICC_PROFILE\0"
_XMP, _MORE_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_HELD = (_JFIF, _EXIF, _XMP, _MORE_XMP, _ICC, _PHOTOSHOP)
_GAIN_MAP = b"urn:iso:std:"  # ISO 21496-1
_MOST = 65_533  # bytes of the content of a segment
_TOO_LARGE = "%s: left out the %s: a JPEG holds at most 64 kB of it"
_COMMENT = "Comment"
_KEYWORDS = (  # of PNG; other texts may contain a colon of their own
    "Title", "Author", "Description", "Copyright", "Creation Time", "Software", "Disclaimer",
    "Warning", "Source",
)  # fmt: skip
_WITH_KEYWORD = re.compile(f"({'|'.join(_KEYWORDS)}): (.*)", re.DOTALL)
_PROFILE_SPACES = {1: b"GRAY", 3: b"RGB ", 4: b"CMYK"}
_PER_INCH, _PER_CENTIMETRE = 1, 2

_log = logging.getLogger(__name__)


def read_metadata(header: Header, name: str) -> Metadata:
    """Return the metadata in the segments of a file.

    Parameters
    ----------
    header : Header
        The header of the file.
    name : str
        The file, for warnings.
    """
    found: dict[str, Any] = {}
    texts: list[Text] = []
    for each in header.marks:
        content = each.content
        if each.marker == APP0 and content.startswith(_JFIF) and len(content) >= 12:
            found |= _density(content)
        elif each.marker == APP1 and content.startswith(_EXIF):
            found.setdefault("exif", content[len(_EXIF) :])
        elif each.marker == APP1 and content.startswith(_XMP):
            found.setdefault("xmp", content[len(_XMP) :])
        elif each.marker == COM:
            texts += _text(content)
    if any(each.content.startswith(_MORE_XMP) for each in header.marks):
        _log.warning("%s: left out the extended part of the XMP", name)
    blocks = [one.content for one in header.marks if one.marker == APP13]
    parts = [one.removeprefix(_PHOTOSHOP) for one in blocks if one.startswith(_PHOTOSHOP)]
    found["iptc"] = iptc.of_photoshop(b"".join(parts))
    icc = _profile(header.marks, name)
    return Metadata(icc=icc, texts=tuple(texts), **found).completed(name)


def is_metadata(mark: Segment) -> bool:
    """Return whether a segment holds metadata that `Metadata` has a place for."""
    return mark.marker == COM or mark.content.startswith(_HELD)


def has_gain_map(mark: Segment) -> bool:
    """Return whether a segment declares a second image with a gain for each pixel."""
    if mark.marker == APP1 and mark.content.startswith(_XMP):
        return b"hdr-gain-map" in mark.content
    return mark.marker == APP2 and mark.content.startswith(_GAIN_MAP)


def metadata_segments(metadata: Metadata, channels: int, name: str, *, jfif: bool = True) -> bytes:
    """Return the segments that hold `metadata`, to follow the SOI marker.

    Parameters
    ----------
    metadata : Metadata
        The metadata of the image.
    channels : int
        1 for gray, 3 for RGB, 4 for CMYK.
    name : str
        The file, for warnings about entries that are too large.
    jfif : bool
        Whether gray and three channels are coded as JFIF says: as gray and YCbCr.
    """
    if metadata.exif is not None and len(_EXIF + metadata.exif) > _MOST:
        _log.warning(_TOO_LARGE, name, "EXIF")
        metadata = replace(metadata, exif=exif.oriented(None, metadata.orientation))
    parts = []
    if jfif and channels != 4:
        parts.append(segment(APP0, _JFIF + b"\1\1" + _written_density(metadata) + b"\0\0"))
    elif metadata.pixels_per_metre is not None:
        block = exif.with_density(metadata.exif, metadata.pixels_per_metre)
        metadata = replace(metadata, exif=block)
    for noun, marker, content in _entries(metadata):
        if len(content) <= _MOST:
            parts.append(segment(marker, content))
        else:
            _log.warning(_TOO_LARGE, name, noun)
    if metadata.icc is not None and metadata.icc[16:20] == _PROFILE_SPACES[channels]:
        parts += _profile_segments(metadata.icc)
    return b"".join(parts)


def _density(content: bytes) -> dict[str, Any]:
    unit, x, y = struct.unpack(">BHH", content[7:12])
    if not x or not y:
        return {}
    if unit == _PER_INCH:
        return {"pixels_per_metre": density_from_dpi(x, y)}
    if unit == _PER_CENTIMETRE:
        return {"pixels_per_metre": (Fraction(100 * x), Fraction(100 * y))}
    return {"pixel_aspect": (x, y)} if x != y else {}


def _written_density(metadata: Metadata) -> bytes:
    """Return unit and resolution: whole numbers per inch, or per centimetre if they are exact."""
    if metadata.pixels_per_metre is not None and metadata.dpi is not None:
        per_centimetre = [each / 100 for each in metadata.pixels_per_metre]
        whole = all(each.denominator == 1 for each in per_centimetre)
        unit = _PER_CENTIMETRE if whole else _PER_INCH
        x, y = map(round, per_centimetre if whole else metadata.dpi)
    else:
        unit, (x, y) = 0, metadata.pixel_aspect or (1, 1)
    if not (0 < x < 1 << 16 and 0 < y < 1 << 16):
        unit = x = y = 0
    return struct.pack(">BHH", unit, x or 1, y or 1)


def _text(content: bytes) -> Iterator[Text]:
    try:
        text = content.decode()
    except ValueError:
        text = content.decode("latin-1")
    text = text.rstrip("\0")
    match = _WITH_KEYWORD.fullmatch(text)
    if match is not None:
        yield Text(*match.groups())
    elif text:
        yield Text(_COMMENT, text)


def _profile(marks: Iterable[Segment], name: str) -> bytes | None:
    """Return the ICC profile, whose parts are numbered from 1."""
    parts: dict[int, bytes] = {}
    count, start = 0, len(_ICC)
    for each in marks:
        if each.marker == APP2 and each.content.startswith(_ICC) and len(each.content) > start + 2:
            number, count = each.content[start], each.content[start + 1]
            parts.setdefault(number, each.content[start + 2 :])
    if not parts:
        return None
    profile = b"".join(parts[number] for number in sorted(parts))
    if sorted(parts) != list(range(1, count + 1)) or profile[36:40] != b"acsp":
        _log.warning("%s: ignored the ICC profile, which is damaged", name)
        return None
    return profile


def _profile_segments(icc: bytes) -> list[bytes]:
    room = _MOST - len(_ICC) - 2
    pieces = [icc[at : at + room] for at in range(0, len(icc), room)]
    if len(pieces) > 255:
        return []
    return [
        segment(APP2, _ICC + bytes((number, len(pieces))) + piece)
        for number, piece in enumerate(pieces, 1)
    ]


def _entries(metadata: Metadata) -> Iterator[tuple[str, int, bytes]]:
    """Yield noun, marker and content of the entries that one segment holds."""
    if metadata.exif is not None:
        yield "EXIF", APP1, _EXIF + metadata.exif
    if metadata.xmp is not None:
        yield "XMP", APP1, _XMP + metadata.xmp
    if metadata.iptc is not None:
        yield "IPTC", APP13, _PHOTOSHOP + iptc.to_photoshop(metadata.iptc)
    for each in metadata.texts:
        text = each.text if each.keyword == _COMMENT else f"{each.keyword}: {each.text}"
        yield f"text {each.keyword!r}", COM, text.encode()
