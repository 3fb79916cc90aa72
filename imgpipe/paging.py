"""Paging: all frames of a file on their way into one output, opened one after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable

from imgpipe.chains.stages import Stage
from imgpipe.cleanup import uninterrupted
from imgpipe.engine.goals import Goal
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.ends import Reading, Writing
from imgpipe.formats.frames import Album, Contents, Timing
from imgpipe.formats.opening import (
    TargetLike,
    contents_of,
    format_to,
    name_of,
    open_album,
    open_source,
)
from imgpipe.formats.origin import Origin
from imgpipe.image import ImageInfo

__all__ = ["Pages", "pages_of"]

_log = logging.getLogger(__name__)
_FIRST_ONLY = (
    "%s: has %d frames, and a %s file holds one: only frame 0 is made; --page N (page= in Python) "
    "makes another"
)
_UNTIMED = "%s: %s files do not keep %s of an animation, so that of %s is lost"

Made = Callable[[Source], tuple[tuple[Stage, ...], ImageInfo]]
"""Returns the filters for a frame, and the image that they make of it."""


def pages_of(
    origin: Origin, dst: TargetLike, reading: Reading, writing: Writing, made: Made
) -> Pages | None:
    """Return all frames of a file; None if one of them alone is made.

    Raises
    ------
    InputError, UsageError
        As `open_source` and `open_sink` do.
    """
    if reading.page is not None:
        return None
    contents = contents_of(origin)
    if contents.frames == 1:
        return None
    target = format_to(dst, writing.format)
    if target.album is None:
        _log.warning(_FIRST_ONLY, origin.name, contents.frames, target.name)
        return None
    if lost := _lost(contents.timing, target.timing):
        _log.warning(_UNTIMED, name_of(dst), target.name, lost, origin.name)
    return Pages(origin, contents, dst, reading, writing, made)


def _lost(timing: Timing | None, kept: tuple[str, ...]) -> str:
    """Return in words what of the timing is lost; empty if nothing is."""
    if timing is not None and "seconds" not in kept:
        return "the timing"
    return "the loop" if timing is not None and timing.loop and "loop" not in kept else ""


class Pages:
    """The frames of a file, and the file that is made of them.

    Parameters
    ----------
    origin : Origin
        The input.
    contents : Contents
        Its frames.
    dst : path or binary file
        The output.
    reading, writing : Reading, Writing
        Choices about both.
    made : callable
        Returns the filters for a frame, and the image that they make of it.

    Attributes
    ----------
    count : int
        The number of frames.
    pixels : int
        Pixels of all frames that are made.

    Raises
    ------
    InputError
        If a frame cannot be read, as far as its header tells.
    UsageError
        If the filters do not fit it.
    """

    def __init__(
        self,
        origin: Origin,
        contents: Contents,
        dst: TargetLike,
        reading: Reading,
        writing: Writing,
        made: Made,
    ) -> None:
        self.count, self._timing = contents.frames, contents.timing
        self._origin, self._dst, self._reading, self._writing = origin, dst, reading, writing
        self._made = made
        self._album: Album | None = None
        self._sink: Sink | None = None
        # The frames of an animation are alike; pages are seen all, before the first is made.
        alike = self._timing is not None
        seen = (0, self.count - 1) if alike else range(self.count)
        self._known = {number: self._open(number) for number in seen}
        sizes = {number: made(source)[1].pixels for number, source in self._known.items()}
        self.pixels = self.count * sizes[0] if alike else sum(sizes.values())

        def size(number: int) -> tuple[int, int]:
            source = self._known[number]
            return max(sizes[number], source.info.pixels), source.decode_bytes

        self._largest = max(self._known, key=size)

    def trial(self) -> tuple[Source, Goal]:
        """Open the largest frame for its plan; `abort` ends that."""
        source = self._known[self._largest]
        return source, self._goal(source)

    def opened(self, number: int) -> tuple[Source, Goal]:
        """Open a frame, in the order of their numbers from 0."""
        source = self._known.pop(number, None) or self._open(number)
        return source, self._goal(source)

    def commit(self) -> int:
        """Publish the file of all frames; return its size in bytes."""
        assert self._album is not None
        return self._album.commit()

    def abort(self) -> None:
        """Leave nothing behind, unless the file was published."""
        with uninterrupted():
            sink, self._sink = self._sink, None
            album, self._album = self._album, None
            if sink is not None:
                sink.abort()
            if album is not None:
                album.abort()

    def _open(self, number: int) -> Source:
        return open_source(self._origin, self._reading.of_page(number))

    def _goal(self, source: Source) -> Goal:
        stages, after = self._made(source)
        if self._album is None:
            self._album = open_album(self._dst, self.count, self._timing, self._writing)
        self._sink = self._album.frame(after)
        return Goal(stages, self._sink, name_of(self._dst))
