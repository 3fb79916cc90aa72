"""Metadata chunks of PNG to and from `imgpipe.image.Metadata`.

A damaged chunk of metadata is left out with a warning; the image is read all the same.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from isal import isal_zlib

from imgpipe.formats.deflate import InflateError
from imgpipe.iptc import of_photoshop, to_photoshop
from imgpipe.metadata import Colour, Density, Metadata, Text, density_from_metres

__all__ = ["METADATA_CHUNKS", "MetadataReader", "metadata_chunks"]

_MAX_PROFILE = 16 << 20
_MAX_TEXT = 8 << 20
_LONG_TEXT = 1024
_XMP = "XML:com.adobe.xmp"
_RAW_IPTC = "Raw profile type iptc"
_RAW_BLOCKS = {
    _RAW_IPTC: "iptc",
    "Raw profile type exif": "exif",
    "Raw profile type APP1": "exif",
    "Raw profile type xmp": "xmp",
}
_XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
_PROFILE_SPACES: dict[Colour, bytes] = {"gray": b"GRAY", "rgb": b"RGB "}

_log = logging.getLogger(__name__)


class MetadataReader:
    """Collects metadata from chunks as they come.

    Parameters
    ----------
    name : str
        The file, for warnings.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: dict[str, Any] = {}
        self._texts: list[Text] = []
        self._text_room = _MAX_TEXT

    def add(self, kind: bytes, content: bytes) -> None:
        """Take the content of one chunk."""
        try:
            if kind in _TEXT_READERS:
                self._add_text(_TEXT_READERS[kind](content, self._text_room))
            else:
                self._add_field(*_READERS[kind](content))
        except (ValueError, struct.error, InflateError) as error:
            _log.warning("%s: ignored the chunk %s: %s", self._name, kind.decode(), error)

    def result(self) -> Metadata:
        """Return the metadata found."""
        texts = [text for text in self._texts if not self._is_block(text)]
        return Metadata(**self._found, texts=tuple(texts)).completed(self._name)

    def _is_block(self, text: Text) -> bool:
        """Take a block that is written as a text, unless it is there as a chunk."""
        entry = _RAW_BLOCKS.get(text.keyword)
        if entry is None:
            return False
        try:
            content = bytes.fromhex("".join(text.text.split()[2:]))  # after a name and a size
        except ValueError as error:
            _log.warning("%s: ignored the text %r: %s", self._name, text.keyword, error)
            return True
        if content.startswith(_XMP_MARK):
            entry, content = "xmp", content.removeprefix(_XMP_MARK)
        if entry == "iptc":
            content = of_photoshop(content) or content
        if content:
            self._found.setdefault(entry, content.removeprefix(b"Exif\0\0"))
        return True

    def _add_field(self, name: str, value: Any) -> None:
        if name in self._found:
            raise ValueError("it occurs twice, and the first one is used")
        self._found[name] = value

    def _add_text(self, text: Text) -> None:
        self._text_room -= len(text.text.encode())
        if self._text_room < 0:
            self._text_room = 0
            raise ValueError(f"there are more than {_MAX_TEXT >> 20} MB of text")
        if text.keyword == _XMP:
            self._add_field("xmp", text.text.encode())
        else:
            self._texts.append(text)


def _inflate(data: bytes, limit: int) -> bytes:
    inflater = isal_zlib.decompressobj()
    content = inflater.decompress(data, limit + 1)
    if len(content) > limit:
        raise ValueError(f"it inflates to more than {limit:,} bytes")
    if not inflater.eof:
        raise ValueError("its compressed data is cut short")
    return content


def _read_profile(content: bytes) -> tuple[str, bytes]:
    _, _, rest = content.partition(b"\0")
    profile = _inflate(rest[1:], _MAX_PROFILE)
    if profile[36:40] != b"acsp":
        raise ValueError("it holds no ICC profile")
    return "icc", profile


def _read_density(content: bytes) -> tuple[str, Density | tuple[int, int]]:
    x, y, unit = struct.unpack(">IIB", content)
    if not x or not y:
        raise ValueError("it declares a resolution of zero")
    if unit == 1:
        return "pixels_per_metre", density_from_metres(x, y)
    return "pixel_aspect", (x, y)


def _read_gamma(content: bytes) -> tuple[str, float]:
    (gamma,) = struct.unpack(">I", content)
    if not gamma:
        raise ValueError("it declares a gamma of zero")
    return "gamma", gamma / 100_000


def _read_intent(content: bytes) -> tuple[str, int]:
    (intent,) = struct.unpack(">B", content)
    if intent > 3:
        raise ValueError(f"there is no rendering intent {intent}")
    return "srgb_intent", intent


def _read_chromaticities(content: bytes) -> tuple[str, tuple[float, ...]]:
    return "chromaticities", tuple(value / 100_000 for value in struct.unpack(">8I", content))


def _read_code_points(content: bytes) -> tuple[str, tuple[int, ...]]:
    return "cicp", struct.unpack(">4B", content)


def _read_mastering(content: bytes) -> tuple[str, tuple[float, ...]]:
    *places, highest, lowest = struct.unpack(">8H2I", content)
    xy = (place / 50_000 for place in places)
    return "mastering", (*xy, highest / 10_000, lowest / 10_000)


def _read_light_levels(content: bytes) -> tuple[str, tuple[float, ...]]:
    return "light_levels", tuple(level / 10_000 for level in struct.unpack(">2I", content))


def _read_exif(content: bytes) -> tuple[str, bytes]:
    if content[:4] not in (b"II*\0", b"MM\0*"):
        raise ValueError("it does not begin like EXIF")
    return "exif", content


_READERS: dict[bytes, Callable[[bytes], tuple[str, Any]]] = {
    b"iCCP": _read_profile,
    b"pHYs": _read_density,
    b"gAMA": _read_gamma,
    b"sRGB": _read_intent,
    b"cHRM": _read_chromaticities,
    b"cICP": _read_code_points,
    b"mDCV": _read_mastering,
    b"mDCv": _read_mastering,  # as drafts of the specification wrote it
    b"cLLI": _read_light_levels,
    b"cLLi": _read_light_levels,
    b"eXIf": _read_exif,
}


def _split(content: bytes, noun: str) -> tuple[bytes, bytes]:
    head, zero, rest = content.partition(b"\0")
    if not zero:
        raise ValueError(f"its {noun} does not end")
    return head, rest


def _read_plain(content: bytes, _room: int) -> Text:
    keyword, text = _split(content, "keyword")
    return Text(keyword.decode("latin-1"), text.decode("latin-1"))


def _read_compressed(content: bytes, room: int) -> Text:
    keyword, rest = _split(content, "keyword")
    if rest[:1] != b"\0":
        raise ValueError("its compression method is not known")
    return Text(keyword.decode("latin-1"), _inflate(rest[1:], room).decode("latin-1"))


def _read_international(content: bytes, room: int) -> Text:
    keyword, rest = _split(content, "keyword")
    flags, rest = rest[:2], rest[2:]
    language, rest = _split(rest, "language")
    translated, text = _split(rest, "translated keyword")
    if flags[:1] == b"\1":
        text = _inflate(text, room)
    return Text(
        keyword.decode("latin-1"), text.decode(), language.decode("latin-1"), translated.decode()
    )


_TEXT_READERS: dict[bytes, Callable[[bytes, int], Text]] = {
    b"tEXt": _read_plain,
    b"zTXt": _read_compressed,
    b"iTXt": _read_international,
}

METADATA_CHUNKS = frozenset(_READERS) | frozenset(_TEXT_READERS)


def metadata_chunks(metadata: Metadata, colour: Colour) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of the chunks for `metadata`, in their order.

    A profile is left out where it was made for another colour model, and sRGB where there
    is a profile, which is more exact and may not stand beside it.
    """
    m = metadata
    if m.cicp is not None:
        yield b"cICP", struct.pack(">4B", *m.cicp)
        yield from _display_chunks(m)
    if m.gamma is not None and 0 < round(m.gamma * 100_000) < 2**31:
        yield b"gAMA", struct.pack(">I", round(m.gamma * 100_000))
    if m.chromaticities is not None and all(0 <= value < 20_000 for value in m.chromaticities):
        yield b"cHRM", struct.pack(">8I", *(round(v * 100_000) for v in m.chromaticities))
    if m.icc is not None and m.icc[16:20] == _PROFILE_SPACES.get(colour):
        yield b"iCCP", b"icc\0\0" + zlib.compress(m.icc)
    elif m.srgb_intent is not None:
        yield b"sRGB", struct.pack(">B", m.srgb_intent)
    yield from _density_chunks(m)
    if m.exif is not None:
        yield b"eXIf", m.exif
    if m.xmp is not None:
        yield from _packet_chunks(m.xmp)
    for text in _texts(m):
        try:
            yield _text_chunk(text)
        except ValueError as error:
            _log.warning("left out the text %r, which PNG cannot hold: %s", text.keyword, error)


def _texts(m: Metadata) -> Iterator[Text]:
    """Yield the texts, and one with the IPTC records: in digits, as programs write it."""
    if m.iptc is not None:
        block = to_photoshop(m.iptc)
        digits = block.hex()
        lines = [digits[at : at + 72] for at in range(0, len(digits), 72)]
        yield Text(_RAW_IPTC, "\n".join(["", "iptc", f"{len(block):8}", *lines, ""]))
    yield from m.texts


def _display_chunks(m: Metadata) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks that mean something beside cICP only."""
    if m.mastering is not None:
        *xy, highest, lowest = m.mastering
        places = [round(value * 50_000) for value in xy]
        levels = [round(level * 10_000) for level in (highest, lowest)]
        if 0 <= min(places) <= max(places) < 2**16 and _four_bytes(levels):
            yield b"mDCV", struct.pack(">8H2I", *places, *levels)
    if m.light_levels is not None:
        levels = [round(level * 10_000) for level in m.light_levels]
        if _four_bytes(levels):
            yield b"cLLI", struct.pack(">2I", *levels)


def _four_bytes(values: list[int]) -> bool:
    return 0 <= min(values) <= max(values) < 2**32


def _density_chunks(m: Metadata) -> Iterator[tuple[bytes, bytes]]:
    if m.pixels_per_metre is not None:
        x, y = (round(value) for value in m.pixels_per_metre)
        unit = 1
    elif m.pixel_aspect is not None:
        (x, y), unit = m.pixel_aspect, 0
    else:
        return
    if 0 < x < 2**31 and 0 < y < 2**31:
        yield b"pHYs", struct.pack(">IIB", x, y, unit)


def _packet_chunks(xmp: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield XMP as uncompressed text, so that tools that do not know PNG find it."""
    try:
        xmp.decode()
    except ValueError:
        _log.warning("left out the XMP, which PNG can hold in UTF-8 only")
    else:
        yield b"iTXt", _XMP.encode() + bytes(5) + xmp


def _text_chunk(text: Text) -> tuple[bytes, bytes]:
    keyword = text.keyword.encode("latin-1")
    if not 0 < len(keyword) < 80 or "\0" in text.keyword + text.text + text.translated:
        raise ValueError("its keyword is too short or too long, or there is a zero in it")
    if not text.language and not text.translated:
        try:
            content = text.text.encode("latin-1")
        except UnicodeEncodeError:
            pass
        else:
            if len(content) <= _LONG_TEXT:
                return b"tEXt", keyword + b"\0" + content
            return b"zTXt", keyword + b"\0\0" + zlib.compress(content)
    language, translated = text.language.encode("ascii"), text.translated.encode()
    content = text.text.encode()
    squeeze = len(content) > _LONG_TEXT
    flag = b"\1" if squeeze else b"\0"
    body = zlib.compress(content) if squeeze else content
    return b"iTXt", b"\0".join((keyword, flag + b"\0" + language, translated, body))
