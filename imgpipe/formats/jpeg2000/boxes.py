"""Files of JPEG 2000: boxes around a codestream, with colours and metadata."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import BinaryIO, NamedTuple

from imgpipe.formats.boxes import box, spans, spans_in
from imgpipe.formats.exifmetadata import exif_of
from imgpipe.image import Colour, ImageInfo
from imgpipe.metadata import Metadata

__all__ = ["EXIF", "SIGNATURE", "Container", "Palette", "container_of", "head_of_file"]

SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
EXIF = b"JpgTiffExif->JP2"
_XMP = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
_ENUMERATED, _PROFILE, _ANY_PROFILE = 1, 2, 3
_SRGB, _GRAY, _YCC = 16, 17, 18
_COLOURS: dict[int, Colour] = {12: "cmyk", _SRGB: "rgb", _GRAY: "gray", _YCC: "rgb"}
_MODELS: dict[bytes, Colour] = {b"CMYK": "cmyk", b"RGB ": "rgb", b"GRAY": "gray"}
_ALPHA = 1
_MOST = 64 << 20  # bytes of a box of metadata


class Palette(NamedTuple):
    """A table of colours, whose numbers are the values of the codestream.

    Attributes
    ----------
    channels : int
        Values of a colour.
    bits : int
        Bits of each of them.
    """

    channels: int
    bits: int


class Container(NamedTuple):
    """Content of the boxes of a file.

    Attributes
    ----------
    start, end : int
        Position of the codestream, and of its end.
    colour : {"gray", "rgb", "cmyk", "other"} or None
        The colour model, if it is told.
    alpha : bool
        Whether the last channel is alpha.
    palette : Palette or None
        The palette, if values are numbers of colours.
    metadata : Metadata
        ICC, EXIF and XMP.
    head : bytes
        The headers that the decoder of the codestream needs too, because they change its values: a
        palette, colours as luma and chroma, or another order of the channels. Usually empty.
    """

    start: int
    end: int
    colour: Colour | None = None
    alpha: bool = False
    palette: Palette | None = None
    metadata: Metadata = Metadata()
    head: bytes = b""

    def boxed(self, codestream: bytes, height: int, width: int) -> bytes:
        """Return the input of the decoder for a codestream: a file, if it needs the headers."""
        if not self.head:
            return codestream
        head = b"".join(
            box(
                kind,
                struct.pack(">II", height, width) + content[8:] if kind == b"ihdr" else content,
            )
            for kind, content in spans_in(self.head)
        )
        return _begin(b"jp2 ") + box(b"jp2h", head) + box(b"jp2c", codestream)


def container_of(file: BinaryIO, size: int) -> Container:
    """Return the container of the codestream of an open file of `size` bytes.

    Raises
    ------
    ValueError, struct.error
        If it is damaged.
    """
    file.seek(0)
    if file.read(len(SIGNATURE)) != SIGNATURE:
        return Container(0, size, alpha=False)
    head, stream = b"", None
    exif = xmp = None
    for one in spans(file, 0, size):
        if one.kind == b"jp2h":
            head = one.read(file, _MOST)
        elif one.kind == b"jp2c" and stream is None:
            stream = one.start, min(one.end, size)
        elif one.kind == b"uuid" and one.size <= _MOST and one.end <= size:
            content = one.read(file, _MOST)
            exif = content[16:] if content[:16] == EXIF else exif
            xmp = content[16:] if content[:16] == _XMP else xmp
    if stream is None:
        raise ValueError("it has no codestream")
    made = _described(Container(*stream), head)
    return made._replace(metadata=replace(made.metadata, exif=exif, xmp=xmp))


def _described(found: Container, head: bytes) -> Container:
    """Return a container with the content of the box of headers."""
    needed, cmap = False, b""
    for kind, content in spans_in(head):
        if kind == b"colr" and found.colour is None and len(content) > 3:
            found = _coloured(found, content)
            needed |= content[0] == _ENUMERATED and content[3:7] == _YCC.to_bytes(4, "big")
        elif kind == b"cdef":
            (count,) = struct.unpack_from(">H", content)
            kinds = [struct.unpack_from(">HHH", content, 2 + 6 * at) for at in range(count)]
            found = found._replace(alpha=any(each[1] == _ALPHA for each in kinds))
            needed |= any(each[2] != (each[0] + 1) * (each[1] == 0) for each in kinds)
        elif kind == b"pclr":
            found = found._replace(palette=_palette(content))
        elif kind == b"cmap":
            cmap = content
    if found.palette is not None:
        palette, needed = found.palette._replace(channels=len(cmap) // 4), True
        found = found._replace(palette=palette)
    return found._replace(head=head) if needed else found


def _palette(content: bytes) -> Palette:
    """Return the palette of a box.

    Raises
    ------
    ValueError
        If its values are signed, or not all of 8 or all of 16 bits.
    """
    _, columns = struct.unpack_from(">HB", content)
    depths = set(content[3 : 3 + columns])
    if depths not in ({7}, {15}):
        raise ValueError("its palette has colours of other than 8 or 16 bits")
    return Palette(columns, depths.pop() + 1)


def _coloured(found: Container, content: bytes) -> Container:
    """Return a container with the colours of a box."""
    if content[0] == _ENUMERATED:
        number = int.from_bytes(content[3:7], "big")
        return found._replace(colour=_COLOURS.get(number, "other"))
    if content[0] not in (_PROFILE, _ANY_PROFILE):
        return found
    icc = content[3:]
    return found._replace(colour=_MODELS.get(icc[16:20], "other"), metadata=Metadata(icc=icc))


def head_of_file(info: ImageInfo, name: str, *, high_throughput: bool) -> bytes:
    """Return the beginning of a file, up to its codestream."""
    brand = b"jph " if high_throughput else b"jp2 "
    depth = 8 * info.dtype.itemsize - 1
    size = struct.pack(">IIHBBBB", info.height, info.width, info.channels, depth, 7, 0, 0)
    known = info.metadata
    enumerated = _GRAY if info.colour == "gray" else _SRGB
    colour = bytes((_ENUMERATED, 0, 0)) + enumerated.to_bytes(4, "big")
    if known.icc is not None:
        colour = bytes((_PROFILE, 0, 0)) + known.icc
    head = box(b"ihdr", size) + box(b"colr", colour)
    if info.alpha is not None:
        rows = [(at, 0, at + 1) for at in range(info.channels - 1)] + [(info.alpha, _ALPHA, 0)]
        content = b"".join(struct.pack(">HHH", *row) for row in rows)
        head += box(b"cdef", len(rows).to_bytes(2, "big") + content)
    made = _begin(brand) + box(b"jp2h", head)
    exif = exif_of(known, name)
    if exif is not None:
        made += box(b"uuid", EXIF + exif)
    if known.xmp is not None:
        made += box(b"uuid", _XMP + known.xmp)
    return made + bytes(4) + b"jp2c"  # to the end of the file


def _begin(brand: bytes) -> bytes:
    """Return the boxes that every file begins with."""
    return SIGNATURE + box(b"ftyp", brand + bytes(4) + brand)
