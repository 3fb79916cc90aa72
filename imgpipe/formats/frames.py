"""Frames: several images in one file, and the other pictures that come with them."""

from __future__ import annotations

from dataclasses import field
from typing import Protocol

from imgpipe.errors import UsageError
from imgpipe.formats.base import Sink
from imgpipe.image import ImageInfo
from imgpipe.records import dataclass

__all__ = ["Album", "Contents", "Timing", "must_be_alike", "must_have", "must_have_frame"]

USUAL_SECONDS = 0.1
"""Seconds of a frame, where nothing is said."""


@dataclass(frozen=True)
class Timing:
    """Timing of an animation.

    Attributes
    ----------
    seconds : tuple of float
        Duration of each frame.
    loop : int
        Number of repetitions of the animation; 0 for ever.
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
    private : bool
        Whether the file holds pictures or texts that may name a patient. Such a file is never
        copied as it is stored.
    """

    frames: int = 1
    timing: Timing | None = None
    levels: tuple[tuple[int, int], ...] = field(default=())
    associated: tuple[str, ...] = ()
    private: bool = False


class Album(Protocol):
    """A file with several frames, all of which are known when it is begun."""

    def frame(self, info: ImageInfo) -> Sink:
        """Return the sink of the next frame; its `commit` ends the frame and publishes nothing.

        There may be several at once. They are filled in any order, or, if they are ordered sinks,
        one after the other; they are committed one after the other.
        """

    def commit(self) -> int:
        """Publish the file and return its size in bytes."""

    def abort(self) -> None:
        """Leave nothing behind. Safe to call at any time, and twice."""


def must_be_alike(infos: tuple[ImageInfo, ...], name: str, kind: str, *, values: bool) -> None:
    """Refuse frames that differ in size, or with `values` in channels or type, before any is made.

    Raises
    ------
    UsageError
        If two differ.
    """
    first = infos[0]
    for number, info in enumerate(infos):
        same = (info.height, info.width) == (first.height, first.width)
        if not same or (values and (info.shape, info.dtype) != (first.shape, first.dtype)):
            raise UsageError(
                f"{name}: frame {number} is {_described(info)}, but frame 0 is "
                f"{_described(first)}, and all frames of {kind} are alike; choose one by --page "
                "(page= in Python), or write a .tif"
            )


def _described(info: ImageInfo) -> str:
    return f"{info.width} x {info.height} x {info.channels} {info.dtype}"


def must_have_frame(page: int, level: int, frames: int, name: str) -> None:
    """Refuse a frame or a level that a file without a pyramid does not have.

    Raises
    ------
    UsageError
        If there is none.
    """
    must_have("page", page, frames, name)
    must_have("level", level, 1, name)


def must_have(noun: str, number: int, count: int, name: str) -> None:
    """Refuse a page or a level that a file does not have.

    Raises
    ------
    UsageError
        If there is no such one.
    """
    if 0 <= number < count:
        return
    has = f"{noun}s 0 to {count - 1}; choose one of these by"
    if count == 1:
        has = f"only {noun} 0; leave out"
    kind = "pyramid level" if noun == "level" else noun
    raise UsageError(f"{name}: has no {kind} {number}, {has} --{noun} ({noun}= in Python)")
