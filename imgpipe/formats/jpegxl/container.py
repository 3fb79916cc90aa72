"""Container of a JPEG XL file: the codestream, and metadata beside it.

The codestream may stand in the file by itself. In a container it is one box or several. EXIF and
XMP are boxes before or after it, which may be compressed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import imagecodecs

from imgpipe.formats.base import Data
from imgpipe.formats.boxes import Span, box, box_head, spans
from imgpipe.formats.jpegxl.header import HEADER_BYTES, SIGNATURE

__all__ = ["Parts", "codestream_of", "contained", "read_parts"]

_log = logging.getLogger(__name__)

_SIGNATURE = box(b"JXL ", b"\r\n\x87\n")
_TYPE = box(b"ftyp", b"jxl \0\0\0\0jxl ")
_MOST = 16 << 20  # bytes of EXIF or XMP
_EXIF, _XMP, _COMPRESSED = b"Exif", b"xml ", b"brob"


class Parts(NamedTuple):
    """Parts of a file.

    Attributes
    ----------
    head : bytes
        The beginning of its codestream.
    exif, xmp : bytes or None
        Metadata.
    """

    head: bytes
    exif: bytes | None = None
    xmp: bytes | None = None


def read_parts(file: BinaryIO, size: int, name: str, most: int = HEADER_BYTES) -> Parts:
    """Return the parts of a file that describe its image; of its codestream `most` bytes.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    file.seek(0)
    head = file.read(most)
    if head.startswith(SIGNATURE):
        return Parts(head)
    head, found = b"", dict[bytes, bytes]()
    for one in spans(file, 0, size):
        if one.kind in (b"jxlc", b"jxlp") and len(head) < most:
            start = one.start + 4 * (one.kind == b"jxlp")
            end = min(one.end, start + most - len(head))
            head += Span(one.kind, start, max(start, end)).read(file, most)
        elif one.kind in (_EXIF, _XMP, _COMPRESSED):
            try:
                kind, content = _metadata(one, file)
            except (ValueError, RuntimeError) as error:
                _log.warning("%s: ignored some metadata: %s", name, error)
            else:
                found.setdefault(kind, content)
    if not head:
        raise ValueError("it has no codestream")
    return Parts(head, _exif(found.get(_EXIF), name), found.get(_XMP))


def codestream_of(content: bytes | bytearray) -> tuple[memoryview, int | None]:
    """Return the codestream in a file that imagecodecs made, and the level that it declares."""
    if content.startswith(SIGNATURE):
        return memoryview(content), None
    level = None
    at = 0
    while at < len(content):
        size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        start = at + 8
        if size == 1:
            size, start = int.from_bytes(content[at + 8 : at + 16], "big"), at + 16
        if kind == b"jxll":
            level = content[start]
        elif kind == b"jxlc":
            return memoryview(content)[start : at + size if size else None], level
        at += size
    raise ValueError("the encoder made no codestream")


def contained(
    codestream: tuple[Data, ...], level: int | None, exif: bytes | None, xmp: bytes | None
) -> Iterator[Data]:
    """Yield the parts of a file; the codestream stands by itself where it can."""
    if level is not None or exif or xmp:
        yield _SIGNATURE
        yield _TYPE
        if level is not None:
            yield box(b"jxll", bytes([level]))
        if exif:
            yield box(_EXIF, bytes(4) + exif)
        if xmp:
            yield box(_XMP, xmp)
        yield box_head(b"jxlc", sum(map(len, codestream)))
    yield from codestream


def _metadata(one: Span, file: BinaryIO) -> tuple[bytes, bytes]:
    content = one.read(file, _MOST)
    if one.kind != _COMPRESSED:
        return one.kind, content
    kind = content[:4]
    if kind not in (_EXIF, _XMP):
        return kind, b""
    return kind, bytes(imagecodecs.brotli_decode(content[4:], out=_MOST))


def _exif(content: bytes | None, name: str) -> bytes | None:
    """Return EXIF from its TIFF header on, whose place comes first."""
    if not content:
        return None
    found = content[4 + int.from_bytes(content[:4], "big") :]
    if found[:4] in (b"II*\0", b"MM\0*"):
        return found
    _log.warning("%s: ignored EXIF that does not begin like EXIF", name)
    return None
