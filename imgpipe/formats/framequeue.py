"""Queue of frames that are made at once, and go into their file one after the other.

The bytes of a frame whose turn has not come wait in a scratch file. Pixels that workers put in
their place do not wait.
"""

from __future__ import annotations

import os
import threading
from typing import ClassVar, Literal

from imgpipe.formats.base import (
    Data,
    Facts,
    OrderedSink,
    PlacedSink,
    RandomSource,
    Sink,
    aside_of,
    further_of,
    scratch_bytes_of,
)
from imgpipe.formats.unnamedfiles import NamelessFile, scratch_folder

__all__ = ["InLine", "Lineup", "PlacedInLine"]


class Lineup:
    """The frames of a file, in their order.

    Attributes
    ----------
    turn : int
        The number of the frame whose turn it is.
    folder : str
        The folder of scratch files.
    """

    def __init__(self) -> None:
        self.turn = self._given = 0
        self.lock = threading.RLock()  # a frame may be completed by a thread of its own
        self._open: dict[int, _Frame] = {}
        self.folder = scratch_folder()

    def join(self, sink: Sink, *, waits: bool) -> Sink:
        """Return the sink of the next frame; if it `waits`, it takes bytes before its turn."""
        frame = self._open[self._given] = _Frame(self, self._given, sink)
        self._given += 1
        return frame.wrapped(sink, waits=waits)

    def next(self) -> None:
        """Go on to the next frame, which may have waited for that."""
        del self._open[self.turn]
        self.turn += 1
        if frame := self._open.get(self.turn):
            frame.catch_up()

    def close(self) -> None:
        """Leave nothing of frames that are not complete. Safe to call twice."""
        with self.lock:
            while self._open:
                self._open.popitem()[1].abort()


class _Frame:
    """A frame, with the bytes that were made before its turn."""

    def __init__(self, line: Lineup, number: int, sink: Sink) -> None:
        self.number, self._line, self._sink = number, line, sink
        self._file: NamelessFile | None = None
        self._kept: list[tuple[OrderedSink, int, Facts]] = []
        self._complete = False

    def wrapped(self, sink: Sink, *, waits: bool) -> Sink:
        """Return a sink of this frame, or of a level of it."""
        if sink.kind == "ordered":
            return InLine(self, sink, waits=waits)
        return PlacedInLine(self, sink, waits=waits)

    def append(self, sink: OrderedSink, data: Data, facts: Facts) -> None:
        """Append bytes, now or later."""
        with self._line.lock:
            if self._line.turn == self.number:
                sink.append(data, facts)
                return
            if self._file is None:
                self._file = NamelessFile(self._line.folder)
            self._file.append(data, f"frame {self.number}")
            self._kept.append((sink, memoryview(data).nbytes, facts))

    def commit(self) -> int:
        """End the frame, now or later; return its size if that is known."""
        with self._line.lock:
            if self._line.turn != self.number:
                self._complete = True
                return sum(size for _, size, _ in self._kept)
            size = self._sink.commit()
            self._line.next()
            return size

    def catch_up(self) -> None:
        """Append the bytes that have waited."""
        if self._file is not None:
            os.lseek(self._file.fd, 0, os.SEEK_SET)
        for sink, size, facts in self._kept:
            assert self._file is not None
            sink.append(os.read(self._file.fd, size), facts)
        self._drop()
        if self._complete:
            self.commit()

    def abort(self) -> None:
        """Leave nothing behind."""
        self._drop()
        self._sink.abort()

    def _drop(self) -> None:
        self._kept.clear()
        if self._file is not None:
            self._file.close()


class InLine:
    """An ordered sink whose bytes may wait for the turn of its frame."""

    kind: ClassVar[Literal["ordered"]] = "ordered"

    def __init__(self, frame: _Frame, sink: OrderedSink, *, waits: bool) -> None:
        self.info, self.unit, self.encoder = sink.info, sink.unit, sink.encoder
        self.aside = aside_of(sink)
        self.further = _further(frame, sink, waits=waits)
        self.scratch_bytes = scratch_bytes_of(sink)
        if waits:
            self.scratch_bytes += sink.encoder.bound(sink.info.height)
        self._frame, self._sink = frame, sink

    def append(self, data: Data, facts: Facts) -> None:
        """Append the next unit."""
        self._frame.append(self._sink, data, facts)

    def commit(self) -> int:
        """End the frame; return its size in bytes, if that is known."""
        return self._frame.commit()

    def abort(self) -> None:
        """Leave nothing behind."""
        self._frame.abort()


class PlacedInLine:
    """A placed sink that is committed when its turn has come."""

    kind: ClassVar[Literal["placed"]] = "placed"

    def __init__(self, frame: _Frame, sink: PlacedSink, *, waits: bool) -> None:
        self.info, self.unit, self.placer = sink.info, sink.unit, sink.placer
        self.seal_bytes = sink.seal_bytes
        self.scratch_bytes = scratch_bytes_of(sink)
        self.further = _further(frame, sink, waits=waits)
        self._frame = frame

    def commit(self) -> int:
        """End the frame; return its size in bytes, if that is known."""
        return self._frame.commit()

    def abort(self) -> None:
        """Leave nothing behind."""
        self._frame.abort()


def _further(frame: _Frame, sink: Sink, *, waits: bool) -> tuple[tuple[RandomSource, Sink], ...]:
    return tuple((source, frame.wrapped(level, waits=waits)) for source, level in further_of(sink))
