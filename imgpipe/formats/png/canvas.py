"""Canvas: frames of an animated PNG that are drawn over one another.

A frame that covers the canvas, and replaces what was there, is read like any other image. Others
need those before them. So the canvas after a frame is kept for the next one, unless it is large.

References
----------
Portable Network Graphics (PNG) Specification (Third Edition), W3C, section 11.3.6.2.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import field
from typing import Any, ClassVar, Literal

import numpy as np

from imgpipe.formats.base import Check
from imgpipe.formats.origin import Origin
from imgpipe.formats.png.animation import (
    BACKGROUND,
    PREVIOUS,
    SOURCE,
    AnimationFrames,
    must_be_possible,
)
from imgpipe.formats.png.header import Header
from imgpipe.formats.png.reading import decoded_into, info_of
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass

__all__ = ["DrawnSource", "stands_alone"]

_KEPT_BYTES = 64 << 20
_COPIES = 3  # of the canvas: the kept one, a frame, and the canvas below it
_PIECE_PIXELS = 1 << 16


def stands_alone(film: AnimationFrames, number: int, *, alpha: bool) -> bool:
    """Return whether a frame replaces the whole canvas."""
    frame = film.frames[number]
    return film.covers(frame) and (frame.blend == SOURCE or not alpha)


@dataclass(frozen=True)
class DrawnSource:
    """A frame that is drawn over others.

    Attributes
    ----------
    origin : Origin
        The file.
    header : Header
        Its header.
    info : ImageInfo
        The canvas.
    film : AnimationFrames
        The frames.
    page : int
        Number of the frame.
    """

    access: ClassVar[Literal["whole"]] = "whole"
    grain: ClassVar[tuple[int, int]] = (1, 1)
    origin: Origin
    header: Header
    info: ImageInfo
    film: AnimationFrames
    page: int
    told: set[str] = field(default_factory=set, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.origin.name

    @property
    def decode_bytes(self) -> int:
        """Memory that `decode_into` needs beside `out`, in bytes."""
        return (8 << 20) + 6 * self.info.row_bytes + _COPIES * self.info.nbytes

    def decode_into(self, out: Pixels, check: Check = lambda: None) -> None:
        """Fill `out`, shape (height, width, channels), with the canvas that the frame shows.

        Raises
        ------
        CorruptError
            If the file is damaged.
        """
        first, kept = self._begin()
        if kept is None:
            out[...] = 0
        else:
            out[...] = kept
        for number in range(first, self.page):
            check()
            self._clear(number, out, self._draw(number, out, check))
        below = self._draw(self.page, out, check)
        if self.page + 1 < len(self.film.frames) and out.nbytes <= _KEPT_BYTES:
            after = out.copy()
            self._clear(self.page, after, below)
            _keep(self.origin, self.page + 1, after)

    def _begin(self) -> tuple[int, Pixels | None]:
        """Return the frame to begin with, and the canvas below it; None if there is none."""
        found = _taken(self.origin)
        if found is not None and found[0] <= self.page and found[1].shape == self.info.shape:
            return found
        alpha = self.info.alpha is not None
        for number in range(self.page, 0, -1):
            cleared = self.film.disposal(number - 1) == BACKGROUND
            if cleared and self.film.covers(self.film.frames[number - 1]):
                return number, None
            stays = number == self.page or self.film.disposal(number) != PREVIOUS
            if stays and stands_alone(self.film, number, alpha=alpha):
                return number, None
        return 0, None

    def _draw(self, number: int, out: Pixels, check: Check) -> Pixels | None:
        """Draw a frame; return the canvas below it, if that is to come back."""
        frame = self.film.frames[number]
        header = frame.header(self.header)
        must_be_possible(header, frame, self.name)
        part = out[frame.place]
        below = part.copy() if self.film.disposal(number) == PREVIOUS else None
        info = info_of(header)
        drawn = np.empty((frame.height, frame.width, info.channels), info.dtype)
        decoded_into(self.origin, header, self.told, drawn, check)
        if info.alpha is None:
            part[..., : info.channels] = drawn
            if self.info.alpha is not None:
                part[..., -1] = np.iinfo(info.dtype).max
        elif frame.blend == SOURCE:
            part[...] = drawn
        else:
            _lay_over(drawn, part)
        return below

    def _clear(self, number: int, out: Pixels, below: Pixels | None) -> None:
        """Apply the disposal of a frame when its time is over."""
        part = out[self.film.frames[number].place]
        if below is not None:
            part[...] = below
        elif self.film.disposal(number) == BACKGROUND:
            part[...] = 0


def _lay_over(drawn: Pixels, out: Pixels) -> None:
    """Lay pixels with alpha, which is not multiplied into them, over others.

    The alpha of the result is ``a + b (1 - a)``, its colour the mean weighted by ``a`` and
    ``b (1 - a)``, rounded to the nearest integer.
    """
    most = int(np.iinfo(out.dtype).max)
    step = max(1, _PIECE_PIXELS // out.shape[1])
    for start in range(0, len(out), step):
        over, under = drawn[start : start + step], out[start : start + step]
        weight = over[..., -1:].astype(np.uint64) * most
        other = under[..., -1:].astype(np.uint64) * (most - over[..., -1:].astype(np.uint64))
        total = weight + other
        mixed = over[..., :-1] * weight + under[..., :-1] * other + total // 2
        seen = over[..., -1] > 0
        under[seen, :-1] = (mixed // np.maximum(total, 1))[seen].astype(out.dtype)
        under[seen, -1] = ((total[..., 0] + most // 2) // most)[seen].astype(out.dtype)


_lock = threading.Lock()
_last: list[tuple[weakref.ref[Any], int, Pixels]] = []


def _keep(origin: Origin, number: int, canvas: Pixels) -> None:
    """Keep the canvas below a frame, as long as its file is in use."""
    with _lock:
        _last[:] = [(weakref.ref(origin, _drop), number, canvas)]


def _taken(origin: Origin) -> tuple[int, Pixels] | None:
    """Return the number of a frame of this file, and the canvas below it, for the caller alone."""
    with _lock:
        found = _last.pop() if _last and _last[0][0]() is origin else None
    return found and (found[1], found[2])


def _drop(gone: weakref.ref[Any]) -> None:
    """Forget a canvas whose file is no longer in use."""
    if _last and _last[0][0] is gone:
        _last.clear()
