"""Frames: several images in one file, and the other pictures that come with them."""

from __future__ import annotations

from dataclasses import field
from typing import Protocol

from imgpipe.errors import UsageError
from imgpipe.formats.base import Sink
from imgpipe.image import ImageInfo
from imgpipe.records import dataclass

__all__ = ["Album", "Contents", "Timing", "must_have_frame"]


@dataclass(frozen=True)
class Timing:
    """Timing of an animation.

    Attributes
    ----------
    seconds : tuple of float
        How long each frame is shown.
    loop : int
        How often the animation runs; 0 for ever.
    """

    seconds: tuple[float, ...]
    loop: int = 0


@dataclass(frozen=True)
class Contents:
    """Pictures of a file.

    Attributes
    ----------
    frames : int
        The images: pages, or frames of an animation. All of them are processed.
    timing : Timing or None
        Timing of an animation.
    levels : tuple of (int, int)
        Rows and columns of the levels of a pyramid; the first is the full resolution.
    associated : tuple of str
        Other pictures, such as a label, in words. They are never read or written.
    """

    frames: int = 1
    timing: Timing | None = None
    levels: tuple[tuple[int, int], ...] = field(default=())
    associated: tuple[str, ...] = ()


class Album(Protocol):
    """A file with several frames, which are written one after the other."""

    def frame(self, info: ImageInfo) -> Sink:
        """Return the sink of the next frame; its `commit` ends the frame and publishes nothing.

        Frames may differ in size and type where the format allows it.

        Raises
        ------
        UsageError
            If the format cannot hold such a frame in this file.
        """

    def commit(self) -> int:
        """Publish the file and return its size in bytes."""

    def abort(self) -> None:
        """Leave nothing behind. Safe to call at any time, and twice."""


def must_have_frame(page: int, level: int, frames: int, name: str) -> None:
    """Refuse a frame or a level that a file without a pyramid does not have.

    Raises
    ------
    UsageError
        If there is none.
    """
    if page >= frames or level:
        raise UsageError(f"{name}: there is no frame {page} of level {level}; it has {frames}")
