"""AVIF animations. Frames wait in scratch files; with the last one, all are encoded together."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any, ClassVar, Literal

from imgpipe.errors import UsageError
from imgpipe.formats.avif.writing import (
    FIXED_BYTES,
    PIXEL_BYTES,
    Effort,
    Lossless,
    Quality,
    Saving,
    must_have_plugin,
    picture_of,
)
from imgpipe.formats.base import Data, PlacedSink
from imgpipe.formats.boxes import spans
from imgpipe.formats.frames import USUAL_SECONDS, Timing, must_be_alike
from imgpipe.formats.raw import RawLayout, RawPlacer, RawSource
from imgpipe.formats.scratch import Scratch
from imgpipe.formats.target import Place, Target
from imgpipe.formats.wholeencoding import EncodedSink
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass

__all__ = ["AvifAlbum", "open_album"]


def open_album(
    target: Target,
    infos: tuple[ImageInfo, ...],
    timing: Timing | None,
    *,
    quality: Quality = 75,
    lossless: Lossless = False,
    effort: Effort = 1,
) -> AvifAlbum:
    """Begin an animation of these frames; AVIF cannot say how often it runs.

    Raises
    ------
    UsageError
        If Pillow was built without AVIF, frames differ in size or channels, or the animation is to
        be lossless.
    """
    if lossless:
        raise UsageError(
            f"{target.name}: animated AVIF files are lossy; leave out --lossless, or write .webp "
            "or .png"
        )
    must_have_plugin(target.name)
    must_be_alike(infos, target.name, "an animated AVIF", values=True)
    seconds = (USUAL_SECONDS,) * len(infos) if timing is None else timing.seconds
    return AvifAlbum(target, len(infos), seconds, quality, effort)


_AROUND = b"moov", b"trak", b"mdia"
_TIMED = b"mvhd", b"tkhd", b"mdhd"  # boxes that begin with two times


class AvifAlbum:
    """An animation under construction.

    Parameters
    ----------
    target : Target
        Gets the bytes.
    count : int
        Frames.
    seconds : tuple of float
        Duration of each frame.
    quality, effort : int
        The options.
    """

    def __init__(
        self, target: Target, count: int, seconds: tuple[float, ...], quality: int, effort: int
    ) -> None:
        self._target, self._count, self._seconds = target, count, seconds
        self._options = quality, effort
        self._waiting: list[_Waiting] = []
        self._scratch: Scratch | None = None  # of all frames but the last, one below the other
        self._first: ImageInfo | None = None

    def frame(self, info: ImageInfo) -> PlacedSink:
        """Return the sink of the next frame."""
        first = self._first = self._first or info
        before = tuple(each.source for each in self._waiting)
        saving = Saving.of(first.metadata, *self._options, self._target.name)
        encoder = FilmEncoder(info, saving, before, self._seconds)
        if len(self._waiting) + 1 == self._count:
            return EncodedSink(_Held(self._target), info, encoder)
        if self._scratch is None:
            self._scratch = Scratch(replace(info, height=info.height * (self._count - 1)))
        seal_bytes = info.nbytes + encoder.work_bytes
        self._waiting.append(_Waiting(info, self._scratch, len(self._waiting), seal_bytes))
        return self._waiting[-1]

    def commit(self) -> int:
        """Publish the file and return its size in bytes."""
        size = self._target.commit()
        self._free()
        return size

    def abort(self) -> None:
        """Leave nothing behind."""
        self._target.abort()
        self._free()

    def _free(self) -> None:
        if self._scratch is not None:
            self._scratch.abort()


@dataclass(frozen=True)
class FilmEncoder:
    """Encoder of all frames, called with the last one."""

    info: ImageInfo
    saving: Saving
    before: tuple[RawSource, ...]
    seconds: tuple[float, ...]

    @property
    def work_bytes(self) -> int:
        """Memory of the encoder, and of the file."""
        sizes = self.info.nbytes * (len(self.seconds) - 1)  # of the file, at most
        return FIXED_BYTES + PIXEL_BYTES * self.info.pixels + sizes

    def encode(self, pixels: Pixels) -> Data:
        """Return the file."""
        out, box = io.BytesIO(), self.info.box
        first = self.before[0].read(box) if self.before else pixels
        rest = [*(_Frame(each) for each in self.before[1:]), picture_of(pixels)]
        picture_of(first).save(
            out,
            save_all=True,
            append_images=rest if self.before else [],
            duration=[round(1000 * each) for each in self.seconds],
            **self.saving.options(),
        )
        return _timeless(out)


def _timeless(file: io.BytesIO) -> Data:
    """Return a file without the time at which it was made: the same frames make the same bytes."""
    content = file.getbuffer()
    _clear_times(file, content, 0, len(content))
    return content


def _clear_times(file: io.BytesIO, content: memoryview, start: int, end: int) -> None:
    for span in spans(file, start, end):
        if span.kind in _TIMED:
            size = 16 if content[span.start] else 8  # by the version of the box
            content[span.start + 4 : span.start + 4 + size] = bytes(size)
        elif span.kind in _AROUND:
            _clear_times(file, content, span.start, span.end)


class _Frame:
    """A frame that is read when Pillow asks for its bytes."""

    n_frames = 1

    def __init__(self, source: RawSource) -> None:
        info = source.info
        self._source, self.size = source, (info.width, info.height)
        self.mode = {1: "L", 3: "RGB", 4: "RGBA"}[info.channels]

    def seek(self, number: int) -> None:
        """Go to a frame, of which there is one."""
        if number:
            raise EOFError

    def tell(self) -> int:
        """Return the number of the frame."""
        return 0

    def tobytes(self, *_args: Any) -> bytes:
        """Return the pixels."""
        return self._source.read(self._source.info.box).tobytes()


class _Waiting:
    """The sink of a frame that waits for the last one, and needs its memory in the end."""

    kind: ClassVar[Literal["placed"]] = "placed"
    unit: ClassVar[tuple[int, int]] = (1, 1)

    def __init__(self, info: ImageInfo, scratch: Scratch, number: int, seal_bytes: int) -> None:
        self.info, self.seal_bytes = info, seal_bytes
        self.scratch_bytes = scratch.info.nbytes
        layout = RawLayout(number * info.nbytes, info.shape, info.dtype)
        self.placer = RawPlacer(layout, scratch.placer.where)
        self.source = RawSource(info, layout, scratch.source.origin)

    def commit(self) -> int:
        """Keep the frame."""
        return self.info.nbytes

    def abort(self) -> None:
        """Leave the frame to its album."""


class _Held:
    """A target that is published later, with its album."""

    amends = False

    def __init__(self, target: Target) -> None:
        self.name, self.size = target.name, 0
        self._target, self._complete = target, False

    def write(self, *parts: Data) -> None:
        """Append `parts`."""
        self._target.write(*parts)

    def amend(self, position: int, data: Data) -> None:
        """Change bytes that were written."""
        self._target.amend(position, data)

    def place(self, size: int) -> Place | None:
        """Make room for `size` bytes."""
        return self._target.place(size)

    def commit(self) -> int:
        """Publish nothing."""
        self._complete = True
        return self._target.size

    def abort(self) -> None:
        """Leave nothing behind, unless the frames are complete."""
        if not self._complete:
            self._target.abort()
