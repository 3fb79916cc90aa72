"""Frames of an animated PNG: their places in the file, checked.

A chunk acTL says how many frames there are. A chunk fcTL comes before each of them, with its place,
its time and how it is drawn. The data of a frame is in IDAT chunks, if it is also the image that
other programs show, or in fdAT chunks, which begin with a number of four bytes.

References
----------
Portable Network Graphics (PNG) Specification (Third Edition), W3C, section 11.3.6.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import BinaryIO

from isal import isal_zlib

from imgpipe.errors import CorruptError
from imgpipe.formats.damage import damage
from imgpipe.formats.frames import Contents, Timing
from imgpipe.formats.lastfile import LastFile
from imgpipe.formats.origin import Origin
from imgpipe.formats.png.chunks import SIGNATURE
from imgpipe.formats.png.header import MAX_DEFLATE_RATIO, Header
from imgpipe.records import dataclass

__all__ = [
    "BACKGROUND",
    "PREVIOUS",
    "SOURCE",
    "AnimationFrames",
    "Frame",
    "animation_of",
    "contents",
]

NONE, BACKGROUND, PREVIOUS = 0, 1, 2  # disposals of a frame
SOURCE, OVER = 0, 1  # whether a frame replaces the pixels below it, or is laid over them

_STILL = "still image of %d x %d"
_CONTROL = struct.Struct(">IIIIIHHBB")


@dataclass(frozen=True)
class Frame:
    """A frame: where it goes, and where its data is.

    Attributes
    ----------
    y, x, height, width : int
        Its place on the canvas.
    seconds : float
        Its duration.
    dispose : int
        Its disposal: 0 nothing, 1 it is cleared, 2 the canvas below it comes back.
    blend : int
        0 if it replaces what is below it, 1 if it is laid over it.
    kind : bytes
        Type of its chunks.
    start, end : int
        Offset of the first of them, and of the first byte after the last one.
    data_bytes : int
        Their content.
    """

    y: int
    x: int
    height: int
    width: int
    seconds: float
    dispose: int
    blend: int
    kind: bytes = b""
    start: int = 0
    end: int = 0
    data_bytes: int = 0

    @property
    def place(self) -> tuple[slice, slice]:
        """Its rows and columns of the canvas."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    def header(self, header: Header) -> Header:
        """Return the header of this frame as an image of its own."""
        return replace(
            header,
            height=self.height,
            width=self.width,
            data_kind=self.kind,
            data_start=self.start,
            data_end=self.end,
        )


@dataclass(frozen=True)
class AnimationFrames:
    """An animation.

    Attributes
    ----------
    height, width : int
        The canvas.
    declared : int
        Frames that there should be.
    loop : int
        Number of repetitions; 0 for ever.
    frames : tuple of Frame
        Frames that are there.
    """

    height: int
    width: int
    declared: int
    loop: int
    frames: tuple[Frame, ...]

    def covers(self, frame: Frame) -> bool:
        """Return whether a frame has the size of the canvas."""
        return (frame.height, frame.width) == (self.height, self.width)

    def disposal(self, number: int) -> int:
        """Return the disposal of a frame: nothing is below the first one to come back."""
        dispose = self.frames[number].dispose
        return BACKGROUND if number == 0 and dispose == PREVIOUS else dispose

    @cached_property
    def uncovers(self) -> bool:
        """Return whether a frame shows a place where nothing was drawn, or nothing is left."""
        filled = False
        for number, frame in enumerate(self.frames):
            shown = filled or self.covers(frame)
            if not shown:
                return True
            if self.disposal(number) != PREVIOUS:
                filled = self.disposal(number) == NONE
        return False


def contents(origin: Origin) -> Contents:
    """Return the frames of a file, and their timing.

    Raises
    ------
    InputError
        If there is no such file.
    CorruptError
        If frames are missing.
    """
    with origin.open() as file:
        declared = _declared(file)
    if declared[0] < 2:
        return Contents()
    film = animation_of(origin)
    if len(film.frames) < film.declared:
        raise missing(film, origin.name)
    still = film.frames[0].kind != b"IDAT"
    return Contents(
        film.declared,
        Timing(tuple(each.seconds for each in film.frames), film.loop),
        associated=(_STILL % (film.width, film.height),) if still else (),
    )


def missing(film: AnimationFrames, name: str) -> CorruptError:
    """Return the error of an animation that is not complete."""
    return CorruptError(
        f"{name}: the file is damaged: only {len(film.frames)} of the {film.declared} frames of "
        "its animation are complete; get a fresh copy"
    )


def animation_of(origin: Origin) -> AnimationFrames:
    """Return the animation of a file, as far as it is there.

    Raises
    ------
    InputError
        If there is no such file.
    CorruptError
        If its animation is damaged.
    """
    with damage(origin.name, "the file is damaged: {}"), origin.open() as file:
        return _last.of(origin, file, _film)


_last = LastFile[AnimationFrames]()


def _film(file: BinaryIO) -> AnimationFrames:
    declared, loop = _declared(file)
    file.seek(16)
    width, height = struct.unpack(">II", file.read(8))
    return AnimationFrames(
        height, width, declared, loop, tuple(_frames(file, height, width, declared))
    )


def _declared(file: BinaryIO) -> tuple[int, int]:
    """Return the number of frames, and of repetitions; (1, 0) for a still image."""
    for kind, start, length in _chunks(file):
        if kind == b"IDAT":
            break
        if kind == b"acTL" and length == 8:
            content = _checked(file, kind, start, length)
            if content is not None:
                return struct.unpack(">II", content)
    return 1, 0


def _frames(file: BinaryIO, height: int, width: int, declared: int) -> Iterator[Frame]:
    """Yield the frames that are there in full."""
    frame: Frame | None = None
    numbers = found = 0
    for kind, start, length in _chunks(file):
        if kind in (b"fcTL", b"fdAT"):
            if length < 4 or _number(file, start) != numbers:
                raise ValueError(f"a chunk of its animation is missing before byte {start:,}")
            numbers += 1
        ends = frame is not None and frame.end and (kind != frame.kind or start - 8 != frame.end)
        if ends:
            assert frame is not None
            yield frame
            frame, found = None, found + 1
            if found == declared:
                return
        if kind == b"fcTL":
            content = _checked(file, kind, start, length)
            if content is None or length != _CONTROL.size:
                raise ValueError("the checksum of a frame (fcTL) is wrong")
            frame = _frame(content, height, width)
        elif frame is not None and kind in (b"IDAT", b"fdAT"):
            prefix = 4 * (kind == b"fdAT")
            frame = replace(
                frame,
                kind=kind,
                start=frame.start or start - 8,
                end=start + length + 4,
                data_bytes=frame.data_bytes + length - prefix,
            )


def _frame(content: bytes, height: int, width: int) -> Frame:
    _, across, down, x, y, numerator, denominator, dispose, blend = _CONTROL.unpack(content)
    if not (0 < across <= width - x and 0 < down <= height - y):
        raise ValueError("a frame is not inside the image")
    if dispose > PREVIOUS or blend > OVER:
        raise ValueError(f"a frame is drawn in a way that is not known ({dispose}, {blend})")
    return Frame(y, x, down, across, numerator / (denominator or 100), dispose, blend)


def must_be_possible(header: Header, frame: Frame, name: str) -> None:
    """Refuse a frame of more pixels than its data can hold.

    Raises
    ------
    CorruptError
        If it does.
    """
    if header.raw_bytes() > frame.data_bytes * MAX_DEFLATE_RATIO:
        raise CorruptError(
            f"{name}: the file is damaged: a frame declares {frame.width} x {frame.height} pixels, "
            f"but {frame.data_bytes:,} bytes of data can never hold as much; get a fresh copy"
        )


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start of the content and length of every chunk that is there in full."""
    size = file.seek(0, 2)
    position, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        if position + length + 12 > size:
            return
        yield kind, position + 8, length
        position += length + 12


def _number(file: BinaryIO, start: int) -> int:
    file.seek(start)
    return int.from_bytes(file.read(4), "big")


def _checked(file: BinaryIO, kind: bytes, start: int, length: int) -> bytes | None:
    """Return the content of a short chunk; None if its checksum is wrong."""
    file.seek(start)
    content = file.read(min(length, 64) + 4)
    crc = isal_zlib.crc32(content[:-4], isal_zlib.crc32(kind))
    return content[:-4] if content[-4:] == struct.pack(">I", crc) else None
