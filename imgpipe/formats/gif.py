"""GIF: up to 256 colours, and animations; decoded and encoded as a whole.

Colours are reduced to a palette, each frame to one of its own, with dithering. Gray, and an image
of up to 256 colours, keeps its values. Alpha becomes transparent or opaque. There is no metadata.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from imgpipe.formats.base import Data
from imgpipe.formats.composition import ComposedAlbum
from imgpipe.formats.damage import damage
from imgpipe.formats.declaration import GRAY, RGB, RGBA, Format
from imgpipe.formats.frames import USUAL_SECONDS, Contents, Timing, must_be_alike, must_have_frame
from imgpipe.formats.lastfile import LastFile
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.pillowframes import played
from imgpipe.formats.target import Target
from imgpipe.formats.wholedecoding import DecodedSource
from imgpipe.formats.wholeencoding import EncodedSink
from imgpipe.image import ImageInfo, Pixels, check_pixels
from imgpipe.metadata import Metadata
from imgpipe.records import dataclass

__all__ = ["FORMAT", "contents", "open_album", "open_sink", "open_source", "spliced"]

_PLUGIN = "PIL.GifImagePlugin", "GifImageFile"
_EXTENSION, _IMAGE, _END = b"!", b",", b";"
_CONTROL, _APPLICATION, _COMMENT = 0xF9, 0xFF, 0xFE
_LOOPS = b"NETSCAPE2.0"
_SHOWN = (_LOOPS, b"ANIMEXTS1.0", b"ICCRGBG1012")  # applications that change the look
_TABLE, _TABLE_BITS, _TRANSPARENT = 0x80, 0x07, 0x01
_KEEP, _CLEAR = 1 << 2, 2 << 2  # disposal of a frame
_COLOURS = 256
_OPAQUE = 128  # alpha from which a pixel is not transparent

# Memory of the encoder for a pixel, the returned file included; see benchmarks/codec_memory.py.
_PIXEL_BYTES = 46
_FIXED_BYTES = 24 << 20


def contents(origin: Origin) -> Contents:
    """Return the frames of a file, and their timing."""
    film, _ = _film(origin)
    if film.frames == 1:
        return Contents()
    return Contents(film.frames, Timing(film.seconds, film.loop))


def open_source(
    origin: Origin, max_pixels: int | None = None, page: int = 0, level: int = 0
) -> DecodedSource:
    """Open a GIF file: read everything but its pixels.

    Raises
    ------
    InputError
        If there is no such file or it cannot be used; `imgpipe.errors` has the kinds.
    UsageError
        If there is no such frame.
    """
    name = origin.name
    film, size = _film(origin)
    check_pixels(film.height, film.width, name, max_pixels)
    must_have_frame(page, level, film.frames, name)
    channels = 1 if film.gray else 3 + film.alpha
    info = ImageInfo(
        film.height,
        film.width,
        channels,
        np.dtype(np.uint8),
        3 if film.alpha else None,
        "gray" if film.gray else "rgb",
    )
    return played(info, origin, _PLUGIN, page, film.frames, size)


def open_sink(target: Target, info: ImageInfo) -> EncodedSink:
    """Begin a GIF file."""
    return EncodedSink(target, info, Encoder(info))


def open_album(
    target: Target, infos: tuple[ImageInfo, ...], timing: Timing | None
) -> ComposedAlbum:
    """Begin an animation.

    Raises
    ------
    UsageError
        If its frames differ in size.
    """
    must_be_alike(infos, target.name, "a GIF", values=False)
    return ComposedAlbum(target, Animation(timing))


@dataclass(frozen=True)
class Encoder:
    """Encoder of an image."""

    info: ImageInfo

    @property
    def work_bytes(self) -> int:
        """Memory of the encoder, and of the file."""
        return _FIXED_BYTES + _PIXEL_BYTES * self.info.pixels

    def encode(self, pixels: Pixels) -> Data:
        """Return the file."""
        from PIL import Image  # noqa: PLC0415 - takes long, and is needed here alone

        out = io.BytesIO()
        if self.info.channels == 1:
            Image.fromarray(pixels[..., 0]).save(out, "GIF", interlace=0)
            return out.getbuffer()
        hidden = pixels[..., 3] < _OPAQUE if self.info.alpha is not None else None
        colours = pixels[..., :3]
        if hidden is not None:
            colours[hidden] = 0
        picture = _reduced(np.ascontiguousarray(colours), _COLOURS - (hidden is not None))
        options: dict[str, Any] = {"interlace": 0}
        if hidden is not None:
            indices = np.array(picture)
            indices[hidden] = _COLOURS - 1
            palette = picture.getpalette()
            picture = Image.fromarray(indices)
            picture.putpalette(palette + [0] * (3 * _COLOURS - len(palette)))
            options["transparency"] = _COLOURS - 1
            if not hidden.any():  # or Pillow would leave it out, and players clear to a colour then
                options["optimize"] = False
        picture.save(out, "GIF", **options)
        return out.getbuffer()


@dataclass(frozen=True)
class Animation:
    """An animation, whose frames are images of their own with a palette of their own."""

    timing: Timing | None

    def encoder(self, info: ImageInfo) -> Encoder:
        """Return the encoder of a frame."""
        return Encoder(info)

    def part(self, number: int, info: ImageInfo, content: bytes) -> bytes:
        """Return the blocks of a frame."""
        film = _scan(io.BytesIO(content))
        seconds = USUAL_SECONDS if self.timing is None else self.timing.seconds[number]
        delay = min(round(100 * seconds), 0xFFFF).to_bytes(2, "little")
        hidden = film.transparent is not None
        flags = (_CLEAR if info.alpha is not None else _KEEP) | hidden
        control = bytes([flags]) + delay + bytes([film.transparent or 0])
        bits = (len(film.table) // 3).bit_length() - 2
        place = film.place[:8] + bytes([_TABLE | bits])
        return b"".join(
            [_EXTENSION, bytes([_CONTROL, len(control)]), control, b"\0", _IMAGE, place, film.table,
             content[film.start : film.end]]
        )  # fmt: skip

    def head(self, infos: tuple[ImageInfo, ...], size: int) -> bytes:
        """Return the bytes before the frames."""
        sides = [max(info.width for info in infos), max(info.height for info in infos)]
        screen = b"".join(side.to_bytes(2, "little") for side in sides) + b"\x70\0\0"
        loop = 0 if self.timing is None else self.timing.loop
        if loop == 1:
            return b"GIF89a" + screen
        more = min(max(loop - 1, 0), 0xFFFF)  # GIF counts how often it runs once more
        block = _EXTENSION + bytes([_APPLICATION, len(_LOOPS)]) + _LOOPS
        return b"GIF89a" + screen + block + b"\3\1" + more.to_bytes(2, "little") + b"\0"

    def tail(self, infos: tuple[ImageInfo, ...]) -> bytes:
        """Return the bytes after the frames."""
        return _END


def _reduced(colours: Pixels, most: int) -> Any:
    """Return an image of Pillow's with a palette of up to `most` colours."""
    from PIL import Image  # noqa: PLC0415 - takes long, and is needed here alone

    picture = Image.fromarray(colours)
    found = picture.getcolors(most)
    if found is None:
        palette = picture.quantize(most)
        return picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    known = np.array([colour for _, colour in found], np.uint32) @ _PLACES
    order = np.sort(known.astype(np.uint32))
    indices = np.empty(colours.shape[:2], np.uint8)
    for row, made in zip(colours, indices, strict=True):
        made[:] = np.searchsorted(order, (row @ _PLACES).astype(np.uint32))
    made = Image.fromarray(indices)
    made.putpalette([int(code) >> shift & 0xFF for code in order for shift in (16, 8, 0)])
    return made


_PLACES = np.array([1 << 16, 1 << 8, 1], np.uint32)


def spliced(origin: Origin, metadata: Metadata) -> Iterator[Data]:
    """Yield the bytes of a file without comments and blocks of applications such as XMP.

    Raises
    ------
    CorruptError
        If it is damaged.
    """
    del metadata  # imgpipe keeps none of GIF files
    with damage(origin.name), origin.open() as file:
        yield from _bare(file)


def _bare(file: BinaryIO) -> Iterator[bytes]:
    head = _read(file, 13)
    yield head + _table(file, head[10])
    while (kind := file.read(1)) not in (b"", _END):
        start, kept = file.tell() - 1, True
        if kind == _EXTENSION:
            label, block = _read(file, 1)[0], _block(file)
            kept = block in _SHOWN if label == _APPLICATION else label != _COMMENT
            _skip(file, block)
        elif kind == _IMAGE:
            _table(file, _read(file, 9)[8])
            _read(file, 1)
            _skip(file, b" ")
        else:
            raise ValueError(f"there is no block {kind!r}")
        size = file.tell() - start
        file.seek(start)
        piece = _read(file, size)
        if kept:
            yield piece
    yield _END


class _Film(NamedTuple):
    """Facts of a file; the last five are of its first frame."""

    height: int
    width: int
    frames: int
    seconds: tuple[float, ...]
    loop: int
    alpha: bool
    gray: bool
    table: bytes
    transparent: int | None
    place: bytes
    start: int
    end: int


def _film(origin: Origin) -> tuple[_Film, int]:
    with damage(origin.name), origin.open() as file:
        size = size_of(file)
        return _last.of(origin, file, _scan), size


_last = LastFile[_Film]()


def _scan(file: BinaryIO) -> _Film:
    """Return the facts of an open file."""
    head = _read(file, 13)
    if head[:4] != b"GIF8":
        raise ValueError("it does not begin like GIF")
    width, height = (int.from_bytes(head[at : at + 2], "little") for at in (6, 8))
    shared = _table(file, head[10])
    first: tuple[Any, ...] | None = None
    tables, seconds = [], list[float]()
    loop, delay, transparent, alpha = 1, 0.0, None, False
    while (kind := file.read(1)) not in (b"", _END):
        if kind == _EXTENSION:
            label, block = _read(file, 1)[0], _block(file)
            if label == _CONTROL and len(block) == 4:
                delay = int.from_bytes(block[1:3], "little") / 100
                transparent = block[3] if block[0] & _TRANSPARENT else None
            elif label == _APPLICATION and block == _LOOPS:
                block = _block(file)
                if len(block) == 3 and block[0] == 1:
                    loop = int.from_bytes(block[1:], "little")
                    loop += loop > 0
            _skip(file, block)
        elif kind == _IMAGE:
            place = _read(file, 9)
            x, y, wide, high = (int.from_bytes(place[i : i + 2], "little") for i in range(0, 8, 2))
            if x + wide > width or y + high > height:
                raise ValueError("a frame lies beyond the image")
            own = _table(file, place[8])
            start = file.tell()
            _read(file, 1)
            _skip(file, b" ")
            tables.append(own or shared)
            seconds.append(delay)
            alpha |= transparent is not None
            first = first or (own or shared, transparent, place, start, file.tell())
            delay, transparent = 0.0, None
        else:
            raise ValueError(f"there is no block {kind!r}")
    if first is None or not width or not height:
        raise ValueError("it has no pixels")
    gray = not alpha and all(map(_is_gray, set(tables)))
    return _Film(height, width, len(seconds), tuple(seconds), loop, alpha, gray, *first)


def _read(file: BinaryIO, size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise ValueError("it ends within a block")
    return content


def _block(file: BinaryIO) -> bytes:
    return _read(file, _read(file, 1)[0])


def _skip(file: BinaryIO, block: bytes) -> None:
    """Read blocks up to the empty block at their end."""
    while block:
        block = _block(file)


def _table(file: BinaryIO, flags: int) -> bytes:
    """Return the colours that follow, if `flags` say that there are some."""
    return _read(file, 3 << (1 + (flags & _TABLE_BITS))) if flags & _TABLE else b""


def _is_gray(table: bytes) -> bool:
    return table[::3] == table[1::3] == table[2::3]


FORMAT = Format(
    "GIF",
    (".gif",),
    (b"GIF87a", b"GIF89a"),
    open_source,
    open_sink,
    dtypes=("uint8",),
    layouts=(GRAY, RGB, RGBA),
    exact=False,
    frames=None,
    contents=contents,
    album=open_album,
    splice=spliced,
    pages=True,
    side=65535,
    colours=256,
    metadata=(),
)
