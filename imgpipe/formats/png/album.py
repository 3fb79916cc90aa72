"""Animated PNG files that are written: each frame in strips that the workers encode.

Every frame has the size of the image, and replaces the one before. Programs that know no animations
show the first one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction

from imgpipe.formats.base import Data, Facts
from imgpipe.formats.deflate import ZLIB_HEADER
from imgpipe.formats.frames import USUAL_SECONDS, Timing, must_be_alike
from imgpipe.formats.png.chunks import chunk
from imgpipe.formats.png.writing import DEFAULT_COMPRESSION, PngSink, Wanted, head_of
from imgpipe.formats.target import Target
from imgpipe.image import ImageInfo

__all__ = ["PngAlbum", "open_album"]

_MOST = 0xFFFF
_PIECE_BYTES = 1 << 30  # of a chunk


def open_album(
    target: Target,
    infos: tuple[ImageInfo, ...],
    timing: Timing | None,
    *,
    compression: Wanted = DEFAULT_COMPRESSION,
) -> PngAlbum:
    """Begin an animation of these frames; the options are those of a still image.

    Raises
    ------
    UsageError
        If they differ.
    """
    must_be_alike(infos, target.name, "an animated PNG", values=True)
    return PngAlbum(target, len(infos), timing, compression.effort or 0)


class PngAlbum:
    """An animation under construction.

    Parameters
    ----------
    target : Target
        Gets the bytes.
    count : int
        Frames that will come.
    timing : Timing or None
        Their duration.
    compression : int
        0 to 9.
    """

    def __init__(self, target: Target, count: int, timing: Timing | None, compression: int) -> None:
        self.target, self._count, self._timing = target, count, timing
        self._compression = compression
        self._begun = self._numbers = 0

    def frame(self, info: ImageInfo) -> FrameSink:
        """Return the sink of the next frame."""
        number, self._begun = self._begun, self._begun + 1
        return FrameSink(self, info, self._compression, number)

    def commit(self) -> int:
        """Publish the file and return its size in bytes."""
        if self._begun != self._count:
            raise RuntimeError(f"{self._begun} frames were made, not {self._count}")
        self.target.write(chunk(b"IEND", b""))
        return self.target.commit()

    def abort(self) -> None:
        """Leave nothing behind. Safe to call at any time, and twice."""
        self.target.abort()

    def head(self, info: ImageInfo, number: int) -> bytes:
        """Return the bytes before the data of a frame."""
        seconds = USUAL_SECONDS if self._timing is None else self._timing.seconds[number]
        control = struct.pack(
            ">IIIIIHHBB", self.next_number(), info.width, info.height, 0, 0, *_delay(seconds), 0, 0
        )
        if number:
            return chunk(b"fcTL", control)
        loop = 0 if self._timing is None else min(self._timing.loop, 2**31 - 1)
        animation = struct.pack(">II", self._count, loop)
        return head_of(info) + chunk(b"acTL", animation) + chunk(b"fcTL", control)

    def next_number(self) -> int:
        """Return the number of the next chunk of the animation."""
        self._numbers += 1
        return self._numbers - 1


class FrameSink(PngSink):
    """A frame under construction."""

    def __init__(self, album: PngAlbum, info: ImageInfo, compression: int, number: int) -> None:
        super().__init__(album.target, info, compression)
        self._album, self._number = album, number
        self._over = False
        self._bytes = 0

    def begin(self) -> bytes:
        """Return the bytes before the data."""
        return self._album.head(self.info, self._number) + b"".join(self._data(ZLIB_HEADER))

    def append(self, data: Data, facts: Facts) -> None:
        """Append the next strip."""
        if self._number == 0:
            super().append(data, facts)
            return
        self.write_head()
        for part in self._data(data):
            self._target.write(part)
        self.count(facts)

    def commit(self) -> int:
        """End the frame; return its size in bytes."""
        begun = self._target.size
        for part in self._data(self.end()):
            self._target.write(part)
        self._over = True
        return self._target.size - begun

    def abort(self) -> None:
        """Leave nothing of the file behind, unless the frame is complete."""
        if not self._over:
            self._album.abort()

    def _data(self, data: Data) -> Iterator[bytes]:
        """Yield chunks with compressed data."""
        for start in range(0, len(data), _PIECE_BYTES):
            part = bytes(data[start : start + _PIECE_BYTES])
            if self._number == 0:
                yield chunk(b"IDAT", part)
            else:
                yield chunk(b"fdAT", self._album.next_number().to_bytes(4, "big") + part)


def _delay(seconds: float) -> tuple[int, int]:
    """Return the two numbers of 16 bits whose ratio is closest to so many seconds."""
    for most in (_MOST, 1000, 100, 1):
        found = Fraction(seconds).limit_denominator(most)
        if found.numerator <= _MOST:
            return found.numerator, found.denominator
    return _MOST, 1
