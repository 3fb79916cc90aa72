"""PNM: the plain formats of Netpbm, PBM, PGM, PPM and PAM.

Binary files are read and written in place, any box by any worker. Files whose numbers are written
in digits are read at once. Values are scaled to the full range of 8 or 16 bits where their maximum
is another number. There are no metadata and no checksums. Only the first image of a file is read.

References
----------
Netpbm documentation, pages pbm(5), pgm(5), ppm(5) and pam(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from imgpipe.errors import CorruptError, FormatError
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.declaration import GRAY, GRAY_ALPHA, RGB, RGBA, Format
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.pixmaps import Bits, Packing, PixmapSink, Rows, Samples, pixmap_source
from imgpipe.formats.target import Target
from imgpipe.formats.wholedecoding import DecodedSource
from imgpipe.image import ImageInfo, Pixels, check_pixels, guess_colour
from imgpipe.records import dataclass

__all__ = ["FORMAT", "open_sink", "open_source"]

_IN_DIGITS = (b"P1", b"P2", b"P3")
_BITMAPS = (b"P1", b"P4")
_COLOURS = (b"P3", b"P6")
_PAM = b"P7"
_ALL = (*_IN_DIGITS, b"P4", b"P5", b"P6", _PAM)
_MOST_TOKEN = 20
_COMMENT = re.compile(rb"#[^\r\n]*")


class _Header(NamedTuple):
    kind: bytes
    width: int
    height: int
    channels: int
    maximum: int
    offset: int
    size: int


def open_source(origin: Origin, max_pixels: int | None = None, *, salvage: bool = False) -> Source:
    """Open a file: read its header.

    Raises
    ------
    InputError
        If there is no such file or it cannot be used; `imgpipe.errors` has the kinds.
    """
    name = origin.name
    with origin.open() as file:
        size = size_of(file)
        header = _pam(file, name, size) if file.read(2) == _PAM else _plain(file, name, size)
    if not 0 < header.maximum < 1 << 16 or not header.width or not header.height:
        raise CorruptError(
            f"{name}: the file is damaged: it declares {header.width} x {header.height} pixels up "
            f"to {header.maximum}; get a fresh copy"
        )
    check_pixels(header.height, header.width, name, max_pixels)
    dtype: np.dtype[Any] = np.dtype(np.uint8 if header.maximum < 256 else np.uint16)
    colour, alpha = guess_colour(header.channels)
    info = ImageInfo(header.height, header.width, header.channels, dtype, alpha, colour)
    if header.kind in _IN_DIGITS:
        return DecodedSource(info, origin, _Digits(info, header), size)
    packing = _packing(header, dtype)
    pitch = -(-header.width * packing.pixel_bits // 8)
    return pixmap_source(
        info, Rows(header.offset, header.height, pitch), packing, origin, size, salvage=salvage
    )


def open_sink(target: Target, info: ImageInfo) -> Sink:
    """Begin a file: PGM for gray, PPM for RGB, PAM with alpha."""
    maximum = int(np.iinfo(info.dtype).max)
    if info.alpha is None:
        kind = "P5" if info.channels == 1 else "P6"
        header = f"{kind}\n{info.width} {info.height}\n{maximum}\n"
    else:
        colours = "GRAYSCALE_ALPHA" if info.channels == 2 else "RGB_ALPHA"
        header = (
            f"P7\nWIDTH {info.width}\nHEIGHT {info.height}\nDEPTH {info.channels}\n"
            f"MAXVAL {maximum}\nTUPLTYPE {colours}\nENDHDR\n"
        )
    content = header.encode()
    packing = Samples(info.dtype.newbyteorder(">"), tuple(range(info.channels)), info.channels)
    return PixmapSink(
        target, info, Rows(len(content), info.height, info.row_bytes), packing, content
    )


def _plain(file: BinaryIO, name: str, size: int) -> _Header:
    """Return the header of all kinds but PAM."""
    file.seek(0)
    kind = file.read(2)
    if kind not in _ALL:
        raise FormatError(f"{name}: is no PNM file; convert it first")
    tokens = _tokens(file, name)
    width, height = next(tokens), next(tokens)
    maximum = 1 if kind in _BITMAPS else next(tokens)
    channels = 3 if kind in _COLOURS else 1
    return _Header(kind, width, height, channels, maximum, file.tell(), size)


def _tokens(file: BinaryIO, name: str) -> Iterator[int]:
    """Yield the numbers of a header; the file is just after the blank that follows each."""
    token = b""
    while byte := file.read(1):
        if byte == b"#":
            file.readline()
            byte = b"\n"
        if not byte.isspace():
            token += byte
            if not token.isdigit() or len(token) > _MOST_TOKEN:
                raise CorruptError(f"{name}: the file is damaged: its header has no size")
        elif token:
            yield int(token)
            token = b""
    raise CorruptError(
        f"{name}: the file is truncated: it ends within its header; get a fresh copy"
    )


def _pam(file: BinaryIO, name: str, size: int) -> _Header:
    """Return the header of a PAM file."""
    found: dict[str, str] = {}
    while "ENDHDR" not in found:
        line = file.readline(1 << 12)
        if not line or len(found) > _MOST_TOKEN:
            raise CorruptError(
                f"{name}: the file is truncated: it ends within its header; get a fresh copy"
            )
        key, _, value = line.decode("latin-1").partition("#")[0].strip().partition(" ")
        if key:
            found[key] = value.strip()
    try:
        width, height, depth, maximum = (
            int(found[key]) for key in ("WIDTH", "HEIGHT", "DEPTH", "MAXVAL")
        )
    except (KeyError, ValueError):
        raise CorruptError(f"{name}: the file is damaged: its header has no size") from None
    if not 1 <= depth <= 4 or min(width, height) < 0:
        raise FormatError(f"{name}: holds {depth} channels, not 1 to 4; convert it first")
    return _Header(_PAM, width, height, depth, maximum, file.tell(), size)


def _packing(header: _Header, dtype: np.dtype[Any]) -> Packing:
    if header.kind == b"P4":
        return Bits(1, np.array([[255], [0]], np.uint8))
    stored = np.dtype(np.uint8) if dtype.itemsize == 1 else np.dtype(">u2")
    order = tuple(range(header.channels))
    return Samples(stored, order, header.channels, _scale(header.maximum))


def _scale(maximum: int) -> Pixels | None:
    """Return the full range of a type for the values up to `maximum`; None if they have it."""
    full = 255 if maximum < 256 else 65535
    if maximum == full:
        return None
    values = np.arange(maximum + 1, dtype=np.uint32)
    scaled: Pixels = (values * full + maximum // 2) // maximum
    return scaled.astype(np.uint8 if full == 255 else np.uint16)


@dataclass(frozen=True)
class _Digits:
    """Decoder of numbers that are written in digits."""

    info: ImageInfo
    header: _Header

    @property
    def work_bytes(self) -> int:
        """Memory of the text without comments, and of its numbers."""
        return 2 * self.header.size + 16 * self.info.pixels * self.info.channels

    def decode_into(self, data: bytes, out: Pixels) -> None:
        """Fill `out`."""
        text = _COMMENT.sub(b"", data[self.header.offset :])
        if self.header.kind == b"P1":
            bits = np.frombuffer(text, np.uint8)
            numbers: Pixels = bits[(bits == ord("0")) | (bits == ord("1"))] - ord("0")
            numbers = 1 - numbers[: out.size]
        else:
            words = text.split(None, out.size)[: out.size]
            numbers = np.array(words, "S8").astype(np.uint32)
        if numbers.size < out.size:
            raise ValueError(f"it holds {numbers.size:,} of {out.size:,} numbers")
        if numbers.max() > self.header.maximum:
            raise ValueError(f"a number is above {self.header.maximum}, which it declares the most")
        table = _scale(self.header.maximum)
        out[...] = (numbers if table is None else table[numbers]).reshape(out.shape)


FORMAT = Format(
    "PNM",
    (".pnm", ".ppm", ".pgm", ".pbm", ".pam"),
    _ALL,
    open_source,
    open_sink,
    salvages=True,
    dtypes=("uint8", "uint16"),
    layouts=(GRAY, GRAY_ALPHA, RGB, RGBA),
    metadata=(),
)
