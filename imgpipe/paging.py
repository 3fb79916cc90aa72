"""Frames of a file, all of them on their way into one output."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from imgpipe.chains.stages import Stage
from imgpipe.cleanup import uninterrupted
from imgpipe.engine.frames import Kind
from imgpipe.engine.wantedoutputs import WantedOutput
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.frames import USUAL_SECONDS, Album, Contents, Timing
from imgpipe.formats.opening import (
    TargetLike,
    contents_of,
    format_to,
    name_of,
    open_album,
    open_source,
)
from imgpipe.formats.origin import Origin
from imgpipe.formats.readwrite import Reading, Writing
from imgpipe.image import ImageInfo
from imgpipe.metadata import Metadata

__all__ = ["Pages", "pages_of", "warn_of_frames"]

_log = logging.getLogger(__name__)
_NONE = Metadata()
_FIRST_ONLY = (
    "%s: has several frames, and files of %s hold one: only frame 0 is made; for another one "
    'give --page N (page= in Python); for all of them give -o FOLDER --name "{stem}-{page}.{ext}"'
)
_ONE_FOR_ALL = (
    "%s: has %d frames, and several outputs are made of one: only frame 0 is made; for another "
    "one give --page N (page= in Python)"
)
_NO_ANIMATION = (
    "%s: has %d pages, which have no timing, and files of %s hold an animation or one image: only "
    "page 0 is made; for another one give --page N (page= in Python); for all of them give a .tif "
    'output, or -o FOLDER --name "{stem}-{page}.{ext}"'
)
_ANIMATED = (
    "%s: has %d pages, which have no timing: they become an animation that shows each for %g s; "
    "for a single page give --page N (page= in Python); to keep all as pages give a .tif output"
)
_UNTIMED = "%s: %s files do not keep %s of an animation; the output is without it"

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
        _log.warning(_FIRST_ONLY, origin.name, target.name)
        return None
    if contents.timing is None and not target.pages:
        _log.warning(_NO_ANIMATION, origin.name, contents.frames, target.name)
        return None
    if contents.timing is None and target.timing:
        _log.warning(_ANIMATED, origin.name, contents.frames, USUAL_SECONDS)
    if lost := _lost(contents.timing, target.timing):
        _log.warning(_UNTIMED, name_of(dst), target.name, lost)
    return Pages(origin, contents, dst, reading, writing, made)


def warn_of_frames(origin: Origin, reading: Reading) -> None:
    """Say that several outputs are made of one frame only, if there are more."""
    frames = contents_of(origin).frames if reading.page is None else 1
    if frames > 1:
        _log.warning(_ONE_FOR_ALL, origin.name, frames)


def _lost(timing: Timing | None, kept: tuple[str, ...]) -> str:
    """Return the losses of timing in words; empty if there are none."""
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
    source_pixels : int
        Pixels of the frames that these are made of.

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
        self._dst, self._writing = dst, writing
        # All headers are read before the first frame is made.
        pages = range(self.count)
        self._sources = {page: open_source(origin, reading.of_page(page)) for page in pages}
        known: dict[ImageInfo, tuple[tuple[Stage, ...], ImageInfo]] = {}
        for source in self._sources.values():
            if source.info not in known:
                known[source.info] = made(source)
        self._made = [known[source.info] for source in self._sources.values()]
        self.pixels = sum(after.pixels for _, after in self._made)
        self.source_pixels = sum(source.info.pixels for source in self._sources.values())
        self._keys = [
            _key(source, after)
            for source, (_, after) in zip(self._sources.values(), self._made, strict=True)
        ]
        self._album: Album | None = None
        self._trial: list[Sink] = []

    @property
    def animated(self) -> bool:
        """Return whether they are an animation, whose frames are decoded one after the other."""
        return self._timing is not None

    def kinds(self) -> list[Kind]:
        """Return all kinds of frames, the largest first, for their plan; `abort` ends that."""
        count = Counter(self._keys)
        chosen = {self._keys[page]: page for page in reversed(range(self.count))}
        for page, key in enumerate(self._keys):
            if self._sources[page].decode_bytes > self._sources[chosen[key]].decode_bytes:
                chosen[key] = page
        found = [
            Kind(key, self._sources[page], self._goal(page), count[key])
            for key, page in chosen.items()
        ]
        self._trial = [kind.goal.sink for kind in found]
        return sorted(found, key=_size, reverse=True)

    def key(self, number: int) -> Any:
        """Return the kind of a frame."""
        return self._keys[number]

    def opened(self, number: int) -> tuple[Source, WantedOutput, Any]:
        """Open a frame, in the order of their numbers from 0; return its kind too."""
        return self._sources.pop(number), self._goal(number), self._keys[number]

    def commit(self) -> int:
        """Publish the file of all frames; return its size in bytes."""
        assert self._album is not None
        return self._album.commit()

    def abort(self) -> None:
        """Leave nothing behind, unless the file was published."""
        with uninterrupted():
            trial, self._trial = self._trial, []
            album, self._album = self._album, None
            for sink in trial:
                sink.abort()
            if album is not None:
                album.abort()

    def _goal(self, number: int) -> WantedOutput:
        stages, after = self._made[number]
        if self._album is None:
            infos = [after for _, after in self._made]
            self._album = open_album(self._dst, infos, self._timing, self._writing)
        return WantedOutput(stages, self._album.frame(after), name_of(self._dst))


def _key(source: Source, after: ImageInfo) -> Any:
    """Return the properties that the plan of a frame depends on, within 1 MB of its decoder."""
    return (
        source.access,
        source.grain,
        getattr(source, "compressed", False),
        source.decode_bytes >> 20,
        replace(source.info, metadata=_NONE),
        replace(after, metadata=_NONE),
    )


def _size(kind: Kind) -> tuple[int, int]:
    """Return the size of a frame, and of its decoder."""
    before, after = kind.source.info, kind.goal.sink.info
    return max(before.pixels, after.pixels), kind.source.decode_bytes
